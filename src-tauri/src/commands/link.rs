//! Opening links in the system's browser.

use url::Url;

use crate::error::{Answered, link_refused};

/// What a mail link may fill in.
const MAIL_FIELDS: [&str; 6] = ["to", "cc", "bcc", "subject", "body", "in-reply-to"];

/// Opens a link of an answer outside of Workly.
#[tauri::command]
pub(crate) fn open_link(url: &str) -> Answered<()> {
    let link = allowed(url)?;
    tauri_plugin_opener::open_url(link.as_str(), None::<&str>).map_err(link_refused)
}

/// Only what a browser or a mail program opens; never a file, a script or another program's scheme.
fn allowed(url: &str) -> Answered<Url> {
    let link = Url::parse(url).map_err(link_refused)?;
    match link.scheme() {
        "http" | "https" => Ok(link),
        // Some mail programs attach files that a link names.
        "mailto"
            if link
                .query_pairs()
                .all(|(field, _)| MAIL_FIELDS.iter().any(|known| field.eq_ignore_ascii_case(known))) =>
        {
            Ok(link)
        }
        "mailto" => Err(link_refused("it asks the mail program for more than a message")),
        other => Err(link_refused(format_args!("'{other}' links are not opened from answers"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_and_mail_links_are_opened() {
        for good in ["https://example.org/a?b#c", "http://127.0.0.1:8080", "mailto:ada@example.org?subject=a&Body=b"] {
            assert!(allowed(good).is_ok(), "{good}");
        }
        for bad in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "smb://host/share",
            "example.org",
            "data:text/html,x",
            "mailto:a@b.c?attach=/etc/passwd",
            "mailto:?subject=x&Attachment=~/.ssh/id",
        ] {
            assert!(allowed(bad).is_err(), "{bad}");
        }
    }
}
