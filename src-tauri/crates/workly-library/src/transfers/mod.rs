//! Bringing models into Workly's own folder: downloads that survive whatever interrupts them, and imports.
//!
//! One task owns all transfers; everyone else sends it wishes and watches its list. A file grows as
//! `<models>/.incoming/<id>.part` beside a record of where it comes from, and gets its own name among the models only
//! when it is whole, has the SHA-256 that is known of it, and its header is that of a model. Nothing is overwritten.
//! What a restart or a kill left behind is in the list as paused.
//!
//! Not here: what can be fetched (`catalogue`), and what is there already (the library).

mod check;
mod download;
mod flow;
mod host;
mod import;
mod job;
mod names;
mod options;
mod pace;
mod problems;
mod queue;
mod record;
mod response;
mod speed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use url::Url;
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::models::{CatalogueModel, HashSource, Transfer, TransferKind};

pub(crate) use names::is_sha256;
pub use options::{FreeSpace, Options};

use host::Hosts;
use queue::{Change, Command, Queue};
use record::{FileRecord, Folder, Record};

use crate::library::is_within;

/// The transfers. Dropping it ends the task; what is here of unfinished files stays.
#[derive(Debug)]
pub struct Transfers {
    folder: Folder,
    commands: mpsc::UnboundedSender<Command>,
    list: watch::Receiver<Vec<Transfer>>,
    task: JoinHandle<()>,
}

impl Transfers {
    /// Starts the task, with what an earlier run left behind as paused. The folder is made when something comes in.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(models: PathBuf, options: Options) -> Self {
        let folder = Folder::new(models);
        let hosts = Hosts::new(options.patience).map(Arc::new);
        if let Err(problem) = &hosts {
            tracing::error!(%problem, details = problem.details, "nothing can be downloaded");
        }
        let (commands, orders) = mpsc::unbounded_channel();
        let (publisher, list) = watch::channel(Vec::new());
        let task = Queue::new(folder.clone(), hosts, options, publisher);
        Self { folder, commands, list, task: tokio::spawn(task.run(orders)) }
    }

    /// The transfers, the oldest first.
    pub fn list(&self) -> Vec<Transfer> {
        self.list.borrow().clone()
    }

    /// Follows the list, which is told at most four times a second.
    pub fn subscribe(&self) -> watch::Receiver<Vec<Transfer>> {
        self.list.clone()
    }

    /// Fetches a model of the catalogue; one that is here in part goes on. Answers the transfer's id.
    ///
    /// # Errors
    ///
    /// When its address is not safe, a model of its name is in the library, or the folder cannot be written to.
    pub async fn fetch(&self, model: &CatalogueModel) -> Result<String, Problem> {
        let url = host::address(&model.url)?;
        let mut record = download(&url, model.id.clone(), Some(model.title.clone()))?;
        record.catalogue_id = Some(model.id.clone());
        // What the catalogue knows is of one whole file.
        if let [file] = record.files.as_mut_slice() {
            file.expected_bytes = model.size_bytes;
            file.sha256 = model.sha256.as_ref().map(|hash| hash.to_ascii_lowercase());
            file.hash = if file.sha256.is_some() { HashSource::Catalogue } else { HashSource::None };
        }
        self.add(record).await
    }

    /// Fetches a model from an address: all parts of one that is split. Answers the transfer's id.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`].
    pub async fn fetch_url(&self, address: &str) -> Result<String, Problem> {
        let url = host::address(address)?;
        let title = names::last_segment(&url).map(|name| names::title(&name)).unwrap_or_default();
        self.add(download(&url, names::id("", &title, url.as_str()), None)?).await
    }

    /// Brings a file of this machine in: all parts of a model that is split. Answers the transfer's id.
    ///
    /// # Errors
    ///
    /// When it is no GGUF file, a part is missing, or a model of its name is in the library.
    pub async fn import(&self, path: &Path) -> Result<String, Problem> {
        let (path, models) = (path.to_path_buf(), self.folder.models().to_path_buf());
        let made = tokio::task::spawn_blocking(move || import_record(&path, &models)).await;
        let record = made.unwrap_or_else(|error| {
            Err(Problem::new(ProblemCode::NotSaved, "The file could not be looked at.").with_details(error.to_string()))
        })?;
        self.add(record).await
    }

    /// Pauses a transfer; what is here stays.
    ///
    /// # Errors
    ///
    /// When there is none of this id.
    pub async fn pause(&self, id: &str) -> Result<(), Problem> {
        self.change(id, Change::Pause).await
    }

    /// Goes on with one that is paused or failed, from where it was.
    ///
    /// # Errors
    ///
    /// As [`Self::pause`].
    pub async fn resume(&self, id: &str) -> Result<(), Problem> {
        self.change(id, Change::Resume).await
    }

    /// Takes a transfer off the list and removes what is here of it; a model that is in the library already stays.
    ///
    /// # Errors
    ///
    /// As [`Self::pause`]; or when another program works on it, or something cannot be removed.
    pub async fn cancel(&self, id: &str) -> Result<(), Problem> {
        self.change(id, Change::Remove).await
    }

    /// Pauses everything, and returns when nothing is under way any more.
    pub async fn rest(&self) {
        let (done, rested) = oneshot::channel();
        if self.commands.send(Command::Rest(done)).is_ok() {
            let _ = rested.await;
        }
    }

    async fn add(&self, record: Record) -> Result<String, Problem> {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(Command::Add(Box::new(record), answer));
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    async fn change(&self, id: &str, change: Change) -> Result<(), Problem> {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(Command::Change(id.to_owned(), change, answer));
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The name that the first file at an address gets among the models; `None` where the address is not fetched.
pub fn file_name(address: &str) -> Option<String> {
    let url = host::address(address).ok()?;
    let files = names::files(&names::last_segment(&url)?).ok()?;
    files.into_iter().next().map(|(_, own)| own)
}

fn ended() -> Problem {
    Problem::new(ProblemCode::DownloadFailed, "Models can no longer be brought in. Restart Workly.")
}

fn download(url: &Url, id: String, title: Option<String>) -> Result<Record, Problem> {
    let name = names::last_segment(url).unwrap_or_default();
    if !names::is_id(&id) {
        let message =
            format!("“{id}” cannot be the name of a model: only small letters, digits, “-”, “_” and “.” can.");
        return Err(problems::refused(message));
    }
    let files = names::files(&name)?.into_iter().map(|(theirs, own)| {
        let at = if theirs == name { url.clone() } else { names::with_last_segment(url, &theirs) };
        FileRecord::new(at.into(), own)
    });
    let title = title.unwrap_or_else(|| names::title(&name));
    Ok(Record::new(id, TransferKind::Download, title, files.collect()))
}

fn import_record(path: &Path, models: &Path) -> Result<Record, Problem> {
    let unreadable = |error| problems::source_unreadable(path, &error);
    let name = names::file_name(path)?;
    let mut files = Vec::new();
    for (theirs, own) in names::files(name)? {
        let part = path.with_file_name(&theirs);
        if theirs != name && !part.is_file() {
            let message =
                format!("“{name}” is one part of a model; “{theirs}” is missing beside it. Put all parts there.");
            return Err(Problem::new(ProblemCode::ModelMissing, message));
        }
        // What a link leads to, under the link's name.
        let source = part.canonicalize().map_err(unreadable)?;
        if is_within(models, &source) {
            return Err(problems::exists(&theirs));
        }
        check::header(&source, &theirs)?;
        let bytes = source.metadata().map_err(unreadable)?.len();
        let text = source.to_str().ok_or_else(|| {
            let message = format!("“{}” has a path that cannot be read as text. Move it first.", source.display());
            Problem::new(ProblemCode::NotGguf, message)
        })?;
        let mut file = FileRecord::new(text.to_owned(), own);
        file.bytes = Some(bytes);
        files.push(file);
    }
    let title = names::title(name);
    let source = files.first().map(|file| file.source.clone()).unwrap_or_default();
    Ok(Record::new(names::id("import-", &title, &source), TransferKind::Import, title, files))
}
