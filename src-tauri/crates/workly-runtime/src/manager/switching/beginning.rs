//! Beginning a switch: from a worker that runs, or with none left; and calling one off.

use std::time::{Duration, Instant};

use workly_core::policy::{self, ProfilePlan};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::switch_plan::{Situation, SwitchStrategy, strategy};
use workly_core::why::{Notice, Why};

use super::switch::{Arrival, Coming, EVACUATE_WITHIN, Stage, Switch};
use crate::cpu::{available_memory, default_threads, step_down_threads};
use crate::manager::answers::handover::Reason;
use crate::manager::answers::state_file::StateFile;
use crate::manager::task::Task;
use crate::manager::workers::engine::Engine as _;

/// How long a worker may take over what was saved before the answer is asked for all the same. Gigabytes take a second.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(5);

impl Task {
    /// The user, or a script in the user's name, wants the model elsewhere.
    pub(crate) fn ordered(&mut self, to: Profile, why: Why) {
        if let ProfileChoice::Fixed(_) = self.context.settings.profile {
            self.context.settings.profile = ProfileChoice::Fixed(to);
        }
        if self.workers.first.is_some() {
            // Not loaded yet: it is loaded there.
            self.context.settings.profile = ProfileChoice::Fixed(to);
            self.workers.first = Some(Box::pin(self.context.clone().first()));
        } else if self.workers.active.is_some() || self.switch.is_some() {
            self.call_off();
            if self.switch.is_none() {
                self.begin_switch(to, Reason::Known(why), false);
            } else {
                // It cannot be called off any more: what was asked for follows it.
                self.wishes.ordered = Some((to, why));
            }
        }
    }

    /// Does what the policy decided. A decision to go down calls an unfinished climb off; any other waits for the switch
    /// under way, which the policy learns from where the model is.
    pub(crate) fn follow(&mut self, decided: policy::Switch) {
        let asks = matches!(decided.reason, policy::Reason::Overload | policy::Reason::Stress | policy::Reason::Fault);
        if asks {
            let (monitor, own) = (self.context.monitor.clone(), self.own_processes());
            self.asked.culprits = Some(Box::pin(async move {
                let mut all = monitor.processes().await.unwrap_or_default();
                all.retain(|process| !own.contains(&process.pid));
                all
            }));
        }
        let culprits = (!asks).then(Vec::new);
        if let Some(under_way) = &self.switch {
            if decided.to >= under_way.to {
                return;
            }
            self.call_off();
        }
        if self.switch.is_none() {
            self.begin_switch(decided.to, Reason::Decided { switch: decided, culprits }, decided.emergency);
        }
    }

    /// The plan of a profile for a switch to it; none where it would place nothing.
    fn plan_for(&self, to: Profile) -> ProfilePlan {
        let settings = &self.context.settings;
        let Some(driver) = &self.driver else { return ProfilePlan::NONE };
        match (settings.gpu_layers, &driver.card) {
            (Some(layers), Some(card)) if to.uses_gpu() => card.footprints.plan(layers),
            _ => driver.solved(settings).map_or(ProfilePlan::NONE, |plans| plans.of(to)),
        }
    }

    /// Begins a switch from a worker that runs.
    pub(crate) fn begin_switch(&mut self, to: Profile, reason: Reason, emergency: bool) {
        let Some(active) = &self.workers.active else { return self.begin_anew(to, reason) };
        let from = active.profile();
        let plan = self.plan_for(to);
        let knows_card = self.driver.as_ref().is_some_and(|driver| driver.card.is_some());
        if from == to && plan == active.running.plan {
            return;
        }
        if to.uses_gpu() && plan.layers == 0 && knows_card {
            self.told.notices = vec![Notice::NoRoom { wanted: to }];
            return;
        }
        if !to.uses_gpu()
            && !emergency
            && self.faults.cpu_refused_until.is_some_and(|until| tokio::time::Instant::now() < until)
        {
            return;
        }
        let state_bytes = self.state_bytes();
        let situation = Situation {
            alive: true,
            from_gpu: from.uses_gpu(),
            to_gpu: to.uses_gpu(),
            emergency,
            vram_room: self.driver.as_ref().and_then(|driver| driver.vram_room(&self.context.settings)),
            footprint: self.driver.as_ref().map_or(0, |driver| driver.footprint(plan)),
            standby_ready: self.workers.standby.is_ready(),
            ram_room: available_memory().saturating_sub(state_bytes),
            cpu_worker_ram: self.workers.standby.worker_memory(active.running.model.size_bytes),
        };
        let strategy = strategy(&situation);
        tracing::info!(%from, %to, ?strategy, why = ?reason.why(), "switch");
        let stage = match strategy {
            SwitchStrategy::Emergency => Stage::Evacuating(tokio::time::Instant::now() + EVACUATE_WITHIN),
            SwitchStrategy::ViaCpu => self.prepare(Profile::CpuFallback, ProfilePlan::NONE),
            SwitchStrategy::Standby | SwitchStrategy::SideBySide | SwitchStrategy::Replay => self.prepare(to, plan),
        };
        self.switch = Some(Switch { to, plan, reason, strategy, decided: Instant::now(), stage });
        self.ask_present();
    }

    /// Begins a switch with no worker left: the answers under way are replayed.
    pub(crate) fn begin_anew(&mut self, to: Profile, reason: Reason) {
        let mut plan = self.plan_for(to);
        let to = if to.uses_gpu() && plan.layers == 0 { Profile::CpuFallback } else { to };
        if !to.uses_gpu() {
            plan = ProfilePlan::NONE;
        }
        // Where a worker waits nobody else does: the way to the GPU goes over it.
        let stage = if to.uses_gpu() && !self.workers.standby.is_ready() {
            Stage::AwaitingMemory
        } else {
            self.prepare(Profile::CpuFallback, ProfilePlan::NONE)
        };
        let strategy = SwitchStrategy::Replay;
        self.switch = Some(Switch { to, plan, reason, strategy, decided: Instant::now(), stage });
    }

    /// Asks the present worker for the answers it writes, where the switch waits for that. Where there are none, the switch
    /// goes on at once.
    pub(crate) fn ask_present(&mut self) {
        if !self.switch.as_ref().is_some_and(Switch::awaits_present) {
            return;
        }
        let Some(active) = &self.workers.active else { return self.leave_present() };
        if !self.answers.ask_to_hand_over(&active.writer()) {
            self.leave_present();
        }
    }

    /// A card that fills up while the next worker gets ready is not waited for any longer.
    pub(crate) fn hurry(&mut self) {
        let percent =
            self.driver.as_ref().filter(|driver| driver.sees()).and_then(|driver| driver.reading()?.vram_percent());
        let is_full = percent.is_some_and(|percent| f64::from(percent) > policy::EMERGENCY_PERCENT);
        let on_gpu = self.workers.active.as_ref().is_some_and(|active| active.profile().uses_gpu());
        let Some(switch) = self.switch.as_mut().filter(|_| is_full && on_gpu) else { return };
        if !matches!(switch.stage, Stage::Preparing { profile: Profile::CpuFallback, .. }) {
            return;
        }
        let by = tokio::time::Instant::now() + EVACUATE_WITHIN;
        switch.strategy = SwitchStrategy::Emergency;
        if let Stage::Preparing { coming, .. } = std::mem::replace(&mut switch.stage, Stage::Evacuating(by)) {
            // The worker on its way is the one that goes on.
            self.workers.standby.coming(coming);
        }
        self.ask_present();
    }

    /// The next worker on its way up: the standby on the CPU, where there is one.
    pub(crate) fn prepare(&mut self, profile: Profile, plan: ProfilePlan) -> Stage {
        let coming: Coming = if profile.uses_gpu() {
            let context = self.context.clone();
            let device = self.driver.as_ref().and_then(|driver| Some(driver.card.as_ref()?.device.name.clone()));
            match device {
                Some(device) => {
                    Box::pin(async move { Arrival { result: context.on_gpu(device, profile, plan).await, card: None } })
                }
                None => Box::pin(async move {
                    let (result, card) = context.on_unknown_gpu(profile).await;
                    Arrival { result, card }
                }),
            }
        } else {
            match self.workers.standby.take() {
                Some(Ok(running)) => Box::pin(async move { Arrival { result: Ok(running), card: None } }),
                Some(Err(coming)) => coming,
                None => self.cpu_worker(),
            }
        };
        Stage::Preparing { profile, coming: taking_over(coming, self.answers.to_take_along()) }
    }

    /// A fresh CPU worker that leaves room for whoever the GPU was left to.
    pub(crate) fn cpu_worker(&self) -> Coming {
        let uses_gpu = self.driver.as_ref().is_some_and(|driver| driver.card.is_some());
        let threads = if uses_gpu { step_down_threads() } else { default_threads() };
        let (context, threads) = (self.context.clone(), self.context.settings.threads.unwrap_or(threads));
        Box::pin(async move { Arrival { result: context.on_cpu(threads).await, card: None } })
    }

    /// Calls the switch under way off, where it can still be: what was on its way is ended. An answer that was asked for
    /// already comes back and goes on where it was.
    pub(crate) fn call_off(&mut self) {
        let Some(switch) = self.switch.take() else { return };
        if matches!(switch.stage, Stage::Evacuating(_)) || self.workers.active.is_none() {
            self.switch = Some(switch);
            return;
        }
        if switch.loads_gpu() {
            self.await_memory(switch.plan);
        }
        match switch.stage {
            Stage::HandingOver(target) if target.profile.uses_gpu() => {
                self.workers.leaving.end(target.worker, true, switch.decided);
            }
            // A CPU worker is of use as the standby.
            Stage::HandingOver(target) => self.workers.standby.keep(*target),
            Stage::Preparing { profile: Profile::CpuFallback, coming } => self.workers.standby.coming(coming),
            Stage::Preparing { .. } | Stage::AwaitingMemory | Stage::Pausing(_) | Stage::Evacuating(_) => {}
        }
    }

    /// Bytes of RAM that the KV cache takes while it is carried over, as far as that is known.
    fn state_bytes(&self) -> u64 {
        let context = self.workers.active.as_ref().map_or(0, |active| active.running.model.context_tokens);
        self.workers.state_bytes_per_token * u64::from(context)
    }

    /// Process ids of our own workers.
    fn own_processes(&self) -> Vec<u32> {
        let target = match self.switch.as_ref().map(|switch| &switch.stage) {
            Some(Stage::HandingOver(target)) => Some(target.worker.process_id()),
            _ => None,
        };
        let active = self.workers.active.as_ref().map(|active| active.running.worker.process_id());
        active.into_iter().chain(target).chain([std::process::id()]).collect()
    }
}

/// A worker that takes over what was saved, once it is up: meanwhile the present one writes on, and little is left to take
/// over when it hands the answer on.
fn taking_over(coming: Coming, saved: Option<StateFile>) -> Coming {
    let Some(saved) = saved else { return coming };
    Box::pin(async move {
        let arrival = coming.await;
        if let Ok(running) = &arrival.result {
            // Whatever it says: what it could not take over is computed, and a worker that ends is noticed.
            let restoring = running.worker.restore(saved.path()).last();
            let _ = tokio::time::timeout(TAKE_OVER_WITHIN, restoring).await;
        }
        arrival
    })
}
