//! The commands of the window stand in four lists that nothing else compares: what Tauri lets a window ask for at all
//! (`build.rs`), what answers it (`generate_handler!`), what this window may ask for (`tauri.conf.json`), and what it
//! asks for (`ui/src/ipc`).
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

type Commands = BTreeSet<String>;

#[test]
fn every_command_is_in_each_of_the_four_lists() {
    let lists = [
        ("src-tauri/build.rs", known_to_tauri()),
        ("generate_handler! in src-tauri/src", answered()),
        ("the capabilities in tauri.conf.json", allowed()),
        ("ui/src/ipc", asked_for()),
    ];
    let all: Commands = lists.iter().flat_map(|(_, commands)| commands.clone()).collect();
    assert!(!all.is_empty(), "no list was found");
    let missing: Vec<String> = lists
        .iter()
        .flat_map(|(place, commands)| all.difference(commands).map(move |command| format!("{command}: not in {place}")))
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn known_to_tauri() -> Commands {
    let script = fs::read_to_string(path("src-tauri/build.rs")).unwrap();
    between(&script, ".commands(&[", "]").unwrap().split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn answered() -> Commands {
    let sources = texts("src-tauri/src", "rs");
    let list = sources.iter().find_map(|source| between(source, "generate_handler![", "]")).unwrap();
    let paths = list.split(',').map(str::trim).filter(|path| !path.is_empty());
    paths.map(|path| path.rsplit("::").next().unwrap_or(path).to_owned()).collect()
}

fn allowed() -> Commands {
    let config: Value = serde_json::from_str(&fs::read_to_string(path("tauri.conf.json")).unwrap()).unwrap();
    let capabilities = config["app"]["security"]["capabilities"].as_array().unwrap();
    let permissions = capabilities.iter().flat_map(|one| one["permissions"].as_array().unwrap());
    permissions.filter_map(|name| name.as_str()?.strip_prefix("allow-")).map(|name| name.replace('-', "_")).collect()
}

fn asked_for() -> Commands {
    texts("ui/src/ipc", "ts").iter().flat_map(|source| calls(source)).collect()
}

/// The commands in `invoke("name", …)` and `invoke<Type>("name", …)`.
fn calls(source: &str) -> Vec<String> {
    let calls = source.split("invoke").skip(1).filter(|call| call.starts_with(['(', '<']));
    calls.map(|call| between(call, "(\"", "\"").unwrap().to_owned()).collect()
}

#[test]
fn a_call_is_found_with_and_without_the_type_of_its_answer() {
    let source = r#"
        import { invoke } from "@tauri-apps/api/core";
        one: () => invoke("one"),
        two: (id) => invoke<Map<string, (id: number) => void>>("two", { id }),
    "#;
    assert_eq!(calls(source), ["one", "two"]);
}

/// What stands after the first `start` and before the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The files with this ending in a folder and the folders in it.
fn texts(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![path(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}
