//! The model manager, as the window and the terminal see it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use workly_core::model::ModelInfo;
use workly_core::policy::LayerPlan;
use workly_core::problem::Problem;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::OverrideWish;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::{Notice, Why};

use crate::words::Language;

/// Name of the event that carries a [`ModelView`] after each change, and when the user chose another language.
pub const MODEL_CHANGED: &str = "model-changed";

/// What the model manager is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// No model is loaded.
    #[default]
    Stopped,
    /// A worker starts and reads the model.
    Loading,
    /// Waiting for a message.
    Ready,
    /// An answer is being written.
    Generating,
    /// The model moves to another profile; an answer being written goes on meanwhile.
    Switching,
    /// The model could not be loaded; the next message tries again.
    Failed,
}

/// The model manager at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
pub struct ModelSnapshot {
    /// What it is doing.
    pub state: ModelState,
    /// Whether an answer is being written, or waits for a worker to be written on.
    pub answering: bool,
    /// How much of the model is read, 0 to 1, while it loads.
    pub load_fraction: Option<f32>,
    /// The model, once loaded.
    pub model: Option<ModelInfo>,
    /// The profile the model runs in.
    pub profile: Option<Profile>,
    /// The profile that the model is on its way to.
    pub switching_to: Option<Profile>,
    /// How the present switch is carried out, or the last one was.
    pub strategy: Option<SwitchStrategy>,
    /// Why the model is where it is; none before its first move.
    pub why: Option<Why>,
    /// What each profile would place on the card now, once that is known.
    pub plan: Option<LayerPlan>,
    /// The profile choice in force.
    pub choice: ProfileChoice,
    /// Whether Workly may switch by itself.
    pub auto_switching: bool,
    /// What the user asked for, for a while.
    pub override_kind: Option<OverrideWish>,
    /// Whether a CPU worker is ready to take over.
    pub standby_ready: bool,
    /// Tokens per second of the last or current answer, prompt excluded.
    pub tokens_per_second: Option<f64>,
    /// What the user should know although it works: the GPU asked for is missing, say.
    pub notices: Vec<Notice>,
    /// Why it failed.
    pub problem: Option<Problem>,
    /// Process of the worker, for diagnostics.
    pub worker_pid: Option<u32>,
}

/// The model manager as the window shows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
pub struct ModelView {
    /// The manager itself.
    #[serde(flatten)]
    pub snapshot: ModelSnapshot,
    /// Its notices in the user's language, in the same order.
    pub notice_texts: Vec<String>,
}

impl ModelView {
    /// The manager in the words of a language.
    pub fn new(snapshot: ModelSnapshot, language: Language) -> Self {
        let notice_texts = snapshot.notices.iter().map(|notice| language.notice(notice)).collect();
        Self { snapshot, notice_texts }
    }
}

/// All the window needs to draw itself for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AppSnapshot {
    /// Version of Workly.
    pub version: String,
    /// The model manager.
    pub model: ModelView,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_gets_each_notice_in_words_beside_its_code() {
        let snapshot = ModelSnapshot { notices: vec![Notice::CrashedTooOften], ..ModelSnapshot::default() };
        let view = serde_json::to_value(ModelView::new(snapshot, Language::French)).unwrap();
        assert_eq!(view["notices"][0]["code"], "crashed_too_often");
        assert_eq!(view["state"], "stopped");
        assert!(view["notice_texts"][0].as_str().unwrap().starts_with("Le modèle s’est écrasé"), "{view}");
    }
}
