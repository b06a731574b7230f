//! Bringing a model up: on the CPU, on the GPU with a plan, and for the first time, when the profile is still open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use workly_core::model::ModelInfo;
use workly_core::policy::{self, OverrideKind, ProfilePlan};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::reading::Reading;
use workly_core::why::{Notice, WorkerFault, WorkerFaultKind};
use workly_engine::end::{EndKind, WorkerEnd};
use workly_engine::protocol::{Command, LoadRequest, Reply};
use workly_engine::worker::{CallEvent, Worker};
use workly_gpu::{Sysfs, is_same};
use workly_library::experience::{Experience, unix_ms};
use workly_library::library;

use super::card::{self, Card, Circumstances, UnsizedCard};
use crate::cpu::default_threads;
use crate::launcher::{Backends, Launcher};
use crate::model_settings::ModelSettings;
use crate::monitor::{Activity, Monitor};

/// How long a driver may take to be asked about the card before the model is loaded without its figures.
const DRIVER_PATIENCE: Duration = Duration::from_secs(2);

/// A worker with a loaded model.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) worker: Worker,
    pub(crate) model: ModelInfo,
    pub(crate) profile: Profile,
    /// What it was loaded with.
    pub(crate) plan: ProfilePlan,
}

/// Why a worker holds no model.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It said why.
    Refused(Problem),
    /// It ended.
    Died(WorkerEnd),
}

impl StartError {
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Refused(problem) => problem.clone(),
            Self::Died(end) => end.problem(),
        }
    }

    /// Whether the same file may well load elsewhere, or another time.
    pub(crate) fn is_about_the_place(&self) -> bool {
        match self {
            Self::Died(_) => true,
            Self::Refused(problem) => {
                matches!(
                    problem.code,
                    ProblemCode::OutOfMemory | ProblemCode::ContextTooLarge | ProblemCode::LoadFailed
                )
            }
        }
    }
}

/// How far a load is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Progress {
    /// 0 to 1, once the worker tells.
    pub(crate) fraction: Option<f32>,
    /// The profile that is loaded for.
    pub(crate) profile: Option<Profile>,
    /// What the user should know before the load is done: that there is too little memory.
    pub(crate) warning: Option<Notice>,
}

/// The card sleeps, or is not wanted.
#[derive(Debug, Clone, Copy)]
struct Asleep;

/// What every way of bringing a model up needs.
#[derive(Debug, Clone)]
pub(crate) struct WorkerContext {
    pub(crate) launcher: Launcher,
    pub(crate) settings: ModelSettings,
    pub(crate) experience: Experience,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) progress: watch::Sender<Progress>,
}

/// A model brought up for the first time.
#[derive(Debug)]
pub(crate) struct FirstLoad {
    pub(crate) running: Running,
    pub(crate) card: Option<Card>,
    /// The card before the model was on it.
    pub(crate) before: Option<Reading>,
    /// The highest profile that is tried from now on; a load above it never ended.
    pub(crate) ceiling: Option<Profile>,
    /// What the user should know although it works.
    pub(crate) notices: Vec<Notice>,
    /// Why it is not on the GPU although that was tried.
    pub(crate) fell_back: Option<StartError>,
}

impl WorkerContext {
    /// Brings the model up on the CPU.
    pub(crate) async fn on_cpu(self, threads: u32) -> Result<Running, StartError> {
        let worker = self.launcher.start(Backends::Cpu).await.map_err(StartError::Died)?;
        self.load(worker, Profile::CpuFallback, ProfilePlan::NONE, None, threads).await
    }

    /// Brings the model up on the GPU.
    pub(crate) async fn on_gpu(
        self,
        device: String,
        profile: Profile,
        plan: ProfilePlan,
    ) -> Result<Running, StartError> {
        let worker = self.launcher.start(Backends::Gpu).await.map_err(StartError::Died)?;
        let threads = self.threads();
        self.load(worker, profile, plan, Some(device), threads).await
    }

    /// Brings the model up on a GPU that is not known yet, and tells what became known of it.
    pub(crate) async fn on_unknown_gpu(self, profile: Profile) -> (Result<Running, StartError>, Option<Card>) {
        let sized = card::with_worker(&self.launcher, &self.settings, &self.experience, false, Backends::Gpu).await;
        let (worker, card) = match sized {
            Ok(sized) => sized,
            Err(UnsizedCard::NoGpu) => return (Err(StartError::Refused(no_gpu(profile))), None),
            Err(UnsizedCard::Died(end)) => return (Err(StartError::Died(end)), None),
            Err(UnsizedCard::Refused(problem)) => return (Err(StartError::Refused(problem)), None),
        };
        self.monitor.set_backend_devices(card.devices.clone(), &card.device);
        let correction = card.correction();
        let plans = card.plans(&self.settings, &Circumstances::before_load(&card.device.reading(), correction));
        let plan = plans.of(profile);
        let plan = if plan.layers == 0 && self.settings.gpu_layers.is_some() { plans.performance } else { plan };
        if plan.layers == 0 {
            return (Err(StartError::Refused(no_room(profile))), Some(card));
        }
        let (threads, device) = (self.threads(), card.device.name.clone());
        (self.load(worker, profile, plan, Some(device), threads).await, Some(card))
    }

    /// Finds out what the model takes of the card.
    pub(crate) async fn size_up(self) -> Option<Card> {
        let sized = card::with_worker(&self.launcher, &self.settings, &self.experience, false, Backends::Gpu).await;
        let (worker, card) = sized.inspect_err(|why| tracing::info!(?why, "not sized up")).ok()?;
        worker.stop().await;
        Some(card)
    }

    /// Brings the model up in the best profile there is, in a lower one than asked for where there is no GPU or not
    /// enough memory on it. Dropping the future ends what was started.
    pub(crate) async fn first(self) -> Result<FirstLoad, StartError> {
        let (mut card, mut before, mut notices, mut fell_back) = (None, None, Vec::new(), None);
        self.progress.send_replace(Progress::default());
        let store = self.experience.clone();
        let path = self.settings.path.clone();
        let unfinished = tokio::task::spawn_blocking(move || store.take_unfinished_load(&path)).await.ok().flatten();
        let ceiling = unfinished.map(lower);
        let seen = if self.wants_gpu() { self.look_at_card().await } else { Err(Asleep) };
        if let Ok(reading) = seen {
            match card::with_worker(&self.launcher, &self.settings, &self.experience, false, Backends::Gpu).await {
                Ok((worker, sized)) => {
                    let reading = self.match_card(reading, &sized).await;
                    let (profile, plan, why) = self.choose(&sized, &reading, ceiling);
                    (before, notices) = (Some(reading), why.into_iter().collect());
                    if profile.uses_gpu() {
                        let device = Some(sized.device.name.clone());
                        let warning = self.warn_of_memory(plan.layers).await;
                        match self.clone().load(worker, profile, plan, device, self.threads()).await {
                            Ok(running) => {
                                let card = Some(sized);
                                notices.extend(warning);
                                return Ok(FirstLoad { running, card, before, ceiling, notices, fell_back });
                            }
                            Err(error) if error.is_about_the_place() => {
                                tracing::warn!(problem = ?error.problem(), "the model was not loaded on the GPU");
                                notices = vec![Notice::CardRefused { card: sized.device.description.clone() }];
                                fell_back = Some(error);
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    card = Some(sized);
                }
                Err(UnsizedCard::NoGpu) => notices.extend(self.missing_gpu()),
                // A driver that brings a worker down is no driver to use.
                Err(UnsizedCard::Died(end)) => notices.push(Notice::GpuUnusable { fault: told(&end) }),
                Err(UnsizedCard::Refused(problem)) if StartError::Refused(problem.clone()).is_about_the_place() => {
                    tracing::warn!(?problem, "the model was not sized up");
                }
                Err(UnsizedCard::Refused(problem)) => return Err(StartError::Refused(problem)),
            }
        }
        let threads = self.threads();
        let warning = self.warn_of_memory(0).await;
        let running = self.on_cpu(threads).await?;
        notices.extend(warning);
        Ok(FirstLoad { running, card, before, ceiling, notices, fell_back })
    }

    /// Warns of a load that will not fit in RAM, while it is under way; it is the user's machine, so it is not refused.
    async fn warn_of_memory(&self, gpu_layers: u32) -> Option<Notice> {
        let settings = self.settings.clone();
        let look = move || library::warn_before_load(&settings.path, settings.context, settings.kv_type, gpu_layers);
        let warning = tokio::task::spawn_blocking(look).await.ok().flatten();
        self.progress.send_modify(|progress| progress.warning.clone_from(&warning));
        warning
    }

    /// Threads of a worker that has the machine to itself: as the user set, else one for each physical core.
    fn threads(&self) -> u32 {
        self.settings.threads.unwrap_or_else(default_threads)
    }

    fn wants_gpu(&self) -> bool {
        let given_up = self.settings.policy(0, unix_ms() / 1_000).override_;
        self.settings.profile != ProfileChoice::Fixed(Profile::CpuFallback)
            && self.settings.gpu_layers != Some(0)
            && given_up.is_none_or(|wish| wish.kind != OverrideKind::GiveUp)
    }

    /// What is on the card before any worker of ours is; `Err`: it sleeps and is left alone.
    ///
    /// A card that sleeps is woken only on mains power.
    async fn look_at_card(&self) -> Result<Option<Reading>, Asleep> {
        let activity = Activity { model_loaded: true, ..Activity::default() };
        self.monitor.set_activity(activity);
        let mut seen = self.monitor.read_now(DRIVER_PATIENCE).await;
        if seen.asleep && Sysfs::default().on_mains_power() == Some(false) {
            return Err(Asleep);
        }
        self.monitor.set_activity(Activity { model_on_gpu: true, ..activity });
        if seen.asleep {
            seen = self.monitor.read_now(DRIVER_PATIENCE).await;
        }
        Ok(seen.shown.filter(|reading| reading.vram_total > 0))
    }

    /// The reading of the card that was chosen: the one made before a worker of ours was on any, unless that was of
    /// another card. A device in software stands for whatever card there is.
    async fn match_card(&self, reading: Option<Reading>, card: &Card) -> Reading {
        let watched = self.monitor.snapshot().gpu;
        self.monitor.set_backend_devices(card.devices.clone(), &card.device);
        let fits = watched.is_some_and(|gpu| card.device.is_software() || is_same(&gpu, &card.device));
        if let Some(reading) = reading.filter(|_| fits) {
            return reading;
        }
        let seen = self.monitor.read_now(DRIVER_PATIENCE).await;
        seen.shown.filter(|reading| reading.vram_total > 0).unwrap_or_else(|| card.device.reading())
    }

    /// The profile to start in, its plan, and what the user should know of it.
    fn choose(
        &self,
        card: &Card,
        reading: &Reading,
        ceiling: Option<Profile>,
    ) -> (Profile, ProfilePlan, Option<Notice>) {
        let settings = &self.settings;
        let plans = card.plans(settings, &Circumstances::before_load(reading, card.correction()));
        let profile = policy::start(Some(reading), Some(&plans), &settings.policy(0, unix_ms() / 1_000));
        let (profile, notice) = match (settings.profile, ceiling) {
            _ if card.known.cpu_only && profile.uses_gpu() => (Profile::CpuFallback, Some(Notice::CrashedTooOften)),
            (_, Some(ceiling)) if profile > ceiling => {
                let taken = if plans.of(ceiling).layers > 0 { ceiling } else { Profile::CpuFallback };
                (taken, Some(Notice::CameBack { wanted: profile, taken }))
            }
            (ProfileChoice::Fixed(wanted), _) if wanted != profile => (profile, Some(Notice::NoRoomAtStart { wanted })),
            _ => (profile, None),
        };
        (profile, plans.of(profile), notice)
    }

    fn missing_gpu(&self) -> Option<Notice> {
        let wanted = self.settings.profile;
        match wanted {
            ProfileChoice::Auto => None,
            ProfileChoice::Fixed(wanted) => Some(Notice::NoGpu { wanted }),
        }
    }

    async fn load(
        self,
        worker: Worker,
        profile: Profile,
        plan: ProfilePlan,
        device: Option<String>,
        threads: u32,
    ) -> Result<Running, StartError> {
        self.progress.send_modify(|progress| (progress.fraction, progress.profile) = (None, Some(profile)));
        let _marker = if profile.uses_gpu() {
            let (store, path) = (self.experience.clone(), self.settings.path.clone());
            tokio::task::spawn_blocking(move || store.mark_load(&path, profile)).await.ok().flatten()
        } else {
            None
        };
        let request = LoadRequest {
            path: self.settings.path.clone(),
            gpu_layers: plan.layers,
            device,
            context: self.settings.context,
            threads,
            follow_cores: self.settings.threads.is_none(),
            kv_type: self.settings.kv_type,
        };
        let mut call = worker.call(Command::Load(request));
        loop {
            match call.next().await {
                CallEvent::Reply(Reply::LoadProgress { fraction }) => {
                    self.progress.send_modify(|progress| progress.fraction = Some(fraction));
                }
                CallEvent::Reply(Reply::Loaded(model)) => return Ok(Running { worker, model, profile, plan }),
                CallEvent::Reply(Reply::Failed(problem)) => return Err(StartError::Refused(problem)),
                CallEvent::Reply(reply) if reply.is_final() => return Err(StartError::Refused(unexpected(&reply))),
                CallEvent::Ended(end) => return Err(StartError::Died(end)),
                CallEvent::Reply(_) | CallEvent::Silent | CallEvent::Resumed => {}
            }
        }
    }
}

fn no_gpu(wanted: Profile) -> Problem {
    Problem::new(
        ProblemCode::LoadFailed,
        format!("No GPU that can be used was found: the model runs on the CPU instead of in {wanted}."),
    )
}

fn no_room(wanted: Profile) -> Problem {
    Problem::new(
        ProblemCode::OutOfMemory,
        format!("There is no room on the GPU for {wanted}: the model stays on the CPU."),
    )
}

const fn lower(profile: Profile) -> Profile {
    match profile {
        Profile::Performance => Profile::Balanced,
        Profile::Balanced | Profile::CpuFallback => Profile::CpuFallback,
    }
}

/// The end of a worker, as it is told.
pub(crate) const fn told(end: &WorkerEnd) -> WorkerFault {
    let kind = match end.kind {
        EndKind::Clean => WorkerFaultKind::Left,
        EndKind::Aborted if matches!(end.exit.code, Some(0)) => WorkerFaultKind::Left,
        EndKind::Killed => WorkerFaultKind::Killed,
        EndKind::Aborted => WorkerFaultKind::Crashed,
        EndKind::OutOfMemory => WorkerFaultKind::OutOfMemory,
        EndKind::BadModel => WorkerFaultKind::BadModel,
        EndKind::Protocol => WorkerFaultKind::Protocol,
        EndKind::Unresponsive => WorkerFaultKind::Unresponsive,
        EndKind::NotStarted => WorkerFaultKind::NotStarted,
    };
    WorkerFault { kind, signal: end.exit.signal, exit_code: end.exit.code }
}

pub(crate) fn unexpected(reply: &Reply) -> Problem {
    Problem::new(
        ProblemCode::Protocol,
        "The model process answered something else than it was asked. Reinstall Workly.",
    )
    .with_details(format!("{reply:?}"))
}
