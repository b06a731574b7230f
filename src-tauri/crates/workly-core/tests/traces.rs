//! The shared traces, played through the policy and through the seed's table alone.

#![expect(clippy::unwrap_used, reason = "a helper of tests")]

use std::path::Path;

use workly_core::policy::Config;
use workly_core::profile::Profile;
use workly_core::simulate::{Footprints, Report, SimulatedPolicy, Trace, simulate};

fn play(name: &str, policy: SimulatedPolicy) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../../tests/fixtures/traces/{name}.csv"));
    let trace = Trace::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let footprints = Footprints { performance_mib: 5100, balanced_mib: 3300 };
    simulate(&trace, &footprints, policy, &Config::default())
}

fn path(report: &Report) -> Vec<(Profile, &'static str)> {
    report.switches.iter().map(|switch| (switch.to, switch.reason)).collect()
}

#[test]
fn our_own_load_on_a_card_it_nearly_fills_moves_nothing() {
    for name in ["alone", "own-load"] {
        let report = play(name, SimulatedPolicy::Workly);
        assert_eq!(path(&report), [], "{name}");
        assert!(report.seconds_in.cpu_fallback == 0.0, "{name} stays on the GPU");
    }
}

#[test]
fn a_game_takes_the_card_and_gives_it_back() {
    let report = play("gaming", SimulatedPolicy::Workly);
    assert_eq!(path(&report), [(Profile::CpuFallback, "overload"), (Profile::Performance, "recovered")]);
}

#[test]
fn a_stream_leaves_room_for_balanced_and_then_for_performance() {
    let report = play("streaming", SimulatedPolicy::Workly);
    assert!(report.switches.len() <= 3, "{report:?}");
    assert_eq!(report.switches.last().unwrap().to, Profile::Performance);
}

#[test]
fn a_load_around_a_threshold_does_not_flap() {
    assert!(play("boundary", SimulatedPolicy::Workly).switches.len() <= 2);
}

#[test]
fn short_bursts_teach_patience() {
    assert!(play("bursts", SimulatedPolicy::Workly).switches.len() <= 6);
}

#[test]
fn no_overload_outlasts_two_guard_readings() {
    for name in ["alone", "boundary", "bursts", "gaming", "own-load", "streaming"] {
        let report = play(name, SimulatedPolicy::Workly);
        assert!(report.longest_overload_seconds <= 1.0, "{name}: {report:?}");
    }
}

#[test]
fn the_table_alone_flaps_on_the_loads_that_break_it() {
    let switches = |name| play(name, SimulatedPolicy::Table).switches.len();
    let counts = ["alone", "own-load", "gaming", "streaming", "boundary", "bursts"].map(switches);
    assert_eq!(counts, [91, 0, 157, 57, 0, 255]);
}

#[test]
fn the_report_has_the_keys_of_the_contract() {
    let report = serde_json::to_value(play("gaming", SimulatedPolicy::Workly)).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(",");
    let mut expected =
        ["samples", "switches", "seconds_overloaded", "longest_overload_seconds", "seconds_in"].map(String::from);
    expected.sort();
    let mut found: Vec<_> = keys(&report).split(',').map(String::from).collect();
    found.sort();
    assert_eq!(found, expected);
    let mut switch: Vec<_> = keys(&report["switches"][0]).split(',').map(String::from).collect();
    switch.sort();
    assert_eq!(switch, ["from", "gpu_percent", "reason", "seconds", "to", "vram_percent"]);
    assert!(report["seconds_in"]["cpu_fallback"].as_f64().unwrap() > 400.0);
    let total: f64 = report["seconds_in"].as_object().unwrap().values().map(|seconds| seconds.as_f64().unwrap()).sum();
    assert!((total - 900.0).abs() < 1e-6);
}
