//! From token pieces to text: whole characters only, and nothing of a stop string.

use serde::{Deserialize, Serialize};

/// Bytes of an answer that could not be given out yet; travels with a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerText {
    /// Bytes of a character that is not complete.
    incomplete: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
    stop_strings: Vec<String>,
}

/// What a piece adds to the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Text to give out now; empty where the piece completes no character or may begin a stop string.
    pub text: String,
    /// A stop string was reached: the answer ends after `text`.
    pub stopped: bool,
}

impl AnswerText {
    /// An empty answer that ends at any of `stop_strings`; empty ones are ignored.
    pub fn new(stop_strings: Vec<String>) -> Self {
        let stop_strings = stop_strings.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { incomplete: Vec::new(), held: String::new(), stop_strings }
    }

    /// Adds the bytes of one token.
    pub fn push(&mut self, piece: &[u8]) -> Added {
        self.incomplete.extend_from_slice(piece);
        let complete = take_complete(&mut self.incomplete);
        self.held.push_str(&complete);
        if let Some(start) = self.stop_strings.iter().filter_map(|stop| self.held.find(stop)).min() {
            let text = self.held[..start].to_owned();
            self.held.clear();
            self.incomplete.clear();
            return Added { text, stopped: true };
        }
        let keep = self.stop_strings.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let held = self.held.split_off(self.held.len() - keep);
        Added { text: std::mem::replace(&mut self.held, held), stopped: false }
    }

    /// Whether something is held back that the next piece, or the end, will give out.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty() || !self.incomplete.is_empty()
    }

    /// What is left at the end: text that turned out not to be a stop string, and a replacement character for a
    /// character that was never completed.
    pub fn finish(&mut self) -> String {
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.incomplete)));
        text
    }
}

/// Takes all complete characters off the front; bytes that can never be a character become U+FFFD.
fn take_complete(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        match std::str::from_utf8(bytes) {
            Ok(valid) => {
                text.push_str(valid);
                bytes.clear();
                return text;
            }
            Err(error) => {
                text.push_str(&String::from_utf8_lossy(&bytes[..error.valid_up_to()]));
                let Some(invalid) = error.error_len() else {
                    bytes.drain(..error.valid_up_to());
                    return text;
                };
                text.push(char::REPLACEMENT_CHARACTER);
                bytes.drain(..error.valid_up_to() + invalid);
            }
        }
    }
}

/// Bytes at the end of `text` that are a beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    (1..=stop.len().min(text.len()))
        .rev()
        .find(|length| stop.is_char_boundary(*length) && text.ends_with(&stop[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(text: &mut AnswerText, pieces: &[&[u8]]) -> Vec<String> {
        pieces.iter().map(|piece| text.push(piece).text).collect()
    }

    #[test]
    fn a_character_split_over_tokens_is_given_out_whole() {
        let mut text = AnswerText::new(vec![]);
        let bytes = "🦀".as_bytes();
        assert_eq!(feed(&mut text, &[b"a", &bytes[..1], &bytes[1..3], &bytes[3..], b"b"]), ["a", "", "", "🦀", "b"]);
        assert_eq!(text.finish(), "");
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        let mut text = AnswerText::new(vec![]);
        assert_eq!(feed(&mut text, &[b"a\xffb"]), ["a\u{fffd}b"]);
        assert_eq!(feed(&mut text, &[b"\xe2\x82"]), [""]);
        assert_eq!(text.finish(), "\u{fffd}");
    }

    #[test]
    fn a_stop_string_over_several_tokens_never_shows() {
        let mut text = AnswerText::new(vec!["</end>".into()]);
        assert_eq!(feed(&mut text, &[b"hello <", b"/e"]), ["hello ", ""]);
        assert_eq!(text.push(b"nd> more"), Added { text: String::new(), stopped: true });
        assert_eq!(text.finish(), "");
    }

    #[test]
    fn a_false_beginning_of_a_stop_string_is_given_out() {
        let mut text = AnswerText::new(vec!["</end>".into(), "###".into()]);
        assert_eq!(feed(&mut text, &[b"a </", b"b> #", b"x"]), ["a ", "</b> ", "#x"]);
        assert_eq!(feed(&mut text, &[b"##"]), [""]);
        assert_eq!(text.finish(), "##");
    }

    #[test]
    fn the_earliest_stop_string_wins() {
        let mut text = AnswerText::new(vec!["two".into(), "one".into()]);
        assert_eq!(text.push(b"zero one two"), Added { text: "zero ".into(), stopped: true });
    }

    #[test]
    fn stop_strings_of_wide_characters_do_not_split_them() {
        let mut text = AnswerText::new(vec!["終わり".into()]);
        assert_eq!(feed(&mut text, &["これは終".as_bytes(), "点".as_bytes()]), ["これは", "終点"]);
    }
}
