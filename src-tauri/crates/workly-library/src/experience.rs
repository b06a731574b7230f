//! What Workly has learned of models on devices, remembered in files: what they take, how far predictions were off, how
//! often their workers crashed, and whether a load was under way when everything stopped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest;
use serde::{Deserialize, Serialize};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use workly_core::device::Device;
use workly_core::layer_plan::FootprintTable;
use workly_core::model::{ContextSize, KvType};
use workly_core::profile::Profile;
use workly_files::whole_file;
use workly_gguf::open_regular;

/// The file in Workly's data folder.
const FILE: &str = "footprints.json";
/// The folder of markers of loads under way, one file for each process.
const LOADING: &str = "loading";
/// Entries that are remembered; the oldest give way.
const REMEMBERED: usize = 128;
/// The backend of entries that hold for the CPU.
const CPU: &str = "CPU";
/// Bytes at a model file's start that tell it from others of its size and time.
const HEADER_BYTES: u64 = 1 << 20;

/// Held while the file is changed.
static CHANGING: Mutex<()> = Mutex::new(());

/// Where it is remembered. The functions read and write files: not for an async task's own thread.
#[derive(Debug, Clone)]
pub struct Experience {
    folder: Option<PathBuf>,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    model: ModelFile,
    context: ContextSize,
    kv_type: KvType,
    backend: String,
    device: String,
    pci_address: Option<String>,
}

/// A model file, told from others without reading all of its gigabytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    bytes: u64,
    modified_ms: u64,
    header_hash: u64,
}

/// What is known of a model on a device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// What it would take.
    pub footprints: Option<FootprintTable>,
    /// Measured by predicted footprint.
    pub correction: Option<f64>,
    /// When its workers crashed on the device, milliseconds since 1970.
    pub crashes_unix_ms: Vec<u64>,
    /// It crashed too often: it stays on the CPU until the user chooses a GPU profile again.
    pub cpu_only: bool,
    /// Tokens per second in each profile, of late.
    pub tokens_per_second: BTreeMap<Profile, f64>,
}

impl Known {
    /// An answer was written wholly in this profile. Older ones count less and less.
    pub fn wrote(&mut self, profile: Profile, tokens_per_second: f64) {
        let speed = self.tokens_per_second.entry(profile).or_insert(tokens_per_second);
        *speed = f64::midpoint(*speed, tokens_per_second);
    }
}

/// A card, as far as it is told apart from others.
#[derive(Debug, Clone, Copy)]
pub struct OnCard<'a> {
    /// Its name.
    pub name: &'a str,
    /// PCI address, where it is known.
    pub pci_address: Option<&'a str>,
}

/// Everything that is remembered at one moment.
#[derive(Debug, Default)]
pub struct Learned {
    entries: Vec<(Key, Known)>,
}

/// What is remembered of a model, for one card and the CPU.
#[derive(Debug, Default)]
pub struct OfModel {
    /// What it would take of the card.
    pub footprints: Option<FootprintTable>,
    /// Measured by predicted footprint.
    pub correction: Option<f64>,
    /// Tokens per second, in the order of [`Profile::ALL`].
    pub speeds: [Option<f64>; 3],
}

impl Learned {
    /// What is remembered of a model, set up so, on this card and on the CPU; the newest entry counts.
    pub fn of_model(&self, model: &ModelFile, context: ContextSize, kv_type: KvType, card: Option<OnCard>) -> OfModel {
        let fits = |key: &Key| key.model == *model && key.context == context && key.kv_type == kv_type;
        let newest = |is_it: &dyn Fn(&Key) -> bool| {
            self.entries.iter().rev().find(|(key, _)| fits(key) && is_it(key)).map(|(_, known)| known)
        };
        let on_card = card.and_then(|card| newest(&|key| key.is_on(card)));
        let on_cpu = newest(&|key| key.backend == CPU);
        let speed = |profile: Profile| {
            let known = if profile.uses_gpu() { on_card } else { on_cpu };
            known.and_then(|known| known.tokens_per_second.get(&profile)).copied()
        };
        OfModel {
            footprints: on_card.and_then(|known| known.footprints.clone()),
            correction: on_card.and_then(|known| known.correction),
            speeds: Profile::ALL.map(speed),
        }
    }
}

/// The file's content. One written by another version of Workly, which may place layers differently, is not used.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    version: String,
    entries: Vec<(Key, Known)>,
}

/// A load under way, as its marker tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Loading {
    model: ModelFile,
    profile: Profile,
}

/// The marker of a load under way, gone when this is dropped. One that is found without its process is of a load that
/// never ended: the machine froze, or somebody ended Workly because it looked so.
#[derive(Debug)]
pub struct LoadMarker(PathBuf);

impl Drop for LoadMarker {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, "the marker of a load stays");
        }
    }
}

impl Experience {
    /// Remembers in this folder; `None`: nowhere.
    pub fn new(data_dir: Option<&Path>) -> Self {
        Self { folder: data_dir.map(Path::to_path_buf) }
    }

    /// What is known; nothing where the file is missing, damaged or of another version.
    pub fn of(&self, key: &Key) -> Known {
        let Some(file) = self.file() else { return Known::default() };
        let entries = Remembered::read(&file).entries;
        entries.into_iter().find(|(known, _)| known == key).map(|(_, known)| known).unwrap_or_default()
    }

    /// Everything that is known at this moment.
    pub fn learned(&self) -> Learned {
        let entries = self.file().map(|file| Remembered::read(&file).entries);
        Learned { entries: entries.unwrap_or_default() }
    }

    /// Changes what is known. A file that cannot be written is only noted.
    pub fn change(&self, key: &Key, change: impl FnOnce(&mut Known)) {
        let Some(file) = self.file() else { return };
        // Two changes of this process at once must not undo each other.
        let _alone = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = update(&file, key, change) {
            tracing::warn!(%error, "what was learned is not remembered");
        }
    }

    /// Marks a load as under way.
    pub fn mark_load(&self, model: &Path, profile: Profile) -> Option<LoadMarker> {
        let folder = self.folder.as_ref()?.join(LOADING);
        let file = folder.join(format!("{}.json", std::process::id()));
        let write = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            let marker = Loading { model: ModelFile::read(model)?, profile };
            whole_file::write(&file, &serde_json::to_vec(&marker)?)
        };
        match write() {
            Ok(()) => Some(LoadMarker(file)),
            Err(error) => {
                tracing::warn!(%error, "the load is not marked");
                None
            }
        }
    }

    /// The lowest profile in which a load of this model never ended, if there is one. It is told once.
    pub fn take_unfinished_load(&self, model: &Path) -> Option<Profile> {
        let (folder, model) = (self.folder.as_ref()?.join(LOADING), ModelFile::read(model).ok()?);
        let mut lowest: Option<Profile> = None;
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            let owner = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if owner.is_none_or(is_workly) {
                continue;
            }
            let marker = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Loading>(&bytes).ok());
            match marker {
                Some(marker) if marker.model == model => {
                    lowest = Some(lowest.map_or(marker.profile, |lowest| lowest.min(marker.profile)));
                }
                // Of another model, which may come up later.
                Some(_) => continue,
                None => {}
            }
            let _ = fs::remove_file(path);
        }
        lowest
    }

    fn file(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(FILE))
    }
}

/// Whether a process of that number runs and is one of ours.
fn is_workly(process_id: u32) -> bool {
    let id = Pid::from_u32(process_id);
    let Ok(mut system) = System::new() else { return false };
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), true, ProcessRefreshKind::nothing());
    system.process(id).is_some_and(|process| process.name().to_string_lossy().contains("workly"))
}

impl Key {
    /// The key of a model, as it would be loaded, on a device.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn new(model: &Path, context: ContextSize, kv_type: KvType, device: &Device) -> io::Result<Self> {
        Ok(Self {
            model: ModelFile::read(model)?,
            context,
            kv_type,
            backend: device.backend.clone(),
            device: device.description.clone(),
            pci_address: device.pci_address.clone(),
        })
    }
}

impl Key {
    /// The key of a model on the CPU, whatever cards there are.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn on_cpu(model: &Path, context: ContextSize, kv_type: KvType) -> io::Result<Self> {
        let model = ModelFile::read(model)?;
        Ok(Self { model, context, kv_type, backend: CPU.into(), device: String::new(), pci_address: None })
    }

    fn is_on(&self, card: OnCard) -> bool {
        match (self.pci_address.as_deref(), card.pci_address) {
            (Some(known), Some(card)) => known.eq_ignore_ascii_case(card),
            _ => self.backend != CPU && self.device == card.name,
        }
    }
}

impl ModelFile {
    /// What tells a file apart.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = open_regular(path)?;
        let metadata = file.metadata()?;
        let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut header = Vec::new();
        file.take(HEADER_BYTES).read_to_end(&mut header)?;
        Ok(Self { bytes: metadata.len(), modified_ms: since.as_millis() as u64, header_hash: hash(&header) })
    }
}

/// The beginning of a SHA-256: it is kept in files, so every version of Workly must get the same.
fn hash(bytes: &[u8]) -> u64 {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

impl Remembered {
    fn read(file: &Path) -> Self {
        let read = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        read.filter(|read| read.version == env!("CARGO_PKG_VERSION")).unwrap_or_default()
    }
}

/// Changes an entry of the file, which is whole at every moment.
fn update(file: &Path, key: &Key, change: impl FnOnce(&mut Known)) -> io::Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let mut remembered = Remembered::read(file);
    env!("CARGO_PKG_VERSION").clone_into(&mut remembered.version);
    let at = remembered.entries.iter().position(|(known, _)| known == key);
    let mut entry = at.map_or_else(|| (key.clone(), Known::default()), |at| remembered.entries.remove(at));
    change(&mut entry.1);
    remembered.entries.push(entry);
    let surplus = remembered.entries.len().saturating_sub(REMEMBERED);
    remembered.entries.drain(..surplus);
    whole_file::write(file, &serde_json::to_vec(&remembered)?)
}

/// Milliseconds since 1970.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use workly_core::layer_plan::Footprint;

    use super::*;

    fn key(bytes: u64) -> Key {
        Key {
            model: ModelFile { bytes, modified_ms: 1, header_hash: u64::MAX },
            context: ContextSize::UpTo(4096),
            kv_type: KvType::F16,
            backend: "Vulkan".into(),
            device: "NVIDIA GeForce RTX 4050".into(),
            pci_address: Some("0000:01:00.0".into()),
        }
    }

    fn table(weights: u64) -> FootprintTable {
        let by_layers = vec![Footprint::default(), Footprint { weights, ..Footprint::default() }];
        FootprintTable { context_tokens: 2048, by_layers }
    }

    #[test]
    fn what_is_learned_is_found_again_and_each_part_changes_alone() {
        let folder = tempfile::tempdir().unwrap();
        let experience = Experience::new(Some(&folder.path().join("new folder")));
        for (bytes, weights) in [(1, 10), (2, 20), (1, 11)] {
            experience.change(&key(bytes), |known| known.footprints = Some(table(weights)));
        }
        experience.change(&key(1), |known| known.correction = Some(1.1));
        let known = experience.of(&key(1));
        assert_eq!((known.footprints, known.correction, known.cpu_only), (Some(table(11)), Some(1.1), false));
        assert_eq!(experience.of(&key(2)).footprints, Some(table(20)));
        let other = Key { kv_type: KvType::Q8_0, ..key(1) };
        assert_eq!(experience.of(&other), Known::default());
        assert_eq!(fs::read_dir(folder.path().join("new folder")).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn speeds_are_remembered_by_profile_and_the_cpus_hold_for_every_card() {
        let folder = tempfile::tempdir().unwrap();
        let experience = Experience::new(Some(folder.path()));
        let on_cpu = Key { backend: CPU.into(), device: String::new(), pci_address: None, ..key(1) };
        experience.change(&key(1), |known| {
            known.wrote(Profile::Performance, 40.0);
            known.wrote(Profile::Performance, 60.0);
            known.footprints = Some(table(10));
        });
        experience.change(&on_cpu, |known| known.wrote(Profile::CpuFallback, 9.0));
        let learned = experience.learned();
        let model = |bytes| ModelFile { bytes, modified_ms: 1, header_hash: u64::MAX };
        let of = |bytes, card| learned.of_model(&model(bytes), ContextSize::UpTo(4096), KvType::F16, card);
        let named = OnCard { name: "NVIDIA GeForce RTX 4050", pci_address: None };
        let there = OnCard { name: "another name", pci_address: Some("0000:01:00.0") };
        for card in [named, there] {
            let known = of(1, Some(card));
            assert_eq!((known.speeds, known.footprints), ([Some(50.0), None, Some(9.0)], Some(table(10))));
        }
        let elsewhere = OnCard { pci_address: Some("0000:02:00.0"), ..named };
        for card in [None, Some(elsewhere)] {
            let known = of(1, card);
            assert_eq!((known.speeds, known.footprints), ([None, None, Some(9.0)], None));
        }
        assert_eq!(of(2, Some(named)).speeds, [None; 3]);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_place_of_a_model_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("m.gguf");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (done, read) = std::sync::mpsc::channel();
        let _reader = std::thread::spawn(move || done.send(ModelFile::read(&pipe).map_err(|error| error.kind())));
        let read = read.recv_timeout(std::time::Duration::from_mins(1));
        assert_eq!(read.unwrap().unwrap_err(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_tells_a_file_apart_is_the_same_in_every_version() {
        // The first digits of the SHA-256 of "abc", as FIPS 180-4 gives it.
        assert_eq!(hash(b"abc"), 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn the_oldest_give_way() {
        let folder = tempfile::tempdir().unwrap();
        let experience = Experience::new(Some(folder.path()));
        (0..=REMEMBERED as u64).for_each(|bytes| experience.change(&key(bytes), |known| known.cpu_only = true));
        assert!(!experience.of(&key(0)).cpu_only);
        assert!(experience.of(&key(1)).cpu_only);
    }

    #[test]
    fn a_file_that_is_damaged_or_of_another_version_counts_as_empty_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let experience = Experience::new(Some(folder.path()));
        for content in ["", "{\"version\":\"0.0.0\",\"entries\":[]}", "{\"version\":1"] {
            fs::write(folder.path().join(FILE), content).unwrap();
            assert_eq!(experience.of(&key(1)), Known::default(), "{content}");
            experience.change(&key(1), |known| known.cpu_only = true);
            assert!(experience.of(&key(1)).cpu_only);
        }
    }

    #[test]
    fn a_model_file_that_changes_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        fs::write(&path, "GGUF one").unwrap();
        let first = ModelFile::read(&path).unwrap();
        assert_eq!(ModelFile::read(&path).unwrap(), first);
        fs::write(&path, "GGUF two").unwrap();
        assert_ne!(ModelFile::read(&path).unwrap().header_hash, first.header_hash);
        assert!(ModelFile::read(folder.path().join("none").as_path()).is_err());
    }

    #[test]
    fn a_load_that_never_ended_is_told_once_and_one_that_ended_never() {
        let folder = tempfile::tempdir().unwrap();
        let experience = Experience::new(Some(folder.path()));
        let (model, other) = (folder.path().join("m.gguf"), folder.path().join("o.gguf"));
        fs::write(&model, "GGUF").unwrap();
        fs::write(&other, "GGUF other").unwrap();
        drop(experience.mark_load(&model, Profile::Performance));
        assert_eq!(experience.take_unfinished_load(&model), None);
        let marker = experience.mark_load(&model, Profile::Performance).unwrap();
        assert_eq!(experience.take_unfinished_load(&model), None, "its process runs");
        // A process number that cannot be: the one that loaded is gone.
        fs::rename(&marker.0, marker.0.with_file_name("4294967294.json")).unwrap();
        assert_eq!(experience.take_unfinished_load(&other), None);
        assert_eq!(experience.take_unfinished_load(&model), Some(Profile::Performance));
        assert_eq!(experience.take_unfinished_load(&model), None);
    }
}
