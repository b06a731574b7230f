//! llama.cpp's log: passed on to standard error, with the last lines kept to explain a failure.

use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, PoisonError};

use llama_cpp_sys_2::{GGML_LOG_LEVEL_CONT, GGML_LOG_LEVEL_ERROR, GGML_LOG_LEVEL_WARN, ggml_log_level};

/// Pieces of log that are kept.
const KEPT: usize = 200;

static RECENT: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static COLLECTED: Mutex<Option<Collected>> = Mutex::new(None);

/// Pieces of log that somebody waits for.
struct Collected {
    is_wanted: fn(&str) -> bool,
    log: String,
}

/// Takes over llama.cpp's log for the rest of the process.
#[expect(unsafe_code, reason = "the wrapper's own log handling cannot be read back")]
pub(crate) fn capture() {
    // SAFETY: `receive` has the signature asked for, never unwinds, and is valid for the whole process.
    unsafe {
        llama_cpp_sys_2::llama_log_set(Some(receive), std::ptr::null_mut());
        llama_cpp_sys_2::ggml_log_set(Some(receive), std::ptr::null_mut());
    }
}

/// Forgets what was said so far.
pub(crate) fn clear() {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What was said since [`clear`].
pub(crate) fn recent() -> String {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner).iter().map(String::as_str).collect()
}

/// Collects the wanted pieces of what is said while `work` runs, however many there are.
pub(crate) fn collect<T>(is_wanted: fn(&str) -> bool, work: impl FnOnce() -> T) -> (T, String) {
    let replace =
        |collected| std::mem::replace(&mut *COLLECTED.lock().unwrap_or_else(PoisonError::into_inner), collected);
    replace(Some(Collected { is_wanted, log: String::new() }));
    let result = work();
    (result, replace(None).map(|collected| collected.log).unwrap_or_default())
}

#[expect(unsafe_code, reason = "called by llama.cpp")]
unsafe extern "C" fn receive(level: ggml_log_level, text: *const c_char, _user_data: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a string that ends in a null byte and lives for the length of this call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    if matches!(level, GGML_LOG_LEVEL_WARN | GGML_LOG_LEVEL_ERROR | GGML_LOG_LEVEL_CONT) {
        use std::io::Write as _;
        // A log that cannot be written is no reason to fail.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    if let Some(collected) = &mut *COLLECTED.lock().unwrap_or_else(PoisonError::into_inner)
        && (collected.is_wanted)(&text)
    {
        collected.log.push_str(&text);
    }
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    recent.push_back(text.into_owned());
    if recent.len() > KEPT {
        recent.pop_front();
    }
}
