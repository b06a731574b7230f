//! The chat for a person at a terminal: line editing, history, Ctrl-C stops the answer and not the program.

use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use workly_files::places;

use super::output::Output;
use super::turn::{Conversation, Ended};

const HELP: &str = "Type a message and press Enter. End a line with \\ to go on in the next.\n\
    /new starts a new conversation, /help shows this, /quit or Ctrl-D leaves. Ctrl-C stops an answer.";

pub(crate) async fn run(conversation: &mut Conversation, output: &mut Output) -> anyhow::Result<()> {
    conversation.load(output).await?;
    output.remark("/help lists the commands, Ctrl-D leaves");
    let mut editor = DefaultEditor::new()?;
    let history = history_file();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    loop {
        let (returned, line) = tokio::task::spawn_blocking(move || {
            let line = read_message(&mut editor);
            (editor, line)
        })
        .await?;
        editor = returned;
        let line = match line {
            Ok(line) => line,
            // At the prompt there is no answer to stop: an empty line, as in a shell.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        match line.trim() {
            "" => {}
            "/quit" | "/exit" => break,
            "/help" => output.remark(HELP),
            "/new" => {
                conversation.clear();
                output.remark("A new conversation.");
            }
            unknown if is_command(unknown) => {
                output.remark(&format!("There is no command {unknown}. /help lists them."));
            }
            _ => {
                editor.add_history_entry(&line)?;
                if let Some(path) = &history {
                    // A history that cannot be kept is no reason to stop talking.
                    let _ = editor.save_history(path);
                }
                if let Ended::Failed(problem) = conversation.answer(line, output).await? {
                    output.remark(&problem.message);
                }
            }
        }
    }
    Ok(())
}

/// Whether a line is meant as a command: a single word after a slash, which a path is not.
fn is_command(line: &str) -> bool {
    line.strip_prefix('/').is_some_and(|word| !word.is_empty() && word.chars().all(char::is_alphabetic))
}

/// Reads one message, which goes on over lines that end in a backslash.
fn read_message(editor: &mut DefaultEditor) -> rustyline::Result<String> {
    let mut message = editor.readline("> ")?;
    while let Some(rest) = message.strip_suffix('\\') {
        message = format!("{rest}\n{}", editor.readline("… ")?);
    }
    Ok(message)
}

fn history_file() -> Option<PathBuf> {
    let folder = places::data_dir()?;
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("chat-history.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_not_taken_for_a_command() {
        assert!(is_command("/bye"));
        assert!(!is_command("/etc/passwd is a file"));
        assert!(!is_command("hello /new"));
    }
}
