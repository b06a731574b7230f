//! What others see of the manager: a snapshot, made anew when something in it may have changed, and the moves.

use tokio::sync::{broadcast, watch};
use workly_core::policy::LayerPlan;
use workly_core::problem::Problem;
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::Notice;
use workly_wire::model::{ModelSnapshot, ModelState};
use workly_wire::monitor::DecisionEntry;

use super::answers::handover::Reason;
use super::task::Task;
use workly_library::experience::unix_ms;

/// What is told, and to whom.
pub(crate) struct Told {
    snapshot: watch::Sender<ModelSnapshot>,
    decisions: broadcast::Sender<DecisionEntry>,
    /// The last move. It is told once those who caused it are named, or the next one follows.
    last: Option<Move>,
    /// What the user should know although it works.
    pub(crate) notices: Vec<Notice>,
    /// Why there is no model.
    pub(crate) problem: Option<Problem>,
    /// Tokens per second of the last or current answer.
    pub(crate) speed: Option<f64>,
}

/// A move that was made.
#[derive(Debug, Clone)]
struct Move {
    unix_ms: u64,
    from: Option<Profile>,
    to: Profile,
    reason: Option<Reason>,
    strategy: Option<SwitchStrategy>,
    is_told: bool,
}

impl Told {
    pub(crate) const fn new(
        snapshot: watch::Sender<ModelSnapshot>,
        decisions: broadcast::Sender<DecisionEntry>,
    ) -> Self {
        Self { snapshot, decisions, last: None, notices: Vec::new(), problem: None, speed: None }
    }

    /// Names those who caused the last move.
    pub(crate) fn blame(&mut self, culprits: &[ProcessUse]) {
        if let Some(reason) = self.last.as_mut().and_then(|last| last.reason.as_mut()) {
            reason.blame(culprits);
        }
    }

    /// Another model: what was said of the last one says nothing of it.
    pub(crate) fn forget(&mut self) {
        (self.last, self.speed) = (None, None);
        self.notices.clear();
    }

    fn tell_move(&mut self) {
        let Some(last) = self.last.as_mut().filter(|last| !last.is_told) else { return };
        last.is_told = true;
        let Move { unix_ms, from, to, reason, strategy, .. } = last.clone();
        let why = reason.as_ref().and_then(Reason::why);
        // Nobody listening is no fault.
        let _ = self.decisions.send(DecisionEntry { unix_ms, from, to, why, strategy });
    }
}

impl Task {
    /// Notes a move; it is told once those who caused it are named, or the next one follows.
    pub(crate) fn note_move(
        &mut self,
        from: Option<Profile>,
        to: Profile,
        reason: Option<Reason>,
        strategy: Option<SwitchStrategy>,
    ) {
        self.told.tell_move();
        self.told.last = Some(Move { unix_ms: unix_ms(), from, to, reason, strategy, is_told: false });
        self.tell_move_if_complete();
    }

    /// Tells of the last move, if its reason is complete by now.
    pub(crate) fn tell_move_if_complete(&mut self) {
        let is_complete = |last: &Move| last.reason.as_ref().is_none_or(Reason::is_complete);
        if self.told.last.as_ref().is_some_and(is_complete) {
            self.told.tell_move();
        }
    }

    /// Why the model is where it is, or is going.
    pub(crate) fn reason(&self) -> Option<&Reason> {
        let last = || self.told.last.as_ref().and_then(|last| last.reason.as_ref());
        self.switch.as_ref().map(|switch| &switch.reason).or_else(last)
    }

    /// Publishes the snapshot, if anything in it has changed.
    pub(crate) fn publish(&self) {
        let now = self.describe();
        self.told.snapshot.send_if_modified(|shown| {
            let differs = *shown != now;
            *shown = now;
            differs
        });
    }

    fn describe(&self) -> ModelSnapshot {
        let running = self.workers.active.as_ref().map(|active| &active.running);
        let settings = &self.context.settings;
        let progress = self.context.progress.borrow().clone();
        let state = self.state();
        let is_loading = state == ModelState::Loading;
        let in_force = settings.override_.filter(|wish| wish.until.is_none_or(|until| until > unix_ms() / 1_000));
        let last_strategy = || self.told.last.as_ref().and_then(|last| last.strategy);
        let warning = progress.warning.filter(|_| is_loading && self.told.notices.is_empty());
        ModelSnapshot {
            state,
            answering: self.answers.is_any_under_way(),
            load_fraction: progress.fraction.filter(|_| is_loading),
            model: running.map(|running| running.model.clone()),
            profile: running.map(|running| running.profile).or(progress.profile.filter(|_| is_loading)),
            switching_to: self.switch.as_ref().map(|switch| switch.to).filter(|_| running.is_some()),
            strategy: self.switch.as_ref().map(|switch| switch.strategy).or_else(last_strategy),
            why: self.reason().and_then(Reason::why),
            plan: self.plan(),
            choice: settings.profile,
            auto_switching: settings.auto_switching,
            override_kind: in_force.map(|wish| wish.kind),
            standby_ready: self.workers.standby.is_ready(),
            tokens_per_second: self.told.speed,
            notices: self.told.notices.iter().cloned().chain(warning).collect(),
            problem: self.told.problem.clone(),
            worker_pid: running.map(|running| running.worker.process_id()),
        }
    }

    fn plan(&self) -> Option<LayerPlan> {
        self.driver.as_ref().and_then(|driver| driver.solved(&self.context.settings))
    }

    fn state(&self) -> ModelState {
        if self.told.problem.is_some() {
            ModelState::Failed
        } else if !self.wishes.wanted {
            ModelState::Stopped
        } else if self.workers.active.is_none() {
            ModelState::Loading
        } else if self.switch.is_some() {
            ModelState::Switching
        } else if self.answers.is_any_under_way() {
            ModelState::Generating
        } else {
            ModelState::Ready
        }
    }
}
