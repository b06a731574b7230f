//! What was committed is brought to the disk by a thread beside the one that writes, so that no commit waits for a disk.
//! A program that is killed loses nothing of it; a machine that loses its power, at most the last half second.
//!
//! The log moves into the file here too, since that waits for the disk as well.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::error::Stored;
use crate::files::{DATABASE, with_ending};
use crate::schema;

/// How long commits are gathered before they are brought to the disk in one step.
const TOGETHER: Duration = Duration::from_millis(200);
/// Pages of the log at which it is moved into the file, as `SQLite` itself does it.
const LOG_PAGES: i32 = 1_000;
/// The pause before something that failed, or that a reader was in the way of, is tried again.
const PAUSE: Duration = Duration::from_secs(4);

#[derive(Debug, Clone, Copy)]
enum Order {
    Committed { log_pages: i32 },
    EmptyLog,
}

/// The handle of the thread; it ends with the last one.
#[derive(Debug, Clone)]
pub(crate) struct Disk(mpsc::Sender<Order>);

impl Disk {
    /// Begins to look after the file in a folder. `told` hears whether a step succeeded.
    pub(crate) fn of(folder: &Path, told: impl Fn(Stored<()>) + Send + 'static) -> std::io::Result<Self> {
        let (orders, todo) = mpsc::channel();
        let path = folder.join(DATABASE);
        thread::Builder::new().name("disk".to_owned()).spawn(move || run(&path, &todo, &told))?;
        Ok(Self(orders))
    }

    /// Hears of every commit of a connection.
    pub(crate) fn watch(&self, connection: &mut Connection) -> Stored<()> {
        let orders = self.0.clone();
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, log_pages| {
            let _ = orders.send(Order::Committed { log_pages });
            Ok(())
        }))?;
        Ok(())
    }

    /// Moves the log into the file and empties it, so that nothing that was removed lies in it any longer.
    pub(crate) fn empty_log(&self) {
        let _ = self.0.send(Order::EmptyLog);
    }
}

/// What is to be done in the next step.
#[derive(Debug, Default)]
struct Step {
    log_pages: i32,
    empties_log: bool,
    due: Option<Instant>,
}

impl Step {
    fn add(&mut self, order: Order) {
        match order {
            Order::Committed { log_pages } => self.log_pages = log_pages,
            Order::EmptyLog => self.empties_log = true,
        }
        self.due.get_or_insert_with(|| Instant::now() + TOGETHER);
    }

    /// Says whether all of it is done; whoever reads or holds the file may be in the way of the log.
    fn take(&self, path: &Path) -> Stored<bool> {
        sync(&with_ending(path, "-wal"))?;
        let moved = if self.empties_log {
            empty_log(path)
        } else if self.log_pages >= LOG_PAGES {
            open(path).and_then(|connection| checkpoint(&connection, "PASSIVE"))
        } else {
            Ok(true)
        };
        moved.or_else(|error| if error.is_busy() { Ok(false) } else { Err(error) })
    }
}

fn run(path: &Path, orders: &mpsc::Receiver<Order>, told: &impl Fn(Stored<()>)) {
    let mut step = Step::default();
    loop {
        let wait = step.due.map(|at| at.saturating_duration_since(Instant::now()));
        let order = match wait {
            Some(wait) => orders.recv_timeout(wait),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(order) => step.add(order),
            Err(RecvTimeoutError::Timeout) => {
                let taken = step.take(path);
                if matches!(taken, Ok(true)) {
                    step = Step::default();
                } else {
                    step.due = Some(Instant::now() + PAUSE);
                }
                told(taken.map(drop));
            }
            // Whoever closed the file has brought it to the disk.
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn sync(log: &Path) -> Stored<()> {
    match File::options().write(true).open(log) {
        Ok(file) => Ok(file.sync_data()?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A connection of its own: the log moves while others read and write.
fn open(path: &Path) -> Stored<Connection> {
    // Never a new file: this one may just have been put aside.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    schema::configure_reading(&connection)?;
    Ok(connection)
}

/// Says whether the log is empty now.
fn empty_log(path: &Path) -> Stored<bool> {
    let connection = open(path)?;
    // What takes time first, and beside whoever writes; what is left keeps others waiting for a moment.
    checkpoint(&connection, "PASSIVE")?;
    checkpoint(&connection, "TRUNCATE")
}

/// Moves the log into the file, and says whether nobody was in the way.
pub(crate) fn checkpoint(connection: &Connection, mode: &str) -> Stored<bool> {
    let blocked: i64 = connection.query_row(&format!("PRAGMA wal_checkpoint ({mode})"), [], |row| row.get(0))?;
    Ok(blocked == 0)
}
