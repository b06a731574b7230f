//! Ollama's store: manifests name models and their blobs, which are GGUF files without names.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::apps::json;

/// Manifests that are looked at.
const MOST_MANIFESTS: usize = 2_000;
/// Host and user of models that Ollama itself publishes, which it leaves out when it names them.
const OWN_HOST: &str = "registry.ollama.ai";
const OWN_USER: &str = "library";
/// Kind of the layer that holds the weights.
const WEIGHTS: &str = "application/vnd.ollama.image.model";

/// Every model of a store, as Ollama names it, with its blob.
pub(super) fn models(store: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    // manifests/HOST/USER/MODEL/TAG
    for manifest in files_at_depth(&store.join("manifests"), 4) {
        let Some(blob) = json(&manifest).and_then(|manifest| blob(store, &manifest)) else { continue };
        let names: Vec<String> =
            manifest.components().rev().take(4).map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
        let [tag, model, user, host] = names.as_slice() else { continue };
        found.push((title(host, user, model, tag), blob));
    }
    found.sort();
    found
}

fn title(host: &str, user: &str, model: &str, tag: &str) -> String {
    match (host, user) {
        (OWN_HOST, OWN_USER) => format!("{model}:{tag}"),
        (OWN_HOST, user) => format!("{user}/{model}:{tag}"),
        (host, user) => format!("{host}/{user}/{model}:{tag}"),
    }
}

/// The file of a manifest's weights. A digest is a name of 64 digits and nothing else, so that it leads nowhere else.
fn blob(store: &Path, manifest: &Value) -> Option<PathBuf> {
    let mut layers = manifest.get("layers")?.as_array()?.iter();
    let layer = layers.find(|layer| layer.get("mediaType").and_then(Value::as_str) == Some(WEIGHTS))?;
    let digest = layer.get("digest")?.as_str()?.strip_prefix("sha256:")?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| store.join("blobs").join(format!("sha256-{digest}"))).filter(|path| path.is_file())
}

fn files_at_depth(folder: &Path, depth: u32) -> Vec<PathBuf> {
    let mut level = vec![folder.to_path_buf()];
    for remaining in (0..depth).rev() {
        let entries = level.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let wanted = |path: &PathBuf| if remaining == 0 { path.is_file() } else { path.is_dir() };
        level = entries.map(|entry| entry.path()).filter(wanted).take(MOST_MANIFESTS).collect();
    }
    level
}
