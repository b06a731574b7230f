//! The process that draws the page may die; the window does not.

use std::io::BufRead as _;

use rustix::process::Signal;

use crate::harness::program::{ONE_WORKER, Program, eventually};
use crate::harness::screen::Screen;
use crate::harness::{Surroundings, children, command_line, signal};
use crate::panel::Panel;

// Without a WebDriver, whose session ends with the first web process.
#[tokio::test]
async fn a_killed_web_process_is_replaced_and_the_page_comes_back() {
    let surroundings = Surroundings::new();
    let panel = Panel::start(&surroundings).await;
    let mut program = Program::start(&surroundings, ONE_WORKER);
    let screen = Screen::of(&surroundings);
    let window = screen.window().await;
    panel.wait_for("Title", "Workly: CPU").await;
    let before = eventually("the page to be drawn", || async {
        let picture = screen.picture(window);
        (picture.has_drawing() && picture == screen.picture(window)).then_some(picture)
    })
    .await;

    let id = program.id();
    let killed = web_process_of(id).unwrap();
    signal(killed, Signal::KILL);
    eventually("another web process", || async { web_process_of(id).filter(|id| *id != killed) }).await;
    eventually("the same page", || async { screen.picture(window).is_like(&before).then_some(()) }).await;
}

#[tokio::test]
async fn a_page_that_always_kills_its_process_is_given_up() {
    let surroundings = Surroundings::new();
    let (mut program, log) = Program::start_with_log(&surroundings, ONE_WORKER);
    let id = program.id();
    let killing = tokio::task::spawn_blocking(move || {
        let (mut deaths, mut given_up) = (0, false);
        for line in log.lines().map_while(Result::ok) {
            given_up |= line.contains("the page stays empty");
            if line.contains("the page is there") {
                // The empty page lives on.
                if deaths == 4 {
                    return given_up;
                }
                deaths += 1;
                signal(web_process_of(id).unwrap(), Signal::KILL);
            }
        }
        false
    });
    assert!(killing.await.unwrap(), "it is loaded again and again");
    let screen = Screen::of(&surroundings);
    let window = screen.window().await;
    eventually("words", || async { screen.picture(window).has_drawing().then_some(()) }).await;
    assert!(program.runs());
}

fn web_process_of(program: u32) -> Option<u32> {
    // A sandbox may stand between the two.
    let direct: Vec<u32> = children(program).collect();
    let below: Vec<u32> = direct.iter().flat_map(|id| children(*id)).collect();
    direct.into_iter().chain(below).find(|id| command_line(*id).contains("WebKitWebProcess"))
}

#[tokio::test]
async fn the_page_is_drawn_by_the_cpu() {
    let surroundings = Surroundings::new();
    let mut program = Program::start(&surroundings, ONE_WORKER);
    let screen = Screen::of(&surroundings);
    let window = screen.window().await;
    eventually("the page to be drawn", || async { screen.picture(window).has_drawing().then_some(()) }).await;
    let threads = threads_of(web_process_of(program.id()).unwrap());
    // What paints layers on the GPU is a thread of its own.
    assert!(!threads.iter().any(|name| name.contains("SkiaGPU")), "{threads:?}");
}

fn threads_of(process: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok()).collect()
}
