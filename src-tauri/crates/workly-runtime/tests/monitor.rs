//! The monitor over the fake NVML library, through the real foreign-function path.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot be set up has failed")]

#[path = "../../workly-engine/tests/support/progress.rs"]
mod progress;

use std::fs;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fake_nvml::{Block, Clock, Device, Failure, Installed, Process, ProcessKind, Row, Scenario};
use progress::Deadline;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;
use workly_core::device::DeviceWish;
use workly_core::policy::{GpuState, Sight};
use workly_core::profile::Profile;
use workly_gpu::{ProbeError, Sources, Sysfs};
use workly_runtime::monitor::{Activity, Monitor, MonitorSettings, Snapshot};

const MEMORY: &str = "nvmlDeviceGetMemoryInfo_v2";
/// Real time that a test may take.
const DEADLINE: Duration = Duration::from_mins(8);
const ON_GPU: Activity = Activity {
    settling: false,
    model_loaded: true,
    model_on_gpu: true,
    climbing: false,
    own_bytes: Some(5100 << 20),
    profile: Some(Profile::Performance),
};

struct Stage {
    folder: TempDir,
    fake: Installed,
    /// Held while the test runs.
    _alive: Arc<()>,
}

impl Stage {
    fn new(scenario: &Scenario) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("lib");
        fs::create_dir(&library).unwrap();
        let fake = Installed::new(&library, scenario).unwrap();
        let alive = Arc::new(());
        end_after(DEADLINE, Arc::downgrade(&alive));
        Self { folder, fake, _alive: alive }
    }

    fn sources(&self) -> Sources {
        let sysfs = Sysfs::at(self.folder.path().join("sys"));
        Sources { nvml_library: Some(self.fake.library.clone()), sysfs, ..Sources::default() }
    }

    fn card(&self, status: &str) {
        let folder = self.folder.path().join("sys/bus/pci/devices/0000:01:00.0");
        fs::create_dir_all(folder.join("power")).unwrap();
        for (file, text) in
            [("vendor", "0x10de"), ("class", "0x030200"), ("power/runtime_status", status), ("power/control", "auto")]
        {
            fs::write(folder.join(file), text).unwrap();
        }
    }

    /// A monitor that waits for the driver for ever, as paused time needs.
    fn patient(&self, settings: MonitorSettings) -> Monitor {
        let sources = self.sources();
        Monitor::start_with(move || sources.watcher(), settings, None).unwrap()
    }
}

fn row(used_mib: u64, gpu_percent: u32) -> Row {
    Row { used_mib: Some(used_mib), gpu_percent: Some(gpu_percent), ..Row::default() }
}

fn scenario(timeline: Vec<Row>) -> Scenario {
    Scenario { devices: vec![Device { timeline, ..Device::default() }], ..Scenario::default() }
}

/// Ends the whole run when the test is not done by then: paused time has no deadline of its own.
fn end_after(deadline: Duration, test: Weak<()>) {
    std::thread::spawn(move || {
        std::thread::sleep(deadline);
        if test.upgrade().is_some() {
            eprintln!("a test of the monitor still waits after {deadline:?}");
            std::process::abort();
        }
    });
}

/// The first snapshot that is as wanted.
async fn until(snapshots: &mut watch::Receiver<Snapshot>, wanted: impl FnMut(&Snapshot) -> bool) -> Snapshot {
    snapshots.wait_for(wanted).await.unwrap().clone()
}

fn time_ms(snapshot: &Snapshot) -> u64 {
    snapshot.shown.map_or(0, |shown| shown.time_ms)
}

#[tokio::test(start_paused = true)]
async fn an_hour_with_a_model_on_the_gpu_makes_the_calls_it_may_and_no_more() {
    let stage = Stage::new(&scenario(vec![row(5500, 60)]));
    let monitor = stage.patient(MonitorSettings::default());
    monitor.set_activity(ON_GPU);
    let mut snapshots = monitor.subscribe();
    until(&mut snapshots, |snapshot| time_ms(snapshot) >= 3_599_500).await;
    let counts = stage.fake.counts();
    assert_eq!(counts[MEMORY], 7200);
    assert_eq!(counts["nvmlDeviceGetUtilizationRates"], 720);
    assert_eq!(counts["nvmlDeviceGetTemperature"], 360);
    assert_eq!(counts["nvmlDeviceGetPowerUsage"], 360);
    assert_eq!(counts["nvmlInit_v2"], 1);
    assert!(!counts.keys().any(|function| function.contains("Process")), "{counts:?}");
    assert_eq!(monitor.last_hour().len(), 720);
}

#[tokio::test(start_paused = true)]
async fn a_first_reading_over_the_line_is_repeated_after_a_quarter_of_a_second_and_later_ones_are_not() {
    let stage = Stage::new(&Scenario {
        clock: Clock::File("clock".into()),
        ..scenario(vec![row(1000, 5), Row { at: 1.0, ..row(5800, 5) }])
    });
    let monitor = stage.patient(MonitorSettings::default());
    monitor.set_activity(ON_GPU);
    let mut snapshots = monitor.subscribe();
    until(&mut snapshots, |snapshot| time_ms(snapshot) >= 500).await;
    stage.fake.set_time(1.0).unwrap();
    let first = until(&mut snapshots, |snapshot| snapshot.state == Some(GpuState::Overloaded)).await;
    let second = until(&mut snapshots, |snapshot| snapshot.sequence > first.sequence).await;
    let gap = time_ms(&second) - time_ms(&first);
    assert!((250..=260).contains(&gap), "{gap}");
    let before = stage.fake.count(MEMORY);
    let start = time_ms(&second);
    until(&mut snapshots, |snapshot| time_ms(snapshot) >= start + 9_700).await;
    assert!(stage.fake.count(MEMORY) - before <= 20);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_nothing_is_loaded_and_nobody_looks() {
    let stage = Stage::new(&scenario(vec![row(1000, 5)]));
    let monitor = stage.patient(MonitorSettings::default());
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(stage.fake.counts().is_empty());
    let mut snapshots = monitor.subscribe();
    let look = monitor.look();
    until(&mut snapshots, |snapshot| time_ms(snapshot) >= 3_620_000).await;
    assert_eq!(stage.fake.count(MEMORY), 5, "a full reading every 5 s and no guard");
    drop(look);
    // The handle is let go, and nothing comes after.
    let mut deadline = Deadline::of_children();
    while stage.fake.count("nvmlShutdown") == 0 && !deadline.is_over() {
        tokio::task::yield_now().await;
    }
    let counts = stage.fake.counts();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(counts["nvmlShutdown"], 1);
    assert_eq!(stage.fake.counts(), counts);
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_card_sees_no_call_while_somebody_looks_for_an_hour() {
    let stage = Stage::new(&scenario(vec![row(1000, 5)]));
    stage.card("suspended");
    let monitor = stage.patient(MonitorSettings::default());
    let _look = monitor.look();
    let mut snapshots = monitor.subscribe();
    let snapshot = until(&mut snapshots, |snapshot| snapshot.sequence >= 720).await;
    assert!(snapshot.asleep && snapshot.problem.is_none());
    assert!(stage.fake.counts().is_empty(), "{:?}", stage.fake.counts());
}

#[tokio::test(start_paused = true)]
async fn a_card_that_could_sleep_is_read_once_a_minute_and_let_go_each_time() {
    let stage = Stage::new(&scenario(vec![row(1000, 5)]));
    stage.card("active");
    let monitor = stage.patient(MonitorSettings::default());
    monitor.set_activity(Activity { model_on_gpu: false, ..ON_GPU });
    let mut snapshots = monitor.subscribe();
    until(&mut snapshots, |snapshot| snapshot.sequence >= 120).await;
    let counts = stage.fake.counts();
    assert_eq!((counts[MEMORY], counts["nvmlInit_v2"], counts["nvmlShutdown"]), (10, 10, 10), "ten minutes");
    monitor.set_activity(ON_GPU);
    let sequence = monitor.snapshot().sequence;
    until(&mut snapshots, |snapshot| snapshot.sequence >= sequence + 100).await;
    assert_eq!(stage.fake.count("nvmlInit_v2"), 11, "with a model on it, it is held");
}

#[tokio::test]
async fn a_driver_that_blocks_makes_the_figures_stale_and_holds_up_nothing_else() {
    let block = Block { function: MEMORY.into(), milliseconds: 3_000, after: 1, count: Some(1) };
    let stage = Stage::new(&Scenario { blocks: vec![block], ..scenario(vec![row(1000, 5)]) });
    let sources = stage.sources();
    let settings = MonitorSettings { interval: Duration::from_secs(1), ..MonitorSettings::default() };
    let patience = Some(Duration::from_millis(200));
    let monitor = Monitor::start_with(move || sources.watcher(), settings, patience).unwrap();
    monitor.set_activity(ON_GPU);
    let mut snapshots = monitor.subscribe();
    let stale = until(&mut snapshots, |snapshot| snapshot.stale && snapshot.shown.is_some()).await;
    assert_eq!((stale.problem.clone(), stale.sight), (Some(ProbeError::Blocked), Sight::Stale));
    assert_eq!(stale.stats().map(|stats| stats.gpu_percent), Some(Some(5.0)), "the old figures are still shown");
    monitor.set_settings(MonitorSettings { interval: Duration::from_secs(2), ..MonitorSettings::default() });
    let fresh = until(&mut snapshots, |snapshot| snapshot.sequence > stale.sequence && !snapshot.stale).await;
    assert!(fresh.problem.is_none() && matches!(fresh.sight, Sight::Fresh(_)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_card_is_gone_for_the_policy_and_comes_back() {
    let failure = Failure { function: MEMORY.into(), code: 15, after: 3, count: Some(1), ..Failure::default() };
    let stage = Stage::new(&Scenario { failures: vec![failure], ..scenario(vec![row(1000, 5)]) });
    let monitor = stage.patient(MonitorSettings::default());
    monitor.set_activity(ON_GPU);
    let mut snapshots = monitor.subscribe();
    let gone = until(&mut snapshots, |snapshot| snapshot.problem.is_some()).await;
    assert_eq!((gone.sight, gone.stats()), (Sight::Gone, None));
    let lost_at = Instant::now();
    until(&mut snapshots, |snapshot| matches!(snapshot.sight, Sight::Fresh(_))).await;
    assert!(lost_at.elapsed() <= Duration::from_millis(5_600), "{:?}", lost_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn settings_take_effect_while_it_runs() {
    let second = Device { name: "Second card".into(), pci: "0000:02:00.0".into(), ..Device::default() };
    let mut scenario = scenario(vec![row(4000, 70)]);
    scenario.devices.insert(0, second);
    let stage = Stage::new(&scenario);
    let monitor = stage.patient(MonitorSettings::default());
    let _look = monitor.look();
    let mut snapshots = monitor.subscribe();
    let first = until(&mut snapshots, |snapshot| snapshot.sequence > 0).await;
    assert_eq!((first.gpu.unwrap().description.as_str(), first.gpus.len()), ("Second card", 2));
    let mut settings = MonitorSettings {
        device: DeviceWish::Named("0000:01:00.0".into()),
        interval: Duration::from_secs(1),
        ..MonitorSettings::default()
    };
    settings.thresholds.overload_vram_percent = 62.0;
    settings.thresholds.stressed_vram_percent = 55.0;
    settings.thresholds.optimal_vram_percent = 50.0;
    monitor.set_settings(settings);
    let other = until(&mut snapshots, |snapshot| snapshot.gpu.as_ref().is_some_and(|gpu| gpu.name == "NVML1")).await;
    assert_eq!(other.state, Some(GpuState::Overloaded), "4000 of 6141 MiB under the new thresholds");
    assert_eq!(monitor.stats().unwrap().recommended_profile, Profile::CpuFallback);
}

#[tokio::test]
async fn processes_are_asked_for_when_somebody_wants_them() {
    let process = Process {
        pid: 4_000_001,
        name: "/opt/obs".into(),
        kind: ProcessKind::Graphics,
        used_mib: Some(1200),
        gpu_percent: None,
    };
    let stage = Stage::new(&scenario(vec![Row { processes: vec![process], ..row(2000, 5) }]));
    let monitor = Monitor::start(stage.sources(), MonitorSettings::default()).unwrap();
    let processes = monitor.processes().await.unwrap();
    assert_eq!((processes[0].name.as_deref(), processes[0].vram_bytes), (Some("obs"), Some(1200 << 20)));
    assert_eq!(stage.fake.count("nvmlDeviceGetGraphicsRunningProcesses_v3"), 2, "its size, then its content");
}

/// A monitor of a machine without a card, whose files lie in this folder.
fn without_card(folder: &TempDir) -> Monitor {
    let sources = Sources {
        nvml_library: Some(folder.path().join("none.so")),
        sysfs: Sysfs::at(folder.path()),
        ..Sources::default()
    };
    Monitor::start_with(move || sources.watcher(), MonitorSettings::default(), None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_card_that_is_not_there_is_looked_for_once_a_minute_until_somebody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let monitor = without_card(&folder);
    let mut snapshots = monitor.subscribe();
    let began = Instant::now();
    monitor.set_activity(Activity { model_on_gpu: false, profile: Some(Profile::CpuFallback), ..ON_GPU });
    until(&mut snapshots, |snapshot| snapshot.sequence > 10).await;
    assert_eq!(began.elapsed().as_secs() / 60, 10);
    let (seen, look) = (Instant::now(), monitor.look());
    until(&mut snapshots, |snapshot| snapshot.sequence > 20).await;
    assert!(seen.elapsed() < Duration::from_mins(1), "{:?}", seen.elapsed());
    // What was asked for is looked for at once.
    drop(look);
    let (asked, sequence) = (Instant::now(), monitor.snapshot().sequence);
    monitor.read_soon();
    until(&mut snapshots, |snapshot| snapshot.sequence > sequence).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_a_card_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let monitor = without_card(&folder);
    let _look = monitor.look();
    let snapshot = until(&mut monitor.subscribe(), |snapshot| snapshot.sequence > 2).await;
    assert_eq!((snapshot.sight, snapshot.stats()), (Sight::Gone, None));
    assert!(snapshot.reason().unwrap().contains("no NVIDIA driver was found"), "{:?}", snapshot.reason());
}

#[tokio::test]
async fn dropping_the_monitor_ends_its_thread_and_shuts_the_driver_down() {
    let stage = Stage::new(&scenario(vec![row(1000, 5)]));
    let monitor = Monitor::start(stage.sources(), MonitorSettings::default()).unwrap();
    monitor.set_activity(ON_GPU);
    until(&mut monitor.subscribe(), |snapshot| snapshot.sequence > 0).await;
    drop(monitor);
    let mut deadline = Deadline::of_children();
    while stage.fake.count("nvmlShutdown") == 0 {
        assert!(!deadline.is_over(), "the driver is still held");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_history_is_written_in_the_seed_s_format_once_it_is_wanted() {
    let stage = Stage::new(&scenario(vec![Row { ..row(6141 / 2, 40) }]));
    let path = stage.folder.path().join("gpu-history.csv");
    let monitor = stage.patient(MonitorSettings::default());
    monitor.set_activity(ON_GPU);
    let mut snapshots = monitor.subscribe();
    until(&mut snapshots, |snapshot| time_ms(snapshot) >= 20_000).await;
    assert!(!path.exists(), "off by default");
    monitor.set_settings(MonitorSettings { history: Some(path.clone()), ..MonitorSettings::default() });
    until(&mut snapshots, |snapshot| time_ms(snapshot) >= 40_000).await;
    let mut deadline = Deadline::of_children();
    let mut text = String::new();
    while text.lines().count() < 4 && !deadline.is_over() {
        text = fs::read_to_string(&path).unwrap_or_default();
        tokio::task::yield_now().await;
    }
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "timestamp,vram_percent,gpu_percent,profile");
    assert!(lines[1].ends_with(",50.0,40.0,performance"), "{}", lines[1]);
    assert_eq!(lines[1].find(','), Some("2025-11-14 10:00:00".len()));
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_full_disk_does_not_stop_the_readings() {
    let stage = Stage::new(&scenario(vec![row(1000, 5)]));
    let settings = MonitorSettings { history: Some("/dev/full".into()), ..MonitorSettings::default() };
    let monitor = stage.patient(settings);
    monitor.set_activity(ON_GPU);
    until(&mut monitor.subscribe(), |snapshot| time_ms(snapshot) >= 60_000).await;
}
