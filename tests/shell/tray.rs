//! The tray, seen and used through the session bus as a panel does it.

use std::path::Path;

use serde_json::json;

use crate::harness::program::{ONE_WORKER, Program, eventually};
use crate::harness::screen::Screen;
use crate::harness::{Desktop, Surroundings, is_alive};
use crate::panel::Panel;

#[tokio::test]
async fn the_tray_says_where_the_model_is_and_has_a_picture_of_it() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let _program = Program::start(&surroundings, &["--profile", "cpu_fallback"]);
    panel.wait_for("Title", "Workly: CPU").await;
    assert_eq!(panel.property("IconName").await, "workly-cpu");
    assert_eq!(panel.property("Status").await, "Active");
    let folder = panel.property("IconThemePath").await;
    for icon in ["workly-performance", "workly-balanced", "workly-cpu", "workly-off"] {
        for place in ["", "hicolor/16x16/status", "hicolor/22x22/status", "hicolor/48x48/status"] {
            let picture = std::fs::read(Path::new(&folder).join(place).join(format!("{icon}.png"))).unwrap();
            assert!(picture.starts_with(b"\x89PNG"), "{icon} in {place}");
        }
    }
}

#[tokio::test]
async fn without_a_model_the_tray_says_so() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let _program = Program::start(&surroundings, &["--model", "/no/such/model.gguf"]);
    panel.wait_for("Title", "Workly: the model is not available").await;
    assert_eq!(panel.property("IconName").await, "workly-off");
}

#[tokio::test]
async fn the_menu_changes_the_settings_and_shows_what_is_in_force() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let _program = Program::start(&surroundings, &[]);
    panel.wait_for_mark("Automatic", true).await;
    assert!(!panel.menu().await[0].enabled, "the first line tells the state and cannot be clicked");

    panel.click("CPU").await;
    panel.wait_for_mark("CPU", true).await;
    panel.wait_for_mark("Automatic", false).await;
    // What is chosen stays chosen when it is clicked again.
    panel.click("CPU").await;
    panel.click("Switch by itself").await;
    panel.wait_for_mark("Switch by itself", false).await;
    panel.wait_for_mark("CPU", true).await;
    panel.click("Automatic").await;
    panel.wait_for_mark("Automatic", true).await;

    panel.click("Hold the GPU for 30 minutes").await;
    let held = eventually("the way to stop holding", || async {
        panel.menu().await.into_iter().find(|line| line.label.starts_with("Stop holding the GPU (until "))
    });
    let held = held.await;
    panel.click("Give up the GPU now").await;
    panel.line("Hold the GPU for 30 minutes").await;
    let given_up = panel.menu().await.into_iter().find(|line| line.label.starts_with("Take the GPU again"));
    panel.click(&given_up.unwrap().label).await;
    panel.line("Give up the GPU now").await;
    assert!(panel.menu().await.iter().all(|line| line.label != held.label));
}

#[tokio::test]
async fn the_tray_speaks_french() {
    let surroundings = Surroundings::new().with_settings(&json!({ "ui": { "language": "fr" } }));
    let panel = Panel::start(&surroundings).await;
    let _program = Program::start(&surroundings, &["--profile", "cpu_fallback"]);
    panel.wait_for("Title", "Workly\u{a0}: CPU").await;
    let labels: Vec<String> = panel.menu().await.into_iter().map(|line| line.label).collect();
    assert_eq!(labels[1..4], ["Afficher Workly", "Automatique", "Performance"]);
    assert_eq!(labels.last().unwrap(), "Quitter");
}

#[tokio::test]
async fn quitting_from_the_tray_ends_the_worker_too() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let mut program = Program::start(&surroundings, ONE_WORKER);
    let worker = program.worker().await;
    panel.click("Quit").await;
    assert!(program.ended().await.success());
    assert!(!is_alive(worker), "the worker outlived the program");
}

#[tokio::test]
async fn a_closed_window_goes_on_in_the_tray_and_comes_back_from_it() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let mut program = Program::start(&surroundings, ONE_WORKER);
    let worker = program.worker().await;
    let screen = Screen::of(&surroundings);
    let window = screen.window().await;
    panel.line("Show Workly").await;
    screen.close(window);
    screen.without_window().await;
    assert!(program.runs() && is_alive(worker));
    panel.click("Show Workly").await;
    screen.window().await;
}

#[tokio::test]
async fn a_window_in_the_tray_is_told_what_changed_once_it_is_seen_again() {
    let surroundings = Surroundings::new().with_settings(&json!({ "ui": { "language": "en" } }));
    let panel = Panel::start(&surroundings).await;
    let desktop = Desktop::start_in(surroundings, &["--model", "/no/such/model.gguf"]).await;
    desktop.find("html[lang=en]").await;
    let screen = Screen::of(desktop.surroundings());
    panel.line("Show Workly").await;
    screen.close(screen.window().await);
    screen.without_window().await;

    let french = json!({ "ui": { "language": "fr" } });
    std::fs::write(desktop.surroundings().data().join("config.json"), french.to_string()).unwrap();
    panel.line("Afficher Workly").await;
    // The menu is told by the same hand as the page.
    assert!(desktop.has("html[lang=en]").await, "a page that nobody sees was told");
    panel.click("Afficher Workly").await;
    screen.window().await;
    desktop.find("html[lang=fr]").await;
}
