//! The text of the file: read with what editors add to it, written so that it is never half there.

use std::io;
use std::path::Path;
use std::{fmt, fs};

use jiff::Zoned;
use serde_json::{Map, Value};
use workly_files::whole_file;

/// Why a file gives no document.
#[derive(Debug)]
pub(super) enum Fault {
    /// It cannot be read at all.
    Io(io::Error),
    /// It is not JSON.
    Json(String),
    /// It is JSON, but not an object.
    NotAnObject,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(formatter),
            Self::Json(detail) => formatter.write_str(detail),
            Self::NotAnObject => formatter.write_str("it is not a JSON object"),
        }
    }
}

/// Reads a document; `None` where there is no file. A byte order mark, as Windows editors write it, is no fault.
pub(super) fn read(path: &Path) -> Result<Option<Value>, Fault> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::Io(error)),
    };
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    if text.trim_ascii().is_empty() {
        return Err(Fault::Json("it is empty".to_owned()));
    }
    match serde_json::from_slice(text) {
        Ok(document @ Value::Object(_)) => Ok(Some(document)),
        Ok(_) => Err(Fault::NotAnObject),
        Err(error) => Err(Fault::Json(error.to_string())),
    }
}

/// A document as it is written to the file: indented, the sections in the order of Workly's own.
///
/// # Errors
///
/// Never for a document that was read; the type is that of the library.
pub(super) fn to_text<'a>(entries: impl IntoIterator<Item = (&'a String, &'a Value)>) -> serde_json::Result<Vec<u8>> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    let rank = |key: &str| ["ai", "gpu_monitoring", "ui", "override"].iter().position(|known| *known == key);
    entries.sort_by_key(|(key, _)| (rank(key).unwrap_or(usize::MAX), *key));
    let ordered = Ordered(entries);
    let mut text = serde_json::to_vec_pretty(&ordered)?;
    text.push(b'\n');
    Ok(text)
}

struct Ordered<'a>(Vec<(&'a String, &'a Value)>);

impl serde::Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Writes a document beside its place and moves it there once it is whole and on the disk. A link is followed.
pub(super) fn write_atomically(path: &Path, document: &Value) -> io::Result<()> {
    let empty = Map::new();
    whole_file::write(path, &to_text(document.as_object().unwrap_or(&empty))?)
}

/// Keeps a broken file beside under a name of its own, which comes back; `away`: the file itself is then gone.
pub(super) fn set_aside(path: &Path, away: bool) -> io::Result<String> {
    let time = Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let names = (1..100).map(|number| match number {
        1 => format!("config.broken-{time}.json"),
        number => format!("config.broken-{time}-{number}.json"),
    });
    for name in names {
        let place = path.with_file_name(&name);
        if place.try_exists()? {
            continue;
        }
        fs::copy(path, place)?;
        if away {
            fs::remove_file(path)?;
        }
        return Ok(name);
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are too many broken copies of it"))
}
