//! Finding words in titles and messages.

use std::collections::{HashMap, HashSet};

use rusqlite::params;
use workly_wire::chat::{SearchHit, TextSegment};

use crate::database::Store;
use crate::error::Stored;

/// Most conversations that are shown.
const MOST_HITS: usize = 50;
/// Most messages that are looked at, the newest first: a common word is in all of them, and the list is short.
const MOST_MESSAGES: usize = 10_000;
/// Words around what was found.
const SNIPPET_WORDS: u32 = 14;
/// What stands around a found word until it becomes a segment; nobody types these.
const FOUND: char = '\u{e000}';
const END: char = '\u{e001}';

impl Store {
    /// The conversations whose title or messages hold every word of `query`, words that begin like that included.
    /// Newest first; accents and case do not matter.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn search(&self, query: &str) -> Stored<Vec<SearchHit>> {
        let Some(wanted) = to_match(query) else { return Ok(Vec::new()) };
        let newest = self.newest_messages(&wanted)?;
        let titles = self.titles(&wanted)?;
        let found: Vec<i64> = newest.of.values().copied().collect();
        let mut snippets = self.snippets(&wanted, &found)?;
        let mut hits = Vec::new();
        for conversation in newest.order.iter().chain(titles.order.iter()).copied().collect::<Unique>().0 {
            let summary = self.summary(conversation)?;
            let message = newest.of.get(&conversation).copied();
            let snippet = message.and_then(|id| snippets.remove(&id)).unwrap_or_default();
            let title = match titles.of.get(&conversation) {
                Some(marked) => to_segments(marked),
                None => vec![TextSegment { text: summary.title.clone(), found: false }],
            };
            hits.push(SearchHit { conversation: summary, title, message, snippet });
        }
        hits.sort_by_key(|hit| std::cmp::Reverse((hit.conversation.updated_ms, hit.conversation.id)));
        hits.truncate(MOST_HITS);
        Ok(hits)
    }

    /// The newest message of each conversation that matches.
    fn newest_messages(&self, wanted: &str) -> Stored<Found<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT m.conversation, m.id FROM message_text JOIN messages m ON m.id = message_text.rowid
             JOIN conversations c ON c.id = m.conversation
             WHERE message_text MATCH ?1 AND c.deleted_ms IS NULL ORDER BY message_text.rowid DESC",
        )?;
        let mut rows = statement.query([wanted])?;
        let mut found = Found::default();
        for _ in 0..MOST_MESSAGES {
            let Some(row) = rows.next()? else { break };
            found.add(row.get(0)?, row.get(1)?);
            if found.order.len() >= MOST_HITS {
                break;
            }
        }
        Ok(found)
    }

    fn titles(&self, wanted: &str) -> Stored<Found<String>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT c.id, highlight(title_text, 0, '{FOUND}', '{END}') FROM title_text
             JOIN conversations c ON c.id = title_text.rowid
             WHERE title_text MATCH ?1 AND c.deleted_ms IS NULL ORDER BY c.updated_ms DESC LIMIT {MOST_HITS}"
        ))?;
        let mut rows = statement.query([wanted])?;
        let mut found = Found::default();
        while let Some(row) = rows.next()? {
            found.add(row.get(0)?, row.get(1)?);
        }
        Ok(found)
    }

    /// What surrounds the found words in these messages. One query for all of them: for the beginning of a word each query
    /// goes through every word that begins so.
    fn snippets(&self, wanted: &str, messages: &[i64]) -> Stored<HashMap<i64, Vec<TextSegment>>> {
        let (Some(first), Some(last)) = (messages.iter().min(), messages.iter().max()) else {
            return Ok(HashMap::new());
        };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT rowid, snippet(message_text, 0, '{FOUND}', '{END}', '…', {SNIPPET_WORDS}) FROM message_text
             WHERE message_text MATCH ?1 AND rowid BETWEEN ?2 AND ?3 AND +rowid IN (SELECT value FROM json_each(?4))"
        ))?;
        let list = serde_json::Value::from(messages).to_string();
        let mut rows = statement.query(params![wanted, first, last, list])?;
        let mut snippets = HashMap::new();
        while let Some(row) = rows.next()? {
            snippets.insert(row.get(0)?, to_segments(&row.get::<_, String>(1)?));
        }
        Ok(snippets)
    }
}

/// What was found, by conversation, and in which order.
struct Found<T> {
    order: Vec<i64>,
    of: HashMap<i64, T>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { order: Vec::new(), of: HashMap::new() }
    }
}

impl<T> Found<T> {
    fn add(&mut self, conversation: i64, what: T) {
        if let std::collections::hash_map::Entry::Vacant(place) = self.of.entry(conversation) {
            place.insert(what);
            self.order.push(conversation);
        }
    }
}

/// Numbers in the order they first came.
struct Unique(Vec<i64>);

impl FromIterator<i64> for Unique {
    fn from_iter<I: IntoIterator<Item = i64>>(numbers: I) -> Self {
        let mut seen = HashSet::new();
        Self(numbers.into_iter().filter(|number| seen.insert(*number)).collect())
    }
}

/// The words of a query as FTS5 spells them: each as a beginning, all of them wanted. `None` where there is no word.
fn to_match(query: &str) -> Option<String> {
    let words: Vec<String> = query
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| format!("\"{}\"*", word.replace('"', "\"\"")))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Cuts a marked text at its marks. A text of one line: a snippet is shown in one.
fn to_segments(marked: &str) -> Vec<TextSegment> {
    let mut segments: Vec<TextSegment> = Vec::new();
    let mut found = false;
    for character in marked.chars() {
        match character {
            FOUND => found = true,
            END => found = false,
            other => {
                let other = if other.is_whitespace() { ' ' } else { other };
                match segments.last_mut().filter(|last| last.found == found) {
                    Some(last) if other == ' ' && last.text.ends_with(' ') => {}
                    Some(last) => last.text.push(other),
                    None => segments.push(TextSegment { text: other.into(), found }),
                }
            }
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_words_and_never_syntax() {
        assert_eq!(to_match("gpu OR near(").as_deref(), Some("\"gpu\"* \"OR\"* \"near(\"*"));
        assert_eq!(to_match("say \"hi\"").as_deref(), Some("\"say\"* \"\"\"hi\"\"\"*"));
        assert_eq!(to_match(" ?! - "), None);
    }

    #[test]
    fn a_marked_text_becomes_segments_of_one_line() {
        let segments = to_segments(&format!("a\n\n{FOUND}gpu{END} <b>"));
        let as_told: Vec<(&str, bool)> = segments.iter().map(|s| (s.text.as_str(), s.found)).collect();
        assert_eq!(as_told, [("a ", false), ("gpu", true), (" <b>", false)]);
    }
}
