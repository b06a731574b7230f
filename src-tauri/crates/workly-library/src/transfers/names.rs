//! What a transfer and its files are called. Names come from outside; what lies on the disk is ours.

use std::path::Path;

use data_encoding::HEXLOWER;
use percent_encoding::percent_decode_str;
use ring::digest;
use url::Url;
use workly_core::problem::{Problem, ProblemCode};
use workly_gguf::SplitName;

use crate::file_name::is_for_every_system;

/// Bytes of a file name before its part number and ending, at most.
const NAME_BYTES: usize = 120;
/// Bytes of the readable part of an id, at most.
const ID_BYTES: usize = 60;
/// Parts a model may be split into.
const MOST_PARTS: u32 = 200;

/// All files of a model of which one is named: `(name in the source, name of ours)`, the first part first.
///
/// # Errors
///
/// When there are more parts than any model has, or it names something that goes with a model.
pub(super) fn files(name: &str) -> Result<Vec<(String, String)>, Problem> {
    let (stem, ending) = split_ending(name);
    // The library does not show them either.
    if clean(stem).to_ascii_lowercase().starts_with("mmproj") {
        let message =
            format!("“{name}” is not a model: it lets one see pictures, which Workly does not. Take the model.");
        return Err(Problem::new(ProblemCode::NotGguf, message));
    }
    let Some(split) = SplitName::parse(stem) else { return Ok(vec![(name.to_owned(), own_name(stem))]) };
    if split.count > MOST_PARTS {
        let message = format!("“{name}” is said to be split into {} files; no model is. Check the name.", split.count);
        return Err(Problem::new(ProblemCode::DownloadRefused, message));
    }
    let base = clean(split.base);
    let own = SplitName { base: &base, ..split };
    let names = |part| (format!("{}{ending}", split.part(part)), format!("{}.gguf", own.part(part)));
    Ok((1..=split.count).map(names).collect())
}

/// What to call a model whose file has this name.
pub(super) fn title(name: &str) -> String {
    let (stem, _) = split_ending(name);
    clean(SplitName::parse(stem).map_or(stem, |split| split.base))
}

/// The name of a file of ours, from a name without its ending.
fn own_name(stem: &str) -> String {
    format!("{}.gguf", clean(stem))
}

/// The name and its ending `.gguf`, in whatever case; the ending is empty where there is another one or none.
fn split_ending(name: &str) -> (&str, &str) {
    match name.len().checked_sub(5).and_then(|at| name.split_at_checked(at)) {
        Some((stem, ending)) if ending.eq_ignore_ascii_case(".gguf") => (stem, ending),
        _ => (name, ""),
    }
}

/// Letters, digits and a few signs that every file system takes; never empty, hidden or a device.
fn clean(stem: &str) -> String {
    let is_fit = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | ' ' | '+' | '(' | ')');
    let mut name = String::new();
    for letter in stem.chars() {
        let letter = if is_fit(letter) { letter } else { '-' };
        if name.len() + letter.len_utf8() > NAME_BYTES {
            break;
        }
        if !(letter == '-' && name.ends_with('-')) {
            name.push(letter);
        }
    }
    let name = name.trim_matches(['.', ' ', '-']);
    if name.is_empty() || !is_for_every_system(name) {
        return format!("model-{name}").trim_end_matches('-').to_owned();
    }
    name.to_owned()
}

/// A short name for what comes from `source`, the same each time.
pub(super) fn id(prefix: &str, title: &str, source: &str) -> String {
    let readable: String = title
        .to_ascii_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .take(ID_BYTES)
        .collect();
    let hash = digest::digest(&digest::SHA256, source.as_bytes());
    format!("{prefix}{}-{}", readable.trim_matches('-'), &HEXLOWER.encode(hash.as_ref())[..8])
}

/// Whether this can be a transfer's id: it becomes a file name.
pub(super) fn is_id(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 100 && !text.starts_with('.') && text.bytes().all(is_fit)
}

/// Whether this is a SHA-256 in hexadecimal digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The last piece of an address's path, decoded; `None` where there is none.
pub(super) fn last_segment(url: &Url) -> Option<String> {
    let segment = url.path_segments()?.next_back().filter(|segment| !segment.is_empty())?;
    Some(percent_decode_str(segment).decode_utf8_lossy().into_owned())
}

/// The same address with another last piece.
pub(super) fn with_last_segment(url: &Url, name: &str) -> Url {
    let mut url = url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop().push(name);
    }
    url
}

/// The name of a file, as text.
///
/// # Errors
///
/// When the path has none, or one that is no text.
pub(super) fn file_name(path: &Path) -> Result<&str, Problem> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        let message = format!("“{}” has a name that cannot be read as text. Rename it first.", path.display());
        Problem::new(ProblemCode::NotGguf, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str) -> Vec<String> {
        files(name).unwrap().into_iter().map(|(_, own)| own).collect()
    }

    #[test]
    fn a_name_from_outside_becomes_one_that_any_file_system_takes() {
        for (given, kept) in [
            ("zephyr-7b-beta.Q4_K_M.gguf", "zephyr-7b-beta.Q4_K_M.gguf"),
            ("MODEL.GGUF", "MODEL.gguf"),
            ("download", "download.gguf"),
            ("../../etc/passwd", "etc-passwd.gguf"),
            ("..\\..\\windows\\x.gguf", "windows-x.gguf"),
            (".hidden.gguf", "hidden.gguf"),
            ("a:b*c?d\"e<f>g|h.gguf", "a-b-c-d-e-f-g-h.gguf"),
            ("new\nline\0.gguf", "new-line.gguf"),
            ("modèle français.gguf", "modèle français.gguf"),
            ("trailing. .gguf", "trailing.gguf"),
            ("con.gguf", "model-con.gguf"),
            ("Nul.q4.gguf", "model-Nul.q4.gguf"),
            ("LPT1.gguf", "model-LPT1.gguf"),
            ("console.gguf", "console.gguf"),
            (".gguf", "model.gguf"),
            ("", "model.gguf"),
            ("///", "model.gguf"),
        ] {
            assert_eq!(own(given), [kept], "{given:?}");
        }
        assert!(own(&format!("{}.gguf", "é".repeat(500)))[0].len() <= NAME_BYTES + 5);
    }

    #[test]
    fn one_part_names_all_of_them() {
        assert_eq!(
            files("big?-00002-of-00003.gguf").unwrap(),
            [1, 2, 3].map(|part| (format!("big?-{part:05}-of-00003.gguf"), format!("big-{part:05}-of-00003.gguf")))
        );
        assert!(files("x-00001-of-90000.gguf").is_err());
        assert!(files("mmproj-F16.gguf").is_err() && files("m-mmproj.gguf").is_ok());
    }

    #[test]
    fn the_same_source_has_the_same_id() {
        let made = id("", "Zephyr 7B (β)", "https://example.org/z.gguf");
        assert_eq!(made, id("", "Zephyr 7B (β)", "https://example.org/z.gguf"));
        assert_ne!(made, id("", "Zephyr 7B (β)", "https://example.org/y.gguf"));
        assert!(is_id(&made), "{made}");
        for bad in ["", "../x", ".x", "a/b", "A", &"x".repeat(101)] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_files_name_is_read_out_of_its_address() {
        let segment = |text: &str| last_segment(&Url::parse(text).unwrap());
        assert_eq!(segment("https://h/a/b%20c+d.gguf?download=true#x").unwrap(), "b c+d.gguf");
        assert_eq!(segment("https://h/"), None);
        assert_eq!(segment("https://h/a/%2E%2E%2Fx.gguf").unwrap(), "../x.gguf");
        let second = with_last_segment(&Url::parse("https://h/a/b.gguf?x=1").unwrap(), "c d.gguf");
        assert_eq!(second.as_str(), "https://h/a/c%20d.gguf?x=1");
    }
}
