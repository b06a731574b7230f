//! The NVML probe through the real foreign-function path: what it reads, and at what price.

mod support;

use std::process::{Command, Stdio};

use fake_nvml::{Clock, Device, Process, ProcessKind, Row, Scenario};
use support::{ALL, GUARD, HELD, Stage, cards, one_card};
use workly_core::device::DeviceWish;

const MIB: u64 = 1 << 20;

#[test]
fn a_reading_shows_what_the_card_shows() {
    let mut stage = Stage::new(&one_card(Row { used_mib: Some(1234), gpu_percent: Some(56), ..Row::default() }));
    let sample = stage.at(0.0, ALL);
    let memory = sample.memory.unwrap();
    assert_eq!([memory.total, memory.used, memory.free].map(|bytes| bytes / MIB), [6141, 1234, 4907]);
    assert_eq!(sample.utilization, Some(56.0));
    let sensors = sample.sensors.unwrap();
    assert_eq!((sensors.temperature_c, sensors.power_w), (Some(41.0), Some(12.5)));
    let gpu = sample.gpu.unwrap();
    assert_eq!(gpu.description, "Fake NVIDIA GeForce RTX 4050");
    assert_eq!(gpu.pci_address.as_deref(), Some("0000:01:00.0"), "as sysfs and ggml write it");
    assert!(!sample.asleep && !sample.simulated && sample.problem.is_none() && sample.rest.is_none());
}

#[test]
fn each_look_costs_exactly_the_calls_it_needs_and_the_list_is_the_first_reading() {
    let mut stage = Stage::new(&Scenario::default());
    for second in 0..10 {
        stage.at(f64::from(second), if second == 0 { HELD } else { GUARD });
    }
    let counts = stage.fake.counts();
    assert_eq!(counts["nvmlDeviceGetMemoryInfo_v2"], 10);
    for once in ["nvmlInit_v2", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetTemperature", "nvmlDeviceGetPowerUsage"]
    {
        assert_eq!(counts[once], 1, "{once}");
    }
    assert!(!counts.keys().any(|function| function.contains("Process")), "{counts:?}");
    drop(stage.watcher);
    assert_eq!(stage.fake.count("nvmlShutdown"), 1);
}

#[test]
fn memory_the_driver_keeps_for_itself_is_neither_used_nor_free() {
    let mut scenario = one_card(Row { used_mib: Some(1000), ..Row::default() });
    scenario.devices[0].reserved_mib = 300;
    let memory = Stage::new(&scenario).at(0.0, ALL).memory.unwrap();
    assert_eq!((memory.used / MIB, memory.free / MIB), (1000, 6141 - 1300));
}

#[test]
fn an_old_driver_is_asked_in_its_own_way() {
    let mut scenario = one_card(Row { used_mib: Some(1000), ..Row::default() });
    scenario.devices[0].reserved_mib = 300;
    let mut stage = Stage::without(&scenario, &["nvmlDeviceGetMemoryInfo_v2"]);
    for second in 0..3 {
        let memory = stage.at(f64::from(second), HELD).memory.unwrap();
        assert_eq!((memory.used / MIB, memory.free / MIB), (1300, 6141 - 1300), "its `used` counts what is reserved");
    }
    assert_eq!(stage.fake.count("nvmlDeviceGetMemoryInfo"), 3);
}

#[test]
fn figures_a_card_does_not_tell_are_unknown_each_by_itself_and_asked_once() {
    let full = Row::default();
    let cases = [
        (Row { gpu_percent: None, ..full.clone() }, (None, Some(41.0), Some(12.5))),
        (Row { temperature_c: None, ..full.clone() }, (Some(3.0), None, Some(12.5))),
        (Row { power_w: None, ..full.clone() }, (Some(3.0), Some(41.0), None)),
        (Row { gpu_percent: None, temperature_c: None, power_w: None, ..full }, (None, None, None)),
    ];
    for (row, expected) in cases {
        let mut stage = Stage::new(&one_card(row));
        for second in 0..3 {
            let sample = stage.at(f64::from(second), HELD);
            let sensors = sample.sensors.unwrap();
            assert_eq!((sample.utilization, sensors.temperature_c, sensors.power_w), expected);
            assert!(sample.memory.is_some() && sample.problem.is_none());
        }
        let calls = |known: bool| if known { 3 } else { 1 };
        assert_eq!(stage.fake.count("nvmlDeviceGetUtilizationRates"), calls(expected.0.is_some()));
        assert_eq!(stage.fake.count("nvmlDeviceGetTemperature"), calls(expected.1.is_some()));
        assert_eq!(stage.fake.count("nvmlDeviceGetPowerUsage"), calls(expected.2.is_some()));
    }
}

#[test]
fn no_card_one_two_or_eight_are_listed_and_the_one_with_the_most_room_is_watched() {
    for count in [0, 1, 2, 8] {
        let mut stage = Stage::new(&cards(count));
        let sample = stage.at(0.0, ALL);
        assert_eq!(sample.gpus.len(), count as usize);
        match count {
            0 => assert!(sample.problem.unwrap().to_string().starts_with("no GPU to watch: ")),
            _ => assert_eq!(sample.gpu.unwrap().description, format!("Fake card {}", count - 1)),
        }
    }
}

#[test]
fn a_wish_for_another_card_takes_effect_at_the_next_look() {
    let mut stage = Stage::new(&cards(2));
    assert_eq!(stage.at(0.0, ALL).gpu.unwrap().name, "NVML1");
    stage.watcher.wish(DeviceWish::Named("Fake card 0".into()), Vec::new());
    let sample = stage.at(1.0, ALL);
    assert_eq!((sample.gpu.unwrap().name.as_str(), sample.memory.unwrap().used / MIB), ("NVML0", 2000));
}

#[test]
fn the_card_stays_the_same_while_another_has_more_room() {
    let mut scenario = cards(2);
    scenario.clock = Clock::File("clock".into());
    scenario.devices[0].timeline.push(Row { at: 10.0, used_mib: Some(10), ..Row::default() });
    scenario.failures = vec![fake_nvml::Failure {
        function: "nvmlDeviceGetMemoryInfo_v2".into(),
        code: 15,
        from: Some(5.0),
        until: Some(6.0),
        ..Default::default()
    }];
    let mut stage = Stage::new(&scenario);
    assert_eq!(stage.at(0.0, HELD).gpu.unwrap().name, "NVML1");
    stage.fake.set_time(5.5).unwrap();
    assert!(stage.at(5.5, HELD).problem.is_some());
    stage.fake.set_time(20.0).unwrap();
    assert_eq!(stage.at(20.0, HELD).gpu.unwrap().name, "NVML1");
}

#[test]
fn a_card_split_into_instances_says_so_and_its_utilization_is_unknown() {
    let mut scenario = Scenario::default();
    scenario.devices[0].mig = Some(true);
    let sample = Stage::new(&scenario).at(0.0, ALL);
    assert!(sample.gpu.unwrap().description.ends_with("(MIG)"));
    assert_eq!(sample.utilization, None);
    assert!(sample.memory.is_some());
}

#[test]
fn processes_are_listed_once_each_with_their_names_and_only_when_asked() {
    let process =
        |pid, kind, used_mib| Process { pid, name: format!("/opt/game{pid}"), kind, used_mib, gpu_percent: None };
    let processes = vec![
        process(4_000_001, ProcessKind::Graphics, Some(300)),
        process(4_000_002, ProcessKind::Compute, None),
        process(4_000_003, ProcessKind::Graphics, Some(50)),
        process(4_000_003, ProcessKind::Compute, Some(50)),
    ];
    let mut stage = Stage::new(&one_card(Row { processes, ..Row::default() }));
    stage.at(0.0, ALL);
    assert!(!stage.fake.counts().keys().any(|function| function.contains("Process")));
    let list = stage.watcher.processes(false, stage.start).unwrap();
    let seen: Vec<_> = list.iter().map(|one| (one.pid, one.name.as_deref(), one.vram_bytes.map(|b| b / MIB))).collect();
    assert_eq!(
        seen,
        [
            (4_000_001, Some("game4000001"), Some(300)),
            (4_000_002, Some("game4000002"), None),
            (4_000_003, Some("game4000003"), Some(50)),
        ]
    );
}

#[test]
fn memory_of_a_process_counts_while_it_lives() {
    let mut scenario = one_card(Row { used_mib: Some(100), ..Row::default() });
    scenario.devices[0].own_usage_file = Some("own".into());
    let mut stage = Stage::new(&scenario);
    let own = stage.fake.library.with_file_name("own");
    let used = |stage: &mut Stage| stage.at(0.0, GUARD).memory.unwrap().used / MIB;
    assert_eq!(used(&mut stage), 100);
    let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    std::fs::write(&own, format!("{} {}\n", child.id(), 500 * MIB)).unwrap();
    assert_eq!(used(&mut stage), 600);
    let list = stage.watcher.processes(true, stage.start).unwrap();
    assert_eq!((list[0].pid, list[0].name.as_deref()), (child.id(), Some("sleep")));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(used(&mut stage), 100);
}

#[test]
fn a_trace_is_played_as_a_card() {
    let trace = "seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating\n0,6141,249,3.5,1\n10,6141,4000,97.4,1\n";
    let device = Device { trace: Some("trace.csv".into()), ..Device::default() };
    let mut stage =
        Stage::new(&Scenario { devices: vec![device], clock: Clock::File("clock".into()), ..Scenario::default() });
    std::fs::write(stage.fake.library.with_file_name("trace.csv"), trace).unwrap();
    let sample = stage.at(0.0, HELD);
    assert_eq!((sample.memory.unwrap().used / MIB, sample.utilization), (249, Some(4.0)));
    stage.fake.set_time(12.0).unwrap();
    let sample = stage.at(12.0, HELD);
    assert_eq!((sample.memory.unwrap().used / MIB, sample.utilization), (4000, Some(97.0)));
}
