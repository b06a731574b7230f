//! The program ends while tokens flow: as its user wants it, as the session wants it, or killed at any moment.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::tempdir;

use crate::asked_for;
use crate::harness::program::eventually;
use crate::harness::screen::Screen;
use crate::harness::{is_alive, signal, worker_of};
use crate::person::{Person, Seen, Slowest, tell_slowest};
use crate::remains::{SharedMemory, assert_clean};

#[tokio::test]
async fn a_program_that_is_quit_while_tokens_flow_has_kept_what_it_showed() {
    let times = asked_for("WORKLY_SOAK_QUITS", 2);
    let data = Rc::new(tempdir().unwrap());
    let mut before: Option<(Seen, Instant)> = None;
    let mut slowest = Slowest(0.0, String::new());
    for time in 0..times {
        let shared = SharedMemory::now();
        let mut person = Person::sits_down(&data).await;
        if let Some((seen, moment)) = &before {
            person.finds(seen, *moment).await;
        }
        let program = person.desktop.program();
        person.asks(&format!("Tell me story number {time}, a long one with many chapters.")).await;
        // From the very first words to a long text.
        person.reads(1 + usize::try_from(time % 10).unwrap() * 120).await;
        let moment = Instant::now();
        if time % 2 == 0 {
            // Without a tray, closing the window ends the program.
            let screen = Screen::of(person.desktop.surroundings());
            screen.close(screen.window().await);
        } else {
            signal(program, Signal::TERM);
        }
        gone(program).await;
        let (seen, slow) = person.leaves();
        if slow > slowest {
            slowest = slow;
        }
        before = Some((seen, moment));
        assert_clean(data.path(), &shared);
    }
    let (seen, moment) = before.unwrap();
    let person = Person::sits_down(&data).await;
    person.finds(&seen, moment).await;
    let listed = "return document.querySelectorAll('[data-testid=conversation]').length";
    assert_eq!(person.desktop.run_script(listed).await, times);
    tell_slowest("quits", &slowest);
}

#[tokio::test]
async fn a_program_that_is_killed_at_any_moment_has_kept_what_it_showed() {
    let times = asked_for("WORKLY_SOAK_KILLS", 3);
    let seed = asked_for("WORKLY_SOAK_SEED", fastrand::u64(..1_000_000));
    let mut chance = fastrand::Rng::with_seed(seed);
    eprintln!("kills: seed {seed}");
    let data = Rc::new(tempdir().unwrap());
    let mut before: Option<(Seen, Instant)> = None;
    let mut slowest = Slowest(0.0, String::new());
    for time in 0..times {
        let shared = SharedMemory::now();
        let mut person = Person::sits_down(&data).await;
        if let Some((seen, moment)) = &before {
            person.finds(seen, *moment).await;
        }
        person.asks(&format!("Tell me story number {time}, a long one with many chapters.")).await;
        // A third of them early: while the model loads, in the prompt, at the first token.
        if chance.u32(0..3) > 0 {
            person.reads(1).await;
        }
        person.reads_for(Duration::from_millis(chance.u64(0..2_500))).await;
        let program = person.desktop.program();
        let worker = worker_of(program);
        let moment = Instant::now();
        signal(program, Signal::KILL);
        gone(program).await;
        if let Some(worker) = worker {
            gone(worker).await;
        }
        let (seen, slow) = person.leaves();
        if slow > slowest {
            slowest = slow;
        }
        before = Some((seen, moment));
        assert_clean(data.path(), &shared);
        if times > 20 && time % 20 == 19 {
            eprintln!("kills: {} of {times}, slowest command {slowest}", time + 1);
        }
    }
    let (seen, moment) = before.unwrap();
    let person = Person::sits_down(&data).await;
    person.finds(&seen, moment).await;
    tell_slowest("kills", &slowest);
}

pub(crate) async fn gone(process: u32) {
    eventually("a process to be gone", || async { (!is_alive(process)).then_some(()) }).await;
}
