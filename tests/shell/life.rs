//! The life of the program: how it starts, how it ends, and what it remembers.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::program::{ONE_WORKER, Program, eventually};
use crate::harness::screen::Screen;
use crate::harness::{Surroundings, is_alive, signal};
use crate::panel::Panel;

#[tokio::test]
async fn without_a_tray_closing_the_window_ends_the_program() {
    let surroundings = Surroundings::new();
    let mut program = Program::start(&surroundings, ONE_WORKER);
    let worker = program.worker().await;
    let screen = Screen::of(&surroundings);
    screen.close(screen.window().await);
    assert!(program.ended().await.success());
    assert!(!is_alive(worker));
}

#[tokio::test]
async fn closing_ends_the_program_where_the_user_wants_that() {
    let surroundings = Surroundings::new().with_settings(&json!({ "ui": { "close_to_tray": false } }));
    let panel = Panel::start(&surroundings).await;
    let mut program = Program::start(&surroundings, &[]);
    let screen = Screen::of(&surroundings);
    panel.line("Show Workly").await;
    screen.close(screen.window().await);
    assert!(program.ended().await.success());
}

#[tokio::test]
async fn a_second_start_brings_the_first_window_to_the_front() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let mut first = Program::start(&surroundings, &[]);
    let screen = Screen::of(&surroundings);
    let window = screen.window().await;

    // Behind another window, which has the keyboard.
    screen.take_focus();
    let mut second = Program::start(&surroundings, &["--model", "/no/such/model.gguf", "--profile", "balanced"]);
    assert!(second.ended().await.success());
    eventually("the window to have the keyboard", || async { screen.has_focus(window).then_some(()) }).await;

    // In the tray.
    panel.line("Show Workly").await;
    screen.close(window);
    screen.without_window().await;
    let mut third = Program::start(&surroundings, &[]);
    assert!(third.ended().await.success());
    screen.window().await;
    assert!(first.runs());
    panel.wait_for_mark("Automatic", true).await;
}

#[tokio::test]
async fn programs_with_other_data_live_side_by_side() {
    let surroundings = Surroundings::new();
    let mut first = Program::start(&surroundings, ONE_WORKER);
    first.worker().await;
    let other = tempfile::tempdir().unwrap();
    let surroundings = surroundings.with("WORKLY_DATA_DIR", other.path().to_str().unwrap());
    let mut second = Program::start(&surroundings, ONE_WORKER);
    second.worker().await;
    assert!(first.runs() && second.runs());
}

#[tokio::test]
async fn the_session_and_a_terminal_end_it_cleanly() {
    for asked in [Signal::TERM, Signal::INT] {
        let surroundings = Surroundings::new();
        let mut program = Program::start(&surroundings, ONE_WORKER);
        let worker = program.worker().await;
        signal(program.id(), asked);
        let status = program.ended().await;
        assert!(status.success(), "{asked:?}: {status}");
        assert!(!is_alive(worker), "{asked:?}");
    }
}

#[tokio::test]
async fn the_window_comes_back_where_it_was() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let screen = Screen::of(&surroundings);
    let mut program = Program::start(&surroundings, &[]);
    let window = screen.window().await;
    let wanted = (130, 90, 700, 610);
    assert_ne!(screen.frame(window), wanted);
    screen.set_frame(window, wanted);
    eventually("the window to be moved", || async { (screen.frame(window) == wanted).then_some(()) }).await;
    // Quit from the tray while it is hidden there: the place is that of the window, not of nothing.
    panel.line("Show Workly").await;
    screen.close(window);
    screen.without_window().await;
    panel.click("Quit").await;
    assert!(program.ended().await.success());

    let _program = Program::start(&surroundings, &[]);
    let window = screen.window().await;
    eventually("the same place and size", || async { (screen.frame(window) == wanted).then_some(()) }).await;
}

#[tokio::test]
async fn it_starts_with_the_session_and_stays_in_the_tray_then() {
    let surroundings = Surroundings::new().with_settings(&json!({ "ui": { "autostart": true } }));
    let panel = Panel::start(&surroundings).await;
    let mut program = Program::start(&surroundings, &["--hidden", "--profile", "cpu_fallback"]);
    let entry = eventually("the entry for the session", || async {
        let folders = ["autostart", ".config/autostart"].map(|folder| surroundings.data().join(folder));
        let files = folders.into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).find(|text| text.contains("--hidden"))
    })
    .await;
    assert!(entry.contains("Exec=") && entry.contains("workly"), "{entry}");
    let screen = Screen::of(&surroundings);
    program.worker().await;
    assert!(!screen.is_in_sight());
    panel.click("Show Workly").await;
    screen.window().await;
}
