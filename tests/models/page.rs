//! What a person does on the page of models, as steps of a test.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::file_server::{Body, Reply, Server};
use crate::harness::{Desktop, Surroundings};

pub(crate) const MODEL: &str = "[data-testid=model]";
pub(crate) const CATALOGUE: &str = "[data-testid=catalogue-model]";
pub(crate) const TRANSFER: &str = "[data-testid=transfer]";
pub(crate) const READY: &str = "[data-testid=model-state][data-state=ready]";

/// The real model that comes with Workly.
pub(crate) fn real_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// A host of the real model that serves no more than half of it to the first who asks, and the rest to the next.
pub(crate) fn slow_host() -> Server {
    let content = std::fs::read(real_model()).unwrap();
    let half = content.len() / 2;
    Server::start(move |request, before| {
        let reply = Reply::file(request, &content, "\"v1\"");
        if before == 0 { reply.ending(half, Body::Hang) } else { reply }
    })
}

/// A model of a catalogue.
pub(crate) struct Offer {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) parameters: u64,
    pub(crate) url: String,
    /// Bytes, where the catalogue knows.
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Option<String>,
}

impl Offer {
    /// A small model, of which the catalogue knows no more than where it is.
    pub(crate) fn new(id: &'static str, title: &'static str, url: String) -> Self {
        Self { id, title, parameters: 135_000_000, url, size: None, sha256: None }
    }
}

/// Surroundings with a catalogue of these models.
pub(crate) fn with_catalogue(offers: &[Offer]) -> Surroundings {
    let surroundings = Surroundings::new();
    let describe = |Offer { id, title, parameters, url, size, sha256 }: &Offer| {
        json!({
            "id": id, "title": title, "parameters": parameters, "quantization": "Q4_1",
            "summary_en": format!("{title}, made for a test of this page."),
            "summary_fr": format!("{title}, fait pour un essai de cette page."),
            "context_tokens": 8192, "size_bytes": size, "license": "Apache-2.0",
            "homepage": "https://example.org/model", "url": url, "sha256": sha256,
        })
    };
    let list: Vec<Value> = offers.iter().map(describe).collect();
    let file = surroundings.data().join("catalogue.json");
    std::fs::write(&file, json!({ "version": 1, "models": list }).to_string()).unwrap();
    let path = file.to_str().unwrap().to_owned();
    surroundings.with("WORKLY_CATALOGUE", &path)
}

impl Desktop {
    /// Opens the page of models and waits for what is on this machine.
    pub(crate) async fn open_models(&self) {
        self.click("[data-testid=page-models]").await;
        self.find(MODEL).await;
    }

    /// The titles of the models of this machine that are shown.
    pub(crate) async fn shown_models(&self) -> Vec<String> {
        self.texts(&format!("{MODEL} h3")).await
    }

    /// The card of a model of this machine.
    pub(crate) async fn card_of(&self, title: &str) -> String {
        let script = format!(
            "const found = [...document.querySelectorAll({MODEL:?})].find((card) => card.querySelector('h3')?.textContent === \
             {title:?}); return found ? found.dataset.id : null"
        );
        let found = std::cell::RefCell::new(None);
        self.wait_for(&format!("a card of {title}"), || async {
            let id = self.run_script(&script).await.as_str().map(str::to_owned);
            let is_there = id.is_some();
            *found.borrow_mut() = id;
            is_there
        })
        .await;
        format!("{MODEL}[data-id={:?}]", found.into_inner().unwrap())
    }

    /// Chooses from the menu of a model of this machine.
    pub(crate) async fn choose_from_menu(&self, title: &str, item: &str) {
        let card = self.card_of(title).await;
        self.click(&format!("{card} [data-testid=model-menu]")).await;
        self.click(&format!("[data-testid={item}]")).await;
    }

    /// Bytes that the first transfer has.
    pub(crate) async fn received(&self) -> u64 {
        let script = format!("return document.querySelector({TRANSFER:?})?.dataset.received ?? '0'");
        self.run_script(&script).await.as_str().unwrap().parse().unwrap()
    }

    /// Waits until the first transfer is in this state.
    pub(crate) async fn wait_for_transfer(&self, state: &str) {
        let selector = format!("{TRANSFER}[data-state={state}]");
        // Cards come and go: a script sees them all at once.
        self.wait_for(&selector, || async { self.count(&selector).await > 0 }).await;
    }
}

/// The model files in Workly's own folder.
pub(crate) fn files_of(data: &Path) -> Vec<String> {
    let folder = std::fs::read_dir(data.join("models")).into_iter().flatten().flatten();
    let models = folder.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "gguf"));
    let mut names: Vec<String> = models.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
