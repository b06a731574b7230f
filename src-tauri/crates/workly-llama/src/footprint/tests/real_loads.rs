//! Predictions held against real loads, on the Vulkan device that Mesa computes in software.

use std::path::PathBuf;
use std::process::Command;

use workly_core::model::{ContextSize, KvType};

use super::*;
use crate::backends::{self, BackendSet};
use crate::devices;

/// What llama.cpp says that it placed on the device when it really loads: weights, cache, compute; bytes.
fn placed(backend: &LlamaBackend, request: &FootprintRequest, index: usize, layers: u32) -> [u64; 3] {
    let params = model_params(layers, Some(index)).unwrap();
    let ((), log) = llama_log::collect(dry_log::is_of_use, || {
        let model = LlamaModel::load_from_file(backend, &request.path, &params).unwrap();
        let tokens = request.context.resolve(model.n_ctx_train());
        drop(Context::open(&model, Shape { tokens, threads: 1, kv_type: request.kv_type }).unwrap());
    });
    let name = Target::of(index).buffer_name();
    let sum = |kind: &str| log.lines().filter_map(|line| dry_log::buffer(line, &name, kind)).sum::<u64>();
    [sum("model"), sum("KV") + sum("RS"), sum("compute")]
}

/// The models to check with: the embedded one, and one of which some layers see a sliding window of the context.
const MODELS: [&str; 2] = ["SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"];

#[test]
fn a_dry_run_predicts_what_llama_cpp_then_places() {
    // The variable must be there before the backend loads, and tests share a process.
    const SOFTWARE_GPU: &str = "GGML_VK_VISIBLE_DEVICES";
    const THIS: &str = "footprint::tests::real_loads::a_dry_run_predicts_what_llama_cpp_then_places";
    if std::env::var_os(SOFTWARE_GPU).is_none() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let status = again.args(["--exact", THIS, "--nocapture"]).env(SOFTWARE_GPU, "0").status().unwrap();
        assert!(status.success());
        return;
    }
    llama_log::capture();
    let backend = backends::load(BackendSet::CpuAndGpu).unwrap();
    let (index, device) = devices::list().into_iter().find(|(_, device)| device.is_gpu()).expect("Mesa's llvmpipe");
    let outbox = Outbox::new(std::fs::File::create("/dev/null").unwrap()).unwrap();
    let caches = [(2048, KvType::F16), (640, KvType::Q8_0)];
    for (name, (context, kv_type)) in MODELS.into_iter().flat_map(|name| caches.map(|cache| (name, cache))) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../models").join(name);
        assert!(path.is_file(), "{} is missing: run `cargo xtask setup`", path.display());
        let context = ContextSize::Exactly(context);
        let request = FootprintRequest { path, device: device.name.clone(), context, kv_type };
        let began = std::time::Instant::now();
        let table = measure(&backend, &outbox, &request).unwrap();
        println!("{name}: {} layers in {:?}", table.model_layers(), began.elapsed());
        let all = table.model_layers();
        for layers in [1, 2, 5, all / 2, all - 1, all] {
            let Footprint { weights, kv_cache, compute, .. } = table.by_layers[layers as usize];
            let predicted = [weights, kv_cache, compute];
            let placed = placed(&backend, &request, index, layers);
            println!("{layers} layers: predicted {predicted:?}, placed {placed:?}");
            for (predicted, placed) in predicted.into_iter().zip(placed) {
                // The log rounds to a hundredth of a MiB.
                let within = (placed / 20).max((1 << 20) / 100);
                assert!(predicted.abs_diff(placed) <= within, "{layers} layers: {predicted} for {placed} bytes");
            }
        }
    }
}
