//! Conversations that were written before: long ones, formulas, and the places where an answer changed its profile.

use serde_json::json;

use crate::harness::history::{Said, write};
use crate::harness::{Desktop, Surroundings};
use crate::talk::ITEM;

/// Surroundings with one conversation, the open one.
fn with_history(surroundings: Surroundings, messages: Vec<Said>) -> Surroundings {
    write(surroundings.data(), [("History".to_owned(), messages)]);
    surroundings
}

#[tokio::test]
async fn ten_thousand_messages_are_open_at_their_end_and_scroll_to_their_beginning() {
    let messages: Vec<_> = (0..10_000)
        .map(|number| (format!("Message {number}. {}", "Some words to read. ".repeat(number % 17)), None))
        .collect();
    let desktop = Desktop::on_cpu(with_history(Surroundings::new(), messages)).await;
    desktop.wait_for_shown("[data-testid=answer-text]", "Message 9999.").await;
    assert!(desktop.count("article").await < 100, "only what is near the screen exists");
    assert!(!desktop.has("[data-testid=jump-latest]").await);
    desktop.run_script("document.querySelector('[role=log]').scrollTop = 0").await;
    desktop.wait_for_shown("[data-testid=question-text]", "Message 0.").await;
    desktop.click("[data-testid=jump-latest]").await;
    desktop.wait_for_shown("[data-testid=answer-text]", "Message 9999.").await;
}

#[tokio::test]
async fn a_change_of_profile_is_marked_at_its_line_and_formulas_are_drawn() {
    let before = "A GPU computes **many** numbers at once.\n\n```python\nprint(\"hello\")\n```\n\n\
                  The length is $\\sqrt{x^2 + y^2}$, and\n\n$$\\int_0^1 x^2\\,dx = \\tfrac13$$\n\n\
                  Then the card was needed elsewhere, ";
    let text = format!("{before}HERE the answer went on without it, word for word, to its end.");
    let switch = json!({
        "from": "performance", "to": "cpu_fallback", "why": { "code": "text", "text": "VRAM 93 %" }, "strategy": "standby", "at_token": 41,
        "gap_ms": 23.0, "vram_released_ms": 180.0, "state_bytes": null, "saved_in_ms": null, "restored_in_ms": null,
    });
    let record = json!({ "model": "Smol", "switches": [{ "switch": switch, "at_text": before.len() }] });
    let messages = vec![("What happened?".to_owned(), None), (text, Some(record.to_string()))];
    let desktop = Desktop::on_cpu(with_history(Surroundings::new(), messages)).await;
    desktop.find("[data-testid=notice-switched][data-profile=cpu_fallback]").await;
    desktop.wait_for_shown(ITEM, "History").await;
    desktop.wait_for("both formulas", || async { desktop.count(".katex-html").await == 2 }).await;
    // Where the mark is drawn, and where the first word of the new worker is.
    let distance = "
        const mark = document.querySelector('[data-testid=notice-switched]').getBoundingClientRect();
        const walker = document.createTreeWalker(document.querySelector('.prose'), NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const at = walker.currentNode.data.indexOf('HERE');
            if (at === -1) continue;
            const range = document.createRange();
            range.setStart(walker.currentNode, at);
            range.setEnd(walker.currentNode, at + 4);
            const word = range.getBoundingClientRect();
            return Math.abs((mark.top + mark.bottom) / 2 - (word.top + word.bottom) / 2);
        }
        return null;";
    desktop
        .wait_for("the mark at its line", || async {
            desktop.run_script(distance).await.as_f64().is_some_and(|pixels| pixels < 4.0)
        })
        .await;
    assert!(desktop.last_text("[data-testid=answer-footer]").await.contains("moved to the CPU"));
    desktop.save_screenshot("chat-switch").await;
}
