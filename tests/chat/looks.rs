//! French, dark, and what each conversation is told.

use serde_json::json;

use crate::harness::{Desktop, Surroundings};
use crate::talk::{CONTROL, ITEM};

#[tokio::test]
async fn instructions_and_sampling_belong_to_the_conversation() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    desktop.click("[data-testid=conversation-settings]").await;
    let prompt = desktop.find("[data-testid=system-prompt]").await;
    prompt.send_keys("You only ever say yes.").await.unwrap();
    desktop.find("[data-testid=max-tokens]").await.send_keys("3").await.unwrap();
    desktop.save_screenshot("chat-conversation-settings").await;
    desktop.click("[data-testid=settings-done]").await;
    desktop
        .wait_for("the dialog to close", || async { !desktop.has("[data-testid=conversation-settings-dialog]").await })
        .await;
    desktop.ask("Say hello.").await;
    assert!(desktop.last_text("[data-testid=answer-footer]").await.contains("length limit reached"));
    assert_eq!(desktop.count(ITEM).await, 1);
}

/// The settings' own language and theme; the environment says the same, for what follows the system.
fn french_and_dark() -> Surroundings {
    Surroundings::new()
        .with_settings(&json!({ "ui": { "language": "fr", "theme": "dark" } }))
        .with("GTK_THEME", "Adwaita:dark")
        .with("LC_ALL", "fr_FR.UTF-8")
}

#[tokio::test]
async fn the_chat_speaks_french_and_is_dark() {
    let desktop = Desktop::on_cpu(french_and_dark()).await;
    desktop.wait_for_shown("[data-testid=send]", "Envoyer").await;
    desktop.ask("Bonjour.").await;
    desktop.press(&[CONTROL, '/']).await;
    desktop.wait_for_shown("[data-testid=shortcuts]", "Raccourcis clavier").await;
    desktop.save_screenshot("chat-french-dark").await;
    let background = desktop.run_script("return getComputedStyle(document.body).backgroundColor").await;
    let first: u32 = background.as_str().unwrap()[4..].split(',').next().unwrap().parse().unwrap();
    assert!(first < 64, "{background}");
}
