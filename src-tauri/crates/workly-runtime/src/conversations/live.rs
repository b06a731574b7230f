//! One answer while it is written: its text, where its tokens begin, and who watches it.

use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use workly_core::answer::StopReason;
use workly_core::problem::ProblemCode;
use workly_wire::answer::{AnswerEvent, AnswerStats};
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
    asked: Instant,
    first_token: Option<Instant>,
    prompt_tokens: u32,
}

impl Live {
    pub(super) fn new(message: StoredMessage, asked: Instant) -> Self {
        Self {
            message,
            watchers: Vec::new(),
            starts: Vec::new(),
            length: 0,
            asked,
            first_token: None,
            prompt_tokens: 0,
        }
    }

    pub(super) fn message(&self) -> &StoredMessage {
        &self.message
    }

    /// Lets someone watch: first the answer as it is, then everything that happens to it.
    pub(super) fn watch(&mut self, watcher: UnboundedSender<ChatEvent>) {
        let told = watcher.send(ChatEvent::Snapshot { message: self.message.clone() });
        if told.is_ok() && self.message.state == MessageState::Streaming {
            self.watchers.push(watcher);
        }
    }

    /// Takes the next event, and passes it on.
    pub(super) fn hear(&mut self, event: AnswerEvent) {
        let record = self.message.answer.get_or_insert_with(AnswerRecord::default);
        match &event {
            AnswerEvent::Prompt { total, dropped_turns, .. } => {
                self.prompt_tokens = *total;
                record.dropped_turns = *dropped_turns;
            }
            AnswerEvent::Token { index, text, profile, .. } => {
                self.first_token.get_or_insert_with(Instant::now);
                // A worker that computes tokens anew may tell of one again; its place stays.
                self.starts.resize(self.starts.len().max(*index as usize + 1), self.length);
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

    /// The user stopped it, and nobody else has the figures.
    pub(super) fn stopped(&mut self) {
        let tokens = self.starts.len() as u32;
        let writing = self.first_token.map_or(0.0, |first| first.elapsed().as_secs_f64());
        let first = self.first_token.map_or(0.0, |first| (first - self.asked).as_secs_f64() * 1_000.0);
        self.hear(AnswerEvent::Done(AnswerStats {
            tokens,
            tokens_per_second: if tokens > 1 && writing > 0.0 { f64::from(tokens - 1) / writing } else { 0.0 },
            prompt_tokens: self.prompt_tokens,
            cached_prompt_tokens: 0,
            time_to_first_token_ms: first,
            stop: StopReason::Cancelled,
        }));
    }

    /// Workly ends while it is written.
    pub(super) fn interrupted(&mut self) {
        self.message.state = MessageState::Interrupted;
    }

    fn tell(&mut self, event: &ChatEvent) {
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }
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
        Live::new(message, Instant::now())
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
        let record = live.message().answer.clone().unwrap();
        // Two letters, and a fox of two code units and a space.
        assert_eq!(record.switches[0].at_text, 5);
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
        assert_eq!(live.message().content, "Half and half");
    }

    #[test]
    fn a_stop_without_figures_from_the_worker_still_has_some() {
        let mut live = live();
        live.hear(AnswerEvent::Prompt { done: 10, total: 10, dropped_turns: 1 });
        live.hear(token(0, "a"));
        live.stopped();
        let record = live.message().answer.clone().unwrap();
        let stats = record.stats.unwrap();
        assert_eq!((stats.tokens, stats.prompt_tokens, stats.stop), (1, 10, StopReason::Cancelled));
        assert_eq!(record.dropped_turns, 1);
        assert_eq!(live.message().state, MessageState::Stopped);
    }
}
