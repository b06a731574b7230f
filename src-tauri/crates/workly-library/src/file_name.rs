//! Names of files that hold wherever the folder may be carried.

use sanitize_filename::{OptionsForCheck, is_sanitized_with_options};

/// Whether every system takes this for the name of a file; Windows keeps some for devices, with any ending.
pub(crate) fn is_for_every_system(name: &str) -> bool {
    is_sanitized_with_options(name, OptionsForCheck { windows: true, truncate: true })
}
