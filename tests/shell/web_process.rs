//! The process that draws the page may die; the window does not.

use rustix::process::Signal;

use crate::harness::{Desktop, children, command_line, signal};
use crate::program::eventually;

#[tokio::test]
async fn a_killed_web_process_is_replaced_and_the_window_works_again() {
    let desktop = Desktop::start().await;
    let program = desktop.program();
    let web_process = || web_process_of(program);
    let killed = web_process().unwrap();
    signal(killed, Signal::KILL);
    eventually("another web process", || async { web_process().filter(|id| *id != killed) }).await;
    desktop.send("Say hello.").await;
    desktop
        .wait_for("an answer in the new page", || async {
            !desktop.last_text("[data-testid=answer-text]").await.is_empty()
        })
        .await;
}

fn web_process_of(program: u32) -> Option<u32> {
    // A sandbox may stand between the two.
    let direct: Vec<u32> = children(program).collect();
    let below = direct.iter().flat_map(|id| children(*id)).collect::<Vec<_>>();
    direct.into_iter().chain(below).find(|id| command_line(*id).contains("WebKitWebProcess"))
}
