use super::*;

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

#[cfg(target_os = "linux")]
mod real_loads;
