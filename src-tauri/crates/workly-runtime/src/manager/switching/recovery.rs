//! What follows when a worker is lost, or will not come up.

use workly_core::crash_budget::{CrashBudget, Place, Verdict};
use workly_core::policy::Fault;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::{Notice, Why, WorkerFault, WorkerFaultKind};
use workly_engine::end::{EndKind, WorkerEnd};

use super::retries::Retries;
use super::switch::Stage;
use crate::manager::answers::handover::Reason;
use crate::manager::policy_driver::{PolicyDriver, Whereabouts};
use crate::manager::task::Task;
use crate::manager::workers::active::ActiveWorker;
use crate::manager::workers::startup::{StartError, told};
use workly_library::experience::unix_ms;

/// Workers in a row that end before they write a token, whoever ended them, until no more are tried.
const MOST_FRUITLESS: u32 = 6;

/// What is remembered of workers that were lost, and of those that would not come up.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Crashes that still count.
    pub(crate) budget: CrashBudget,
    /// Workers in a row that ended before they wrote a token.
    pub(crate) fruitless: u32,
    /// CPU workers in a row that refused the model.
    pub(crate) refusals: Retries,
    /// The CPU refused the model while it runs on the GPU: until when it is not asked again.
    pub(crate) cpu_refused_until: Option<tokio::time::Instant>,
    /// The first load was tried again already, although the worker said why it failed.
    pub(crate) tried_again: bool,
}

impl Faults {
    /// Those of another model say nothing of the next one.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Task {
    /// The active worker has ended by itself.
    pub(crate) fn worker_ended(&mut self, end: &WorkerEnd) {
        let before = self.whereabouts();
        let Some(active) = self.workers.active.take() else { return };
        self.answers.died(&active.writer());
        tracing::warn!(kind = ?end.kind, profile = %active.profile(), "{}", end.message);
        self.answers.released(active.id, std::time::Duration::ZERO);
        let verdict = self.charge(place_of(active.profile()), end, active.since, active.has_written);
        self.recover(&active, verdict, told(end), before, || end.problem());
        // Reaped where it is not gone yet: what it holds of the card counts until then.
        let running = active.running;
        self.workers.leaving.end(running.worker, running.profile.uses_gpu(), std::time::Instant::now());
    }

    /// The worker lives, but could not compute, or said what it must not: it is ended, and another one tries.
    pub(crate) fn worker_failed(&mut self, problem: &Problem) {
        let before = self.whereabouts();
        let Some(active) = self.workers.active.take() else { return };
        self.answers.leave(&active.writer());
        tracing::warn!(code = ?problem.code, details = ?problem.details, "the worker could not compute");
        self.faults.fruitless = if active.has_written { 0 } else { self.faults.fruitless + 1 };
        let verdict = self.crashed(place_of(active.profile()), active.since);
        let kind = match problem.code {
            ProblemCode::OutOfMemory => WorkerFaultKind::OutOfMemory,
            ProblemCode::Protocol => WorkerFaultKind::Protocol,
            _ => WorkerFaultKind::NotComputed,
        };
        let fault = WorkerFault { kind, signal: None, exit_code: None };
        active.engine().end();
        self.recover(&active, verdict, fault, before, || problem.clone());
        let running = active.running;
        self.workers.leaving.end(running.worker, running.profile.uses_gpu(), std::time::Instant::now());
    }

    /// The worker hangs, and nobody wants what it might still say: another one takes its place. That is no crash.
    pub(crate) fn end_hanging_worker(&mut self) {
        let Some(active) = self.workers.active.take() else { return };
        tracing::warn!(profile = %active.profile(), "the worker hangs and is ended");
        self.answers.died(&active.writer());
        let to = active.profile();
        self.retire(active, std::time::Instant::now());
        let fault = WorkerFault { kind: WorkerFaultKind::Unresponsive, signal: None, exit_code: None };
        self.continue_in(to, Reason::Known(Why::Worker { fault }));
    }

    fn recover(
        &mut self,
        lost: &ActiveWorker,
        verdict: Verdict,
        fault: WorkerFault,
        before: Option<Whereabouts>,
        problem: impl FnOnce() -> Problem,
    ) {
        let was_on_gpu = lost.profile().uses_gpu();
        if was_on_gpu {
            self.await_memory(lost.running.plan);
        }
        let of_memory = if fault.kind == WorkerFaultKind::OutOfMemory { Fault::Memory } else { Fault::Other };
        let decided = before.filter(|_| was_on_gpu).and_then(|before| self.report(of_memory, &before));
        let to = match (verdict, &decided) {
            (Verdict::Stop, _) => return self.give_up(exhausted(&problem())),
            (Verdict::CpuOnly, _) => {
                self.stay_on_cpu();
                Profile::CpuFallback
            }
            (Verdict::GoOn, Some(switch)) => switch.to,
            (Verdict::GoOn, None) => lost.profile(),
        };
        let reason = match decided {
            Some(switch) if of_memory == Fault::Memory && verdict == Verdict::GoOn => {
                Reason::Decided { switch, culprits: Some(Vec::new()) }
            }
            _ => Reason::Known(Why::Worker { fault }),
        };
        self.continue_in(to, reason);
    }

    /// Goes on in this profile, with the worker that was on its way if it is one that serves.
    fn continue_in(&mut self, to: Profile, reason: Reason) {
        if let Some(mut switch) = self.switch.take() {
            match switch.stage {
                Stage::HandingOver(target) => {
                    switch.stage = Stage::AwaitingMemory;
                    (switch.strategy, switch.reason) = (SwitchStrategy::Replay, reason);
                    self.switch = Some(switch);
                    return self.adopt(*target);
                }
                Stage::Preparing { profile: Profile::CpuFallback, coming } => self.workers.standby.coming(coming),
                // A climb is not waited for; the policy tries it again.
                Stage::Preparing { .. } if switch.loads_gpu() => self.await_memory(switch.plan),
                Stage::Preparing { .. } | Stage::AwaitingMemory | Stage::Pausing(_) | Stage::Evacuating(_) => {}
            }
        }
        self.begin_anew(to, reason);
    }

    /// Tells the policy of a fault of the worker on the GPU.
    fn report(&mut self, fault: Fault, before: &Whereabouts) -> Option<workly_core::policy::Switch> {
        let now = self.context.monitor.now_ms();
        self.driver.as_mut()?.fault(fault, before, &self.context.settings, unix_ms() / 1_000, now)
    }

    /// The next worker could not be brought up.
    pub(crate) fn target_failed(&mut self, error: &StartError) {
        let Some(mut switch) = self.switch.take() else { return };
        let Stage::Preparing { profile, .. } = switch.stage else {
            self.switch = Some(switch);
            return;
        };
        let problem = error.problem();
        tracing::warn!(%profile, code = ?problem.code, problem.message, "the next worker did not come up");
        let verdict = match error {
            StartError::Died(end) => self.charge(place_of(profile), end, unix_ms(), false),
            StartError::Refused(_) => Verdict::GoOn,
        };
        if profile.uses_gpu() {
            self.await_memory(switch.plan);
            if verdict == Verdict::CpuOnly {
                self.stay_on_cpu();
            } else {
                self.told.notices = vec![Notice::NotTaken { wanted: profile, problem }];
            }
            if let Some(driver) = &mut self.driver {
                driver.refused(self.context.monitor.now_ms());
            }
            if let Some(loading) = self.whereabouts() {
                let fault = if is_of_memory(error) { Fault::Memory } else { Fault::Other };
                self.report(fault, &Whereabouts { profile, active: switch.plan, ..loading });
            }
            if self.workers.active.is_none() {
                self.begin_anew(Profile::CpuFallback, switch.reason);
            }
            return;
        }
        if !error.is_about_the_place() {
            return self.stuck(problem);
        }
        if verdict == Verdict::Stop {
            return self.stuck(exhausted(&problem));
        }
        // Memory may come back: another try after a pause, but not for ever.
        match self.faults.refusals.refused() {
            None => self.stuck(exhausted(&problem)),
            Some(pause) => {
                let until = tokio::time::Instant::now() + pause;
                if self.workers.active.is_some() {
                    // The model stays where it is; the policy says again what it wants.
                    self.faults.cpu_refused_until = Some(until);
                    self.told.notices = vec![Notice::CpuRefused { problem }];
                } else {
                    switch.stage = Stage::Pausing(until);
                    self.switch = Some(switch);
                }
            }
        }
    }

    /// The CPU cannot be gone to: the model stays where it is, or is stopped where it is nowhere.
    fn stuck(&mut self, problem: Problem) {
        if self.workers.active.is_some() {
            self.told.notices = vec![Notice::CpuRefused { problem }];
        } else {
            self.give_up(problem);
        }
    }

    /// Stops the model, and says why.
    pub(crate) fn give_up(&mut self, problem: Problem) {
        self.wishes.wanted = false;
        self.refuse_all(&problem);
        self.drop_model();
        self.told.problem = Some(problem);
    }

    /// The model could not be brought up for the first time: it is tried again, but not for ever.
    pub(crate) fn load_failed(&mut self, error: &StartError) {
        let problem = error.problem();
        tracing::warn!(code = ?problem.code, problem.message, "the model did not load");
        let again = match error {
            // A program that is not there, or is another one, will be no other the next time.
            StartError::Died(end) if matches!(end.kind, EndKind::NotStarted | EndKind::Protocol) => false,
            StartError::Died(end) => self.charge(Place::Cpu, end, unix_ms(), false) == Verdict::GoOn,
            // Whatever it is, it may have passed; a file that is wrong stays wrong.
            StartError::Refused(problem) => {
                problem.code == ProblemCode::LoadFailed && !std::mem::replace(&mut self.faults.tried_again, true)
            }
        };
        if !again {
            self.give_up(problem);
        }
    }

    /// Counts the end of a worker that had run since `since`, milliseconds since 1970.
    pub(crate) fn charge(&mut self, place: Place, end: &WorkerEnd, since: u64, has_written: bool) -> Verdict {
        self.faults.fruitless = if has_written { 0 } else { self.faults.fruitless + 1 };
        if self.faults.fruitless >= MOST_FRUITLESS {
            return if place == Place::Gpu { Verdict::CpuOnly } else { Verdict::Stop };
        }
        // Whoever ends a worker from outside says nothing of the worker.
        if end.kind == EndKind::Killed { Verdict::GoOn } else { self.crashed(place, since) }
    }

    fn crashed(&mut self, place: Place, since: u64) -> Verdict {
        let verdict = self.faults.budget.crashed(place, since, unix_ms());
        if place == Place::Gpu {
            let crashes = self.faults.budget.gpu_crashes().to_vec();
            self.remember(move |known| {
                known.crashes_unix_ms = crashes;
                known.cpu_only |= verdict == Verdict::CpuOnly;
            });
        }
        verdict
    }

    /// A CPU worker that nobody was waiting for crashed.
    pub(crate) fn cpu_worker_crashed(&mut self, end: &WorkerEnd, since: u64) {
        if end.kind != EndKind::Killed {
            // Even where that was one too many: the worker that answers goes on.
            self.crashed(Place::Cpu, since);
        }
    }

    /// The model crashed on the GPU too often.
    fn stay_on_cpu(&mut self) {
        if let Some(driver) = &mut self.driver {
            driver.cpu_only = true;
        }
        self.told.notices = vec![Notice::CrashedTooOften];
    }

    /// What earlier runs remember of this model on this card counts.
    pub(crate) fn remembered_crashes(&mut self, driver: &PolicyDriver) {
        let crashes = driver.card.as_ref().map(|card| card.known.crashes_unix_ms.clone());
        self.faults.budget = CrashBudget::with_gpu_crashes(crashes.unwrap_or_default());
    }

    /// The user chose a profile: what stood against the GPU is tried again.
    pub(crate) fn choose_anew(&mut self) {
        self.told.notices.clear();
        let wants_gpu = self.context.settings.profile != ProfileChoice::Fixed(Profile::CpuFallback);
        let Some(driver) = self.driver.as_mut().filter(|_| wants_gpu) else { return };
        let was_cpu_only = driver.cpu_only;
        driver.forgive();
        self.faults.budget.forgive();
        if was_cpu_only {
            self.remember(|known| (known.cpu_only, known.crashes_unix_ms) = (false, Vec::new()));
        }
    }
}

const fn place_of(profile: Profile) -> Place {
    if profile.uses_gpu() { Place::Gpu } else { Place::Cpu }
}

fn is_of_memory(error: &StartError) -> bool {
    match error {
        StartError::Refused(problem) => {
            matches!(problem.code, ProblemCode::OutOfMemory | ProblemCode::ContextTooLarge)
        }
        StartError::Died(end) => end.kind == EndKind::OutOfMemory,
    }
}

/// The budget is spent: what the last one ended with, and that no more are tried.
fn exhausted(last: &Problem) -> Problem {
    let message = format!(
        "The model process ended too often, so Workly stopped trying. Choose another model or a smaller context, or send \
         the message again to try once more. The last time: {}",
        last.message
    );
    Problem { message, ..last.clone() }
}
