//! `workly-cli bench` prints what it claims to measure.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::json;
use support::{chat, objects, run};

fn bench(arguments: &[&str]) -> std::process::Command {
    let data = chat(&[]).get_envs().find(|(name, _)| *name == "WORKLY_DATA_DIR").unwrap().1.unwrap().to_owned();
    let mut command = std::process::Command::new(support::PROGRAM);
    command.arg("bench").args(arguments).env("WORKLY_DATA_DIR", data).env_remove("GGML_VK_VISIBLE_DEVICES");
    command
}

#[test]
fn every_switch_is_counted_with_its_gap_and_leaves_no_process_on_the_gpu() {
    let mut command = bench(&["--switches", "3", "--gpu-layers", "1", "--json"]);
    let report = objects(&run(command.env("GGML_VK_VISIBLE_DEVICES", "0"), 0)).remove(0);
    assert_eq!(report["to_cpu"]["strategies"], json!({ "standby": 3 }), "{report:#}");
    assert_eq!(report["gpu_layers"], 1);
    for figure in ["gap_ms", "snapshot_ms", "restore_ms", "state_mib", "vram_released_ms"] {
        let spread = &report["to_cpu"][figure];
        assert_eq!(spread["count"], 3, "{figure}: {report:#}");
        let at = |name: &str| spread[name].as_f64().unwrap();
        assert!(0.0 < at("min") && at("min") <= at("median") && at("median") <= at("max"), "{figure}: {report:#}");
    }
    assert!(report["ms_per_token_gpu"]["count"].as_u64() > Some(0));
    assert_eq!(report["gpu_processes_left"], 0);
}

#[test]
fn deaths_are_measured_beside_switches() {
    let mut command = bench(&[
        "--switches",
        "1",
        "--deaths",
        "1",
        "--prompt-tokens",
        "20",
        "--gpu-layers",
        "1",
        "--seed",
        "7",
        "--json",
    ]);
    let report = objects(&run(command.env("GGML_VK_VISIBLE_DEVICES", "0"), 0)).remove(0);
    let deaths = &report["deaths"];
    for figure in ["gap_ms", "gap_without_standby_ms"] {
        assert_eq!(deaths[figure]["count"], 1, "{figure}: {report:#}");
    }
    assert_eq!((&deaths["seed"], &deaths["without_checkpoint"]), (&json!(7), &json!(0)), "{report:#}");
}

#[test]
fn without_a_gpu_there_is_nothing_to_leave() {
    let output = run(&mut bench(&["--switches", "1"]), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no GPU to leave"));
}

#[test]
fn an_answer_beside_busy_cores_is_measured_beside_one_alone() {
    let report = objects(&run(&mut bench(&["--busy", "1", "--prompt-tokens", "20", "--json"]), 0)).remove(0);
    let loads = report["loads"].as_array().unwrap();
    assert_eq!(loads.iter().map(|load| load["busy_cores"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1]);
    for load in loads {
        assert_eq!(load["tokens_per_second"]["count"], 3, "{report:#}");
        assert!(load["tokens_per_second"]["min"].as_f64() > Some(0.0), "{report:#}");
    }
}
