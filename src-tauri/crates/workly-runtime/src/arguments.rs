//! Command-line arguments about the model, which the desktop program and the headless one share.

use std::path::PathBuf;

use clap::Args;
use workly_core::model::ContextSize;
use workly_core::profile::ProfileChoice;
use workly_core::settings::Settings;
use workly_files::places;

use crate::model_settings::ModelSettings;

/// Which model to run, and how.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelArguments {
    /// The GGUF file to chat with; without it, the model that comes with Workly.
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// Where the model's layers live: auto, performance, balanced or `cpu_fallback`; without it, as the settings say.
    #[arg(long)]
    pub profile: Option<ProfileChoice>,
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
        settings.profile = self.profile.unwrap_or_default();
        settings.gpu_layers = self.gpu_layers;
        settings.threads = self.threads;
        if let Some(tokens) = self.context {
            settings.context = ContextSize::Exactly(tokens);
        }
        settings
    }

    /// What the user's settings ask for, with these arguments before them. A model named in the settings is a path, or a
    /// name in the `models` folder of `data_dir`.
    pub fn settings_with(
        &self,
        settings: &Settings,
        resources: Option<&std::path::Path>,
        data_dir: Option<&std::path::Path>,
    ) -> ModelSettings {
        let mut asked = self.settings(resources).with(settings);
        if let (None, Some(name)) = (&self.model, &settings.ai.model) {
            asked.path = in_library(name, data_dir);
        }
        if let Some(profile) = self.profile {
            asked.profile = profile;
        }
        if let Some(tokens) = self.context {
            asked.context = ContextSize::Exactly(tokens);
        }
        asked.threads = self.threads.or(asked.threads);
        asked
    }

    /// The settings that these arguments take over, by their keys in `config.json`.
    pub fn taken_over(&self) -> Vec<&'static str> {
        [
            ("ai.gpu_profile", self.profile.is_some()),
            ("ai.context_tokens", self.context.is_some()),
            ("ai.cpu_threads", self.threads.is_some()),
            ("ai.balanced_gpu_layers", self.gpu_layers.is_some()),
            ("ai.model", self.model.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, given)| given.then_some(key))
        .collect()
    }
}

fn in_library(name: &str, data_dir: Option<&std::path::Path>) -> PathBuf {
    let path = PathBuf::from(name);
    let folder = data_dir.map(|folder| folder.join("models"));
    let candidates = folder.iter().flat_map(|folder| [folder.join(name), folder.join(format!("{name}.gguf"))]);
    if path.is_absolute() { path } else { candidates.into_iter().find(|path| path.is_file()).unwrap_or(path) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;
    use workly_core::profile::Profile;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        model: ModelArguments,
    }

    fn arguments(text: &[&str]) -> ModelArguments {
        Program::try_parse_from([&["workly"], text].concat()).unwrap().model
    }

    #[test]
    fn an_argument_comes_before_the_setting_and_the_setting_before_the_default() {
        let document = json!({ "ai": { "gpu_profile": "balanced", "context_tokens": 2048, "cpu_threads": 3 } });
        let (settings, _) = Settings::salvage(&document);
        let set = arguments(&[]).settings_with(&settings, None, None);
        assert_eq!(set.profile, ProfileChoice::Fixed(Profile::Balanced));
        assert_eq!((set.context, set.threads), (ContextSize::UpTo(2048), Some(3)));

        let auto = arguments(&["--profile", "auto"]).settings_with(&settings, None, None);
        assert_eq!(auto.profile, ProfileChoice::Auto);

        let given = arguments(&["--profile", "performance", "--context", "512", "--threads", "2"]);
        let set = given.settings_with(&settings, None, None);
        assert_eq!(set.profile, ProfileChoice::Fixed(Profile::Performance));
        assert_eq!((set.context, set.threads), (ContextSize::Exactly(512), Some(2)));
        assert_eq!(given.taken_over(), ["ai.gpu_profile", "ai.context_tokens", "ai.cpu_threads"]);
    }

    #[test]
    fn a_model_of_the_settings_is_found_in_the_library() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("models/mine.gguf");
        std::fs::create_dir(folder.path().join("models")).unwrap();
        std::fs::write(&place, "").unwrap();
        let mut settings = Settings::default();
        settings.ai.model = Some("mine".into());
        assert_eq!(arguments(&[]).settings_with(&settings, None, Some(folder.path())).path, place);
        let given = arguments(&["--model", "other.gguf"]);
        assert_eq!(given.settings_with(&settings, None, Some(folder.path())).path, PathBuf::from("other.gguf"));
    }
}
