//! A card, others on it, and Workly following its own policy: the closed loop with loads and unloads that take time.

use workly_core::policy::{
    Config, Decision, Fault, LayerPlan, NextLook, Observation, PolicyState, ProfilePlan, Sight, Switch, decide,
    highest_admissible,
};
use workly_core::profile::Profile;
use workly_core::reading::Reading;

pub(crate) const MIB: u64 = 1 << 20;

/// What others do, and how Workly is built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Card {
    pub(crate) total: u64,
    pub(crate) external: u64,
    pub(crate) external_gpu: Option<f32>,
    pub(crate) plans: LayerPlan,
    /// True footprint / predicted footprint.
    pub(crate) truth: f64,
    pub(crate) load_ms: u64,
    pub(crate) leave_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Move {
    began: u64,
    ends: u64,
    from_bytes: u64,
    to_bytes: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) card: Card,
    pub(crate) config: Config,
    pub(crate) state: PolicyState,
    pub(crate) now: u64,
    pub(crate) profile: Profile,
    pub(crate) active: ProfilePlan,
    pub(crate) generating: bool,
    pub(crate) fault: Option<Fault>,
    pub(crate) gone: bool,
    pub(crate) switches: Vec<(u64, Switch)>,
    under_way: Option<Move>,
    gpu_work_ms: Option<u64>,
    last_full: Option<u64>,
}

pub(crate) fn plans(performance: u64, balanced: u64) -> LayerPlan {
    let plan = |layers, footprint| ProfilePlan { layers, footprint };
    LayerPlan { performance: plan(40, performance), balanced: plan(25, balanced), model_layers: 40 }
}

/// The seed's laptop: 6141 MiB, a 7B model, a desktop that takes 250 MiB.
pub(crate) fn laptop() -> Card {
    Card {
        total: 6141 * MIB,
        external: 250 * MIB,
        external_gpu: Some(5.0),
        plans: plans(5100 * MIB, 3300 * MIB),
        truth: 1.0,
        load_ms: 0,
        leave_ms: 0,
    }
}

impl World {
    /// Starts in the profile the up rule admits.
    pub(crate) fn new(card: Card) -> Self {
        let before = Reading {
            vram_total: card.total,
            vram_used: card.external.min(card.total),
            gpu_percent: card.external_gpu,
            ..Reading::default()
        };
        let config = Config::default();
        let profile = highest_admissible(&before, &card.plans, &config.thresholds);
        Self::starting_in(profile, card)
    }

    pub(crate) fn starting_in(profile: Profile, card: Card) -> Self {
        let before = Reading {
            vram_total: card.total,
            vram_used: card.external.min(card.total),
            gpu_percent: card.external_gpu,
            ..Reading::default()
        };
        Self {
            card,
            config: Config::default(),
            state: PolicyState::new(profile, Some(&before), 1.0, 0),
            now: 0,
            profile,
            active: card.plans.of(profile),
            generating: false,
            fault: None,
            gone: false,
            switches: Vec::new(),
            under_way: None,
            gpu_work_ms: None,
            last_full: None,
        }
    }

    fn true_bytes(&self, plan: ProfilePlan) -> u64 {
        (plan.footprint as f64 * self.card.truth) as u64
    }

    /// VRAM Workly holds now, bytes.
    pub(crate) fn own(&self) -> u64 {
        let Some(Move { began, ends, from_bytes, to_bytes }) = self.under_way else {
            return self.true_bytes(self.active);
        };
        let share = (self.now - began) as f64 / (ends - began).max(1) as f64;
        if to_bytes == 0 || share < 0.5 && from_bytes > 0 { from_bytes } else { (to_bytes as f64 * share) as u64 }
    }

    /// What the policy would be told now, with `external` bytes held by others.
    pub(crate) fn observe(&mut self, external: u64) -> Observation {
        if self.under_way.is_some_and(|under_way| self.now >= under_way.ends) {
            self.under_way = None;
        }
        let on_gpu = self.profile.uses_gpu() && self.under_way.is_none();
        if self.generating && on_gpu {
            self.gpu_work_ms = Some(self.now);
        }
        let own_percent = if self.generating && on_gpu { 95.0 } else { 0.0 };
        let full = self.last_full.is_none_or(|last| self.now.saturating_sub(last) >= 5_000);
        if full {
            self.last_full = Some(self.now);
        }
        let used = external.saturating_add(self.own()).min(self.card.total);
        let reading = Reading {
            time_ms: self.now,
            vram_total: self.card.total,
            vram_used: used,
            vram_free: self.card.total - used,
            gpu_percent: self.card.external_gpu.filter(|_| full).map(|percent| (percent + own_percent).min(100.0)),
            ..Reading::default()
        };
        Observation {
            sight: if self.gone { Sight::Gone } else { Sight::Fresh(reading) },
            utilization_asked: full,
            profile: self.profile,
            moving: self.under_way.is_some(),
            active: self.active,
            plans: self.card.plans,
            gpu_work_ms: self.gpu_work_ms,
            answering: self.generating,
            speed: None,
            fault: self.fault.take(),
        }
    }

    /// One look, and what follows from it.
    pub(crate) fn step(&mut self) -> (Observation, Decision) {
        let observation = self.observe(self.card.external);
        let (state, decision) = decide(self.state, &observation, &self.config, self.now);
        self.state = state;
        if let Decision::Switch(switch) = decision {
            self.switches.push((self.now, switch));
            let from_bytes = self.own();
            self.profile = switch.to;
            self.active = self.card.plans.of(switch.to);
            let to_bytes = self.true_bytes(self.active);
            let takes = if switch.to.uses_gpu() { self.card.load_ms } else { self.card.leave_ms };
            self.under_way = (takes > 0 && from_bytes + to_bytes > 0).then_some(Move {
                began: self.now,
                ends: self.now + takes,
                from_bytes,
                to_bytes,
            });
        }
        self.now += match self.state.next_look() {
            NextLook::Confirm => 250,
            NextLook::Guard => 500,
            NextLook::Interval => 5_000,
        };
        (observation, decision)
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, seconds: u64) {
        let end = self.now + seconds * 1000;
        while self.now < end {
            self.step();
        }
    }

    /// The profiles switched to so far, with the reasons.
    pub(crate) fn path(&self) -> Vec<(Profile, &'static str)> {
        self.switches.iter().map(|(_, switch)| (switch.to, switch.reason.name())).collect()
    }
}
