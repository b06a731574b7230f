//! Titles made from first messages.

/// Longest title made from a first message, characters.
const TITLE_LENGTH: usize = 60;

/// The beginning of a message as a title: its first line that says something, without Markdown's marks.
pub(crate) fn title_of(message: &str) -> String {
    let line = message.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || "#>*`-".contains(c)));
    shortened(line.into_iter().find(|line| !line.is_empty()).unwrap_or_default(), TITLE_LENGTH)
}

/// One line of at most `length` characters, cut between words where that leaves most of it.
pub(crate) fn shortened(text: &str, length: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(length) else { return line };
    let cut = &line[..end];
    let at_word = cut.rfind(' ').filter(|at| *at > end / 2).map_or(cut, |at| &cut[..at]);
    format!("{}…", at_word.trim_end_matches([',', ';', ':', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_that_says_something() {
        assert_eq!(title_of("\n\n## **Hello** there\nmore"), "Hello** there");
        assert_eq!(title_of("```\nlet x = 1;\n```"), "let x = 1;");
        assert_eq!(title_of("   "), "");
    }

    #[test]
    fn a_long_title_is_cut_between_words() {
        let title = title_of("Explain to me, slowly and in simple words, what a graphics card is good for today");
        assert_eq!(title, "Explain to me, slowly and in simple words, what a graphics…");
        assert_eq!(title_of(&"é".repeat(100)).chars().count(), TITLE_LENGTH + 1);
    }
}
