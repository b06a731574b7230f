//! `cargo xtask icons`: renders the icons from their drawings. The pictures are committed, so that a build needs no
//! renderer; run this after a drawing has changed and look at what came out.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::setup;
use crate::shell;

/// What a bundle wants of the application's icon, out of all that the Tauri CLI renders.
const APPLICATION: [&str; 7] =
    ["32x32.png", "64x64.png", "128x128.png", "128x128@2x.png", "icon.png", "icon.ico", "icon.icns"];
/// The drawings in `icons/tray`: the three profiles, and no model at all.
const TRAY: [&str; 4] = ["workly-performance", "workly-balanced", "workly-cpu", "workly-off"];
/// Sizes that panels ask for, pixels.
const TRAY_SIZES: [&str; 5] = ["16", "22", "24", "32", "48"];

/// Renders every icon into `icons/`.
pub(crate) fn render(machine: &mut Machine) -> Result<()> {
    setup::all(machine, setup::Purpose::Run)?;
    let icons = machine.root.join("icons");
    let scratch = machine.scratch()?;
    tauri_icon(machine, &icons.join("workly.svg"), scratch.path(), &[])?;
    for name in APPLICATION {
        copy(&scratch.path().join(name), &icons.join(name))?;
    }
    for name in TRAY {
        let rendered = scratch.path().join(name);
        tauri_icon(machine, &icons.join("tray").join(format!("{name}.svg")), &rendered, &TRAY_SIZES)?;
        for size in TRAY_SIZES {
            let from = rendered.join(format!("{size}x{size}.png"));
            copy(&from, &icons.join("tray").join(size).join(format!("{name}.png")))?;
        }
    }
    println!("icons: rendered into {}", icons.display());
    Ok(())
}

/// The Tauri CLI's own renderer: one tool for all systems' formats. Without sizes it renders all a bundle may want.
fn tauri_icon(machine: &Machine, drawing: &Path, into: &Path, sizes: &[&str]) -> Result<()> {
    let tauri = machine.root.join("ui/node_modules/.bin/tauri");
    if !tauri.exists() {
        bail!("the Tauri CLI is missing: @tauri-apps/cli belongs to the development packages of ui/package.json");
    }
    let mut command = machine.command(&tauri.to_string_lossy());
    command.arg("icon").arg(drawing).arg("--output").arg(into);
    if !sizes.is_empty() {
        command.arg("--png").arg(sizes.join(","));
    }
    shell::capture(&mut command).map(|_| ())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("{} was not rendered", from.display()))?;
    Ok(())
}
