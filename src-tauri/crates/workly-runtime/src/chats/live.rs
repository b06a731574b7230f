//! One answer while it is written: its text, where its tokens begin, and who watches it.

use tokio::sync::mpsc::UnboundedSender;
use workly_core::answer::StopReason;
use workly_core::problem::{Problem, ProblemCode};
use workly_store::AnswerPart;
use workly_wire::answer::AnswerEvent;
use workly_wire::chat::{AnswerRecord, ChatEvent, MessageState, PlacedSwitch, StoredMessage};

/// An answer being written.
#[derive(Debug)]
pub(super) struct Live {
    message: StoredMessage,
    watchers: Vec<UnboundedSender<ChatEvent>>,
    /// Length of the text before each token, in UTF-16 code units.
    starts: Vec<u32>,
    /// Length of the text, in UTF-16 code units.
    length: u32,
    /// Length of the text that was given to the store, bytes.
    given: usize,
    /// Whether the store was given the end.
    end_is_given: bool,
}

impl Live {
    pub(super) fn new(message: StoredMessage) -> Self {
        Self { message, watchers: Vec::new(), starts: Vec::new(), length: 0, given: 0, end_is_given: false }
    }

    /// Lets someone watch: first the answer as it is, then everything that happens to it.
    pub(super) fn watch(&mut self, watcher: UnboundedSender<ChatEvent>) {
        let told = watcher.send(ChatEvent::Snapshot { message: self.message.clone() });
        if told.is_ok() && self.message.state == MessageState::Streaming {
            self.watchers.push(watcher);
        }
    }

    /// What came since this was last asked, for the store. `None` after the end was given: an answer ends once.
    pub(super) fn take_part(&mut self) -> Option<AnswerPart> {
        if self.end_is_given {
            return None;
        }
        let start = std::mem::replace(&mut self.given, self.message.content.len());
        self.end_is_given = self.has_ended();
        Some(AnswerPart {
            message: self.message.id,
            start,
            text: self.message.content[start..].to_owned(),
            state: self.message.state,
            record: self.message.answer.clone(),
        })
    }

    /// Takes the next event, and passes it on. What comes after the end is ignored: it was kept as it was.
    pub(super) fn hear(&mut self, event: AnswerEvent) {
        if self.has_ended() {
            return;
        }
        let event = match event {
            AnswerEvent::Token { index, .. } if index as usize != self.starts.len() => {
                AnswerEvent::Failed(out_of_order(index, self.starts.len()))
            }
            event => event,
        };
        let record = self.message.answer.get_or_insert_with(AnswerRecord::default);
        match &event {
            AnswerEvent::Prompt { dropped_turns, .. } => record.dropped_turns = *dropped_turns,
            AnswerEvent::Token { text, profile, .. } => {
                self.starts.push(self.length);
                self.length += text.encode_utf16().count() as u32;
                self.message.content.push_str(text);
                record.profile = Some(*profile);
            }
            AnswerEvent::Switched(switch) => {
                let at_text = self.starts.get(switch.at_token as usize).copied().unwrap_or(self.length);
                let placed = PlacedSwitch { switch: switch.clone(), at_text, why_text: String::new() };
                record.switches.push(placed.clone());
                return self.tell(&ChatEvent::Switched { placed });
            }
            AnswerEvent::Done(stats) => {
                record.stats = Some(stats.clone());
                let stopped = stats.stop == StopReason::Cancelled;
                self.message.state = if stopped { MessageState::Stopped } else { MessageState::Done };
            }
            // A load that the user stopped ends this way; that is no error.
            AnswerEvent::Failed(problem) if problem.code == ProblemCode::Cancelled => {
                self.message.state = MessageState::Stopped;
            }
            AnswerEvent::Failed(problem) => {
                record.problem = Some(problem.clone());
                self.message.state = MessageState::Failed;
            }
            AnswerEvent::Silent | AnswerEvent::Resumed => {}
        }
        self.tell(&ChatEvent::Answer { event });
    }

    /// The model that writes, once that is known.
    pub(super) fn name_model(&mut self, name: Option<String>) {
        let record = self.message.answer.get_or_insert_with(AnswerRecord::default);
        record.model = name.or(record.model.take());
    }

    pub(super) fn has_model_name(&self) -> bool {
        self.message.answer.as_ref().is_some_and(|record| record.model.is_some())
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.message.state != MessageState::Streaming
    }

    /// Workly ends while it is written.
    pub(super) fn interrupted(&mut self) {
        if !self.has_ended() {
            self.message.state = MessageState::Interrupted;
        }
    }

    fn tell(&mut self, event: &ChatEvent) {
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }
}

/// A worker counts its tokens without a gap; one that does not is not believed.
fn out_of_order(index: u32, expected: usize) -> Problem {
    Problem::new(ProblemCode::Protocol, "The model's process said something that makes no sense. Ask again.")
        .with_details(format!("token {index} came where token {expected} was due"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;
    use workly_core::chat::Role;
    use workly_core::profile::Profile;
    use workly_core::switch_plan::SwitchStrategy;
    use workly_wire::answer::AnswerSwitch;

    fn live() -> Live {
        let message = StoredMessage {
            id: 2,
            parent: Some(1),
            role: Role::Assistant,
            content: String::new(),
            state: MessageState::Streaming,
            created_ms: 0,
            siblings: vec![2],
            answer: None,
        };
        Live::new(message)
    }

    fn token(index: u32, text: &str) -> AnswerEvent {
        AnswerEvent::Token { index, id: 1, text: text.to_owned(), profile: Profile::Performance }
    }

    fn switch(at_token: u32) -> AnswerEvent {
        AnswerEvent::Switched(AnswerSwitch {
            from: Profile::Performance,
            to: Profile::CpuFallback,
            why: workly_core::why::Why::Asked { after_token: None },
            strategy: SwitchStrategy::Standby,
            at_token,
            gap_ms: 20.0,
            vram_released_ms: None,
            state_bytes: None,
            saved_in_ms: None,
            restored_in_ms: None,
        })
    }

    #[test]
    fn a_switch_is_placed_where_its_first_token_began_as_the_window_counts_text() {
        let mut live = live();
        for (index, text) in ["Hé", "", "🦊 ", "fox", " jumps"].into_iter().enumerate() {
            live.hear(token(index as u32, text));
        }
        // It is told two tokens later, when the old worker is gone.
        live.hear(switch(3));
        let record = live.message.answer.clone().unwrap();
        // Two letters, and a fox of two code units and a space.
        assert_eq!(record.switches[0].at_text, 5);
    }

    #[test]
    fn a_token_that_is_not_the_next_one_ends_the_answer_and_takes_no_memory() {
        for index in [0, 3, u32::MAX] {
            let mut live = live();
            live.hear(token(0, "a"));
            live.hear(token(index, "b"));
            assert_eq!((live.message.content.as_str(), live.message.state), ("a", MessageState::Failed));
            assert_eq!(live.starts.len(), 1);
        }
    }

    #[test]
    fn the_store_is_given_each_piece_once_and_nothing_after_the_end() {
        let mut live = live();
        live.hear(token(0, "Hé"));
        let part = live.take_part().unwrap();
        assert_eq!((part.start, part.text.as_str(), part.state), (0, "Hé", MessageState::Streaming));
        live.hear(token(1, "llo"));
        live.interrupted();
        live.hear(token(2, " never heard"));
        live.hear(AnswerEvent::Failed(out_of_order(0, 0)));
        let part = live.take_part().unwrap();
        assert_eq!((part.start, part.text.as_str(), part.state), (3, "llo", MessageState::Interrupted));
        assert_eq!(live.take_part(), None);
        assert_eq!(live.message.content, "Héllo");
    }

    #[test]
    fn who_comes_late_is_given_the_text_so_far_and_then_the_rest() {
        let mut live = live();
        live.hear(token(0, "Half"));
        let (sender, mut events) = unbounded_channel();
        live.watch(sender);
        live.hear(token(1, " and half"));
        let Some(ChatEvent::Snapshot { message }) = events.try_recv().ok() else { panic!("no snapshot") };
        assert_eq!(message.content, "Half");
        assert!(matches!(events.try_recv(), Ok(ChatEvent::Answer { event: AnswerEvent::Token { .. } })));
        assert_eq!(live.message.content, "Half and half");
    }
}
