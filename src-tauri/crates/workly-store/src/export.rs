//! Conversations as files: Markdown to read, JSON for programs.

use std::fmt::Write as _;

use serde_json::json;
use workly_core::chat::Role;
use workly_wire::chat::{ExportFormat, ExportWords, StoredMessage};

use crate::database::Store;
use crate::error::Stored;
use crate::files::stamp;
use crate::messages::{self, COLUMNS};

impl Store {
    /// A conversation as the text of a file.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn export(&self, id: i64, format: ExportFormat, words: &ExportWords) -> Stored<String> {
        match format {
            ExportFormat::Markdown => self.as_markdown(id, words),
            ExportFormat::Json => self.as_json(id),
        }
    }

    fn as_markdown(&self, id: i64, words: &ExportWords) -> Stored<String> {
        let view = self.view(id)?;
        let title = if view.summary.title.is_empty() { &words.untitled } else { &view.summary.title };
        let mut text = format!("# {title}\n");
        if !view.settings.system_prompt.is_empty() {
            let quoted = view.settings.system_prompt.replace('\n', "\n> ");
            let _ = write!(text, "\n> **{}**\n>\n> {quoted}\n", words.system_prompt);
        }
        for message in &view.messages {
            let speaker = match (message.role, &message.answer) {
                (Role::Assistant, answer) => {
                    answer.as_ref().and_then(|answer| answer.model.as_deref()).unwrap_or(&words.model)
                }
                _ => &words.you,
            };
            let _ = write!(text, "\n## {speaker}\n\n{}\n", message.content.trim());
        }
        Ok(text)
    }

    /// Every branch; `parent` tells how the messages hang together.
    fn as_json(&self, id: i64) -> Stored<String> {
        let view = self.view(id)?;
        let chosen: Vec<i64> = view.messages.iter().map(|message| message.id).collect();
        let mut beside = messages::siblings(&self.connection, id)?;
        let select = format!("SELECT {COLUMNS} FROM messages m WHERE m.conversation = ?1 ORDER BY m.id");
        let mut statement = self.connection.prepare_cached(&select)?;
        let all = statement.query_map([id], messages::to_message)?.collect::<Result<Vec<_>, _>>()?;
        let all: Vec<StoredMessage> = all
            .into_iter()
            .map(|message| StoredMessage {
                siblings: beside.get_mut(&message.parent).cloned().unwrap_or_default(),
                ..message
            })
            .collect();
        let document = json!({
            "format": "workly-conversation",
            "version": 1,
            "title": view.summary.title,
            "settings": view.settings,
            "chosen": chosen,
            "messages": all,
        });
        Ok(serde_json::to_string_pretty(&document)?)
    }

    /// A file name for an exported conversation, good on every system.
    ///
    /// # Errors
    ///
    /// When the conversation is not there.
    pub fn export_name(&self, id: i64, format: ExportFormat) -> Stored<String> {
        let summary = self.summary(id)?;
        let ending = match format {
            ExportFormat::Markdown => "md",
            ExportFormat::Json => "json",
        };
        let plain: String =
            summary.title.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { ' ' }).collect();
        let stem = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let stem = if stem.is_empty() { format!("Workly {}", stamp(summary.updated_ms)) } else { stem };
        Ok(format!("{stem}.{ending}"))
    }
}
