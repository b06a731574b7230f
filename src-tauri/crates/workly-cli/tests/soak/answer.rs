//! One answer, counted: what was told of it, what was told twice, what is missing.

use std::collections::HashMap;

use workly_core::problem::Problem;
use workly_wire::answer::{AnswerEvent, AnswerStats};

/// Text of tokens as it was told before. A token that has whole characters has the same text wherever it is written.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary(HashMap<i32, String>);

impl Vocabulary {
    /// Whether the text may be this token's.
    fn fits(&mut self, id: i32, text: &str) -> bool {
        // What is held back for a character's other bytes is told with a later token.
        if text.is_empty() || !text.is_ascii() {
            return true;
        }
        let known = self.0.entry(id).or_insert_with(|| text.to_owned());
        known == text || !known.is_ascii()
    }
}

/// What was heard of an answer.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Index of the token that is to be told next.
    pub(crate) next: u32,
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    /// Tokens with another text than theirs.
    pub(crate) wrong_texts: u32,
    /// Ends: there is to be one.
    pub(crate) ends: u32,
    pub(crate) stats: Option<AnswerStats>,
    pub(crate) problem: Option<Problem>,
    /// Changes of workers that were told.
    pub(crate) switches: u32,
}

impl Heard {
    /// Counts an event.
    pub(crate) fn hear(&mut self, event: &AnswerEvent, vocabulary: &mut Vocabulary) {
        match event {
            AnswerEvent::Token { index, id, text, .. } => {
                self.lost += index.saturating_sub(self.next);
                self.repeated += u32::from(*index < self.next);
                self.next = self.next.max(index + 1);
                self.wrong_texts += u32::from(!vocabulary.fits(*id, text));
                // After its end nothing comes.
                self.repeated += u32::from(self.ends > 0);
            }
            AnswerEvent::Done(stats) => {
                self.ends += 1;
                self.lost += stats.tokens.saturating_sub(self.next);
                self.stats = Some(stats.clone());
            }
            AnswerEvent::Failed(problem) => {
                self.ends += 1;
                self.problem = Some(problem.clone());
            }
            AnswerEvent::Switched(_) => self.switches += 1,
            _ => {}
        }
    }

    /// Whether all of so many tokens are there, each once and in order, with one end.
    pub(crate) fn is_whole(&self, tokens: u32) -> bool {
        (self.lost, self.repeated, self.wrong_texts, self.ends, self.next) == (0, 0, 0, 1, tokens)
            && self.stats.as_ref().is_some_and(|stats| stats.tokens == tokens)
    }
}

#[cfg(test)]
mod tests {
    use workly_core::answer::StopReason;
    use workly_core::profile::Profile;

    use super::*;

    fn heard(indexes: &[u32], done: u32) -> Heard {
        let (mut heard, mut vocabulary) = (Heard::default(), Vocabulary::default());
        for index in indexes {
            let text = format!("{index} ");
            let event =
                AnswerEvent::Token { index: *index, id: index.cast_signed(), text, profile: Profile::CpuFallback };
            heard.hear(&event, &mut vocabulary);
        }
        let stats = AnswerStats {
            tokens: done,
            tokens_per_second: 1.0,
            prompt_tokens: 1,
            cached_prompt_tokens: 0,
            time_to_first_token_ms: 1.0,
            stop: StopReason::Length,
        };
        heard.hear(&AnswerEvent::Done(stats), &mut vocabulary);
        heard
    }

    #[test]
    fn what_is_missing_or_told_twice_is_counted() {
        let count = |indexes: &[u32], done| {
            let heard = heard(indexes, done);
            (heard.lost, heard.repeated, heard.is_whole(3))
        };
        assert_eq!(count(&[0, 1, 2], 3), (0, 0, true));
        assert_eq!(count(&[0, 2], 3), (1, 0, false));
        assert_eq!(count(&[0, 1, 1, 2], 3), (0, 1, false));
        assert_eq!(count(&[0, 1], 3), (1, 0, false));
    }

    #[test]
    fn a_token_with_another_text_than_before_is_noticed() {
        let mut vocabulary = Vocabulary::default();
        assert!(vocabulary.fits(1, " the") && vocabulary.fits(1, " the") && vocabulary.fits(1, ""));
        assert!(!vocabulary.fits(1, " a"));
        assert!(vocabulary.fits(2, "é") && vocabulary.fits(2, "x"));
    }
}
