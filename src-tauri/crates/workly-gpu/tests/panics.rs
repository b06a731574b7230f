//! A probe that panics, which no probe should: what was read last is not taken for the present, the thread answers on,
//! and the card is read again.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use workly_core::device::{Device, DeviceKind};
use workly_core::reading::ProcessUse;
use workly_gpu::{Answer, Gpu, Memory, Probe, ProbeError, ProbeThread, Request, Sensors, Sysfs, Want, Watcher};

const ALL: Want = Want { utilization: true, sensors: true, model_on_gpu: true };

/// What the probe was asked, and what of it ends in a panic.
#[derive(Debug, Default)]
struct Script {
    panics: BTreeSet<&'static str>,
    asked: Vec<&'static str>,
}

#[derive(Debug, Clone, Default)]
struct Frail(Arc<Mutex<Script>>);

impl Frail {
    fn panics_in(&self, calls: &[&'static str]) {
        let mut script = self.0.lock().unwrap();
        script.panics = calls.iter().copied().collect();
        script.asked.clear();
    }

    fn asked(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().asked.clone()
    }

    fn called(&self, call: &'static str) {
        let mut script = self.0.lock().unwrap();
        script.asked.push(call);
        let panics = script.panics.contains(call);
        drop(script);
        assert!(!panics, "no {call} today");
    }
}

impl Probe for Frail {
    fn list(&mut self) -> Result<Vec<Gpu>, ProbeError> {
        self.called("list");
        let device = Device {
            name: "0".into(),
            description: "Frail 3000".into(),
            backend: "Test".into(),
            kind: DeviceKind::DiscreteGpu,
            pci_address: None,
            memory_total: 100,
            memory_free: 90,
        };
        Ok(vec![Gpu { device, memory: None, asleep: false, simulated: false }])
    }

    fn memory(&mut self, _gpu: usize) -> Result<Memory, ProbeError> {
        self.called("memory");
        Ok(Memory { total: 100, used: 10, free: 90 })
    }

    fn utilization(&mut self, _gpu: usize) -> Result<Option<f32>, ProbeError> {
        self.called("utilization");
        Ok(Some(5.0))
    }

    fn sensors(&mut self, _gpu: usize) -> Result<Sensors, ProbeError> {
        self.called("sensors");
        Ok(Sensors::default())
    }

    fn processes(&mut self, _gpu: usize) -> Result<Vec<ProcessUse>, ProbeError> {
        self.called("processes");
        Ok(Vec::new())
    }

    fn release(&mut self) {
        self.called("release");
    }
}

fn watcher(probe: &Frail) -> Watcher {
    Watcher::new(vec![Box::new(probe.clone())], Sysfs::at("/nonexistent"))
}

#[test]
fn a_panic_in_any_call_is_told_and_the_card_is_looked_for_anew_after_a_pause() {
    for call in ["list", "memory", "utilization", "sensors"] {
        let (probe, start) = (Frail::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut watcher = watcher(&probe);
        if call != "list" {
            assert!(watcher.sample(ALL, at(0)).memory.is_some());
        }
        probe.panics_in(&[call, "release"]);
        let sample = watcher.sample(ALL, at(1));
        let problem = sample.problem.unwrap();
        assert!(sample.memory.is_none() && !problem.is_passing(), "{call}: what was read last is not of now");
        assert!(problem.to_string().contains(&format!("no {call} today")), "{problem}");
        assert!(probe.asked().contains(&"release"), "{call}: no handle is kept");

        probe.panics_in(&[]);
        assert_eq!(watcher.sample(ALL, at(2)).problem, Some(problem), "{call}");
        assert!(probe.asked().is_empty(), "{call}: it is left alone for a while");
        let sample = watcher.sample(ALL, at(6));
        assert!(sample.memory.is_some() && sample.problem.is_none(), "{call}: {sample:?}");
        assert_eq!(probe.asked()[0], "list", "{call}: it is looked for anew");
    }
}

#[test]
fn the_thread_outlives_panics_and_answers_each_question() {
    let probe = Frail::default();
    let theirs = probe.clone();
    let mut thread = ProbeThread::spawn(move || watcher(&theirs)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let start = Instant::now();
    let mut ask = |request| {
        thread.ask(request);
        let answer = async { tokio::time::timeout(Duration::from_mins(1), thread.answer()).await };
        runtime.block_on(answer).unwrap()
    };
    let at = |seconds| Request::Sample { want: ALL, now: start + Duration::from_secs(seconds) };
    probe.panics_in(&["list", "processes"]);
    assert!(matches!(ask(at(0)), Answer::Sample(sample) if sample.problem.is_some()));
    probe.panics_in(&["processes"]);
    assert!(matches!(ask(at(100)), Answer::Sample(sample) if sample.memory.is_some()));
    let processes = Request::Processes { model_on_gpu: true, now: start + Duration::from_secs(101) };
    assert!(matches!(ask(processes), Answer::Processes(Err(ProbeError::Panicked { .. }))));
    assert!(matches!(ask(at(200)), Answer::Sample(sample) if sample.memory.is_some()));
}
