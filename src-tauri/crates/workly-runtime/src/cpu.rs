//! How many CPU threads a model gets, and what there is of the machine's memory.

use std::thread;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use workly_library::memory::memory_to_be_had;

/// Memory to be had below which nothing is kept that can be done without, bytes.
pub(crate) const SHORT: u64 = 512 << 20;

/// One thread for each physical core that this process may use: hyper-threads share the units that count here.
pub(crate) fn default_threads() -> u32 {
    let usable = thread::available_parallelism().map_or(1, usize::from);
    let physical = System::physical_core_count().unwrap_or(usable);
    u32::try_from(physical.min(usable)).unwrap_or(1).max(1)
}

/// Threads of a worker that has left the GPU to somebody: at most half the physical cores.
pub(crate) fn step_down_threads() -> u32 {
    (default_threads() / 2).max(1)
}

/// Memory of the machine that programs may still take, bytes; where the system does not tell, as much as they like.
pub(crate) fn available_memory() -> u64 {
    memory_to_be_had().unwrap_or(u64::MAX)
}

/// Memory that a process holds, bytes; `None` where it is gone.
pub(crate) fn resident_memory(process_id: u32) -> Option<u64> {
    let id = Pid::from_u32(process_id);
    let mut system = System::new().ok()?;
    let what = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), true, what);
    system.process(id).map(sysinfo::Process::memory)
}
