//! Asking hosts for files: who may be asked, through which redirects, and how long one waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderValue};
use reqwest::{Client, Response, redirect};
use url::{Host as Name, Url};
use workly_core::problem::{Problem, ProblemCode};

use super::problems;
use super::response::{ResponseHead, linked_sha256};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// The clients: one for the net, and one for this machine, which no proxy stands before.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    far: Client,
    near: Client,
    patience: Duration,
}

/// An answer whose content has not been read yet.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) said: ResponseHead,
    /// SHA-256 that a host on the way told.
    pub(super) linked_sha256: Option<String>,
    /// Who answers in the end.
    pub(super) host: String,
    pub(super) content: Response,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoReply {
    /// It may come later.
    Again(Problem),
    /// It will not.
    Refused(Problem),
}

impl Hosts {
    /// # Errors
    ///
    /// When the system's certificates or proxy settings cannot be used.
    pub(super) fn new(patience: Duration) -> Result<Self, Problem> {
        // The one provider there is; the second time it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |is_near: bool| {
            let builder = Client::builder()
                .user_agent(concat!("Workly/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .connect_timeout(patience);
            let builder = if is_near { builder.no_proxy() } else { builder };
            builder.build().map_err(|error| {
                let message = "Downloads are not possible. Check the system's certificates and proxy settings.";
                Problem::new(ProblemCode::DownloadFailed, message).with_details(chain(&error))
            })
        };
        Ok(Self { far: client(false)?, near: client(true)?, patience })
    }

    /// Asks for a file from byte `have` on, as long as it is still the version that `validator` tells.
    pub(super) async fn open(&self, url: &Url, have: u64, validator: Option<&str>) -> Result<Reply, NoReply> {
        let mut at = url.clone();
        let mut linked = None;
        for _ in 0..=MOST_REDIRECTS {
            let client = if is_loopback(&at) { &self.near } else { &self.far };
            let mut request = client.get(at.clone()).header(header::ACCEPT_ENCODING, "identity");
            if have > 0 {
                request = request.header(header::RANGE, format!("bytes={have}-"));
                if let Some(validator) = validator.and_then(|text| HeaderValue::from_str(text).ok()) {
                    request = request.header(header::IF_RANGE, validator);
                }
            }
            let host = host(&at);
            let response = match tokio::time::timeout(self.patience, request.send()).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(NoReply::Again(problems::unreachable(&host, chain(&error)))),
                Err(_) => return Err(NoReply::Again(problems::stalled(&host, self.patience))),
            };
            linked = linked.or_else(|| linked_sha256(response.headers()));
            let location = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
            match (response.status().as_u16(), location) {
                (301 | 302 | 303 | 307 | 308, Some(location)) => at = next(url, &at, location)?,
                (status, _) => {
                    let said = ResponseHead::new(response.status(), response.headers(), jiff::Timestamp::now());
                    tracing::debug!(%host, status, have, "a host answers");
                    return Ok(Reply { said, linked_sha256: linked, host, content: response });
                }
            }
        }
        let message = format!("{} sends the request in a circle. Check the address.", host(url));
        Err(NoReply::Refused(problems::refused(message)))
    }
}

/// Where a redirect leads, if it may be followed.
fn next(origin: &Url, at: &Url, location: &str) -> Result<Url, NoReply> {
    let to = at.join(location).map_err(|error| {
        let message = format!("{} redirects to an address that is none. Check the address.", host(at));
        NoReply::Refused(problems::refused(message).with_details(error.to_string()))
    })?;
    // A host on the net must not make us ask one on this machine.
    let is_safe = to.scheme() == "https" && (is_loopback(origin) || !is_loopback(&to));
    let is_test = to.scheme() == "http" && is_loopback(&to) && is_loopback(origin);
    if is_safe || is_test {
        return Ok(to);
    }
    let message = format!("{} redirects to an address that is not safe: {to}. It was not followed.", host(at));
    Err(NoReply::Refused(problems::refused(message)))
}

/// Reads an address that someone gave: HTTPS, or HTTP on this machine. A page of a file on Hugging Face is taken for
/// the file itself.
pub(super) fn address(text: &str) -> Result<Url, Problem> {
    let mut url = Url::parse(text.trim()).map_err(|error| {
        let message = format!("“{text}” is not an address. Give one that begins with https://.");
        problems::refused(message).with_details(error.to_string())
    })?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        let message = format!("“{text}” is not fetched: only addresses that begin with https:// are safe.");
        return Err(problems::refused(message));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problems::refused("An address with a name and a password in it is not fetched. Leave them out."));
    }
    if url.domain() == Some("huggingface.co") {
        let path = url.path().replacen("/blob/", "/resolve/", 1);
        url.set_path(&path);
    }
    url.set_fragment(None);
    Ok(url)
}

/// Whether an address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Name::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Name::Ipv4(address)) => address.is_loopback(),
        Some(Name::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The host's name, for people.
pub(super) fn host(url: &Url) -> String {
    url.host_str().unwrap_or("the host").to_owned()
}

/// An error with its causes, which are what matters in one of a connection.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What the clients are shared as.
pub(super) type SharedHosts = Arc<Hosts>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_addresses_are_asked() {
        for good in ["https://example.org/a.gguf", "http://127.0.0.1:8080/a", "http://localhost/a", "http://[::1]:9/a"]
        {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.org/a.gguf",
            "http://127.0.0.1.example.org/a",
            "http://192.168.0.1/a",
            "file:///etc/passwd",
            "ftp://example.org/a",
            "https://me:secret@example.org/a",
            "a.gguf",
            "",
            "https://",
        ] {
            assert_eq!(address(bad).unwrap_err().code, ProblemCode::DownloadRefused, "{bad}");
        }
    }

    #[test]
    fn the_page_of_a_file_is_taken_for_the_file() {
        let url = address("https://huggingface.co/a/b/blob/main/c.gguf#L1").unwrap();
        assert_eq!(url.as_str(), "https://huggingface.co/a/b/resolve/main/c.gguf");
    }

    #[test]
    fn a_redirect_leads_neither_out_of_https_nor_into_this_machine() {
        let to = |origin: &str, location: &str| {
            let origin = Url::parse(origin).unwrap();
            next(&origin, &origin, location).map(|url| url.to_string()).ok()
        };
        let (far, near) = ("https://h/a/b", "http://127.0.0.1:1/a/b");
        assert_eq!(to(far, "../c?d=e").unwrap(), "https://h/c?d=e");
        assert_eq!(to(far, "https://cdn/x").unwrap(), "https://cdn/x");
        assert_eq!(to(near, "http://localhost:2/x").unwrap(), "http://localhost:2/x");
        for bad in ["http://h/a", "http://127.0.0.1/x", "https://127.0.0.1/x", "file:///etc/passwd", "https://"] {
            assert_eq!(to(far, bad), None, "{bad}");
        }
        assert_eq!(to(near, "http://example.org/"), None);
    }
}
