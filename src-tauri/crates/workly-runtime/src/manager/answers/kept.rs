//! The checkpoints of conversations that nobody writes in at the moment: coming back to one reads nothing anew, whichever
//! worker there is by then.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use workly_core::chat::Message;

use crate::cpu::{SHORT, available_memory};
use crate::manager::answers::state_file::StateFile;

/// Most conversations.
const MOST: usize = 10;
/// Part of the memory to be had that they may take together.
const SHARE: u64 = 10;
/// Part of it that the checkpoints of an answer under way may take.
const SHARE_UNDER_WAY: u64 = 4;

/// Checkpoints with how much of the conversation they hold.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    pub(crate) file: StateFile,
    /// Tokens that are saved, as far as the worker told.
    pub(crate) tokens: u32,
    pub(crate) bytes: u64,
}

impl Checkpoints {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { file: StateFile::new(), tokens: 0, bytes: 0 }
    }
}

/// Those of conversations at rest, the one that was written in last at the end.
#[derive(Debug, Default)]
pub(crate) struct Kept(VecDeque<Conversation>);

#[derive(Debug)]
struct Conversation {
    /// A number for each message that the last answer was given to.
    messages: Vec<u64>,
    checkpoints: Checkpoints,
}

impl Kept {
    /// The checkpoints of the conversation that goes on with these messages, or empty ones; none where memory is short.
    pub(crate) fn take(&mut self, messages: &[Message]) -> Option<Checkpoints> {
        let messages = numbers(messages);
        let goes_on = |kept: &Conversation| messages.starts_with(&kept.messages);
        let longest = self.0.iter().enumerate().filter(|(_, kept)| goes_on(kept));
        let longest = longest.max_by_key(|(at, kept)| (kept.messages.len(), *at)).map(|(at, _)| at);
        match longest.and_then(|at| self.0.remove(at)) {
            Some(found) => Some(found.checkpoints),
            None if available_memory() < SHORT => None,
            None => Some(Checkpoints::new()),
        }
    }

    /// Keeps those of an answer that has ended, as far as there is room.
    pub(crate) fn keep(&mut self, messages: &[Message], checkpoints: Checkpoints) {
        if checkpoints.tokens > 0 {
            self.0.push_back(Conversation { messages: numbers(messages), checkpoints });
        }
        self.fit_into(available_memory());
    }

    /// The conversation that was written in last.
    pub(crate) fn latest(&self) -> Option<&StateFile> {
        self.0.back().map(|kept| &kept.checkpoints.file)
    }

    /// An answer under way has so many bytes of checkpoints by now. False where it must do without: others have made
    /// room already.
    pub(crate) fn make_room(&mut self, bytes: u64) -> bool {
        let available = available_memory();
        self.fit_into(available);
        if available >= SHORT && bytes <= available.saturating_add(bytes) / SHARE_UNDER_WAY {
            return true;
        }
        self.forget();
        false
    }

    /// All of another model, or of another shape.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    fn fit_into(&mut self, available: u64) {
        let mut bytes: u64 = self.0.iter().map(|kept| kept.checkpoints.bytes).sum();
        // What they take would be available without them.
        let room = if available < SHORT { 0 } else { available.saturating_add(bytes) / SHARE };
        while self.0.len() > MOST || bytes > room {
            let Some(oldest) = self.0.pop_front() else { return };
            bytes -= oldest.checkpoints.bytes;
        }
    }
}

/// A number for each message, the same for the same one.
fn numbers(messages: &[Message]) -> Vec<u64> {
    messages
        .iter()
        .map(|message| {
            let mut hasher = DefaultHasher::new();
            (message.role, &message.content).hash(&mut hasher);
            hasher.finish()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use workly_core::chat::Role;

    use super::*;

    fn said(texts: &[&str]) -> Vec<Message> {
        texts.iter().map(|text| Message::new(Role::User, *text)).collect()
    }

    fn checkpoints(tokens: u32, bytes: u64) -> Checkpoints {
        Checkpoints { file: StateFile::new(), tokens, bytes }
    }

    fn taken(kept: &mut Kept, texts: &[&str]) -> u32 {
        kept.take(&said(texts)).unwrap().tokens
    }

    #[test]
    fn a_conversation_that_goes_on_finds_its_own() {
        let mut kept = Kept::default();
        kept.keep(&said(&["one"]), checkpoints(1, 1));
        kept.keep(&said(&["one", "answer", "two"]), checkpoints(2, 1));
        kept.keep(&said(&["other"]), checkpoints(3, 1));
        assert_eq!(taken(&mut kept, &["one", "answer", "two", "answer", "three"]), 2);
        assert_eq!(taken(&mut kept, &["one", "another answer"]), 1);
        assert_eq!(taken(&mut kept, &["one"]), 0, "they are somebody's already");
        assert_eq!(taken(&mut kept, &["other"]), 3, "the same question asked again");
    }

    #[test]
    fn the_ten_last_are_kept_and_a_tenth_of_the_memory() {
        let mut kept = Kept::default();
        for number in 0..12_u32 {
            kept.keep(&said(&[&number.to_string()]), checkpoints(number + 1, 1));
        }
        assert_eq!((taken(&mut kept, &["1"]), taken(&mut kept, &["2"])), (0, 3));
        let mut kept = Kept::default();
        let part = available_memory() / 25;
        for number in 0..4_u32 {
            kept.keep(&said(&[&number.to_string()]), checkpoints(number + 1, part));
        }
        assert!(kept.0.len() < 4, "{} of four", kept.0.len());
        assert_eq!(kept.0.back().unwrap().checkpoints.tokens, 4);
        kept.fit_into(SHORT - 1);
        assert!(kept.0.is_empty());
    }

    #[test]
    fn an_answer_that_takes_too_much_makes_all_others_go_first() {
        let mut kept = Kept::default();
        kept.keep(&said(&["one"]), checkpoints(1, 1));
        assert!(kept.make_room(1 << 20));
        assert!(kept.latest().is_some());
        assert!(!kept.make_room(u64::MAX / 2));
        assert!(kept.latest().is_none());
    }
}
