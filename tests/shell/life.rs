//! The life of the program: how it starts, how it ends, and what it remembers.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::program::{ONE_WORKER, Program, eventually};
use crate::harness::screen::Screen;
use crate::harness::{PROGRAM, Surroundings, is_alive, signal};
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
async fn a_data_folder_under_another_name_is_the_same_one() {
    let surroundings = Surroundings::new();
    let mut first = Program::start(&surroundings, ONE_WORKER);
    first.worker().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(surroundings.data(), &link).unwrap();
    let mut command = surroundings.command(PROGRAM);
    let second = command.env("WORKLY_DATA_DIR", &link).status().unwrap();
    assert!(second.success() && first.runs());
}

#[tokio::test]
async fn without_a_session_bus_the_folder_still_has_one_program() {
    let nowhere = "unix:path=/no/such/bus";
    let surroundings = Surroundings::new().with("DBUS_SESSION_BUS_ADDRESS", nowhere);
    let mut first = Program::start(&surroundings, ONE_WORKER);
    first.worker().await;
    // From the session's list of programs, where nobody is there to read a dialog.
    let second = surroundings.command(PROGRAM).arg("--hidden").output().unwrap();
    assert!(!second.status.success() && first.runs());
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("another Workly runs"), "{told}");
}

#[tokio::test]
async fn whoever_has_its_name_on_the_bus_does_not_keep_it_from_starting() {
    let surroundings = Surroundings::new();
    let bus = zbus::connection::Builder::address(surroundings.bus_address()).unwrap().build().await.unwrap();
    let names = zbus::fdo::DBusProxy::new(&bus).await.unwrap();
    let mut before = Program::start(&surroundings, ONE_WORKER);
    let name = eventually("its name on the bus", || async {
        let listed = names.list_names().await.unwrap();
        listed.into_iter().map(|name| name.to_string()).find(|name| name.ends_with(".SingleInstance"))
    })
    .await;
    signal(before.id(), Signal::TERM);
    assert!(before.ended().await.success());
    bus.request_name(name.as_str()).await.unwrap();
    let mut program = Program::start(&surroundings, ONE_WORKER);
    program.worker().await;
    assert!(program.runs());
}

#[tokio::test]
async fn nothing_of_the_data_folder_can_be_read_by_others_and_what_could_be_is_repaired() {
    use std::os::unix::fs::PermissionsExt as _;

    let surroundings = Surroundings::new();
    let old = surroundings.data().join("logs");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("workly.2026-01-01.log"), "old").unwrap();
    for (path, mode) in [(surroundings.data().to_owned(), 0o755), (old.clone(), 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut program = Program::start(&surroundings, ONE_WORKER);
    program.worker().await;
    signal(program.id(), Signal::TERM);
    assert!(program.ended().await.success());
    let mut left = vec![surroundings.data().to_owned()];
    let mut looked_at = 0;
    while let Some(path) = left.pop() {
        let about = std::fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if about.is_dir() || about.is_file() {
            assert_eq!(about.permissions().mode() & 0o077, 0, "{}", path.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 4, "there is a database, a log and a page's data");
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
