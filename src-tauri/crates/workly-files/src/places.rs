//! Where things lie: Workly's own data, the worker's program, the model that comes with Workly.

use std::path::{Path, PathBuf};
use std::{env, io};

/// File name of the model that comes with Workly.
pub const EMBEDDED_MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Everything Workly writes lies here: `WORKLY_DATA_DIR`, else the system's folder for application data.
///
/// `None` where the system has no such folder.
pub fn data_dir() -> Option<PathBuf> {
    match env::var_os("WORKLY_DATA_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => Some(folder.into()),
        None => dirs::data_dir().map(|folder| folder.join("workly")),
    }
}

/// The program that holds models: `workly-cli`, beside the running program.
///
/// # Errors
///
/// When the running program's own place is unknown.
pub fn worker_program() -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(format!("workly-cli{}", env::consts::EXE_SUFFIX)))
}

/// The model that comes with Workly: in the given folder of bundled resources, beside the program, in the
/// installation's library folder, or in the checkout that the program was built from.
pub fn embedded_model(resources: Option<&Path>) -> Option<PathBuf> {
    let program = env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    // A program of the development profile lies in `target/debug` of its checkout, or of a target folder elsewhere.
    let around = beside.and_then(|folder| folder.ancestors().nth(2)).map(Path::to_path_buf);
    let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    [
        resources.map(Path::to_path_buf),
        beside.map(Path::to_path_buf),
        beside.map(|folder| folder.join("../lib/workly")),
        around,
    ]
    .into_iter()
    .flatten()
    .chain([checkout.canonicalize().unwrap_or_else(|_| checkout.to_path_buf())])
    .map(|folder| folder.join("models").join(EMBEDDED_MODEL))
    .find(|path| path.is_file())
}

/// Writes a new file named after the time, such as `workly-gpu-20251114-100000.csv`; nothing is overwritten.
///
/// # Errors
///
/// When the folder cannot be written to.
pub fn write_new(folder: &Path, stem: &str, ending: &str, content: &[u8]) -> io::Result<PathBuf> {
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut number = 1;
    loop {
        let name =
            if number == 1 { format!("{stem}-{time}.{ending}") } else { format!("{stem}-{time}-{number}.{ending}") };
        let path = folder.join(name);
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                io::Write::write_all(&mut file, content)?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_never_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..3u8).map(|text| write_new(folder.path(), "a", "csv", &[text]).unwrap()).collect();
        for (text, path) in (0..3u8).zip(&paths) {
            assert_eq!(std::fs::read(path).unwrap(), [text]);
        }
        assert!(write_new(&folder.path().join("nowhere"), "a", "csv", b"").is_err());
    }
}
