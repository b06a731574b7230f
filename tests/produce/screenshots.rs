//! `cargo xtask screenshots`: every page, light and dark, in both languages, into `docs/screenshots/`.

use std::path::Path;

use serde_json::json;

use crate::harness::{Desktop, Surroundings};

const DONE: &str = "[data-testid=message-assistant][data-state=done]";
const ANSWER: &str = "[data-testid=answer-text]";
/// An answer longer than this is stopped: more does not fit into a picture, characters.
const LONG_ENOUGH: usize = 900;

/// A page of the window.
struct Page {
    /// The name of its pictures.
    name: &'static str,
    /// The part of the address behind the `#`.
    hash: &'static str,
    /// What there is once the page is drawn.
    sign: &'static str,
    /// What is asked for there first; in English and in French.
    question: Option<[&'static str; 2]>,
}

/// Every page, in the order in which the pictures are taken. Add a page here when there is one more.
const PAGES: [Page; 3] = [
    Page { name: "models", hash: "models", sign: "[data-testid=catalogue-model]", question: None },
    Page { name: "empty", hash: "", sign: "[data-testid=composer]", question: None },
    Page {
        name: "chat",
        hash: "",
        sign: "[data-testid=composer]",
        question: Some([
            "Write a Python function that counts the words in a text file.",
            "Écris une fonction Python qui compte les mots d’un fichier texte.",
        ]),
    },
];

#[tokio::test]
#[ignore = "writes pictures: cargo xtask screenshots"]
async fn every_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    for (theme, gtk_theme) in [("light", "Adwaita"), ("dark", "Adwaita:dark")] {
        for (index, language) in ["en", "fr"].into_iter().enumerate() {
            let settings = json!({ "ui": { "language": language, "theme": theme } });
            let surroundings = Surroundings::new().with("GTK_THEME", gtk_theme).with_settings(&settings);
            let desktop = Desktop::start_in(surroundings, &[]).await;
            desktop
                .wait_for("the model to be ready", || desktop.has("[data-testid=model-state][data-state=ready]"))
                .await;
            for page in &PAGES {
                desktop.run_script(&format!("location.hash = {:?}", page.hash)).await;
                desktop.find(page.sign).await;
                if let Some(question) = page.question {
                    answered(&desktop, question[index]).await;
                }
                // The caret blinks, and what a pointer would have been over shows it.
                desktop.run_script("document.activeElement?.blur()").await;
                let path = folder.join(format!("{}-{theme}-{language}.png", page.name));
                std::fs::write(&path, desktop.screenshot().await).unwrap();
                println!("{}", path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display());
            }
        }
    }
}

/// Asks, and waits for enough of an answer.
async fn answered(desktop: &Desktop, question: &str) {
    desktop.send(question).await;
    desktop
        .wait_for("enough of an answer", || async {
            desktop.has(DONE).await || desktop.last_text(ANSWER).await.chars().count() > LONG_ENOUGH
        })
        .await;
    if !desktop.has(DONE).await {
        desktop.find("[data-testid=stop]").await.click().await.unwrap();
        desktop.wait_for("the answer to stop", || desktop.has(DONE)).await;
    }
}
