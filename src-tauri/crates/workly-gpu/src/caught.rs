//! A panic in a probe, made an error: the thread that holds the drivers must outlive it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::ProbeError;

/// Runs it. What it was changing may be half changed after a panic: the caller makes it anew.
///
/// # Errors
///
/// [`ProbeError::Panicked`], with the panic's words.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, ProbeError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| ProbeError::Panicked { detail: words(panic.as_ref()) })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why").to_owned()
}
