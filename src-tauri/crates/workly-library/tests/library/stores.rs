//! The stores of other programs, laid out as those programs lay them out.

use super::*;

/// A model of Ollama: a manifest, and its blob.
fn put_ollama(store: &Path, name: &str, digit: char, vocabulary: u64) -> PathBuf {
    let digest = digit.to_string().repeat(64);
    let blob = store.join(format!("blobs/sha256-{digest}"));
    put(&blob, &tiny(vocabulary));
    let manifest = store.join("manifests").join(name);
    fs::create_dir_all(manifest.parent().unwrap()).unwrap();
    let layer = |kind: &str, digest: &str| serde_json::json!({ "mediaType": format!("application/vnd.ollama.image.{kind}"), "digest": digest, "size": 1 });
    let layers =
        [layer("template", &format!("sha256:{}", "f".repeat(64))), layer("model", &format!("sha256:{digest}"))];
    fs::write(&manifest, serde_json::json!({ "schemaVersion": 2, "layers": layers }).to_string()).unwrap();
    blob
}

#[test]
fn ollamas_models_have_the_names_that_ollama_gives_them() {
    let mut machine = Machine::new();
    let store = machine.home("ollama store");
    let blob = put_ollama(&store, "registry.ollama.ai/library/llama3.2/1b", 'a', 1);
    put_ollama(&store, "registry.ollama.ai/someone/tuned/latest", 'b', 2);
    put_ollama(&store, "hf.co/bartowski/Tiny-GGUF/Q4_K_M", 'c', 3);
    // The same blob under a second name counts once.
    put_ollama(&store, "registry.ollama.ai/library/llama3.2/latest", 'a', 1);
    fs::write(store.join("manifests/registry.ollama.ai/library/llama3.2/broken"), "{").unwrap();
    let outside = serde_json::json!({ "layers": [{
        "mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../../home/secret",
    }] });
    fs::write(store.join("manifests/registry.ollama.ai/library/llama3.2/outside"), outside.to_string()).unwrap();
    machine.variables.insert("OLLAMA_MODELS".into(), store.clone().into());
    let snapshot = machine.look();
    assert_eq!(titles(&snapshot), ["hf.co/bartowski/Tiny-GGUF:Q4_K_M", "llama3.2:1b", "someone/tuned:latest"]);
    let model = named(&snapshot, "llama3.2:1b");
    assert_eq!((model.source, model.is_own, model.path.as_str()), (ModelSource::Ollama, false, blob.to_str().unwrap()));
    assert_eq!(snapshot.folders.iter().find(|folder| folder.source == ModelSource::Ollama).unwrap().models, 3);
}

#[test]
fn ollamas_usual_place_is_found_without_a_variable() {
    let machine = Machine::new();
    put_ollama(&machine.home(".ollama/models"), "registry.ollama.ai/library/tiny/latest", 'a', 1);
    assert_eq!(titles(&machine.look()), ["tiny:latest"]);
}

#[test]
fn lm_studios_folder_is_where_its_settings_say() {
    let machine = Machine::new();
    put(&machine.home(".lmstudio/models/maker/Tiny-GGUF/Tiny-Q4.gguf"), &tiny(1));
    put(&machine.home("elsewhere/maker/Other-GGUF/Other-Q4.gguf"), &tiny(2));
    put(&machine.home("lm home/models/maker/Third-GGUF/Third-Q4.gguf"), &tiny(3));
    put(&machine.home(".cache/lm-studio/models/maker/Old-GGUF/Old-Q4.gguf"), &tiny(4));
    let settings = serde_json::json!({ "downloadsFolder": machine.home("elsewhere") });
    fs::write(machine.home(".lmstudio/settings.json"), settings.to_string()).unwrap();
    fs::write(machine.home(".lmstudio-home-pointer"), format!("{}\n", machine.home("lm home").display())).unwrap();
    let snapshot = machine.look();
    assert_eq!(titles(&snapshot), ["Old-Q4", "Other-Q4", "Third-Q4", "Tiny-Q4"]);
    assert!(snapshot.models.iter().all(|model| model.source == ModelSource::LmStudio));
}

#[test]
fn jans_models_are_called_by_their_folders_on_every_system() {
    for (system, place) in [
        (System::Linux, ".config/Jan/data/llamacpp/models/tiny-1b"),
        (System::Linux, "jan/models/tiny-1b"),
        (System::MacOs, "Library/Application Support/Jan/data/llamacpp/models/tiny-1b"),
        (System::Windows, "AppData/Roaming/Jan/data/llamacpp/models/tiny-1b"),
    ] {
        let machine = Machine { system, ..Machine::new() };
        put(&machine.home(place).join("model.gguf"), &tiny(1));
        fs::write(machine.home(place).join("model.yml"), "model_path: llamacpp/models/tiny-1b/model.gguf\n").unwrap();
        let snapshot = machine.look();
        assert_eq!(titles(&snapshot), ["tiny-1b"], "{place}");
        assert_eq!(snapshot.models[0].source, ModelSource::Jan);
    }
}

#[test]
fn jans_folder_that_was_moved_is_found() {
    let machine = Machine::new();
    put(&machine.home("big disk/llamacpp/models/moved/model.gguf"), &tiny(1));
    fs::create_dir_all(machine.home(".config/Jan")).unwrap();
    let settings = serde_json::json!({ "data_folder": machine.home("big disk") });
    fs::write(machine.home(".config/Jan/settings.json"), settings.to_string()).unwrap();
    assert_eq!(titles(&machine.look()), ["moved"]);
}

#[cfg(unix)]
#[test]
fn the_hugging_face_cache_is_read_through_its_links_and_each_blob_counts_once() {
    let put_cache = |hub: &Path| {
        let model = hub.join("models--maker--Tiny-GGUF");
        put(&model.join("blobs/0123abcd"), &tiny(1));
        for revision in ["1111", "2222"] {
            let snapshot = model.join("snapshots").join(revision);
            fs::create_dir_all(&snapshot).unwrap();
            std::os::unix::fs::symlink("../../blobs/0123abcd", snapshot.join("Tiny-Q8_0.gguf")).unwrap();
        }
    };
    let usual = Machine::new();
    put_cache(&usual.home(".cache/huggingface/hub"));
    let snapshot = usual.look();
    assert_eq!(titles(&snapshot), ["Tiny-Q8_0"]);
    assert_eq!(snapshot.models[0].source, ModelSource::HuggingFace);

    for (variable, hub) in
        [("HF_HUB_CACHE", "moved"), ("HF_HOME", "moved/hub"), ("XDG_CACHE_HOME", "moved/huggingface/hub")]
    {
        let mut machine = Machine::new();
        put_cache(&machine.home(hub));
        machine.variables.insert(variable.into(), machine.home("moved").into());
        assert_eq!(titles(&machine.look()), ["Tiny-Q8_0"], "{variable}");
    }
}

#[test]
fn models_of_others_are_left_out_where_the_user_wants_none() {
    let mut machine = Machine::new();
    put_ollama(&machine.home(".ollama/models"), "registry.ollama.ai/library/tiny/latest", 'a', 1);
    put(&machine.own("mine.gguf"), &tiny(2));
    machine.settings.library.other_apps = false;
    let snapshot = machine.look();
    assert_eq!(titles(&snapshot), ["mine"]);
    assert_eq!(snapshot.folders.len(), 1);
}

#[cfg(unix)]
#[test]
fn links_that_lead_round_in_circles_end() {
    let machine = Machine::new();
    put(&machine.own("deep/one.gguf"), &tiny(1));
    std::os::unix::fs::symlink(machine.own(""), machine.own("deep/round")).unwrap();
    std::os::unix::fs::symlink(machine.own("nowhere"), machine.own("dangling.gguf")).unwrap();
    assert_eq!(titles(&machine.look()), ["one"]);
}
