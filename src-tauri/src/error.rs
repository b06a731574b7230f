//! Why a command of the window was refused, in the shape the window expects.

use workly_core::problem::{Problem, ProblemCode};

/// What commands return.
pub(crate) type Answered<T> = Result<T, Problem>;

/// A link that is not opened.
pub(crate) fn link_refused(reason: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemCode::LinkRefused, format!("The link was not opened: {reason}."))
}

/// A conversation that could not be written to a file.
pub(crate) fn export_failed(reason: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemCode::ExportFailed, "The file was not written. Choose another place and try again.")
        .with_details(reason.to_string())
}
