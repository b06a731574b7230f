//! Command-line arguments about the model, which the desktop program and the headless one share.

use std::path::PathBuf;

use clap::Args;
use workly_core::model::ContextSize;
use workly_core::profile::ProfileChoice;

use crate::model_settings::ModelSettings;
use crate::places;

/// Which model to run, and how.
#[derive(Debug, Clone, Args)]
pub struct ModelArguments {
    /// The GGUF file to chat with; without it, the model that comes with Workly.
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// Where the model's layers live: auto, performance, balanced or `cpu_fallback`.
    #[arg(long, default_value = "auto")]
    pub profile: ProfileChoice,
    /// Tokens of context to make room for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..))]
    pub context: Option<u32>,
    /// CPU threads.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    pub threads: Option<u32>,
    /// Layers on the GPU, in place of what the GPU profiles would take.
    #[arg(long, value_name = "N")]
    pub gpu_layers: Option<u32>,
}

impl ModelArguments {
    /// The settings these arguments ask for; `resources` is where the installed program keeps what came with it.
    ///
    /// A missing embedded model is found missing when it is loaded, with the name it should have.
    pub fn settings(&self, resources: Option<&std::path::Path>) -> ModelSettings {
        let path = self
            .model
            .clone()
            .or_else(|| places::embedded_model(resources))
            .unwrap_or_else(|| PathBuf::from("models").join(places::EMBEDDED_MODEL));
        let mut settings = ModelSettings::new(path);
        settings.profile = self.profile;
        settings.gpu_layers = self.gpu_layers;
        settings.threads = self.threads;
        if let Some(tokens) = self.context {
            settings.context = ContextSize::Exactly(tokens);
        }
        settings
    }
}
