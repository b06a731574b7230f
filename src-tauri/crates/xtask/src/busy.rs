//! One core kept busy, as a game does it: to try whether something stands a busy machine.

use std::hint;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A thread that computes without a pause, at this program's own priority; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct BusyCore {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl BusyCore {
    /// # Errors
    ///
    /// When the system starts no thread.
    pub(crate) fn start() -> io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ends);
        let spin = move || {
            while !until.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        };
        let thread = thread::Builder::new().name("busy-core".to_owned()).spawn(spin)?;
        Ok(Self { ends, thread: Some(thread) })
    }
}

impl Drop for BusyCore {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot have failed: it only waits for this.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_core_is_kept_busy_until_it_is_let_go() {
        // Of all threads of this process: the tests beside this one only add to it, so the name is looked for.
        let busy = || -> Option<u64> {
            std::fs::read_dir("/proc/self/task").unwrap().flatten().find_map(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
                let (name, fields) = stat.rsplit_once(')')?;
                let ticks = fields.split_whitespace().nth(11)?.parse().ok()?;
                name.ends_with("(busy-core").then_some(ticks)
            })
        };
        let core = BusyCore::start().unwrap();
        // A tenth of a second of processor time, however long the machine takes to grant it.
        while busy().is_none_or(|ticks| ticks < 10) {
            thread::yield_now();
        }
        drop(core);
        assert_eq!(busy(), None);
    }
}
