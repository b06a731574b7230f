//! How many CPU threads a model gets.

use std::thread;

use sysinfo::System;

/// One thread for each physical core that this process may use: hyper-threads share the units that count here.
pub(crate) fn default_threads() -> u32 {
    let usable = thread::available_parallelism().map_or(1, usize::from);
    let physical = System::physical_core_count().unwrap_or(usable);
    u32::try_from(physical.min(usable)).unwrap_or(1).max(1)
}
