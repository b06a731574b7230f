//! `workly-cli chat` on the real model, on the CPU and on the Vulkan device that Mesa computes in software.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Chat, PROGRAM, chat, maps, model, objects, of_type, run, text};

const QUESTION: &str = "Explain what a GPU does.";

#[test]
fn the_same_seed_gives_the_same_answer_and_the_second_turn_reuses_the_cache() {
    let arguments =
        ["--prompt", QUESTION, "--max-tokens", "64", "--seed", "1", "--json", "--prompt", "Say it shorter."];
    let first = objects(&run(&mut chat(&arguments), 0));
    let second = objects(&run(&mut chat(&arguments), 0));
    assert!(text(&first).len() > 100);
    assert_eq!(text(&first), text(&second));

    let done = of_type(&first, "done");
    assert_eq!(done.len(), 2);
    assert_eq!(done[0]["cached_prompt_tokens"], 0);
    assert!(done[1]["cached_prompt_tokens"].as_u64().unwrap() > done[0]["prompt_tokens"].as_u64().unwrap());
    assert!(done.iter().all(|done| done["tokens_per_second"].as_f64().unwrap() > 0.0));
}

#[test]
fn different_seeds_give_different_answers_and_temperature_zero_needs_no_seed() {
    let answer = |extra: &[&str]| {
        let arguments = [&["--prompt", QUESTION, "--max-tokens", "24", "--json"], extra].concat();
        text(&objects(&run(&mut chat(&arguments), 0)))
    };
    assert_ne!(answer(&["--seed", "1"]), answer(&["--seed", "2"]));
    assert_eq!(answer(&["--temperature", "0"]), answer(&["--temperature", "0"]));
}

#[test]
fn tokens_are_numbered_within_each_turn_and_ignoring_the_end_fills_the_length() {
    let arguments =
        ["--prompt", "Hi", "--prompt", "Bye", "--max-tokens", "40", "--seed", "3", "--ignore-eos", "--json"];
    let objects = objects(&run(&mut chat(&arguments), 0));
    let numbers: Vec<_> = of_type(&objects, "token").iter().map(|token| token["index"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..40).chain(0..40).collect::<Vec<_>>());
    assert!(of_type(&objects, "token").iter().all(|token| token["profile"] == "cpu_fallback"));
    assert!(of_type(&objects, "done").iter().all(|done| done["stop"] == "length" && done["tokens"] == 40));
}

#[test]
fn text_outside_the_latin_alphabet_arrives_whole() {
    let arguments =
        ["--prompt", "Repeat exactly: 🦀 漢字 Größe 🎉", "--max-tokens", "48", "--temperature", "0", "--json"];
    let text = text(&objects(&run(&mut chat(&arguments), 0)));
    assert!(!text.contains('\u{fffd}'), "{text}");
    assert!(!text.is_ascii(), "the model repeats some of it: {text}");
}

#[test]
fn lines_of_standard_input_are_turns_of_one_conversation() {
    let mut command = chat(&["--max-tokens", "8", "--seed", "1", "--json"]);
    let mut running = Chat::start(command.stdin(Stdio::piped()));
    running.stdin().write_all(b"My name is Ada.\nWhat is my name?\n").unwrap();
    let first = running.object("done");
    let second = running.object("done");
    assert_eq!(first["cached_prompt_tokens"], 0);
    assert!(second["cached_prompt_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn a_conversation_longer_than_the_context_drops_its_oldest_turns_and_goes_on() {
    let long = "tell me about rivers and mountains ".repeat(12);
    let mut arguments = vec!["--context", "512", "--max-tokens", "32", "--seed", "1", "--system", "You are a parrot."];
    for _ in 0..6 {
        arguments.extend(["--prompt", &long]);
    }
    let output = run(&mut chat(&arguments), 0);
    let remarks = String::from_utf8_lossy(&output.stderr);
    assert!(remarks.contains("were left out") || remarks.contains("was left out"), "{remarks}");
}

#[test]
fn layers_run_on_the_vulkan_device_and_the_cpu_profile_never_maps_that_backend() {
    let arguments =
        |profile| ["--profile", profile, "--gpu-layers", "1", "--prompt", QUESTION, "--seed", "1", "--json"];
    let mut on_gpu = chat(&arguments("performance"));
    let running = Chat::start(on_gpu.env("GGML_VK_VISIBLE_DEVICES", "0").args(["--max-tokens", "100"]));
    assert_eq!(running.object("token")["profile"], "performance");
    let mapped = maps(running.worker());
    assert!(mapped.contains("libggml-vulkan") && mapped.contains("libvulkan.so"), "{mapped}");
    drop(running);

    let mut on_cpu = chat(&["--profile", "cpu_fallback", "--prompt", QUESTION, "--ignore-eos", "--json"]);
    let running = Chat::start(on_cpu.env("GGML_VK_VISIBLE_DEVICES", "0"));
    assert_eq!(running.object("token")["profile"], "cpu_fallback");
    let mapped = maps(running.worker());
    assert!(mapped.contains("libggml-cpu") && !mapped.contains("vulkan"), "{mapped}");
}

#[test]
fn every_layer_on_the_vulkan_device_works_too() {
    let mut command =
        chat(&["--profile", "performance", "--prompt", "Hi", "--max-tokens", "3", "--temperature", "0", "--json"]);
    let objects = objects(&run(command.env("GGML_VK_VISIBLE_DEVICES", "0"), 0));
    assert!(of_type(&objects, "token").iter().all(|token| token["profile"] == "performance"));
    assert!(!text(&objects).trim().is_empty());
}

#[test]
fn without_a_vulkan_loader_the_program_chats_on_the_cpu_and_says_so() {
    // A library of that name that is none: the real one is hidden, as on a machine without Vulkan.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("libvulkan.so.1"), "").unwrap();
    let mut command = chat(&["--profile", "performance", "--prompt", "Hi", "--max-tokens", "3", "--json"]);
    command.env("LD_LIBRARY_PATH", folder.path()).env("GGML_VK_VISIBLE_DEVICES", "0");
    let output = run(&mut command, 0);
    assert_eq!(objects(&output)[0]["profile"], "cpu_fallback");
    assert!(String::from_utf8_lossy(&output.stderr).contains("runs on the CPU"));
}

#[test]
fn every_bad_model_file_has_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(model()).unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.gguf"), "a text").unwrap();
    fs::write(path("empty.gguf"), "").unwrap();
    fs::write(path("cut-header.gguf"), &good[..3_000]).unwrap();
    fs::write(path("cut-tensors.gguf"), &good[..20_000_000]).unwrap();
    let key = good.windows(20).position(|window| window == b"general.architecture").unwrap();
    let mut other = good;
    other[key + 32..key + 37].copy_from_slice(b"xxxxx");
    fs::write(path("other.gguf"), other).unwrap();

    for (name, code, words) in [
        ("missing.gguf", "model_missing", "no model file"),
        ("text.gguf", "not_gguf", "not a GGUF"),
        ("empty.gguf", "not_gguf", "is empty"),
        ("cut-header.gguf", "model_damaged", "damaged or incomplete"),
        ("cut-tensors.gguf", "model_damaged", "damaged or incomplete"),
        ("other.gguf", "unsupported_architecture", "'xxxxx'"),
        (".", "not_gguf", "is a folder"),
    ] {
        let output = run(&mut chat(&["--model", path(name).to_str().unwrap(), "--prompt", "Hi", "--json"]), 1);
        let error = objects(&output).pop().unwrap();
        assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("error"), Some(code)), "{name}: {error}");
        let on_stderr = String::from_utf8_lossy(&output.stderr);
        assert!(error["message"].as_str().unwrap().contains(words) && on_stderr.contains(words), "{name}: {error}");
    }
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.gguf");
    fs::write(&path, "GGUF").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let arguments = ["--model", path.to_str().unwrap(), "--prompt", "Hi", "--json"];
    let mut command = chat(&arguments);
    if fs::File::open(&path).is_ok() {
        // Root may read everything, unless that power is taken away.
        command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", PROGRAM, "chat"]).args(arguments);
    }
    let output = run(&mut command, 1);
    let error = objects(&output).pop().unwrap();
    assert_eq!(error["code"], "no_permission", "{error}");
}

#[test]
fn prompts_and_settings_that_cannot_work_are_refused() {
    let code_of = |arguments: &[&str]| -> Value {
        let output = run(&mut chat(&[arguments, &["--json"]].concat()), 1);
        objects(&output).pop().unwrap()["code"].clone()
    };
    assert_eq!(code_of(&["--prompt", "  \n "]), "empty_prompt");
    assert_eq!(code_of(&["--prompt", &"word ".repeat(2_000), "--context", "1024"]), "prompt_too_long");
    assert_eq!(code_of(&["--prompt", "Hi", "--context", "4000000000"]), "context_too_large");
    for wrong in [["--profile", "turbo"], ["--temperature", "nan"], ["--max-tokens", "0"], ["--threads", "many"]] {
        run(&mut chat(&wrong), 2);
    }
}
