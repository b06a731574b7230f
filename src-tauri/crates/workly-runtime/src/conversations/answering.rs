//! Asking the model, and keeping what it says while it says it.
//!
//! An answer belongs to the store and not to the window that asked: it goes on when the window is reloaded, and whoever
//! comes back watches it from where it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant as StdInstant;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Duration, Instant, sleep_until};
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::answer::{AnswerEvent, AnswerRequest};
use workly_wire::chat::{Asked, ChatEvent, ConversationSummary};

use super::live::Live;
use super::messages::Begun;
use super::{Conversations, now_ms};
use crate::manager::{AnswerStream, ModelManager, random_seed};

/// How long text may wait before it is committed. With the commit itself less than half a second is at risk.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// The model that answers.
pub trait Model: Clone + Send + Sync + 'static {
    /// An answer on its way.
    type Answer: AnswerSource;
    /// Asks for an answer; it waits its turn.
    fn answer(&self, request: AnswerRequest) -> Self::Answer;
    /// Stops the answer being written and those that wait.
    fn stop(&self);
    /// Name of the loaded model.
    fn name(&self) -> Option<String>;
}

/// An answer on its way. Dropping it stops it.
pub trait AnswerSource: Send + 'static {
    /// The next event; `None` after the last one.
    fn next(&mut self) -> impl Future<Output = Option<AnswerEvent>> + Send;
}

impl Model for ModelManager {
    type Answer = AnswerStream;

    fn answer(&self, request: AnswerRequest) -> AnswerStream {
        self.answer(request)
    }

    fn stop(&self) {
        self.stop();
    }

    fn name(&self) -> Option<String> {
        self.snapshot().borrow().model.as_ref().map(|model| model.name.clone())
    }
}

impl AnswerSource for AnswerStream {
    fn next(&mut self) -> impl Future<Output = Option<AnswerEvent>> + Send {
        self.next()
    }
}

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
    /// Tells the task to leave the model alone and finish.
    leave: Arc<Notify>,
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
                let id = store.create(now_ms())?;
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

    /// Stops the answer being written in a conversation.
    pub fn stop(&self, conversation: i64) {
        let running = self.running();
        let Some(answer) = running.get(&conversation) else { return };
        if running.len() == 1 {
            // Its worker tells the figures.
            self.model.stop();
        } else {
            answer.leave.notify_one();
        }
    }

    /// Keeps what is being written as it is, and waits until everything is on the disk.
    pub async fn shut_down(&self) {
        let unfinished: Vec<_> = self.running().values().filter_map(|running| running.live.clone()).collect();
        for live in unfinished {
            let mut live = locked(&live);
            if !live.has_ended() {
                live.interrupted();
                let message = live.message().clone();
                self.store.later(move |store| store.write_answer(&message));
            }
        }
        let _ = self.store.with(|_| Ok(())).await;
    }

    async fn begin(
        &self,
        conversation: i64,
        wish: Wish,
        watcher: UnboundedSender<ChatEvent>,
    ) -> Result<Asked, Problem> {
        let leave = self.take_turn(conversation)?;
        let asked = StdInstant::now();
        let begun = self.store.with(move |store| begin(store, conversation, wish)).await;
        let (summary, begun) = match begun {
            Ok(begun) => begun,
            Err(problem) => {
                self.running().remove(&conversation);
                return Err(problem);
            }
        };
        let mut live = Live::new(begun.answer.clone(), asked);
        live.name_model(self.model.name());
        live.watch(watcher);
        let live = Arc::new(Mutex::new(live));
        let running = Running { live: Some(Arc::clone(&live)), leave: Arc::clone(&leave) };
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
        tokio::spawn(async move { chats.write(conversation, source, live, leave).await });
        Ok(Asked { conversation: summary, question: begun.question, answer: begun.answer })
    }

    /// One answer at a time in each conversation.
    fn take_turn(&self, conversation: i64) -> Result<Arc<Notify>, Problem> {
        let mut running = self.running();
        if running.contains_key(&conversation) {
            let message = "An answer is still being written here. Wait for it, or stop it first.";
            return Err(Problem::new(ProblemCode::AnswerRunning, message));
        }
        let leave = Arc::new(Notify::new());
        running.insert(conversation, Running { live: None, leave: Arc::clone(&leave) });
        Ok(leave)
    }

    /// Passes an answer on, and commits it as it grows.
    async fn write(&self, conversation: i64, source: M::Answer, live: Arc<Mutex<Live>>, leave: Arc<Notify>) {
        let mut source = Some(source);
        let mut commit_at: Option<Instant> = None;
        while let Some(events) = &mut source {
            tokio::select! {
                event = events.next() => {
                    let mut live = locked(&live);
                    match event {
                        Some(event) => live.hear(event),
                        None => live.hear(AnswerEvent::Failed(ended_early())),
                    }
                    if live.has_ended() {
                        source = None;
                    } else {
                        commit_at.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
                    }
                }
                () = due(commit_at) => {
                    commit_at = None;
                    let mut live = locked(&live);
                    if !live.has_model_name() {
                        live.name_model(self.model.name());
                    }
                    // `shut_down` has kept it already.
                    if !live.has_ended() {
                        let message = live.message().clone();
                        self.store.later(move |store| store.write_answer(&message));
                    }
                }
                () = leave.notified() => {
                    source = None;
                    locked(&live).stopped();
                }
            }
        }
        let message = {
            let mut live = locked(&live);
            live.name_model(self.model.name());
            live.message().clone()
        };
        let kept = self.store.with(move |store| {
            store.write_answer(&message)?;
            store.summary(conversation)
        });
        let kept = kept.await;
        self.running().remove(&conversation);
        match kept {
            Ok(summary) => drop(self.changed.send(summary)),
            // Deleted while it was written, most likely.
            Err(problem) => tracing::warn!("an answer was not kept: {problem}"),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<i64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what is asked.
fn begin(store: &mut super::Store, conversation: i64, wish: Wish) -> super::Stored<(ConversationSummary, Begun)> {
    let now = now_ms();
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
