//! The model that answers, as a conversation sees it.

use workly_wire::answer::{AnswerEvent, AnswerRequest};

use crate::manager::{AnswerStream, ModelManager};

/// The model that answers.
pub trait Model: Clone + Send + Sync + 'static {
    /// An answer on its way.
    type Answer: AnswerSource;
    /// Asks for an answer; it waits its turn.
    fn answer(&self, request: AnswerRequest) -> Self::Answer;
    /// Name of the loaded model.
    fn name(&self) -> Option<String>;
}

/// An answer on its way. Dropping it stops it.
pub trait AnswerSource: Send + 'static {
    /// The next event; `None` after the last one.
    fn next(&mut self) -> impl Future<Output = Option<AnswerEvent>> + Send;
    /// Stops this answer; its last event still comes, with the figures.
    fn stop(&mut self);
}

impl Model for ModelManager {
    type Answer = AnswerStream;

    fn answer(&self, request: AnswerRequest) -> AnswerStream {
        self.answer(request)
    }

    fn name(&self) -> Option<String> {
        self.snapshot().borrow().model.as_ref().map(|model| model.name.clone())
    }
}

impl AnswerSource for AnswerStream {
    fn next(&mut self) -> impl Future<Output = Option<AnswerEvent>> + Send {
        self.next()
    }

    fn stop(&mut self) {
        AnswerStream::stop(self);
    }
}
