//! What models take of the GPU: asked of a worker once, then remembered in a file.
//!
//! Not here: how many layers follow from it (`workly_core::layer_plan`), and when to plan.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use workly_core::device::{Device, choose_gpu};
use workly_core::layer_plan::FootprintTable;
use workly_core::model::{ContextSize, KvType};
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::protocol::{Command, FootprintRequest, Reply};
use workly_engine::worker::{Patience, Worker};

use crate::bring_up::{self, ModelSettings, unexpected};

/// The file in Workly's data folder.
const FILE: &str = "footprints.json";
/// Footprints that are remembered; the oldest give way.
const REMEMBERED: usize = 64;
/// Bytes at a model file's start that tell it from others of its size and time.
const HEADER_BYTES: u64 = 1 << 20;
/// Limits a Vulkan worker to the first device there is, software included.
const VULKAN_DEVICES: &str = "GGML_VK_VISIBLE_DEVICES";

/// Footprints asked for earlier.
#[derive(Debug, Clone)]
pub struct Footprints {
    file: Option<PathBuf>,
}

/// A model sized up for a device.
#[derive(Debug, Clone)]
pub struct SizedUp {
    /// The device that would take its layers.
    pub device: Device,
    /// All devices the worker offers.
    pub devices: Vec<Device>,
    /// What the model would take.
    pub footprints: FootprintTable,
}

/// What footprints depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    model: ModelFile,
    context: ContextSize,
    kv_type: KvType,
    backend: String,
    device: String,
    pci_address: Option<String>,
}

/// A model file, told from others without reading all of its gigabytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ModelFile {
    bytes: u64,
    modified_ms: u64,
    header_hash: u64,
}

/// The file's content. One written by another version of Workly, which may place layers differently, is not used.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    version: String,
    entries: Vec<(Key, FootprintTable)>,
}

impl Footprints {
    /// Remembers in this folder; `None`: nowhere.
    pub fn new(data_dir: Option<&Path>) -> Self {
        Self { file: data_dir.map(|folder| folder.join(FILE)) }
    }

    /// The footprints of a model on a device, from what is remembered or from this worker, which must have loaded the
    /// GPU backends and is busy for a moment.
    ///
    /// # Errors
    ///
    /// Why the model cannot be sized up: as when it is loaded.
    pub async fn of(
        &self,
        worker: &Worker,
        device: &Device,
        settings: &ModelSettings,
    ) -> Result<FootprintTable, Problem> {
        let request = FootprintRequest {
            path: settings.path.clone(),
            device: device.name.clone(),
            context: settings.context,
            kv_type: KvType::default(),
        };
        let (file, described, asked) = (self.file.clone(), device.clone(), request.clone());
        let look = move || {
            let key = Key::new(&asked, &described).ok()?;
            let found = file.and_then(|file| Remembered::read(&file).find(&key));
            Some((key, found))
        };
        // A file that cannot be read is the worker's to explain.
        let (key, found) = tokio::task::spawn_blocking(look).await.ok().flatten().unzip();
        if let Some(table) = found.flatten() {
            return Ok(table);
        }
        let table = match worker.call(Command::Footprint(request)).last().await {
            Ok(Reply::Footprints(table)) => table,
            Ok(Reply::Failed(problem)) => return Err(problem),
            Ok(other) => return Err(unexpected(&other)),
            Err(end) => return Err(gave_up(end.problem())),
        };
        if let (Some(file), Some(key)) = (self.file.clone(), key) {
            let told = table.clone();
            let written = tokio::task::spawn_blocking(move || remember(&file, key, told)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "footprints are not remembered");
            }
        }
        Ok(table)
    }
}

/// Sizes a model up with a worker of its own, for the GPU that the settings choose.
///
/// `any_gpu`: where they choose none, take whatever GPU there is, even one computed in software: nothing is placed on
/// it.
///
/// # Errors
///
/// Why the model cannot be sized up; with [`ProblemCode::LoadFailed`], that there is no GPU.
pub async fn size_up(
    program: &Path,
    settings: &ModelSettings,
    remembered: &Footprints,
    any_gpu: bool,
) -> Result<SizedUp, Problem> {
    let (mut worker, mut devices) = gpu_worker(program, false).await?;
    let mut device = choose_gpu(&devices, &settings.gpu).cloned();
    if device.is_none() && any_gpu {
        if !devices.iter().any(Device::is_gpu) && std::env::var_os(VULKAN_DEVICES).is_none() {
            (worker, devices) = gpu_worker(program, true).await?;
        }
        device = devices.iter().find(|device| device.is_gpu()).cloned();
    }
    let Some(device) = device else { return Err(Problem::new(ProblemCode::LoadFailed, no_gpu(any_gpu))) };
    let footprints = remembered.of(&worker, &device, settings).await?;
    worker.stop().await;
    Ok(SizedUp { device, devices, footprints })
}

fn no_gpu(any_gpu: bool) -> &'static str {
    if any_gpu {
        "No GPU driver that Workly can ask was found. Install the Vulkan driver of your card, or Mesa's software one."
    } else {
        "No GPU that can be used was found, so there is no card to plan for. Give the size of one with \
         --vram-total-mib, or install your card's driver."
    }
}

/// llama.cpp ends the process over a cache that the device cannot hold in one piece, as it would when loading.
fn gave_up(problem: Problem) -> Problem {
    if problem.code != ProblemCode::WorkerCrashed {
        return problem;
    }
    let message = "The model process came down while it sized the model up. Choose a smaller context; if that does not \
                   help, fetch the model again.";
    Problem { message: message.into(), ..problem }
}

/// A worker with the GPU backends, and its devices; `software`: those computed in software as well.
async fn gpu_worker(program: &Path, software: bool) -> Result<(Worker, Vec<Device>), Problem> {
    let mut program = bring_up::worker(program, "all");
    if software {
        program.environment.push((VULKAN_DEVICES.into(), "0".into()));
    }
    let worker = Worker::start(&program, Patience::default()).await.map_err(|end| end.problem())?;
    match worker.call(Command::Devices).last().await {
        Ok(Reply::Devices { devices }) => Ok((worker, devices)),
        Ok(other) => Err(unexpected(&other)),
        Err(end) => Err(end.problem()),
    }
}

impl Key {
    fn new(request: &FootprintRequest, device: &Device) -> io::Result<Self> {
        Ok(Self {
            model: ModelFile::read(&request.path)?,
            context: request.context,
            kv_type: request.kv_type,
            backend: device.backend.clone(),
            device: device.description.clone(),
            pci_address: device.pci_address.clone(),
        })
    }
}

impl ModelFile {
    fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut header = Vec::new();
        file.take(HEADER_BYTES).read_to_end(&mut header)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&header);
        Ok(Self { bytes: metadata.len(), modified_ms: since.as_millis() as u64, header_hash: hasher.finish() })
    }
}

impl Remembered {
    /// Reads the file; one that is missing, damaged or of another version is empty.
    fn read(file: &Path) -> Self {
        let read = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        read.filter(|read| read.version == env!("CARGO_PKG_VERSION")).unwrap_or_default()
    }

    fn find(self, key: &Key) -> Option<FootprintTable> {
        self.entries.into_iter().find(|(known, _)| known == key).map(|(_, table)| table)
    }
}

/// Adds to the file, which is whole at every moment.
fn remember(file: &Path, key: Key, table: FootprintTable) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut remembered = Remembered::read(file);
    env!("CARGO_PKG_VERSION").clone_into(&mut remembered.version);
    remembered.entries.retain(|(known, _)| *known != key);
    remembered.entries.push((key, table));
    let surplus = remembered.entries.len().saturating_sub(REMEMBERED);
    remembered.entries.drain(..surplus);
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(&serde_json::to_vec(&remembered)?)?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(())
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
    fn what_is_remembered_is_found_again_and_the_latest_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new folder").join(FILE);
        for (bytes, weights) in [(1, 10), (2, 20), (1, 11)] {
            remember(&file, key(bytes), table(weights)).unwrap();
        }
        assert_eq!(Remembered::read(&file).find(&key(1)), Some(table(11)));
        assert_eq!(Remembered::read(&file).find(&key(2)), Some(table(20)));
        let other = Key { kv_type: KvType::Q8_0, ..key(1) };
        assert_eq!(Remembered::read(&file).find(&other), None);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn the_oldest_give_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        (0..=REMEMBERED as u64).for_each(|bytes| remember(&file, key(bytes), table(bytes)).unwrap());
        assert_eq!(Remembered::read(&file).entries.len(), REMEMBERED);
        assert_eq!(Remembered::read(&file).find(&key(0)), None);
    }

    #[test]
    fn a_file_that_is_damaged_or_of_another_version_counts_as_empty_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        for content in ["", "{\"version\":\"0.0.0\",\"entries\":[]}", "{\"version\":1"] {
            fs::write(&file, content).unwrap();
            assert_eq!(Remembered::read(&file).entries.len(), 0, "{content}");
            remember(&file, key(1), table(10)).unwrap();
            assert_eq!(Remembered::read(&file).find(&key(1)), Some(table(10)));
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
}
