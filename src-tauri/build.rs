//! Tells Tauri which commands the window may call; everything else is refused.

fn main() {
    let commands = tauri_build::AppManifest::new().commands(&["snapshot", "answer", "stop", "open_link"]);
    if let Err(error) = tauri_build::try_build(tauri_build::Attributes::new().app_manifest(commands)) {
        println!("cargo::error={error:#}");
    }
}
