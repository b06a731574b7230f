//! Files that are dragged over the window: the window is told, and models that are let go there are imported.

use std::path::{Path, PathBuf};

use tauri::{AppHandle, DragDropEvent, Manager as _};
use workly_core::problem::Problem;
use workly_library::transfers::Transfers;
use workly_wire::models::{DragPhase, MODELS_DRAGGED, ModelsDragged};

use crate::feeds::tell::tell as tell_window;
use crate::settings::model_choice;

/// Follows a drag over the window.
pub(crate) fn follow(app: &AppHandle, event: &DragDropEvent) {
    match event {
        DragDropEvent::Enter { paths, .. } => tell(app, DragPhase::Over, paths, None),
        DragDropEvent::Leave => tell(app, DragPhase::Left, &[], None),
        DragDropEvent::Drop { paths, .. } => dropped(app.clone(), paths.clone()),
        // A drag that only moves is nothing new.
        _ => {}
    }
}

fn dropped(app: AppHandle, paths: Vec<PathBuf>) {
    // What lies over the window goes at once; the files are looked at meanwhile.
    tell(&app, DragPhase::Left, &paths, None);
    tauri::async_runtime::spawn(async move {
        let models: Vec<PathBuf> = paths.iter().filter(|path| is_model(path)).cloned().collect();
        let problem = model_choice::import(&app.state::<Transfers>(), models).await.err();
        tell(&app, DragPhase::Dropped, &paths, problem);
    });
}

fn tell(app: &AppHandle, phase: DragPhase, paths: &[PathBuf], problem: Option<Problem>) {
    let models = paths.iter().filter(|path| is_model(path)).count();
    let models = u32::try_from(models).unwrap_or(u32::MAX);
    tell_window(app, MODELS_DRAGGED, ModelsDragged { phase, models, problem });
}

fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_named_as_models_are_taken() {
        for (path, taken) in [("/a/b.gguf", true), ("/a/b.GGUF", true), ("/a/b.safetensors", false), ("/a/gguf", false)]
        {
            assert_eq!(is_model(Path::new(path)), taken, "{path}");
        }
    }
}
