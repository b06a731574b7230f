//! A Tauri window with nothing in it: what `cargo xtask bench --ui` compares Workly's memory with.

use tauri::http::Response;
use tauri::{WebviewUrl, WebviewWindowBuilder};

#[expect(clippy::exit, reason = "in what Tauri's macro expands to")]
fn main() {
    // A page of its own rather than `about:blank`, for which WebKitGTK starts no process.
    let page = b"<!doctype html><title>Empty</title>";
    let ended = tauri::Builder::default()
        .register_uri_scheme_protocol("empty", |_, _| {
            Response::builder().header("content-type", "text/html").body(page.as_slice()).unwrap_or_default()
        })
        .setup(|app| {
            let address = WebviewUrl::CustomProtocol("empty://localhost/".parse()?);
            WebviewWindowBuilder::new(app, "empty", address).inner_size(960.0, 720.0).build()?;
            Ok(())
        })
        .run(tauri::generate_context!());
    if let Err(error) = ended {
        tracing::error!("the empty window could not be opened: {error}");
    }
}
