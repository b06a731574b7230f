//! Bringing a model up: start a worker, choose the device, load.

use std::ffi::OsString;
use std::path::PathBuf;

use tokio::sync::watch;
use workly_core::device::{Device, DeviceWish, choose_gpu};
use workly_core::model::{ContextSize, KvType, ModelInfo};
use workly_core::policy::{self, Config};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::{CpuThreads, OverrideSetting, Settings, Standby};
use workly_core::thresholds::Thresholds;
use workly_core::wire::ModelSnapshot;
use workly_engine::protocol::{Command, LoadRequest, Reply};
use workly_engine::worker::{CallEvent, Patience, Worker, WorkerProgram};

use crate::cpu::default_threads;

/// Layers that mean all of them.
const ALL_LAYERS: u32 = 9_999;
/// Layers of the balanced profile until a layer plan is known: the seed's figure.
const BALANCED_LAYERS: u32 = 35;

/// Which model to run, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSettings {
    /// The GGUF file.
    pub path: PathBuf,
    /// The profile to run in.
    pub profile: ProfileChoice,
    /// Whether Workly may switch by itself.
    pub auto_switching: bool,
    /// Whether a CPU worker is kept ready while the model is on the GPU.
    pub standby: Standby,
    /// The thresholds, validated.
    pub thresholds: Thresholds,
    /// Most layers of `balanced`.
    pub balanced_gpu_layers: u32,
    /// What the user asked for, for a while.
    pub override_: Option<OverrideSetting>,
    /// Layers on the GPU in the GPU profiles, in place of what the profile would take.
    pub gpu_layers: Option<u32>,
    /// The GPU to take.
    pub gpu: DeviceWish,
    /// Tokens of context.
    pub context: ContextSize,
    /// CPU threads; `None`: one for each physical core.
    pub threads: Option<u32>,
}

impl ModelSettings {
    /// A model with Workly's defaults.
    ///
    /// Where the user limited the GPUs that a backend may show (`GGML_VK_VISIBLE_DEVICES`), those that are left are
    /// taken whatever their kind.
    pub fn new(path: PathBuf) -> Self {
        let limited = std::env::var_os("GGML_VK_VISIBLE_DEVICES").is_some();
        Self {
            path,
            profile: ProfileChoice::Auto,
            auto_switching: true,
            standby: Standby::Auto,
            thresholds: Thresholds::default(),
            balanced_gpu_layers: 35,
            override_: None,
            gpu_layers: None,
            gpu: if limited { DeviceWish::AnyVisible } else { DeviceWish::Auto },
            context: ContextSize::default(),
            threads: None,
        }
    }

    /// Takes over what the settings say of where the model runs; the model's file stays as it is.
    #[must_use]
    pub fn with(mut self, settings: &Settings) -> Self {
        let ai = &settings.ai;
        self.profile = ai.gpu_profile;
        self.auto_switching = ai.auto_switching_enabled;
        self.standby = ai.standby;
        self.thresholds = settings.gpu_monitoring.thresholds;
        self.balanced_gpu_layers = ai.balanced_gpu_layers;
        self.override_ = settings.override_;
        if !ai.gpu_device.eq_ignore_ascii_case("auto") {
            self.gpu = DeviceWish::Named(ai.gpu_device.clone());
        }
        self.context = ContextSize::UpTo(ai.context_tokens);
        self.threads = match ai.cpu_threads {
            CpuThreads::Auto => None,
            CpuThreads::Count(count) => Some(count),
        };
        self
    }
}

/// A worker with a loaded model.
pub(crate) struct Running {
    pub(crate) worker: Worker,
    pub(crate) model: ModelInfo,
    pub(crate) profile: Profile,
    /// What the user should know although it works.
    pub(crate) notice: Option<String>,
}

/// Brings a model up, in a lower profile than asked for where there is no GPU or not enough memory on it.
///
/// Dropping the future ends what was started.
pub(crate) async fn bring_up(
    program: PathBuf,
    patience: Patience,
    settings: ModelSettings,
    snapshot: watch::Sender<ModelSnapshot>,
) -> Result<Running, Problem> {
    let start =
        async |backends: &str| Worker::start(&worker(&program, backends), patience).await.map_err(|end| end.problem());
    let mut notice = None;
    if wants_gpu(&settings) {
        let attempt = match start("all").await {
            Ok(worker) => on_gpu(worker, &settings, &snapshot).await,
            // A driver may bring the worker down as soon as it is loaded.
            Err(problem) => Err(Refusal::OnCpu(Some(format!("The GPU cannot be used. {}", problem.message)))),
        };
        match attempt {
            Ok(running) => return Ok(running),
            Err(Refusal::Problem(problem)) => return Err(problem),
            Err(Refusal::OnCpu(why)) => notice = why,
        }
    }
    let worker = start("cpu").await?;
    snapshot.send_modify(|snapshot| snapshot.profile = Some(Profile::CpuFallback));
    let model = load(&worker, request(&settings, 0, None), &snapshot).await?;
    Ok(Running { worker, model, profile: Profile::CpuFallback, notice })
}

/// Why a GPU profile was not taken.
enum Refusal {
    /// The CPU takes over; the text is for the user, where it is not what was asked for.
    OnCpu(Option<String>),
    /// The CPU would fail as well.
    Problem(Problem),
}

fn wants_gpu(settings: &ModelSettings) -> bool {
    settings.profile != ProfileChoice::Fixed(Profile::CpuFallback) && settings.gpu_layers != Some(0)
}

async fn on_gpu(
    worker: Worker,
    settings: &ModelSettings,
    snapshot: &watch::Sender<ModelSnapshot>,
) -> Result<Running, Refusal> {
    let devices = match worker.call(Command::Devices).last().await {
        Ok(Reply::Devices { devices }) => devices,
        Ok(other) => return Err(Refusal::Problem(unexpected(&other))),
        // A driver that brings a worker down while it is asked for its devices is no driver to use.
        Err(end) => return Err(Refusal::OnCpu(Some(format!("The GPU cannot be used. {}", end.message)))),
    };
    let gpu = choose_gpu(&devices, &settings.gpu);
    let config = Config { choice: settings.profile, ..Config::default() };
    let profile = policy::start(gpu.map(Device::reading).as_ref(), None, &config);
    let Some(gpu) = gpu.filter(|_| profile.uses_gpu()) else {
        let is_fixed = settings.profile != ProfileChoice::Auto;
        let wanted = settings.profile;
        let why = format!("No GPU that can be used was found: the model runs on the CPU instead of in {wanted}.");
        return Err(Refusal::OnCpu(is_fixed.then_some(why)));
    };
    let layers = settings.gpu_layers.unwrap_or(match profile {
        Profile::Performance => ALL_LAYERS,
        Profile::Balanced | Profile::CpuFallback => BALANCED_LAYERS,
    });
    snapshot.send_modify(|snapshot| snapshot.profile = Some(profile));
    match load(&worker, request(settings, layers, Some(gpu.name.clone())), snapshot).await {
        Ok(model) => Ok(Running { worker, model, profile, notice: None }),
        Err(problem) if is_about_the_gpu(problem.code) => {
            let why = format!("{} would not hold the model: it runs on the CPU.", gpu.description);
            tracing::warn!(code = ?problem.code, message = problem.message, "GPU load failed");
            Err(Refusal::OnCpu(Some(why)))
        }
        Err(problem) => Err(Refusal::Problem(problem)),
    }
}

/// Whether the same file may well load on the CPU.
const fn is_about_the_gpu(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::OutOfMemory | ProblemCode::ContextTooLarge | ProblemCode::WorkerCrashed)
}

/// How a worker with these backends is started.
pub(crate) fn worker(program: &std::path::Path, backends: &str) -> WorkerProgram {
    let arguments = ["worker", "--backends", backends, "--parent", &std::process::id().to_string()];
    WorkerProgram {
        program: program.to_path_buf(),
        arguments: arguments.iter().map(OsString::from).collect(),
        // A debugger that ggml starts on an abort holds the dead worker, and its GPU memory, for a second.
        environment: vec![("GGML_NO_BACKTRACE".into(), "1".into())],
    }
}

fn request(settings: &ModelSettings, gpu_layers: u32, device: Option<String>) -> LoadRequest {
    LoadRequest {
        path: settings.path.clone(),
        gpu_layers,
        device,
        context: settings.context,
        threads: settings.threads.unwrap_or_else(default_threads),
        kv_type: KvType::default(),
    }
}

async fn load(
    worker: &Worker,
    request: LoadRequest,
    snapshot: &watch::Sender<ModelSnapshot>,
) -> Result<ModelInfo, Problem> {
    let mut call = worker.call(Command::Load(request));
    loop {
        match call.next().await {
            CallEvent::Reply(Reply::LoadProgress { fraction }) => {
                snapshot.send_modify(|snapshot| snapshot.load_fraction = Some(fraction));
            }
            CallEvent::Reply(Reply::Loaded(model)) => return Ok(model),
            CallEvent::Reply(Reply::Failed(problem)) => return Err(problem),
            CallEvent::Reply(reply) if reply.is_final() => return Err(unexpected(&reply)),
            CallEvent::Ended(end) => return Err(end.problem()),
            CallEvent::Reply(_) | CallEvent::Silent | CallEvent::Resumed => {}
        }
    }
}

pub(crate) fn unexpected(reply: &Reply) -> Problem {
    Problem::new(
        ProblemCode::Protocol,
        "The model process answered something else than it was asked. Reinstall Workly.",
    )
    .with_details(format!("{reply:?}"))
}
