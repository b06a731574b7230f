//! Telling how a transfer goes: what is for people on standard error, what is for scripts on standard output.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use workly_core::problem::Problem;
use workly_files::places;
use workly_library::transfers::{Options, Transfers};
use workly_wire::models::{HashSource, Transfer, TransferState};

use super::size;

/// Percent between two lines of progress where there is no terminal to draw on.
const LINE_EVERY: u64 = 10;

/// The transfers into Workly's own folder of models.
pub(super) fn transfers() -> anyhow::Result<Transfers> {
    let data = places::data_dir().context("there is no folder for application data; set WORKLY_DATA_DIR to one")?;
    Ok(Transfers::start(data.join("models"), Options::default()))
}

/// Follows a transfer until it is done.
///
/// # Errors
///
/// When it fails or is interrupted, with what to do about it.
pub(super) async fn to_the_end(
    transfers: &Transfers,
    begun: Result<String, Problem>,
    json: bool,
) -> anyhow::Result<()> {
    let mut teller = Teller::new(json);
    let id = match begun {
        Ok(id) => id,
        Err(problem) => return teller.failed(problem),
    };
    let mut list = transfers.subscribe();
    loop {
        let now = list.borrow_and_update().iter().find(|transfer| transfer.id == id).cloned();
        match now {
            Some(transfer) if transfer.state == TransferState::Done => return teller.done(&transfer),
            Some(Transfer { state: TransferState::Failed, problem: Some(problem), .. }) => {
                return teller.failed(problem);
            }
            Some(transfer) => teller.progress(&transfer)?,
            None => {}
        }
        tokio::select! {
            changed = list.changed() => changed.context("the transfers ended")?,
            () = interrupted() => {
                transfers.rest().await;
                teller.clear();
                bail!("interrupted; what is here is kept, and the same command goes on from there");
            }
        }
    }
}

/// Waits until the user or the system wants an end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

struct Teller {
    json: bool,
    /// Progress is drawn over the same line of standard error.
    draws: bool,
    is_drawn: bool,
    /// Tenths that were told, where nothing can be drawn.
    told: Option<u64>,
    /// What it waited for.
    waited: Option<Problem>,
}

impl Teller {
    fn new(json: bool) -> Self {
        Self { json, draws: io::stderr().is_terminal(), is_drawn: false, told: None, waited: None }
    }

    fn progress(&mut self, transfer: &Transfer) -> anyhow::Result<()> {
        if self.json {
            let mut line = serde_json::to_value(transfer)?;
            line["type"] = "progress".into();
            return print(&line.to_string());
        }
        if transfer.problem != self.waited {
            self.waited.clone_from(&transfer.problem);
            if let Some(problem) = &transfer.problem {
                self.remark(&format!("{}: {problem}", transfer.title));
            }
        }
        let text = describe(transfer);
        if self.draws {
            let _ = write!(io::stderr(), "\r\x1b[2K{text}");
            self.is_drawn = true;
        } else if let Some(total) = transfer.total_bytes.filter(|total| *total > 0) {
            let tenth = transfer.received_bytes * 100 / total / LINE_EVERY;
            if self.told.replace(tenth) != Some(tenth) {
                self.remark(&text);
            }
        }
        Ok(())
    }

    fn done(&mut self, transfer: &Transfer) -> anyhow::Result<()> {
        self.clear();
        let path = transfer.model.clone().unwrap_or_default();
        if self.json {
            let (bytes, hash) = (transfer.received_bytes, transfer.hash);
            return print(&json!({"type": "done", "path": path, "bytes": bytes, "hash": hash}).to_string());
        }
        let checked = match transfer.hash {
            HashSource::Catalogue => "its SHA-256 is that of the catalogue",
            HashSource::Host => "its SHA-256 is the one its host tells",
            HashSource::None => "its header is sound; nobody told a SHA-256",
        };
        self.remark(&format!("{} is in the library ({}, {checked}).", transfer.title, size(transfer.received_bytes)));
        print(&path)
    }

    fn failed(&mut self, problem: Problem) -> anyhow::Result<()> {
        self.clear();
        if self.json {
            let mut line: Value = serde_json::to_value(&problem)?;
            line["type"] = "error".into();
            print(&line.to_string())?;
        } else if let Some(details) = &problem.details {
            self.remark(details);
        }
        Err(problem.into())
    }

    fn remark(&mut self, text: &str) {
        self.clear();
        let _ = writeln!(io::stderr(), "{text}");
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

/// How far a transfer is, in one line.
fn describe(transfer: &Transfer) -> String {
    let Transfer { title, received_bytes, .. } = transfer;
    match transfer.state {
        TransferState::Verifying => return format!("{title}: checking the whole file …"),
        TransferState::Queued => return format!("{title}: waiting for its turn …"),
        _ => {}
    }
    let of_all = transfer.total_bytes.filter(|total| *total > 0).map(|total| {
        let percent = *received_bytes as f64 * 100.0 / total as f64;
        format!(" of {} ({percent:.0} %)", size(total))
    });
    let speed = transfer.bytes_per_second.map(|speed| format!(", {}/s", size(speed as u64)));
    let left = transfer.seconds_left.map(|seconds| seconds.ceil() as u64);
    let left = left.map(|seconds| format!(", {}:{:02} left", seconds / 60, seconds % 60));
    let known: String = [of_all, speed, left].into_iter().flatten().collect();
    format!("{title}: {}{known}", size(*received_bytes))
}

fn print(line: &str) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).context("standard output cannot be written")
}

#[cfg(test)]
mod tests {
    use workly_wire::models::TransferKind;

    use super::*;

    #[test]
    fn a_line_tells_what_is_known() {
        let mut transfer = Transfer {
            id: "x".to_owned(),
            kind: TransferKind::Download,
            title: "Zephyr".to_owned(),
            catalogue_id: None,
            state: TransferState::Running,
            received_bytes: 1_500_000,
            total_bytes: None,
            bytes_per_second: None,
            seconds_left: None,
            hash: HashSource::None,
            model: None,
            problem: None,
        };
        assert_eq!(describe(&transfer), "Zephyr: 1.5 MB");
        transfer.total_bytes = Some(6_000_000);
        (transfer.bytes_per_second, transfer.seconds_left) = (Some(50_000.0), Some(90.0));
        assert_eq!(describe(&transfer), "Zephyr: 1.5 MB of 6.0 MB (25 %), 50.0 kB/s, 1:30 left");
        transfer.state = TransferState::Verifying;
        assert_eq!(describe(&transfer), "Zephyr: checking the whole file …");
    }
}
