//! What follows when a worker ends by itself, fails to load, or cannot compute: the answer goes on elsewhere, until the
//! crash budget says that it is enough.

use std::time::Duration;

use workly_core::crash_budget::{CrashBudget, Place, Verdict};
use workly_core::policy::Fault;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::{Notice, Why, WorkerFault, WorkerFaultKind};
use workly_engine::end::{EndKind, WorkerEnd};
use workly_library::experience::unix_ms;

use super::handover::{Reason, Released};
use super::pilot::{Pilot, Whereabouts};
use super::placed::Placed;
use super::switch::Stage;
use super::task::Task;
use crate::bring_up::{Setback, told};

const NOT_COMPUTED: WorkerFault = WorkerFault { kind: WorkerFaultKind::NotComputed, signal: None, exit_code: None };
/// Workers in a row that end before they write a token, whoever ended them, until no more are tried.
const MOST_FRUITLESS: u32 = 6;

impl Task {
    /// The worker is gone.
    pub(super) fn worker_ended(&mut self, end: &WorkerEnd) {
        let before = self.whereabouts();
        self.park_from_what_was_heard();
        let Some(placed) = self.running.take() else { return };
        tracing::warn!(kind = ?end.kind, profile = %placed.running.profile, "{}", end.message);
        if let Some(parked) = self.answering.as_mut().and_then(|answering| answering.parked.as_mut()) {
            // Its process is gone already.
            parked.left.released = Released::After(Duration::ZERO);
        }
        if end.kind == EndKind::Clean {
            // Ended by us, because it did not hear a stop.
            let reason = self.why.clone().unwrap_or_else(|| Reason::Unknown);
            return self.continue_in(placed.running.profile, reason);
        }
        let place = place_of(placed.running.profile);
        let verdict = self.charge(place, end, placed.since, placed.has_written);
        self.recover(&placed, verdict, fault_of(end.kind), told(end), before, || end.problem());
    }

    /// The worker lives, but could not compute: it is ended, and another one tries.
    pub(super) fn computation_failed(&mut self, problem: &Problem) {
        let before = self.whereabouts();
        self.park_from_what_was_heard();
        let Some(placed) = self.running.take() else { return };
        tracing::warn!(code = ?problem.code, details = ?problem.details, "the worker could not compute");
        let place = place_of(placed.running.profile);
        let verdict = self.crashed(place, placed.since);
        let fault = if problem.code == ProblemCode::OutOfMemory { Fault::Memory } else { Fault::Other };
        placed.running.worker.kill();
        self.recover(&placed, verdict, fault, NOT_COMPUTED, before, || problem.clone());
        self.leaving.end(
            placed.running.worker,
            placed.generation,
            placed.running.profile.uses_gpu(),
            std::time::Instant::now(),
        );
    }

    fn recover(
        &mut self,
        placed: &Placed,
        verdict: Verdict,
        fault: Fault,
        worker_fault: WorkerFault,
        before: Option<Whereabouts>,
        problem: impl FnOnce() -> Problem,
    ) {
        if placed.running.profile.uses_gpu() {
            self.await_memory(placed.running.plan);
        }
        let decided = match before {
            Some(before) if placed.running.profile.uses_gpu() => self.report(fault, &before),
            _ => None,
        };
        let to = match (verdict, &decided) {
            (Verdict::Stop, _) => return self.give_up(exhausted(&problem())),
            (Verdict::CpuOnly, _) => {
                self.stay_on_cpu();
                Profile::CpuFallback
            }
            (Verdict::GoOn, Some(switch)) => switch.to,
            (Verdict::GoOn, None) => placed.running.profile,
        };
        let reason = match decided {
            Some(switch) if fault == Fault::Memory && verdict == Verdict::GoOn => {
                Reason::Decided { switch, culprits: Some(Vec::new()) }
            }
            _ => Reason::Known(Why::Worker { fault: worker_fault }),
        };
        self.continue_in(to, reason);
    }

    /// Goes on in this profile, with the worker that was on its way if it is one that serves.
    fn continue_in(&mut self, to: Profile, reason: Reason) {
        if let Some(mut switch) = self.switch.take() {
            match switch.stage {
                Stage::HandingOver(target, folder) => {
                    drop(folder);
                    switch.stage = Stage::AwaitingMemory;
                    (switch.strategy, switch.reason) = (SwitchStrategy::Replay, reason.clone());
                    self.switch = Some(switch);
                    self.why = Some(reason);
                    return self.adopt(*target);
                }
                Stage::Preparing { profile: Profile::CpuFallback, coming } => self.standby.coming(coming),
                // A climb is not waited for; the policy tries it again.
                Stage::Preparing { .. } if switch.loads_gpu() => self.await_memory(switch.plan),
                Stage::Preparing { .. } | Stage::AwaitingMemory | Stage::Evacuating(..) => {}
            }
        }
        self.begin_anew(to, reason);
    }

    /// Tells the policy of a fault of the worker on the GPU.
    fn report(&mut self, fault: Fault, before: &Whereabouts) -> Option<workly_core::policy::Switch> {
        let now = self.site.monitor.now_ms();
        self.pilot.as_mut()?.fault(fault, before, &self.site.settings, unix_ms() / 1_000, now)
    }

    /// The next worker could not be brought up.
    pub(super) fn target_failed(&mut self, setback: &Setback) {
        let Some(mut switch) = self.switch.take() else { return };
        let Stage::Preparing { profile, .. } = switch.stage else { return };
        let problem = setback.problem();
        tracing::warn!(%profile, code = ?problem.code, problem.message, "the next worker did not come up");
        let verdict = match setback {
            Setback::Died(end) => self.charge(place_of(profile), end, unix_ms(), false),
            Setback::Refused(_) => Verdict::GoOn,
        };
        if profile.uses_gpu() {
            self.await_memory(switch.plan);
            if verdict == Verdict::CpuOnly {
                self.stay_on_cpu();
            } else {
                self.notices = vec![Notice::NotTaken { wanted: profile, problem: problem.clone() }];
            }
            if let Some(pilot) = &mut self.pilot {
                pilot.refused(self.site.monitor.now_ms());
            }
            if let Some(loading) = self.whereabouts() {
                let fault = if is_of_memory(setback) { Fault::Memory } else { Fault::Other };
                self.report(fault, &Whereabouts { profile, active: switch.plan, ..loading });
            }
            if self.running.is_none() {
                self.begin_anew(Profile::CpuFallback, switch.reason);
            }
            return;
        }
        match verdict {
            _ if !setback.is_about_the_place() => self.stuck(problem),
            Verdict::Stop => self.stuck(exhausted(&problem)),
            Verdict::GoOn | Verdict::CpuOnly => {
                // Another try, from nothing.
                switch.stage = Stage::AwaitingMemory;
                let (to, reason) = (switch.to, switch.reason.clone());
                if self.running.is_none() {
                    self.begin_anew(to, reason);
                } else {
                    self.switch = Some(switch);
                }
            }
        }
    }

    /// The CPU cannot be gone to: the model stays where it is, or is stopped where it is nowhere.
    fn stuck(&mut self, problem: Problem) {
        if self.running.is_some() {
            self.notices = vec![Notice::CpuRefused { problem }];
        } else {
            self.give_up(problem);
        }
    }

    /// Stops the model, and says why.
    pub(super) fn give_up(&mut self, problem: Problem) {
        self.wanted = false;
        self.refuse_all(&problem);
        self.drop_model();
        self.problem = Some(problem);
    }

    /// The model could not be brought up for the first time: it is tried again, but not for ever.
    pub(super) fn load_failed(&mut self, setback: &Setback) {
        let problem = setback.problem();
        tracing::warn!(code = ?problem.code, problem.message, "the model did not load");
        let again = match setback {
            // A program that is not there, or is another one, will be no other the next time.
            Setback::Died(end) if matches!(end.kind, EndKind::NotStarted | EndKind::Protocol) => false,
            Setback::Died(end) => self.charge(Place::Cpu, end, unix_ms(), false) == Verdict::GoOn,
            // Whatever it is, it may have passed; a file that is wrong stays wrong.
            Setback::Refused(problem) => {
                problem.code == ProblemCode::LoadFailed && !std::mem::replace(&mut self.tried_again, true)
            }
        };
        if !again {
            self.give_up(problem);
        }
    }

    /// Counts the end of a worker that had run since `since`, milliseconds since 1970.
    pub(super) fn charge(&mut self, place: Place, end: &WorkerEnd, since: u64, has_written: bool) -> Verdict {
        self.fruitless = if has_written { 0 } else { self.fruitless + 1 };
        if self.fruitless >= MOST_FRUITLESS {
            return if place == Place::Gpu { Verdict::CpuOnly } else { Verdict::Stop };
        }
        // Whoever ends a worker from outside says nothing of the worker.
        if end.kind == EndKind::Killed { Verdict::GoOn } else { self.crashed(place, since) }
    }

    fn crashed(&mut self, place: Place, since: u64) -> Verdict {
        let verdict = self.budget.crashed(place, since, unix_ms());
        if place == Place::Gpu {
            let crashes = self.budget.gpu_crashes().to_vec();
            self.remember(move |known| {
                known.crashes_unix_ms = crashes;
                known.cpu_only |= verdict == Verdict::CpuOnly;
            });
        }
        verdict
    }

    /// A CPU worker that nobody was waiting for crashed.
    pub(super) fn cpu_worker_crashed(&mut self, end: &WorkerEnd, since: u64) {
        if !matches!(end.kind, EndKind::Killed | EndKind::Clean) {
            // Even where that was one too many: the worker that answers goes on.
            self.crashed(Place::Cpu, since);
        }
    }

    /// The model crashed on the GPU too often.
    fn stay_on_cpu(&mut self) {
        if let Some(pilot) = &mut self.pilot {
            pilot.cpu_only = true;
        }
        self.notices = vec![Notice::CrashedTooOften];
    }

    /// What earlier runs remember of this model on this card counts.
    pub(super) fn remembered_crashes(&mut self, pilot: &Pilot) {
        let crashes = pilot.card.as_ref().map(|card| card.known.crashes_unix_ms.clone());
        self.budget = CrashBudget::with_gpu_crashes(crashes.unwrap_or_default());
    }

    /// The user chose a profile: what stood against the GPU is tried again.
    pub(super) fn choose_anew(&mut self) {
        self.notices.clear();
        let wants_gpu = self.site.settings.profile != ProfileChoice::Fixed(Profile::CpuFallback);
        let Some(pilot) = self.pilot.as_mut().filter(|_| wants_gpu) else { return };
        let was_cpu_only = pilot.cpu_only;
        pilot.forgive();
        self.budget.forgive();
        if was_cpu_only {
            self.remember(|known| (known.cpu_only, known.crashes_unix_ms) = (false, Vec::new()));
        }
    }
}

const fn place_of(profile: Profile) -> Place {
    if profile.uses_gpu() { Place::Gpu } else { Place::Cpu }
}

const fn fault_of(kind: EndKind) -> Fault {
    match kind {
        EndKind::OutOfMemory => Fault::Memory,
        _ => Fault::Other,
    }
}

fn is_of_memory(setback: &Setback) -> bool {
    match setback {
        Setback::Refused(problem) => {
            matches!(problem.code, ProblemCode::OutOfMemory | ProblemCode::ContextTooLarge)
        }
        Setback::Died(end) => end.kind == EndKind::OutOfMemory,
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
