//! `workly-cli plan` on the real model, for cards of any size. No card is touched: Mesa's software device answers.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{PROGRAM, model, objects, run};

/// Layers of the embedded model, the output layer counted as one.
const LAYERS: u64 = 31;

/// `workly-cli plan` with these arguments and this data folder.
fn plan(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("plan").args(arguments).env("WORKLY_DATA_DIR", data).env_remove("GGML_VK_VISIBLE_DEVICES");
    command.env_remove("WORKLY_NVML_LIB").stdin(Stdio::null());
    command
}

/// The plan of the embedded model for a card of this size with this much taken by others, MiB.
fn planned(data: &Path, total: u64, external: u64) -> Value {
    let (model, total, external) = (model(), total.to_string(), external.to_string());
    let sizes = ["--vram-total-mib", &total, "--external-mib", &external, "--json"];
    objects(&run(&mut plan(data, &[&["--model", model.to_str().unwrap()], &sizes[..]].concat()), 0)).remove(0)
}

fn layers(plan: &Value, profile: &str) -> u64 {
    plan["profiles"][profile]["gpu_layers"].as_u64().unwrap()
}

#[test]
fn a_plan_says_what_each_profile_takes_and_keeps_under_the_thresholds() {
    let data = tempfile::tempdir().unwrap();
    for (total, external) in [(6141, 250), (450, 20), (420, 60), (400, 20), (400, 390)] {
        let plan = planned(data.path(), total, external);
        assert_eq!(plan["model"], "SmolLM2-135M-Instruct.Q4_1");
        assert_eq!(plan["layers"], LAYERS);
        let keys: Vec<&String> = plan["profiles"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["balanced", "cpu_fallback", "performance"]);
        for (profile, line) in [("performance", 88.0), ("balanced", 73.0), ("cpu_fallback", 100.0)] {
            let row = &plan["profiles"][profile];
            let (percent, mib) = (row["projected_percent"].as_f64().unwrap(), row["footprint_mib"].as_u64().unwrap());
            let expected = (external + mib) as f64 * 100.0 / total as f64;
            assert!((percent - expected).abs() < 0.5, "{total} {profile}: {row}, {expected}");
            assert!(percent <= line || row["gpu_layers"] == 0, "{total} {profile}: {row}");
            assert_eq!(mib == 0, row["gpu_layers"] == 0, "{total} {profile}: {row}");
        }
        assert!(layers(&plan, "balanced") * 100 <= layers(&plan, "performance") * 65, "{plan}");
    }
    assert_eq!(layers(&planned(data.path(), 6141, 250), "performance"), LAYERS);
    let small = layers(&planned(data.path(), 400, 20), "performance");
    assert!((1..LAYERS).contains(&small), "{small} layers");
    assert_eq!(layers(&planned(data.path(), 400, 390), "performance"), 0);
}

#[test]
fn without_a_size_the_chosen_device_is_planned_for_and_people_get_a_table() {
    let data = tempfile::tempdir().unwrap();
    let model = model();
    let arguments = ["--model", model.to_str().unwrap()];
    let output = run(plan(data.path(), &arguments).env("GGML_VK_VISIBLE_DEVICES", "0"), 0);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("llvmpipe") && table.contains("31 layers"), "{table}");
    assert!(["performance", "balanced", "cpu_fallback"].iter().all(|profile| table.contains(profile)), "{table}");
}

#[test]
fn a_footprint_is_asked_once_and_again_for_another_context() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("footprints.json");
    let remembered = || -> Value { serde_json::from_slice(&fs::read(&file).unwrap()).unwrap() };
    let first = planned(data.path(), 6141, 0);
    let after_first = remembered();
    assert_eq!(planned(data.path(), 6141, 0), first);
    assert_eq!(remembered(), after_first);

    // What is remembered is what is used.
    let mut doctored = after_first;
    let whole = &mut doctored["entries"][0][1]["footprints"]["by_layers"][31];
    whole["weights"] = (whole["weights"].as_u64().unwrap() + (1 << 30)).into();
    fs::write(&file, doctored.to_string()).unwrap();
    let mib = |plan: &Value| plan["profiles"]["performance"]["footprint_mib"].as_u64().unwrap();
    assert_eq!(mib(&planned(data.path(), 6141, 0)), mib(&first) + 1024);

    let model = model();
    let arguments = ["--model", model.to_str().unwrap(), "--vram-total-mib", "6141", "--context", "1024", "--json"];
    let other = objects(&run(&mut plan(data.path(), &arguments), 0)).remove(0);
    assert!(mib(&other) < mib(&first), "{other}");
    assert_eq!(remembered()["entries"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_planned_says_why() {
    let data = tempfile::tempdir().unwrap();
    let model = model();
    let model = model.to_str().unwrap();
    let fails = |code: i32, arguments: &[&str], words: &str| {
        let output = run(&mut plan(data.path(), arguments), code);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(words) && output.stdout.is_empty(), "{arguments:?}: {stderr}");
    };
    fails(1, &["--model", "nowhere.gguf", "--vram-total-mib", "6141"], "no model file");
    fails(1, &["--model", PROGRAM, "--vram-total-mib", "6141"], "not a GGUF");
    fails(1, &["--model", model, "--vram-total-mib", "6141", "--context", "4000000000"], "smaller");
    fails(2, &["--model", model, "--vram-total-mib", "0"], "--vram-total-mib");
    fails(2, &["--vram-total-mib", "6141"], "--model");

    // A library of that name that is none: as on a machine without Vulkan.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("libvulkan.so.1"), "").unwrap();
    for (size, words) in [(&[][..], "Give the size"), (&["--vram-total-mib", "6141"], "Install the Vulkan driver")] {
        let mut command = plan(data.path(), &[&["--model", model], size].concat());
        let output = run(command.env("LD_LIBRARY_PATH", folder.path()), 1);
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{size:?}");
    }
}
