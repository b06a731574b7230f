//! `workly-cli models`: what it says of files agrees with what llama.cpp reads in them, and what it lists is there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod fits;
#[path = "../support/mod.rs"]
mod support;
mod synthetic;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::worker::Worker;
use support::{PROGRAM, gemma, model, objects, run};
use synthetic::RECIPES;
use workly_engine::protocol::{Command as Ask, ModelReading, Reply};

/// `workly-cli models` with these arguments and surroundings of its own.
fn models(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("models").args(arguments).env("WORKLY_DATA_DIR", home.join("data")).env("HOME", home);
    for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE"] {
        command.env_remove(variable);
    }
    command.env_remove("GGML_VK_VISIBLE_DEVICES").env_remove("WORKLY_NVML_LIB").stdin(Stdio::null());
    command
}

fn inspected(path: &Path) -> Value {
    let home = tempfile::tempdir().unwrap();
    objects(&run(&mut models(home.path(), &["inspect", path.to_str().unwrap(), "--json"]), 0)).remove(0)
}

/// What llama.cpp reads, through a worker.
fn read_by_llama(worker: &mut Worker, id: u64, path: &Path) -> ModelReading {
    worker.tell(id, Ask::Inspect { path: path.to_path_buf() });
    match worker.last(id) {
        Reply::Inspected(reading) => reading,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// The part of a report that llama.cpp reads too.
fn shared(report: &Value) -> ModelReading {
    serde_json::from_value(json!({
        "architecture": report["architecture"],
        "parameters": report["parameters"],
        "tensor_bytes": report["tensor_bytes"],
        "tensors": report["tensors"],
        "layers": report["layers"],
        "trained_context_tokens": report["trained_context_tokens"],
        "quantization": report["quantization"],
    }))
    .unwrap()
}

#[test]
fn inspect_agrees_with_llama_cpp_on_twenty_two_models() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let mut paths = vec![model(), gemma()];
    for recipe in RECIPES {
        let path = folder.path().join(format!("{}.gguf", recipe.name()));
        recipe.writer().write(&path).unwrap();
        paths.push(path);
    }
    for (id, path) in (1..).zip(&paths) {
        let ours = inspected(path);
        assert_eq!(shared(&ours), read_by_llama(&mut worker, id, path), "{}", path.display());
        if let Some(recipe) = RECIPES.get((id as usize).wrapping_sub(3)) {
            assert_eq!((&ours["quantization"], &ours["layers"]), (&json!(recipe.quantization), &json!(recipe.layers)));
        }
    }
}

#[test]
fn llama_cpps_reading_is_shown_beside_where_it_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let path = model();
    let report = objects(&run(&mut models(home.path(), &["inspect", path.to_str().unwrap(), "--llama", "--json"]), 0));
    assert_eq!(report[0]["llama"]["architecture"], "llama");
    assert_eq!(report[0]["llama"]["parameters"], report[0]["parameters"]);

    // A header that is sound, of an architecture that llama.cpp does not know.
    let strange = home.path().join("strange.gguf");
    workly_gguf::Writer::new("strange").tensor("x", &[32], workly_gguf::TensorType::F32).write(&strange).unwrap();
    let output = run(&mut models(home.path(), &["inspect", strange.to_str().unwrap(), "--llama"]), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("architecture 'strange'"), "{output:?}");
    run(&mut models(home.path(), &["inspect", strange.to_str().unwrap()]), 0);
}

#[test]
fn a_broken_file_gets_a_sentence_and_exit_code_1() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = home.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let whole = RECIPES[0].writer().bytes();
    for (path, words) in [
        (file("text.gguf", b"no model at all"), "is not a GGUF file"),
        (file("empty.gguf", b""), "is empty"),
        (file("cut.gguf", &whole[..whole.len() - 1]), "ends too early"),
        (home.path().join("none.gguf"), "There is no model file"),
        (home.path().to_path_buf(), "is a folder"),
    ] {
        let output = run(&mut models(home.path(), &["inspect", path.to_str().unwrap()]), 1);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn list_shows_what_is_there_with_its_fit_and_takes_names() {
    let home = tempfile::tempdir().unwrap();
    let (own, added) = (home.path().join("data/models"), home.path().join("mine"));
    fs::create_dir_all(&own).unwrap();
    fs::create_dir_all(&added).unwrap();
    RECIPES[0].writer().write(&own.join("first.gguf")).unwrap();
    RECIPES[5].writer().write(&added.join("second.gguf")).unwrap();
    fs::write(added.join("broken.gguf"), "GGUF").unwrap();
    let config = json!({ "library": { "folders": [added] }, "ai": { "model": "first" } });
    fs::write(home.path().join("data/config.json"), config.to_string()).unwrap();

    let listed = objects(&run(&mut models(home.path(), &["list", "--json"]), 0)).remove(0);
    let row = |title: &str| {
        let mut rows = listed.as_array().unwrap().iter();
        rows.find(|row| row["title"] == title).unwrap_or_else(|| panic!("{title}: {listed}"))
    };
    assert_eq!(listed[0]["title"], "first", "the chosen one comes first");
    assert_eq!((&row("first")["is_chosen"], &row("first")["is_own"]), (&json!(true), &json!(true)));
    assert_eq!((&row("second")["source"], &row("second")["is_own"]), (&json!("folder"), &json!(false)));
    assert_eq!(row("second")["facts"]["architecture"], "qwen3");
    assert_eq!(row("SmolLM2-135M-Instruct.Q4_1")["source"], "embedded");
    assert_eq!((&row("broken")["problem"]["code"], &row("broken")["fit"]), (&json!("model_damaged"), &json!(null)));
    let fit = &row("SmolLM2-135M-Instruct.Q4_1")["fit"];
    assert_eq!((&fit["model_layers"], &fit["is_exact"]), (&json!(31), &json!(false)));
    assert_eq!(fit["profiles"].as_array().unwrap().len(), 3);

    let report = objects(&run(&mut models(home.path(), &["inspect", "Second", "--json"]), 0)).remove(0);
    assert_eq!(report["architecture"], "qwen3");
    let text = run(&mut models(home.path(), &["list"]), 0);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("* first") && text.contains("comes with Workly") && text.contains("ends too early"),
        "{text}"
    );
}
