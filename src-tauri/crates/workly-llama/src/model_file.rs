//! A model's file before llama.cpp gets it: every way it can be wrong ends in a sentence.

use std::path::Path;

use workly_core::problem::{Problem, ProblemCode};
use workly_engine::end::mentions_lack_of_memory;
use workly_gguf::{Fault, GgufError, Header, Model};

/// Layers and experts that llama.cpp has room for (`LLAMA_MAX_LAYERS`, `LLAMA_MAX_EXPERTS`); it ends the process of who
/// asks for more.
const MOST_LAYERS: u64 = 512;
const MOST_EXPERTS: u64 = 1_024;

/// Finds what is wrong with a file without llama.cpp's help, whose ways to refuse one include the end of the process. It
/// reads the headers of all parts, and waits for nobody.
pub(crate) fn check_file(path: &Path) -> Result<(), Problem> {
    let shown = path.display();
    // To open a pipe is to wait for someone who writes into it.
    match path.metadata() {
        Ok(data) if data.is_dir() => {
            let message = format!("{shown} is a folder. Give the path of a GGUF file in it.");
            return Err(Problem::new(ProblemCode::NotGguf, message));
        }
        Ok(data) if !data.is_file() => {
            let message = format!("{shown} is a pipe or a device. Give the path of a GGUF file.");
            return Err(Problem::new(ProblemCode::NotGguf, message));
        }
        Ok(_) => {}
        Err(error) => return Err(refuse(path, &error.into())),
    }
    let model = Model::read(path).map_err(|error| refuse(path, &error))?;
    check_header(&model.header).map_err(|words| {
        let message = format!("{shown} cannot be used: {words}. Fetch the model from another source.");
        Problem::new(ProblemCode::ModelDamaged, message)
    })
}

/// The problem of a file that our own reader refuses.
fn refuse(path: &Path, error: &GgufError) -> Problem {
    let shown = path.display();
    let (code, message) = match (error, error.fault()) {
        (GgufError::Empty, _) => (ProblemCode::NotGguf, format!("{shown} is empty. Fetch the model again.")),
        (GgufError::Io(_), Fault::Missing) => (
            ProblemCode::ModelMissing,
            format!("There is no model file at {shown}. Check the path, or choose another model."),
        ),
        (_, Fault::Forbidden) => (
            ProblemCode::NoPermission,
            format!("Workly may not read {shown}. Change the file's permissions, or move it where you may read it."),
        ),
        (_, Fault::NotGguf) => (
            ProblemCode::NotGguf,
            format!(
                "{shown} is not a GGUF file. Workly runs models in the GGUF format: look for a file ending in .gguf."
            ),
        ),
        (_, Fault::Damaged) => {
            (ProblemCode::ModelDamaged, format!("{shown} is damaged or incomplete. Fetch the model again."))
        }
        (_, Fault::Missing) => (ProblemCode::ModelMissing, format!("{shown} cannot be used: {error}.")),
        (_, Fault::Unreadable | Fault::Unsupported) => {
            (ProblemCode::LoadFailed, format!("{shown} cannot be used: {error}."))
        }
    };
    Problem::new(code, message).with_details(error.to_string())
}

/// Finds the numbers that llama.cpp asserts instead of checking: for each of them it would end the process.
fn check_header(header: &Header) -> Result<(), String> {
    let number = |key: &str| header.own_number(key).unwrap_or(0);
    let is_there = |key: &str| header.own(key).is_some();
    let layers = number("block_count");
    if is_there("block_count") && !(1..=MOST_LAYERS).contains(&layers) {
        return Err(format!("it says that it has {layers} layers, where 1 to {MOST_LAYERS} are possible"));
    }
    let ahead = number("nextn_predict_layers");
    if ahead > layers {
        return Err(format!("it says that {ahead} of its {layers} layers guess ahead"));
    }
    let (experts, used) = (number("expert_count"), number("expert_used_count"));
    // How many are used may differ from layer to layer: then it is a list, which is not looked into.
    let is_list = is_there("expert_used_count") && header.own_number("expert_used_count").is_none();
    if experts > MOST_EXPERTS || used > experts || (experts > 0 && used == 0 && !is_list) {
        return Err(format!("it says that it uses {used} of {experts} experts, where {MOST_EXPERTS} are possible"));
    }
    let (groups, used) = (number("expert_group_count"), number("expert_group_used_count"));
    let is_possible = match groups {
        0 => true,
        1 => experts > 1,
        _ => groups < experts && experts.is_multiple_of(groups) && (1..groups).contains(&used),
    };
    if is_possible {
        Ok(())
    } else {
        Err(format!("it says that it uses {used} of {groups} groups of {experts} experts"))
    }
}

/// Turns what llama.cpp said of a failed load into a problem.
pub(crate) fn explain_log(path: &Path, log: &str, error: &str) -> Problem {
    let shown = path.display();
    let (code, message) = if let Some(architecture) = unknown_architecture(log) {
        (
            ProblemCode::UnsupportedArchitecture,
            format!(
                "{shown} is a model of the architecture '{architecture}', which this version of Workly cannot run. \
                 Update Workly, or choose another model."
            ),
        )
    } else if mentions_lack_of_memory(log) {
        (
            ProblemCode::OutOfMemory,
            format!("There is not enough memory for {shown}. Close other programs, or choose a smaller model."),
        )
    } else if DAMAGE_WORDS.iter().any(|words| log.contains(words)) {
        (ProblemCode::ModelDamaged, format!("{shown} is damaged or incomplete. Fetch the model again."))
    } else {
        (ProblemCode::LoadFailed, format!("{shown} could not be loaded ({error})."))
    };
    Problem::new(code, message).with_details(log.trim())
}

/// What llama.cpp says of a file that ends too early or contradicts itself.
const DAMAGE_WORDS: [&str; 8] = [
    "corrupted or incomplete",
    "not within the file bounds",
    "gguf_init_from",
    "failed to read",
    "missing tensor",
    "has wrong shape",
    "invalid magic",
    "key not found in model",
];

fn unknown_architecture(log: &str) -> Option<&str> {
    let (_, rest) = log.split_once("unknown model architecture: '")?;
    rest.split_once('\'').map(|(architecture, _)| architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(log: &str) -> ProblemCode {
        explain_log(Path::new("m.gguf"), log, "null").code
    }

    #[test]
    fn the_log_of_a_failed_load_is_understood() {
        let table = [
            (
                "llama_model_load: error loading model: unknown model architecture: 'foo'\n",
                ProblemCode::UnsupportedArchitecture,
            ),
            (
                "tensor 'blk.3' data is not within the file bounds, model is corrupted or incomplete",
                ProblemCode::ModelDamaged,
            ),
            (
                "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9",
                ProblemCode::OutOfMemory,
            ),
            ("something nobody has seen before", ProblemCode::LoadFailed),
        ];
        for (log, expected) in table {
            assert_eq!(code_of(log), expected, "{log}");
        }
        let problem = explain_log(Path::new("m.gguf"), "unknown model architecture: 'foo'", "null");
        assert!(problem.message.contains("'foo'"));
    }

    #[test]
    fn files_that_cannot_be_models_are_told_apart() {
        assert_eq!(check_file(Path::new("/nowhere/m.gguf")).unwrap_err().code, ProblemCode::ModelMissing);
        assert_eq!(check_file(Path::new("/")).unwrap_err().code, ProblemCode::NotGguf);
        let this_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(check_file(&this_file).unwrap_err().code, ProblemCode::NotGguf);
    }

    /// A file with a header of these numbers, for the architecture `llama`, and one tensor.
    fn written(folder: &Path, numbers: &[(&str, u32)]) -> std::path::PathBuf {
        let mut writer = workly_gguf::Writer::new("llama");
        for (key, number) in numbers {
            writer = writer.number(&format!("llama.{key}"), *number);
        }
        let f32 = workly_gguf::TensorType::all().find(|kind| kind.name() == "F32").unwrap();
        let path = folder.join("m.gguf");
        writer.tensor("token_embd.weight", &[8, 4], f32).write(&path).unwrap();
        path
    }

    #[test]
    fn numbers_that_llama_cpp_would_die_of_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let moe = |experts, used| [("block_count", 2), ("expert_count", experts), ("expert_used_count", used)];
        let groups = |experts, groups, used| {
            [
                ("block_count", 2),
                ("expert_count", experts),
                ("expert_used_count", 1),
                ("expert_group_count", groups),
                ("expert_group_used_count", used),
            ]
        };
        for (numbers, words) in [
            (&[("block_count", 513)][..], "513 layers"),
            (&[("block_count", 0)], "0 layers"),
            (&[("block_count", u32::MAX)], "4294967295 layers"),
            (&[("block_count", 2), ("nextn_predict_layers", 3)], "3 of its 2 layers"),
            (&moe(1_025, 2), "1025 experts"),
            (&moe(4, 5), "5 of 4 experts"),
            (&moe(4, 0), "0 of 4 experts"),
            (&groups(8, 8, 1), "8 groups"),
            (&groups(8, 3, 1), "3 groups"),
            (&groups(8, 4, 0), "0 of 4 groups"),
        ] {
            let problem = check_file(&written(folder.path(), numbers)).unwrap_err();
            assert_eq!(problem.code, ProblemCode::ModelDamaged);
            assert!(problem.message.contains(words), "{}", problem.message);
        }
        for sound in [&[("block_count", 512)][..], &moe(1_024, 8), &moe(0, 0), &groups(8, 4, 2), &groups(8, 1, 1)] {
            assert_eq!(check_file(&written(folder.path(), sound)), Ok(()), "{sound:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_without_waiting_for_someone_who_writes_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        for path in [path.as_path(), Path::new("/dev/null")] {
            let problem = check_file(path).unwrap_err();
            assert_eq!(problem.code, ProblemCode::NotGguf);
            assert!(problem.message.contains("is a pipe or a device"), "{}", problem.message);
        }
    }
}
