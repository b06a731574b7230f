//! Notifications, received on the session bus as a desktop receives them.
#![expect(clippy::unused_self, clippy::used_underscore_binding, reason = "the shape of a D-Bus interface")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use zbus::zvariant::OwnedValue;
use zbus::{Connection, connection, interface};

use crate::harness::program::{ONE_WORKER, Program, eventually};
use crate::harness::{PROGRAM, Surroundings};
use crate::panel::Panel;

#[tokio::test]
async fn an_automatic_switch_is_told_once_with_its_reason() {
    let surroundings = with_a_card(Surroundings::new(), 500);
    let notifications = Notifications::start(&surroundings).await;
    let panel = Panel::start(&surroundings).await;
    let mut program = Program::start(&surroundings, &["--gpu-layers", "1"]);
    panel.wait_for("IconName", "workly-performance").await;
    fill_the_card(&surroundings);
    panel.wait_for("IconName", "workly-cpu").await;
    eventually("a notification", || async { (!notifications.received().is_empty()).then_some(()) }).await;
    panel.click("Quit").await;
    assert!(program.ended().await.success());
    let received = notifications.received();
    let [(title, body)] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(title, "The model moved to CPU");
    assert!(body.contains("VRAM 9") && body.contains("game"), "{body}");
}

#[tokio::test]
async fn what_the_user_asked_for_is_not_told() {
    let surroundings = Surroundings::new();
    let notifications = Notifications::start(&surroundings).await;
    let panel = Panel::start(&surroundings).await;
    let mut program = Program::start(&surroundings, ONE_WORKER);
    program.worker().await;
    panel.click("CPU").await;
    panel.wait_for("Title", "Workly: CPU").await;
    panel.click("Quit").await;
    assert!(program.ended().await.success());
    assert_eq!(notifications.received(), []);
}

/// A card with this much in use, MiB, by what stands for other programs.
fn with_a_card(surroundings: Surroundings, used_mib: u32) -> Surroundings {
    let library = Path::new(PROGRAM).with_file_name("libfake_nvml.so");
    assert!(library.is_file(), "{} is missing: build the whole workspace", library.display());
    let game = json!([{ "pid": 4242, "name": "/games/game", "kind": "graphics", "used_mib": 5800 }]);
    let scenario = json!({
        "clock": { "file": "clock" },
        "devices": [{
            "name": "Test card",
            "total_mib": 6141,
            "timeline": [
                { "at": 0, "used_mib": used_mib, "gpu_percent": 3, "processes": [] },
                { "at": 10, "used_mib": 5900, "gpu_percent": 97, "processes": game },
            ],
        }],
    });
    let path = surroundings.data().join("scenario.json");
    std::fs::write(&path, scenario.to_string()).unwrap();
    std::fs::write(surroundings.data().join("clock"), "0").unwrap();
    surroundings
        .with("WORKLY_NVML_LIB", library.to_str().unwrap())
        .with("FAKE_NVML_SCENARIO", path.to_str().unwrap())
        .with("GGML_VK_VISIBLE_DEVICES", "0")
}

fn fill_the_card(surroundings: &Surroundings) {
    std::fs::write(surroundings.data().join("clock"), "10").unwrap();
}

/// What shows notifications on a desktop.
struct Notifications {
    received: Arc<Mutex<Vec<(String, String)>>>,
    _connection: Connection,
}

struct Server(Arc<Mutex<Vec<(String, String)>>>);

#[interface(name = "org.freedesktop.Notifications")]
impl Server {
    #[expect(clippy::too_many_arguments, reason = "the specification has this many")]
    fn notify(
        &self,
        _program: String,
        _replaces: u32,
        _icon: String,
        title: String,
        body: String,
        _actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _timeout: i32,
    ) -> u32 {
        let mut received = self.0.lock().unwrap();
        received.push((title, body));
        received.len() as u32
    }

    fn get_capabilities(&self) -> Vec<String> {
        vec!["body".to_owned()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        let text = |text: &str| text.to_owned();
        (text("test"), text("workly"), text("1"), text("1.2"))
    }
}

impl Notifications {
    async fn start(surroundings: &Surroundings) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let connection = connection::Builder::address(surroundings.bus_address())
            .unwrap()
            .serve_at("/org/freedesktop/Notifications", Server(Arc::clone(&received)))
            .unwrap()
            .name("org.freedesktop.Notifications")
            .unwrap()
            .build()
            .await
            .unwrap();
        Self { received, _connection: connection }
    }

    /// Titles and texts, the oldest first.
    fn received(&self) -> Vec<(String, String)> {
        self.received.lock().unwrap().clone()
    }
}
