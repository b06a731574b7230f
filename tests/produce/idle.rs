//! `cargo xtask bench --idle`: what the window costs while nothing is asked of it, with each page shown and out of sight.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::{Duration, Instant};

use crate::figures::warn_of_others;
use crate::harness::screen::Screen;
use crate::harness::{Desktop, Surroundings, command_line};
use crate::memory::{family, proportional_kib};
use crate::panel::Panel;

/// How long after the answer the measurement begins.
const REST: Duration = Duration::from_secs(3);
/// How long it takes for each page; readings of the card come every 5 s.
const WATCHED: Duration = Duration::from_secs(30);
/// Time between two looks at the threads: one that ends is counted up to the last.
const LOOK_EVERY: Duration = Duration::from_secs(5);

const COMPOSER: &str = "[data-testid=composer]";
const DONE: &str = "[data-testid=message-assistant][data-state=done]";

/// The pages by the part of the address behind the `#`, and what there is once they are drawn.
const PAGES: [(&str, &str, &str); 4] = [
    ("chat", "", COMPOSER),
    ("models", "models", "[data-testid=catalogue-model]"),
    ("monitor", "monitor", "[data-testid=monitor]"),
    ("settings", "settings", "[data-testid=threshold-preview]"),
];

#[tokio::test]
#[ignore = "measures: cargo xtask bench --idle"]
async fn the_window() {
    let seconds = WATCHED.as_secs();
    println!("What idles after an answer, over {seconds} s each; aim: under 0.2 % shown, 0.02 % in the tray.\n");
    warn_of_others();
    let surroundings = Surroundings::new();
    let _panel = Panel::start(&surroundings).await;
    let desktop = Desktop::start_in(surroundings, &[]).await;
    desktop.wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]")).await;
    let screen = Screen::of(desktop.surroundings());
    let window = screen.window().await;
    screen.give_focus(window);

    println!("  {:<10} {:<8} {:>8} {:>11} {:>11}", "shown", "process", "CPU, %", "wake-ups/s", "memory, MiB");
    for (name, hash, sign) in PAGES {
        answered(&desktop).await;
        show(&desktop, hash, sign).await;
        measure(&desktop, name).await;
    }
    answered(&desktop).await;
    screen.close(window);
    screen.without_window().await;
    measure(&desktop, "in tray").await;
}

async fn show(desktop: &Desktop, hash: &str, sign: &str) {
    desktop.run_script(&format!("location.hash = {hash:?}")).await;
    desktop.find(sign).await;
}

/// Has an answer written, in a conversation of its own.
async fn answered(desktop: &Desktop) {
    show(desktop, "", COMPOSER).await;
    desktop.find("[data-testid=new-chat]").await.click().await.unwrap();
    desktop.wait_for("an empty conversation", || async { !desktop.has(DONE).await }).await;
    desktop.send("What is two and two?").await;
    desktop.wait_for("the answer", || desktop.has(DONE)).await;
}

/// Lets the window be, and prints what each of its processes took meanwhile.
async fn measure(desktop: &Desktop, name: &str) {
    tokio::time::sleep(REST).await;
    let mut before = Threads::new();
    look_at(desktop.program(), &mut before);
    let (began, mut after) = (Instant::now(), before.clone());
    while began.elapsed() < WATCHED {
        tokio::time::sleep(LOOK_EVERY).await;
        look_at(desktop.program(), &mut after);
    }
    let seconds = began.elapsed().as_secs_f64();

    let mut rows: BTreeMap<Role, Row> = BTreeMap::new();
    for ((process, thread), (role, work)) in after {
        let row = rows.entry(role).or_default();
        let (_, earlier) = before.get(&(process, thread)).copied().unwrap_or((role, Work::default()));
        row.percent += (work.nanoseconds - earlier.nanoseconds) as f64 / 1e7 / seconds;
        row.wakes += (work.wakes - earlier.wakes) as f64 / seconds;
    }
    for process in family(desktop.program()) {
        rows.entry(role(process)).or_default().mib += proportional_kib(process) as f64 / 1024.0;
    }
    let mut all = Row::default();
    for (index, (role, row)) in rows.iter().enumerate() {
        row.print(if index == 0 { name } else { "" }, role);
        all = Row { percent: all.percent + row.percent, wakes: all.wakes + row.wakes, mib: all.mib + row.mib };
    }
    all.print("", "all");
}

/// What a process is for.
type Role = &'static str;

fn role(process: u32) -> Role {
    let command = command_line(process);
    let program = command.split('\0').next().unwrap_or_default();
    match program.rsplit('/').next().unwrap_or_default() {
        "WebKitWebProcess" => "page",
        "WebKitNetworkProcess" => "network",
        "workly" => "program",
        _ if command.contains("--backends") => "worker",
        _ => "other",
    }
}

/// What a thread has done since it began.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    /// On a processor.
    nanoseconds: u64,
    /// Times that it waited for something, and with that was woken.
    wakes: u64,
}

/// The threads of the window's processes, by process and thread.
type Threads = HashMap<(u32, u32), (Role, Work)>;

fn look_at(program: u32, threads: &mut Threads) {
    for process in family(program) {
        let role = role(process);
        let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for task in tasks.flatten() {
            let thread = task.file_name().to_str().and_then(|name| name.parse().ok());
            let (Some(thread), Some(work)) = (thread, work_of(&task.path())) else { continue };
            threads.insert((process, thread), (role, work));
        }
    }
}

fn work_of(task: &std::path::Path) -> Option<Work> {
    let schedule = fs::read_to_string(task.join("schedstat")).ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let wakes = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    Some(Work { nanoseconds: schedule.split(' ').next()?.parse().ok()?, wakes: wakes.trim().parse().ok()? })
}

#[derive(Debug, Default)]
struct Row {
    percent: f64,
    wakes: f64,
    mib: f64,
}

impl Row {
    fn print(&self, shown: &str, process: &str) {
        let Self { percent, wakes, mib } = self;
        println!("  {shown:<10} {process:<8} {percent:>8.3} {wakes:>11.2} {mib:>11.0}");
    }
}
