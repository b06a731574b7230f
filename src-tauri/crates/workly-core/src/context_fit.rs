//! Fitting a conversation into a model's context: which of the oldest turns are left out, and the prompt that remains.
//!
//! Each message is counted once: what was counted stays known from one answer to the next. Once the context is full,
//! enough turns go at once that the prompts of the following answers begin alike, so that the KV cache still holds most
//! of each. Not here: the model's template and tokenizer, which come in as functions.

use std::collections::{BTreeMap, HashMap};

use crate::chat::{Message, Role};

/// Percent of the room for turns that stay taken when turns are left out. The rest is for the turns to come.
const KEPT_PERCENT: usize = 60;
/// Bytes that are counted at once, so that whoever waits can stop it.
const PIECE_BYTES: usize = 4_096;
/// Where to look for characters that no message contains: a plane of Unicode that is free for private use.
const PRIVATE_USE: std::ops::RangeInclusive<char> = '\u{F0000}'..='\u{FFFFD}';

/// The tokens of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Tokens there are in all.
    pub context: usize,
    /// Of these, tokens that are kept free for the answer where leaving out turns can do it.
    pub answer: usize,
}

/// What became of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It fits.
    Prompt {
        /// Token ids.
        tokens: Vec<i32>,
        /// How many of the oldest turns were left out; a turn is a user message with its answer.
        dropped_turns: u32,
    },
    /// The system prompt and the last question alone are too long for the context.
    TooLong {
        /// Tokens they take, about.
        tokens: usize,
    },
}

/// Tokens of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnTokens {
    /// Tokens of its first message, the question.
    pub question: usize,
    /// Tokens of all its messages.
    pub whole: usize,
}

/// The first turn of a conversation that is kept, where all that are kept may take `room` tokens.
///
/// The conversation is gone through from its start, question by question: whenever one does not fit, the oldest turns
/// go until what remains takes 60 % of the room. So the same turns are left out answer after answer, until the room is
/// full again. The last turn is always kept.
pub fn first_kept_turn(turns: &[TurnTokens], room: usize) -> usize {
    let target = room * KEPT_PERCENT / 100;
    let (mut first, mut earlier) = (0, 0);
    for (index, turn) in turns.iter().enumerate() {
        let asked = if index + 1 == turns.len() { turn.whole } else { turn.question };
        if earlier + asked > room {
            while first < index && earlier + asked > target {
                earlier -= turns[first].whole;
                first += 1;
            }
        }
        earlier += turn.whole;
    }
    first
}

/// Makes prompts of conversations, and remembers what their messages take.
#[derive(Debug, Default)]
pub struct PromptFitter {
    /// By their first character.
    controls: BTreeMap<char, Vec<String>>,
    /// Token counts of the pieces of text of the last conversation.
    known: HashMap<String, usize>,
}

impl PromptFitter {
    /// `controls`: the texts that the tokenizer takes for control tokens. Where a message contains one, it is text like
    /// any other: who writes `<|im_end|>` ends nothing.
    pub fn new(controls: impl IntoIterator<Item = String>) -> Self {
        let mut by_first: BTreeMap<char, Vec<String>> = BTreeMap::new();
        for control in controls {
            let mut characters = control.chars();
            // A single character cannot be cut.
            if let (Some(first), Some(_)) = (characters.next(), characters.next()) {
                by_first.entry(first).or_default().push(control);
            }
        }
        Self { controls: by_first, known: HashMap::new() }
    }

    /// The prompt for `messages`, without the oldest turns where the room is short, but never without the system prompt
    /// and the last question.
    ///
    /// `render` applies the model's template; it is called twice, where the template adds nothing unforeseen. `tokenize`
    /// is given each message that is not known yet, in pieces, and then the prompt.
    ///
    /// # Errors
    ///
    /// Those of `render` and `tokenize`.
    pub fn fit<E>(
        &mut self,
        messages: &[Message],
        room: Room,
        render: impl Fn(&[Message]) -> Result<String, E>,
        mut tokenize: impl FnMut(&str) -> Result<Vec<i32>, E>,
    ) -> Result<Fit, E> {
        let marks = Marks::absent_from(messages);
        let plain: Vec<Message> = messages.iter().map(|message| marks.disarm(message, &self.controls)).collect();
        let mut counting = Counting { marks, before: std::mem::take(&mut self.known), now: HashMap::new() };
        let counted = match counting.measure(&plain, &render, &mut tokenize) {
            Ok(counted) => counted,
            Err(error) => {
                // What is known already need not be counted again the next time.
                self.known = counting.before;
                self.known.extend(counting.now);
                return Err(error);
            }
        };
        self.known = counting.now;

        let last = counted.turns.len().saturating_sub(1);
        let least = counted.fixed + counted.turns.last().map_or(0, |turn| turn.whole);
        // Pieces take up to a token more than the whole.
        if least > room.context + counted.pieces {
            return Ok(Fit::TooLong { tokens: least });
        }
        let limit = room.context.saturating_sub(room.answer);
        let mut first = first_kept_turn(&counted.turns, limit.saturating_sub(counted.fixed));
        loop {
            let kept: Vec<Message> =
                plain[..counted.head].iter().chain(&plain[counted.start_of(first)..]).cloned().collect();
            let mut tokens = Vec::new();
            for piece in render(&kept)?.split(marks.gap) {
                tokens.extend(tokenize(piece)?);
            }
            if tokens.len() <= limit || (first == last && tokens.len() < room.context) {
                return Ok(Fit::Prompt { tokens, dropped_turns: first as u32 });
            }
            if first == last {
                return Ok(Fit::TooLong { tokens: tokens.len() });
            }
            // A template that shows a shorter conversation at greater length.
            first += (last - first).div_ceil(2);
        }
    }
}

/// Characters that no message contains.
#[derive(Debug, Clone, Copy)]
struct Marks {
    /// Stands around the number of a message, at its end.
    end: char,
    /// Parts what must not be read as one token.
    gap: char,
}

impl Marks {
    fn absent_from(messages: &[Message]) -> Self {
        let is_absent = |mark: &char| messages.iter().all(|message| !message.content.contains(*mark));
        let mut absent = PRIVATE_USE.filter(is_absent);
        // A message that contains all 65,534 of them is no text.
        let mut next = || absent.next().unwrap_or(*PRIVATE_USE.end());
        Self { end: next(), gap: next() }
    }

    /// The message with a gap in every text that would be a control token.
    fn disarm(self, message: &Message, controls: &BTreeMap<char, Vec<String>>) -> Message {
        let text = &message.content;
        let mut content = String::with_capacity(text.len());
        for (index, character) in text.char_indices() {
            content.push(character);
            let mut starting = controls.get(&character).into_iter().flatten();
            if starting.any(|control| text[index..].starts_with(control.as_str())) {
                content.push(self.gap);
            }
        }
        Message { role: message.role, content }
    }

    fn marked(self, messages: &[Message]) -> Vec<Message> {
        let mark = |(number, message): (usize, &Message)| {
            Message::new(message.role, format!("{}{end}{number}{end}", message.content, end = self.end))
        };
        messages.iter().enumerate().map(mark).collect()
    }

    /// The parts of a rendered conversation that end with a message, each with its message's number, and what follows
    /// after the last of them. What a template does not show has no part.
    fn parts(self, rendered: &str) -> (Vec<(usize, &str)>, &str) {
        let mut parts = Vec::new();
        let mut rest = rendered;
        while let Some((part, (number, after))) =
            rest.split_once(self.end).and_then(|(part, after)| Some((part, after.split_once(self.end)?)))
        {
            parts.push((number.parse().unwrap_or(0), part));
            rest = after;
        }
        (parts, rest)
    }
}

/// What a conversation takes.
struct Counted {
    /// Messages of the system at the start.
    head: usize,
    /// Tokens that are always there: the system prompt, and what the template adds around the conversation.
    fixed: usize,
    turns: Vec<TurnTokens>,
    /// Where each turn begins, among all messages.
    starts: Vec<usize>,
    /// Pieces that were counted apart.
    pieces: usize,
}

impl Counted {
    fn start_of(&self, turn: usize) -> usize {
        self.starts.get(turn).copied().unwrap_or(self.head)
    }
}

struct Counting {
    marks: Marks,
    before: HashMap<String, usize>,
    now: HashMap<String, usize>,
}

impl Counting {
    fn measure<E>(
        &mut self,
        messages: &[Message],
        render: &impl Fn(&[Message]) -> Result<String, E>,
        tokenize: &mut impl FnMut(&str) -> Result<Vec<i32>, E>,
    ) -> Result<Counted, E> {
        let marks = self.marks;
        let rendered = render(&marks.marked(messages))?;
        let (parts, tail) = marks.parts(&rendered);
        let head = messages.iter().take_while(|message| message.role == Role::System).count();
        let mut fixed = self.count(tail, tokenize)?;
        let mut counts = vec![0; messages.len()];
        for (number, mut part) in parts {
            // Without a system prompt, what the template begins with stands before the first message, and stays when
            // that one goes.
            if number == 0 && head == 0 {
                let opening = opening(part, messages);
                fixed += self.count(opening, tokenize)?;
                part = &part[opening.len()..];
            }
            if let Some(count) = counts.get_mut(number) {
                *count += self.count(part, tokenize)?;
            }
        }
        fixed += counts[..head].iter().sum::<usize>();
        let starts: Vec<usize> =
            (head..messages.len()).filter(|index| *index == head || messages[*index].role == Role::User).collect();
        let ends = starts.iter().skip(1).copied().chain([messages.len()]);
        let turns = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| TurnTokens { question: counts[*start], whole: counts[*start..end].iter().sum() })
            .collect();
        let pieces = self.now.keys().map(|text| text.len().div_ceil(PIECE_BYTES)).sum();
        Ok(Counted { head, fixed, turns, starts, pieces })
    }

    /// Tokens of a text.
    fn count<E>(&mut self, text: &str, tokenize: &mut impl FnMut(&str) -> Result<Vec<i32>, E>) -> Result<usize, E> {
        if let Some(count) = self.now.get(text) {
            return Ok(*count);
        }
        let mut count = 0;
        if let Some(known) = self.before.remove(text) {
            count = known;
        } else {
            for piece in text.split(self.marks.gap).flat_map(pieces) {
                count += tokenize(piece)?.len();
            }
        }
        self.now.insert(text.to_owned(), count);
        Ok(count)
    }
}

/// What a template writes before the first message.
fn opening<'part>(part: &'part str, messages: &[Message]) -> &'part str {
    let content = messages.first().map_or("", |message| message.content.trim());
    part.find(content).map_or("", |start| &part[..start])
}

/// A text in pieces that are counted at once, cut before a space where there is one near.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let longest = rest.floor_char_boundary(PIECE_BYTES);
        let end = if longest == rest.len() {
            longest
        } else {
            rest[..longest].rfind(' ').filter(|space| *space > 0).unwrap_or(longest)
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests;
