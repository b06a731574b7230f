//! What to make of a host's answer: a pure function of what it says and what is known.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use workly_core::problem::Problem;
use workly_wire::models::HashSource;

use super::names;
use super::problems;
use super::record::FileRecord;

/// The longest that a host may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// What a host says of a file, before its content.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    /// Bytes of this answer's content.
    pub(super) length: Option<u64>,
    /// Where the content begins in the file, and bytes of the whole file where it says so.
    pub(super) range: Option<(u64, Option<u64>)>,
    /// Bytes of the whole file, as a refused range tells them.
    pub(super) whole: Option<u64>,
    pub(super) validator: Option<String>,
    /// The content is compressed or otherwise not the file itself.
    pub(super) is_encoded: bool,
    pub(super) retry_after: Option<Duration>,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(super) enum NextStep {
    /// Write the content from this byte on. `is_new`: what was here is of no use.
    Take { from: u64, total: Option<u64>, is_new: bool },
    /// All of it is here already.
    Complete,
    /// Ask again for the whole file.
    StartOver,
    /// Try again later.
    Again(Problem, Option<Duration>),
    /// There is no use in trying again.
    Refuse(Problem),
}

impl ResponseHead {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let content_range = text(header::CONTENT_RANGE).and_then(content_range);
        let validator = text(header::ETAG).filter(|tag| is_strong(tag)).or_else(|| text(header::LAST_MODIFIED));
        Self {
            status: status.as_u16(),
            length: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            range: content_range.and_then(|(start, whole)| start.map(|start| (start, whole))),
            whole: content_range.and_then(|(_, whole)| whole),
            validator: validator.map(str::to_owned),
            is_encoded: text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity"),
            retry_after: text(header::RETRY_AFTER).and_then(|text| retry_after(text, now)),
        }
    }
}

/// `"abc"`, not `W/"abc"`: the same tag means the same bytes.
fn is_strong(tag: &str) -> bool {
    tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')
}

/// `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10`.
fn content_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let whole = whole.parse().ok();
    if range == "*" {
        return Some((None, whole));
    }
    let (start, end) = range.split_once('-')?;
    let (start, end) = (start.parse::<u64>().ok()?, end.parse::<u64>().ok()?);
    (start <= end && whole.is_none_or(|whole| end < whole)).then_some((Some(start), whole))
}

/// Seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::from_secs(until.as_second().saturating_sub(now.as_second()).try_into().unwrap_or(0))
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The SHA-256 that Hugging Face tells of a file, in the header of a redirect to where it lies.
pub(super) fn linked_sha256(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get("x-linked-etag")?.to_str().ok()?.trim();
    let text = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    names::is_sha256(text).then(|| text.to_ascii_lowercase())
}

/// What to do with an answer, given what is known of the file and how many bytes of it are here.
pub(super) fn judge(
    said: &ResponseHead,
    host: &str,
    file: &FileRecord,
    have: u64,
    linked_sha256: Option<&str>,
) -> NextStep {
    if let (Some(said), Some(known)) = (linked_sha256, &file.sha256)
        && !said.eq_ignore_ascii_case(known)
    {
        if file.hash == HashSource::Catalogue {
            return NextStep::Refuse(problems::other_file(format!(
                "{host} offers another file than the one the catalogue knows. Nothing was downloaded."
            )));
        }
        if have > 0 {
            return NextStep::StartOver;
        }
    }
    match said.status {
        200 | 206 if said.is_encoded => NextStep::Refuse(problems::refused(format!(
            "{host} sends the file in a form that was not asked for. Download it in a browser and import it."
        ))),
        200 => whole(said, host, file, have),
        206 => partial(said, host, file, have),
        416 if have > 0 && said.whole == Some(have) && file.bytes.is_none_or(|bytes| bytes == have) => {
            NextStep::Complete
        }
        416 if have > 0 => NextStep::StartOver,
        401 | 403 => NextStep::Refuse(problems::refused(format!(
            "{host} does not give this file to everyone. If its page asks you to sign in or to accept terms, do that, \
             download the file in a browser and import it."
        ))),
        404 | 410 => NextStep::Refuse(problems::refused(format!("{host} has no such file. Check the address."))),
        407 => NextStep::Refuse(problems::refused("The proxy wants a name and a password. Set them up in the system.")),
        408 | 425 | 429 | 500..=599 => NextStep::Again(problems::busy(host, said.status), said.retry_after),
        status => NextStep::Refuse(
            problems::refused(format!("{host} refuses to send the file. Check the address."))
                .with_details(format!("HTTP status {status}")),
        ),
    }
}

/// An answer with the whole file.
fn whole(said: &ResponseHead, host: &str, file: &FileRecord, have: u64) -> NextStep {
    match unexpected_size(host, file, said.length) {
        Some(problem) => NextStep::Refuse(problem),
        None => NextStep::Take { from: 0, total: said.length.or(file.expected_bytes), is_new: have > 0 },
    }
}

/// An answer with the rest of the file.
fn partial(said: &ResponseHead, host: &str, file: &FileRecord, have: u64) -> NextStep {
    let Some((start, whole)) = said.range else {
        return nonsense(host, have);
    };
    if let Some(problem) = unexpected_size(host, file, whole) {
        return NextStep::Refuse(problem);
    }
    let has_changed = matches!((&file.validator, &said.validator), (Some(known), Some(said)) if known != said)
        || matches!((file.bytes, whole), (Some(known), Some(said)) if known != said);
    if start != have || has_changed {
        return nonsense(host, have);
    }
    NextStep::Take { from: have, total: whole.or(file.bytes).or(file.expected_bytes), is_new: false }
}

/// A range that does not fit what is here: without asking for one there can be none.
fn nonsense(host: &str, have: u64) -> NextStep {
    if have > 0 {
        return NextStep::StartOver;
    }
    NextStep::Refuse(problems::refused(format!("{host} sends another piece of the file than was asked for.")))
}

fn unexpected_size(host: &str, file: &FileRecord, said: Option<u64>) -> Option<Problem> {
    let (expected, said) = (file.expected_bytes?, said?);
    (expected != said).then(|| {
        problems::other_file(format!(
            "{host} offers a file of {said} bytes where {expected} are expected: it is another one. Nothing was \
             downloaded."
        ))
    })
}

#[cfg(test)]
mod tests {
    use workly_core::problem::ProblemCode;

    use super::*;

    const HASH: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn file() -> FileRecord {
        let mut file = FileRecord::new("https://h/a.gguf".to_owned(), "a.gguf".to_owned());
        (file.bytes, file.validator) = (Some(100), Some("\"v1\"".to_owned()));
        file
    }

    fn said(status: u16, headers: &[(&str, &str)]) -> ResponseHead {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        ResponseHead::new(StatusCode::from_u16(status).unwrap(), &headers, "2025-11-14T10:00:00Z".parse().unwrap())
    }

    fn code(verdict: &NextStep) -> Option<ProblemCode> {
        match verdict {
            NextStep::Again(problem, _) | NextStep::Refuse(problem) => Some(problem.code),
            _ => None,
        }
    }

    #[test]
    fn the_rest_is_taken_only_where_it_fits() {
        let range = |text| said(206, &[("content-range", text), ("etag", "\"v1\"")]);
        let verdict = |said: &ResponseHead, have| judge(said, "h", &file(), have, None);
        let take = NextStep::Take { from: 40, total: Some(100), is_new: false };
        assert_eq!(verdict(&range("bytes 40-99/100"), 40), take);
        assert_eq!(verdict(&range("bytes 40-79/*"), 40), take);
        for wrong in
            ["bytes 0-99/100", "bytes 41-99/100", "bytes 40-99/101", "bytes 40-100/100", "bytes 99-40/100", "?"]
        {
            assert_eq!(verdict(&range(wrong), 40), NextStep::StartOver, "{wrong}");
        }
        let changed = said(206, &[("content-range", "bytes 40-99/100"), ("etag", "\"v2\"")]);
        assert_eq!(verdict(&changed, 40), NextStep::StartOver);
        assert_eq!(code(&verdict(&range("bytes 40-99/100"), 0)), Some(ProblemCode::DownloadRefused));
    }

    #[test]
    fn a_whole_file_replaces_what_is_here() {
        let verdict = |have| judge(&said(200, &[("content-length", "100")]), "h", &file(), have, None);
        assert_eq!(verdict(0), NextStep::Take { from: 0, total: Some(100), is_new: false });
        assert_eq!(verdict(40), NextStep::Take { from: 0, total: Some(100), is_new: true });
    }

    #[test]
    fn another_file_than_the_catalogues_is_refused_before_it_is_fetched() {
        let mut file = file();
        (file.expected_bytes, file.sha256, file.hash) = (Some(100), Some(HASH.to_owned()), HashSource::Catalogue);
        let longer = said(200, &[("content-length", "101")]);
        assert_eq!(code(&judge(&longer, "h", &file, 0, None)), Some(ProblemCode::HashMismatch));
        let fine = said(200, &[("content-length", "100")]);
        assert_eq!(code(&judge(&fine, "h", &file, 0, Some(OTHER))), Some(ProblemCode::HashMismatch));
        assert_eq!(code(&judge(&fine, "h", &file, 0, Some(HASH))), None);
    }

    #[test]
    fn a_host_that_changed_its_file_sends_it_anew() {
        let mut file = file();
        (file.sha256, file.hash) = (Some(HASH.to_owned()), HashSource::Host);
        let rest = said(206, &[("content-range", "bytes 40-99/100")]);
        assert_eq!(judge(&rest, "h", &file, 40, Some(OTHER)), NextStep::StartOver);
    }

    #[test]
    fn a_range_past_the_end_means_all_is_here_or_nothing_fits() {
        let end = said(416, &[("content-range", "bytes */100")]);
        assert_eq!(judge(&end, "h", &file(), 100, None), NextStep::Complete);
        assert_eq!(judge(&end, "h", &file(), 120, None), NextStep::StartOver);
        assert_eq!(judge(&said(416, &[]), "h", &file(), 100, None), NextStep::StartOver);
        assert_eq!(code(&judge(&end, "h", &file(), 0, None)), Some(ProblemCode::DownloadRefused));
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_not_is_told() {
        for status in [408, 429, 500, 502, 503, 504] {
            let verdict = judge(&said(status, &[("retry-after", "7")]), "h", &file(), 0, None);
            let NextStep::Again(_, wait) = verdict else { panic!("{status}: {verdict:?}") };
            assert_eq!(wait, Some(Duration::from_secs(7)));
        }
        for status in [400, 401, 403, 404, 407, 410, 418, 204, 304] {
            let verdict = judge(&said(status, &[]), "h", &file(), 0, None);
            assert_eq!(code(&verdict), Some(ProblemCode::DownloadRefused), "{status}");
        }
        let encoded = said(200, &[("content-encoding", "gzip")]);
        assert_eq!(code(&judge(&encoded, "h", &file(), 0, None)), Some(ProblemCode::DownloadRefused));
    }

    #[test]
    fn a_host_says_how_long_to_wait_in_seconds_or_as_a_date() {
        let wait = |text| said(503, &[("retry-after", text)]).retry_after;
        assert_eq!(wait("Fri, 14 Nov 2025 10:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Fri, 14 Nov 2025 09:00:30 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("99999999"), Some(LONGEST_WAIT));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn only_a_strong_tag_tells_versions_apart() {
        assert_eq!(said(200, &[("etag", "W/\"a\""), ("last-modified", "Fri")]).validator.as_deref(), Some("Fri"));
        assert_eq!(said(200, &[("etag", "\"a\"")]).validator.as_deref(), Some("\"a\""));
        assert_eq!(said(200, &[("etag", "W/\"a\"")]).validator, None);
    }

    #[test]
    fn the_hosts_hash_is_taken_only_where_it_is_one() {
        let linked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-linked-etag", text.parse().unwrap());
            linked_sha256(&headers)
        };
        assert_eq!(linked(&format!("\"{HASH}\"")).as_deref(), Some(HASH));
        assert_eq!(linked("\"abc\""), None);
    }
}
