//! The catalogue as this machine sees it: what is here already, how the rest would fit, and the best first.

use std::path::Path;

use workly_core::fit::{BACKEND, Machine, fit};
use workly_core::fit_guess::guess;
use workly_core::layer_plan::{Limits, Room};
use workly_core::model::ContextSize;
use workly_core::settings::Settings;
use workly_wire::models::{CatalogueModel, LibrarySnapshot, ModelSource};

use crate::catalogue;
use crate::memory::memory_to_be_had;

/// Adds to each model how it would fit and which one of the library it is, and puts the best first.
pub fn seen_from_here(
    models: Vec<CatalogueModel>,
    library: &LibrarySnapshot,
    settings: &Settings,
) -> Vec<CatalogueModel> {
    seen(models, library, settings, memory_to_be_had())
}

/// The same on a machine with so many bytes of RAM to be had.
fn seen(
    mut models: Vec<CatalogueModel>,
    library: &LibrarySnapshot,
    settings: &Settings,
    memory_available: Option<u64>,
) -> Vec<CatalogueModel> {
    let (context, kv_type) = (ContextSize::UpTo(settings.ai.context_tokens), settings.ai.kv_type);
    let card = library.card.as_ref();
    let machine = Machine {
        room: card.map(|card| Room { total: card.vram_total, external: card.vram_external }),
        limits: Limits {
            thresholds: settings.gpu_monitoring.thresholds,
            balanced_gpu_layers: settings.ai.balanced_gpu_layers,
            correction: 1.0,
        },
        memory_available,
        speeds: [None; 3],
    };
    for model in &mut models {
        let shape = guess(model.parameters, model.size_bytes, model.context_tokens);
        let footprints = shape.footprints(context, kv_type, BACKEND);
        model.fit = Some(fit(&shape, &footprints, false, kv_type, &machine));
        model.installed = installed(model, library);
    }
    catalogue::order(&mut models);
    models
}

/// The model of the library that it is: the one of its name in Workly's own folder, or the one that comes with Workly.
fn installed(model: &CatalogueModel, library: &LibrarySnapshot) -> Option<String> {
    let name = catalogue::file_name(model)?;
    let here = library.models.iter().find(|here| {
        (here.is_own || here.source == ModelSource::Embedded)
            && here.problem.is_none()
            && Path::new(&here.path).file_name().is_some_and(|file| file == name.as_str())
    });
    here.map(|here| here.id.clone())
}

#[cfg(test)]
mod tests {
    use workly_core::fit::FitVerdict;
    use workly_wire::models::{LibraryCard, LibraryModel};

    use super::*;

    fn here(path: &str, is_own: bool) -> LibraryModel {
        LibraryModel {
            id: path.to_owned(),
            title: "a model".into(),
            path: path.to_owned(),
            file_bytes: 1,
            source: ModelSource::Workly,
            is_own,
            is_chosen: false,
            facts: None,
            fit: None,
            problem: None,
        }
    }

    #[test]
    fn a_model_is_here_once_its_file_is_in_our_own_folder() {
        let models = catalogue::models().unwrap();
        let wanted = models.first().unwrap().clone();
        let name = catalogue::file_name(&wanted).unwrap();
        let library =
            |path: String, is_own| LibrarySnapshot { models: vec![here(&path, is_own)], ..Default::default() };
        let seen = |library: &LibrarySnapshot| {
            let seen = seen_from_here(models.clone(), library, &Settings::default());
            seen.into_iter().find(|model| model.id == wanted.id).unwrap().installed
        };
        let own = format!("/data/models/{name}");
        assert_eq!(seen(&library(own.clone(), true)), Some(own));
        assert_eq!(seen(&library(format!("/elsewhere/{name}"), false)), None);
        assert_eq!(seen(&LibrarySnapshot::default()), None);
    }

    #[test]
    fn a_card_changes_what_comes_first() {
        let first = |card| {
            let library = LibrarySnapshot { card, ..Default::default() };
            let seen = seen(catalogue::models().unwrap(), &library, &Settings::default(), Some(64 << 30));
            let first = seen.into_iter().next().unwrap();
            (first.parameters, first.fit.unwrap().verdict)
        };
        let card = LibraryCard { name: "Card".into(), vram_total: 24 << 30, vram_external: 0 };
        let (on_card, verdict) = first(Some(card));
        assert_eq!(verdict, FitVerdict::AllOnGpu);
        let (on_cpu, verdict) = first(None);
        assert_eq!(verdict, FitVerdict::CpuOnly);
        assert!(on_card > on_cpu, "what a card computes easily is slow without one");
    }
}
