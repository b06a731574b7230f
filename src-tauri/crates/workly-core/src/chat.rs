//! Conversations as models read them: messages and the model's own chat template.
//!
//! Not the stored conversation with its titles and branches: that is the runtime's. What is left out when room is short
//! is `context_fit`'s.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
