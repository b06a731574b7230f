//! llama.cpp is compiled once, whichever part of the workspace is built.
//!
//! Cargo unites the features of everything that is built together, build scripts' dependencies included; where they
//! differ between two selections, it runs llama.cpp's build script, and with it a C++ build of ten minutes, once for
//! each. `workly-llama` names the features that the rest of the workspace asks for, to keep them equal.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The package whose build script compiles llama.cpp.
const COMPILES: &str = "llama-cpp-sys-2";

/// Every package that goes into that build script, with its features.
fn ingredients(selection: &[&str], edges: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let output = Command::new(env!("CARGO"))
        .arg("tree")
        .args(selection)
        .args(["--edges", edges, "--no-dedupe", "--prefix", "depth", "--format", " {p} [{f}]"])
        .current_dir(root)
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = BTreeSet::new();
    let mut inside: Option<u32> = None;
    for line in tree.lines() {
        let Some((depth, package)) = line.split_once(' ') else { continue };
        let Ok(depth) = depth.parse() else { continue };
        if package.starts_with(COMPILES) {
            inside = Some(depth);
        } else if inside.is_none_or(|above| depth <= above) {
            inside = None;
            continue;
        }
        found.insert(package.replace(" (proc-macro)", ""));
    }
    found
}

#[test]
fn the_headless_program_alone_and_the_whole_workspace_compile_it_alike() {
    let alone = ingredients(&["--package", "workly-cli"], "normal,build");
    assert!(alone.iter().any(|package| package.starts_with("bindgen ")), "{alone:?}");
    for (selection, edges) in [
        (vec!["--workspace"], "normal,build"),
        (vec!["--workspace"], "normal,build,dev"),
        (vec!["--package", "workly-llama"], "normal,build,dev"),
    ] {
        let together = ingredients(&selection, edges);
        let differing: Vec<_> = alone.symmetric_difference(&together).collect();
        assert!(
            differing.is_empty(),
            "add the missing features to [build-dependencies] of workly-llama: {selection:?} {edges}: {differing:#?}"
        );
    }
}
