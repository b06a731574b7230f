//! The other side of the tray: what a panel does. It owns `org.kde.StatusNotifierWatcher` on the session bus, reads
//! what the program registered there, and clicks on its menu.
#![expect(clippy::unused_self, clippy::needless_pass_by_value, reason = "the shape of a D-Bus interface")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use zbus::proxy::{CacheProperties, Proxy};
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, connection, interface};

use crate::harness::Surroundings;
use crate::harness::program::eventually;

/// A panel that shows the tray.
pub(crate) struct Panel {
    connection: Connection,
    registered: Arc<Mutex<Option<(String, String)>>>,
}

/// What programs register with.
struct Watcher {
    registered: Arc<Mutex<Option<(String, String)>>>,
}

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, item: String, #[zbus(header)] header: zbus::message::Header<'_>) {
        let sender = header.sender().unwrap().to_string();
        *self.registered.lock().unwrap() = Some((sender, item));
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A line of the menu.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    id: i32,
    pub(crate) label: String,
    /// Whether it is marked; none where it cannot be.
    pub(crate) mark: Option<bool>,
    pub(crate) enabled: bool,
}

type Layout = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

impl Panel {
    /// Comes up on the session bus.
    pub(crate) async fn start(surroundings: &Surroundings) -> Self {
        let registered = Arc::new(Mutex::new(None));
        let connection = connection::Builder::address(surroundings.bus_address())
            .unwrap()
            .serve_at("/StatusNotifierWatcher", Watcher { registered: Arc::clone(&registered) })
            .unwrap()
            .name("org.kde.StatusNotifierWatcher")
            .unwrap()
            .build()
            .await
            .unwrap();
        Self { connection, registered }
    }

    /// A property of the tray's icon, such as `IconName`.
    pub(crate) async fn property(&self, name: &str) -> String {
        let item = self.item().await;
        item.get_property::<String>(name).await.unwrap()
    }

    /// Waits until a property has a value.
    pub(crate) async fn wait_for(&self, name: &str, value: &str) {
        eventually(&format!("{name} to be {value}"), || async { (self.property(name).await == value).then_some(()) })
            .await;
    }

    /// The lines of the menu, from top to bottom, without its separators.
    pub(crate) async fn menu(&self) -> Vec<Line> {
        let menu = self.menu_proxy().await;
        let arguments = (0_i32, -1_i32, Vec::<&str>::new());
        let (_, root): (u32, Layout) = menu.call("GetLayout", &arguments).await.unwrap();
        root.2.into_iter().filter_map(|line| read(Layout::try_from(line).unwrap())).collect()
    }

    /// The line with this label.
    pub(crate) async fn line(&self, label: &str) -> Line {
        let present = || async { self.menu().await.into_iter().find(|line| line.label == label) };
        eventually(&format!("the line \"{label}\""), present).await
    }

    /// Clicks on the line with this label.
    pub(crate) async fn click(&self, label: &str) {
        let line = self.line(label).await;
        let menu = self.menu_proxy().await;
        let event = (line.id, "clicked", Value::I32(0), 0_u32);
        menu.call::<_, _, ()>("Event", &event).await.unwrap();
    }

    /// Waits until a line's mark is as wanted.
    pub(crate) async fn wait_for_mark(&self, label: &str, mark: bool) {
        eventually(&format!("{label} to be marked: {mark}"), || async {
            (self.line(label).await.mark == Some(mark)).then_some(())
        })
        .await;
    }

    async fn item(&self) -> Proxy<'_> {
        let registered = || async { self.registered.lock().unwrap().clone() };
        let (program, path) = eventually("the tray to register", registered).await;
        self.proxy(program, path, "org.kde.StatusNotifierItem").await
    }

    async fn menu_proxy(&self) -> Proxy<'_> {
        let item = self.item().await;
        let path: OwnedObjectPath = item.get_property("Menu").await.unwrap();
        self.proxy(item.destination().to_string(), path.to_string(), "com.canonical.dbusmenu").await
    }

    async fn proxy(&self, program: String, path: String, interface: &'static str) -> Proxy<'_> {
        zbus::proxy::Builder::new(&self.connection)
            .destination(program)
            .unwrap()
            .path(ObjectPath::try_from(path).unwrap())
            .unwrap()
            .interface(interface)
            .unwrap()
            // Each look is at what is there now.
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .unwrap()
    }
}

fn read((id, properties, _): Layout) -> Option<Line> {
    let text = |name: &str| properties.get(name).and_then(|value| <&str>::try_from(value).ok().map(str::to_owned));
    if text("type").as_deref() == Some("separator") {
        return None;
    }
    let mark = text("toggle-type").filter(|kind| !kind.is_empty()).map(|_| {
        let state = properties.get("toggle-state").and_then(|value| i32::try_from(value).ok());
        state == Some(1)
    });
    let enabled = properties.get("enabled").and_then(|value| bool::try_from(value).ok()).unwrap_or(true);
    // A single underscore marks a letter for the keyboard.
    Some(Line { id, label: text("label").unwrap_or_default().replace("__", "_"), mark, enabled })
}
