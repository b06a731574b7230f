//! How models fit: the estimate against llama.cpp's own dry run, and what is remembered once a model has run.

use workly_core::device::Device;
use workly_core::fit::BACKEND;
use workly_core::layer_plan::FootprintTable;
use workly_core::model::{ContextSize, KvType};
use workly_engine::protocol::FootprintRequest;
use workly_library::library::inspect;

use super::*;
use crate::support::{chat, of_type};

/// What llama.cpp's dry run says that a model takes of Mesa's device, by layers.
fn measured(worker: &mut Worker, id: u64, path: &Path, context: ContextSize) -> FootprintTable {
    worker.tell(id, Ask::Devices);
    let Reply::Devices { devices } = worker.last(id) else { panic!("devices are told") };
    let device = devices.into_iter().find(Device::is_gpu).unwrap().name;
    let request = FootprintRequest { path: path.to_path_buf(), device, context, kv_type: KvType::F16 };
    worker.tell(id + 1, Ask::Footprint(request));
    match worker.last(id + 1) {
        Reply::Footprints(table) => table,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// How far the estimate of a footprint may be off, beside the weights and the cache, which are exact: a twentieth, and
/// this much for buffers that do not grow with the model.
const OFF: u64 = 4 << 20;

#[test]
fn the_estimate_from_the_header_agrees_with_the_dry_run_of_twenty_one_models() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::on_software_gpu();
    let synthetic = RECIPES.map(|recipe| {
        let path = folder.path().join(format!("{}.gguf", recipe.name()));
        recipe.writer().write(&path).unwrap();
        path
    });
    let context = ContextSize::UpTo(2048);
    for (id, path) in (1..).step_by(2).zip(synthetic.iter().chain([&model()])) {
        let exact = measured(&mut worker, id, path, context);
        let estimate = inspect(path).unwrap().shape.footprints(context, KvType::F16, BACKEND);
        assert_eq!(exact.model_layers(), estimate.model_layers());
        for (layers, (exact, estimate)) in exact.by_layers.iter().zip(&estimate.by_layers).enumerate() {
            let what = format!("{}, {layers} layers: {exact:?} {estimate:?}", path.display());
            assert_eq!(estimate.weights, exact.weights, "{what}");
            // The log that the dry run is read from rounds.
            assert!(estimate.kv_cache.abs_diff(exact.kv_cache) < 1 << 14, "{what}");
            let off = estimate.total().abs_diff(exact.total());
            assert!(off <= (exact.total() - exact.backend) / 20 + OFF, "{what}");
        }
    }
}

#[test]
fn gemma_fits_as_predicted_moves_in_the_middle_of_an_answer_and_its_speed_is_remembered() {
    let (path, home) = (gemma(), tempfile::tempdir().unwrap());
    let mut worker = Worker::on_software_gpu();
    let exact = measured(&mut worker, 1, &path, ContextSize::UpTo(4096)).by_layers;
    let estimate = inspect(&path).unwrap().shape.footprints(ContextSize::UpTo(4096), KvType::F16, BACKEND).by_layers;
    assert_eq!(exact.len(), 20);
    // Mesa's device does not take the output, which is 178 MB in one piece; every card does. The layers are the same.
    for (exact_layer, estimated_layer) in exact.windows(2).skip(1).zip(estimate.windows(2).skip(1)) {
        let growth = |pair: &[workly_core::layer_plan::Footprint]| {
            (pair[1].weights - pair[0].weights, pair[1].kv_cache - pair[0].kv_cache)
        };
        assert_eq!(growth(exact_layer), growth(estimated_layer));
    }
    drop(worker);

    let data = home.path().join("data");
    let ask = |arguments: &[&str]| {
        let asked = ["--model", path.to_str().unwrap(), "--json", "--ignore-eos", "--temperature", "0"];
        let mut command = chat(&[&asked, arguments].concat());
        objects(&run(command.env("WORKLY_DATA_DIR", &data).env("GGML_VK_VISIBLE_DEVICES", "0"), 0))
    };
    // One layer on the GPU, and away as soon as a worker on the CPU is ready.
    let answer = ask(&[
        "--profile",
        "performance",
        "--gpu-layers",
        "2",
        "--switch-at",
        "2:cpu_fallback",
        "--max-tokens",
        "120",
        "--prompt",
        "The sea is",
    ]);
    let tokens = of_type(&answer, "token");
    let indices: Vec<u64> = tokens.iter().map(|token| token["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..120).collect::<Vec<_>>(), "no token is lost and none is told twice");
    assert_eq!((&tokens[0]["profile"], &tokens[119]["profile"]), (&json!("performance"), &json!("cpu_fallback")));
    let switches = of_type(&answer, "switch");
    assert_eq!(switches.len(), 1);
    assert_eq!((&switches[0]["from"], &switches[0]["to"]), (&json!("performance"), &json!("cpu_fallback")));

    let list = |home: &Path| {
        let config = json!({ "library": { "folders": [path.parent().unwrap()], "other_apps": false } });
        fs::write(data.join("config.json"), config.to_string()).unwrap();
        let mut command = models(home, &["list", "--json"]);
        let listed = objects(&run(command.env("GGML_VK_VISIBLE_DEVICES", "0"), 0)).remove(0);
        let is_gemma = |row: &&Value| row["facts"]["architecture"] == "gemma3";
        listed.as_array().unwrap().iter().find(is_gemma).unwrap().clone()
    };
    let fit = list(home.path())["fit"].clone();
    assert_eq!((&fit["is_exact"], &fit["model_layers"]), (&json!(true), &json!(19)), "the dry run counts from now on");
    let all = exact.last().unwrap();
    assert_eq!(fit["profiles"][0]["footprint_bytes"], all.total());
    assert_eq!(fit["profiles"][2]["tokens_per_second"], json!(null), "an answer in two places says nothing of either");

    ask(&["--profile", "cpu_fallback", "--max-tokens", "40", "--prompt", "The sea is"]);
    let fit = list(home.path())["fit"].clone();
    assert!(fit["profiles"][2]["tokens_per_second"].as_f64().unwrap() > 0.0, "{fit}");
    assert_eq!(fit["profiles"][0]["tokens_per_second"], json!(null));
}
