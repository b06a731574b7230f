//! A conversation becomes a file, through the system's own dialog.

use serde_json::Value;

use crate::harness::chooser::Chooser;
use crate::harness::{Desktop, Surroundings};
use crate::talk::DONE;

const MENU: &str = "[data-testid=conversation-menu]";
const TITLE: &str = "Export the conversation";
const QUESTION: &str = "Say hello to the lighthouse keeper.";

#[tokio::test]
async fn a_conversation_is_exported_as_markdown_and_as_json() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    desktop.ask(QUESTION).await;
    let chooser = Chooser::of(desktop.surroundings());
    let place = |name: &str| desktop.surroundings().data().join(name);

    // What is typed takes the place of the suggested name; the ending of the kind stays.
    desktop.click(MENU).await;
    desktop.click("[data-testid=menu-markdown]").await;
    chooser.choose(TITLE, &place("keeper")).await;
    desktop.wait_for_shown("[data-testid=toast-exported]", "keeper.md").await;
    desktop.save_screenshot("chat-exported").await;
    let text = std::fs::read_to_string(place("keeper.md")).unwrap();
    assert!(text.starts_with("# ") && text.contains(&format!("\n## You\n\n{QUESTION}\n")), "{text}");
    assert_eq!(text.matches("\n## ").count(), 2, "{text}");

    desktop.click(MENU).await;
    desktop.click("[data-testid=menu-json]").await;
    chooser.choose(TITLE, &place("keeper")).await;
    desktop.wait_for_shown("[data-testid=toast-exported]", "keeper.json").await;
    let document: Value = serde_json::from_slice(&std::fs::read(place("keeper.json")).unwrap()).unwrap();
    assert_eq!(document["format"], "workly-conversation");
    let contents: Vec<&str> =
        document["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(contents.len(), 2, "{document}");
    assert_eq!(contents[0], QUESTION);
    // The answer is the same in both files.
    assert!(text.trim_end().ends_with(contents[1].trim()), "{text}\n{document}");
}

#[tokio::test]
async fn a_dialog_that_is_left_exports_nothing() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    desktop.ask(QUESTION).await;
    desktop.click(MENU).await;
    desktop.click("[data-testid=menu-markdown]").await;
    Chooser::of(desktop.surroundings()).leave(TITLE).await;
    desktop.click(MENU).await;
    desktop.find("[data-testid=menu-markdown]").await;
    assert!(!desktop.has("[data-testid=toast-exported]").await && !desktop.has("[data-testid=problem]").await);
    assert_eq!(exported(&desktop), 0);
    assert!(desktop.has(DONE).await);
}

/// Files of the kind that would have been written, in the folder that the dialog opens with.
fn exported(desktop: &Desktop) -> usize {
    let entries = std::fs::read_dir(desktop.surroundings().data()).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "md")).count()
}
