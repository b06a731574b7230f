//! A model that writes whatever makes a page fetch, run or leave: nothing of it gets out of the window.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::harness::parrot;
use crate::harness::program::eventually;
use crate::harness::{Desktop, Surroundings};

const ANSWER: &str = "[data-testid=answer-text]";
const DONE: &str = "[data-testid=message-assistant][data-state=done]";
/// Longer than the page takes to ask for anything, milliseconds.
const ASKING_TIME: u32 = 500;

#[tokio::test]
async fn nothing_a_model_writes_gets_out_of_the_window() {
    let attacker = Attacker::listen();
    let payloads = payloads();
    assert!(payloads.len() > 50, "{} payloads were read", payloads.len());
    let text = payloads.iter().map(|payload| attacker.own(payload)).collect::<Vec<_>>().join("\n\n");
    let link = format!("http://{}/a?b=c", attacker.address);
    let text = format!("[The first link]({link})\n\n{text}\n\nThe end of it all.");
    let surroundings = Surroundings::new();
    let model = parrot::write(surroundings.data(), &text);
    let opened = browser(&surroundings);
    let path = format!("{}:{}", surroundings.data().display(), std::env::var("PATH").unwrap());
    let surroundings = surroundings.with("PATH", &path).with("BROWSER", "xdg-open");

    let desktop = Desktop::start_in(surroundings, &["--model", model.to_str().unwrap()]).await;
    desktop.send("Go").await;
    desktop.wait_for("the answer to end", || desktop.has(DONE)).await;
    let said = desktop.last_text(ANSWER).await;
    assert!(said.contains("The end of it all."), "the model said all of it");
    settle(&desktop).await;
    attacker.heard_nothing("without a click");

    // Whatever of it can be clicked is clicked.
    let script = "const answer = [...document.querySelectorAll('[data-testid=answer-text]')].at(-1);
        let clicks = 0;
        for (const element of answer.querySelectorAll('a, button, input, [onclick], [tabindex], summary, label, td, p')) {
            element.click();
            clicks += 1;
            const dialog = document.querySelector('dialog[open]');
            if (dialog) dialog.close();
        }
        return clicks";
    let clicks = desktop.run_script(script).await;
    assert!(clicks.as_u64() > Some(20), "{clicks} clicks");
    settle(&desktop).await;
    attacker.heard_nothing("after the clicks");
    assert_eq!(desktop.run_script("return location.protocol").await, json!("tauri:"), "the window stayed");
    assert!(!opened.exists(), "no browser was opened");

    // A link is opened, in the browser, once it was shown and agreed to.
    desktop.find(&format!("{ANSWER} a")).await.click().await.unwrap();
    let shown = desktop.find("[data-testid=link-url]").await.text().await.unwrap();
    assert_eq!(shown, link);
    desktop.save_screenshot("link").await;
    assert!(!opened.exists());
    desktop.find("[data-testid=link-open]").await.click().await.unwrap();
    let address = eventually("the browser", || async { std::fs::read_to_string(&opened).ok() }).await;
    assert_eq!(address.trim(), link);
    settle(&desktop).await;
    attacker.heard_nothing("by the window when the browser was opened");
    attacker.is_listening();
}

/// Lets the page ask for what it may be going to ask for.
async fn settle(desktop: &Desktop) {
    let script = format!("window.settled = false; setTimeout(() => (window.settled = true), {ASKING_TIME})");
    desktop.run_script(&script).await;
    desktop
        .wait_for("the page to settle", || async { desktop.run_script("return window.settled").await == json!(true) })
        .await;
}

/// Puts a browser in place that only writes down what it is given, and names where.
fn browser(surroundings: &Surroundings) -> std::path::PathBuf {
    let opened = surroundings.data().join("opened");
    let program = surroundings.data().join("xdg-open");
    let script = format!("#!/bin/sh\nprintf '%s' \"$1\" > '{0}.part' && mv '{0}.part' '{0}'\n", opened.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    opened
}

/// Who waits for the window to call.
struct Attacker {
    listener: TcpListener,
    address: std::net::SocketAddr,
}

impl Attacker {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// A payload that calls here.
    fn own(&self, payload: &str) -> String {
        let here = format!("http://{}", self.address);
        let payload = payload.replace("https://evil.example", &here).replace("https://ok.example", &here);
        payload.replace("//evil.example", &format!("//{}", self.address))
    }

    fn heard_nothing(&self, when: &str) {
        match self.listener.accept() {
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            Ok((caller, _)) => panic!("a request came {when}: {}", first_line(caller)),
        }
    }

    /// That it was not deaf.
    fn is_listening(&self) {
        let _caller = TcpStream::connect(self.address).unwrap();
        assert!(self.listener.accept().is_ok());
    }
}

fn first_line(caller: TcpStream) -> String {
    use std::io::{BufRead as _, BufReader};
    caller.set_nonblocking(false).unwrap();
    let mut line = String::new();
    let _ = BufReader::new(caller).read_line(&mut line);
    line
}

/// The texts that the tests of the UI use, from their source.
fn payloads() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/src/test/hostile.ts");
    std::fs::read_to_string(source).unwrap().lines().filter_map(payload).collect()
}

/// The value of a line such as `name: "value",` or `` "a name": `value`, ``.
fn payload(line: &str) -> Option<String> {
    let entry = line.strip_prefix("  ")?.strip_suffix(',')?;
    let value = match entry.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\": ")?.1,
        None => entry.split_once(": ")?.1,
    };
    let mark = value.chars().next().filter(|mark| "`\"".contains(*mark))?;
    let mut characters = value.strip_prefix(mark)?.strip_suffix(mark)?.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                escaped => escaped,
            },
            plain => plain,
        });
    }
    Some(text)
}
