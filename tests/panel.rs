//! The settings page and the monitor page in the built window, with a stand-in for the GPU driver.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[expect(dead_code, reason = "other tests use the rest")]
mod harness;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use fake_nvml::{Clock, Device, Installed, Process, ProcessKind, Row, Scenario};
use harness::{Desktop, Surroundings};
use serde_json::Value;
use tempfile::TempDir;

const ENTER: &str = "\u{e007}";
const SELECT_ALL: &str = "\u{e009}a\u{e000}";
const LEFT: &str = "\u{e012}";

fn data_with(config: &str) -> Rc<TempDir> {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("config.json"), config).unwrap();
    Rc::new(data)
}

/// Opens the window over a data folder that outlives it.
async fn start(data: Rc<TempDir>, variables: &[(&str, PathBuf)]) -> Desktop {
    let with =
        |surroundings: Surroundings, (name, value): &(&str, PathBuf)| surroundings.with(name, value.to_str().unwrap());
    let surroundings = variables.iter().fold(Surroundings::over(data), with);
    let desktop = Desktop::start_in(surroundings, &[]).await;
    desktop.wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]")).await;
    desktop
}

fn config(data: &TempDir) -> Value {
    // Empty for a moment while it is written.
    serde_json::from_slice(&std::fs::read(data.path().join("config.json")).unwrap()).unwrap_or_default()
}

/// A card of 6141 MiB with these rows, and the variable that brings it into the program.
fn card(folder: &Path, timeline: Vec<Row>) -> (Installed, [(&'static str, PathBuf); 1]) {
    let device = Device { timeline, ..Device::default() };
    let scenario = Scenario { devices: vec![device], clock: Clock::File("clock".into()), ..Scenario::default() };
    let installed = Installed::new(folder, &scenario).unwrap();
    let variables = [("WORKLY_NVML_LIB", installed.library.clone())];
    (installed, variables)
}

fn row(at: f64, used_mib: u64, gpu_percent: u32) -> Row {
    Row { at, used_mib: Some(used_mib), gpu_percent: Some(gpu_percent), ..Row::default() }
}

trait Pages {
    async fn open(&self, page: &str);
    async fn type_into(&self, field: &str, text: &str);
    async fn wait_for_state(&self, state: &str);
    async fn is_root(&self, selector: &str) -> bool;
}

impl Pages for Desktop {
    async fn open(&self, page: &str) {
        self.run_script(&format!("location.hash = '{page}'")).await;
        self.find(&format!("[data-testid={page}]")).await;
    }

    async fn type_into(&self, field: &str, text: &str) {
        let field = self.find(&format!("[data-testid={field}]")).await;
        // In one call the driver would hold Control for the text as well.
        field.send_keys(SELECT_ALL).await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    async fn wait_for_state(&self, state: &str) {
        let selector = format!("[data-testid=gpu-state][data-state={state}]");
        self.wait_for(&selector, || self.has(&selector)).await;
    }

    async fn is_root(&self, selector: &str) -> bool {
        self.run_script(&format!("return document.documentElement.matches('{selector}')")).await == true
    }
}

#[tokio::test]
async fn a_changed_threshold_changes_the_state_and_outlives_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (_card, variables) = card(folder.path(), vec![row(0.0, 3200, 30)]);
    let data = data_with(r#"{ "avatar": { "vrm": true }, "gpu_monitoring": { "interval_seconds": 1 } }"#);
    let desktop = start(Rc::clone(&data), &variables).await;
    desktop.open("monitor").await;
    desktop.wait_for_state("optimal").await;

    desktop.open("settings").await;
    for (field, value) in [("optimal_vram_percent", 40), ("stressed_vram_percent", 45), ("overload_vram_percent", 50)] {
        desktop.type_into(field, &format!("{value}{ENTER}")).await;
        let saved = || async { config(&data)["gpu_monitoring"]["thresholds"][field] == value };
        desktop.wait_for(&format!("{field} in the file"), saved).await;
    }
    desktop.wait_for("the preview", || desktop.has("[data-testid=threshold-preview][data-switches]")).await;
    desktop.open("monitor").await;
    desktop.wait_for_state("overloaded").await;

    drop(desktop);
    assert_eq!(config(&data)["avatar"]["vrm"], true, "what Workly does not know stays");
    let desktop = start(data, &variables).await;
    desktop.open("monitor").await;
    desktop.wait_for_state("overloaded").await;
}

#[tokio::test]
async fn thresholds_that_are_lowered_move_the_model_in_the_middle_of_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (_card, variables) = card(folder.path(), vec![row(0.0, 3200, 30)]);
    let surroundings = Surroundings::over(data_with("{}"))
        .with(variables[0].0, variables[0].1.to_str().unwrap())
        .with("GGML_VK_VISIBLE_DEVICES", "0");
    let desktop = Desktop::start_in(surroundings, &["--gpu-layers", "1"]).await;
    desktop.wait_for("the GPU", || desktop.has("[data-testid=profile-pill][data-profile=performance]")).await;
    desktop.wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]")).await;
    desktop.send("Write a long story about a lighthouse and the people who live there.").await;
    desktop.wait_for_text().await;

    desktop.open("settings").await;
    for (field, value) in [("optimal_vram_percent", 35), ("stressed_vram_percent", 40), ("overload_vram_percent", 45)] {
        desktop.type_into(field, &format!("{value}{ENTER}")).await;
    }
    desktop.run_script("location.hash = ''").await;
    desktop.wait_for("the CPU", || desktop.has("[data-testid=profile-pill][data-profile=cpu_fallback]")).await;
    desktop.find("[data-testid=notice-switched][data-profile=cpu_fallback]").await;
    desktop.wait_for("the end of the answer", || desktop.has("[data-testid=message-assistant][data-state=done]")).await;
    desktop.save_screenshot("switched").await;
    desktop.open("monitor").await;
    desktop.find("[data-testid=decisions] [data-to=cpu_fallback]").await;
}

#[tokio::test]
async fn a_value_is_checked_as_it_is_typed_and_a_slider_keeps_the_gap() {
    let data = data_with("{}");
    let desktop = start(Rc::clone(&data), &[]).await;
    desktop.open("settings").await;
    desktop.type_into("context-tokens", "12").await;
    desktop.find("[data-testid=context-tokens-fault]").await;
    desktop.type_into("context-tokens", &format!("2048{ENTER}")).await;
    desktop.wait_for("the context in the file", || async { config(&data)["ai"]["context_tokens"] == 2048 }).await;
    assert!(!desktop.has("[data-testid=context-tokens-fault]").await);

    let thumb = desktop.find("[data-testid=thumb-stressed_vram_percent]").await;
    for _ in 0..12 {
        thumb.send_keys(LEFT).await.unwrap();
    }
    desktop.find("[data-testid=gap-hint]").await;
    let stressed = || async { config(&data)["gpu_monitoring"]["thresholds"]["stressed_vram_percent"] == 65 };
    desktop.wait_for("the nearest value that is allowed", stressed).await;

    desktop.find("[data-setting='ai.context_tokens'] [data-testid=restore-default]").await.click().await.unwrap();
    desktop.wait_for("the default", || async { config(&data)["ai"].get("context_tokens").is_none() }).await;
    desktop.find("[data-testid=copy-diagnostics]").await.click().await.unwrap();
    desktop.wait_for("the copy", || desktop.has("[data-testid=diagnostics-said][data-copied=yes]")).await;
    desktop.find("[data-testid=reset-all]").await.click().await.unwrap();
    desktop.find("[data-testid=reset-confirm]").await.click().await.unwrap();
    desktop.wait_for("all defaults", || async { config(&data)["gpu_monitoring"].get("thresholds").is_none() }).await;
}

#[tokio::test]
async fn an_edit_from_outside_takes_effect_and_one_that_breaks_the_file_is_told() {
    let data = data_with(r#"{ "ui": { "theme": "light", "language": "en" } }"#);
    let desktop = start(Rc::clone(&data), &[]).await;
    desktop.open("settings").await;
    assert!(desktop.is_root("[data-theme=light][lang=en]").await);

    // As editors do it: a new file, put in the place of the old.
    let (beside, path) = (data.path().join(".config.json.swp"), data.path().join("config.json"));
    std::fs::write(&beside, r#"{ "ui": { "theme": "dark", "language": "fr" } }"#).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    desktop.wait_for("dark and French", || desktop.is_root("[data-theme=dark][lang=fr]")).await;
    assert_eq!(desktop.last_text("[data-testid=settings] h1").await, "Réglages");

    std::fs::write(&path, "{ \"ui\": ").unwrap();
    desktop.wait_for("the notice", || desktop.has("[data-notice=edit_broken]")).await;
    assert!(desktop.is_root("[data-theme=dark][lang=fr]").await, "what was good stays");
    std::fs::write(&path, r#"{ "ui": { "theme": "light" } }"#).unwrap();
    desktop.wait_for("the repair", || desktop.is_root("[data-theme=light]")).await;
    assert!(!desktop.has("[data-notice=edit_broken]").await);
}

#[tokio::test]
async fn a_corrupt_file_is_kept_and_the_last_good_settings_come_back() {
    let data = data_with(r#"{ "ui": { "theme": "dark" } }"#);
    drop(start(Rc::clone(&data), &[]).await);
    let broken = "{ \"ui\": { \"the";
    std::fs::write(data.path().join("config.json"), broken).unwrap();

    let desktop = start(Rc::clone(&data), &[]).await;
    desktop.wait_for("the last good look", || desktop.is_root("[data-theme=dark]")).await;
    // Told on the page that opens, without being looked for.
    desktop.find("[data-notice=restored]").await;
    let kept = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = kept.filter(|path| path.to_string_lossy().contains("config.broken-")).collect();
    assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), broken);
    assert_eq!(config(&data)["ui"]["theme"], "dark");
    desktop.find("[data-testid=dismiss-notices]").await.click().await.unwrap();
    desktop.wait_for("the notice to go", || async { !desktop.has("[data-testid=settings-notices]").await }).await;
}

#[tokio::test]
async fn the_charts_show_a_game_and_the_programs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let game = Process {
        pid: 4242,
        name: "/games/demo".into(),
        kind: ProcessKind::Graphics,
        used_mib: Some(3000),
        gpu_percent: None,
    };
    let playing = Row { processes: vec![game], ..row(10.0, 5700, 97) };
    let (card, variables) = card(folder.path(), vec![row(0.0, 250, 3), playing]);
    let data = data_with(r#"{ "gpu_monitoring": { "interval_seconds": 1 } }"#);
    let desktop = start(Rc::clone(&data), &variables).await;
    desktop.open("monitor").await;
    desktop.wait_for_state("optimal").await;
    card.set_time(10.0).unwrap();
    desktop.wait_for_state("overloaded").await;
    let points = "return Number(document.querySelector('[data-testid=chart-vram]').dataset.points)";
    desktop.wait_for("a curve", || async { desktop.run_script(points).await.as_f64().unwrap() >= 3.0 }).await;
    let painted = "const canvas = document.querySelector('[data-testid=chart-vram] canvas'); \
                   const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); \
                   return data.some((value) => value !== 0)";
    desktop.wait_for("the chart to be painted", || async { desktop.run_script(painted).await == true }).await;
    desktop.save_screenshot("monitor").await;

    desktop.find("[data-testid=show-processes]").await.click().await.unwrap();
    desktop.wait_for("the list", || desktop.has("[data-testid=processes]")).await;
    assert!(desktop.last_text("[data-testid=processes]").await.contains("demo"));

    desktop.find("[data-testid=export-csv]").await.click().await.unwrap();
    desktop.find("[data-testid=exported]").await;
    let exported = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
    let exported: Vec<_> = exported.filter(|path| path.to_string_lossy().contains("workly-gpu-")).collect();
    let text = std::fs::read_to_string(&exported[0]).unwrap();
    assert!(text.starts_with("timestamp,vram_total_mib") && text.lines().count() > 2, "{text}");
}

#[tokio::test]
async fn without_a_gpu_the_page_explains_and_the_demonstration_runs_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    // A file that is no library: like a machine without a driver, whatever machine this is.
    let variables = [("WORKLY_NVML_LIB", folder.path().join("nothing.so"))];
    let desktop = start(data_with("{}"), &variables).await;
    desktop.open("monitor").await;
    desktop.find("[data-testid=no-gpu]").await;
    desktop.find("[data-testid=demo-gaming]").await.click().await.unwrap();
    desktop.find("[data-testid=demo]").await;
    desktop.run_script("document.querySelector('[name=demo-speed][value=\"60\"]').click()").await;
    for to in ["cpu_fallback", "performance"] {
        let moved = format!("[data-testid=decisions] [data-to={to}]");
        desktop.wait_for(&moved, || desktop.has(&moved)).await;
    }
    desktop.find("[data-testid=demo-close]").await.click().await.unwrap();
    desktop.find("[data-testid=no-gpu]").await;
}
