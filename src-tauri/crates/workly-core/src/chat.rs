//! Conversations as models read them: turns, the model's own chat template, and what to leave out when room is short.
//!
//! Not the stored conversation with its titles and branches: that is the runtime's.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The standing instruction.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in Markdown or plain text.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// The template of models whose file carries none (`ChatML`, which most instruct models understand).
pub const FALLBACK_TEMPLATE: &str = r"{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' +
message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const TEMPLATE_NAME: &str = "chat";

/// A template that could not be read or applied.
#[derive(Debug, thiserror::Error)]
#[error("the model's chat template failed: {0:#}")]
pub struct TemplateError(#[from] minijinja::Error);

/// A model's chat template, read once.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    beginning_of_text: String,
    end_of_text: String,
}

impl ChatTemplate {
    /// Reads a Jinja template as Hugging Face's tokenizers understand it.
    ///
    /// `beginning_of_text` and `end_of_text` are the texts of the model's special tokens.
    ///
    /// # Errors
    ///
    /// When the template does not parse.
    pub fn parse(source: &str, beginning_of_text: &str, end_of_text: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
        environment.set_syntax(syntax);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(TEMPLATE_NAME, source.to_owned())?;
        Ok(Self { environment, beginning_of_text: beginning_of_text.to_owned(), end_of_text: end_of_text.to_owned() })
    }

    /// The prompt for `messages`, ending where the model's answer begins.
    ///
    /// A template without a place for a system prompt (it raises an exception, as Gemma's older ones do) is given the
    /// system prompt at the head of the first user message.
    ///
    /// # Errors
    ///
    /// When the template raises an exception for other reasons.
    pub fn render(&self, messages: &[Message]) -> Result<String, TemplateError> {
        self.apply(messages).or_else(|error| match without_system(messages) {
            Some(folded) => self.apply(&folded),
            None => Err(error),
        })
    }

    fn apply(&self, messages: &[Message]) -> Result<String, TemplateError> {
        let template = self.environment.get_template(TEMPLATE_NAME)?;
        Ok(template.render(context! {
            messages => messages.iter().map(as_value).collect::<Vec<_>>(),
            add_generation_prompt => true,
            bos_token => &self.beginning_of_text,
            eos_token => &self.end_of_text,
        })?)
    }
}

fn as_value(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    context! { role, content => &message.content }
}

fn without_system(messages: &[Message]) -> Option<Vec<Message>> {
    let [system, user, rest @ ..] = messages else {
        return None;
    };
    if system.role != Role::System || user.role != Role::User {
        return None;
    }
    let first = Message::new(Role::User, format!("{}\n\n{}", system.content, user.content));
    Some(std::iter::once(first).chain(rest.iter().cloned()).collect())
}

/// A conversation cut to fit the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted<P> {
    /// What `measure` made of the messages that remain.
    pub prompt: P,
    /// How many of the oldest turns were left out; a turn is a user message with its answer.
    pub dropped_turns: u32,
}

/// Leaves out the oldest turns, never the system prompt nor the last user message, until the prompt fits.
///
/// `measure` renders and tokenizes messages and tells the number of tokens. `limit` is the number of tokens the prompt
/// may take. Where even the last turn alone is over the limit, it is returned all the same: the caller decides.
///
/// # Errors
///
/// Those of `measure`.
pub fn fit<P, E>(
    messages: &[Message],
    limit: usize,
    mut measure: impl FnMut(&[Message]) -> Result<(P, usize), E>,
) -> Result<Fitted<P>, E> {
    let system = messages.iter().take_while(|message| message.role == Role::System).count();
    let (head, turns) = messages.split_at(system);
    let starts: Vec<usize> = turns
        .iter()
        .enumerate()
        .filter(|(index, message)| *index == 0 || message.role == Role::User)
        .map(|(index, _)| index)
        .collect();
    let mut kept = messages.to_vec();
    let mut dropped = 0;
    loop {
        let (prompt, tokens) = measure(&kept)?;
        if tokens <= limit || dropped + 1 >= starts.len() {
            return Ok(Fitted { prompt, dropped_turns: dropped as u32 });
        }
        dropped += 1;
        kept = head.iter().chain(&turns[starts[dropped]..]).cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(turns: usize) -> Vec<Message> {
        let mut messages = vec![Message::new(Role::System, "sys")];
        for turn in 0..turns {
            messages.push(Message::new(Role::User, format!("question {turn}")));
            messages.push(Message::new(Role::Assistant, format!("answer {turn}")));
        }
        messages.push(Message::new(Role::User, "last"));
        messages
    }

    #[expect(clippy::unnecessary_wraps, reason = "the shape of a measure")]
    fn count_messages(messages: &[Message]) -> Result<(Vec<Message>, usize), std::convert::Infallible> {
        Ok((messages.to_vec(), messages.len()))
    }

    #[test]
    fn the_fallback_template_is_chatml() {
        let template = ChatTemplate::parse(FALLBACK_TEMPLATE, "<s>", "</s>").unwrap();
        let prompt = template.render(&[Message::new(Role::System, "Be brief."), Message::new(Role::User, "Hi")]);
        assert_eq!(
            prompt.unwrap(),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn python_methods_used_by_templates_are_understood() {
        let source = "{{ bos_token }}{% for m in messages %}{{ m['content'].strip() }}{{ m.role.upper() }}{% endfor %}";
        let template = ChatTemplate::parse(source, "<s>", "</s>").unwrap();
        assert_eq!(template.render(&[Message::new(Role::User, " hi ")]).unwrap(), "<s>hiUSER");
    }

    #[test]
    fn a_template_that_refuses_system_prompts_gets_it_with_the_first_question() {
        let source = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}\
                      {% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}";
        let template = ChatTemplate::parse(source, "", "").unwrap();
        let messages = [Message::new(Role::System, "Be kind."), Message::new(Role::User, "Hi")];
        assert_eq!(template.render(&messages).unwrap(), "[user]Be kind.\n\nHi");
        assert!(template.render(&messages[..1]).unwrap_err().to_string().contains("no system role"));
    }

    #[test]
    fn a_template_that_does_not_parse_says_so() {
        assert!(ChatTemplate::parse("{% for %}", "", "").is_err());
    }

    #[test]
    fn the_oldest_turns_go_first_and_the_system_prompt_never() {
        let fitted = fit(&conversation(3), 5, count_messages).unwrap();
        assert_eq!(fitted.dropped_turns, 2);
        let texts: Vec<_> = fitted.prompt.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(texts, ["sys", "question 2", "answer 2", "last"]);
    }

    #[test]
    fn nothing_is_left_out_of_a_conversation_that_fits() {
        assert_eq!(fit(&conversation(3), 100, count_messages).unwrap().dropped_turns, 0);
    }

    #[test]
    fn the_last_question_stays_even_when_it_is_too_long() {
        let fitted = fit(&conversation(3), 0, count_messages).unwrap();
        assert_eq!(fitted.dropped_turns, 3);
        assert_eq!(fitted.prompt.len(), 2);
    }
}
