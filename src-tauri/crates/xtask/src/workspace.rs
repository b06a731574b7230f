//! What the commands ask cargo about or for: built programs, the target folder, the generated types.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::machine::Machine;
use crate::shell;

/// A built program, and where build scripts of its dependencies left what is to be installed beside it.
pub(crate) struct Built {
    /// The program.
    pub(crate) program: PathBuf,
    /// The folder of llama.cpp's shared libraries.
    pub(crate) libraries: Option<PathBuf>,
    /// The folder of its backend modules, with the folders `cpu` and `gpu`.
    pub(crate) backends: Option<PathBuf>,
}

/// Builds one program.
///
/// Always with the whole workspace selected: cargo chooses a dependency's features by what is selected, and another
/// choice would compile llama.cpp a second time. Cargo itself says where the program is, so that a target folder set
/// elsewhere is respected.
pub(crate) fn build_program(
    machine: &Machine,
    name: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<Built> {
    let mut command = machine.cargo();
    command.args(["build", "--workspace", "--bin", name]).args(arguments);
    command.args(["--message-format", "json-render-diagnostics"]);
    command.envs(variables.iter().copied());
    println!("build: {}", shell::describe(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo's output is piped")?;
    let (mut program, mut libraries, mut backends) = (None, None, None);
    for line in BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        program = built_program(&message, name).or(program);
        libraries = built_libraries(&message).or(libraries);
        backends = built_backends(&message).or(backends);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("the build failed: `{}` ended with {status}", shell::describe(&command));
    }
    let program = program.with_context(|| format!("cargo built no program `{name}`"))?;
    Ok(Built { program, libraries, backends })
}

/// The path of the program of that name, where one of cargo's messages announces it.
fn built_program(message: &Value, name: &str) -> Option<PathBuf> {
    let executable = message.get("executable")?.as_str()?;
    (message.get("target")?.get("name")?.as_str()? == name).then(|| PathBuf::from(executable))
}

/// Where the build script of llama-cpp-sys-2 installed the shared libraries.
fn built_libraries(message: &Value) -> Option<PathBuf> {
    let output = message.get("out_dir")?.as_str()?;
    let package = message.get("package_id")?.as_str()?;
    package.contains("llama-cpp-sys-2").then(|| Path::new(output).join("lib"))
}

/// Where the build script of workly-llama sorted the backend modules.
fn built_backends(message: &Value) -> Option<PathBuf> {
    let variables = message.get("env")?.as_array()?;
    let value = |pair: &Value| {
        (pair.get(0)?.as_str()? == "WORKLY_BUILT_BACKENDS").then(|| pair.get(1)?.as_str().map(PathBuf::from))
    };
    variables.iter().find_map(value).flatten()
}

/// The folder finished programs land in, without the profile.
pub(crate) fn target_folder(machine: &Machine) -> Result<PathBuf> {
    let output = shell::capture(machine.cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&output).context("cargo metadata is not JSON")?;
    let folder = metadata.get("target_directory").and_then(Value::as_str);
    Ok(PathBuf::from(folder.context("cargo metadata names no target folder")?))
}

/// Writes the TypeScript side of the wire contract; the same test, without the variable, fails when it has drifted.
pub(crate) fn write_wire_types(machine: &Machine) -> Result<()> {
    let mut command = machine.cargo();
    command.args(["test", "--package", "workly-wire", "--test", "typescript"]);
    shell::stream(command.env("WORKLY_WRITE_TYPES", "1"))?;
    println!("types: ui/src/ipc/wire.ts is up to date");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let built =
            json!({ "reason": "compiler-artifact", "target": { "name": "workly-cli" }, "executable": "/t/workly-cli" });
        assert_eq!(built_program(&built, "workly-cli"), Some(PathBuf::from("/t/workly-cli")));
        assert_eq!(built_program(&built, "workly"), None);
        let library = json!({ "target": { "name": "workly_core" }, "executable": null });
        assert_eq!(built_program(&library, "workly_core"), None);
    }

    #[test]
    fn libraries_and_modules_are_found_in_cargos_messages() {
        let message = json!({
            "reason": "build-script-executed",
            "package_id": "registry+index#llama-cpp-sys-2@0.1.161",
            "env": [],
            "out_dir": "/b/out",
        });
        assert_eq!(built_libraries(&message), Some(PathBuf::from("/b/out/lib")));
        assert_eq!(built_backends(&message), None);
        let ours = json!({
            "package_id": "path+file:///w/workly-llama#0.1.0",
            "env": [["OTHER", "x"], ["WORKLY_BUILT_BACKENDS", "/b/backends"]],
            "out_dir": "/b",
        });
        assert_eq!(built_libraries(&ours), None);
        assert_eq!(built_backends(&ours), Some(PathBuf::from("/b/backends")));
    }
}
