//! The built desktop program in a display, a session bus and a WebDriver of its own.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;
use tempfile::TempDir;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_workly");
/// Longest wait for anything: the first window of a cold machine takes a while.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running Workly with its window; everything it started ends when this is dropped.
pub(crate) struct Desktop {
    client: Client,
    /// Its process group holds the driver, the session bus and the program.
    driver: Group,
    _display: Group,
    data: Rc<TempDir>,
}

impl Desktop {
    /// Opens the window and waits until the model is ready.
    pub(crate) async fn start() -> Self {
        Self::start_in(Rc::new(tempfile::tempdir().unwrap()), &[]).await
    }

    /// The same with a data folder that may hold something already, and with variables of one's own.
    pub(crate) async fn start_in(data: Rc<TempDir>, variables: &[(&str, PathBuf)]) -> Self {
        let worker = Path::new(PROGRAM).with_file_name("workly-cli");
        assert!(worker.is_file(), "{} is missing: build the whole workspace", worker.display());
        let (display, number) = start_display();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Group::spawn(
            Command::new("dbus-run-session")
                .args(["--", "WebKitWebDriver", "--host=127.0.0.1", &format!("--port={port}")])
                .env("DISPLAY", format!(":{number}"))
                .env("GDK_BACKEND", "x11")
                .env("TAURI_WEBVIEW_AUTOMATION", "true")
                .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
                .env("WORKLY_DATA_DIR", data.path())
                .env("XDG_DATA_HOME", data.path())
                .env("XDG_CACHE_HOME", data.path())
                .env("XDG_CONFIG_HOME", data.path())
                .env("LC_ALL", "C.UTF-8")
                .envs(variables.iter().map(|(name, value)| (name, value)))
                .env_remove("WAYLAND_DISPLAY")
                .stdout(Stdio::null()),
        );
        let client = connect(port).await;
        let desktop = Self { client, driver, _display: display, data };
        desktop.wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]")).await;
        desktop
    }

    /// Waits for a condition.
    pub(crate) async fn wait_for<F: Future<Output = bool>>(&self, what: &str, mut is_so: impl FnMut() -> F) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so().await {
            if Instant::now() >= deadline {
                self.save_screenshot("failed").await;
                panic!("waited in vain for {what}; the window is in test-results/failed.png");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first element that a style selector finds, once there is one.
    pub(crate) async fn find(&self, selector: &str) -> Element {
        self.wait_for(selector, || self.has(selector)).await;
        self.client.find(Locator::Css(selector)).await.unwrap()
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

    /// Runs a script in the window.
    pub(crate) async fn run_script(&self, script: &str) -> serde_json::Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Saves what the window shows into `test-results/`.
    pub(crate) async fn save_screenshot(&self, name: &str) {
        // The driver waits for the next picture, which a page where nothing moves never paints.
        let repaint = "let times = 0; const timer = setInterval(() => { document.body.style.opacity = times % 2 ? '1' : \
                       '0.9999'; if (times++ > 40) clearInterval(timer); }, 50);";
        let _ = self.client.execute(repaint, Vec::new()).await;
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("test-results");
        std::fs::create_dir_all(&folder).unwrap();
        if let Ok(picture) = self.client.screenshot().await {
            std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
        }
    }

    /// Closes the window as its user would.
    pub(crate) async fn close_window(&self) {
        self.client.close_window().await.unwrap();
    }

    /// The program's process.
    pub(crate) fn program(&self) -> u32 {
        let ours = self.data.path().to_str().unwrap().to_owned();
        processes()
            .find(|id| {
                let is_workly =
                    std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|exe| exe == Path::new(PROGRAM));
                let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
                is_workly && String::from_utf8_lossy(&environment).contains(&ours)
            })
            .expect("the program runs")
    }

    /// The process that holds the model.
    pub(crate) fn worker(&self) -> u32 {
        let program = self.program();
        processes()
            .find(|id| parent(*id) == Some(program) && is_alive(*id) && command_line(*id).contains("--backends"))
            .expect("the program has a worker")
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.driver.end();
    }
}

/// A process that leads a group of its own, ended with all of it.
struct Group(Child);

impl Group {
    fn spawn(command: &mut Command) -> Self {
        Self(command.process_group(0).stdin(Stdio::null()).spawn().expect("run `cargo xtask setup` first"))
    }

    fn end(&mut self) {
        if let Some(id) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ = kill_process_group(id, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

fn start_display() -> (Group, u32) {
    let mut display = Group::spawn(
        Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x960x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    );
    let mut line = String::new();
    BufReader::new(display.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (display, line.trim().parse().expect("Xvfb tells its number"))
}

async fn connect(port: u16) -> Client {
    let mut capabilities = serde_json::Map::new();
    capabilities.insert("webkitgtk:browserOptions".into(), json!({ "binary": PROGRAM, "args": [] }));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let address = format!("http://127.0.0.1:{port}");
        match ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&address).await {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "no window: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(process_id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

fn command_line(process_id: u32) -> String {
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
