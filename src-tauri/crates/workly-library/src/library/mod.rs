//! The model library: the models on this machine, what they are, and how they fit.
//!
//! One thread owns it; everyone else sends it commands and watches its snapshot. Models lie in Workly's own folder, in
//! folders that the user added, with Workly itself, and where other programs keep theirs, which are used in place and
//! never changed. Headers are read in Rust (`workly-gguf`), never by llama.cpp: a hostile file gets a sentence.
//!
//! Not here: bringing models in (transfers), and which model is chosen (the settings).

mod apps;
mod change;
mod facts;
mod index;
mod ollama;
mod owner;
mod scan;
mod schedule;
mod watching;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use tokio::sync::{oneshot, watch};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::settings::Settings;
use workly_wire::models::LibrarySnapshot;

pub use apps::{Place, Surroundings, System};
pub(crate) use change::is_within;
pub use facts::{Inspected, inspect};
pub use index::{CardNow, LibraryPlaces};

use index::{Index, Wishes};
use owner::{Command, Owner};
use watching::Watching;

/// The handle of the library's thread. When the last one is gone the thread ends.
#[derive(Debug, Clone)]
pub struct Library {
    thread: Arc<Thread>,
    snapshot: watch::Receiver<LibrarySnapshot>,
}

#[derive(Debug)]
struct Thread {
    commands: Sender<Command>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The watch over the folders holds a sender too: the channel alone would not end.
        let _ = self.commands.send(Command::End);
    }
}

/// The library as it is now, searched once. `card`: the card that fits are told for.
pub fn look(
    places: LibraryPlaces,
    settings: &Settings,
    chosen: Option<&Path>,
    card: Option<CardNow>,
) -> LibrarySnapshot {
    let mut index = Index::new(places, Wishes::of(settings, chosen));
    index.card = card;
    index.search();
    index.describe(false)
}

impl Library {
    /// Starts the library; its first search runs at once.
    ///
    /// `chosen`: the file of the model that answers, or will.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(places: LibraryPlaces, settings: &Settings, chosen: Option<&Path>) -> io::Result<Self> {
        let (commands, received) = mpsc::channel();
        let (publish, snapshot) = watch::channel(LibrarySnapshot { is_searching: true, ..LibrarySnapshot::default() });
        let index = Index::new(places, Wishes::of(settings, chosen));
        let told = commands.clone();
        let watching = Watching::start(move || drop(told.send(Command::Changed)));
        let owner = Owner::new(index, received, publish, watching);
        thread::Builder::new().name("library".into()).spawn(move || owner.run())?;
        Ok(Self { thread: Arc::new(Thread { commands }), snapshot })
    }

    /// Watches the library.
    pub fn snapshot(&self) -> watch::Receiver<LibrarySnapshot> {
        self.snapshot.clone()
    }

    fn send(&self, command: Command) {
        // The thread ends with its last handle, and this is one.
        let _ = self.thread.commands.send(command);
    }

    /// Searches all folders again.
    pub fn refresh(&self) {
        self.send(Command::Refresh(None));
    }

    /// Searches all folders again, and returns once the snapshot shows it.
    pub async fn refreshed(&self) {
        let (done, searched) = oneshot::channel();
        self.send(Command::Refresh(Some(done)));
        let _ = searched.await;
    }

    /// Takes changed settings over: folders, context, thresholds. `chosen` as in [`Self::start`].
    pub fn configure(&self, settings: &Settings, chosen: Option<&Path>) {
        self.send(Command::Configure(Box::new(Wishes::of(settings, chosen))));
    }

    /// Tells of the card; small changes of what others take are passed over.
    pub fn set_card(&self, card: Option<CardNow>) {
        self.send(Command::Card(card));
    }

    /// The file of a model by its id; the first one of a split model.
    pub fn path_of(&self, id: &str) -> Option<PathBuf> {
        let shown = self.snapshot.borrow();
        shown.models.iter().find(|model| model.id == id).map(|model| PathBuf::from(&model.path))
    }

    /// Gives a model of Workly's own folder another name. Returns its new id, and the snapshot shows it.
    ///
    /// # Errors
    ///
    /// It lies elsewhere, the name cannot be used or is taken, or the system refuses.
    pub async fn rename(&self, id: &str, name: &str) -> Result<String, Problem> {
        let (done, renamed) = oneshot::channel();
        self.send(Command::Rename { id: id.to_owned(), name: name.to_owned(), done });
        renamed.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Deletes a model of Workly's own folder, all its parts; the snapshot shows it.
    ///
    /// # Errors
    ///
    /// It lies elsewhere, or the system refuses.
    pub async fn delete(&self, id: &str) -> Result<(), Problem> {
        let (done, deleted) = oneshot::channel();
        self.send(Command::Delete { id: id.to_owned(), done });
        deleted.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn ended() -> Problem {
    Problem::new(ProblemCode::Cancelled, "Workly is shutting down.")
}

/// Adds a folder to the library's settings.
///
/// # Errors
///
/// It is no folder that can be searched.
pub fn add_folder(settings: &mut Settings, folder: &Path) -> Result<(), Problem> {
    let refused = |why: String| Problem::new(ProblemCode::FolderUnreadable, why);
    let shown = folder.display();
    let folder = std::path::absolute(folder).map_err(|error| refused(format!("{shown} is no folder: {error}.")))?;
    std::fs::read_dir(&folder)
        .map_err(|error| refused(format!("{shown} cannot be searched: {error}. Choose a folder that you may read.")))?;
    let Some(path) = folder.to_str() else {
        return Err(refused(format!("{shown} has a name that cannot be kept. Rename the folder.")));
    };
    if !settings.library.folders.iter().any(|known| known == path) {
        settings.library.folders.push(path.to_owned());
    }
    Ok(())
}

/// Takes a folder out of the library's settings; nothing in it is touched.
pub fn remove_folder(settings: &mut Settings, folder: &str) {
    settings.library.folders.retain(|known| known != folder);
}

/// What the user should know before this model is loaded with so many layers on the card: that it will not fit in RAM.
/// `None` where it fits, and where its header cannot be read: then loading it says why.
pub fn warn_before_load(
    path: &Path,
    context: workly_core::model::ContextSize,
    kv_type: workly_core::model::KvType,
    gpu_layers: u32,
) -> Option<workly_core::why::Notice> {
    let shape = inspect(path).ok()?.shape;
    let needed = shape.memory(context, kv_type, gpu_layers);
    workly_core::fit::memory_warning(needed, crate::memory::memory_to_be_had())
}
