//! The card a model is placed on: what the model would take of it, and how many layers follow from that.
//!
//! Not here: when to plan (`manager`), and the rule itself (`workly_core::layer_plan`).

use std::path::Path;

use workly_core::device::{Device, choose_gpu};
use workly_core::layer_plan::{FootprintTable, Limits, Room, solve};
use workly_core::policy::{LayerPlan, ProfilePlan};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::ProfileChoice;
use workly_core::reading::Reading;
use workly_engine::end::WorkerEnd;
use workly_engine::protocol::{Command, FootprintRequest, Reply};
use workly_engine::worker::{Patience, Worker};
use workly_library::experience::{Experience, Key, Known};

use super::startup::unexpected;
use crate::launcher::{Backends, Launcher, VULKAN_DEVICES};
use crate::model_settings::ModelSettings;

/// A model sized up for a device.
#[derive(Debug, Clone)]
pub struct Card {
    /// The device that would take its layers.
    pub device: Device,
    /// All devices the worker offers.
    pub devices: Vec<Device>,
    /// What the model would take.
    pub footprints: FootprintTable,
    /// What else is known of the model on this device.
    pub(crate) known: Known,
    /// Under which it is remembered; none where the file could not be read.
    pub(crate) key: Option<Key>,
}

/// Why a model could not be sized up.
#[derive(Debug)]
pub(crate) enum UnsizedCard {
    /// There is no GPU that may be taken.
    NoGpu,
    /// A driver, or the model, brought the worker down.
    Died(WorkerEnd),
    /// The model cannot be loaded.
    Refused(Problem),
}

/// What others take, and what was learned of the model's own footprint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Circumstances {
    /// Size of the card and highest VRAM of others of late, bytes.
    pub(crate) room: Room,
    /// Measured by predicted footprint.
    pub(crate) correction: f64,
    /// Layers from which a plan was seen not to fit.
    pub(crate) failed_layers: Option<u32>,
}

impl Circumstances {
    /// Those before anything is loaded: all that is in use is others'.
    pub(crate) const fn before_load(reading: &Reading, correction: f64) -> Self {
        let room = Room { total: reading.vram_total, external: reading.vram_used };
        Self { room, correction, failed_layers: None }
    }
}

impl Card {
    /// Measured by predicted footprint, as loads before have shown; 1 where there were none.
    pub fn correction(&self) -> f64 {
        self.known.correction.unwrap_or(1.0)
    }

    /// The layer plan as things are.
    ///
    /// A number of layers given on the command line stands for every GPU profile; where Workly chooses, for
    /// `performance` alone, as two profiles of one plan are one.
    pub(crate) fn plans(&self, settings: &ModelSettings, now: &Circumstances) -> LayerPlan {
        if let Some(layers) = settings.gpu_layers {
            let plan = self.footprints.plan(layers);
            let balanced = if settings.profile == ProfileChoice::Auto { ProfilePlan::NONE } else { plan };
            return LayerPlan { performance: plan, balanced, model_layers: self.footprints.model_layers() };
        }
        let limits = Limits {
            thresholds: settings.thresholds,
            balanced_gpu_layers: settings.balanced_gpu_layers,
            correction: now.correction,
        };
        let mut plans = solve(&self.footprints, &now.room, &limits);
        if let Some(failed) = now.failed_layers {
            // The same plan is not tried again.
            for plan in [&mut plans.performance, &mut plans.balanced] {
                if plan.layers >= failed {
                    *plan = self.footprints.plan(failed.saturating_sub(1));
                }
            }
        }
        plans
    }
}

/// Sizes a model up with a worker of its own, for the GPU that the settings choose.
///
/// `any_gpu`: where they choose none, take whatever GPU there is, even one computed in software: nothing is placed on
/// it.
///
/// # Errors
///
/// Why the model cannot be sized up; with [`ProblemCode::LoadFailed`], that there is no GPU.
pub async fn size_up(
    program: &Path,
    settings: &ModelSettings,
    experience: &Experience,
    any_gpu: bool,
) -> Result<Card, Problem> {
    let launcher = Launcher::new(program.to_path_buf(), Patience::default());
    let mut sized = with_worker(&launcher, settings, experience, any_gpu, Backends::Gpu).await;
    if matches!(sized, Err(UnsizedCard::NoGpu)) && any_gpu && std::env::var_os(VULKAN_DEVICES).is_none() {
        sized = with_worker(&launcher, settings, experience, any_gpu, Backends::GpuOrSoftware).await;
    }
    match sized {
        Ok((worker, card)) => {
            worker.stop().await;
            Ok(card)
        }
        Err(UnsizedCard::NoGpu) => Err(Problem::new(ProblemCode::LoadFailed, no_gpu(any_gpu))),
        Err(UnsizedCard::Refused(problem)) => Err(problem),
        Err(UnsizedCard::Died(end)) => Err(gave_up(end.problem())),
    }
}

fn no_gpu(any_gpu: bool) -> &'static str {
    if any_gpu {
        "No GPU driver that Workly can ask was found. Install the Vulkan driver of your card, or Mesa's software one."
    } else {
        "No GPU that can be used was found, so there is no card to plan for. Give the size of one with \
         --vram-total-mib, or install your card's driver."
    }
}

/// llama.cpp ends the process over a cache that the device cannot hold in one piece, as it would when loading.
fn gave_up(problem: Problem) -> Problem {
    if problem.code != ProblemCode::WorkerCrashed {
        return problem;
    }
    let message = "The model process came down while it sized the model up. Choose a smaller context; if that does not \
                   help, fetch the model again.";
    Problem { message: message.into(), ..problem }
}

/// Sizes a model up, and keeps the worker that did: it can load the model.
pub(crate) async fn with_worker(
    launcher: &Launcher,
    settings: &ModelSettings,
    experience: &Experience,
    any_gpu: bool,
    backends: Backends,
) -> Result<(Worker, Card), UnsizedCard> {
    let worker = launcher.start(backends).await.map_err(UnsizedCard::Died)?;
    let devices = devices(&worker).await?;
    let chosen = choose_gpu(&devices, &settings.gpu);
    let chosen = chosen.or_else(|| devices.iter().find(|device| any_gpu && device.is_gpu()));
    let device = chosen.cloned().ok_or(UnsizedCard::NoGpu)?;
    let request = FootprintRequest {
        path: settings.path.clone(),
        device: device.name.clone(),
        context: settings.context,
        kv_type: settings.kv_type,
    };
    let (store, asked, described) = (experience.clone(), request.clone(), device.clone());
    let look = move || {
        // A file that cannot be read is the worker's to explain.
        let key = Key::new(&asked.path, asked.context, asked.kv_type, &described).ok()?;
        let known = store.of(&key);
        Some((key, known))
    };
    let (key, known) = tokio::task::spawn_blocking(look).await.ok().flatten().unzip();
    let mut known = known.unwrap_or_default();
    let footprints = match known.footprints.take() {
        Some(footprints) => footprints,
        None => measure(&worker, request, experience, key.clone()).await?,
    };
    Ok((worker, Card { device, devices, footprints, known, key }))
}

async fn devices(worker: &Worker) -> Result<Vec<Device>, UnsizedCard> {
    match worker.call(Command::Devices).last().await {
        Ok(Reply::Devices { devices }) => Ok(devices),
        Ok(other) => Err(UnsizedCard::Refused(unexpected(&other))),
        Err(end) => Err(UnsizedCard::Died(end)),
    }
}

async fn measure(
    worker: &Worker,
    request: FootprintRequest,
    experience: &Experience,
    key: Option<Key>,
) -> Result<FootprintTable, UnsizedCard> {
    let table = match worker.call(Command::Footprint(request)).last().await {
        Ok(Reply::Footprints(table)) => table,
        Ok(Reply::Failed(problem)) => return Err(UnsizedCard::Refused(problem)),
        Ok(other) => return Err(UnsizedCard::Refused(unexpected(&other))),
        Err(end) => return Err(UnsizedCard::Died(end)),
    };
    if let Some(key) = key {
        let (store, told) = (experience.clone(), table.clone());
        let remember = move || store.change(&key, |known| known.footprints = Some(told));
        let _ = tokio::task::spawn_blocking(remember).await;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use workly_core::device::DeviceKind;
    use workly_core::layer_plan::Footprint;
    use workly_core::profile::Profile;

    use super::*;

    fn card() -> Card {
        let device = Device {
            name: "Vulkan0".into(),
            description: "card".into(),
            backend: "Vulkan".into(),
            kind: DeviceKind::DiscreteGpu,
            pci_address: None,
            memory_total: 1_000,
            memory_free: 1_000,
        };
        let at = |layers: u64| Footprint { weights: layers * 10, ..Footprint::default() };
        let footprints = FootprintTable { context_tokens: 64, by_layers: (0..=30).map(at).collect() };
        Card { devices: vec![device.clone()], device, footprints, known: Known::default(), key: None }
    }

    fn layers(settings: &ModelSettings, failed_layers: Option<u32>) -> (u32, u32) {
        let now = Circumstances { room: Room { total: 1_000, external: 0 }, correction: 1.0, failed_layers };
        let plans = card().plans(settings, &now);
        (plans.performance.layers, plans.balanced.layers)
    }

    #[test]
    fn a_plan_that_failed_is_not_tried_again() {
        let settings = ModelSettings::new("m.gguf".into());
        assert_eq!(layers(&settings, None), (30, 19));
        assert_eq!(layers(&settings, Some(30)), (29, 19));
        assert_eq!(layers(&settings, Some(15)), (14, 14));
    }

    #[test]
    fn layers_given_by_the_user_stand_for_the_profile_chosen_and_for_performance_where_workly_chooses() {
        let mut settings = ModelSettings { gpu_layers: Some(3), ..ModelSettings::new("m.gguf".into()) };
        assert_eq!(layers(&settings, None), (3, 0));
        settings.profile = ProfileChoice::Fixed(Profile::Balanced);
        assert_eq!(layers(&settings, Some(2)), (3, 3));
    }
}
