//! The rules of the policy, one by one, in the closed loop.

use crate::world::{Card, MIB, World, laptop, plans};
use workly_core::policy::{Config, Fault, NextLook, Override, OverrideKind, PolicyState, ProfilePlan, Sight, decide};
use workly_core::profile::{Profile, ProfileChoice};

use Profile::{Balanced, CpuFallback, Performance};

/// A 16 GB card with room for everything, so that only utilization speaks.
fn workstation() -> Card {
    Card { total: 16_000 * MIB, external: 500 * MIB, plans: plans(12_000 * MIB, 6_000 * MIB), ..laptop() }
}

#[test]
fn a_worker_that_crashes_steps_down_as_one_that_died_of_memory_but_its_footprint_is_not_blamed() {
    for (fault, reason) in [(Fault::Memory, "fault"), (Fault::Other, "crash")] {
        let mut world = World::new(workstation());
        world.run(2);
        world.fault = Some(fault);
        world.run(1);
        assert_eq!(world.path(), [(Balanced, reason)]);
        world.run(2);
        assert_eq!(world.state.failed_layers().is_some(), fault == Fault::Memory);
    }
}

#[test]
fn others_that_keep_a_full_card_busy_for_five_seconds_send_performance_to_balanced() {
    let mut world = World::new(workstation());
    assert_eq!(world.profile, Performance);
    world.run(20);
    (world.card.external, world.card.external_gpu) = (1_500 * MIB, Some(88.0));
    let began = world.now;
    world.run(30);
    assert_eq!(world.path(), [(Balanced, "stress")]);
    let (at, switch) = world.switches[0];
    assert!((5_000..=10_500).contains(&(at - began)), "{at}");
    assert_eq!(switch.numbers.external_gpu_percent, Some(88.0));
    assert!(switch.numbers.vram_percent.is_some_and(|percent| (83.5..84.5).contains(&percent)));
}

#[test]
fn stress_that_ends_in_an_overload_leaves_the_card_altogether() {
    let mut world = World::new(workstation());
    world.run(20);
    (world.card.external, world.card.external_gpu) = (1_500 * MIB, Some(88.0));
    while world.switches.is_empty() {
        let mut next = world.clone();
        next.step();
        if !next.switches.is_empty() {
            world.card.external = 3_000 * MIB;
        }
        world.step();
    }
    assert_eq!(world.path(), [(CpuFallback, "stress")]);
}

#[test]
fn a_busy_gpu_with_room_in_vram_moves_nothing() {
    let mut world = World::new(Card { plans: plans(9_000 * MIB, 6_000 * MIB), ..workstation() });
    world.card.external_gpu = Some(100.0);
    world.run(600);
    assert_eq!(world.path(), []);
}

#[test]
fn stress_that_pauses_starts_anew() {
    let mut world = World::new(workstation());
    world.card.external = 1_500 * MIB;
    for round in 0..20 {
        world.card.external_gpu = Some(if round % 2 == 0 { 95.0 } else { 70.0 });
        world.run(5);
    }
    assert_eq!(world.path(), []);
}

#[test]
fn between_the_bands_the_profile_stays() {
    // The seed's own example keeps performance at 65 % and 55 %.
    let mut world = World::new(Card { plans: plans(9_900 * MIB, 6_000 * MIB), ..workstation() });
    world.card.external_gpu = Some(55.0);
    world.run(600);
    assert_eq!(world.path(), []);
    let mut world = World::starting_in(Balanced, laptop());
    world.card.external_gpu = Some(65.0);
    world.run(600);
    assert_eq!(world.path(), [], "performance would fit, but others are not calm");
}

#[test]
fn from_the_cpu_straight_to_performance_after_its_hold() {
    let mut world = World::starting_in(CpuFallback, laptop());
    world.run(60);
    assert_eq!(world.path(), [(Performance, "recovered")]);
    assert_eq!(world.switches[0].0, 15_000);
}

#[test]
fn the_caller_is_told_when_to_look_again() {
    let mut world = World::starting_in(CpuFallback, laptop());
    world.card.external = 6_000 * MIB;
    world.step();
    assert_eq!(world.state.next_look(), NextLook::Confirm, "an overload is confirmed, on the CPU too");
    world.step();
    assert_eq!(world.state.next_look(), NextLook::Interval);
    world.card.external = 250 * MIB;
    world.step();
    assert_eq!(world.state.next_look(), NextLook::Guard, "an up clock runs");
    world.run(20);
    assert_eq!(world.state.next_look(), NextLook::Guard, "a model is on the GPU");
}

#[test]
fn one_reading_over_the_line_is_only_looked_at_twice() {
    let mut world = World::new(laptop());
    world.run(20);
    world.card.external = 900 * MIB;
    world.step();
    assert_eq!(world.state.next_look(), NextLook::Confirm);
    world.card.external = 250 * MIB;
    world.run(30);
    assert_eq!(world.path(), []);
}

#[test]
fn a_fault_steps_down_at_once_to_what_the_card_has_room_for() {
    for (external, to) in [(250, Balanced), (2_900, CpuFallback)] {
        let mut world = World::new(Card { plans: plans(3_000 * MIB, 2_800 * MIB), ..laptop() });
        world.run(20);
        world.card.external = external * MIB;
        world.step();
        world.fault = Some(Fault::Memory);
        world.step();
        assert_eq!(world.path(), [(to, "fault")]);
    }
}

#[test]
fn a_plan_that_died_while_it_was_loaded_is_not_tried_again() {
    let mut world = World::starting_in(CpuFallback, Card { load_ms: 3_000, leave_ms: 500, ..laptop() });
    world.run(17);
    assert_eq!(world.profile, Performance);
    world.fault = Some(Fault::Memory);
    world.run(3600);
    assert_eq!(world.path(), [(Performance, "recovered"), (Balanced, "fault")]);
    assert_eq!(world.state.failed_layers(), Some(40), "a new layer plan stays below");
}

#[test]
fn an_overload_of_our_own_doing_is_replanned_and_not_blamed_on_others() {
    let card = Card { plans: plans(4_800 * MIB, 3_000 * MIB), truth: 1.15, ..laptop() };
    let mut world = World::starting_in(CpuFallback, card);
    world.run(3600);
    assert_eq!(
        world.path(),
        [(Performance, "recovered"), (CpuFallback, "replan"), (Balanced, "recovered")],
        "the plan that took too much is not tried again"
    );
    assert!((world.state.correction() - 1.15).abs() < 0.001);
    assert_eq!(world.state.hold_ms(Performance), 15_000);
    // A plan of fewer layers is taken.
    world.card.plans.performance = ProfilePlan { layers: 36, footprint: 4_300 * MIB };
    world.run(60);
    assert_eq!(world.path().last(), Some(&(Performance, "recovered")));
}

#[test]
fn others_who_grow_just_after_our_load_are_found_out() {
    let mut world = World::starting_in(CpuFallback, laptop());
    world.run(15);
    world.step();
    assert_eq!(world.profile, Performance);
    world.card.external = 800 * MIB;
    world.run(5);
    assert_eq!(world.profile, CpuFallback);
    assert!((world.state.correction() - 1.0).abs() < 1e-9, "what that load seemed to teach is forgotten");
    assert_eq!(world.state.failed_layers(), None);
    assert_eq!(world.state.hold_ms(Performance), 30_000, "it was left too soon");
}

#[test]
fn the_correction_is_measured_at_the_load_and_noise_teaches_nothing() {
    let mut world = World::starting_in(CpuFallback, Card { truth: 0.9, ..laptop() });
    world.run(30);
    assert!((world.state.correction() - 0.9).abs() < 0.001);
    assert_eq!(world.state.external_vram(), Some(250 * MIB));

    let mut world = World::starting_in(CpuFallback, laptop());
    for step in 0..60 {
        world.card.external = (200 + step * 37 % 100) * MIB;
        world.step();
    }
    assert_eq!(world.profile, Performance);
    assert!((world.state.correction() - 1.0).abs() < 0.005, "{}", world.state.correction());
}

#[test]
fn while_the_model_moves_only_an_overload_or_a_fault_counts() {
    let mut world = World::starting_in(CpuFallback, Card { load_ms: 4_000, leave_ms: 1_000, ..laptop() });
    world.run(16);
    assert_eq!(world.profile, Performance);
    world.card.external = 3_000 * MIB;
    world.run(3);
    assert_eq!(world.path().last(), Some(&(CpuFallback, "overload")), "the unfinished climb is cancelled");
}

#[test]
fn without_utilization_vram_alone_decides() {
    let mut world = World::starting_in(CpuFallback, Card { external_gpu: None, ..workstation() });
    world.run(60);
    assert_eq!(world.path(), [(Performance, "recovered")]);
    world.card.external = 1_500 * MIB;
    world.run(600);
    assert_eq!(world.path().len(), 1, "no stress without utilization");
}

#[test]
fn a_gpu_that_is_gone_is_left_and_its_return_starts_the_clocks() {
    let mut world = World::new(laptop());
    world.run(20);
    world.gone = true;
    world.run(20);
    assert_eq!(world.path(), [(CpuFallback, "gpu_gone")]);
    world.gone = false;
    let back = world.now;
    world.run(60);
    assert_eq!(world.path()[1], (Performance, "recovered"));
    assert!(world.switches[1].0 >= back + 15_000);
}

#[test]
fn a_stale_probe_changes_nothing_and_stops_the_clocks() {
    let mut world = World::starting_in(CpuFallback, laptop());
    world.run(10);
    let mut observation = world.observe(250 * MIB);
    observation.sight = Sight::Stale;
    world.state = decide(world.state, &observation, &world.config, world.now).0;
    assert_eq!(world.state.next_look(), NextLook::Interval);
    let resumed = world.now;
    world.run(60);
    assert!(world.switches[0].0 >= resumed + 15_000);
}

#[test]
fn holding_the_gpu_ignores_overload_and_stress_until_it_is_an_emergency_or_over() {
    let mut world = World::new(laptop());
    world.config.override_ = Some(Override { kind: OverrideKind::Hold, until_ms: Some(120_000) });
    world.card.external_gpu = Some(99.0);
    world.run(5);
    world.card.external = 600 * MIB;
    world.run(60);
    assert_eq!(world.path(), [], "93 %");
    world.run(60);
    assert_eq!(world.path(), [(CpuFallback, "overload")], "once it is over");

    let mut world = World::new(laptop());
    world.config.override_ = Some(Override { kind: OverrideKind::Hold, until_ms: None });
    world.run(20);
    world.card.external = 3_000 * MIB;
    world.run(2);
    assert_eq!(world.path(), [(CpuFallback, "overload")]);
    assert!(world.switches[0].1.emergency);
}

#[test]
fn giving_the_gpu_up_lasts_as_long_as_it_was_asked_for() {
    let mut world = World::new(laptop());
    world.run(5);
    world.config.override_ = Some(Override { kind: OverrideKind::GiveUp, until_ms: Some(100_000) });
    world.run(90);
    assert_eq!(world.path(), [(CpuFallback, "override")]);
    world.run(60);
    assert_eq!(world.path()[1], (Performance, "recovered"));
    assert!(world.switches[1].0 >= 115_000);
}

#[test]
fn a_fixed_choice_is_gone_to_at_once_and_held_whatever_happens() {
    let mut world = World::new(laptop());
    world.run(5);
    world.config.choice = ProfileChoice::Fixed(Balanced);
    world.step();
    assert_eq!(world.path(), [(Balanced, "choice")]);
    (world.card.external, world.card.external_gpu) = (4_000 * MIB, Some(100.0));
    world.run(300);
    assert_eq!(world.path().len(), 1);
    world.config.choice = ProfileChoice::Fixed(Performance);
    world.step();
    assert_eq!(world.path()[1], (Performance, "choice"));
}

#[test]
fn without_auto_switching_the_profile_stays() {
    let mut world = World::new(laptop());
    world.config.auto_switching = false;
    (world.card.external, world.card.external_gpu) = (4_000 * MIB, Some(100.0));
    world.run(600);
    assert_eq!(world.path(), []);
}

#[test]
fn a_held_profile_that_dies_while_answering_finishes_the_answer_on_the_cpu_and_comes_back() {
    for config in [
        Config { choice: ProfileChoice::Fixed(Performance), ..Config::default() },
        Config { auto_switching: false, ..Config::default() },
    ] {
        let mut world = World::new(laptop());
        world.config = config;
        world.generating = true;
        world.run(20);
        world.fault = Some(Fault::Memory);
        world.run(60);
        assert_eq!(world.path(), [(CpuFallback, "fault")]);
        world.generating = false;
        world.run(30);
        assert_eq!(world.path(), [(CpuFallback, "fault"), (Performance, "choice")]);
    }
}

#[test]
fn a_fixed_gpu_profile_without_a_gpu_runs_on_the_cpu_until_there_is_one() {
    let mut world = World::new(laptop());
    world.config.choice = ProfileChoice::Fixed(Performance);
    world.gone = true;
    world.run(60);
    assert_eq!(world.path(), [(CpuFallback, "gpu_gone")]);
    world.gone = false;
    world.run(60);
    assert_eq!(world.path()[1], (Performance, "choice"));
}

#[test]
fn a_profile_whose_plan_equals_the_one_below_is_skipped() {
    let mut card = laptop();
    card.plans.performance = card.plans.balanced;
    let mut world = World::starting_in(CpuFallback, card);
    world.run(120);
    assert_eq!(world.path(), [(Balanced, "recovered")]);
}

#[test]
fn the_active_profile_grows_once_a_plan_has_held_a_fifth_more_layers() {
    let mut world = World::new(Card { plans: plans(3_000 * MIB, 2_000 * MIB), ..laptop() });
    world.run(20);
    world.card.plans.performance = ProfilePlan { layers: 47, footprint: 3_500 * MIB };
    world.run(60);
    assert_eq!(world.path(), [], "47 layers are not a fifth more than 40");
    world.card.plans.performance = ProfilePlan { layers: 48, footprint: 3_600 * MIB };
    world.run(14);
    assert_eq!(world.path(), []);
    world.run(300);
    assert_eq!(world.path(), [(Performance, "replan")]);
}

#[test]
fn time_that_goes_backwards_delays_nothing_but_the_clocks() {
    let mut world = World::new(laptop());
    world.now = 1_000_000;
    world.run(20);
    world.now = 0;
    world.run(1);
    world.card.external = 900 * MIB;
    world.run(2);
    assert_eq!(world.path(), [(CpuFallback, "overload")]);
}

#[test]
fn a_state_is_small_enough_to_be_copied_at_every_reading() {
    assert!(size_of::<PolicyState>() <= 768, "{}", size_of::<PolicyState>());
}
