//! `cargo xtask dist`: the installable bundle, with the model, the headless program and the backends inside.
//!
//! What goes into a bundle is written into a configuration of its own, merged by the Tauri CLI: in the main one, a
//! plain `cargo build` would fail wherever these files are absent.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::machine::{Machine, remove, write_if_changed};
use crate::setup::{self, Purpose};
use crate::{shell, workspace};

/// Where the shared libraries and backend modules lie in an installed Linux system, as the run path expects them.
const INSTALLED_LIBRARIES: &str = "/usr/lib/workly";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kinds of bundle, as `tauri build --bundles` takes them; some fetch tools of their own.
    #[arg(long, value_delimiter = ',', default_value = "deb")]
    bundles: Vec<String>,
}

pub(crate) fn dist(machine: &mut Machine, arguments: &Arguments) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("only Linux bundles are known here so far");
    }
    setup::all(machine, Purpose::Run)?;
    let tauri = machine.root.join("ui/node_modules/.bin/tauri");
    if !tauri.exists() {
        bail!("the Tauri CLI is missing: @tauri-apps/cli belongs to the development packages of ui/package.json");
    }

    println!("dist: building the headless program; a release build compiles llama.cpp once more");
    let built = workspace::build_program(machine, "workly-cli", &["--release"], &[("WORKLY_PORTABLE", "1")])?;
    let stage = workspace::target_folder(machine)?.join("dist");
    remove(&stage)?;
    fs::create_dir_all(&stage)?;
    let triple = host_triple(&shell::capture(machine.command("rustc").arg("-vV"))?)?;
    fs::copy(&built.program, stage.join(format!("workly-cli-{triple}")))?;
    let libraries = built.libraries.context("the build tells no folder of shared libraries")?;
    copy_folder(&libraries, &stage.join("lib"), is_runtime_library)?;
    let backends = built.backends.context("the build tells no folder of backend modules")?;
    copy_folder(&backends, &stage.join("lib/backends"), |_| true)?;

    let configuration = stage.join("tauri.bundle.conf.json");
    let content = bundle_configuration(&stage, &setup::embedded_model(machine))?;
    write_if_changed(&configuration, &format!("{content:#}\n"))?;
    let mut command = machine.command(&tauri.to_string_lossy());
    command.arg("build").arg("--config").arg(&configuration);
    command.arg("--bundles").arg(arguments.bundles.join(","));
    println!("dist: {}", shell::describe(&command));
    shell::stream(&mut command)
}

/// The part of the Tauri configuration that only a bundle needs.
fn bundle_configuration(stage: &Path, model: &Path) -> Result<Value> {
    let file = model.file_name().context("the model is a file")?.to_string_lossy();
    let libraries = json!({ INSTALLED_LIBRARIES: stage.join("lib") });
    Ok(json!({
        "bundle": {
            "active": true,
            "externalBin": [stage.join("workly-cli")],
            "resources": { model.to_string_lossy(): format!("models/{file}") },
            "linux": {
                "deb": { "files": libraries },
                "rpm": { "files": libraries },
                "appimage": { "files": libraries },
            },
        },
    }))
}

/// The triple in the output of `rustc -vV`, which Tauri expects in the names of bundled programs.
fn host_triple(version: &str) -> Result<String> {
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.trim().to_owned())
}

/// Whether a program looks a library up by this name: `libllama.so.0`, neither `libllama.so` nor `libllama.so.0.6.0`.
fn is_runtime_library(name: &str) -> bool {
    name.split_once(".so.").is_some_and(|(_, version)| version.chars().all(|character| character.is_ascii_digit()))
}

/// Copies a folder's wanted files and all its folders; links become the files they point at.
fn copy_folder(from: &Path, to: &Path, is_wanted: fn(&str) -> bool) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let target = to.join(&name);
        if path.is_dir() {
            copy_folder(&path, &target, is_wanted)?;
        } else if is_wanted(&name) {
            fs::create_dir_all(to)?;
            fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_names_program_model_and_libraries() -> Result<()> {
        let value = bundle_configuration(Path::new("/t/dist"), Path::new("/r/models/a.gguf"))?;
        let bundle = &value["bundle"];
        assert_eq!(bundle["externalBin"][0], "/t/dist/workly-cli");
        assert_eq!(bundle["resources"]["/r/models/a.gguf"], "models/a.gguf");
        assert_eq!(bundle["linux"]["deb"]["files"]["/usr/lib/workly"], "/t/dist/lib");
        Ok(())
    }

    #[test]
    fn only_the_names_programs_look_up_are_bundled() {
        assert!(is_runtime_library("libllama.so.0"));
        assert!(!is_runtime_library("libllama.so"));
        assert!(!is_runtime_library("libggml.so.0.26.0"));
        assert!(!is_runtime_library("llama-config.cmake"));
    }

    #[test]
    fn the_host_is_read_from_rustcs_version() -> Result<()> {
        assert_eq!(
            host_triple("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n")?,
            "x86_64-unknown-linux-gnu"
        );
        assert!(host_triple("").is_err());
        Ok(())
    }
}
