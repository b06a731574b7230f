//! Calibration: what the manager learns of the model it runs, for the next time.

use workly_core::profile::Profile;
use workly_library::experience::{Key, Known};
use workly_wire::answer::AnswerStats;

use crate::manager::task::Task;

/// Tokens that an answer must have for its speed to say something.
const MEASURED_TOKENS: u32 = 32;

impl Task {
    /// Waits until all of it is written.
    pub(crate) async fn all_remembered(&mut self) {
        while self.remembering.join_next().await.is_some() {}
    }

    /// Remembers something of this model on this card.
    pub(crate) fn remember(&mut self, change: impl FnOnce(&mut Known) + Send + 'static) {
        let Some(key) = self.driver.as_ref().and_then(|driver| driver.card.as_ref()?.key.clone()) else { return };
        let store = self.context.experience.clone();
        while self.remembering.try_join_next().is_some() {}
        self.remembering.spawn_blocking(move || store.change(&key, change));
    }

    /// Remembers how fast an answer was written; `written_in`: the one profile that it was written in.
    pub(crate) fn remember_speed(&mut self, written_in: Option<Profile>, stats: Option<&AnswerStats>) {
        let (Some(profile), Some(stats)) = (written_in, stats.filter(|stats| stats.tokens >= MEASURED_TOKENS)) else {
            return;
        };
        let speed = stats.tokens_per_second;
        if profile.uses_gpu() {
            self.remember(move |known| known.wrote(profile, speed));
            return;
        }
        // On the CPU it holds whatever card there is.
        let (store, settings) = (self.context.experience.clone(), &self.context.settings);
        let (path, context, kv_type) = (settings.path.clone(), settings.context, settings.kv_type);
        self.remembering.spawn_blocking(move || match Key::on_cpu(&path, context, kv_type) {
            Ok(key) => store.change(&key, |known| known.wrote(profile, speed)),
            Err(error) => tracing::warn!(%error, "the speed is not remembered"),
        });
    }
}
