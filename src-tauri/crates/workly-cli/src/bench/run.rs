//! The measurement: one long answer after another, moved off the GPU and back again and again.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};
use tokio::sync::watch;
use workly_core::chat::{Message, Role};
use workly_core::model::ModelInfo;
use workly_core::profile::Profile;
use workly_core::sampling::Sampling;
use workly_core::settings::Standby;
use workly_core::why::Why;
use workly_files::places;
use workly_runtime::manager::{ModelManager, ModelSettings, Patience};
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_wire::answer::{AnswerEvent, AnswerRequest, AnswerSwitch};
use workly_wire::model::{ModelSnapshot, ModelState};
use workly_wire::words::Language;

/// Tokens written in a place before the model leaves it.
const TOKENS_EACH: u32 = 8;
/// A sentence for prompts, about 14 tokens long.
const SENTENCE: &str = "The keeper climbed the stairs of the lighthouse and looked at the sea. ";
const TOKENS_OF_SENTENCE: u32 = 14;

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// Switches off the GPU.
    pub(crate) switches: u32,
    /// Deaths on the GPU.
    pub(crate) deaths: u32,
    pub(crate) prompt_tokens: u32,
    /// Where chance begins.
    pub(crate) seed: u64,
}

/// What was measured.
pub(crate) struct Measured {
    /// As it was loaded on the GPU.
    pub(crate) model: ModelInfo,
    pub(crate) threads_on_cpu: u32,
    pub(crate) switches: Vec<AnswerSwitch>,
    /// What followed from the deaths.
    pub(crate) deaths: Vec<AnswerSwitch>,
    /// Milliseconds that the first load took, the look at the card included.
    pub(crate) load_ms: f64,
    /// Milliseconds for each token of a stay on the GPU, and on the CPU.
    pub(crate) token_ms_gpu: Vec<f64>,
    pub(crate) token_ms_cpu: Vec<f64>,
    /// Tokens of context at each switch.
    pub(crate) context: Vec<u32>,
    pub(crate) gpu_processes_left: usize,
    left: Asked,
    random: fastrand::Rng,
    has_standby: bool,
}

/// Where the model is within its round.
struct Round {
    place: Profile,
    tokens_here: u32,
    /// Tokens after which it leaves.
    leave_after: u32,
    /// It was told to leave.
    leaving: bool,
    /// When its first and its last token here came.
    stay: Option<(Instant, Instant)>,
    /// Tokens of context by now.
    context: u32,
}

/// Moves answers off the GPU so many times.
///
/// # Errors
///
/// When the model does not load on a GPU, or an answer fails.
pub(crate) async fn measure(settings: ModelSettings, asked: Asked) -> anyhow::Result<Measured> {
    let has_standby = settings.standby != Standby::Off;
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let monitor = Arc::new(Monitor::start(Sources::from_environment(), MonitorSettings::default())?);
    let manager = ModelManager::start(program, settings, Patience::default(), monitor, places::data_dir().as_deref());
    let began = Instant::now();
    manager.load().await?;
    let load_ms = began.elapsed().as_secs_f64() * 1_000.0;
    let mut snapshots = manager.snapshot();
    let loaded = snapshots.borrow_and_update().clone();
    let on_gpu = loaded.profile.is_some_and(Profile::uses_gpu);
    let Some(model) = loaded.model.filter(|_| on_gpu) else {
        let notices: Vec<String> = loaded.notices.iter().map(|notice| Language::English.notice(notice)).collect();
        let notice = notices.join(" ");
        manager.shut_down().await;
        bail!("there is no GPU to leave: {notice} For a trial in software set GGML_VK_VISIBLE_DEVICES=0");
    };
    let mut measured = Measured {
        model,
        threads_on_cpu: 0,
        switches: Vec::new(),
        deaths: Vec::new(),
        load_ms,
        token_ms_gpu: Vec::new(),
        token_ms_cpu: Vec::new(),
        context: Vec::new(),
        gpu_processes_left: 0,
        left: asked,
        random: fastrand::Rng::with_seed(asked.seed),
        has_standby,
    };
    while !measured.is_done() {
        ready_on_gpu(&manager, &mut snapshots, has_standby).await?;
        measured.one_answer(&manager, &mut snapshots).await?;
    }
    manager.shut_down().await;
    Ok(measured)
}

/// Waits until the model is on the GPU, with a standby beside it where there is to be one.
async fn ready_on_gpu(
    manager: &ModelManager,
    snapshots: &mut watch::Receiver<ModelSnapshot>,
    with_standby: bool,
) -> anyhow::Result<()> {
    if snapshots.borrow_and_update().profile == Some(Profile::CpuFallback) {
        manager.switch(Profile::Performance, "back for the next answer");
    }
    let is_there = |snapshot: &ModelSnapshot| {
        let on_gpu = snapshot.profile.is_some_and(Profile::uses_gpu);
        (on_gpu && (snapshot.standby_ready || !with_standby)) || snapshot.state == ModelState::Failed
    };
    let snapshot = snapshots.wait_for(is_there).await.context("the manager ended")?;
    match &snapshot.problem {
        Some(problem) => Err(problem.clone().into()),
        None => Ok(()),
    }
}

impl Measured {
    const fn is_done(&self) -> bool {
        self.left.switches == 0 && self.left.deaths == 0
    }

    /// Whether the next to leave the GPU is to be killed: switches and deaths take turns.
    const fn is_to_die(&self) -> bool {
        self.left.deaths > self.left.switches || self.left.switches == 0
    }

    /// Moves one answer to and fro until its context is full, or enough was measured.
    async fn one_answer(
        &mut self,
        manager: &ModelManager,
        snapshots: &mut watch::Receiver<ModelSnapshot>,
    ) -> anyhow::Result<()> {
        let mut stream = manager.answer(request(self.left.prompt_tokens));
        let mut round = Round {
            place: Profile::Performance,
            tokens_here: 0,
            leave_after: TOKENS_EACH,
            leaving: false,
            stay: None,
            context: 0,
        };
        while let Some(event) = stream.next().await {
            match event {
                AnswerEvent::Prompt { total, .. } => round.context = total,
                AnswerEvent::Token { profile, .. } => {
                    self.token(&mut round, profile);
                    let snapshot = snapshots.borrow_and_update().clone();
                    if round.is_to_leave(&snapshot, self.has_standby) {
                        round.leaving = true;
                        round.leave_after = TOKENS_EACH + self.random.u32(..TOKENS_EACH);
                        if profile.uses_gpu() && self.is_to_die() {
                            // As a driver, or somebody else, may.
                            gpu_workers(|worker| _ = worker.kill());
                            continue;
                        }
                        let to = if profile.uses_gpu() { Profile::CpuFallback } else { Profile::Performance };
                        manager.switch(to, "to be measured");
                    }
                }
                AnswerEvent::Switched(switch) => {
                    if switch.from.uses_gpu() == switch.to.uses_gpu() {
                        (round.tokens_here, round.stay) = (0, None);
                    }
                    self.told(switch, &round, &snapshots.borrow_and_update());
                    round.leaving = false;
                    if self.is_done() {
                        manager.stop();
                    }
                }
                AnswerEvent::Done(_) => return Ok(()),
                AnswerEvent::Failed(problem) => return Err(problem.into()),
                AnswerEvent::Silent | AnswerEvent::Resumed => {}
            }
        }
        bail!("the answer ended without a word")
    }

    fn token(&mut self, round: &mut Round, profile: Profile) {
        let now = Instant::now();
        round.context += 1;
        if profile.uses_gpu() != round.place.uses_gpu() {
            self.stayed(round);
            (round.place, round.tokens_here) = (profile, 0);
        }
        round.tokens_here += 1;
        let (first, _) = round.stay.unwrap_or((now, now));
        round.stay = Some((first, now));
    }

    /// A stay in one place is over: its tokens have taken so long on average. Single tokens come in bursts.
    fn stayed(&mut self, round: &mut Round) {
        let (Some((first, last)), Some(tokens)) = (round.stay.take(), round.tokens_here.checked_sub(1)) else { return };
        if tokens > 0 {
            let list = if round.place.uses_gpu() { &mut self.token_ms_gpu } else { &mut self.token_ms_cpu };
            list.push((last - first).as_secs_f64() * 1_000.0 / f64::from(tokens));
        }
    }

    fn told(&mut self, switch: AnswerSwitch, round: &Round, snapshot: &ModelSnapshot) {
        if matches!(switch.why, Why::Worker { .. }) && switch.from.uses_gpu() {
            self.left.deaths = self.left.deaths.saturating_sub(1);
            self.deaths.push(switch);
            return;
        }
        if !switch.to.uses_gpu() {
            self.left.switches = self.left.switches.saturating_sub(1);
            self.context.push(round.context);
            self.gpu_processes_left += gpu_workers(|_| {});
            if let Some(model) = &snapshot.model {
                self.threads_on_cpu = model.threads;
            }
        }
        self.switches.push(switch);
    }
}

impl Round {
    fn is_to_leave(&self, snapshot: &ModelSnapshot, with_standby: bool) -> bool {
        let is_ready = !with_standby || !self.place.uses_gpu() || snapshot.standby_ready;
        !self.leaving && self.tokens_here >= self.leave_after && is_ready && snapshot.switching_to.is_none()
    }
}

pub(super) fn request(prompt_tokens: u32) -> AnswerRequest {
    let sentences = (prompt_tokens / TOKENS_OF_SENTENCE).max(1) as usize;
    let text = format!("{}Go on with this story.", SENTENCE.repeat(sentences));
    AnswerRequest {
        messages: vec![Message::new(Role::User, text)],
        sampling: Some(Sampling { seed: 1, ..Sampling::default() }),
        max_tokens: None,
        stop_strings: Vec::new(),
        ignore_end: true,
    }
}

/// Workers of this program that may be on the GPU, each of which something is done to; tells how many.
fn gpu_workers(mut to_each: impl FnMut(&Process)) -> usize {
    let Ok(mut system) = System::new() else { return 0 };
    let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let own = Pid::from_u32(std::process::id());
    let is_gpu_worker = |process: &&Process| {
        let has = |word: &str| process.cmd().iter().any(|argument| argument == word);
        process.parent() == Some(own) && has("worker") && has("all") && process.thread_kind().is_none()
    };
    let workers = system.processes().values().filter(is_gpu_worker);
    workers.filter(|process| process.status() != ProcessStatus::Zombie).inspect(|process| to_each(process)).count()
}
