//! The card that is watched: chosen, read, left asleep, lost and found again.
//!
//! Synchronous and without a clock of its own: the caller says what to read and what time it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use workly_core::device::{Device, DeviceWish};
use workly_core::reading::ProcessUse;

use crate::caught::caught;
use crate::error::{ProbeError, Severity};
use crate::probe::{Gpu, Memory, Probe, Sensors};
use crate::select::{choose, is_same};
use crate::sysfs::Sysfs;

/// How long a card that could sleep, and holds no model, is left alone between two readings.
pub const REST: Duration = Duration::from_mins(1);

/// How soon a card that went away is looked for; each time in vain doubles it, up to [`REST`].
const SOON: Duration = Duration::from_secs(5);

/// Failures in a row after which the handle is made anew.
const PATIENCE: u32 = 3;

/// What to read besides the memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Want {
    /// Utilization too.
    pub utilization: bool,
    /// Temperature and power too.
    pub sensors: bool,
    /// A model is on the card, or about to be: it is held, and woken if it sleeps.
    pub model_on_gpu: bool,
}

/// What one look at the card gave.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The card looked at; `None` while there is none.
    pub gpu: Option<Arc<Device>>,
    /// All cards there are.
    pub gpus: Arc<[Device]>,
    /// Memory; `None` where it could not be read.
    pub memory: Option<Memory>,
    /// Utilization, 0-100; `None` where it was not asked for or is not told.
    pub utilization: Option<f32>,
    /// Temperature and power; `None` where they were not asked for.
    pub sensors: Option<Sensors>,
    /// The card sleeps and was left alone; the memory, if known, is that of a card nobody uses.
    pub asleep: bool,
    /// The card does not exist: a recording is played.
    pub simulated: bool,
    /// Least time to the next look, so that a card that could sleep gets to.
    pub rest: Option<Duration>,
    /// There is no card, and none is looked for before this much time has passed.
    pub absent_for: Option<Duration>,
    /// Why there is no memory.
    pub problem: Option<ProbeError>,
}

struct Card {
    probe: usize,
    position: usize,
    gpu: Gpu,
    shown: Arc<Device>,
}

struct Trouble {
    problem: ProbeError,
    retry_at: Instant,
    wait: Duration,
}

/// The probes, and the card that is watched through one of them.
pub struct Watcher {
    probes: Vec<Box<dyn Probe>>,
    sysfs: Sysfs,
    wish: DeviceWish,
    backend: Vec<Device>,
    known: Vec<Device>,
    cards: Vec<Card>,
    listed: Arc<[Device]>,
    selected: Option<usize>,
    /// The card chosen last: it is taken again when it comes back.
    watched: Option<Device>,
    /// The memory that the list was made with serves as the first reading.
    first: Option<Memory>,
    trouble: Option<Trouble>,
    failures: u32,
}

impl Watcher {
    /// A watcher over probes, the one to be preferred for a card first. Nothing is read yet.
    pub fn new(probes: Vec<Box<dyn Probe>>, sysfs: Sysfs) -> Self {
        Self {
            probes,
            sysfs,
            wish: DeviceWish::Auto,
            backend: Vec::new(),
            known: Vec::new(),
            cards: Vec::new(),
            listed: Arc::default(),
            selected: None,
            watched: None,
            first: None,
            trouble: None,
            failures: 0,
        }
    }

    /// The same, knowing cards from earlier.
    #[must_use]
    pub fn knowing(mut self, known: Vec<Device>) -> Self {
        self.known = known;
        self
    }

    /// Sets which card is wished for, and what devices a GPU worker offers. The next look chooses anew.
    pub fn wish(&mut self, wish: DeviceWish, backend: Vec<Device>) {
        (self.wish, self.backend) = (wish, backend);
        (self.selected, self.watched, self.trouble) = (None, None, None);
    }

    /// Lets go of every driver: after a suspend, handles are worth nothing.
    pub fn release(&mut self) {
        for probe in &mut self.probes {
            if let Err(problem) = caught(|| probe.release()) {
                tracing::warn!(%problem, "a driver was not let go of");
            }
        }
    }

    /// Looks at the card.
    pub fn sample(&mut self, want: Want, now: Instant) -> Sample {
        caught(|| self.look(want, now)).unwrap_or_else(|problem| {
            self.start_over(&problem, now);
            self.outcome(Err(problem))
        })
    }

    /// The processes on the card.
    ///
    /// # Errors
    ///
    /// When there is no card, it sleeps, or it does not tell.
    pub fn processes(&mut self, model_on_gpu: bool, now: Instant) -> Result<Vec<ProcessUse>, ProbeError> {
        caught(|| self.list_processes(model_on_gpu, now)).unwrap_or_else(|problem| {
            self.start_over(&problem, now);
            Err(problem)
        })
    }

    /// A probe panicked: no handle and no list is trusted any more, and the cards are left alone for a while.
    fn start_over(&mut self, problem: &ProbeError, now: Instant) {
        tracing::error!(%problem, "the GPU is looked for anew");
        self.release();
        (self.first, self.failures) = (None, 0);
        self.give_up(problem.clone(), now);
    }

    fn look(&mut self, want: Want, now: Instant) -> Sample {
        if self.selected.is_none()
            && let Err(problem) = self.look_for_cards(now)
        {
            let retry_at = self.trouble.as_ref().map(|trouble| trouble.retry_at);
            let absent_for = retry_at.filter(|_| problem.severity() == Severity::Standing);
            let absent_for = absent_for.map(|at| at.saturating_duration_since(now));
            return Sample { absent_for, ..self.outcome(Err(problem)) };
        }
        if !want.model_on_gpu && self.is_asleep() {
            return self.asleep();
        }
        if self.card().is_some_and(|card| card.gpu.asleep) && !self.is_asleep() {
            // It has woken: now it can tell its name.
            if let Err(problem) = self.look_for_cards(now) {
                return self.outcome(Err(problem));
            }
        }
        let result = self.read(want);
        match &result {
            Ok(_) => (self.failures, self.trouble) = (0, None),
            Err(problem) => self.fail(problem, now),
        }
        let mut sample = self.outcome(result);
        if !want.model_on_gpu && self.can_sleep() {
            self.release_selected();
            sample.rest = Some(REST);
        }
        sample
    }

    fn list_processes(&mut self, model_on_gpu: bool, now: Instant) -> Result<Vec<ProcessUse>, ProbeError> {
        if self.selected.is_none() {
            self.look_for_cards(now)?;
            self.first = None;
        }
        if !model_on_gpu && self.is_asleep() {
            return Ok(Vec::new());
        }
        let (probe, position) = self.reach()?;
        let processes = probe.processes(position);
        if !model_on_gpu && self.can_sleep() {
            self.release_selected();
        }
        processes
    }

    fn card(&self) -> Option<&Card> {
        self.selected.and_then(|selected| self.cards.get(selected))
    }

    fn address(&self) -> Option<&str> {
        self.card()?.gpu.device.pci_address.as_deref()
    }

    fn is_asleep(&self) -> bool {
        self.address().is_some_and(|address| self.sysfs.is_asleep(address))
    }

    fn can_sleep(&self) -> bool {
        self.address().is_some_and(|address| self.sysfs.can_sleep(address))
    }

    fn reach(&mut self) -> Result<(&mut dyn Probe, usize), ProbeError> {
        let card = self.selected.and_then(|selected| self.cards.get(selected)).ok_or(ProbeError::Lost)?;
        let probe = self.probes.get_mut(card.probe).ok_or(ProbeError::Lost)?;
        Ok((probe.as_mut(), card.position))
    }

    fn release_selected(&mut self) {
        if let Ok((probe, _)) = self.reach() {
            probe.release();
        }
    }

    fn read(&mut self, want: Want) -> Result<Sample, ProbeError> {
        let first = self.first.take();
        let (probe, position) = self.reach()?;
        let memory = first.map_or_else(|| probe.memory(position), Ok)?;
        let utilization = if want.utilization { probe.utilization(position)? } else { None };
        let sensors = if want.sensors { Some(probe.sensors(position)?) } else { None };
        Ok(Sample { memory: Some(memory), utilization, sensors, ..Sample::default() })
    }

    fn outcome(&self, result: Result<Sample, ProbeError>) -> Sample {
        let mut sample = result.unwrap_or_else(|problem| Sample { problem: Some(problem), ..Sample::default() });
        sample.gpus = Arc::clone(&self.listed);
        sample.gpu = self.card().map(|card| Arc::clone(&card.shown));
        sample.simulated = self.card().is_some_and(|card| card.gpu.simulated);
        sample
    }

    fn asleep(&mut self) -> Sample {
        self.release_selected();
        self.first = None;
        let total = self.card().map_or(0, |card| card.gpu.device.memory_total);
        let memory = (total > 0).then_some(Memory { total, used: 0, free: total });
        self.outcome(Ok(Sample { memory, utilization: Some(0.0), asleep: true, ..Sample::default() }))
    }

    fn fail(&mut self, problem: &ProbeError, now: Instant) {
        if problem.severity() == Severity::Passing {
            self.failures += 1;
            if self.failures >= PATIENCE {
                self.failures = 0;
                self.release_selected();
            }
            return;
        }
        tracing::warn!(%problem, "the GPU cannot be read");
        self.release_selected();
        self.give_up(problem.clone(), now);
    }

    fn give_up(&mut self, problem: ProbeError, now: Instant) {
        let first = if self.watched.is_some() { SOON } else { problem.retry_after() };
        let wait = self.trouble.as_ref().map_or(first, |trouble| (trouble.wait * 2).min(REST)).max(first);
        self.selected = None;
        self.trouble = Some(Trouble { problem, retry_at: now + wait, wait });
    }

    /// Lists all cards and chooses one, unless that was tried in vain a moment ago.
    fn look_for_cards(&mut self, now: Instant) -> Result<(), ProbeError> {
        if let Some(trouble) = &self.trouble
            && now < trouble.retry_at
        {
            return Err(trouble.problem.clone());
        }
        let reasons = self.list();
        if let Some(selected) = self.pick() {
            let gpu = &self.cards[selected].gpu;
            tracing::info!(gpu = gpu.device.description, address = gpu.device.pci_address, "watching this GPU");
            (self.selected, self.first, self.watched) = (Some(selected), gpu.memory, Some(gpu.device.clone()));
            self.let_go_of_others();
            return Ok(());
        }
        let problem = why_none(&self.cards, reasons);
        if self.trouble.as_ref().is_none_or(|trouble| trouble.problem != problem) {
            tracing::info!(%problem, "no GPU is watched");
        }
        self.give_up(problem.clone(), now);
        self.release();
        Err(problem)
    }

    /// Keeps no handle to a card that is not watched: it may want to sleep.
    fn let_go_of_others(&mut self) {
        let Some(selected) = self.selected else { return };
        let watched = self.cards[selected].probe;
        for (index, probe) in self.probes.iter_mut().enumerate() {
            let holds_another = self.cards.iter().enumerate().any(|(position, card)| {
                let address = card.gpu.device.pci_address.as_deref();
                let could_sleep = address.is_some_and(|address| self.sysfs.can_sleep(address));
                position != selected && card.probe == index && !card.gpu.asleep && could_sleep
            });
            if index != watched || holds_another {
                probe.release();
            }
        }
    }

    fn list(&mut self) -> Vec<ProbeError> {
        let mut cards: Vec<Card> = Vec::new();
        let mut reasons = Vec::new();
        for (index, probe) in self.probes.iter_mut().enumerate() {
            let gpus = probe.list().unwrap_or_else(|problem| {
                reasons.push(problem);
                Vec::new()
            });
            for (position, mut gpu) in gpus.into_iter().enumerate() {
                if cards.iter().any(|card| card.probe != index && is_same(&card.gpu.device, &gpu.device)) {
                    continue;
                }
                remember(&mut self.known, &mut gpu);
                let shown = Arc::new(gpu.device.clone());
                cards.push(Card { probe: index, position, gpu, shown });
            }
        }
        self.cards = cards;
        self.listed = self.cards.iter().map(|card| card.gpu.device.clone()).collect();
        reasons
    }

    /// The card watched before while it is there, else the one wished for.
    fn pick(&self) -> Option<usize> {
        let position = |wanted: &Device| self.listed.iter().position(|device| is_same(device, wanted));
        self.watched.as_ref().and_then(position).or_else(|| position(choose(&self.listed, &self.backend, &self.wish)?))
    }
}

/// Gives a sleeping card the name and size it had when it was awake, and keeps those of one that is.
fn remember(known: &mut Vec<Device>, gpu: &mut Gpu) {
    let device = &mut gpu.device;
    let at = known.iter().position(|known| known.pci_address.is_some() && is_same(known, device));
    if !gpu.asleep {
        match at {
            Some(at) => known[at].clone_from(device),
            None => known.push(device.clone()),
        }
    } else if let Some(at) = at {
        device.description.clone_from(&known[at].description);
        (device.memory_total, device.memory_free) = (known[at].memory_total, known[at].memory_total);
    }
}

fn why_none(cards: &[Card], mut reasons: Vec<ProbeError>) -> ProbeError {
    if reasons.len() == 1 && cards.is_empty() {
        return reasons.remove(0);
    }
    let mut texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    texts.extend(cards.iter().map(|card| format!("{} is not chosen by itself", card.gpu.device.description)));
    if !cards.is_empty() {
        texts.push("name one in the setting ai.gpu_device".to_owned());
    }
    let reason = if texts.is_empty() { "this computer shows none".to_owned() } else { texts.join("; ") };
    ProbeError::NoGpu { reason }
}
