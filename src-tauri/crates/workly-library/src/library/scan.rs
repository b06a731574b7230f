//! Searching folders for model files.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use workly_core::problem::{Problem, ProblemCode};
use workly_gguf::{SplitName, part_of_name, part_path};
use workly_wire::models::{LibraryFolder, ModelSource};

use super::apps::Place;
use super::ollama;

/// How deep folders are searched, and how many entries of one place are looked at.
const MOST_DEPTH: u32 = 8;
const MOST_ENTRIES: usize = 50_000;

/// A model file that was found; nothing of it is read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) title: String,
    pub(super) source: ModelSource,
}

/// What a search of all places gives.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) found: Vec<Found>,
    pub(super) folders: Vec<LibraryFolder>,
    /// Every folder that was looked into: where one changes, another search is due.
    pub(super) visited: BTreeSet<PathBuf>,
}

/// Searches every place. A file that is reached twice counts for the first place.
pub(super) fn scan(embedded: Option<&Path>, places: &[Place]) -> Scanned {
    let mut visited = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    let mut folders = Vec::new();
    let embedded =
        embedded.map(|path| Found { path: path.to_path_buf(), title: title(path), source: ModelSource::Embedded });
    all.extend(embedded.filter(|found| is_new(&mut seen, &found.path)));
    for place in places {
        let found = search(place, &mut visited);
        let problem = found.as_ref().err().map(|error| unreadable(place, error));
        let before = all.len();
        all.extend(found.unwrap_or_default().into_iter().filter(|found| is_new(&mut seen, &found.path)));
        folders.push(LibraryFolder {
            path: place.folder.to_string_lossy().into_owned(),
            source: place.source,
            models: u32::try_from(all.len() - before).unwrap_or(u32::MAX),
            problem,
        });
    }
    Scanned { found: all, folders, visited }
}

fn is_new(seen: &mut HashSet<PathBuf>, path: &Path) -> bool {
    seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()))
}

fn unreadable(place: &Place, error: &io::Error) -> Problem {
    let shown = place.folder.display();
    let message = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("The folder {shown} is not there. Plug in its disk, or take the folder out of the library.")
        }
        io::ErrorKind::PermissionDenied => {
            format!("Workly may not look into {shown}. Change the folder's permissions, or take it out of the library.")
        }
        _ => format!("The folder {shown} could not be searched: {error}."),
    };
    Problem::new(ProblemCode::FolderUnreadable, message)
}

fn search(place: &Place, visited: &mut BTreeSet<PathBuf>) -> io::Result<Vec<Found>> {
    if place.source == ModelSource::Ollama {
        // Blobs have no ending: nothing is found here, but changes are to be seen.
        files(&place.folder, visited)?;
        let models = ollama::models(&place.folder).into_iter();
        return Ok(models.map(|(title, path)| Found { path, title, source: place.source }).collect());
    }
    let mut paths = files(&place.folder, visited)?;
    paths.sort();
    let names: HashSet<PathBuf> = paths.iter().cloned().collect();
    let is_first = |path: &&PathBuf| {
        // A model without its first part is listed once, with what is wrong with it.
        let earlier = |number| part_path(path, number).is_some_and(|earlier| names.contains(&earlier));
        !part_of_name(path).is_some_and(|(number, _)| (1..number).any(earlier))
    };
    let found = |path: &PathBuf| Found { path: path.clone(), title: title(path), source: place.source };
    Ok(paths.iter().filter(is_first).map(found).collect())
}

/// All model files below a folder. What cannot be read below it is left out; only the folder itself must be there.
fn files(folder: &Path, visited: &mut BTreeSet<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // Links may lead round in circles.
    let mut real_ones = HashSet::from([folder.canonicalize()?]);
    visited.insert(folder.to_path_buf());
    let mut waiting = vec![(fs::read_dir(folder)?, 0)];
    let mut entries = 0;
    while let Some((reading, depth)) = waiting.pop() {
        for entry in reading.flatten() {
            entries += 1;
            if entries > MOST_ENTRIES {
                tracing::warn!(folder = %folder.display(), "there are too many files to look at all of them");
                return Ok(found);
            }
            let path = entry.path();
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let is_folder = if is_link { path.is_dir() } else { entry.file_type().is_ok_and(|kind| kind.is_dir()) };
            if is_folder {
                let real = path.canonicalize();
                if depth < MOST_DEPTH
                    && !is_hidden(&path)
                    && real.is_ok_and(|real| real_ones.insert(real))
                    && let Ok(reading) = fs::read_dir(&path)
                {
                    visited.insert(path);
                    waiting.push((reading, depth + 1));
                }
            } else if is_model_file(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether a file is a model by its name. Projectors for pictures, which lie beside models, are not.
pub(super) fn is_model_file(path: &Path) -> bool {
    let is_gguf = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    is_gguf && !name.starts_with('.') && !name.starts_with("mmproj")
}

/// What to call a model: its file's name without the ending and the number of a part; where that says nothing, its
/// folder's.
pub(super) fn title(path: &Path) -> String {
    let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name(path);
    if let Some(part) = SplitName::of_path(path) {
        return part.base.to_owned();
    }
    match path.parent().and_then(Path::file_name) {
        Some(folder) if stem.eq_ignore_ascii_case("model") => folder.to_string_lossy().into_owned(),
        _ => stem,
    }
}
