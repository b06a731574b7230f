//! One conversation: a question goes out, its answer comes in.

use std::str::FromStr;

use tokio::signal;
use workly_core::answer::StopReason;
use workly_core::chat::{Message, Role};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::Profile;
use workly_core::sampling::Sampling;
use workly_core::why::Why;
use workly_runtime::manager::ModelManager;
use workly_wire::answer::{AnswerEvent, AnswerRequest};
use workly_wire::model::ModelState;

use super::output::Output;

/// A switch that falls after a token: `N:PROFILE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SwitchAt {
    tokens: u32,
    to: Profile,
}

impl FromStr for SwitchAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tokens, profile) = text.split_once(':').ok_or("write N:PROFILE, such as 20:cpu_fallback")?;
        let tokens = tokens.parse().ok().filter(|tokens| *tokens > 0);
        let tokens = tokens.ok_or_else(|| format!("'{text}' does not begin with a number of tokens above 0"))?;
        let to = profile.parse().map_err(|error: workly_core::profile::UnknownProfile| error.to_string())?;
        Ok(Self { tokens, to })
    }
}

/// How answers are written.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) temperature: Option<f32>,
    pub(crate) seed: Option<u32>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) ignore_end: bool,
    /// Decide to switch after so many tokens of an answer.
    pub(crate) switches: Vec<SwitchAt>,
}

/// How a turn ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The answer is complete, or stopped where it should.
    Done,
    /// The user stopped it.
    Interrupted,
    /// A fault stopped it; it has been reported.
    Failed(Problem),
}

/// A conversation with the model.
pub(crate) struct Conversation {
    manager: ModelManager,
    messages: Vec<Message>,
    options: Options,
}

impl Conversation {
    pub(crate) fn new(manager: ModelManager, system: Option<String>, options: Options) -> Self {
        let messages = system.into_iter().map(|text| Message::new(Role::System, text)).collect();
        Self { manager, messages, options }
    }

    /// Loads the model, showing progress.
    pub(crate) async fn load(&self, output: &mut Output) -> Result<(), Problem> {
        let mut snapshots = self.manager.snapshot();
        let loading = self.manager.load();
        tokio::pin!(loading);
        let result = loop {
            tokio::select! {
                result = &mut loading => break result,
                Ok(()) = signal::ctrl_c() => break Err(Problem::new(ProblemCode::Cancelled, "Stopped by Ctrl-C.")),
                changed = snapshots.changed() => {
                    let snapshot = snapshots.borrow_and_update();
                    if changed.is_ok() && snapshot.state == ModelState::Loading {
                        output.loading(snapshot.load_fraction);
                    }
                }
            }
        };
        output.loaded(&snapshots.borrow());
        result
    }

    /// Forgets all but the system prompt.
    pub(crate) fn clear(&mut self) {
        self.messages.retain(|message| message.role == Role::System);
    }

    /// Asks and prints the answer. A question that was not answered is forgotten.
    pub(crate) async fn answer(&mut self, question: String, output: &mut Output) -> anyhow::Result<Ended> {
        self.messages.push(Message::new(Role::User, question));
        let mut stream = self.manager.answer(self.request());
        let mut text = String::new();
        let ended = loop {
            let event = tokio::select! {
                event = stream.next() => event,
                interrupted = signal::ctrl_c() => {
                    interrupted?;
                    self.manager.stop();
                    continue;
                }
            };
            let Some(event) = event else { break Ended::Interrupted };
            output.event(&event)?;
            match event {
                AnswerEvent::Token { index, text: piece, .. } => {
                    text.push_str(&piece);
                    self.switch_after(index + 1);
                }
                AnswerEvent::Done(stats) if stats.stop == StopReason::Cancelled => break Ended::Interrupted,
                AnswerEvent::Done(_) => break Ended::Done,
                AnswerEvent::Failed(problem) => break Ended::Failed(problem),
                AnswerEvent::Prompt { .. } | AnswerEvent::Silent | AnswerEvent::Resumed | AnswerEvent::Switched(_) => {}
            }
        };
        if text.is_empty() && !matches!(ended, Ended::Done) {
            self.messages.pop();
        } else {
            self.messages.push(Message::new(Role::Assistant, text));
        }
        Ok(ended)
    }

    /// Decides the switches that fall after this many tokens.
    fn switch_after(&self, tokens: u32) {
        for switch in self.options.switches.iter().filter(|switch| switch.tokens == tokens) {
            self.manager.switch(switch.to, Why::Asked { after_token: Some(tokens) });
        }
    }

    fn request(&self) -> AnswerRequest {
        let Options { temperature, seed, max_tokens, ignore_end, .. } = self.options;
        let defaults = Sampling::default();
        // Without a seed the runtime draws one; a temperature alone needs one here.
        let sampling = (temperature.is_some() || seed.is_some()).then(|| Sampling {
            temperature: temperature.unwrap_or(defaults.temperature),
            seed: seed.unwrap_or_else(workly_runtime::manager::random_seed),
            ..defaults
        });
        AnswerRequest { messages: self.messages.clone(), sampling, max_tokens, stop_strings: Vec::new(), ignore_end }
    }
}
