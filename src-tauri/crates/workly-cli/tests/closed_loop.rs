//! A game, a stream, and one long answer: the real worker on the real Vulkan backend, the policy on a card that is played.
//!
//! The card is scaled to the model: SmolLM2 fills it as a 7B model fills 6 GB. The fake counts the worker's predicted
//! footprint as used while that process lives.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fake_nvml::{Clock, Device, Installed, Process, ProcessKind, Row, Scenario};
use serde_json::{Value, json};
use support::progress::Deadline;
use support::{Chat, PROGRAM, chat, model, objects, run};

/// The seed's laptop, MiB: a "6 GB" card, and what a 7B model takes of it.
const LAPTOP: u64 = 6_141;
const SEVEN_B: u64 = 5_100;
/// Room for an answer that is written for as long as the scenes last.
const CONTEXT: &str = "8192";

/// A card on which the model is as large as a 7B model on the seed's laptop.
struct Stage {
    /// The model's footprint with all layers, MiB.
    footprint: u64,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = std::process::Command::new(PROGRAM);
        plan.args(["plan", "--vram-total-mib", "100000", "--context", CONTEXT, "--json", "--model"]).arg(model());
        plan.env("WORKLY_DATA_DIR", folder.path()).env("GGML_VK_VISIBLE_DEVICES", "0");
        let plan = objects(&run(&mut plan, 0)).remove(0);
        let footprint = plan["profiles"]["performance"]["footprint_mib"].as_u64().unwrap();
        Self { footprint, folder }
    }

    /// MiB of the laptop's card on this one.
    fn scaled(&self, mib: u64) -> u64 {
        mib * self.footprint / SEVEN_B
    }

    /// Others on the card from a second on: their VRAM on the laptop's card in MiB, their utilization, and who it is.
    fn scene(&self, at: f64, mib: u64, gpu_percent: u32, who: Option<&str>) -> Row {
        let used = self.scaled(mib);
        let program = who.map(|name| Process {
            pid: 4_194_000,
            name: name.to_owned(),
            kind: ProcessKind::Graphics,
            used_mib: Some(used),
            gpu_percent: Some(gpu_percent),
        });
        let processes = program.into_iter().collect();
        Row { at, used_mib: Some(used), gpu_percent: Some(gpu_percent), processes, ..Row::default() }
    }

    /// Plays scenes to a chat that writes one long answer, until `enough` is told of an object. Their time begins with
    /// the first token, and others leave the card only once the model has made way for them, however long that takes.
    fn play(&self, scenes: Vec<Row>, arguments: &[&str], mut enough: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let own = self.folder.path().join("own");
        let leaves = |pair: &[Row]| !pair[0].processes.is_empty() && pair[1].processes.is_empty();
        // Just before the scene that they are gone in.
        let leave = scenes.windows(2).find(|pair| leaves(pair)).map(|pair| pair[1].at - 0.1);
        let device = Device {
            total_mib: self.scaled(LAPTOP),
            timeline: scenes,
            own_usage_file: Some(own.clone()),
            ..Device::default()
        };
        let library = self.folder.path().join("nvml");
        fs::create_dir(&library).unwrap();
        let clock = Clock::File("clock".into());
        let scenario = Scenario { devices: vec![device], clock, ..Scenario::default() };
        let installed = Installed::new(&library, &scenario).unwrap();
        let mut command = chat(&["--profile", "auto", "--context", CONTEXT, "--ignore-eos", "--seed", "1", "--json"]);
        command.args(["--prompt", "Tell a very long story of a lighthouse keeper."]).args(arguments);
        command.env("GGML_VK_VISIBLE_DEVICES", "0").env("WORKLY_NVML_LIB", &installed.library);
        command.env("WORKLY_DATA_DIR", self.folder.path());
        let running = Chat::start(&mut command);
        let mut deadline = Deadline::of_children();
        let _usage = Usage::follow(running.process_id(), &own, self.footprint << 20);
        let mut heard: Vec<Value> = Vec::new();
        let mut began: Option<Instant> = None;
        loop {
            // A token of a model in software takes a second, and longer where others compute.
            if let Some(began) = began {
                let has_moved = heard.iter().any(|object| object["type"] == "switch");
                let latest = leave.filter(|_| !has_moved).unwrap_or(f64::MAX);
                installed.set_time(began.elapsed().as_secs_f64().min(latest)).unwrap();
            }
            assert!(!deadline.is_over(), "the chat hangs");
            let Some(object) = running.object_within(Duration::from_millis(200)) else { continue };
            deadline.heard();
            began.get_or_insert_with(Instant::now);
            let ends = enough(&object) || object["type"] == "done";
            heard.push(object);
            if ends {
                return heard;
            }
        }
    }
}

/// Writes which workers are on the card into the file that the fake reads, as long as it lives.
struct Usage(Arc<AtomicBool>);

impl Usage {
    fn follow(chat: u32, file: &Path, bytes: u64) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (until, file) = (Arc::clone(&ends), file.to_path_buf());
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let lines: Vec<_> = support::gpu_workers_of(chat).map(|id| format!("{id} {bytes}")).collect();
                let next = file.with_extension("next");
                let _ = fs::write(&next, lines.join("\n")).and_then(|()| fs::rename(next, &file));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self(ends)
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The answer is one: tokens in order, each in the profile that the switches before it left it in.
fn assert_one_answer(heard: &[Value]) {
    let tokens: Vec<_> = heard.iter().filter(|object| object["type"] == "token").collect();
    let indices: Vec<_> = tokens.iter().map(|token| token["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..indices.len() as u64).collect::<Vec<_>>());
    for switch in heard.iter().filter(|object| object["type"] == "switch") {
        let at = usize::try_from(switch["at_token"].as_u64().unwrap()).unwrap();
        assert_eq!((&tokens[at - 1]["profile"], &tokens[at]["profile"]), (&switch["from"], &switch["to"]), "{switch}");
    }
    assert!(heard.iter().all(|object| object["type"] != "error"));
}

fn switches(heard: &[Value]) -> Vec<&Value> {
    heard.iter().filter(|object| object["type"] == "switch").collect()
}

/// A condition that holds once the model is back in performance and some more tokens were written.
fn back_in_performance() -> impl FnMut(&Value) -> bool {
    let (mut is_back, mut more) = (false, 0);
    move |object| {
        is_back |= object["type"] == "switch" && object["to"] == "performance";
        more += usize::from(is_back && object["type"] == "token");
        more >= 3
    }
}

#[test]
fn a_game_sends_the_answer_to_the_cpu_and_it_comes_back_after_it() {
    let stage = Stage::new();
    let scenes = vec![
        stage.scene(0.0, 240, 3, None),
        stage.scene(10.0, 2_950, 93, Some("/games/thegame")),
        stage.scene(25.0, 240, 3, None),
    ];
    let heard = stage.play(scenes, &[], back_in_performance());
    assert_one_answer(&heard);
    let switches = switches(&heard);
    let path: Vec<_> = switches.iter().map(|switch| (&switch["from"], &switch["to"])).collect();
    let (performance, cpu) = (&json!("performance"), &json!("cpu_fallback"));
    assert_eq!(path, [(performance, cpu), (cpu, performance)], "{switches:#?}");
    let down = &switches[0];
    let reason = down["reason"].as_str().unwrap();
    assert!(reason.starts_with("cpu_fallback: VRAM ") && reason.contains("thegame"), "{reason}");
    // The game fills the card, which is an emergency; a token in software takes longer than the 250 ms there are to save.
    assert!(matches!(down["strategy"].as_str().unwrap(), "standby" | "emergency" | "replay"), "{down}");
    assert!(down["vram_released_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(switches[1]["strategy"], "side_by_side");
    assert!(switches[1]["reason"].as_str().unwrap().starts_with("performance: others' VRAM "), "{:?}", switches[1]);
}

#[test]
fn a_stream_relieves_the_card_and_the_answer_comes_back_after_it() {
    // A stream takes little memory and much of the card's time: that is stress, which sends performance to balanced.
    let stage = Stage::new();
    let scenes = vec![
        stage.scene(0.0, 240, 3, None),
        stage.scene(8.0, 1_250, 90, Some("/usr/bin/obs")),
        stage.scene(30.0, 240, 3, None),
    ];
    let heard = stage.play(scenes, &[], back_in_performance());
    assert_one_answer(&heard);
    let switches = switches(&heard);
    assert!(switches.first().unwrap()["reason"].as_str().unwrap().contains("obs"), "{switches:#?}");
    assert_eq!(switches.last().unwrap()["to"], "performance", "{switches:#?}");
}

#[test]
fn on_a_card_that_no_probe_knows_the_way_back_is_found_by_a_worker_without_a_model() {
    // The card in software has under 4 GB and no utilization: a part of the model starts on the CPU and climbs by memory.
    let folder = tempfile::tempdir().unwrap();
    let mut command =
        chat(&["--profile", "auto", "--gpu-layers", "1", "--ignore-eos", "--max-tokens", "2000", "--json"]);
    command.args(["--prompt", "Tell a very long story."].repeat(6)).env("GGML_VK_VISIBLE_DEVICES", "0");
    command.env("WORKLY_NVML_LIB", folder.path().join("none.so")).env("WORKLY_DATA_DIR", folder.path());
    let running = Chat::start(&mut command);
    let switch = loop {
        let object = running.next_object();
        if object["type"] == "switch" {
            break object;
        }
    };
    assert_eq!((&switch["from"], &switch["to"]), (&json!("cpu_fallback"), &json!("performance")), "{switch}");
}

#[test]
fn with_auto_switching_off_the_model_stays_whatever_plays() {
    let stage = Stage::new();
    fs::write(
        stage.folder.path().join("config.json"),
        json!({ "ai": { "auto_switching_enabled": false } }).to_string(),
    )
    .unwrap();
    let scenes = vec![stage.scene(0.0, 240, 3, None), stage.scene(4.0, 2_950, 93, Some("/games/thegame"))];
    let heard = stage.play(scenes, &["--max-tokens", "30"], |_| false);
    assert_one_answer(&heard);
    assert!(switches(&heard).is_empty(), "{heard:#?}");
    assert!(heard.iter().filter(|object| object["type"] == "token").all(|token| token["profile"] == "performance"));
}

#[test]
fn from_one_gpu_profile_to_another_without_room_for_both_the_way_goes_over_the_cpu() {
    let stage = Stage::new();
    let mut is_there = false;
    let mut more = 0;
    let heard = stage.play(vec![stage.scene(0.0, 240, 3, None)], &["--switch-at", "6:balanced"], |object| {
        is_there |= object["type"] == "switch" && object["to"] == "balanced";
        more += usize::from(is_there && object["type"] == "token");
        more >= 3
    });
    assert_one_answer(&heard);
    let legs: Vec<_> = switches(&heard).iter().map(|leg| (&leg["from"], &leg["to"], &leg["strategy"])).collect();
    let (performance, cpu, balanced) = (json!("performance"), json!("cpu_fallback"), json!("balanced"));
    let via = json!("via_cpu");
    assert_eq!(legs, [(&performance, &cpu, &via), (&cpu, &balanced, &via)]);
}
