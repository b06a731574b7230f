//! Where the built library lies, and private copies of it for tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::scenario::{Clock, Scenario};

/// How often each function was called; functions that were never called are absent.
pub type Counts = BTreeMap<String, u64>;

/// A private copy of the library with a scenario beside it: a library of its own, wherever it is loaded.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The copy, for `WORKLY_NVML_LIB`.
    pub library: PathBuf,
    counters: PathBuf,
    clock: PathBuf,
}

impl Installed {
    /// Copies the library into `folder`, which must be used for nothing else, to play `scenario`.
    ///
    /// The copy counts its calls. Where `scenario` takes its time from a file, that file is `clock` in the folder.
    ///
    /// # Errors
    ///
    /// When the library was not built, or the folder cannot be written.
    pub fn new(folder: &Path, scenario: &Scenario) -> io::Result<Self> {
        Self::without(folder, scenario, &[])
    }

    /// The same for a driver so old that it lacks the functions `missing`.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]; also when a function named is not in the library at all.
    pub fn without(folder: &Path, scenario: &Scenario, missing: &[&str]) -> io::Result<Self> {
        let built = library_path()?;
        let name = built.file_name().unwrap_or_default();
        let installed =
            Self { library: folder.join(name), counters: folder.join("counters"), clock: folder.join("clock") };
        let mut scenario = scenario.clone();
        scenario.counters = Some(installed.counters.clone());
        if let Clock::File(path) = &mut scenario.clock {
            path.clone_from(&installed.clock);
        }
        fs::write(folder.join("scenario.json"), serde_json::to_vec_pretty(&scenario)?)?;
        let mut bytes = fs::read(&built)?;
        for symbol in missing {
            rename_symbol(&mut bytes, symbol)?;
        }
        fs::write(&installed.library, bytes)?;
        Ok(installed)
    }

    /// Calls so far, of all processes that loaded this copy last.
    pub fn counts(&self) -> Counts {
        let text = fs::read_to_string(&self.counters).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(function, count)| Some((function.to_owned(), count.parse().ok()?)))
            .collect()
    }

    /// Calls of one function so far.
    pub fn count(&self, function: &str) -> u64 {
        self.counts().get(function).copied().unwrap_or(0)
    }

    /// Sets the second of the scenario, where its clock is a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn set_time(&self, seconds: f64) -> io::Result<()> {
        let next = self.clock.with_extension("next");
        fs::write(&next, seconds.to_string())?;
        fs::rename(next, &self.clock)
    }
}

/// Changes the name of an exported function, so that looking it up fails as with a driver that never had it.
///
/// The name stands in the string table; the hash table beside it still leads there, and the loader then compares.
fn rename_symbol(bytes: &mut [u8], symbol: &str) -> io::Result<()> {
    let whole_name = [b"\0", symbol.as_bytes(), b"\0"].concat();
    let mut found = false;
    while let Some(at) = bytes.windows(whole_name.len()).position(|window| window == whole_name) {
        bytes[at + whole_name.len() - 2] = b'~';
        found = true;
    }
    let absent = || io::Error::new(io::ErrorKind::NotFound, format!("the fake library exports no {symbol}"));
    found.then_some(()).ok_or_else(absent)
}

/// The library as cargo built it, looked for around the running program and where this crate was built.
///
/// # Errors
///
/// When it is nowhere there: `cargo build -p fake-nvml` builds it.
pub fn library_path() -> io::Result<PathBuf> {
    let name = format!("{}fake_nvml{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let program = env::current_exe()?;
    let around = program.ancestors().skip(1).take(3).map(Path::to_path_buf);
    // `build/<package>/out` lies beside the folder of dependencies, where cargo puts it for tests and examples.
    let built_with = Path::new(env!("OUT_DIR")).ancestors().nth(3).map(Path::to_path_buf);
    let folders = around.chain(built_with).flat_map(|folder| [folder.clone(), folder.join("deps")]);
    let mut candidates = folders.map(|folder| folder.join(&name));
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{name} is not built: cargo build -p fake-nvml"));
    candidates.find(|path| path.exists()).ok_or_else(missing)
}

/// The file that this code was loaded from.
#[cfg(unix)]
#[expect(unsafe_code, reason = "only the loader knows, and it is asked in C")]
pub(crate) fn this_library() -> Option<PathBuf> {
    use std::ffi::{CStr, OsStr};
    use std::os::unix::ffi::OsStrExt;

    let here = this_library as fn() -> Option<PathBuf> as *const std::ffi::c_void;
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is of code in this file's own library, and `found` has room for the answer.
    let known = unsafe { libc::dladdr(here, found.as_mut_ptr()) };
    // SAFETY: zeroed is a valid value of this structure of pointers, whether or not it was filled.
    let name = unsafe { found.assume_init() }.dli_fname;
    if known == 0 || name.is_null() {
        return None;
    }
    // SAFETY: the loader gives a text that ends in NUL and lives as long as the library.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(not(unix))]
pub(crate) fn this_library() -> Option<PathBuf> {
    None
}
