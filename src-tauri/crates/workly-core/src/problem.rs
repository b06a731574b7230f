//! What went wrong, in the one shape that crosses to the UI and to `--json`.

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong. The UI has words for each in every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The model file does not exist.
    ModelMissing,
    /// The model file, or its folder, may not be read by this user.
    NoPermission,
    /// The file is not a GGUF.
    NotGguf,
    /// The file is a GGUF that ends too early or contradicts itself.
    ModelDamaged,
    /// The file is a GGUF of an architecture this llama.cpp does not know.
    UnsupportedArchitecture,
    /// The context asked for does not fit in memory.
    ContextTooLarge,
    /// The machine or the card ran out of memory.
    OutOfMemory,
    /// There is nothing to answer.
    EmptyPrompt,
    /// The prompt alone is larger than the context.
    PromptTooLong,
    /// A setting is outside its range.
    InvalidSetting,
    /// The model's chat template could not be applied.
    TemplateFailed,
    /// The model file could not be loaded for another reason.
    LoadFailed,
    /// llama.cpp refused to compute.
    DecodeFailed,
    /// No model is loaded.
    NoModel,
    /// The model process ended by a fault of its own.
    WorkerCrashed,
    /// The model process was ended from outside.
    WorkerKilled,
    /// The model process stopped answering and was ended.
    WorkerUnresponsive,
    /// The model process could not be started.
    WorkerMissing,
    /// The model process and Workly do not understand each other.
    Protocol,
    /// A link of an answer is not opened.
    LinkRefused,
    /// A file could not be written.
    NotSaved,
    /// The GPU cannot be asked.
    GpuUnreadable,
    /// The work was called off.
    Cancelled,
    /// A conversation or message is no longer there.
    ConversationMissing,
    /// An answer of this conversation is still being written.
    AnswerRunning,
    /// A conversation could not be read or kept.
    StoreFailed,
    /// A file could not be written where the user wanted it.
    ExportFailed,
    /// There is not enough room on the disk.
    DiskFull,
    /// The host of a download cannot be reached, or broke off.
    DownloadFailed,
    /// The host of a download refuses, or has no such file.
    DownloadRefused,
    /// What was downloaded is not the file that was expected.
    HashMismatch,
    /// A model of this name is in the library already.
    ModelExists,
    /// Only models in Workly's own folder are changed or deleted.
    NotOurs,
    /// A folder cannot be searched.
    FolderUnreadable,
}

impl ProblemCode {
    /// The name used in JSON.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// What happened and what to do, with the technical detail apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[error("{message}")]
pub struct Problem {
    /// What kind of thing went wrong.
    pub code: ProblemCode,
    /// One or two plain English sentences: what happened, what to do.
    pub message: String,
    /// Technical detail for a bug report: the last lines of the worker's log, an OS error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub details: Option<String>,
}

impl Problem {
    /// A problem without technical detail.
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// The same problem with technical detail; an empty detail is none.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        let details = details.into();
        self.details = (!details.trim().is_empty()).then_some(details);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_snake_case_in_json() {
        assert_eq!(ProblemCode::UnsupportedArchitecture.name(), "unsupported_architecture");
    }

    #[test]
    fn blank_details_are_left_out_of_json() {
        let problem = Problem::new(ProblemCode::NoModel, "No model.").with_details(" \n");
        assert_eq!(
            serde_json::to_value(problem).unwrap(),
            serde_json::json!({"code": "no_model", "message": "No model."})
        );
    }
}
