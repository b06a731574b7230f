//! What crosses to the window of models: those on this machine, those that can be fetched, and what comes in.

use serde::{Deserialize, Serialize};
use ts_rs::{Config, TS};

use workly_core::fit::{FitVerdict, ModelFit, ProfileFit};
use workly_core::problem::Problem;

/// Name of the event that carries a [`LibrarySnapshot`] after each change of the library.
pub const LIBRARY_CHANGED: &str = "library-changed";
/// Name of the event that carries every [`Transfer`] in a list while something moves, at most four times a second.
pub const TRANSFERS_CHANGED: &str = "transfers-changed";

/// Name of the event that carries a [`ModelsDragged`] while files are held over the window.
pub const MODELS_DRAGGED: &str = "models-dragged";

/// What the header of a model file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ModelFacts {
    /// Architecture, such as `llama` or `gemma3`.
    pub architecture: String,
    /// The name its maker gave it.
    pub name: Option<String>,
    /// Number of parameters, counted from the tensors.
    #[ts(type = "number")]
    pub parameters: u64,
    /// Quantisation as llama.cpp names it, such as `Q4_K_M`.
    pub quantization: String,
    /// Tokens of context it was trained on.
    pub trained_context_tokens: Option<u32>,
    /// Transformer layers, without the output layer.
    pub layers: u32,
    /// Bytes of all tensors.
    #[ts(type = "number")]
    pub tensor_bytes: u64,
    /// Number of tensors.
    pub tensors: u32,
    /// Whether the file brings a chat template.
    pub has_chat_template: bool,
    /// The licence, as the file names it.
    pub license: Option<String>,
    /// Files it is split into; 1 where it is whole.
    pub parts: u32,
}

/// Where a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// It comes with Workly.
    Embedded,
    /// Workly's own folder: downloaded or imported.
    Workly,
    /// A folder that the user added.
    Folder,
    /// LM Studio's folder.
    LmStudio,
    /// Ollama's blobs.
    Ollama,
    /// Jan's folder.
    Jan,
    /// The Hugging Face cache.
    HuggingFace,
}

/// A model on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LibraryModel {
    /// Stays the same as long as the file does.
    pub id: String,
    /// What to call it.
    pub title: String,
    /// The file; the first one of a split model.
    pub path: String,
    /// Bytes of all its files.
    #[ts(type = "number")]
    pub file_bytes: u64,
    /// Where it was found.
    pub source: ModelSource,
    /// Whether it lies in Workly's own folder, where it may be renamed and deleted.
    pub is_own: bool,
    /// Whether it is the model that answers, or will.
    pub is_chosen: bool,
    /// What its header says; none where it cannot be read.
    pub facts: Option<ModelFacts>,
    /// How it fits; none where its header cannot be read.
    pub fit: Option<ModelFit>,
    /// Why it cannot be used.
    pub problem: Option<Problem>,
}

/// A folder that is searched for models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LibraryFolder {
    /// The folder.
    pub path: String,
    /// Whose it is.
    pub source: ModelSource,
    /// Models found there.
    pub models: u32,
    /// Why it cannot be searched.
    pub problem: Option<Problem>,
}

/// The card that fits are told for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LibraryCard {
    /// Its name.
    pub name: String,
    /// Bytes of VRAM.
    #[ts(type = "number")]
    pub vram_total: u64,
    /// Bytes that other programs take.
    #[ts(type = "number")]
    pub vram_external: u64,
}

/// The library at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
pub struct LibrarySnapshot {
    /// The models, the chosen one first, then by title.
    pub models: Vec<LibraryModel>,
    /// The folders searched.
    pub folders: Vec<LibraryFolder>,
    /// The card; none where this machine has none.
    pub card: Option<LibraryCard>,
    /// Whether folders are being searched.
    pub is_searching: bool,
}

/// A model that can be fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct CatalogueModel {
    /// Its name in the catalogue, as `workly-cli models get` takes it.
    pub id: String,
    /// What to call it.
    pub title: String,
    /// What it is good for, one sentence in English.
    pub summary_en: String,
    /// The same in French.
    pub summary_fr: String,
    /// Number of parameters.
    #[ts(type = "number")]
    pub parameters: u64,
    /// Quantisation, such as `Q4_K_M`.
    pub quantization: String,
    /// Tokens of context it was trained on.
    pub context_tokens: u32,
    /// Bytes to download; none where only the host knows.
    #[ts(type = "number | null")]
    pub size_bytes: Option<u64>,
    /// Licence, as an SPDX name where there is one.
    pub license: String,
    /// Page of its maker.
    pub homepage: String,
    /// File to download.
    pub url: String,
    /// SHA-256 of the file, where it is known for certain.
    pub sha256: Option<String>,
    /// How it would fit, estimated from its size.
    pub fit: Option<ModelFit>,
    /// The model in the library that it is, once it is there.
    pub installed: Option<String>,
}

/// What is being brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// From the net.
    Download,
    /// From a file on this machine.
    Import,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Others come first.
    Queued,
    /// Bytes come in.
    Running,
    /// The connection was lost; it is tried again soon.
    Waiting,
    /// The user paused it, or Workly ended meanwhile.
    Paused,
    /// The whole file is being checked.
    Verifying,
    /// It is in the library.
    Done,
    /// It ended by a fault; it can be tried again.
    Failed,
}

/// Where the expected SHA-256 of a download comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum HashSource {
    /// The catalogue.
    Catalogue,
    /// The host said so when the download began.
    Host,
    /// Nobody: only the file's own consistency is checked.
    None,
}

/// A file on its way into the library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Transfer {
    /// Stays the same until it is dismissed.
    pub id: String,
    /// Download or import.
    pub kind: TransferKind,
    /// What to call it.
    pub title: String,
    /// The catalogue's name of it; none for others.
    pub catalogue_id: Option<String>,
    /// How far it is.
    pub state: TransferState,
    /// Bytes that are here.
    #[ts(type = "number")]
    pub received_bytes: u64,
    /// Bytes in all, once known.
    #[ts(type = "number | null")]
    pub total_bytes: Option<u64>,
    /// Bytes per second over the last seconds.
    pub bytes_per_second: Option<f64>,
    /// Seconds left at that speed.
    pub seconds_left: Option<f64>,
    /// What the file is checked against.
    pub hash: HashSource,
    /// The model it became.
    pub model: Option<String>,
    /// Why it failed, or why it waits.
    pub problem: Option<Problem>,
}

/// How far a drag over the window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum DragPhase {
    /// The files are over the window.
    Over,
    /// They left it.
    Left,
    /// They were let go; those that can be are being imported.
    Dropped,
}

/// Files that are dragged over the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ModelsDragged {
    /// How far the drag is.
    pub phase: DragPhase,
    /// Model files among them.
    pub models: u32,
    /// Why one that was let go is not imported.
    pub problem: Option<Problem>,
}

/// TypeScript declarations of this subject.
pub(crate) fn declarations(config: &Config) -> Vec<String> {
    vec![
        ModelFacts::decl(config),
        ModelSource::decl(config),
        FitVerdict::decl(config),
        ProfileFit::decl(config),
        ModelFit::decl(config),
        LibraryModel::decl(config),
        LibraryFolder::decl(config),
        LibraryCard::decl(config),
        LibrarySnapshot::decl(config),
        CatalogueModel::decl(config),
        TransferKind::decl(config),
        TransferState::decl(config),
        HashSource::decl(config),
        Transfer::decl(config),
        DragPhase::decl(config),
        ModelsDragged::decl(config),
    ]
}
