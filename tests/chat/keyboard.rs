//! Everything by keyboard alone.

use crate::harness::{Desktop, Surroundings};
use crate::talk::{CONTROL, DOWN, ENTER, ESCAPE, LONG, SHIFT, STREAMING, UP};

#[tokio::test]
async fn a_whole_conversation_needs_no_mouse() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    // The composer has the focus from the start.
    desktop.find("[data-testid=composer]:focus").await;
    desktop.write("one").await;
    desktop.press(&[SHIFT, ENTER]).await;
    desktop.write("two").await;
    let draft = desktop.run_script("return document.activeElement.value").await;
    assert_eq!(draft, "one\ntwo");
    desktop.press(&[CONTROL, 'a']).await;
    desktop.write(LONG).await;
    desktop.press(&[ENTER]).await;
    desktop.wait_for_text().await;
    desktop.press(&[ESCAPE]).await;
    desktop.wait_for("the answer to stop", || async { !desktop.has(STREAMING).await }).await;

    // The arrow up takes the question back; Escape leaves it as it was.
    desktop.press(&[UP]).await;
    desktop.find("[data-testid=edit-field]:focus").await;
    desktop.press(&[ESCAPE]).await;
    desktop.find("[data-testid=composer]:focus").await;

    desktop.press(&[CONTROL, 'n']).await;
    desktop.find("[data-testid=empty]").await;
    desktop.press(&[CONTROL, 'k']).await;
    desktop.find("[data-testid=search]:focus").await;
    desktop.write("lighthouse").await;
    desktop.find("[data-testid=search-hit]").await;
    desktop.press(&[DOWN]).await;
    desktop.press(&[ENTER]).await;
    desktop.wait_for_shown("[data-testid=question-text]", "lighthouse").await;

    desktop.press(&[CONTROL, '/']).await;
    desktop.find("[data-testid=shortcuts]").await;
    desktop.save_screenshot("chat-shortcuts").await;
    desktop.press(&[ESCAPE]).await;
    desktop.wait_for("the list to close", || async { !desktop.has("[data-testid=shortcuts]").await }).await;

    desktop.press(&[CONTROL, 'b']).await;
    desktop.wait_for("the sidebar to go", || async { !desktop.has("[data-testid=sidebar]").await }).await;
    desktop.press(&[CONTROL, 'b']).await;
    desktop.find("[data-testid=sidebar]").await;
    desktop.press(&[CONTROL, ',']).await;
    desktop.find("[data-testid=page-settings][aria-current]").await;
}
