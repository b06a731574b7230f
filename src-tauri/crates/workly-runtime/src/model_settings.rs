//! Which model to run, and how.

use std::path::PathBuf;

use workly_core::device::DeviceWish;
use workly_core::model::{ContextSize, KvType};
use workly_core::policy::{Config, Override, OverrideKind};
use workly_core::profile::ProfileChoice;
use workly_core::settings::{CpuThreads, OverrideSetting, OverrideWish, Settings, Standby};
use workly_core::thresholds::Thresholds;

/// Which model to run, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSettings {
    /// The GGUF file.
    pub path: PathBuf,
    /// The profile to run in.
    pub profile: ProfileChoice,
    /// Whether Workly may switch by itself.
    pub auto_switching: bool,
    /// Whether a CPU worker is kept ready while the model is on the GPU.
    pub standby: Standby,
    /// The thresholds, validated.
    pub thresholds: Thresholds,
    /// Most layers of `balanced`.
    pub balanced_gpu_layers: u32,
    /// What the user asked for, for a while.
    pub override_: Option<OverrideSetting>,
    /// Layers on the GPU in the GPU profiles, in place of what the profile would take.
    pub gpu_layers: Option<u32>,
    /// The GPU to take.
    pub gpu: DeviceWish,
    /// Tokens of context.
    pub context: ContextSize,
    /// Number type of the KV cache.
    pub kv_type: KvType,
    /// CPU threads; `None`: one for each physical core.
    pub threads: Option<u32>,
}

impl ModelSettings {
    /// A model with Workly's defaults.
    ///
    /// Where the user limited the GPUs that a backend may show (`GGML_VK_VISIBLE_DEVICES`), those that are left are
    /// taken whatever their kind.
    pub fn new(path: PathBuf) -> Self {
        let limited = std::env::var_os("GGML_VK_VISIBLE_DEVICES").is_some();
        Self {
            path,
            profile: ProfileChoice::Auto,
            auto_switching: true,
            standby: Standby::Auto,
            thresholds: Thresholds::default(),
            balanced_gpu_layers: 35,
            override_: None,
            gpu_layers: None,
            gpu: if limited { DeviceWish::AnyVisible } else { DeviceWish::Auto },
            context: ContextSize::default(),
            kv_type: KvType::default(),
            threads: None,
        }
    }

    /// Takes over what the settings say of where the model runs; the model's file stays as it is.
    #[must_use]
    pub fn with(mut self, settings: &Settings) -> Self {
        let ai = &settings.ai;
        self.profile = ai.gpu_profile;
        self.auto_switching = ai.auto_switching_enabled;
        self.standby = ai.standby;
        self.thresholds = settings.gpu_monitoring.thresholds;
        self.balanced_gpu_layers = ai.balanced_gpu_layers;
        self.override_ = settings.override_;
        if !ai.gpu_device.eq_ignore_ascii_case("auto") {
            self.gpu = DeviceWish::Named(ai.gpu_device.clone());
        }
        self.context = ContextSize::UpTo(ai.context_tokens);
        self.kv_type = ai.kv_type;
        self.threads = match ai.cpu_threads {
            CpuThreads::Auto => None,
            CpuThreads::Count(count) => Some(count),
        };
        self
    }

    /// What the policy needs of it. `now_ms`: the policy's clock, milliseconds; `unix_s`: the wall clock, seconds.
    pub(crate) fn policy(&self, now_ms: u64, unix_s: u64) -> Config {
        let in_force = self.override_.filter(|wish| wish.until.is_none_or(|until| until > unix_s));
        let override_ = in_force.map(|wish| Override {
            kind: match wish.kind {
                OverrideWish::Hold => OverrideKind::Hold,
                OverrideWish::GiveUp => OverrideKind::GiveUp,
            },
            until_ms: wish.until.map(|until| now_ms + (until - unix_s) * 1_000),
        });
        Config { thresholds: self.thresholds, choice: self.profile, auto_switching: self.auto_switching, override_ }
    }

    /// Whether both are the same model set up in the same way, so that a loaded one need not be loaded again.
    pub(crate) fn is_same_model(&self, other: &Self) -> bool {
        let Self { path, gpu, context, kv_type, .. } = self;
        (path, gpu, context, kv_type) == (&other.path, &other.gpu, &other.context, &other.kv_type)
    }

    /// Becomes the model of other settings, and nothing else of them.
    pub(crate) fn take_model_of(&mut self, other: &Self) {
        self.path.clone_from(&other.path);
        self.gpu.clone_from(&other.gpu);
        self.context = other.context;
        self.kv_type = other.kv_type;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_of_another_number_type_means_that_the_model_is_loaded_anew() {
        let mut document = Settings::default();
        let set = |document: &Settings| ModelSettings::new("m.gguf".into()).with(document);
        let before = set(&document);
        document.ai.kv_type = KvType::Q8_0;
        let mut after = set(&document);
        assert_eq!(after.kv_type, KvType::Q8_0);
        assert!(!before.is_same_model(&after));
        after.take_model_of(&before);
        assert_eq!(after.kv_type, KvType::F16, "the answer under way is finished in the cache it has");
        assert!(before.is_same_model(&after));
    }

    #[test]
    fn an_override_ends_on_the_wall_clock_whatever_the_policys_clock_says() {
        let give_up = |until| Some(OverrideSetting { kind: OverrideWish::GiveUp, until });
        let settings = |override_| ModelSettings { override_, ..ModelSettings::new("m.gguf".into()) };
        let in_force = |until| settings(give_up(until)).policy(7_000, 1_000).override_;
        assert_eq!(in_force(None).unwrap().until_ms, None);
        assert_eq!(in_force(Some(1_030)).unwrap().until_ms, Some(37_000));
        assert_eq!(in_force(Some(1_000)), None, "it is over");
    }
}
