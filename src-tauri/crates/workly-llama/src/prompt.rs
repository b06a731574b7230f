//! The prompt of an answer: the model's chat template and tokenizer, and the oldest turns left out where room is short.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;
use workly_core::chat::{ChatTemplate, FALLBACK_TEMPLATE, TemplateError};
use workly_core::context_fit::{Fit, PromptFitter, Room};
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::protocol::GenerateRequest;

use crate::job::{Halt, Job};

/// Share of the context kept free for an answer when old turns are left out.
const ANSWER_SHARE: usize = 4;

/// Makes prompts for a model.
pub(crate) struct Prompter<'model> {
    vocab: LlamaVocab<'model>,
    template: ChatTemplate,
    fitter: PromptFitter,
}

/// A prompt.
pub(crate) struct Prompt {
    /// Token ids.
    pub(crate) tokens: Vec<i32>,
    /// Oldest turns left out for lack of room.
    pub(crate) dropped_turns: u32,
}

impl<'model> Prompter<'model> {
    pub(crate) fn new(model: &'model LlamaModel) -> Result<Self, Problem> {
        let vocab = model.vocab();
        let own = model.chat_template(None).ok().and_then(|template| template.to_string().ok());
        let source = own.as_deref().unwrap_or(FALLBACK_TEMPLATE);
        let template = ChatTemplate::parse(source, &text_of(&vocab, vocab.bos()), &text_of(&vocab, vocab.eos()))
            .map_err(|error| template_failed(&error))?;
        let controls = vocab.tokens().filter(|token| vocab.is_control(*token)).map(|token| text_of(&vocab, token));
        let fitter = PromptFitter::new(controls);
        Ok(Self { vocab, template, fitter })
    }

    /// The prompt of a request for a context of so many tokens. A cancel is heard between two pieces of text.
    pub(crate) fn prompt(&mut self, request: &GenerateRequest, context: usize, job: &Job<'_>) -> Result<Prompt, Halt> {
        let beginning = self.vocab.should_add_bos().then(|| self.vocab.bos().0);
        let most = request.max_tokens.map_or(usize::MAX, |tokens| tokens as usize);
        let room = Room {
            context: context.saturating_sub(usize::from(beginning.is_some())),
            answer: most.clamp(1, context / ANSWER_SHARE),
        };
        let Self { vocab, template, fitter } = self;
        let fit = fitter.fit(
            &request.messages,
            room,
            |messages| template.render(messages).map_err(|error| Halt::Fault(template_failed(&error))),
            |text| {
                job.check_cancel()?;
                job.progress();
                Ok::<_, Halt>(vocab.tokenize(text.as_bytes(), false, true).into_iter().map(|token| token.0).collect())
            },
        )?;
        match fit {
            Fit::Prompt { mut tokens, dropped_turns } => {
                if let Some(beginning) = beginning.filter(|beginning| tokens.first() != Some(beginning)) {
                    tokens.insert(0, beginning);
                }
                Ok(Prompt { tokens, dropped_turns })
            }
            Fit::TooLong { tokens } => Err(Halt::Fault(Problem::new(
                ProblemCode::PromptTooLong,
                format!(
                    "The message takes {tokens} tokens; the context has room for {context}. Shorten the message, or \
                     choose a larger context."
                ),
            ))),
        }
    }
}

fn template_failed(error: &TemplateError) -> Problem {
    Problem::new(ProblemCode::TemplateFailed, error.to_string())
}

/// The text of a special token, as templates spell it.
fn text_of(vocab: &LlamaVocab<'_>, token: LlamaToken) -> String {
    vocab.text(token).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
