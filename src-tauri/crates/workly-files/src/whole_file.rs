//! Files that are whole at every moment, also when the machine stops while one is written.

use std::io::{self, Write as _};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;

/// Writes a file beside its place and moves it there once all of it is on the disk. A link is followed.
///
/// # Errors
///
/// When its folder cannot be written to; what was at the place before is then still there.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let mut file = AtomicWriteFile::open(target)?;
    file.write_all(content)?;
    file.commit()
}
