//! Conversations on a real disk: damage, backups, older files, other programs on the same file, disks that refuse.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod file;
mod keeping;
#[cfg(unix)]
mod preload;
#[cfg(unix)]
mod processes;
mod room;
mod size;
mod sound;
mod versions;
