//! What the tests share: an answer that grows, and waiting.

use tokio::sync::watch;
use workly_core::problem::Problem;
use workly_store::{AnswerPart, Conversations, StoreError, unix_ms};
use workly_wire::chat::{MessageState, StoreNotice};

/// An answer being written, as whoever asks the model gives it to the store.
pub(crate) struct Writing {
    pub(crate) conversation: i64,
    pub(crate) message: i64,
    pub(crate) text: String,
}

impl Writing {
    /// Asks a question in a new conversation.
    pub(crate) async fn begin(store: &Conversations, question: &str) -> Result<Self, Problem> {
        let question = question.to_owned();
        let begun = store.with(move |store| {
            let conversation = store.create(unix_ms())?;
            let begun = store.ask(conversation, &question, unix_ms())?;
            Ok::<_, StoreError>((conversation, begun.answer.id))
        });
        let (conversation, message) = begun.await?;
        Ok(Self { conversation, message, text: String::new() })
    }

    /// Says more.
    pub(crate) fn say(&mut self, store: &Conversations, text: &str) {
        self.give(store, text, MessageState::Streaming);
    }

    pub(crate) fn end(&mut self, store: &Conversations) {
        self.give(store, "", MessageState::Done);
    }

    fn give(&mut self, store: &Conversations, text: &str, state: MessageState) {
        let start = self.text.len();
        self.text.push_str(text);
        store.keep_answer(AnswerPart { message: self.message, start, text: text.to_owned(), state, record: None });
    }
}

/// Waits until what the user is told is as wanted. The limit is for a test that hangs.
pub(crate) async fn told(
    notices: &mut watch::Receiver<Vec<StoreNotice>>,
    what: &str,
    wanted: impl FnMut(&Vec<StoreNotice>) -> bool,
) -> Vec<StoreNotice> {
    let waiting = tokio::time::timeout(std::time::Duration::from_mins(2), notices.wait_for(wanted));
    match waiting.await {
        Ok(told) => told.unwrap().clone(),
        Err(error) => panic!("{what} was never told: {error}"),
    }
}
