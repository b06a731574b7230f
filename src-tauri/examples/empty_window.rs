//! A Tauri window with nothing in it: what `cargo xtask bench --ui` compares Workly's memory with.

fn main() {
    let built = tauri::Builder::default()
        .setup(|app| {
            let nothing = tauri::WebviewUrl::External("about:blank".parse()?);
            tauri::WebviewWindowBuilder::new(app, "empty", nothing).inner_size(960.0, 720.0).build()?;
            Ok(())
        })
        .run(tauri::generate_context!());
    if let Err(error) = built {
        tracing::error!("the empty window could not be opened: {error}");
    }
}
