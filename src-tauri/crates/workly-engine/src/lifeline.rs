//! The worker's side of not outliving its parent.

/// Asks the system to end this process when the thread that started it ends, and checks that the parent is not gone
/// already.
///
/// `parent` is the process id of the supervisor. Returns `false` when that parent is no longer there: the caller should
/// leave at once. On systems without a parent-death signal it only checks; there the end of standard input is the guard
/// (and on Windows the job object).
#[must_use]
pub fn die_with_parent(parent: u32) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Fails only for an invalid signal; then standard input remains as the guard.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
    #[cfg(unix)]
    {
        rustix::process::getppid().is_some_and(|id| u32::try_from(id.as_raw_pid()) == Ok(parent))
    }
    #[cfg(not(unix))]
    {
        let _ = parent;
        true
    }
}
