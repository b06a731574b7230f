//! A folder of the user's own: added through the system's dialog, shown in the file manager, never changed.
#![expect(clippy::used_underscore_binding, reason = "the shape of a D-Bus interface")]

use std::sync::{Arc, Mutex};

use zbus::{Connection, connection, interface};

use crate::file_server::model;
use crate::harness::chooser::Chooser;
use crate::harness::program::eventually;
use crate::harness::{Desktop, Surroundings};
use crate::page::{MODEL, with_catalogue};

const OWN_FOLDER: &str = "[data-testid=folder]:has([data-testid=remove-folder])";

#[tokio::test]
async fn a_folder_is_added_its_models_are_shown_in_the_file_manager_and_it_is_removed_again() {
    let surroundings = with_catalogue(&[]);
    let file_manager = FileManager::start(&surroundings).await;
    let folder = surroundings.data().join("my models");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("mine.gguf");
    std::fs::write(&file, model(1)).unwrap();
    let desktop = Desktop::on_cpu(surroundings).await;
    desktop.open_models().await;

    desktop.click("[data-testid=add-folder]").await;
    Chooser::of(desktop.surroundings()).choose("Search this folder for models", &folder).await;
    let card = desktop.card_of("mine").await;
    desktop.wait_for_shown(OWN_FOLDER, "my models").await;
    desktop.save_screenshot("models-folder").await;

    desktop.choose_from_menu("mine", "menu-reveal").await;
    eventually("the file manager", || async { (!file_manager.shown().is_empty()).then_some(()) }).await;
    assert_eq!(file_manager.shown(), [format!("file://{}", file.to_str().unwrap().replace(' ', "%20"))]);

    // What is not Workly's can be used, but neither renamed nor deleted.
    desktop.click(&format!("{card} [data-testid=model-menu]")).await;
    desktop.find("[data-testid=menu-reveal]").await;
    assert!(!desktop.has("[data-testid=menu-delete]").await && !desktop.has("[data-testid=menu-rename]").await);
    desktop.press(&[crate::talk::ESCAPE]).await;

    desktop.click(&format!("{OWN_FOLDER} [data-testid=remove-folder]")).await;
    desktop.wait_for("one model less", || async { desktop.count(MODEL).await == 1 }).await;
    assert!(file.is_file(), "nothing in the folder is touched");
}

/// What shows files on a desktop.
struct FileManager {
    shown: Arc<Mutex<Vec<String>>>,
    _connection: Connection,
}

struct Server(Arc<Mutex<Vec<String>>>);

#[interface(name = "org.freedesktop.FileManager1")]
impl Server {
    fn show_items(&self, files: Vec<String>, _startup_id: String) {
        self.0.lock().unwrap().extend(files);
    }
}

impl FileManager {
    async fn start(surroundings: &Surroundings) -> Self {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let connection = connection::Builder::address(surroundings.bus_address())
            .unwrap()
            .name("org.freedesktop.FileManager1")
            .unwrap()
            .serve_at("/org/freedesktop/FileManager1", Server(Arc::clone(&shown)))
            .unwrap()
            .build()
            .await
            .unwrap();
        Self { shown, _connection: connection }
    }

    /// Addresses of the files it was asked to show.
    fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }
}
