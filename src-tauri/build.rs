//! Tells Tauri which commands the window may call; everything else is refused.

fn main() {
    let commands = tauri_build::AppManifest::new().commands(&[
        "snapshot",
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
