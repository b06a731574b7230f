//! What the worker does to its own process: what it keeps others from, and how it ends.

use std::fs::File;
use std::io;

/// Niceness of a worker that gives way, of at most 19.
#[cfg(unix)]
const LOW_PRIORITY: i32 = 10;

/// Keeps standard output for frames alone: whatever a library prints goes to standard error instead.
///
/// # Errors
///
/// When the system refuses a second handle.
pub(crate) fn take_standard_output() -> io::Result<File> {
    #[cfg(unix)]
    {
        let frames = rustix::io::dup(rustix::stdio::stdout())?;
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
        Ok(File::from(frames))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle as _;
        let frames = File::from(io::stdout().as_handle().try_clone_to_owned()?);
        // The C runtime gives the process's standard output the handle of the new descriptor 1 as well, so that what is
        // printed without it goes there too.
        #[expect(unsafe_code, reason = "std cannot redirect standard output")]
        // SAFETY: both descriptors are the runtime's own, which it opens before `main`; the frames have a handle of
        // their own, which is not closed with descriptor 1.
        let failed = unsafe { libc::dup2(2, 1) } != 0;
        if failed { Err(io::Error::last_os_error()) } else { Ok(frames) }
    }
}

/// Lets other programs go first: the game must not stutter because the model left the GPU. On Windows the priority stays.
pub(crate) fn give_way() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::nice(LOW_PRIORITY) {
        tracing::warn!(%error, "the priority stays as it is");
    }
}

/// Leaves no picture of the memory behind when the process fails: it holds conversations, and may be as large as the
/// model.
pub(crate) fn leave_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
            tracing::warn!(%error, "a failure may leave a core file behind");
        }
    }
}

/// Lets a memory fault end the process, also one that was sent from outside: Rust's own handler, which is there to
/// explain stack overflows, would let the first one pass.
pub(crate) fn die_of_faults() {
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "std offers no way to take its handler back")]
    // SAFETY: restores the system's default for two signals; no other thread runs yet.
    unsafe {
        libc::signal(libc::SIGSEGV, libc::SIG_DFL);
        libc::signal(libc::SIGBUS, libc::SIG_DFL);
    }
}

/// Ends the process at once, without running destructors: GPU drivers crash when torn down under a running
/// computation, and the system takes everything back anyway.
#[expect(unsafe_code, reason = "std's exit runs exit handlers, which is what must not happen here")]
pub(crate) fn leave() -> ! {
    // SAFETY: `_exit` takes any status and does not return.
    unsafe { libc::_exit(0) }
}
