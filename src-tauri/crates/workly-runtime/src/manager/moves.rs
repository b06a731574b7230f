//! How the model moves: bringing it up, making the next worker ready, carrying the answer over.

use std::time::Instant;

use workly_core::crash_budget::Place;
use workly_core::policy::{self, ProfilePlan};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::switch_plan::SwitchStrategy;
use workly_core::switch_plan::{Situation, strategy};
use workly_core::why::{Notice, Why};
use workly_engine::protocol::UnfinishedAnswer;
use workly_library::experience::unix_ms;

use super::handover::{Handover, Left, Parked, Reason, Released, Saved, StateFolder};
use super::pilot::Pilot;
use super::placed::{Gone, Placed, Settling};
use super::standby::StandbyNews;
use super::switch::{Arrival, Coming, EVACUATE_WITHIN, Stage, Switch};
use super::task::Task;
use crate::bring_up::{First, Running, Setback};
use crate::cpu::{available_memory, default_threads, step_down_threads};

impl Task {
    /// Brings the model up: for the first time, or again where the policy wants it.
    pub(super) fn bring_up(&mut self) {
        match &self.pilot {
            None => {
                self.notices.clear();
                self.first = Some(Box::pin(self.site.clone().first()));
            }
            Some(pilot) => {
                let to = pilot.state.profile();
                let reason = self.why.clone().unwrap_or_else(|| Reason::Unknown);
                self.begin_anew(to, reason);
            }
        }
    }

    /// The model is up for the first time, or will not come up.
    pub(super) fn first_up(&mut self, result: Result<First, Setback>) {
        match result {
            Ok(First { running, card, before, ceiling, notices, fell_back }) => {
                let now = self.site.monitor.now_ms();
                let mut pilot = Pilot::new(running.profile, card, before.as_ref(), now);
                pilot.ceiling = ceiling;
                if fell_back.is_some() {
                    pilot.refused(now);
                }
                self.remembered_crashes(&pilot);
                self.pilot = Some(pilot);
                self.notices = notices;
                let at = running.profile;
                self.place(running);
                self.last_profile = Some(at);
                self.note_move(None, at, None);
                if let Some(Setback::Died(end)) = fell_back {
                    self.charge(Place::Gpu, &end, unix_ms(), false);
                }
            }
            Err(setback) => self.load_failed(&setback),
        }
    }

    /// Puts a worker in its place; the one before, if any, comes back.
    fn place(&mut self, running: Running) -> Option<Placed> {
        self.generation += 1;
        let placed = Placed { running, generation: self.generation, since: unix_ms(), has_written: false };
        self.running.replace(placed)
    }

    /// The user, or a script in the user's name, wants the model elsewhere.
    pub(super) fn ordered(&mut self, to: Profile, why: Why) {
        if let ProfileChoice::Fixed(_) = self.site.settings.profile {
            self.site.settings.profile = ProfileChoice::Fixed(to);
        }
        if self.first.is_some() {
            // Not loaded yet: it is loaded there.
            self.site.settings.profile = ProfileChoice::Fixed(to);
            self.first = Some(Box::pin(self.site.clone().first()));
        } else if self.running.is_some() {
            self.call_off();
            if self.switch.is_none() {
                self.begin_switch(to, Reason::Known(why), false);
            }
        }
    }

    /// Does what the policy decided. A decision to go down calls an unfinished climb off; any other waits for the switch
    /// under way, which the policy learns from where the model is.
    pub(super) fn follow(&mut self, decided: policy::Switch) {
        let asks = matches!(decided.reason, policy::Reason::Overload | policy::Reason::Stress | policy::Reason::Fault);
        if asks {
            let (monitor, own) = (self.site.monitor.clone(), self.own_processes());
            self.culprits = Some(Box::pin(async move {
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
        let settings = &self.site.settings;
        let Some(pilot) = &self.pilot else { return ProfilePlan::NONE };
        match (settings.gpu_layers, &pilot.card) {
            (Some(layers), Some(card)) if to.uses_gpu() => card.footprints.plan(layers),
            _ => pilot.solved(settings).map_or(ProfilePlan::NONE, |plans| plans.of(to)),
        }
    }

    /// Begins a switch from a worker that runs.
    fn begin_switch(&mut self, to: Profile, reason: Reason, emergency: bool) {
        let Some(placed) = &self.running else { return self.begin_anew(to, reason) };
        let from = placed.running.profile;
        let plan = self.plan_for(to);
        let knows_card = self.pilot.as_ref().is_some_and(|pilot| pilot.card.is_some());
        if from == to && plan == placed.running.plan {
            return;
        }
        if to.uses_gpu() && plan.layers == 0 && knows_card {
            self.notices = vec![Notice::NoRoom { wanted: to }];
            return;
        }
        let situation = Situation {
            alive: true,
            from_gpu: from.uses_gpu(),
            to_gpu: to.uses_gpu(),
            emergency,
            vram_room: self.pilot.as_ref().and_then(|pilot| pilot.vram_room(&self.site.settings)),
            footprint: self.pilot.as_ref().map_or(0, |pilot| pilot.footprint(plan)),
            standby_ready: self.standby.is_ready(),
            ram_room: available_memory(),
            cpu_worker_ram: self.standby.worker_memory(placed.running.model.size_bytes),
        };
        let strategy = strategy(&situation);
        tracing::info!(%from, %to, ?strategy, why = ?reason.why(), "switch");
        let stage = match strategy {
            SwitchStrategy::Emergency => {
                let folder = StateFolder::new();
                let live = self.answering.as_ref().filter(|answering| answering.stop_by.is_none());
                if let Some(call) = live.and_then(|answering| answering.call.as_ref()) {
                    call.hand_over(folder.file());
                }
                Stage::Evacuating(folder, tokio::time::Instant::now() + EVACUATE_WITHIN)
            }
            SwitchStrategy::ViaCpu => self.prepare(Profile::CpuFallback, ProfilePlan::NONE),
            SwitchStrategy::Standby | SwitchStrategy::SideBySide | SwitchStrategy::Replay => self.prepare(to, plan),
        };
        self.begin(Switch { to, plan, reason, strategy, decided: Instant::now(), stage });
    }

    /// Begins a switch with no worker left: the answer, if there is one, is replayed.
    pub(super) fn begin_anew(&mut self, to: Profile, reason: Reason) {
        let mut plan = self.plan_for(to);
        let to = if to.uses_gpu() && plan.layers == 0 { Profile::CpuFallback } else { to };
        if !to.uses_gpu() {
            plan = ProfilePlan::NONE;
        }
        // Where a worker waits nobody else does: the way to the GPU goes over it.
        let stage = if to.uses_gpu() && !self.standby.is_ready() {
            Stage::AwaitingMemory
        } else {
            self.prepare(Profile::CpuFallback, ProfilePlan::NONE)
        };
        self.begin(Switch { to, plan, reason, strategy: SwitchStrategy::Replay, decided: Instant::now(), stage });
    }

    fn begin(&mut self, switch: Switch) {
        (self.why, self.strategy) = (Some(switch.reason.clone()), Some(switch.strategy));
        let is_evacuating = matches!(switch.stage, Stage::Evacuating(..));
        self.switch = Some(switch);
        let has_call = self.answering.as_ref().is_some_and(|answering| answering.call.is_some());
        if is_evacuating && !has_call && !self.put_down() {
            self.evacuated();
        }
    }

    /// The next worker on its way up: the standby on the CPU, where there is one.
    fn prepare(&mut self, profile: Profile, plan: ProfilePlan) -> Stage {
        let coming: Coming = if profile.uses_gpu() {
            let site = self.site.clone();
            let device = self.pilot.as_ref().and_then(|pilot| Some(pilot.card.as_ref()?.device.name.clone()));
            match device {
                Some(device) => {
                    Box::pin(async move { Arrival { result: site.on_gpu(device, profile, plan).await, card: None } })
                }
                None => Box::pin(async move {
                    let (result, card) = site.on_unknown_gpu(profile).await;
                    Arrival { result, card }
                }),
            }
        } else {
            match self.standby.take() {
                Some(Ok(running)) => Box::pin(async move { Arrival { result: Ok(running), card: None } }),
                Some(Err(coming)) => coming,
                None => self.cpu_worker(),
            }
        };
        Stage::Preparing { profile, coming }
    }

    /// A fresh CPU worker that leaves room for whoever the GPU was left to.
    fn cpu_worker(&self) -> Coming {
        let uses_gpu = self.pilot.as_ref().is_some_and(|pilot| pilot.card.is_some());
        let threads = if uses_gpu { step_down_threads() } else { default_threads() };
        let (site, threads) = (self.site.clone(), self.site.settings.threads.unwrap_or(threads));
        Box::pin(async move { Arrival { result: site.on_cpu(threads).await, card: None } })
    }

    /// Calls the switch under way off, where it can still be: what was on its way is ended.
    fn call_off(&mut self) {
        match self.switch.take() {
            Some(switch) if matches!(switch.stage, Stage::Evacuating(..)) || self.running.is_none() => {
                self.switch = Some(switch);
            }
            Some(switch) => {
                if switch.loads_gpu() {
                    self.await_memory(switch.plan);
                }
                match switch.stage {
                    Stage::HandingOver(target, _) if target.profile.uses_gpu() => {
                        self.leaving.end(target.worker, 0, true, switch.decided);
                    }
                    // A CPU worker is of use as the standby.
                    Stage::HandingOver(target, _) => self.standby.keep(*target),
                    Stage::Preparing { profile: Profile::CpuFallback, coming } => self.standby.coming(coming),
                    Stage::Preparing { .. } | Stage::AwaitingMemory | Stage::Evacuating(..) => {}
                }
            }
            None => {}
        }
    }

    /// The next worker is there, or will never be.
    pub(super) fn target_up(&mut self, arrival: Arrival) {
        if let (Some(card), Some(pilot)) = (arrival.card, &mut self.pilot) {
            pilot.sized_up(card);
        }
        let Some(switch) = &mut self.switch else { return };
        let target = match arrival.result {
            Ok(target) => target,
            Err(setback) => return self.target_failed(&setback),
        };
        let live = self.answering.as_ref().filter(|answering| answering.stop_by.is_none());
        if let Some(call) = live.and_then(|answering| answering.call.as_ref()) {
            let folder = StateFolder::new();
            call.hand_over(folder.file());
            switch.stage = Stage::HandingOver(Box::new(target), folder);
        } else if self.answering.is_none() && self.put_down() {
            if let Some(switch) = &mut self.switch {
                switch.stage = Stage::HandingOver(Box::new(target), StateFolder::new());
            }
        } else {
            self.adopt(target);
        }
    }

    /// The present worker gave its answer up, to be written on elsewhere; `saved`: bytes and milliseconds.
    pub(super) fn handed_over(&mut self, unfinished: UnfinishedAnswer, saved: Option<(u64, f64)>) {
        let (Some(answering), Some(placed)) = (&mut self.answering, &self.running) else { return };
        let left = Left { generation: placed.generation, profile: placed.running.profile, released: Released::Pending };
        let keep = |folder: StateFolder| saved.map(|(bytes, took_ms)| Saved { folder, bytes, took_ms });
        answering.call = None;
        let park = |state| answering.parked = Some(Parked { unfinished: Some(unfinished), state, left });
        let stage = self.switch.as_mut().map(|switch| std::mem::replace(&mut switch.stage, Stage::AwaitingMemory));
        match stage {
            Some(Stage::HandingOver(target, folder)) => {
                park(keep(folder));
                self.adopt(*target);
            }
            Some(Stage::Evacuating(folder, _)) => {
                park(keep(folder));
                self.evacuated();
            }
            // The switch was called off after the worker was asked: that worker goes on with what is in its KV cache.
            other => {
                park(None);
                self.put_back(other);
            }
        }
    }

    pub(super) fn put_back(&mut self, stage: Option<Stage>) {
        if let (Some(switch), Some(stage)) = (&mut self.switch, stage) {
            switch.stage = stage;
        }
    }

    /// The answer ended where it was: a worker that waited for it takes its place, with what was said so far.
    pub(super) fn answer_ended(&mut self) {
        if !self.switch.as_ref().is_some_and(Switch::awaits_present) || !self.put_down() {
            self.leave();
        }
    }

    /// Leaves the present worker: what it was asked for is there, or will not come.
    pub(super) fn leave(&mut self) {
        let stage = self.switch.as_mut().map(|switch| std::mem::replace(&mut switch.stage, Stage::AwaitingMemory));
        match stage {
            Some(Stage::HandingOver(target, _)) => self.adopt(*target),
            Some(Stage::Evacuating(..)) => self.evacuated(),
            other => self.put_back(other),
        }
    }

    /// The present worker has had its time: it is ended, ready or not, and the next one comes up.
    pub(super) fn evacuated(&mut self) {
        self.park_from_what_was_heard();
        let Some(switch) = &self.switch else { return };
        let (to, plan, decided) = (switch.to, switch.plan, switch.decided);
        if let Some(placed) = self.running.take() {
            self.retire(placed, decided);
        }
        let stage = if to.uses_gpu() { Stage::AwaitingMemory } else { self.prepare(to, plan) };
        self.put_back(Some(stage));
    }

    /// The worker that writes the answer is lost: what was heard of it must do.
    pub(super) fn park_from_what_was_heard(&mut self) {
        let (Some(answering), Some(placed)) = (&mut self.answering, &self.running) else { return };
        if answering.call.take().is_none() {
            return;
        }
        if answering.stop_by.is_some() {
            answering.answer.stopped();
            self.answering = None;
            return;
        }
        let left = Left { generation: placed.generation, profile: placed.running.profile, released: Released::Pending };
        answering.parked = Some(Parked { unfinished: answering.answer.unfinished(), state: None, left });
    }

    /// Takes the next worker in the place of the present one. What is left of the switch goes on from there.
    pub(super) fn adopt(&mut self, target: Running) {
        let Some(switch) = self.switch.take() else { return };
        let Switch { to, plan, reason, strategy, decided, .. } = switch;
        let at = target.profile;
        self.take_up(&target);
        let old = self.place(target);
        let from = self.last_profile.replace(at).unwrap_or(at);
        self.note_move(Some(from), at, Some(reason.clone()));
        let old_on_gpu = old.as_ref().map(|placed| placed.running.profile.uses_gpu());
        if let Some(answering) = &mut self.answering
            && let Some(parked) = &mut answering.parked
        {
            if old_on_gpu == Some(false) || !parked.left.profile.uses_gpu() {
                parked.left.released = Released::NoneEnds;
            }
            answering.answer.handed_over(Handover {
                left: parked.left,
                to: at,
                reason: reason.clone(),
                strategy,
                saved: parked.state.as_ref().map(|saved| (saved.bytes, saved.took_ms)),
                restored: None,
                first_token: None,
            });
        }
        if let Some(old) = old {
            self.retire(old, decided);
        }
        if at != to {
            // The way to the GPU went over the CPU.
            let strategy = if strategy == SwitchStrategy::ViaCpu { strategy } else { SwitchStrategy::SideBySide };
            self.switch = Some(Switch { to, plan, reason, strategy, decided, stage: Stage::AwaitingMemory });
        }
    }

    /// Ends a worker that was left, or keeps it as the standby.
    fn retire(&mut self, old: Placed, decided: Instant) {
        let Placed { running, generation, .. } = old;
        let settings = &self.site.settings;
        let to_gpu = self.running.as_ref().is_some_and(|placed| placed.running.profile.uses_gpu());
        let fits = running.model.threads <= settings.threads.unwrap_or_else(step_down_threads);
        let setting = settings.standby;
        if !running.profile.uses_gpu()
            && to_gpu
            && fits
            && setting != workly_core::settings::Standby::Off
            && self.standby.is_absent()
        {
            self.standby.keep(running);
            return;
        }
        if running.profile.uses_gpu() {
            self.await_memory(running.plan);
        }
        self.leaving.end(running.worker, generation, running.profile.uses_gpu(), decided);
    }

    /// A plan's memory is to come back to the card.
    pub(super) fn await_memory(&mut self, plan: ProfilePlan) {
        let Some(pilot) = &self.pilot else { return };
        let own = pilot.footprint(plan);
        if let Some(reading) = pilot.reading().filter(|_| pilot.sees() && own > 0) {
            self.settling = Some(Settling::new(reading, own));
        }
    }

    /// Goes on once the memory of the worker that was left is back.
    pub(super) fn settle(&mut self) {
        if self.leaving.on_gpu > 0 {
            return;
        }
        let seen = self.pilot.as_ref().and_then(|pilot| pilot.reading().filter(|_| pilot.sees()));
        if self.settling.is_some_and(|settling| settling.is_over(seen)) {
            self.settling = None;
        }
        if self.settling.is_some() {
            return;
        }
        if let Some(Switch { stage: Stage::AwaitingMemory, to, plan, .. }) = self.switch {
            let stage = self.prepare(to, plan);
            self.put_back(Some(stage));
        }
    }

    pub(super) fn left_worker_gone(&mut self, gone: &Gone) {
        let Some(answering) = &mut self.answering else { return };
        match &mut answering.parked {
            Some(parked) if parked.left.generation == gone.generation => {
                parked.left.released = Released::After(gone.after);
            }
            _ => answering.answer.released(gone.generation, gone.after),
        }
    }

    /// Keeps a CPU worker ready while the model is on the GPU.
    pub(super) fn tend_standby(&mut self) {
        let Some(placed) = &self.running else { return };
        let setting = self.site.settings.standby;
        if setting == workly_core::settings::Standby::Off {
            if let Some(running) = self.standby.dismiss() {
                self.leaving.end(running.worker, 0, false, Instant::now());
            }
        } else if placed.running.profile.uses_gpu()
            && self.switch.is_none()
            && self.standby.is_due(setting, placed.running.model.size_bytes)
        {
            let coming = self.cpu_worker();
            self.standby.coming(coming);
        }
    }

    pub(super) fn standby_news(&mut self, news: StandbyNews) {
        match news {
            StandbyNews::Arrived(arrival) => match arrival.result {
                Ok(running) => self.standby.keep(running),
                Err(setback) => {
                    tracing::warn!(problem = ?setback.problem(), "no standby");
                    self.standby.failed();
                    if let Setback::Died(end) = setback {
                        self.cpu_worker_crashed(&end, unix_ms());
                    }
                }
            },
            StandbyNews::Ended(end) => {
                tracing::warn!(kind = ?end.kind, "the standby ended");
                self.standby.failed();
                self.cpu_worker_crashed(&end, unix_ms());
            }
        }
    }

    /// Process ids of our own workers.
    fn own_processes(&self) -> Vec<u32> {
        let target = match self.switch.as_ref().map(|switch| &switch.stage) {
            Some(Stage::HandingOver(target, _)) => Some(target.worker.process_id()),
            _ => None,
        };
        let running = self.running.as_ref().map(|placed| placed.running.worker.process_id());
        running.into_iter().chain(target).chain([std::process::id()]).collect()
    }
}
