//! The messages of a conversation: a tree, of which one branch is chosen.

use std::collections::HashMap;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use workly_core::chat::{Message, Role};
use workly_wire::chat::{AnswerRecord, ConversationSettings, MessageState, StoredMessage};

use crate::database::{Store, exactly_one};
use crate::error::{StoreError, Stored};
use crate::titles::title_of;

/// Columns that [`to_message`] reads.
pub(crate) const COLUMNS: &str = "m.id, m.parent, m.role,
    m.content || coalesce((SELECT group_concat(text, '' ORDER BY start) FROM pieces WHERE message = m.id), ''),
    m.state, m.created_ms, m.record";

/// A question that was asked, the answer to be, and what the model is given.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The question, where a new one was asked.
    pub question: Option<StoredMessage>,
    /// The answer to be, still empty.
    pub answer: StoredMessage,
    /// What the model is given.
    pub messages: Vec<Message>,
    /// How the answer is written.
    pub settings: ConversationSettings,
}

impl Store {
    /// Adds a question at the end of the chosen branch, and an empty answer. The draft is used up.
    ///
    /// # Errors
    ///
    /// When the conversation is not there, or it cannot be kept.
    pub fn ask(&mut self, conversation: i64, text: &str, now_ms: i64) -> Stored<Begun> {
        let transaction = self.connection.transaction()?;
        let parent = end_of_branch(&transaction, conversation)?;
        let question = insert_question(&transaction, conversation, parent, text, now_ms)?;
        let answer = insert_answer(&transaction, conversation, question, now_ms)?;
        transaction.execute("UPDATE conversations SET draft = '' WHERE id = ?1", [conversation])?;
        let begun = begun(&transaction, conversation, Some(question), answer)?;
        transaction.commit()?;
        Ok(begun)
    }

    /// Puts another wording beside a question, and an empty answer under it.
    ///
    /// # Errors
    ///
    /// When the question is not there, or it cannot be kept.
    pub fn edit(&mut self, conversation: i64, message: i64, text: &str, now_ms: i64) -> Stored<Begun> {
        let transaction = self.connection.transaction()?;
        let (place, parent, role) = place_of(&transaction, message)?;
        if role != Role::User || place != conversation {
            return Err(StoreError::Missing);
        }
        let question = insert_question(&transaction, conversation, parent, text, now_ms)?;
        let answer = insert_answer(&transaction, conversation, question, now_ms)?;
        let begun = begun(&transaction, conversation, Some(question), answer)?;
        transaction.commit()?;
        Ok(begun)
    }

    /// Puts an empty answer beside another one. One that never said anything gives its place up.
    ///
    /// # Errors
    ///
    /// When the answer is not there, or it cannot be kept.
    pub fn regenerate(&mut self, conversation: i64, message: i64, now_ms: i64) -> Stored<Begun> {
        let transaction = self.connection.transaction()?;
        let (place, parent, role) = place_of(&transaction, message)?;
        let is_answer = role == Role::Assistant && place == conversation;
        let question = parent.filter(|_| is_answer).ok_or(StoreError::Missing)?;
        transaction.execute(
            "DELETE FROM messages WHERE id = ?1 AND content = '' AND state <> 'streaming'
             AND NOT EXISTS (SELECT 1 FROM messages WHERE parent = ?1)",
            [message],
        )?;
        let answer = insert_answer(&transaction, conversation, question, now_ms)?;
        touch(&transaction, conversation, None, now_ms)?;
        let begun = begun(&transaction, conversation, None, answer)?;
        transaction.commit()?;
        Ok(begun)
    }

    /// Chooses the branch that holds a message; below it, the one chosen there last. Returns the conversation.
    ///
    /// # Errors
    ///
    /// When the message is not there.
    pub fn choose(&mut self, message: i64) -> Stored<i64> {
        let transaction = self.connection.transaction()?;
        let (conversation, ..) = place_of(&transaction, message)?;
        let up = "
            WITH RECURSIVE up (id, parent) AS (
                SELECT id, parent FROM messages WHERE id = ?1
                UNION ALL SELECT m.id, m.parent FROM up JOIN messages m ON m.id = up.parent
            ) ";
        transaction.execute(
            &format!(
                "{up} UPDATE messages SET active_child = up.id FROM up
                 WHERE messages.id = up.parent AND messages.active_child IS NOT up.id"
            ),
            [message],
        )?;
        transaction.execute(
            &format!(
                "{up} UPDATE conversations SET active_root = up.id FROM up
                      WHERE up.parent IS NULL AND conversations.id = ?2"
            ),
            [message, conversation],
        )?;
        transaction.commit()?;
        Ok(conversation)
    }
}

fn begun(transaction: &Transaction<'_>, conversation: i64, question: Option<i64>, answer: i64) -> Stored<Begun> {
    let settings: String =
        transaction.query_row("SELECT settings FROM conversations WHERE id = ?1", [conversation], |row| row.get(0))?;
    let settings: ConversationSettings = serde_json::from_str(&settings).unwrap_or_default();
    Ok(Begun {
        question: question.map(|id| one(transaction, id)).transpose()?,
        answer: one(transaction, answer)?,
        messages: spoken(transaction, answer, &settings.system_prompt)?,
        settings,
    })
}

/// Something was said: the conversation moves to the top, and takes its title from its first message.
fn touch(transaction: &Transaction<'_>, id: i64, first_message: Option<&str>, now_ms: i64) -> Stored<()> {
    let changed = transaction.execute("UPDATE conversations SET updated_ms = ?2 WHERE id = ?1", [id, now_ms])?;
    exactly_one(changed)?;
    if let Some(message) = first_message {
        transaction.execute(
            "UPDATE conversations SET title = ?2 WHERE id = ?1 AND NOT is_renamed",
            params![id, title_of(message)],
        )?;
    }
    Ok(())
}

/// The last message of the chosen branch.
fn end_of_branch(transaction: &Transaction<'_>, conversation: i64) -> Stored<Option<i64>> {
    let down = "
        WITH RECURSIVE down (id, child) AS (
            SELECT m.id, m.active_child FROM conversations c JOIN messages m ON m.id = c.active_root WHERE c.id = ?1
            UNION ALL SELECT m.id, m.active_child FROM down JOIN messages m ON m.id = down.child
        ) SELECT id FROM down WHERE child IS NULL";
    Ok(transaction.query_row(down, [conversation], |row| row.get(0)).optional()?)
}

fn place_of(transaction: &Transaction<'_>, message: i64) -> Stored<(i64, Option<i64>, Role)> {
    let select = "
        SELECT m.conversation, m.parent, m.role FROM messages m JOIN conversations c ON c.id = m.conversation
        WHERE m.id = ?1 AND c.deleted_ms IS NULL";
    let found = transaction.query_row(select, [message], |row| {
        let Speaker(role) = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, role))
    });
    found.optional()?.ok_or(StoreError::Missing)
}

fn insert_question(
    transaction: &Transaction<'_>,
    conversation: i64,
    parent: Option<i64>,
    text: &str,
    now_ms: i64,
) -> Stored<i64> {
    touch(transaction, conversation, parent.is_none().then_some(text), now_ms)?;
    insert(transaction, conversation, parent, Role::User, text, MessageState::Done, now_ms)
}

fn insert_answer(transaction: &Transaction<'_>, conversation: i64, question: i64, now_ms: i64) -> Stored<i64> {
    insert(transaction, conversation, Some(question), Role::Assistant, "", MessageState::Streaming, now_ms)
}

/// Adds a message and makes it the chosen one in its place.
fn insert(
    transaction: &Transaction<'_>,
    conversation: i64,
    parent: Option<i64>,
    role: Role,
    content: &str,
    state: MessageState,
    now_ms: i64,
) -> Stored<i64> {
    transaction.execute(
        "INSERT INTO messages (conversation, parent, role, content, state, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![conversation, parent, Speaker(role), content, State(state), now_ms],
    )?;
    let id = transaction.last_insert_rowid();
    match parent {
        Some(parent) => {
            transaction.execute("UPDATE messages SET active_child = ?2 WHERE id = ?1", [parent, id])?;
        }
        None => {
            transaction.execute("UPDATE conversations SET active_root = ?2 WHERE id = ?1", [conversation, id])?;
        }
    }
    Ok(id)
}

/// The chosen branch, the first message first.
pub(crate) fn branch(connection: &Connection, conversation: i64) -> Stored<Vec<StoredMessage>> {
    let down = format!(
        "WITH RECURSIVE down (id, depth) AS (
            SELECT active_root, 0 FROM conversations WHERE id = ?1 AND active_root IS NOT NULL
            UNION ALL
            SELECT m.active_child, depth + 1 FROM down JOIN messages m ON m.id = down.id WHERE m.active_child IS NOT NULL
        ) SELECT {COLUMNS} FROM down JOIN messages m ON m.id = down.id ORDER BY depth"
    );
    let mut statement = connection.prepare_cached(&down)?;
    let messages = statement.query_map([conversation], to_message)?.collect::<Result<Vec<_>, _>>()?;
    let mut beside = siblings(connection, conversation)?;
    Ok(messages
        .into_iter()
        .map(|message| StoredMessage { siblings: beside.remove(&message.parent).unwrap_or_default(), ..message })
        .collect())
}

/// The messages under each parent, in the order they were written.
pub(crate) fn siblings(connection: &Connection, conversation: i64) -> Stored<HashMap<Option<i64>, Vec<i64>>> {
    let mut statement =
        connection.prepare_cached("SELECT id, parent FROM messages WHERE conversation = ?1 ORDER BY id")?;
    let mut rows = statement.query([conversation])?;
    let mut beside: HashMap<Option<i64>, Vec<i64>> = HashMap::new();
    while let Some(row) = rows.next()? {
        beside.entry(row.get(1)?).or_default().push(row.get(0)?);
    }
    Ok(beside)
}

fn one(transaction: &Transaction<'_>, id: i64) -> Stored<StoredMessage> {
    let select = format!("SELECT {COLUMNS} FROM messages m WHERE m.id = ?1");
    let message = transaction.query_row(&select, [id], to_message).optional()?.ok_or(StoreError::Missing)?;
    let mut statement = transaction.prepare_cached(
        "SELECT s.id FROM messages m JOIN messages s ON s.conversation = m.conversation AND s.parent IS m.parent
         WHERE m.id = ?1 ORDER BY s.id",
    )?;
    let siblings = statement.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(StoredMessage { siblings, ..message })
}

/// What the model is given: the standing instruction and everything above the answer.
///
/// An answer that never began leaves its question alone. Templates insist that speakers take turns, so that question and
/// the next one become one message.
fn spoken(transaction: &Transaction<'_>, answer: i64, system_prompt: &str) -> Stored<Vec<Message>> {
    let up = "
        WITH RECURSIVE up (id, depth) AS (
            SELECT parent, 0 FROM messages WHERE id = ?1
            UNION ALL SELECT m.parent, depth + 1 FROM up JOIN messages m ON m.id = up.id WHERE m.parent IS NOT NULL
        ) SELECT m.role,
            m.content || coalesce((SELECT group_concat(text, '' ORDER BY start) FROM pieces WHERE message = m.id), '')
        FROM up JOIN messages m ON m.id = up.id ORDER BY depth DESC";
    let mut statement = transaction.prepare_cached(up)?;
    let mut rows = statement.query([answer])?;
    let mut messages: Vec<Message> = Vec::new();
    if !system_prompt.trim().is_empty() {
        messages.push(Message::new(Role::System, system_prompt.trim()));
    }
    while let Some(row) = rows.next()? {
        let Speaker(role) = row.get(0)?;
        let content: String = row.get(1)?;
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => {
                last.content.push_str("\n\n");
                last.content.push_str(&content);
            }
            _ => messages.push(Message::new(role, content)),
        }
    }
    Ok(messages)
}

/// A row of [`COLUMNS`]; who stands beside it is not known yet.
pub(crate) fn to_message(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    let (Speaker(role), State(state)) = (row.get(2)?, row.get(4)?);
    let record: Option<String> = row.get(6)?;
    // A record of a newer or older shape is worth less than the text beside it.
    let record: Option<AnswerRecord> = record.and_then(|json| serde_json::from_str(&json).ok());
    Ok(StoredMessage {
        id: row.get(0)?,
        parent: row.get(1)?,
        role,
        content: row.get(3)?,
        state,
        created_ms: row.get(5)?,
        siblings: Vec::new(),
        answer: (role == Role::Assistant).then(|| record.unwrap_or_default()),
    })
}

/// A role as the database spells it.
struct Speaker(Role);

impl ToSql for Speaker {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self.0 {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }))
    }
}

impl FromSql for Speaker {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(match value.as_str()? {
            "user" => Role::User,
            "system" => Role::System,
            _ => Role::Assistant,
        }))
    }
}

/// A state as the database spells it.
pub(crate) struct State(pub(crate) MessageState);

const STATES: [(MessageState, &str); 5] = [
    (MessageState::Streaming, "streaming"),
    (MessageState::Done, "done"),
    (MessageState::Stopped, "stopped"),
    (MessageState::Failed, "failed"),
    (MessageState::Interrupted, "interrupted"),
];

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let name = STATES.iter().find(|(state, _)| *state == self.0).map_or("done", |(_, name)| name);
        Ok(ToSqlOutput::from(name))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        Ok(Self(STATES.iter().find(|(_, known)| *known == name).map_or(MessageState::Done, |(state, _)| *state)))
    }
}
