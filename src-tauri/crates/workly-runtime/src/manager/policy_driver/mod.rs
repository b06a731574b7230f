//! Driving the policy: turns what the monitor sees and where the model is into observations, asks
//! `workly_core::policy::decide`, and keeps what that remembers. Time is an argument, in milliseconds on the monitor's
//! clock.

mod on_reading;
mod speed_meter;

use workly_core::policy::{
    Config, Decision, Fault, LayerPlan, NextLook, Observation, PolicyState, ProfilePlan, Sight, Speed, Switch, decide,
};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::reading::Reading;

use speed_meter::SpeedMeter;

use crate::manager::workers::card::{Card, Circumstances};
use crate::model_settings::ModelSettings;

/// Time until the GPU is tried again after it would not take the model, milliseconds; doubled each time.
const FIRST_REFUSAL_MS: u64 = 30_000;
const LONGEST_REFUSAL_MS: u64 = 480_000;

/// Where the model is, as the manager knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Whereabouts {
    /// The profile; while the model moves, where it is going.
    pub(crate) profile: Profile,
    /// What the GPU worker was loaded with, or is being loaded with.
    pub(crate) active: ProfilePlan,
    /// A GPU worker loads or leaves, or its memory is coming back.
    pub(crate) moving: bool,
    /// An answer is being written.
    pub(crate) answering: bool,
}

/// The policy's side of the manager.
#[derive(Debug)]
pub(crate) struct PolicyDriver {
    pub(crate) state: PolicyState,
    pub(crate) card: Option<Card>,
    pub(crate) speed: SpeedMeter,
    /// The highest profile that is tried; a load above it never ended.
    pub(crate) ceiling: Option<Profile>,
    /// The model crashed on the GPU too often.
    pub(crate) cpu_only: bool,
    gpu_work_ms: Option<u64>,
    /// The GPU would not take the model: until when it is left alone, and for how long that was.
    refusal: Option<(u64, u64)>,
    /// The last reading, for whoever needs figures between two looks.
    last: Option<Reading>,
    sight: Sight,
}

impl PolicyDriver {
    /// `before`: the card before the model was on it.
    pub(crate) fn new(profile: Profile, card: Option<Card>, before: Option<&Reading>, now: u64) -> Self {
        let correction = card.as_ref().and_then(|card| card.known.correction).unwrap_or(1.0);
        Self {
            state: PolicyState::new(profile, before, correction, now),
            cpu_only: card.as_ref().is_some_and(|card| card.known.cpu_only),
            card,
            speed: SpeedMeter::default(),
            ceiling: None,
            gpu_work_ms: None,
            refusal: None,
            last: before.copied(),
            sight: before.map_or(Sight::Stale, |reading| Sight::Fresh(*reading)),
        }
    }

    /// The last reading.
    pub(crate) fn reading(&self) -> Option<&Reading> {
        self.last.as_ref()
    }

    /// Whether the monitor sees the card now.
    pub(crate) fn sees(&self) -> bool {
        matches!(self.sight, Sight::Fresh(_))
    }

    /// The GPU worker computed something just now.
    pub(crate) fn worked_on_gpu(&mut self, now: u64) {
        self.gpu_work_ms = Some(now);
    }

    /// The card became known later than the model was loaded.
    pub(crate) fn sized_up(&mut self, card: Card) {
        self.cpu_only |= card.known.cpu_only;
        self.card = Some(card);
    }

    /// The GPU would not take the model: it is left alone for a while.
    pub(crate) fn refused(&mut self, now: u64) {
        let wait = self.refusal.map_or(FIRST_REFUSAL_MS, |(_, wait)| (wait * 2).min(LONGEST_REFUSAL_MS));
        self.refusal = Some((now + wait, wait));
    }

    /// The user chose anew: what stood against the GPU is tried again.
    pub(crate) fn forgive(&mut self) {
        (self.refusal, self.ceiling, self.cpu_only) = (None, None, false);
    }

    /// The layer plan as things are; empty where the GPU is not to be tried.
    pub(crate) fn plans(&self, settings: &ModelSettings, now: u64) -> LayerPlan {
        let refused = self.refusal.is_some_and(|(until, _)| now < until);
        if self.cpu_only || refused {
            return LayerPlan::default();
        }
        let mut plans = self.solved(settings).unwrap_or_default();
        match self.ceiling {
            Some(Profile::CpuFallback) => (plans.performance, plans.balanced) = Default::default(),
            Some(Profile::Balanced) => plans.performance = plans.balanced,
            Some(Profile::Performance) | None => {}
        }
        plans
    }

    /// The layer plan for the card, whatever stands against trying it; `None` while the card or its size is unknown.
    pub(crate) fn solved(&self, settings: &ModelSettings) -> Option<LayerPlan> {
        let card = self.card.as_ref()?;
        let reading = self.last.filter(|reading| reading.vram_total > 0).unwrap_or_else(|| card.device.reading());
        let external = self.state.highest_external_vram().unwrap_or(reading.vram_used);
        let now = Circumstances {
            room: workly_core::layer_plan::Room { total: reading.vram_total, external },
            correction: self.state.correction(),
            failed_layers: self.state.failed_layers(),
        };
        Some(card.plans(settings, &now))
    }

    /// A plan's footprint as experience corrects it, bytes.
    pub(crate) fn footprint(&self, plan: ProfilePlan) -> u64 {
        (plan.footprint as f64 * self.state.correction()).round() as u64
    }

    /// VRAM that another worker may take beside what is on the card, bytes, without an overload.
    pub(crate) fn vram_room(&self, settings: &ModelSettings) -> Option<u64> {
        let reading = self.last.filter(|reading| reading.vram_total > 0 && self.sees())?;
        let line = settings.thresholds.overload_vram_percent / 100.0 * reading.vram_total as f64;
        Some((line as u64).saturating_sub(reading.vram_used).min(reading.vram_free))
    }

    /// Whether a clock towards a higher profile runs, or the card is to be watched closely for another reason.
    pub(crate) fn is_climbing(&self) -> bool {
        self.state.next_look() != NextLook::Interval
    }

    /// One look. `full`: utilization was asked for. What was asked for now and not given is unknown. `unix_s`: the wall
    /// clock, seconds since 1970.
    pub(crate) fn look(
        &mut self,
        sight: Sight,
        full: bool,
        whereabouts: &Whereabouts,
        settings: &ModelSettings,
        unix_s: u64,
        now: u64,
    ) -> Option<Switch> {
        self.sight = sight;
        if let Sight::Fresh(reading) = sight {
            self.last = Some(reading);
        }
        self.observe(full, whereabouts, None, settings, unix_s, now)
    }

    /// Thinks again about the last look: the settings changed.
    pub(crate) fn reconsider(
        &mut self,
        whereabouts: &Whereabouts,
        settings: &ModelSettings,
        unix_s: u64,
        now: u64,
    ) -> Option<Switch> {
        self.observe(false, whereabouts, None, settings, unix_s, now)
    }

    /// The GPU worker ended by itself. `whereabouts` are those before.
    pub(crate) fn fault(
        &mut self,
        fault: Fault,
        whereabouts: &Whereabouts,
        settings: &ModelSettings,
        unix_s: u64,
        now: u64,
    ) -> Option<Switch> {
        self.observe(false, whereabouts, Some(fault), settings, unix_s, now)
    }

    /// What the user has set, as far as it may be tried.
    fn config(&self, settings: &ModelSettings, unix_s: u64, now: u64) -> Config {
        let mut config = settings.policy(now, unix_s);
        if let (ProfileChoice::Fixed(wanted), Some(ceiling)) = (config.choice, self.ceiling) {
            config.choice = ProfileChoice::Fixed(wanted.min(ceiling));
        }
        config
    }

    fn observe(
        &mut self,
        full: bool,
        whereabouts: &Whereabouts,
        fault: Option<Fault>,
        settings: &ModelSettings,
        unix_s: u64,
        now: u64,
    ) -> Option<Switch> {
        let Whereabouts { profile, active, moving, answering } = *whereabouts;
        let on_gpu = profile.uses_gpu() && !moving && answering;
        let speed = if on_gpu { self.speed.now(now) } else { None };
        let observation = Observation {
            sight: self.sight,
            utilization_asked: full,
            profile,
            moving,
            active,
            plans: self.plans(settings, now),
            gpu_work_ms: self.gpu_work_ms,
            answering,
            speed: speed.map(|(tokens_per_second, context_tokens)| Speed { tokens_per_second, context_tokens }),
            fault,
        };
        let config = self.config(settings, unix_s, now);
        let (state, decision) = decide(self.state, &observation, &config, now);
        self.state = state;
        match decision {
            Decision::Switch(switch) => Some(switch),
            Decision::Hold => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use workly_core::device::{Device, DeviceKind};
    use workly_core::layer_plan::{Footprint, FootprintTable};

    use super::*;
    use workly_library::experience::Known;

    const MIB: u64 = 1 << 20;

    fn reading(used_mib: u64) -> Reading {
        Reading {
            vram_total: 1_000 * MIB,
            vram_used: used_mib * MIB,
            vram_free: (1_000 - used_mib) * MIB,
            gpu_percent: Some(1.0),
            ..Reading::default()
        }
    }

    fn driver() -> PolicyDriver {
        let device = Device {
            name: "Vulkan0".into(),
            description: "card".into(),
            backend: "Vulkan".into(),
            kind: DeviceKind::DiscreteGpu,
            pci_address: None,
            memory_total: 1_000 * MIB,
            memory_free: 1_000 * MIB,
        };
        let at = |layers: u64| Footprint { weights: layers * 10 * MIB, ..Footprint::default() };
        let footprints = FootprintTable { context_tokens: 64, by_layers: (0..=30).map(at).collect() };
        let card = Card { devices: vec![device.clone()], device, footprints, known: Known::default(), key: None };
        PolicyDriver::new(Profile::CpuFallback, Some(card), Some(&reading(100)), 0)
    }

    const ON_CPU: Whereabouts =
        Whereabouts { profile: Profile::CpuFallback, active: ProfilePlan::NONE, moving: false, answering: false };

    fn climbs(driver: &mut PolicyDriver, settings: &ModelSettings, from: u64, to: u64) -> Option<Profile> {
        (from..to).step_by(500).find_map(|now| {
            let sight = Sight::Fresh(reading(100));
            driver.look(sight, true, &ON_CPU, settings, 0, now).map(|switch| switch.to)
        })
    }

    #[test]
    fn a_free_card_is_climbed_to_after_the_hold_and_not_while_it_refuses() {
        let settings = ModelSettings::new("m.gguf".into());
        let mut driver = driver();
        assert_eq!(climbs(&mut driver, &settings, 0, 14_500), None);
        driver.refused(14_500);
        assert_eq!(climbs(&mut driver, &settings, 14_500, 44_500), None);
        assert_eq!(climbs(&mut driver, &settings, 44_500, 62_000), Some(Profile::Performance));
    }

    #[test]
    fn a_ceiling_and_a_model_that_crashed_too_often_keep_what_is_above_off_the_plan() {
        let settings = ModelSettings::new("m.gguf".into());
        let mut driver = driver();
        let layers = |driver: &PolicyDriver| {
            let plans = driver.plans(&settings, 0);
            (plans.performance.layers, plans.balanced.layers)
        };
        assert_eq!(layers(&driver), (30, 19));
        driver.ceiling = Some(Profile::Balanced);
        assert_eq!(layers(&driver), (19, 19));
        driver.cpu_only = true;
        assert_eq!(layers(&driver), (0, 0));
        driver.forgive();
        assert_eq!(layers(&driver), (30, 19));
    }

    #[test]
    fn room_for_another_worker_ends_at_the_overload_line() {
        let settings = ModelSettings::new("m.gguf".into());
        let mut driver = driver();
        driver.look(Sight::Fresh(reading(700)), true, &ON_CPU, &settings, 0, 0);
        assert_eq!(driver.vram_room(&settings), Some(200 * MIB));
        driver.look(Sight::Stale, true, &ON_CPU, &settings, 0, 500);
        assert_eq!(driver.vram_room(&settings), None, "nobody knows");
    }
}
