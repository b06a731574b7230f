//! Asking the model, and keeping what it says while it says it.
//!
//! An answer belongs to the store and not to the window that asked: it goes on when the window is reloaded, and whoever
//! comes back watches it from where it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Duration, Instant, sleep_until};
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::answer::{AnswerEvent, AnswerRequest};
use workly_wire::chat::{Asked, ChatEvent, ConversationSummary};

use workly_store::{Begun, Conversations, Store, Stored, unix_ms};

use super::live::Live;
use super::model::{AnswerSource, Model};
use crate::manager::random_seed;

/// How long text may wait before it is committed. With the commit itself less than half a second is at risk.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// Conversations with a model.
#[derive(Debug, Clone)]
pub struct Chats<M> {
    store: Conversations,
    model: M,
    running: Arc<Mutex<HashMap<i64, Running>>>,
    changed: UnboundedSender<ConversationSummary>,
}

/// The answer being written in a conversation.
#[derive(Debug, Clone)]
struct Running {
    /// None between asking the store and knowing the answer's number.
    live: Option<Arc<Mutex<Live>>>,
    /// Tells the task that the user wants no more.
    stop: Arc<Notify>,
}

/// What is asked of the model.
#[derive(Debug, Clone)]
enum Wish {
    Ask { text: String },
    Regenerate { message: i64 },
    Edit { message: i64, text: String },
}

impl<M: Model> Chats<M> {
    /// Joins the store to a model. Each conversation that begins or ends an answer is told through the receiver.
    pub fn new(store: Conversations, model: M) -> (Self, UnboundedReceiver<ConversationSummary>) {
        let (changed, changes) = unbounded_channel();
        (Self { store, model, running: Arc::default(), changed }, changes)
    }

    /// The handle of the database.
    pub fn store(&self) -> &Conversations {
        &self.store
    }

    /// Asks a question at the end of a conversation's chosen branch, in a new conversation where none is given.
    ///
    /// # Errors
    ///
    /// When there is no question, an answer is still being written there, or it cannot be kept.
    pub async fn ask(
        &self,
        conversation: Option<i64>,
        text: String,
        watcher: UnboundedSender<ChatEvent>,
    ) -> Result<Asked, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::new(ProblemCode::EmptyPrompt, "There is nothing to answer: write a message first."));
        }
        let conversation = if let Some(id) = conversation {
            id
        } else {
            let created = self.store.with(|store| {
                let id = store.create(unix_ms())?;
                store.save_draft(None, "")?;
                store.set_open(Some(id))?;
                Ok(id)
            });
            created.await?
        };
        self.begin(conversation, Wish::Ask { text }, watcher).await
    }

    /// Asks for another answer beside the given one.
    ///
    /// # Errors
    ///
    /// When the message is no answer, an answer is still being written there, or it cannot be kept.
    pub async fn regenerate(
        &self,
        conversation: i64,
        message: i64,
        watcher: UnboundedSender<ChatEvent>,
    ) -> Result<Asked, Problem> {
        self.begin(conversation, Wish::Regenerate { message }, watcher).await
    }

    /// Asks a question in other words, beside the first one.
    ///
    /// # Errors
    ///
    /// When the message is no question, an answer is still being written there, or it cannot be kept.
    pub async fn edit(
        &self,
        conversation: i64,
        message: i64,
        text: String,
        watcher: UnboundedSender<ChatEvent>,
    ) -> Result<Asked, Problem> {
        self.begin(conversation, Wish::Edit { message, text }, watcher).await
    }

    /// Watches the answer being written in a conversation. Says whether there is one.
    pub fn watch(&self, conversation: i64, watcher: UnboundedSender<ChatEvent>) -> bool {
        let live = self.running().get(&conversation).and_then(|running| running.live.clone());
        live.is_some_and(|live| {
            let mut live = locked(&live);
            live.watch(watcher);
            !live.has_ended()
        })
    }

    /// Stops the answer being written in a conversation, and no other.
    pub fn stop(&self, conversation: i64) {
        if let Some(answer) = self.running().get(&conversation) {
            answer.stop.notify_one();
        }
    }

    /// Keeps what is being written as it is, and waits until everything is on the disk and the file is closed.
    pub async fn shut_down(&self) {
        let unfinished: Vec<_> = self.running().values().filter_map(|running| running.live.clone()).collect();
        for live in unfinished {
            let mut live = locked(&live);
            live.interrupted();
            self.keep(&mut live);
        }
        self.store.close().await;
    }

    async fn begin(
        &self,
        conversation: i64,
        wish: Wish,
        watcher: UnboundedSender<ChatEvent>,
    ) -> Result<Asked, Problem> {
        let stop = self.take_turn(conversation)?;
        let begun = self.store.with(move |store| begin(store, conversation, wish)).await;
        let (summary, begun) = match begun {
            Ok(begun) => begun,
            Err(problem) => {
                self.running().remove(&conversation);
                return Err(problem);
            }
        };
        let mut live = Live::new(begun.answer.clone());
        live.name_model(self.model.name());
        live.watch(watcher);
        let live = Arc::new(Mutex::new(live));
        let running = Running { live: Some(Arc::clone(&live)), stop: Arc::clone(&stop) };
        self.running().insert(conversation, running);
        let _ = self.changed.send(summary.clone());
        let source = self.model.answer(AnswerRequest {
            messages: begun.messages,
            sampling: Some(begun.settings.sampling(random_seed())),
            max_tokens: begun.settings.max_tokens,
            stop_strings: Vec::new(),
            ignore_end: false,
        });
        let chats = self.clone();
        tokio::spawn(async move { chats.write(conversation, source, live, stop).await });
        Ok(Asked { conversation: summary, question: begun.question, answer: begun.answer })
    }

    /// One answer at a time in each conversation.
    fn take_turn(&self, conversation: i64) -> Result<Arc<Notify>, Problem> {
        let mut running = self.running();
        if running.contains_key(&conversation) {
            let message = "An answer is still being written here. Wait for it, or stop it first.";
            return Err(Problem::new(ProblemCode::AnswerRunning, message));
        }
        let stop = Arc::new(Notify::new());
        running.insert(conversation, Running { live: None, stop: Arc::clone(&stop) });
        Ok(stop)
    }

    /// Passes an answer on, and gives the store what came of it, a few times a second.
    async fn write(&self, conversation: i64, mut source: M::Answer, live: Arc<Mutex<Live>>, stop: Arc<Notify>) {
        let mut commit_at: Option<Instant> = None;
        while !locked(&live).has_ended() {
            tokio::select! {
                event = source.next() => {
                    locked(&live).hear(event.unwrap_or_else(|| AnswerEvent::Failed(ended_early())));
                    commit_at.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
                }
                () = due(commit_at) => {
                    commit_at = None;
                    let mut live = locked(&live);
                    if !live.has_model_name() {
                        live.name_model(self.model.name());
                    }
                    self.keep(&mut live);
                }
                // Its last event carries the figures.
                () = stop.notified() => source.stop(),
            }
        }
        drop(source);
        {
            let mut live = locked(&live);
            live.name_model(self.model.name());
            self.keep(&mut live);
        }
        // Where it cannot be written it is tried again, and the store says so.
        let _ = self.store.flushed().await;
        let summary = self.store.read(move |store| store.summary(conversation)).await;
        self.running().remove(&conversation);
        match summary {
            Ok(summary) => drop(self.changed.send(ConversationSummary { answering: false, ..summary })),
            // Deleted while it was written, most likely.
            Err(problem) => tracing::warn!("an answer has no conversation: {problem}"),
        }
    }

    fn keep(&self, live: &mut Live) {
        if let Some(part) = live.take_part() {
            self.store.keep_answer(part);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<i64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what is asked.
fn begin(store: &mut Store, conversation: i64, wish: Wish) -> Stored<(ConversationSummary, Begun)> {
    let now = unix_ms();
    let begun = match wish {
        Wish::Ask { text } => store.ask(conversation, text.trim(), now)?,
        Wish::Regenerate { message } => store.regenerate(conversation, message, now)?,
        Wish::Edit { message, text } => store.edit(conversation, message, text.trim(), now)?,
    };
    Ok((store.summary(conversation)?, begun))
}

fn ended_early() -> Problem {
    Problem::new(ProblemCode::Protocol, "The answer ended without a reason. Ask again.")
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn locked(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}
