//! The list of conversations: search, rename, delete and take back.

use crate::harness::{Desktop, Surroundings};
use crate::talk::{ANSWER, DELETE, DOWN, ENTER, ITEM, LONG};

#[tokio::test]
async fn conversations_are_found_renamed_deleted_and_taken_back() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    desktop.ask("Say hello to the lighthouse keeper.").await;
    desktop.click("[data-testid=new-chat]").await;
    desktop.send("What is a zeppelin?").await;
    desktop.stop_after_first_words().await;
    assert_eq!(desktop.count(ITEM).await, 2);

    desktop.find("[data-testid=search]").await.send_keys("LIGHTH").await.unwrap();
    desktop.wait_for("one hit", || async { desktop.count("[data-testid=search-hit]").await == 1 }).await;
    assert_eq!(desktop.texts("[data-testid=search-hit] mark").await[0].to_lowercase(), "lighthouse");
    desktop.save_screenshot("chat-search").await;
    desktop.press(&[DOWN]).await;
    desktop.press(&[ENTER]).await;
    desktop.wait_for_shown("[data-testid=question-text]", "lighthouse keeper").await;
    desktop.click("[aria-label='Clear the search']").await;

    let item = format!("{ITEM}:has([aria-current])");
    desktop.client().execute("document.querySelector('[data-row][aria-current]').focus()", vec![]).await.unwrap();
    desktop.press(&[crate::talk::F2]).await;
    desktop.find("[data-testid=rename]").await;
    desktop.write("My keeper").await;
    desktop.press(&[ENTER]).await;
    desktop.wait_for_shown(&item, "My keeper").await;

    desktop.client().execute("document.querySelector('[data-row][aria-current]').focus()", vec![]).await.unwrap();
    desktop.press(&[DELETE]).await;
    desktop.find("[data-testid=toast-deleted]").await;
    desktop.wait_for_shown("[data-testid=question-text]", "zeppelin").await;
    assert_eq!(desktop.count(ITEM).await, 1);
    desktop.save_screenshot("chat-deleted").await;
    desktop.click("[data-testid=undo]").await;
    desktop.wait_for_shown("[data-testid=question-text]", "lighthouse keeper").await;
    desktop.wait_for_shown(&item, "My keeper").await;
}

#[tokio::test]
async fn an_answer_goes_on_while_another_conversation_is_read() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    desktop.send("Say hello.").await;
    desktop.stop_after_first_words().await;
    desktop.click("[data-testid=new-chat]").await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    let before = desktop.last_text(ANSWER).await;
    desktop.click(&format!("{ITEM}:not(:has([aria-current])) [data-row]")).await;
    desktop.wait_for_shown("[data-testid=question-text]", "Say hello.").await;
    desktop.find(&format!("{ITEM} [role=img]")).await;
    desktop.save_screenshot("chat-elsewhere").await;
    desktop.click(&format!("{ITEM}:not(:has([aria-current])) [data-row]")).await;
    desktop.wait_for("more text", || async { desktop.last_text(ANSWER).await.len() > before.len() }).await;
    desktop.stop_after_first_words().await;
}
