//! Reading the machine's own apt sources, in both of their formats, for a mirror to download from.
//!
//! Not a full reader: options, architectures and signatures are skipped.

use std::fs;
use std::path::Path;

/// One archive a machine takes packages from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Archive {
    uri: String,
    suite: String,
}

/// The mirrors of the main archive named by the files under `apt` (`/etc/apt`), in their order, without repeats.
pub(super) fn mirrors(apt: &Path) -> Vec<String> {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(apt.join("sources.list.d")) {
        let mut listed: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        listed.sort();
        files.extend(listed);
    }
    let mut archives = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("list") => archives.extend(one_line_format(&text)),
            Some("sources") => archives.extend(deb822_format(&text)),
            _ => {}
        }
    }
    main_archives(&archives)
}

/// Archives in the `deb [options] URI SUITE COMPONENT...` format.
fn one_line_format(text: &str) -> Vec<Archive> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next()?.trim();
            let rest = line.strip_prefix("deb")?;
            let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            let mut words = rest.split_whitespace();
            Some(Archive { uri: words.next()?.to_owned(), suite: words.next()?.to_owned() })
        })
        .collect()
}

/// Archives in the paragraph format of `.sources` files.
fn deb822_format(text: &str) -> Vec<Archive> {
    let mut archives = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    for line in lines.chain([""]) {
        if line.trim().is_empty() {
            archives.extend(archives_of_paragraph(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    archives
}

fn archives_of_paragraph(fields: &[(String, String)]) -> Vec<Archive> {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let has_packages = field("types").split_whitespace().any(|kind| kind == "deb");
    if !has_packages || field("enabled").eq_ignore_ascii_case("no") {
        return Vec::new();
    }
    let suites: Vec<&str> = field("suites").split_whitespace().collect();
    field("uris")
        .split_whitespace()
        .flat_map(|uri| suites.iter().map(move |suite| Archive { uri: uri.to_owned(), suite: (*suite).to_owned() }))
        .collect()
}

/// The URIs that may carry packages of any release, Debian's own layout first; those of security updates never do.
fn main_archives(archives: &[Archive]) -> Vec<String> {
    let fetchable = |uri: &str| ["http://", "https://", "file:"].iter().any(|scheme| uri.starts_with(scheme));
    let mut mirrors: Vec<String> = Vec::new();
    for archive in archives {
        let uri = archive.uri.trim_end_matches('/').to_owned();
        if fetchable(&uri) && !archive.suite.contains("-security") && !mirrors.contains(&uri) {
            mirrors.push(uri);
        }
    }
    // Other projects' archives share the list; asking them last costs nothing where the first answers.
    mirrors.sort_by_key(|uri| !uri.ends_with("/debian"));
    mirrors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_line_format_is_read() {
        let text = "# a comment\n\
                    deb http://mirror.example/debian bookworm main contrib # end\n\
                    deb-src http://mirror.example/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] https://other.example/repo stable main\n\
                    deb cdrom:[Debian]/ bookworm main\n";
        let archives = one_line_format(text);
        assert_eq!(archives.len(), 3);
        assert_eq!(archives[0].suite, "bookworm");
        assert_eq!(archives[1].uri, "https://other.example/repo");
        assert_eq!(main_archives(&archives), ["http://mirror.example/debian", "https://other.example/repo"]);
    }

    #[test]
    fn the_paragraph_format_is_read() {
        let text = "Types: deb deb-src\n\
                    # a comment\n\
                    URIs: http://mirror.example/debian/\n http://second.example/debian\n\
                    Suites: bookworm bookworm-updates\n\
                    Components: main\n\
                    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\
                    \n\
                    Types: deb\n\
                    URIs: http://mirror.example/debian-security\n\
                    Suites: bookworm-security\n\
                    \n\
                    Types: deb\n\
                    Enabled: no\n\
                    URIs: http://off.example/debian\n\
                    Suites: bookworm\n";
        assert_eq!(
            main_archives(&deb822_format(text)),
            ["http://mirror.example/debian", "http://second.example/debian"]
        );
    }

    #[test]
    fn security_suites_are_no_mirrors_and_foreign_archives_come_last() {
        let text = "deb http://mirror.example/debian-security bookworm-security main\n\
                    deb https://vendor.example/tool stable main\n\
                    deb http://mirror.example/debian bookworm main\n";
        assert_eq!(
            main_archives(&one_line_format(text)),
            ["http://mirror.example/debian", "https://vendor.example/tool"]
        );
    }
}
