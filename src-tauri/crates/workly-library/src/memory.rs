//! What there is of the machine's memory.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Memory of the machine that programs may still take, bytes; `None` where the system does not tell.
pub fn memory_to_be_had() -> Option<u64> {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory)).ok()?;
    Some(system.available_memory()).filter(|bytes| *bytes > 0)
}
