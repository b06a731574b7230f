//! Tells Tauri which commands the window may call; everything else is refused.

fn main() {
    let commands = tauri_build::AppManifest::new().commands(&[
        "snapshot",
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
        "open_link",
        "chat_snapshot",
        "open_conversation",
        "rename_conversation",
        "delete_conversation",
        "restore_conversation",
        "search_conversations",
        "export_conversation",
        "set_conversation_settings",
        "save_draft",
        "choose_branch",
        "ask",
        "regenerate",
        "edit",
        "watch",
        "stop",
        "dismiss_store_notice",
    ]);
    if let Err(error) = tauri_build::try_build(tauri_build::Attributes::new().app_manifest(commands)) {
        println!("cargo::error={error:#}");
    }
}
