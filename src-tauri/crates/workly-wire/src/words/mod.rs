//! Reasons and notices in words: one exhaustive match for each language, so that a new code does not compile before it
//! can be said in both.

mod english;
mod french;

use workly_core::profile::Profile;
use workly_core::why::{Notice, Why};

/// A language Workly speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// French.
    French,
}

impl Language {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::English, Self::French];

    /// Why the model moved, without the profile it moved to; empty where there is nothing to add to that.
    pub fn why(self, why: &Why) -> String {
        match self {
            Self::English => english::why(why),
            Self::French => french::why(why),
        }
    }

    /// What the user should know, as one or two sentences.
    pub fn notice(self, notice: &Notice) -> String {
        match self {
            Self::English => english::notice(notice),
            Self::French => french::notice(notice),
        }
    }

    /// A worker that writes an answer has gone silent: what happens and what to do.
    pub const fn silent(self) -> &'static str {
        match self {
            Self::English => english::SILENT,
            Self::French => french::SILENT,
        }
    }
}

/// One line for the terminal and the log, such as `balanced: VRAM 85 %, others' GPU 88 % (obs 1.2 GB)`.
pub fn line(to: Profile, why: &Why) -> String {
    let words = Language::English.why(why);
    match why {
        Why::Asked { .. } | Why::Text { .. } => words,
        Why::Policy { .. } | Why::Worker { .. } if words.is_empty() => to.to_string(),
        Why::Policy { .. } | Why::Worker { .. } => format!("{to}: {words}"),
    }
}

/// The name of a signal.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests;
