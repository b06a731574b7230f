//! `workly-cli models get` and `import`, as a person or a script runs them: killed, interrupted, behind a proxy.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../../workly-library/tests/support/file_server.rs"]
#[expect(dead_code, reason = "each test program uses its own part")]
mod file_server;
#[path = "../../workly-engine/tests/support/progress.rs"]
mod progress;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use file_server::{Body, Reply, Request, Server, model};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

struct Program {
    data: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        Self { data: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_workly-cli"));
        command.arg("models").args(arguments).env("WORKLY_DATA_DIR", self.data.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn models(&self) -> PathBuf {
        self.data.path().join("models")
    }

    /// Bytes of the one unfinished file.
    fn part(&self) -> u64 {
        let entries = fs::read_dir(self.models().join(".incoming")).into_iter().flatten().flatten();
        let mut parts = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "part"));
        parts.next().and_then(|entry| entry.metadata().ok()).map_or(0, |facts| facts.len())
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    progress::wait_for(what, || holds().then_some(()));
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A host that serves a file up to a byte that moves, and then keeps the client waiting.
fn up_to(content: &[u8], end: &Arc<AtomicUsize>) -> Server {
    let (content, end) = (content.to_vec(), Arc::clone(end));
    Server::start(move |request, _| {
        let reply = Reply::file(request, &content, "\"v1\"");
        let end = end.load(Ordering::SeqCst);
        let start = request.range_start().unwrap_or(0) as usize;
        if end < content.len() { reply.ending(end - start, Body::Hang) } else { reply }
    })
}

#[test]
fn a_download_that_is_killed_at_every_tenth_fetches_only_the_rest() {
    let content = model(8);
    let end = Arc::new(AtomicUsize::new(0));
    let server = up_to(&content, &end);
    let program = Program::new();
    let url = server.url("a.gguf");
    let tenths: Vec<usize> = (1..10).map(|tenth| content.len() * tenth / 10).collect();
    for tenth in &tenths {
        end.store(*tenth, Ordering::SeqCst);
        let mut child = program.command(&["get", &url]).spawn().unwrap();
        until("the next tenth is on the disk", || program.part() == *tenth as u64);
        send(&child, Signal::KILL);
        child.wait().unwrap();
        assert_eq!(program.part(), *tenth as u64);
        assert!(!program.models().join("a.gguf").exists());
    }
    end.store(content.len(), Ordering::SeqCst);
    let output = program.run(&["get", &url]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let place = program.models().join("a.gguf");
    assert_eq!(Path::new(text(&output.stdout).trim()), place);
    assert!(fs::read(&place).unwrap() == content);
    // No byte was served twice.
    assert_eq!(server.served(), content.len() as u64);
    let starts: Vec<u64> = server.requests().iter().filter_map(Request::range_start).collect();
    assert_eq!(starts, tenths.iter().map(|tenth| *tenth as u64).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(program.models().join(".incoming")).unwrap().count(), 0);
}

#[test]
fn a_download_that_is_killed_in_full_flight_goes_on_from_what_it_wrote() {
    let content = model(64);
    let server = Server::of(content.clone());
    let program = Program::new();
    let url = server.url("a.gguf");
    let mut kept = Vec::new();
    for mebibytes in [4_u64, 20] {
        let mut child = program.command(&["get", &url]).spawn().unwrap();
        until("some of it is on the disk", || program.part() >= mebibytes << 20 || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        child.wait().unwrap();
        kept.push(program.part());
    }
    let output = program.run(&["get", &url]);
    // It may have been too fast to be killed; then it is there, and is not fetched again.
    assert!(output.status.success() || text(&output.stderr).contains("in the library already"));
    assert!(fs::read(program.models().join("a.gguf")).unwrap() == content);
    for start in server.requests().iter().filter_map(Request::range_start) {
        assert!(kept.contains(&start), "{start} of {kept:?}");
    }
}

#[test]
fn an_interrupted_download_says_how_to_go_on_and_does() {
    let content = model(1);
    let end = Arc::new(AtomicUsize::new(300_000));
    let server = up_to(&content, &end);
    let program = Program::new();
    let url = server.url("a.gguf");
    for signal in [Signal::INT, Signal::TERM] {
        let child = program.command(&["get", &url]).spawn().unwrap();
        until("some of it is on the disk", || program.part() as usize == end.load(Ordering::SeqCst));
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("the same command goes on"), "{}", text(&output.stderr));
        assert_eq!(program.part() as usize, end.fetch_add(100_000, Ordering::SeqCst));
    }
    end.store(content.len(), Ordering::SeqCst);
    let output = program.run(&["get", &url, "--json"]);
    assert!(output.status.success());
    let lines = lines(&output);
    let done = lines.last().unwrap();
    assert_eq!((&done["type"], &done["hash"]), (&"done".into(), &"none".into()));
    assert_eq!(done["bytes"], content.len());
    assert!(lines[..lines.len() - 1].iter().all(|line| line["type"] == "progress" && line["kind"] == "download"));
    assert_eq!(server.served(), content.len() as u64);
}

#[test]
fn what_cannot_be_fetched_is_told_with_its_exit_code() {
    let server = Server::start(|_, _| Reply::new(404, Body::Whole(Vec::new())));
    let program = Program::new();
    for (arguments, code, words) in [
        (vec!["get", "no-such-model"], 1, "zephyr-7b"),
        (vec!["get", "http://example.org/a.gguf"], 1, "https://"),
        (vec!["get", &server.url("a.gguf")], 1, "no such file"),
        (vec!["get"], 2, "NAME"),
        (vec!["import", "/no/such/file.gguf"], 1, "cannot be read"),
        (vec!["import"], 2, "PATH"),
    ] {
        let output = program.run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
    let output = program.run(&["get", &server.url("b.gguf"), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let line = lines(&output).pop().unwrap();
    assert_eq!((&line["type"], &line["code"]), (&"error".into(), &"download_refused".into()));
}

#[test]
fn the_net_is_asked_through_the_systems_proxy_and_this_machine_is_not() {
    let proxy = Server::start(|_, _| Reply::new(403, Body::Whole(Vec::new())));
    let program = Program::new();
    let behind = |arguments: &[&str]| {
        let mut command = program.command(arguments);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, proxy.url(""));
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        command
    };
    let mut child = behind(&["get", "smollm2-135m"]).spawn().unwrap();
    until("the proxy is asked", || !proxy.requests().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(proxy.requests()[0].path, "huggingface.co:443");
    let asked = proxy.requests().len();
    let server = Server::of(model(1));
    assert!(behind(&["get", &server.url("a.gguf")]).status().unwrap().success());
    assert_eq!(proxy.requests().len(), asked);
}

#[test]
fn only_hosts_that_prove_who_they_are_are_believed() {
    let content = model(1);
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certified.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let (config, served) = (Arc::new(config), content.clone());
    let inside = move |stream| -> Box<dyn file_server::Stream> {
        Box::new(rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), stream))
    };
    let server = Server::start_inside(inside, move |request, _| Reply::file(request, &served, "\"v1\""));
    let program = Program::new();
    let known = program.data.path().join("known.pem");
    fs::write(&known, certified.cert.pem()).unwrap();
    let get = |host: &str, known: Option<&Path>| {
        let mut command = program.command(&["get", &format!("https://{host}:{}/{host}.gguf", server.port()), "--json"]);
        command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        command.envs(known.map(|path| ("SSL_CERT_FILE", path))).spawn().unwrap()
    };
    // Unknown, and known by another name.
    for (host, known) in [("localhost", None), ("127.0.0.1", Some(known.as_path()))] {
        let mut child = get(host, known);
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let waiting = said.find(|line| line.as_ref().unwrap().contains("\"waiting\"")).unwrap().unwrap();
        assert!(waiting.contains("certificate"), "{waiting}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(server.requests(), []);
    assert!(get("localhost", Some(&known)).wait().unwrap().success());
    assert!(fs::read(program.models().join("localhost.gguf")).unwrap() == content);
}

#[test]
fn a_file_is_imported_and_what_is_no_model_is_not() {
    let content = model(1);
    let program = Program::new();
    let source = program.data.path().join("mine.gguf");
    fs::write(&source, &content).unwrap();
    let output = program.run(&["import", source.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let place = program.models().join("mine.gguf");
    assert_eq!(Path::new(text(&output.stdout).trim()), place);
    assert!(fs::read(&place).unwrap() == content);
    let again = program.run(&["import", source.to_str().unwrap(), "--json"]);
    assert_eq!((again.status.code(), &lines(&again)[0]["code"]), (Some(1), &"model_exists".into()));
    let other = program.data.path().join("text.gguf");
    fs::write(&other, "hello").unwrap();
    let output = program.run(&["import", other.to_str().unwrap(), "--json"]);
    assert_eq!((output.status.code(), &lines(&output)[0]["code"]), (Some(1), &"not_gguf".into()));
}
