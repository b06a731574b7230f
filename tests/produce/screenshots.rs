//! `cargo xtask screenshots`: every page, light and dark, in both languages, into `docs/screenshots/`.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Desktop, Surroundings};

const DONE: &str = "[data-testid=message-assistant][data-state=done]";
/// Longer than any motion of the page.
const REST: Duration = Duration::from_millis(400);
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
    /// What is done there first.
    first: First,
}

enum First {
    Nothing,
    /// This is asked; in English and in French.
    Ask([&'static str; 2]),
    /// A recorded load is played until there are this many decisions.
    Play(usize),
}

/// Every page, in the order in which the pictures are taken. Add a page here when there is one more.
const PAGES: [Page; 5] = [
    Page { name: "models", hash: "models", sign: "[data-testid=catalogue-model]", first: First::Nothing },
    Page { name: "monitor", hash: "monitor", sign: "[data-testid=demo-gaming]", first: First::Play(2) },
    Page { name: "settings", hash: "settings", sign: "[data-testid=threshold-preview]", first: First::Nothing },
    Page { name: "empty", hash: "", sign: "[data-testid=composer]", first: First::Nothing },
    Page {
        name: "chat",
        hash: "",
        sign: "[data-testid=composer]",
        first: First::Ask([
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
                match page.first {
                    First::Nothing => {}
                    First::Ask(question) => answered(&desktop, question[index]).await,
                    First::Play(decisions) => played(&desktop, decisions).await,
                }
                // The caret blinks, and what changes its look takes a moment to do so.
                desktop.run_script("document.activeElement?.blur()").await;
                tokio::time::sleep(REST).await;
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

/// Plays a recorded load, and stops it there.
async fn played(desktop: &Desktop, decisions: usize) {
    desktop.find("[data-testid=demo-gaming]").await.click().await.unwrap();
    desktop.find("[data-testid=demo-speed] label:last-of-type").await.click().await.unwrap();
    let last = format!("[data-testid=decisions] li:nth-of-type({decisions})");
    desktop.find(&last).await;
    desktop.find("[data-testid=demo-play]").await.click().await.unwrap();
}
