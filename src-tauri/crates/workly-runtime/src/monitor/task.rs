//! The task that owns the monitor's state: asks the thread, publishes what it answers, and knows when it does not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use workly_core::device::{Device, DeviceWish};
use workly_core::reading::Reading;
use workly_gpu::{Answer, ProbeError, ProbeThread, Request, Sample, Want};

use super::Question;
use super::cadence::{Cadence, Demand, Due};
use super::history::{History, Line};
use super::inputs::Inputs;
use super::ring::{Point, Ring};
use super::snapshot::Snapshot;

/// The wall clock runs this much ahead of the monotonic one when the computer was suspended.
const SUSPENDED: Duration = Duration::from_secs(30);

/// How late a timer may fire, with plenty to spare.
const SLACK: Duration = Duration::from_millis(100);

/// What the thread was asked.
enum Open {
    Sample(Due),
    Processes(Vec<Question>),
    Other,
}

pub(super) struct Task {
    thread: ProbeThread,
    inputs: watch::Receiver<Inputs>,
    snapshot: watch::Sender<Snapshot>,
    questions: mpsc::Receiver<Question>,
    ring: Arc<Mutex<Ring>>,
    started: Instant,
    stale_after: Option<Duration>,
    cadence: Cadence,
    open: Option<Open>,
    /// When the silence of the thread is to be mentioned.
    stale_at: Option<Instant>,
    /// The card wished for, as the thread knows it.
    wished: (DeviceWish, Vec<Device>),
    waiting: Vec<Question>,
    let_go: bool,
    wanted: u64,
    demand: Option<Demand>,
    /// A card that could sleep is left alone until then.
    rest_until: Option<Instant>,
    /// There is no card, and none is looked for until then.
    absent_until: Option<Instant>,
    was_over: bool,
    clocks: (SystemTime, Instant),
    history: Option<History>,
}

impl Task {
    pub(super) fn new(
        thread: ProbeThread,
        inputs: watch::Receiver<Inputs>,
        snapshot: watch::Sender<Snapshot>,
        questions: mpsc::Receiver<Question>,
        ring: Arc<Mutex<Ring>>,
        started: Instant,
        stale_after: Option<Duration>,
    ) -> Self {
        Self {
            thread,
            inputs,
            snapshot,
            questions,
            ring,
            started,
            stale_after,
            cadence: Cadence::new(started),
            open: None,
            stale_at: None,
            wished: (DeviceWish::Auto, Vec::new()),
            waiting: Vec::new(),
            let_go: false,
            wanted: 0,
            demand: None,
            rest_until: None,
            absent_until: None,
            was_over: false,
            clocks: (SystemTime::now(), started),
            history: None,
        }
    }

    /// Runs until the monitor is dropped.
    pub(super) async fn run(mut self) {
        self.adapt();
        loop {
            self.ask_next();
            let wake = if self.open.is_some() { self.stale_at } else { self.next_look() };
            tokio::select! {
                answer = self.thread.answer(), if self.open.is_some() => self.on_answer(answer),
                () = sleep_until(wake.unwrap_or(self.started)), if wake.is_some() => self.on_silence(),
                changed = self.inputs.changed() => match changed {
                    Ok(()) => self.adapt(),
                    Err(_) => return,
                },
                question = self.questions.recv() => match question {
                    Some(question) => self.waiting.push(question),
                    None => return,
                },
            }
        }
    }

    /// When to look next. Where there is no card to be seen before a certain time, and nobody to whom that would be said
    /// again, then.
    fn next_look(&self) -> Option<Instant> {
        let inputs = self.inputs.borrow();
        // Where a worker's devices are known, readings have it asked for them again.
        let may_wait = inputs.viewers == 0 && inputs.backend.is_empty() && !inputs.activity.model_on_gpu;
        let absent = self.absent_until.filter(|_| may_wait);
        self.cadence.next().map(|next| absent.map_or(next, |until| next.max(until)))
    }

    /// Follows settings, model and viewers.
    fn adapt(&mut self) {
        let inputs = self.inputs.borrow_and_update();
        let activity = inputs.activity;
        let guard = activity.model_on_gpu || activity.climbing || activity.settling;
        let wanted = inputs.wanted;
        let full = guard || activity.model_loaded || inputs.viewers > 0;
        let demand = Demand { full, guard, settling: activity.settling, interval: inputs.settings.interval };
        let history = inputs.settings.history.clone();
        drop(inputs);
        // With nobody asking, no handle stays open.
        self.let_go |= !full && self.demand.is_some_and(|before| before.full);
        self.demand = Some(demand);
        self.cadence.adapt(demand, Instant::now());
        if std::mem::replace(&mut self.wanted, wanted) != wanted {
            (self.rest_until, self.absent_until) = (None, None);
            self.cadence.hurry(Instant::now());
        }
        if activity.model_on_gpu {
            self.rest_until = None;
        }
        if self.history.as_ref().map(History::path) != history.as_deref() {
            self.history = history.and_then(|path| {
                let started = History::start(path);
                started.inspect_err(|error| tracing::warn!(%error, "the GPU history cannot be written")).ok()
            });
        }
    }

    fn ask_next(&mut self) {
        if self.open.is_some() {
            return;
        }
        let now = Instant::now();
        let Some((open, request)) = self.next_request(now) else { return };
        self.open = Some(open);
        self.stale_at = self.stale_after.map(|patience| now + patience);
        self.thread.ask(request);
    }

    fn next_request(&mut self, now: Instant) -> Option<(Open, Request)> {
        let inputs = self.inputs.borrow();
        let model_on_gpu = inputs.activity.model_on_gpu;
        let wish = inputs.placed_on.as_ref().unwrap_or(&inputs.settings.device);
        if self.wished.0 != *wish || self.wished.1 != inputs.backend {
            self.wished = (wish.clone(), inputs.backend.clone());
            let (wish, backend) = self.wished.clone();
            (self.rest_until, self.absent_until) = (None, None);
            return Some((Open::Other, Request::Wish { wish, backend }));
        }
        drop(inputs);
        if !self.waiting.is_empty() {
            let questions = std::mem::take(&mut self.waiting);
            return Some((Open::Processes(questions), Request::Processes { model_on_gpu, now: now.into_std() }));
        }
        let is_time = self.cadence.next().is_some_and(|next| next <= now);
        if (is_time && self.was_suspended(now)) || std::mem::take(&mut self.let_go) {
            return Some((Open::Other, Request::Release));
        }
        let due = self.cadence.take_due(now)?;
        if !model_on_gpu && self.rest_until.is_some_and(|until| now < until) {
            if due.full {
                self.snapshot.send_modify(Snapshot::repeat);
            }
            return None;
        }
        let want = Want { utilization: due.full, sensors: due.sensors, model_on_gpu };
        Some((Open::Sample(due), Request::Sample { want, now: now.into_std() }))
    }

    /// Whether the computer slept since the last look: handles to the card are worth nothing then.
    fn was_suspended(&mut self, now: Instant) -> bool {
        let (wall, before) = (SystemTime::now(), self.clocks);
        self.clocks = (wall, now);
        let passed = wall.duration_since(before.0).unwrap_or_default();
        passed.saturating_sub(now - before.1) > SUSPENDED
    }

    fn on_silence(&mut self) {
        if self.open.is_none() {
            return;
        }
        let interval = self.inputs.borrow().settings.interval;
        self.stale_at = Some(Instant::now() + interval);
        if !self.snapshot.borrow().stale {
            tracing::warn!("the GPU driver does not answer");
        }
        self.snapshot.send_modify(Snapshot::grow_stale);
    }

    fn on_answer(&mut self, answer: Answer) {
        match (self.open.take(), answer) {
            (Some(Open::Sample(due)), Answer::Sample(sample)) => self.on_sample(due, sample),
            (Some(Open::Processes(questions)), Answer::Processes(processes)) => {
                for question in questions {
                    let _ = question.send(processes.clone());
                }
            }
            (Some(Open::Processes(questions)), _) => {
                for question in questions {
                    let _ = question.send(Err(ProbeError::Blocked));
                }
            }
            _ => {}
        }
    }

    fn on_sample(&mut self, due: Due, sample: Sample) {
        let now = Instant::now();
        let now_ms = (now - self.started).as_millis() as u64;
        let (thresholds, activity) = {
            let inputs = self.inputs.borrow();
            (inputs.settings.thresholds, inputs.activity)
        };
        self.absent_until = sample.absent_for.map(|absent| now + absent);
        // A little less, so that the look of the grid that is due then is not missed by a hair.
        self.rest_until = sample.rest.map(|rest| now + rest.saturating_sub(SLACK));
        let mut shown = None;
        self.snapshot.send_modify(|snapshot| {
            snapshot.take(sample, due.full, now_ms, &thresholds);
            snapshot.own_bytes = activity.own_bytes;
            shown = snapshot.shown;
        });
        let percent = shown.as_ref().and_then(Reading::vram_percent);
        let is_over = percent.is_some_and(|percent| f64::from(percent) > thresholds.overload_vram_percent);
        if is_over && !self.was_over {
            self.cadence.repeat_soon(now);
        }
        self.was_over = is_over;
        if let (true, Some(reading), Some(vram_percent)) = (due.full, shown, percent) {
            let time = SystemTime::now();
            let profile = activity.profile;
            self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(Point {
                time_ms: now_ms,
                unix_ms: Point::unix_ms(time),
                vram_total: reading.vram_total,
                vram_used: reading.vram_used,
                own_bytes: activity.own_bytes,
                gpu_percent: reading.gpu_percent,
                profile,
            });
            if let Some(history) = &self.history {
                history.add(Line { time, vram_percent, gpu_percent: reading.gpu_percent, profile });
            }
        }
    }
}
