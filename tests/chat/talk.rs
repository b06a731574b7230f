//! What a person does in a conversation, as steps of a test.

use std::path::Path;

use crate::harness::program::ONE_WORKER;
use crate::harness::{Desktop, Surroundings, signal};
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use rustix::process::Signal;

pub(crate) const ANSWER: &str = "[data-testid=answer-text]";
pub(crate) const STREAMING: &str = "[data-testid=message-assistant][data-state=streaming]";
pub(crate) const DONE: &str = "[data-testid=message-assistant][data-state=done]";
pub(crate) const ITEM: &str = "[data-testid=conversation]";
pub(crate) const LONG: &str = "Write a long story about a lighthouse keeper, with many chapters.";
/// The name of Workly's file with all conversations.
const DATABASE: &str = "conversations.db";

/// Keys as WebDriver names them.
pub(crate) const CONTROL: char = '\u{e009}';
pub(crate) const SHIFT: char = '\u{e008}';
pub(crate) const ENTER: char = '\u{e007}';
pub(crate) const ESCAPE: char = '\u{e00c}';
pub(crate) const UP: char = '\u{e013}';
pub(crate) const DOWN: char = '\u{e015}';
pub(crate) const DELETE: char = '\u{e017}';
pub(crate) const F2: char = '\u{e032}';

impl Desktop {
    /// Clicks what a style selector finds first.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        element.click().await.unwrap();
    }

    /// Clicks a control that shows itself only under the pointer.
    pub(crate) async fn click_hidden(&self, selector: &str) {
        self.find(selector).await;
        self.run_script(&format!("const all = document.querySelectorAll({selector:?}); all[all.length - 1].click()"))
            .await;
    }

    /// Presses keys, together, wherever the focus is.
    pub(crate) async fn press(&self, keys: &[char]) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for key in keys {
            actions = actions.then(KeyAction::Down { value: *key });
        }
        for key in keys.iter().rev() {
            actions = actions.then(KeyAction::Up { value: *key });
        }
        self.client().perform_actions(actions).await.unwrap();
    }

    /// Types a text wherever the focus is.
    pub(crate) async fn write(&self, text: &str) {
        for key in text.chars() {
            self.press(&[key]).await;
        }
    }

    /// Asks and waits for the answer, which it returns. One that goes on and on is stopped: a small model rambles.
    pub(crate) async fn ask(&self, question: &str) -> String {
        let answers = self.count("[data-testid=message-user]").await;
        self.send(question).await;
        self.wait_for("the question", || async { self.count("[data-testid=message-user]").await > answers }).await;
        self.wait_for_end().await;
        self.last_text(ANSWER).await
    }

    /// Waits until the last answer has ended, and stops one that goes on and on.
    pub(crate) async fn wait_for_end(&self) {
        let stop = "const stop = document.querySelector('[data-testid=stop]:not(:disabled)');
            const texts = document.querySelectorAll('[data-testid=answer-text]');
            if (stop && texts[texts.length - 1].textContent.length > 200) stop.click()";
        self.wait_for("the answer to end", || async {
            self.run_script(stop).await;
            !self.has(STREAMING).await && self.has(DONE).await
        })
        .await;
    }

    /// How many elements a style selector finds.
    pub(crate) async fn count(&self, selector: &str) -> usize {
        let found = self.run_script(&format!("return document.querySelectorAll({selector:?}).length")).await;
        usize::try_from(found.as_u64().unwrap()).unwrap()
    }

    /// The texts of all elements that a style selector finds.
    pub(crate) async fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!("return [...document.querySelectorAll({selector:?})].map((e) => e.textContent.trim())");
        serde_json::from_value(self.run_script(&script).await).unwrap()
    }

    /// Waits until the first element of a selector shows a text.
    pub(crate) async fn wait_for_shown(&self, selector: &str, text: &str) {
        self.wait_for(&format!("'{text}' in {selector}"), || async {
            self.texts(selector).await.iter().any(|shown| shown.contains(text))
        })
        .await;
    }

    /// Waits until the model can answer.
    pub(crate) async fn ready(self) -> Self {
        self.wait_for("the model", || self.has("[data-testid=model-state][data-state=ready]")).await;
        self
    }

    /// Kills the program without a word and starts it again with what it left on the disk.
    pub(crate) async fn killed_and_started_again(self) -> Self {
        let next = Surroundings::new();
        signal(self.program(), Signal::KILL);
        copy_data(self.surroundings().data(), next.data());
        drop(self);
        Self::start_in(next, ONE_WORKER).await
    }

    /// Opens the window on the CPU: no worker looks for a GPU first.
    pub(crate) async fn on_cpu(surroundings: Surroundings) -> Self {
        Self::start_in(surroundings, ONE_WORKER).await.ready().await
    }

    /// Stops the answer being written, once it has some text.
    pub(crate) async fn stop_after_first_words(&self) {
        self.wait_for_text().await;
        self.click("[data-testid=stop]").await;
        self.wait_for("the answer to stop", || async { !self.has(STREAMING).await }).await;
    }
}

/// Copies what Workly keeps.
pub(crate) fn copy_data(from: &Path, to: &Path) {
    for name in [DATABASE, "conversations.db-wal", "config.json"] {
        let file = from.join(name);
        if file.exists() {
            std::fs::copy(file, to.join(name)).unwrap();
        }
    }
}
