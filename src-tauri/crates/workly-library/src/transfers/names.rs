//! What a transfer and its files are called. Names come from outside; what lies on the disk is ours.

use std::path::Path;

use ring::digest;
use url::Url;
use workly_core::problem::{Problem, ProblemCode};

/// Bytes of a file name before its part number and ending, at most.
const NAME_BYTES: usize = 120;
/// Bytes of the readable part of an id, at most.
const ID_BYTES: usize = 60;
/// Parts a model may be split into.
const MOST_PARTS: u32 = 200;
/// Names that Windows keeps for devices, with any ending.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// The name of one part of a model: `big-00002-of-00003` is part 2 of 3 of `big`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split<'a> {
    pub(super) base: &'a str,
    pub(super) part: u32,
    pub(super) of: u32,
}

impl<'a> Split<'a> {
    /// Reads a name without its ending; `None` where it names a whole model.
    pub(super) fn of(stem: &'a str) -> Option<Self> {
        let (numbered, of) = stem.rsplit_once("-of-")?;
        let (base, part) = numbered.rsplit_once('-')?;
        let number = |text: &str| {
            let is_number = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (part, of) = (number(part)?, number(of)?);
        (!base.is_empty() && (1..=of).contains(&part)).then_some(Self { base, part, of })
    }

    /// The names of all parts, without their ending.
    fn names(&self) -> impl Iterator<Item = String> {
        let Self { base, of, .. } = *self;
        (1..=of).map(move |part| format!("{base}-{part:05}-of-{of:05}"))
    }
}

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
    let Some(split) = Split::of(stem) else { return Ok(vec![(name.to_owned(), own_name(stem))]) };
    if split.of > MOST_PARTS {
        let message = format!("“{name}” is said to be split into {} files; no model is. Check the name.", split.of);
        return Err(Problem::new(ProblemCode::DownloadRefused, message));
    }
    let base = clean(split.base);
    let own = |part: u32| format!("{base}-{part:05}-of-{:05}.gguf", split.of);
    Ok(split.names().zip(1..).map(|(stem, part)| (format!("{stem}{ending}"), own(part))).collect())
}

/// What to call a model whose file has this name.
pub(super) fn title(name: &str) -> String {
    let (stem, _) = split_ending(name);
    clean(Split::of(stem).map_or(stem, |split| split.base))
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
    let device = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    if name.is_empty() || RESERVED.contains(&device.as_str()) {
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
    format!("{prefix}{}-{}", readable.trim_matches('-'), &hex(hash.as_ref())[..8])
}

/// Whether this can be a transfer's id: it becomes a file name.
pub(super) fn is_id(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 100 && !text.starts_with('.') && text.bytes().all(is_fit)
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether this is a SHA-256 in hexadecimal digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The last piece of an address's path, decoded; `None` where there is none.
pub(super) fn last_segment(url: &Url) -> Option<String> {
    let segment = url.path_segments()?.next_back().filter(|segment| !segment.is_empty())?;
    // Decoded as the query of a form would be, but for the plus sign, which a path means as it stands.
    let escaped = segment.replace('+', "%2B");
    let text = format!("name={escaped}");
    url::form_urlencoded::parse(text.as_bytes()).next().map(|(_, name)| name.into_owned())
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
        for whole in ["one-of-a-kind", "x-00004-of-00003", "x-00000-of-00003", "-00001-of-00002", "x-1-of-2"] {
            assert_eq!(Split::of(whole), None, "{whole}");
        }
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
