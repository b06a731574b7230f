//! The library's state: what was found, what its headers say, and how it fits. No thread and no clock in here.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use workly_core::fit::ModelFit;
use workly_core::fit::{BACKEND, Machine, ModelShape, fit};
use workly_core::layer_plan::{Limits, Room};
use workly_core::model::{ContextSize, KvType};
use workly_core::problem::Problem;
use workly_core::settings::Settings;
use workly_wire::models::{LibraryCard, LibraryFolder, LibraryModel, LibrarySnapshot, ModelFacts, ModelSource};

use super::apps::{Place, Surroundings};
use super::change::is_within;
use super::facts::{inspect, is_model};
use super::scan::{Found, Scanned, scan};
use crate::experience::{Experience, Learned, ModelFile, OnCard};
use crate::memory::memory_to_be_had;

/// Steps in which figures that always move are told, bytes: not every change of them is news.
const STEP: u64 = 64 << 20;

/// Where the library looks, beside what the settings say.
#[derive(Debug, Clone)]
pub struct LibraryPlaces {
    /// Workly's data folder; its own models lie in `models` below it. `None`: it has none.
    pub data_dir: Option<PathBuf>,
    /// The model that comes with Workly.
    pub embedded: Option<PathBuf>,
    /// Where other programs look for their folders.
    pub surroundings: Surroundings,
}

/// The card that fits are told for, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardNow {
    /// Its name.
    pub name: String,
    /// PCI address, where it is known.
    pub pci_address: Option<String>,
    /// Bytes of VRAM.
    pub vram_total: u64,
    /// Bytes that other programs take.
    pub vram_external: u64,
}

/// What the settings say that matters here.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wishes {
    folders: Vec<PathBuf>,
    other_apps: bool,
    context: ContextSize,
    kv_type: KvType,
    limits: Limits,
    /// The file of the model that answers, or will.
    chosen: Option<PathBuf>,
}

impl Wishes {
    pub(super) fn of(settings: &Settings, chosen: Option<&Path>) -> Self {
        Self {
            folders: settings.library.folders.iter().map(PathBuf::from).collect(),
            other_apps: settings.library.other_apps,
            context: ContextSize::UpTo(settings.ai.context_tokens),
            kv_type: settings.ai.kv_type,
            limits: Limits {
                thresholds: settings.gpu_monitoring.thresholds,
                balanced_gpu_layers: settings.ai.balanced_gpu_layers,
                correction: 1.0,
            },
            chosen: chosen.map(Path::to_path_buf),
        }
    }

    /// Whether another search is needed after this change.
    pub(super) fn searches_elsewhere(&self, other: &Self) -> bool {
        (&self.folders, self.other_apps) != (&other.folders, other.other_apps)
    }
}

/// What the headers of a model's files say.
#[derive(Debug, Clone)]
struct Readout {
    facts: ModelFacts,
    shape: ModelShape,
    file_bytes: u64,
    parts: Vec<PathBuf>,
    /// What it is remembered by.
    file: Option<ModelFile>,
}

/// A header is read again once a file of the model has changed.
#[derive(Debug, Clone)]
struct Cached {
    stamp: Vec<Option<(u64, SystemTime)>>,
    /// `None`: it is no model to chat with.
    result: Result<Option<Readout>, Problem>,
}

#[derive(Debug)]
struct Entry {
    found: Found,
    is_own: bool,
    file_bytes: u64,
    result: Result<Readout, Problem>,
}

/// All models that were found.
#[derive(Debug)]
pub(super) struct Index {
    places: LibraryPlaces,
    pub(super) wishes: Wishes,
    pub(super) card: Option<CardNow>,
    experience: Experience,
    entries: Vec<Entry>,
    folders: Vec<LibraryFolder>,
    /// Every folder that was looked into.
    pub(super) visited: BTreeSet<PathBuf>,
    cache: HashMap<PathBuf, Cached>,
}

impl Index {
    pub(super) fn new(places: LibraryPlaces, wishes: Wishes) -> Self {
        let experience = Experience::new(places.data_dir.as_deref());
        Self {
            places,
            wishes,
            card: None,
            experience,
            entries: Vec::new(),
            folders: Vec::new(),
            visited: BTreeSet::new(),
            cache: HashMap::new(),
        }
    }

    /// Workly's own folder.
    pub(super) fn own_folder(&self) -> Option<PathBuf> {
        self.places.data_dir.as_ref().map(|folder| folder.join("models"))
    }

    /// Every folder that is searched, in the order in which a file that is in two of them counts.
    pub(super) fn search_places(&self) -> Vec<Place> {
        let own = self.own_folder().map(|folder| Place { source: ModelSource::Workly, folder });
        let added =
            self.wishes.folders.iter().map(|folder| Place { source: ModelSource::Folder, folder: folder.clone() });
        let others = if self.wishes.other_apps { self.places.surroundings.places() } else { Vec::new() };
        own.into_iter().chain(added).chain(others).collect()
    }

    /// Searches all folders, and reads the headers of what is new.
    pub(super) fn search(&mut self) {
        let own = self.own_folder();
        if let Some(own) = &own
            && let Err(error) = fs::create_dir_all(own)
        {
            tracing::warn!(%error, "the folder of models cannot be made");
        }
        let Scanned { found, folders, visited } = scan(self.places.embedded.as_deref(), &self.search_places());
        self.visited = visited;
        let mut before = std::mem::take(&mut self.cache);
        self.entries = Vec::new();
        for found in found {
            let stamp = |parts: &[PathBuf]| parts.iter().map(|part| stamp(part)).collect::<Vec<_>>();
            let cached = before.remove(&found.path).filter(|cached| match &cached.result {
                Ok(Some(readout)) => cached.stamp == stamp(&readout.parts),
                // A problem may lie in another part.
                Ok(None) => cached.stamp == stamp(std::slice::from_ref(&found.path)),
                Err(_) => {
                    workly_gguf::part_of_name(&found.path).is_none()
                        && cached.stamp == stamp(std::slice::from_ref(&found.path))
                }
            });
            let cached = cached.unwrap_or_else(|| {
                let result = read(&found.path);
                let parts = match &result {
                    Ok(Some(readout)) => readout.parts.as_slice(),
                    Ok(None) | Err(_) => std::slice::from_ref(&found.path),
                };
                Cached { stamp: stamp(parts), result }
            });
            let result = match &cached.result {
                Ok(Some(readout)) => Some(Ok(readout.clone())),
                Ok(None) => None,
                Err(problem) => Some(Err(problem.clone())),
            };
            self.cache.insert(found.path.clone(), cached);
            let Some(result) = result else { continue };
            let is_own =
                found.source == ModelSource::Workly && own.as_ref().is_some_and(|own| is_within(own, &found.path));
            let file_bytes = match &result {
                Ok(readout) => readout.file_bytes,
                Err(_) => fs::metadata(&found.path).map_or(0, |data| data.len()),
            };
            self.entries.push(Entry { found, is_own, file_bytes, result });
        }
        self.folders = folders;
        self.count_folders();
    }

    /// Files that turned out to be something else do not count.
    fn count_folders(&mut self) {
        for folder in &mut self.folders {
            let here = |entry: &&Entry| {
                entry.found.source == folder.source
                    && (folder.source == ModelSource::Ollama || entry.found.path.starts_with(&folder.path))
            };
            folder.models = u32::try_from(self.entries.iter().filter(here).count()).unwrap_or(u32::MAX);
        }
    }

    /// Whether a folder has come or gone since the last search: a disk that was plugged in, another program's first model.
    pub(super) fn has_other_places(&self) -> bool {
        let places = self.search_places();
        let is_known = |place: &Place| self.folders.iter().any(|known| Path::new(&known.path) == place.folder);
        let was_there = |place: &Place| self.visited.contains(&place.folder);
        places.len() != self.folders.len()
            || places.iter().any(|place| !is_known(place) || was_there(place) != place.folder.is_dir())
    }

    /// The library as others see it.
    pub(super) fn describe(&self, is_searching: bool) -> LibrarySnapshot {
        let learned = self.experience.learned();
        let memory = memory_to_be_had().map(|bytes| bytes / STEP * STEP);
        let chosen = self.wishes.chosen.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()));
        let mut models: Vec<LibraryModel> = self
            .entries
            .iter()
            .map(|entry| {
                let path = &entry.found.path;
                let readout = entry.result.as_ref().ok();
                LibraryModel {
                    id: id(path),
                    title: entry.found.title.clone(),
                    path: path.to_string_lossy().into_owned(),
                    file_bytes: entry.file_bytes,
                    source: entry.found.source,
                    is_own: entry.is_own,
                    is_chosen: chosen
                        .as_ref()
                        .is_some_and(|chosen| path.canonicalize().is_ok_and(|real| real == *chosen)),
                    facts: readout.map(|readout| readout.facts.clone()),
                    fit: readout.map(|readout| self.fit(readout, &learned, memory)),
                    problem: entry.result.as_ref().err().cloned(),
                }
            })
            .collect();
        models.sort_by_key(|model| (!model.is_chosen, model.title.to_lowercase(), model.path.clone()));
        let card = self.card.as_ref().map(|card| LibraryCard {
            name: card.name.clone(),
            vram_total: card.vram_total,
            vram_external: card.vram_external,
        });
        LibrarySnapshot { models, folders: self.folders.clone(), card, is_searching }
    }

    fn fit(&self, readout: &Readout, learned: &Learned, memory_available: Option<u64>) -> ModelFit {
        let (context, kv_type) = (self.wishes.context, self.wishes.kv_type);
        let card = self.card.as_ref();
        let of_card = card.map(|card| OnCard { name: &card.name, pci_address: card.pci_address.as_deref() });
        let known = readout.file.as_ref().map(|file| learned.of_model(file, context, kv_type, of_card));
        let known = known.unwrap_or_default();
        let estimate = || readout.shape.footprints(context, kv_type, BACKEND);
        let is_exact = known.footprints.is_some();
        let footprints = known.footprints.unwrap_or_else(estimate);
        let machine = Machine {
            room: card.map(|card| Room { total: card.vram_total, external: card.vram_external }),
            limits: Limits { correction: known.correction.unwrap_or(1.0), ..self.wishes.limits },
            memory_available,
            speeds: known.speeds,
        };
        fit(&readout.shape, &footprints, is_exact, kv_type, &machine)
    }

    /// The file of a model by its id.
    pub(super) fn path_of(&self, wanted: &str) -> Option<PathBuf> {
        self.entries.iter().map(|entry| &entry.found.path).find(|path| id(path) == wanted).cloned()
    }
}

/// Stays the same as long as the file does: its path, written so that it fits anywhere.
pub(super) fn id(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let data = fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

fn read(path: &Path) -> Result<Option<Readout>, Problem> {
    let inspected = inspect(path)?;
    if !is_model(&inspected) {
        return Ok(None);
    }
    let file = ModelFile::read(path).ok();
    let (parts, file_bytes) = (inspected.model.parts, inspected.model.file_bytes);
    Ok(Some(Readout { facts: inspected.facts, shape: inspected.shape, file_bytes, parts, file }))
}
