//! Another answer, another wording, and the way between them.

use crate::harness::{Desktop, Surroundings};
use crate::talk::{ANSWER, CONTROL, ENTER, STREAMING};

#[tokio::test]
async fn answers_and_wordings_stand_beside_each_other() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    let first = desktop.ask("Say hello.").await;
    desktop.click("[data-testid=regenerate]").await;
    desktop.find(STREAMING).await;
    desktop.wait_for_end().await;
    assert_eq!(desktop.texts("[data-testid=branches]").await, ["2/2"]);
    let second = desktop.last_text(ANSWER).await;
    desktop.save_screenshot("chat-branches").await;

    desktop.click("[data-testid=previous-version]").await;
    desktop.wait_for("the first answer", || async { desktop.last_text(ANSWER).await == first }).await;
    desktop.click("[data-testid=next-version]").await;
    desktop.wait_for("the second answer", || async { desktop.last_text(ANSWER).await == second }).await;

    desktop.click_hidden("[data-testid=edit]").await;
    desktop.find("[data-testid=edit-field]").await;
    desktop.press(&[CONTROL, 'a']).await;
    desktop.write("Say goodbye.").await;
    desktop.press(&[ENTER]).await;
    desktop.wait_for_shown("[data-testid=question-text]", "Say goodbye.").await;
    desktop.wait_for_end().await;
    desktop.click("[data-testid=previous-version]").await;
    desktop.wait_for_shown("[data-testid=question-text]", "Say hello.").await;
    assert_eq!(desktop.last_text(ANSWER).await, second, "the branch comes back as it was left");
}
