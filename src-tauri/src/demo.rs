//! The demonstration: recorded loads played against the real policy, so that a machine without a GPU shows what Workly
//! does with one.

use workly_core::policy::Config;
use workly_core::profile::ProfileChoice;
use workly_core::simulate::{Footprints, SimulatedPolicy, Trace, TraceError, simulate, simulate_steps};
use workly_core::thresholds::Thresholds;
use workly_core::why::Why;
use workly_wire::monitor::{DecisionEntry, DecisionView, Demo, DemoName, GpuPast};
use workly_wire::words::Language;

/// A 7B model, as in the recordings' own tests.
const FOOTPRINTS: Footprints = Footprints { performance_mib: 5100, balanced_mib: 3300 };
/// A point a second is enough for a picture.
const STEP_MS: u64 = 1000;

/// Plays a recording with these thresholds.
pub(crate) fn play(name: DemoName, thresholds: Thresholds, language: Language) -> Result<Demo, TraceError> {
    let trace = Trace::parse(recording(name))?;
    let config = Config { thresholds, choice: ProfileChoice::Auto, auto_switching: true, override_: None };
    let (mut past, mut switches, mut vram_total) = (GpuPast::default(), Vec::new(), 0);
    simulate_steps(&trace, &FOOTPRINTS, SimulatedPolicy::Workly, &config, |step| {
        let unix_ms = (step.seconds * 1000.0).round() as u64;
        vram_total = step.reading.vram_total;
        if let Some(switch) = step.switch {
            let why = Some(Why::decided(&switch, Vec::new()));
            let entry = DecisionEntry { unix_ms, from: Some(switch.from), to: switch.to, why, strategy: None };
            switches.push(DecisionView::new(entry, language));
        }
        if past.unix_ms.last().is_none_or(|last| unix_ms >= last + STEP_MS) || step.switch.is_some() {
            let memory = (vram_total, step.reading.vram_used, Some(step.own_bytes));
            past.push(unix_ms, memory, step.reading.gpu_percent, Some(step.profile));
        }
    });
    let by_table = simulate(&trace, &FOOTPRINTS, SimulatedPolicy::Table, &config);
    let switches_by_table = by_table.switches.len() as u32;
    Ok(Demo { name, vram_total, past, switches, switches_by_table, thresholds })
}

const fn recording(name: DemoName) -> &'static str {
    match name {
        DemoName::Gaming => include_str!("../../tests/fixtures/traces/gaming.csv"),
        DemoName::Streaming => include_str!("../../tests/fixtures/traces/streaming.csv"),
        DemoName::Bursts => include_str!("../../tests/fixtures/traces/bursts.csv"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workly_core::profile::Profile;

    #[test]
    fn every_recording_plays_and_workly_is_calmer_than_the_table() {
        for name in [DemoName::Gaming, DemoName::Streaming, DemoName::Bursts] {
            let demo = play(name, Thresholds::default(), Language::English).unwrap();
            assert!(!demo.switches.is_empty() && demo.switches.len() < 10, "{name:?}: {}", demo.switches.len());
            assert!(demo.switches_by_table as usize > demo.switches.len(), "{name:?}");
            assert!(demo.past.unix_ms.is_sorted() && demo.past.unix_ms.len() > 800, "{name:?}");
        }
    }

    #[test]
    fn a_game_drives_the_model_off_the_card_and_its_end_brings_it_back() {
        let demo = play(DemoName::Gaming, Thresholds::default(), Language::French).unwrap();
        let to: Vec<_> = demo.switches.iter().map(|switch| switch.entry.to).collect();
        assert_eq!(to, [Profile::CpuFallback, Profile::Performance]);
        assert!(demo.switches[0].why_text.contains("VRAM des autres"), "{}", demo.switches[0].why_text);
    }

    #[test]
    fn the_user_s_own_thresholds_are_played() {
        let thresholds = Thresholds { optimal_vram_percent: 2.0, ..Thresholds::default() };
        let demo = play(DemoName::Gaming, thresholds, Language::English).unwrap();
        assert!(demo.switches.iter().all(|switch| switch.entry.to != Profile::Performance), "{:?}", demo.switches);
    }
}
