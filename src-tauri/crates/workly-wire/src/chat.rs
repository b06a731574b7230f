//! What crosses to the window of stored conversations: the list, one conversation along its chosen branch, searching,
//! and an answer that is written into it.

use serde::{Deserialize, Serialize};
use ts_rs::{Config, TS};

use crate::answer::{AnswerEvent, AnswerStats, AnswerSwitch};
use crate::words::Language;
use workly_core::chat::Role;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::Profile;
use workly_core::sampling::Sampling;

/// Name of the event that carries a [`ConversationSummary`] after each change of a conversation: its title, its time,
/// whether an answer is being written.
pub const CONVERSATION_CHANGED: &str = "conversation-changed";

/// Name of the event that carries all [`StoreNotice`]s, a list, after each change of them. The list of conversations
/// may be another one then.
pub const STORE_CHANGED: &str = "store-changed";

/// A conversation in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ConversationSummary {
    /// Its number in the store.
    #[ts(type = "number")]
    pub id: i64,
    /// What the user called it, else the beginning of the first message; empty before that.
    pub title: String,
    /// When something was last said, milliseconds since 1970 (UTC).
    #[ts(type = "number")]
    pub updated_ms: i64,
    /// Whether an answer is being written.
    pub answering: bool,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// An answer is being written.
    Streaming,
    /// Complete.
    Done,
    /// The user stopped the answer; the text so far stays.
    Stopped,
    /// The answer ended by a fault; the text so far stays.
    Failed,
    /// Workly ended while the answer was written; the text so far stays.
    Interrupted,
}

/// A change of profile, and where in the text it fell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PlacedSwitch {
    /// The change itself.
    pub switch: AnswerSwitch,
    /// Length of the text before the first token of the new worker, in UTF-16 code units.
    pub at_text: u32,
    /// Why, in the user's language, which only the window is told: the store keeps the code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[ts(as = "String")]
    pub why_text: String,
}

impl PlacedSwitch {
    /// Puts the reason into words.
    pub fn put_into_words(&mut self, language: Language) {
        self.why_text = language.why(&self.switch.why);
    }
}

/// What is kept of an answer beside its text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct AnswerRecord {
    /// Name of the model that wrote it.
    pub model: Option<String>,
    /// The profile of its last token.
    pub profile: Option<Profile>,
    /// Its figures, once it has ended.
    pub stats: Option<AnswerStats>,
    /// Its changes of profile, in order.
    pub switches: Vec<PlacedSwitch>,
    /// How many of the oldest turns the model did not see.
    pub dropped_turns: u32,
    /// Why it failed.
    pub problem: Option<Problem>,
}

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct StoredMessage {
    /// Its number in the store.
    #[ts(type = "number")]
    pub id: i64,
    /// The message it follows; none for a first one.
    #[ts(type = "number | null")]
    pub parent: Option<i64>,
    /// Who speaks.
    pub role: Role,
    /// What is said, Markdown.
    pub content: String,
    /// How far it is.
    pub state: MessageState,
    /// When it was begun, milliseconds since 1970 (UTC).
    #[ts(type = "number")]
    pub created_ms: i64,
    /// The messages that stand in the same place, itself included, in the order they were written.
    #[ts(type = "number[]")]
    pub siblings: Vec<i64>,
    /// What is kept of an answer; none for other messages.
    pub answer: Option<AnswerRecord>,
}

impl StoredMessage {
    /// Puts the reasons of its switches into words.
    pub fn put_into_words(&mut self, language: Language) {
        for placed in self.answer.iter_mut().flat_map(|answer| &mut answer.switches) {
            placed.put_into_words(language);
        }
    }
}

/// How the answers of one conversation are written; what is left out is Workly's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct ConversationSettings {
    /// The standing instruction; empty: none.
    pub system_prompt: String,
    /// How tokens are chosen.
    pub temperature: Option<f32>,
    /// Only this many of the likeliest tokens; 0: all.
    pub top_k: Option<u32>,
    /// Only the likeliest tokens that together reach this probability; 1: all.
    pub top_p: Option<f32>,
    /// Only tokens at least this likely in proportion to the likeliest; 0: all.
    pub min_p: Option<f32>,
    /// Divides the logits of tokens seen lately; 1: no penalty.
    pub repeat_penalty: Option<f32>,
    /// Fixes the draw; left out: another one for each answer.
    pub seed: Option<u32>,
    /// Most tokens of an answer.
    pub max_tokens: Option<u32>,
}

impl ConversationSettings {
    /// The sampling these settings ask for; `random_seed` is taken where they fix none.
    pub fn sampling(&self, random_seed: u32) -> Sampling {
        let default = Sampling::default();
        Sampling {
            temperature: self.temperature.unwrap_or(default.temperature),
            top_k: self.top_k.unwrap_or(default.top_k),
            top_p: self.top_p.unwrap_or(default.top_p),
            min_p: self.min_p.unwrap_or(default.min_p),
            repeat_penalty: self.repeat_penalty.unwrap_or(default.repeat_penalty),
            repeat_last_n: default.repeat_last_n,
            seed: self.seed.unwrap_or(random_seed),
        }
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// Which setting is outside its range.
    pub fn check(&self) -> Result<(), Problem> {
        self.sampling(0).check().map_err(|error| Problem::new(ProblemCode::InvalidSetting, error.to_string()))
    }
}

/// One conversation along its chosen branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ConversationView {
    /// What the list shows of it.
    pub summary: ConversationSummary,
    /// How its answers are written.
    pub settings: ConversationSettings,
    /// The message the user has begun to write.
    pub draft: String,
    /// The messages of the chosen branch, the first one first.
    pub messages: Vec<StoredMessage>,
}

impl ConversationView {
    /// The same with the reasons of all switches in words.
    #[must_use]
    pub fn in_words(mut self, language: Language) -> Self {
        for message in &mut self.messages {
            message.put_into_words(language);
        }
        self
    }
}

/// What the user has to know of the stored conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StoreNotice {
    /// The file was damaged and nothing in it could be read; the newest good backup took its place.
    Restored {
        /// When that backup was made, milliseconds since 1970 (UTC).
        #[ts(type = "number")]
        backup_ms: i64,
        /// Name of the damaged file, which was kept.
        kept_as: String,
    },
    /// The file was damaged; what could be read of it was taken over, what could not came from the newest good backup.
    Salvaged {
        /// Messages that were read from the damaged file.
        messages: u32,
        /// When the backup was made, milliseconds since 1970 (UTC); none where there was no good one.
        #[ts(type = "number | null")]
        backup_ms: Option<i64>,
        /// Name of the damaged file, which was kept.
        kept_as: String,
    },
    /// The file was damaged, nothing in it could be read, and there was no good backup; there are no conversations now.
    Emptied {
        /// Name of the damaged file, which was kept.
        kept_as: String,
    },
    /// The file was gone; the newest good backup took its place.
    Missing {
        /// When that backup was made, milliseconds since 1970 (UTC).
        #[ts(type = "number")]
        backup_ms: i64,
    },
    /// The file cannot be opened: what is said now is in memory. It is tried again, and then all of it is kept.
    NotKept {
        /// What the system reported.
        details: String,
    },
    /// Another Workly works in this folder: what is said now is in memory, and is kept when that one has ended.
    InUse,
    /// What was said last is not on the disk yet; it is tried again.
    NotSaved {
        /// What the system reported.
        details: String,
    },
    /// What was only in memory is on the disk now.
    Saved,
}

/// All the chat page needs to draw itself for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ChatSnapshot {
    /// The conversations, the last one said something in first.
    pub conversations: Vec<ConversationSummary>,
    /// The conversation that was open last.
    pub open: Option<ConversationView>,
    /// The message begun for a conversation that does not exist yet.
    pub draft: String,
    /// What the user has to know of the store.
    pub notices: Vec<StoreNotice>,
}

/// A piece of a text that was searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TextSegment {
    /// The text.
    pub text: String,
    /// Whether it is what was searched for.
    pub found: bool,
}

/// A conversation in which something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SearchHit {
    /// The conversation.
    pub conversation: ConversationSummary,
    /// Its title, with what was found in it.
    pub title: Vec<TextSegment>,
    /// The newest message that holds the words; none where only the title does.
    #[ts(type = "number | null")]
    pub message: Option<i64>,
    /// A line of that message around the words.
    pub snippet: Vec<TextSegment>,
}

/// In what a conversation is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// The chosen branch, to read.
    Markdown,
    /// Every branch with all figures, for programs.
    Json,
}

/// An answer that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Asked {
    /// The conversation.
    pub conversation: ConversationSummary,
    /// The question, where a new one was asked.
    pub question: Option<StoredMessage>,
    /// The answer to be, still empty.
    pub answer: StoredMessage,
}

/// The words of the user's language in an exported conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ExportWords {
    /// Above the user's messages.
    pub you: String,
    /// Above answers of a model whose name is not known.
    pub model: String,
    /// Before the standing instruction.
    pub system_prompt: String,
    /// In place of an empty title.
    pub untitled: String,
    /// Title of the dialog that asks for a place.
    pub dialog: String,
}

/// What happens to an answer, for whoever watches it. The first event of a channel is always the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatEvent {
    /// The answer as it is at the moment of watching.
    Snapshot {
        /// The message.
        message: StoredMessage,
    },
    /// What the model does; changes of profile come as [`ChatEvent::Switched`].
    Answer {
        /// The event.
        event: AnswerEvent,
    },
    /// The answer goes on in another profile.
    Switched {
        /// The change and where it fell.
        placed: PlacedSwitch,
    },
}

impl ChatEvent {
    /// The same with the reasons of switches in words.
    #[must_use]
    pub fn in_words(mut self, language: Language) -> Self {
        match &mut self {
            Self::Snapshot { message } => message.put_into_words(language),
            Self::Switched { placed } => placed.put_into_words(language),
            Self::Answer { .. } => {}
        }
        self
    }
}

/// TypeScript declarations of these types, in an order that reads.
pub(crate) fn declarations(config: &Config) -> Vec<String> {
    vec![
        ConversationSummary::decl(config),
        MessageState::decl(config),
        PlacedSwitch::decl(config),
        AnswerRecord::decl(config),
        StoredMessage::decl(config),
        ConversationSettings::decl(config),
        ConversationView::decl(config),
        StoreNotice::decl(config),
        ChatSnapshot::decl(config),
        TextSegment::decl(config),
        SearchHit::decl(config),
        ExportFormat::decl(config),
        Asked::decl(config),
        ExportWords::decl(config),
        ChatEvent::decl(config),
    ]
}

#[cfg(test)]
mod tests {
    use workly_core::switch_plan::SwitchStrategy;
    use workly_core::why::{Why, WorkerFault, WorkerFaultKind};

    use super::*;

    #[test]
    fn a_reason_is_in_words_for_the_window_and_a_code_in_the_store() {
        let switch = AnswerSwitch {
            from: Profile::Performance,
            to: Profile::CpuFallback,
            why: Why::Worker { fault: WorkerFault { kind: WorkerFaultKind::Killed, signal: Some(9), exit_code: None } },
            strategy: SwitchStrategy::Standby,
            at_token: 3,
            gap_ms: 20.0,
            vram_released_ms: None,
            state_bytes: None,
            saved_in_ms: None,
            restored_in_ms: None,
        };
        let placed = PlacedSwitch { switch, at_text: 5, why_text: String::new() };
        let kept = serde_json::to_value(&placed).unwrap();
        assert!(kept.get("why_text").is_none(), "{kept}");
        assert_eq!(serde_json::from_value::<PlacedSwitch>(kept).unwrap(), placed);

        let said = |event: ChatEvent, language| match event.in_words(language) {
            ChatEvent::Switched { placed } => placed.why_text,
            ChatEvent::Snapshot { message } => message.answer.unwrap().switches[0].why_text.clone(),
            ChatEvent::Answer { .. } => String::new(),
        };
        let message = StoredMessage {
            id: 1,
            parent: None,
            role: Role::Assistant,
            content: "Hello there".into(),
            state: MessageState::Streaming,
            created_ms: 0,
            siblings: vec![1],
            answer: Some(AnswerRecord { switches: vec![placed.clone()], ..AnswerRecord::default() }),
        };
        for event in [ChatEvent::Switched { placed }, ChatEvent::Snapshot { message }] {
            let english = said(event.clone(), Language::English);
            assert_eq!(english, "the model process was ended from outside (SIGKILL)");
            assert_eq!(said(event, Language::French), "le processus du modèle a été arrêté de l’extérieur (SIGKILL)");
        }
    }

    #[test]
    fn settings_that_say_nothing_are_the_defaults_with_a_seed_of_their_own() {
        let settings = ConversationSettings::default();
        assert_eq!(settings.sampling(7), Sampling { seed: 7, ..Sampling::default() });
        let settings = ConversationSettings { temperature: Some(0.0), seed: Some(1), ..settings };
        assert_eq!(settings.sampling(7), Sampling { temperature: 0.0, seed: 1, ..Sampling::default() });
    }

    #[test]
    fn an_event_of_the_model_keeps_its_own_shape_inside() {
        let event = ChatEvent::Answer { event: AnswerEvent::Resumed };
        let json = serde_json::json!({ "type": "answer", "event": { "type": "resumed" } });
        assert_eq!(serde_json::to_value(event).unwrap(), json);
    }
}
