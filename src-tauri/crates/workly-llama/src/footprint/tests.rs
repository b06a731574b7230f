use std::path::PathBuf;
use std::process::Command;

use workly_core::model::{ContextSize, KvType};

use super::*;
use crate::backends::{self, BackendSet};
use crate::devices;

fn tensor(name: &str, bytes: u64) -> Tensor {
    Tensor { name: name.into(), bytes: Some(bytes) }
}

#[test]
fn tensors_lie_where_llama_cpp_places_them() {
    for (name, expected) in [
        ("token_embd.weight", Place::Input),
        ("per_layer_token_embd.weight", Place::Input),
        ("token_embd_norm.weight", Place::Layer(0)),
        ("per_layer_model_proj.weight", Place::Layer(0)),
        ("blk.17.ffn_down.weight", Place::Layer(17)),
        ("dec.blk.3.attn_q.weight", Place::Layer(3)),
        ("output.weight", Place::Output),
        ("output_norm.weight", Place::Output),
    ] {
        assert_eq!(place(name), expected, "{name}");
    }
}

#[test]
fn a_tied_embedding_counts_with_the_output_and_tensors_that_stay_away_not_at_all() {
    let mut tensors = vec![
        tensor("token_embd.weight", 1_000),
        tensor("blk.0.attn_q.weight", 33),
        tensor("blk.1.attn_q.weight", 64),
        tensor("blk.1.nextn.weight", 500),
        tensor("output_norm.weight", 8),
        Tensor { name: "blk.0.too_large.weight".into(), bytes: None },
    ];
    let unused = ["blk.1.nextn.weight".to_owned()];
    assert_eq!(weights_by_layer(&tensors, 3, &unused), [33, 64, 1_008]);
    tensors.push(tensor("output.weight", 320));
    assert_eq!(weights_by_layer(&tensors, 3, &unused), [33, 64, 328]);
}

#[test]
fn between_two_dry_runs_the_larger_compute_buffer_counts() {
    let sampled = BTreeMap::from([(1, 90), (2, 100), (16, 100), (31, 80)]);
    let table = [(1, 90), (2, 100), (9, 100), (20, 100), (31, 80)];
    assert!(table.iter().all(|(layers, bytes)| compute_between(&sampled, *layers) == *bytes));
    assert!(is_flat(&sampled, 9) && !is_flat(&sampled, 20) && !is_flat(&BTreeMap::from([(4, 100)]), 2));
}

/// What llama.cpp says that it placed on the device when it really loads: weights, cache, compute; bytes.
fn placed(backend: &LlamaBackend, request: &FootprintRequest, index: usize, layers: u32) -> [u64; 3] {
    let params = model_params(layers, Some(index)).unwrap();
    let ((), log) = llama_log::collect(dry_log::is_of_use, || {
        let model = LlamaModel::load_from_file(backend, &request.path, &params).unwrap();
        let tokens = request.context.resolve(model.n_ctx_train());
        drop(model.new_context(backend, context_params(tokens, 1, request.kv_type)).unwrap());
    });
    let name = Target::of(index).buffer_name();
    let sum = |kind: &str| log.lines().filter_map(|line| dry_log::buffer(line, &name, kind)).sum::<u64>();
    [sum("model"), sum("KV") + sum("RS"), sum("compute")]
}

/// The model to check with: the embedded one, or by hand another.
fn model() -> PathBuf {
    let embedded = "../../../models/SmolLM2-135M-Instruct.Q4_1.gguf";
    let path = std::env::var_os("WORKLY_TEST_MODEL").map(PathBuf::from);
    path.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(embedded))
}

#[test]
fn a_dry_run_predicts_what_llama_cpp_then_places() {
    // The variable must be there before the backend loads, and tests share a process.
    const SOFTWARE_GPU: &str = "GGML_VK_VISIBLE_DEVICES";
    const THIS: &str = "footprint::tests::a_dry_run_predicts_what_llama_cpp_then_places";
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
    for (context, kv_type) in [(2048, KvType::F16), (640, KvType::Q8_0)] {
        let context = ContextSize::Exactly(context);
        let request = FootprintRequest { path: model(), device: device.name.clone(), context, kv_type };
        let began = std::time::Instant::now();
        let table = measure(&backend, &outbox, &request).unwrap();
        println!("{} layers in {:?}", table.model_layers(), began.elapsed());
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
