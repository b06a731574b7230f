//! Tells Tauri which commands the window may call; everything else is refused.

fn main() {
    let commands = tauri_build::AppManifest::new().commands(&[
        "snapshot",
        "answer",
        "stop",
        "open_link",
        "settings_snapshot",
        "set_setting",
        "reset_settings",
        "dismiss_settings_notices",
        "set_override",
        "preview_thresholds",
        "list_gpus",
        "diagnostics",
        "open_data_folder",
        "watch_monitor",
        "unwatch_monitor",
        "gpu_processes",
        "export_gpu_history",
        "show_export",
        "play_demo",
    ]);
    if let Err(error) = tauri_build::try_build(tauri_build::Attributes::new().app_manifest(commands)) {
        println!("cargo::error={error:#}");
    }
}
