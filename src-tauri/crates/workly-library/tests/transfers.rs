//! Downloads from hosts that cut, lie, redirect, stall, and imports: what comes into Workly's own folder, and what not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

#[path = "support/file_server.rs"]
#[expect(dead_code, reason = "each test program uses its own part")]
mod file_server;

#[path = "transfers/downloads.rs"]
mod downloads;
#[path = "transfers/hosts.rs"]
mod hosts;
#[path = "transfers/imports.rs"]
mod imports;
#[path = "../../workly-engine/tests/support/progress.rs"]
mod progress;
#[path = "transfers/queue.rs"]
mod queue;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use progress::{in_time, unless_it_hangs};
use tempfile::TempDir;
use workly_core::problem::ProblemCode;
use workly_library::catalogue;
use workly_library::transfers::{FreeSpace, Options, Transfers};
use workly_wire::models::{CatalogueModel, Transfer, TransferState};

/// Waits are short; nothing else is different.
fn options() -> Options {
    Options {
        patience: Duration::from_secs(20),
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(20),
        attempts: 4,
        keep_free: 0,
        free_space: FreeSpace::new(|_| Ok(1 << 50)),
        ..Options::default()
    }
}

/// A folder of models, and the transfers into it.
struct Library {
    folder: TempDir,
    transfers: Transfers,
}

impl Library {
    fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let transfers = Transfers::start(folder.path().join("models"), options);
        Self { folder, transfers }
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// The names among the models.
    fn names(&self) -> Vec<String> {
        names(&self.models()).into_iter().filter(|name| name != ".incoming").collect()
    }

    /// The names of what is on its way.
    fn incoming(&self) -> Vec<String> {
        names(&self.models().join(".incoming"))
    }

    /// Waits until a transfer is as wanted.
    async fn until(&self, id: &str, what: impl Fn(&Transfer) -> bool) -> Transfer {
        let mut list = self.transfers.subscribe();
        let found = list.wait_for(|list| list.iter().any(|transfer| transfer.id == id && what(transfer)));
        let Some(found) = unless_it_hangs(found).await else {
            panic!("it never came to that: {:#?}", self.transfers.list());
        };
        found.unwrap().iter().find(|transfer| transfer.id == id).unwrap().clone()
    }

    async fn state(&self, id: &str, state: TransferState) -> Transfer {
        self.until(id, |transfer| transfer.state == state).await
    }

    /// Waits until it is done, or has failed with this.
    async fn ended(&self, id: &str) -> Result<Transfer, ProblemCode> {
        let ended = |state| matches!(state, TransferState::Done | TransferState::Failed);
        let transfer = self.until(id, |transfer| ended(transfer.state)).await;
        match &transfer.problem {
            Some(problem) if transfer.state == TransferState::Failed => Err(problem.code),
            _ => Ok(transfer),
        }
    }

    async fn fetch(&self, url: &str) -> String {
        self.transfers.fetch_url(url).await.unwrap()
    }

    /// Fetches from an address to the end.
    async fn get(&self, url: &str) -> Result<Transfer, ProblemCode> {
        let id = self.fetch(url).await;
        self.ended(&id).await
    }

    fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.models().join(name)).unwrap()
    }
}

fn names(folder: &Path) -> Vec<String> {
    // A folder that is not there yet is empty.
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A model of the catalogue that lies elsewhere.
fn of_catalogue(url: String, sha256: Option<String>, bytes: Option<u64>) -> CatalogueModel {
    let model = catalogue::find("zephyr-7b").unwrap();
    CatalogueModel { url, sha256, size_bytes: bytes, ..model }
}

fn sha256(content: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, content).as_ref())
}
