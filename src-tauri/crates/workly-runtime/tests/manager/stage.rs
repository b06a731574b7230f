//! Setting a manager up with workers that play.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fake_nvml::{Clock, Device, Installed, Row, Scenario};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use workly_core::answer::StopReason;
use workly_core::chat::{Message, Role};
use workly_core::problem::Problem;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::Standby;
use workly_core::text::AnswerText;
use workly_gpu::{Sources, Sysfs};
use workly_runtime::manager::{AnswerStream, ModelManager, ModelSettings, Patience};
use workly_runtime::monitor::{Monitor, MonitorSettings};
use workly_wire::answer::{AnswerEvent, AnswerRequest, AnswerStats, AnswerSwitch};
use workly_wire::model::{ModelSnapshot, ModelState};

/// How long nothing may happen where something must.
pub(crate) const QUIET: Duration = Duration::from_mins(1);

/// Megabytes of the card, and what others take of it before it fills up and after; the model takes 400 of them.
const CARD: u64 = 1_000;
const OTHERS: u64 = 100;
const FULL: u64 = CARD - 400;
/// Seconds on the card's clock from which it is full.
const FILLS_AT: f64 = 10.0;

/// A manager whose workers play.
pub(crate) struct Stage {
    pub(crate) manager: ModelManager,
    folder: TempDir,
    behaviour: Value,
}

/// A card that others can be made to fill.
pub(crate) struct Card(Installed);

impl Card {
    /// Others take all that the model leaves.
    pub(crate) fn fills_up(&self) {
        self.0.set_time(FILLS_AT + 1.0).unwrap();
    }

    /// They are gone.
    pub(crate) fn is_left(&self) {
        self.0.set_time(0.0).unwrap();
    }
}

/// An answer, heard to its end.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) indices: Vec<u32>,
    pub(crate) switches: Vec<AnswerSwitch>,
    pub(crate) stats: Option<AnswerStats>,
    pub(crate) problem: Option<Problem>,
    pub(crate) ends: u32,
}

impl Heard {
    /// The answer was stopped, and nothing of it was lost or said twice.
    pub(crate) fn assert_stopped(&self) {
        assert_eq!(self.ends, 1, "{self:?}");
        assert_eq!(self.stats.as_ref().map(|stats| stats.stop), Some(StopReason::Cancelled), "{self:?}");
        self.assert_in_order();
    }

    pub(crate) fn assert_in_order(&self) {
        assert!(self.indices.iter().copied().eq(0..self.indices.len() as u32), "{:?}", self.indices);
    }
}

impl Stage {
    /// Ready to be played on; `behaviour`: what the workers read.
    pub(crate) fn set(behaviour: Value) -> Self {
        Self::set_with(behaviour, |_| {}, Patience::default())
    }

    pub(crate) fn set_with(behaviour: Value, change: impl FnOnce(&mut ModelSettings), patience: Patience) -> Self {
        Self::set_in(tempfile::tempdir().unwrap(), behaviour, change, patience, Sources::default(), None)
    }

    /// What was learned is remembered in this folder.
    pub(crate) fn remembering(data: &Path, change: impl FnOnce(&mut ModelSettings)) -> Self {
        let (folder, sources) = (tempfile::tempdir().unwrap(), Sources::default());
        Self::set_in(folder, json!({}), change, Patience::default(), sources, Some(data))
    }

    /// On a card that NVML knows, and that is looked at twice a second.
    pub(crate) fn on_card(behaviour: Value, change: impl FnOnce(&mut ModelSettings)) -> (Self, Card) {
        let folder = tempfile::tempdir().unwrap();
        let row = |at, used_mib| Row { at, used_mib: Some(used_mib), ..Row::default() };
        let device = Device {
            total_mib: CARD,
            timeline: vec![row(0.0, OTHERS), row(FILLS_AT, FULL)],
            own_usage_file: Some(folder.path().join("own")),
            ..Device::default()
        };
        let library = folder.path().join("nvml");
        std::fs::create_dir(&library).unwrap();
        let pci = device.pci.clone();
        let scenario = Scenario { devices: vec![device], clock: Clock::File("clock".into()), ..Scenario::default() };
        let card = Installed::new(&library, &scenario).unwrap();
        // What this machine's own card does, which may sleep, is nothing to this one.
        let sysfs = Sysfs::at(folder.path().join("sys"));
        let sources = Sources { nvml_library: Some(card.library.clone()), sysfs, ..Sources::default() };
        let mut stage = Self::set_in(folder, behaviour, change, Patience::default(), sources, None);
        stage.behave(json!({ "pci_address": pci }));
        (stage, Card(card))
    }

    fn set_in(
        folder: TempDir,
        behaviour: Value,
        change: impl FnOnce(&mut ModelSettings),
        patience: Patience,
        sources: Sources,
        data: Option<&Path>,
    ) -> Self {
        let program = folder.path().join("workly-cli");
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manager/fake_worker.py"), &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.path().join("m.gguf"), "GGUF").unwrap();
        std::fs::write(folder.path().join("other.gguf"), "GGUF").unwrap();
        let mut settings = ModelSettings {
            profile: ProfileChoice::Fixed(Profile::Performance),
            standby: Standby::Off,
            ..ModelSettings::new(folder.path().join("m.gguf"))
        };
        change(&mut settings);
        let monitor = Arc::new(Monitor::start(sources, MonitorSettings::default()).unwrap());
        let manager = ModelManager::start(program, settings, patience, monitor, data);
        let mut stage = Self { manager, folder, behaviour: json!({}) };
        stage.behave(json!({ "answer_text": AnswerText::new(Vec::new()) }));
        stage.behave(behaviour);
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From now on workers do this too.
    pub(crate) fn behave(&mut self, changes: Value) {
        let (Value::Object(known), Value::Object(changes)) = (&mut self.behaviour, changes) else {
            panic!("no object")
        };
        known.extend(changes);
        let (path, next) = (self.path("behaviour.json"), self.path("next.json"));
        std::fs::write(&next, self.behaviour.to_string()).unwrap();
        std::fs::rename(next, path).unwrap();
    }

    /// What the workers wrote down, a line each.
    pub(crate) fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(what)).count()
    }

    pub(crate) fn snapshot(&self) -> ModelSnapshot {
        self.manager.snapshot().borrow().clone()
    }

    /// Waits until the manager is seen so.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&ModelSnapshot) -> bool) -> ModelSnapshot {
        let mut snapshots = self.manager.snapshot();
        let seen = timeout(QUIET, snapshots.wait_for(|snapshot| holds(snapshot))).await;
        let Ok(snapshot) = seen else { panic!("not {what}: {:?}\n{:?}", self.snapshot(), self.log()) };
        snapshot.unwrap().clone()
    }

    /// Waits until the workers wrote this down so often.
    pub(crate) async fn until_logged(&self, what: &str, times: usize) {
        let began = Instant::now();
        while self.count(what) < times {
            assert!(began.elapsed() < QUIET, "no {what}: {:?}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn is_ready(&self) {
        self.until("ready", |snapshot| snapshot.state == ModelState::Ready).await;
    }

    pub(crate) fn ask(&self, tokens: u32) -> AnswerStream {
        self.manager.answer(AnswerRequest {
            messages: vec![Message::new(Role::User, "Count.")],
            sampling: None,
            max_tokens: Some(tokens),
            stop_strings: Vec::new(),
            ignore_end: false,
        })
    }
}

/// Waits for something that happens at once where all is well.
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    timeout(QUIET, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Hears the next event.
pub(crate) async fn next(stream: &mut AnswerStream) -> Option<AnswerEvent> {
    in_time("the answer to go on", stream.next()).await
}

/// Hears an answer up to this token.
pub(crate) async fn hear_to(stream: &mut AnswerStream, heard: &mut Heard, token: u32) {
    while heard.indices.last().is_none_or(|last| *last < token) {
        take(next(stream).await.unwrap_or_else(|| panic!("it ended at {heard:?}")), heard);
        assert_eq!(heard.ends, 0, "{heard:?}");
    }
}

/// Hears the rest of it.
pub(crate) async fn hear_out(mut stream: AnswerStream, mut heard: Heard) -> Heard {
    while heard.ends == 0 {
        let Some(event) = next(&mut stream).await else { break };
        take(event, &mut heard);
    }
    heard
}

fn take(event: AnswerEvent, heard: &mut Heard) {
    match event {
        AnswerEvent::Token { index, .. } => heard.indices.push(index),
        AnswerEvent::Switched(switch) => heard.switches.push(switch),
        AnswerEvent::Done(stats) => (heard.stats, heard.ends) = (Some(stats), heard.ends + 1),
        AnswerEvent::Failed(problem) => (heard.problem, heard.ends) = (Some(problem), heard.ends + 1),
        AnswerEvent::Prompt { .. } | AnswerEvent::Silent | AnswerEvent::Resumed => {}
    }
}
