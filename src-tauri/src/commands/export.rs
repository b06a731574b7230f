//! Writing a conversation to a file of the user's choice.

use std::path::{Path, PathBuf};

use tauri::{AppHandle, Manager as _};
use tauri_plugin_dialog::DialogExt as _;
use tokio::sync::oneshot;
use workly_files::whole_file;
use workly_wire::chat::{ExportFormat, ExportWords};

use super::chat::OurChats;
use crate::error::{Answered, export_failed};

/// Asks for a place in the system's own dialog and writes there. Returns the file's name; none where the user cancelled.
#[tauri::command]
pub(crate) async fn export_conversation(
    app: AppHandle,
    chats: OurChats<'_>,
    id: i64,
    format: ExportFormat,
    words: ExportWords,
) -> Answered<Option<String>> {
    let dialog_title = words.dialog.clone();
    let exported =
        chats.store().with(move |store| Ok((store.export_name(id, format)?, store.export(id, format, &words)?)));
    let (name, text) = exported.await?;
    let Some(path) = choose_place(&app, &dialog_title, &name, format).await else { return Ok(None) };
    let written = tauri::async_runtime::spawn_blocking({
        let path = path.clone();
        move || whole_file::write(&path, text.as_bytes())
    });
    written.await.map_err(export_failed)?.map_err(export_failed)?;
    Ok(path.file_name().map(|name| name.to_string_lossy().into_owned()))
}

async fn choose_place(app: &AppHandle, title: &str, name: &str, format: ExportFormat) -> Option<PathBuf> {
    let (done, chosen) = oneshot::channel();
    let (kind, ending) = match format {
        ExportFormat::Markdown => ("Markdown", "md"),
        ExportFormat::Json => ("JSON", "json"),
    };
    let mut dialog = app.dialog().file().set_title(title).set_file_name(name).add_filter(kind, &[ending]);
    if let Ok(folder) = app.path().document_dir().or_else(|_| app.path().home_dir()) {
        dialog = dialog.set_directory(folder);
    }
    if let Some(window) = app.get_webview_window(crate::shell::front::MAIN) {
        dialog = dialog.set_parent(&window);
    }
    dialog.save_file(move |place| drop(done.send(place)));
    let place = chosen.await.ok()??.into_path().ok()?;
    Some(with_ending(&place, ending))
}

/// Dialogs differ in whether they add the ending of the chosen kind.
fn with_ending(place: &Path, ending: &str) -> PathBuf {
    if place.extension().is_some() { place.to_path_buf() } else { place.with_extension(ending) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_ending_gets_the_one_of_its_kind() {
        assert_eq!(with_ending(Path::new("/a/chat"), "md"), Path::new("/a/chat.md"));
        assert_eq!(with_ending(Path::new("/a/chat.txt"), "md"), Path::new("/a/chat.txt"));
    }
}
