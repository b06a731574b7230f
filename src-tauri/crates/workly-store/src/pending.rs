//! What waits to be written. The newest of each thing counts, so that a slow disk makes a longer step and not a queue.

use std::collections::{BTreeMap, VecDeque};

use workly_wire::monitor::DecisionEntry;

use crate::answers::{self, AnswerPart};
use crate::conversations::{save_draft, set_open};
use crate::database::Store;
use crate::error::{StoreError, Stored};
use crate::switch_log;

/// Something that is written as soon as the disk lets it.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Answer(AnswerPart),
    Draft { conversation: Option<i64>, text: String },
    Open(Option<i64>),
    Switch(DecisionEntry),
}

/// The conversation that is open; none for the one that does not exist yet.
#[derive(Debug, Clone, Copy)]
struct OpenNow(Option<i64>);

/// All that waits.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    answers: BTreeMap<i64, AnswerPart>,
    drafts: BTreeMap<Option<i64>, String>,
    open: Option<OpenNow>,
    switches: VecDeque<DecisionEntry>,
}

impl Pending {
    pub(crate) fn add(&mut self, change: Change) {
        match change {
            Change::Answer(part) => match self.answers.get_mut(&part.message) {
                Some(before) => before.append(part),
                None => drop(self.answers.insert(part.message, part)),
            },
            Change::Draft { conversation, text } => drop(self.drafts.insert(conversation, text)),
            Change::Open(conversation) => self.open = Some(OpenNow(conversation)),
            Change::Switch(entry) => {
                self.switches.push_back(entry);
                if self.switches.len() > switch_log::KEPT as usize {
                    self.switches.pop_front();
                }
            }
        }
    }

    /// Takes in what came after all of this.
    pub(crate) fn append(&mut self, newer: Self) {
        let Self { answers, drafts, open, switches } = newer;
        let drafts = drafts.into_iter().map(|(conversation, text)| Change::Draft { conversation, text });
        let changes = answers.into_values().map(Change::Answer).chain(drafts);
        for change in changes
            .chain(open.map(|OpenNow(conversation)| Change::Open(conversation)))
            .chain(switches.into_iter().map(Change::Switch))
        {
            self.add(change);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.drafts.is_empty() && self.open.is_none() && self.switches.is_empty()
    }

    /// Writes all of it in one step. What can never be written, such as the answer of a conversation that was removed, is
    /// left out.
    ///
    /// # Errors
    ///
    /// When the disk does not let it; nothing is written then.
    pub(crate) fn write(&self, store: &mut Store) -> Stored<()> {
        let transaction = store.connection.transaction()?;
        for part in self.answers.values() {
            unless_hopeless(answers::write(&transaction, part))?;
        }
        for (conversation, text) in &self.drafts {
            unless_hopeless(save_draft(&transaction, *conversation, text))?;
        }
        if let Some(OpenNow(conversation)) = self.open {
            unless_hopeless(set_open(&transaction, conversation))?;
        }
        for entry in &self.switches {
            unless_hopeless(switch_log::insert(&transaction, entry))?;
        }
        Ok(transaction.commit()?)
    }
}

fn unless_hopeless(written: Stored<()>) -> Stored<()> {
    match written {
        Err(StoreError::Missing) => {
            tracing::debug!("an answer was not kept: its conversation was removed");
            Ok(())
        }
        Err(error) if !error.may_pass() => {
            tracing::error!("something was not kept: {error}");
            Ok(())
        }
        other => other,
    }
}
