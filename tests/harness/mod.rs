//! The built desktop program in surroundings of its own, driven through a WebDriver.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod chooser;
pub(crate) mod history;
pub(crate) mod parrot;
pub(crate) mod program;
#[path = "../../src-tauri/crates/workly-engine/tests/support/progress.rs"]
pub(crate) mod progress;
pub(crate) mod screen;
mod surroundings;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use progress::Deadline;
pub(crate) use surroundings::{Group, Surroundings};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_workly");

/// A running Workly with its window; everything it started ends when this is dropped.
pub(crate) struct Desktop {
    client: Client,
    /// Its process group holds the driver and the program.
    driver: Group,
    surroundings: Surroundings,
}

impl Desktop {
    /// Opens the window and waits until the model is ready.
    pub(crate) async fn start() -> Self {
        let desktop = Self::start_in(Surroundings::new(), &[]).await;
        desktop.wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]")).await;
        desktop
    }

    /// Opens the window in these surroundings, with these arguments.
    pub(crate) async fn start_in(surroundings: Surroundings, arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Group::spawn(
            surroundings
                .command("WebKitWebDriver")
                .args(["--host=127.0.0.1", &format!("--port={port}")])
                .env("TAURI_WEBVIEW_AUTOMATION", "true")
                .stdout(Stdio::null()),
        );
        let client = connect(port, arguments).await;
        Self { client, driver, surroundings }
    }

    /// Runs a script in the page and returns what it returns.
    pub(crate) async fn run_script(&self, script: &str) -> serde_json::Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// The same while the program may be on its way out; none when it is gone.
    pub(crate) async fn try_script(&self, script: &str) -> Option<serde_json::Value> {
        self.client.execute(script, Vec::new()).await.ok()
    }

    /// What the window shows, as PNG.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.picture().await.expect("the driver takes pictures")
    }

    async fn picture(&self) -> Option<Vec<u8>> {
        // The driver waits for the next frame, and a page in which nothing changes draws none: two shades of one pixel.
        let change = "const pixel = document.body.appendChild(document.createElement('i'));
            pixel.style.cssText = 'position:fixed;right:0;bottom:0;width:1px;height:1px;background:currentcolor';
            window.change = setInterval(() => (pixel.style.opacity = pixel.style.opacity === '0.02' ? '0.01' : '0.02'), 20);
            window.pixel = pixel";
        self.client.execute(change, Vec::new()).await.ok()?;
        let picture = self.client.screenshot().await.ok()?;
        self.client.execute("clearInterval(window.change); window.pixel.remove()", Vec::new()).await.ok()?;
        Some(picture)
    }

    /// The window's driver, for what has no word here.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where it runs.
    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Waits for a condition.
    pub(crate) async fn wait_for<F: Future<Output = bool>>(&self, what: &str, mut is_so: impl FnMut() -> F) {
        let mut deadline = Deadline::of_children();
        while !is_so().await {
            if deadline.is_over() {
                self.save_screenshot("failed").await;
                panic!("waited in vain for {what}; the window is in test-results/failed.png");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first element that a style selector finds, once there is one.
    pub(crate) async fn find(&self, selector: &str) -> Element {
        loop {
            self.wait_for(selector, || self.has(selector)).await;
            // One that is replaced at this very moment is looked for again.
            if let Ok(element) = self.client.find(Locator::Css(selector)).await {
                return element;
            }
        }
    }

    /// Whether a style selector finds anything.
    pub(crate) async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.unwrap().is_empty()
    }

    /// The text of the last element that a style selector finds.
    pub(crate) async fn last_text(&self, selector: &str) -> String {
        match self.client.find_all(Locator::Css(selector)).await.unwrap().last() {
            // An element that is replaced while it is read is read again the next time.
            Some(element) => element.text().await.unwrap_or_default(),
            None => String::new(),
        }
    }

    /// Types a message and sends it with Enter.
    pub(crate) async fn send(&self, message: &str) {
        let composer = self.find("[data-testid=composer]").await;
        composer.send_keys(message).await.unwrap();
        composer.send_keys("\u{e007}").await.unwrap();
    }

    /// Waits until the last answer has text, and is still being written.
    pub(crate) async fn wait_for_text(&self) {
        self.wait_for("the answer's first words", || async {
            !self.last_text("[data-testid=answer-text]").await.trim().is_empty()
        })
        .await;
    }

    /// Saves what the window shows into `test-results/`.
    pub(crate) async fn save_screenshot(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("test-results");
        std::fs::create_dir_all(&folder).unwrap();
        if let Some(picture) = self.picture().await {
            std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
        }
    }

    /// Closes the window as its user would.
    pub(crate) async fn close_window(&self) {
        self.client.close_window().await.unwrap();
    }

    /// The program's process.
    pub(crate) fn program(&self) -> u32 {
        self.surroundings.program().expect("the program runs")
    }

    /// The process that holds the model.
    pub(crate) fn worker(&self) -> u32 {
        worker_of(self.program()).expect("the program has a worker")
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.driver.end();
    }
}

async fn connect(port: u16, arguments: &[&str]) -> Client {
    let mut capabilities = serde_json::Map::new();
    capabilities.insert("webkitgtk:browserOptions".into(), json!({ "binary": PROGRAM, "args": arguments }));
    let mut deadline = Deadline::of_children();
    loop {
        let address = format!("http://127.0.0.1:{port}");
        match ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&address).await {
            Ok(client) => return client,
            Err(error) => assert!(!deadline.is_over(), "no window: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The process that holds the model of a program.
pub(crate) fn worker_of(program: u32) -> Option<u32> {
    children(program).find(|id| is_alive(*id) && command_line(*id).contains("--backends"))
}

/// The processes a process has started.
pub(crate) fn children(program: u32) -> impl Iterator<Item = u32> {
    processes().filter(move |id| parent(*id) == Some(program))
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(process_id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// What a process was started as.
pub(crate) fn command_line(process_id: u32) -> String {
    std::fs::read_to_string(format!("/proc/{process_id}/cmdline")).unwrap_or_default()
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(process_id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process_id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

/// Sends a signal.
pub(crate) fn signal(process_id: u32, signal: Signal) {
    kill_process(Pid::from_raw(process_id.cast_signed()).unwrap(), signal).unwrap();
}
