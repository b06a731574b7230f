//! Everything that NVML can say instead of an answer, through the real foreign-function path. Nothing panics, each
//! fault is named, and what can come back is found again without a stale handle.

mod support;

use std::time::{Duration, Instant};

use fake_nvml::{Block, Clock, Failure, Scenario};
use support::{ALL, GUARD, HELD, Stage, cards, sources};
use workly_gpu::{Answer, ProbeError, ProbeThread, Request, Sources, Sysfs};

const MEMORY: &str = "nvmlDeviceGetMemoryInfo_v2";

fn failing(function: &str, code: u32, after: u64, count: Option<u64>) -> Scenario {
    let failure = Failure { function: function.into(), code, after, count, ..Failure::default() };
    Scenario { failures: vec![failure], ..Scenario::default() }
}

#[test]
fn a_driver_that_does_not_start_is_named_with_what_to_do() {
    type IsRight = fn(&ProbeError) -> bool;
    let cases: [(u32, IsRight); 9] = [
        (9, |problem| *problem == ProbeError::DriverNotLoaded),
        (18, |problem| *problem == ProbeError::VersionMismatch),
        (4, |problem| *problem == ProbeError::NoPermission),
        (17, |problem| *problem == ProbeError::NoPermission),
        (12, |problem| matches!(problem, ProbeError::LibraryMissing { .. })),
        (15, |problem| *problem == ProbeError::Lost),
        (16, |problem| *problem == ProbeError::ResetRequired),
        (999, |problem| matches!(problem, ProbeError::Transient { .. })),
        (4711, |problem| *problem == ProbeError::UnknownCode(4711)),
    ];
    for (code, is_right) in cases {
        let mut stage = Stage::new(&failing("nvmlInit_v2", code, 0, None));
        let problem = stage.at(0.0, ALL).problem.unwrap();
        assert!(is_right(&problem), "{code}: {problem}");
        for tenth in 0..40 {
            stage.at(f64::from(tenth) / 10.0, ALL);
        }
        assert_eq!(stage.fake.count("nvmlInit_v2"), 1, "{code}: it is left alone for a while");
    }
}

#[test]
fn a_missing_library_and_a_file_that_is_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libnvidia-ml.so.1");
    std::fs::write(&text, "no library").unwrap();
    for library in [folder.path().join("nowhere.so"), text] {
        let source =
            Sources { nvml_library: Some(library.clone()), sysfs: Sysfs::at(folder.path()), ..Sources::default() };
        let sample = source.watcher().sample(ALL, Instant::now());
        assert!(sample.gpu.is_none() && sample.memory.is_none());
        let problem = sample.problem.unwrap();
        assert!(matches!(problem, ProbeError::LibraryMissing { .. }), "{problem}");
        assert!(problem.to_string().contains(library.to_str().unwrap()), "{problem}");
    }
}

#[test]
fn a_driver_that_lacks_any_one_function_is_no_reason_to_panic() {
    let functions = [
        "nvmlInit_v2",
        "nvmlShutdown",
        "nvmlSystemGetDriverVersion",
        "nvmlSystemGetProcessName",
        "nvmlDeviceGetCount_v2",
        "nvmlDeviceGetHandleByIndex_v2",
        "nvmlDeviceGetHandleByPciBusId_v2",
        "nvmlDeviceGetName",
        "nvmlDeviceGetPciInfo_v3",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
    ];
    let needed = ["nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2"];
    for function in functions {
        let mut stage = Stage::without(&Scenario::default(), &[function]);
        let sample = stage.at(0.0, ALL);
        let _ = stage.watcher.processes(false, stage.start);
        if needed.contains(&function) {
            assert!(matches!(sample.problem, Some(ProbeError::LibraryUnusable { .. })), "{function}: {sample:?}");
        } else {
            assert!(sample.memory.is_some() && sample.problem.is_none(), "{function}: {sample:?}");
        }
    }
    let both = ["nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"];
    let sample = Stage::without(&Scenario::default(), &both).at(0.0, ALL);
    assert!(matches!(sample.problem, Some(ProbeError::LibraryUnusable { .. })), "{sample:?}");
}

/// Codes of `nvml.h` up to today's last, the general one, and one that no driver has yet.
fn every_code() -> impl Iterator<Item = u32> {
    (1..=30).chain([999, 4711])
}

#[test]
fn whatever_the_memory_call_returns_the_card_is_read_again_soon() {
    for code in every_code() {
        // The list and two readings go well, then one fails.
        let mut stage = Stage::new(&failing(MEMORY, code, 3, Some(1)));
        for tenth in 0..3 {
            assert!(stage.at(f64::from(tenth) / 10.0, GUARD).problem.is_none(), "{code}");
        }
        let failed = stage.at(0.3, GUARD);
        if code == 25 || code == 13 {
            assert!(failed.memory.is_some(), "{code}: the first version of the call serves");
            continue;
        }
        assert!(failed.memory.is_none() && failed.problem.is_some(), "{code}");
        let again = stage.at(61.0, GUARD);
        assert!(again.memory.is_some() && again.problem.is_none(), "{code}: {:?}", again.problem);
        assert_eq!(stage.fake.count("stale_handle"), 0, "{code}");
    }
}

#[test]
fn a_lost_card_and_one_to_be_reset_get_a_new_handle_within_seconds() {
    for code in [1, 15, 16, 2, 6, 28] {
        let mut stage = Stage::new(&failing(MEMORY, code, 3, Some(1)));
        for tenth in 0..4 {
            stage.at(f64::from(tenth) / 10.0, GUARD);
        }
        assert_eq!(stage.fake.count("nvmlShutdown"), 1, "{code}: the old handle is gone at once");
        assert!(stage.at(4.0, GUARD).problem.is_some(), "{code}: it is left alone for five seconds");
        assert_eq!(stage.fake.count("nvmlInit_v2"), 1, "{code}");
        assert!(stage.at(5.4, GUARD).problem.is_none(), "{code}");
        assert_eq!((stage.fake.count("nvmlInit_v2"), stage.fake.count("stale_handle")), (2, 0), "{code}");
    }
}

#[test]
fn a_driver_that_keeps_failing_in_passing_gets_a_new_handle_after_three_times() {
    for code in [999, 10, 20, 4711] {
        let mut stage = Stage::new(&failing(MEMORY, code, 1, Some(3)));
        stage.at(0.0, GUARD);
        for tenth in 1..4 {
            assert!(stage.at(f64::from(tenth) / 10.0, GUARD).problem.is_some(), "{code}");
        }
        assert!(stage.at(0.5, GUARD).problem.is_none(), "{code}");
        assert_eq!((stage.fake.count("nvmlInit_v2"), stage.fake.count("stale_handle")), (2, 0), "{code}");
    }
}

#[test]
fn whatever_any_other_call_returns_nothing_panics_and_memory_is_still_read() {
    let functions = [
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetName",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetPciInfo_v3",
        "nvmlSystemGetDriverVersion",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlSystemGetProcessName",
        "nvmlShutdown",
    ];
    for (function, code) in functions.into_iter().flat_map(|function| every_code().map(move |code| (function, code))) {
        let mut stage = Stage::new(&failing(function, code, 0, None));
        let sample = stage.at(0.0, HELD);
        // A lost card is lost whichever call says so.
        let lost = matches!(code, 1 | 2 | 6 | 15 | 16 | 28);
        assert!(lost || sample.memory.is_some(), "{function} {code}: {sample:?}");
        let _ = stage.watcher.processes(true, stage.start);
    }
}

#[test]
fn one_lost_card_does_not_hide_the_others() {
    let mut scenario = cards(3);
    scenario.devices[2].pulled_at = Some(0.0);
    scenario.failures = vec![Failure {
        function: "nvmlDeviceGetHandleByIndex_v2".into(),
        code: 15,
        after: 1,
        count: Some(1),
        ..Failure::default()
    }];
    let sample = Stage::new(&scenario).at(0.0, ALL);
    assert_eq!(sample.gpus.len(), 1);
    assert_eq!(sample.gpu.unwrap().description, "Fake card 0");
}

#[test]
fn a_card_that_is_pulled_out_is_reported_gone_and_found_when_it_is_back() {
    let mut scenario = Scenario { clock: Clock::File("clock".into()), ..Scenario::default() };
    scenario.devices[0].pulled_at = Some(10.0);
    let back = fake_nvml::Device { plugged_at: Some(30.0), pulled_at: None, ..scenario.devices[0].clone() };
    scenario.devices.push(back);
    let mut stage = Stage::new(&scenario);
    for second in 0..60 {
        stage.fake.set_time(f64::from(second)).unwrap();
        let sample = stage.at(f64::from(second), GUARD);
        match second {
            0..10 => assert!(sample.memory.is_some(), "{second}"),
            10 => assert_eq!(sample.problem, Some(ProbeError::Lost)),
            11..30 => assert!(sample.memory.is_none() && sample.problem.is_some(), "{second}"),
            // It is looked for after 5, 10, 20 seconds.
            46.. => assert!(sample.memory.is_some(), "{second}: {:?}", sample.problem),
            _ => {}
        }
    }
    assert_eq!(stage.fake.count("stale_handle"), 0);
}

#[test]
fn after_a_suspend_the_handle_is_made_anew() {
    let mut stage = Stage::new(&Scenario::default());
    stage.at(0.0, HELD);
    stage.watcher.release();
    assert_eq!(stage.fake.count("nvmlShutdown"), 1);
    assert!(stage.at(0.5, HELD).memory.is_some());
    assert_eq!((stage.fake.count("nvmlInit_v2"), stage.fake.count("stale_handle")), (2, 0));
}

#[test]
fn a_sleeping_card_sees_no_call_at_all() {
    let mut stage = Stage::new(&Scenario::default());
    stage.card("0000:01:00.0", "suspended", "auto");
    for second in 0..100 {
        let sample = stage.at(f64::from(second), ALL);
        assert!(sample.asleep && sample.problem.is_none(), "{sample:?}");
        assert_eq!((sample.memory, sample.utilization), (None, Some(0.0)), "its size was never seen");
        assert_eq!(sample.gpus.len(), 1);
    }
    assert_eq!(stage.watcher.processes(false, stage.start), Ok(Vec::new()));
    assert!(stage.fake.counts().is_empty(), "{:?}", stage.fake.counts());
}

#[test]
fn a_card_that_could_sleep_is_let_go_after_each_look_and_remembered_while_it_sleeps() {
    let mut stage = Stage::new(&Scenario::default());
    stage.card("0000:01:00.0", "active", "auto");
    let sample = stage.at(0.0, ALL);
    assert_eq!(sample.rest, Some(Duration::from_mins(1)));
    assert_eq!((stage.fake.count("nvmlInit_v2"), stage.fake.count("nvmlShutdown")), (1, 1));

    stage.card("0000:01:00.0", "suspended", "auto");
    let before = stage.fake.counts();
    let sample = stage.at(60.0, ALL);
    assert!(sample.asleep);
    assert_eq!(sample.memory.map(|memory| (memory.total >> 20, memory.used, memory.free >> 20)), Some((6141, 0, 6141)));
    assert_eq!(sample.gpu.unwrap().description, "Fake NVIDIA GeForce RTX 4050");
    assert_eq!(stage.fake.counts(), before);
}

#[test]
fn a_sleeping_card_is_woken_to_load_and_then_held() {
    let mut stage = Stage::new(&Scenario::default());
    stage.card("0000:01:00.0", "suspended", "auto");
    assert!(stage.at(0.0, ALL).asleep);
    assert!(stage.at(1.0, HELD).memory.is_some(), "a load wakes it");
    stage.card("0000:01:00.0", "active", "auto");
    for second in 2..10 {
        let sample = stage.at(f64::from(second), HELD);
        assert!(sample.memory.is_some() && sample.rest.is_none() && !sample.asleep);
    }
    assert_eq!(stage.fake.count("nvmlShutdown"), 0, "{:?}", stage.fake.counts());
}

#[test]
fn a_sleeping_card_is_not_touched_while_another_one_is_watched() {
    let mut stage = Stage::new(&cards(2));
    stage.card("0000:01:00.0", "active", "on");
    stage.card("0000:02:00.0", "suspended", "auto");
    let sample = stage.at(0.0, ALL);
    assert_eq!((sample.gpu.unwrap().pci_address.as_deref(), sample.gpus.len()), (Some("0000:01:00.0"), 2));
    assert_eq!(stage.fake.count("nvmlDeviceGetHandleByIndex_v2"), 0, "asking by number would wake it");
    assert_eq!(stage.fake.count("nvmlDeviceGetHandleByPciBusId_v2"), 1);
}

#[test]
fn a_card_that_is_not_watched_is_let_go_so_that_it_may_sleep() {
    let mut stage = Stage::new(&cards(2));
    stage.card("0000:01:00.0", "active", "auto");
    stage.card("0000:02:00.0", "active", "on");
    for second in 0..3 {
        let sample = stage.at(f64::from(second), HELD);
        assert_eq!(sample.gpu.unwrap().pci_address.as_deref(), Some("0000:02:00.0"));
    }
    let counts = stage.fake.counts();
    assert_eq!((counts["nvmlInit_v2"], counts["nvmlShutdown"]), (2, 1), "listed, let go, and opened for the one");
    assert_eq!(counts["nvmlDeviceGetHandleByPciBusId_v2"], 1, "only the one that is watched");
    assert_eq!(stage.fake.count("stale_handle"), 0);
}

fn blocking(function: &str) -> Scenario {
    let block = Block { function: function.into(), milliseconds: 60_000, after: 1, count: None };
    Scenario { blocks: vec![block], ..Scenario::default() }
}

#[tokio::test]
async fn a_call_that_blocks_leaves_its_caller_free() {
    let stage = Stage::new(&blocking(MEMORY));
    let sources = sources(&stage.folder, &stage.fake);
    let mut thread = ProbeThread::spawn(move || sources.watcher()).unwrap();
    let sample = || Request::Sample { want: GUARD, now: Instant::now() };
    thread.ask(sample());
    assert!(matches!(thread.answer().await, Answer::Sample(sample) if sample.memory.is_some()));
    thread.ask(sample());
    let waited = tokio::time::timeout(Duration::from_millis(50), thread.answer()).await;
    assert!(waited.is_err() && thread.is_busy());
    let start = Instant::now();
    drop(thread);
    assert!(start.elapsed() < Duration::from_secs(5), "ending does not wait for the driver");
}
