//! Changing files of Workly's own folder: rename and delete. Nothing outside of it is ever touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use workly_core::problem::{Problem, ProblemCode};
use workly_gguf::{SplitName, part_of_name, part_path};

use crate::file_name::is_for_every_system;

/// Bytes that the name of a model may have; with the number of a part every file system takes it.
const MOST_NAME: usize = 200;

/// Whether a file lies in a folder, wherever links lead: its own name must not count, as a link is removed as a link.
pub(crate) fn is_within(folder: &Path, path: &Path) -> bool {
    let (Ok(folder), Some(parent)) = (folder.canonicalize(), path.parent()) else { return false };
    path.file_name().is_some() && parent.canonicalize().is_ok_and(|parent| parent.starts_with(&folder))
}

fn not_ours(path: &Path) -> Problem {
    Problem::new(
        ProblemCode::NotOurs,
        format!(
            "{} is not in Workly's own folder, so Workly leaves it alone. Change it with the program it belongs to.",
            path.display()
        ),
    )
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Problem {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Problem::new(ProblemCode::ModelMissing, format!("There is no model file at {shown} any more."))
        }
        io::ErrorKind::PermissionDenied => Problem::new(
            ProblemCode::NoPermission,
            format!("{shown} could not be {what}: Workly may not. Change the permissions of its folder."),
        ),
        _ => Problem::new(
            ProblemCode::NotSaved,
            format!("{shown} could not be {what}: {error}. If the model is in use, choose another one first."),
        ),
    }
}

/// The files of a model that are there, given one of them.
fn parts(path: &Path) -> Vec<PathBuf> {
    match part_of_name(path) {
        Some((_, count)) => {
            (1..=count).filter_map(|number| part_path(path, number)).filter(|part| part.is_file()).collect()
        }
        None => vec![path.to_path_buf()],
    }
}

/// Deletes a model of Workly's own folder, all its parts.
///
/// # Errors
///
/// It lies elsewhere, or the system refuses.
pub(super) fn delete(own: &Path, path: &Path) -> Result<(), Problem> {
    let parts = parts(path);
    if let Some(outside) = parts.iter().find(|part| !is_within(own, part)) {
        return Err(not_ours(outside));
    }
    // The first part goes last: as long as it is there, what is left can be deleted again.
    for part in parts.iter().rev() {
        fs::remove_file(part).map_err(|error| failed("deleted", part, &error))?;
    }
    Ok(())
}

/// Gives a model of Workly's own folder another name, all its parts. Returns its file.
///
/// # Errors
///
/// It lies elsewhere, the name cannot be used or is taken, or the system refuses; then nothing has changed.
pub(super) fn rename(own: &Path, path: &Path, name: &str) -> Result<PathBuf, Problem> {
    let name = usable(name)?;
    let parts = parts(path);
    if let Some(outside) = parts.iter().find(|part| !is_within(own, part)) {
        return Err(not_ours(outside));
    }
    let target = |part: &Path| {
        let stem = SplitName::of_path(part).map(|part| SplitName { base: name, ..part }.part(part.number));
        part.with_file_name(format!("{}.gguf", stem.as_deref().unwrap_or(name)))
    };
    let moves: Vec<(PathBuf, PathBuf)> = parts.into_iter().map(|part| (target(&part), part)).collect();
    let Some((first, _)) = moves.first().cloned() else { return Err(not_ours(path)) };
    if first == path {
        return Ok(first);
    }
    for (new, old) in &moves {
        // A name that differs in its case alone is the same file where the system does not tell them apart.
        let is_itself = new.canonicalize().is_ok_and(|new| old.canonicalize().is_ok_and(|old| old == new));
        if new.symlink_metadata().is_ok() && !is_itself {
            let message = format!("There is a model called {name} already. Choose another name.");
            return Err(Problem::new(ProblemCode::ModelExists, message));
        }
    }
    for (index, (new, old)) in moves.iter().enumerate() {
        if let Err(error) = fs::rename(old, new) {
            for (new, old) in &moves[..index] {
                let _ = fs::rename(new, old);
            }
            return Err(failed("renamed", old, &error));
        }
    }
    Ok(first)
}

/// A name that every system takes for a file, without its ending.
fn usable(name: &str) -> Result<&str, Problem> {
    let trimmed = name.trim();
    let name = trimmed.strip_suffix(".gguf").unwrap_or(trimmed).trim_end();
    let refused =
        |why: &str| Err(Problem::new(ProblemCode::InvalidSetting, format!("This name cannot be used: {why}.")));
    if name.is_empty() {
        refused("it is empty")
    } else if name.len() > MOST_NAME {
        refused("it is too long")
    } else if name.chars().any(|letter| letter.is_control() || r#"/\:*?"<>|"#.contains(letter)) {
        refused("it has a character that file names cannot have")
    } else if name.starts_with('.') || name.ends_with('.') {
        refused("it begins or ends with a full stop")
    } else if !is_for_every_system(name) {
        refused("some systems keep it for themselves")
    } else if SplitName::parse(name).is_some() {
        refused("it looks like one part of a split model")
    } else {
        Ok(name)
    }
}
