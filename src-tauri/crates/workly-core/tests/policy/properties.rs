//! Properties of the policy over generated cards, footprints and loads.

use crate::world::{Card, MIB, World, plans};
use proptest::prelude::*;
use workly_core::policy::{
    BASE_HOLD_MS, CONFIRM_MS, Config, Decision, Fault, LayerPlan, Observation, Override, OverrideKind, PolicyState,
    ProfilePlan, Reason, Sight, Speed, classify, decide, start,
};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::reading::Reading;
use workly_core::thresholds::Thresholds;

/// A stretch of time in which others do one thing.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    seconds: u64,
    external_share: f64,
    external_gpu: Option<f32>,
    generating: bool,
}

fn utilization() -> impl Strategy<Value = Option<f32>> {
    prop_oneof![9 => (0.0f32..100.0).prop_map(Some), 1 => Just(None)]
}

/// Cards from 2 to 80 GB; footprints from a sliver to more than the card.
fn card() -> impl Strategy<Value = Card> {
    let times = prop_oneof![Just((0u64, 0u64)), (500u64..8_000, 250u64..5_000)];
    (2_000u64..81_920, 0.0f64..1.0, utilization(), 0.05f64..1.1, 0.1f64..0.95, times).prop_map(
        |(total_mib, external, external_gpu, performance, balanced, (load_ms, leave_ms))| {
            let total = total_mib * MIB;
            let performance = total as f64 * performance;
            Card {
                total,
                external: (total as f64 * external) as u64,
                external_gpu,
                plans: plans(performance as u64, (performance * balanced) as u64),
                truth: 1.0,
                load_ms,
                leave_ms,
            }
        },
    )
}

fn stretch() -> impl Strategy<Value = Stretch> {
    (1u64..60, 0.0f64..1.0, utilization(), any::<bool>()).prop_map(
        |(seconds, external_share, external_gpu, generating)| Stretch {
            seconds,
            external_share,
            external_gpu,
            generating,
        },
    )
}

fn set(world: &mut World, stretch: &Stretch) {
    world.card.external = (world.card.total as f64 * stretch.external_share) as u64;
    world.card.external_gpu = stretch.external_gpu;
    world.generating = stretch.generating;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_climbed_to_within_a_hold_of_any_switch(
        card in card(), truth in 0.8f64..1.2, load in prop::collection::vec(stretch(), 1..40),
    ) {
        let mut world = World::new(Card { truth, ..card });
        for stretch in &load {
            set(&mut world, stretch);
            world.run(stretch.seconds);
        }
        for pair in world.switches.windows(2) {
            let ((before, _), (at, switch)) = (pair[0], pair[1]);
            prop_assert!(switch.to < switch.from || at - before >= BASE_HOLD_MS, "{:?}", world.switches);
        }
    }

    #[test]
    fn two_guard_readings_after_an_overload_workly_holds_no_vram(
        card in card(), truth in 0.8f64..1.2, load in prop::collection::vec(stretch(), 1..40),
    ) {
        let mut world = World::new(Card { truth, ..card });
        let line = world.config.thresholds.overload_vram_percent;
        for stretch in &load {
            set(&mut world, stretch);
            let end = world.now + stretch.seconds * 1000;
            let mut over: Option<u64> = None;
            while world.now < end {
                let now = world.now;
                let (observation, _) = world.step();
                let Sight::Fresh(reading) = observation.sight else { continue };
                if f64::from(reading.vram_percent().unwrap()) <= line || !observation.profile.uses_gpu() {
                    over = None;
                } else if over.is_some() {
                    prop_assert_eq!(world.profile, Profile::CpuFallback, "at {} ms", now);
                } else {
                    over = Some(now);
                    prop_assert!(world.profile == Profile::CpuFallback || world.now - now <= CONFIRM_MS);
                }
            }
        }
    }

    #[test]
    fn a_constant_load_settles(card in card(), from in 0usize..3, generating in any::<bool>()) {
        let mut world = World::starting_in(Profile::ALL[from], card);
        world.generating = generating;
        world.run(300);
        let settled = world.switches.len();
        prop_assert!(settled <= 2, "{:?}", world.path());
        world.run(3600);
        prop_assert_eq!(world.switches.len(), settled, "{:?}", world.path());
    }

    #[test]
    fn our_own_load_alone_moves_nothing(
        card in card(), external in 0.0f64..0.5, gpu in 0.0f32..59.0, answers in prop::collection::vec(1u64..90, 1..60),
    ) {
        let external = (card.total as f64 * external) as u64;
        let mut world = World::new(Card { external, external_gpu: Some(gpu), ..card });
        for seconds in answers {
            world.generating = !world.generating;
            world.run(seconds);
        }
        prop_assert_eq!(world.path(), []);
    }

    #[test]
    fn more_external_vram_never_gives_a_higher_profile(
        card in card(),
        truth in 0.8f64..1.2,
        load in prop::collection::vec(stretch(), 1..30),
        steps in 0usize..40,
        shares in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let mut world = World::new(Card { truth, ..card });
        for stretch in &load {
            set(&mut world, stretch);
            world.run(stretch.seconds);
        }
        for _ in 0..steps {
            world.step();
        }
        let (less, more) = (shares.0.min(shares.1), shares.0.max(shares.1));
        let profile = |share: f64| {
            let mut world = world.clone();
            let observation = world.observe((world.card.total as f64 * share) as u64);
            match decide(world.state, &observation, &world.config, world.now).1 {
                Decision::Hold => world.profile,
                Decision::Switch(switch) => switch.to,
            }
        };
        prop_assert!(profile(more) <= profile(less));
    }

    #[test]
    fn a_footprint_mispredicted_by_a_fifth_still_settles(
        card in card(), from in 0usize..3, truth in 0.8f64..1.2, generating in any::<bool>(),
    ) {
        let mut world = World::starting_in(Profile::ALL[from], Card { truth, ..card });
        world.generating = generating;
        world.run(600);
        let settled = world.switches.len();
        prop_assert!(settled <= 4, "{:?}", world.path());
        world.run(3600);
        prop_assert_eq!(world.switches.len(), settled, "{:?}", world.path());
    }
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -10.0f64..200.0, Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.0)]
}

fn any_bytes() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0u64..1 << 37, Just(0), Just(u64::MAX)]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let optional = || prop::option::of(any_number().prop_map(|number| number as f32));
    (any::<u64>(), any_bytes(), any_bytes(), any_bytes(), optional(), optional(), prop::option::of(any_bytes()))
        .prop_map(|(time_ms, vram_total, vram_used, vram_free, gpu_percent, temperature_c, own_bytes)| Reading {
            time_ms,
            vram_total,
            vram_used,
            vram_free,
            gpu_percent,
            temperature_c,
            power_w: temperature_c,
            own_bytes,
        })
}

fn any_profile() -> impl Strategy<Value = Profile> {
    (0usize..3).prop_map(|index| Profile::ALL[index])
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let sight = prop_oneof![5 => any_reading().prop_map(Sight::Fresh), 1 => Just(Sight::Stale), 1 => Just(Sight::Gone)];
    let plan = || (any::<u32>(), any_bytes()).prop_map(|(layers, footprint)| ProfilePlan { layers, footprint });
    let speed = (any_number(), any::<u32>())
        .prop_map(|(speed, context_tokens)| Speed { tokens_per_second: speed as f32, context_tokens });
    let flags = any::<(bool, bool, bool, bool)>();
    (sight, flags, any_profile(), (plan(), plan(), plan()), prop::option::of(any::<u64>()), prop::option::of(speed))
        .prop_map(|(sight, (utilization_asked, moving, answering, fault), profile, plans, gpu_work_ms, speed)| {
            Observation {
                sight,
                utilization_asked,
                profile,
                moving,
                active: plans.0,
                plans: LayerPlan { performance: plans.1, balanced: plans.2, model_layers: plans.0.layers },
                gpu_work_ms,
                answering,
                speed,
                fault: fault.then_some(if moving { Fault::Memory } else { Fault::Other }),
            }
        })
}

fn any_config() -> impl Strategy<Value = Config> {
    let choice = prop_oneof![2 => Just(ProfileChoice::Auto), 1 => any_profile().prop_map(ProfileChoice::Fixed)];
    let override_ = prop::option::of((any::<bool>(), prop::option::of(any::<u64>())).prop_map(|(hold, until_ms)| {
        Override { kind: if hold { OverrideKind::Hold } else { OverrideKind::GiveUp }, until_ms }
    }));
    (prop::collection::vec(any_number(), 5), choice, any::<bool>(), override_).prop_map(
        |(numbers, choice, auto_switching, override_)| Config {
            thresholds: Thresholds {
                overload_vram_percent: numbers[0],
                stressed_vram_percent: numbers[1],
                optimal_vram_percent: numbers[2],
                stressed_gpu_percent: numbers[3],
                optimal_gpu_percent: numbers[4],
            },
            choice,
            auto_switching,
            override_,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_whatever_makes_it_panic(
        before in prop::option::of(any_reading()),
        profile in any_profile(),
        correction in any_number(),
        looks in prop::collection::vec((any::<u64>(), any_observation(), any_config()), 1..40),
    ) {
        let mut state = PolicyState::new(profile, before.as_ref(), correction, 0);
        let mut steady = 0;
        for (now, observation, config) in looks {
            // Half of the looks follow each other, half jump in time, backwards too.
            steady += 500;
            let now = if now % 2 == 0 { steady } else { now };
            let (next, decision) = decide(state, &observation, &config, now);
            state = next;
            if let Decision::Switch(switch) = decision {
                prop_assert!(switch.from != switch.to || switch.reason == Reason::Replan);
            }
            if let Sight::Fresh(reading) = observation.sight {
                classify(&reading, &config.thresholds);
                start(Some(&reading), Some(&observation.plans), &config);
            }
            prop_assert!((0.8..=1.5).contains(&state.correction()));
        }
    }
}
