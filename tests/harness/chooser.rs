//! The system's own dialog for files, driven by the keys of a real keyboard.

use std::path::Path;
use std::time::Duration;

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ConnectionExt as _, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MapState, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use super::Surroundings;
use super::program::eventually;

const RETURN: u32 = 0xff0d;
const ESCAPE: u32 = 0xff1b;
const SHIFT: u32 = 0xffe1;
/// What a person leaves between two keys.
const BETWEEN_KEYS: Duration = Duration::from_millis(8);

/// A person at the keyboard of a display.
pub(crate) struct Chooser {
    connection: RustConnection,
    root: Window,
    /// The symbols of each key, without and with shift.
    keys: Vec<(u8, Vec<u32>)>,
}

impl Chooser {
    pub(crate) fn of(surroundings: &Surroundings) -> Self {
        let (connection, number) = RustConnection::connect(Some(&surroundings.display())).unwrap();
        let setup = connection.setup();
        let (root, least, most) = (setup.roots[number].root, setup.min_keycode, setup.max_keycode);
        let mapping = connection.get_keyboard_mapping(least, most - least + 1).unwrap().reply().unwrap();
        let per_key = usize::from(mapping.keysyms_per_keycode);
        let keys = (least..=most).zip(mapping.keysyms.chunks(per_key).map(<[u32]>::to_vec)).collect();
        Self { connection, root, keys }
    }

    /// Waits for the dialog of this title, types the path of a file and confirms.
    pub(crate) async fn choose(&self, title: &str, file: &Path) {
        self.wait_for_dialog(title).await;
        // A path that begins with a slash opens the field for paths.
        let text = file.to_str().unwrap();
        for letter in text.chars() {
            self.press(u32::from(letter)).await;
        }
        self.press_until_gone(RETURN, title).await;
    }

    /// Waits for the dialog of this title and leaves it.
    pub(crate) async fn leave(&self, title: &str) {
        self.wait_for_dialog(title).await;
        self.press_until_gone(ESCAPE, title).await;
    }

    async fn wait_for_dialog(&self, title: &str) {
        let dialog = eventually("the dialog", || async { self.window(title) }).await;
        // Nobody manages windows here: the dialog gets the keyboard from us, as a click on it would give it.
        self.connection.set_input_focus(InputFocus::PARENT, dialog, x11rb::CURRENT_TIME).unwrap();
        self.connection.flush().unwrap();
    }

    async fn press_until_gone(&self, symbol: u32, title: &str) {
        eventually("the dialog to end", || async {
            self.press(symbol).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.window(title).is_none().then_some(())
        })
        .await;
    }

    async fn press(&self, symbol: u32) {
        let find = |symbol| {
            self.keys.iter().find_map(|(code, symbols)| {
                symbols.iter().take(2).position(|other| *other == symbol).map(|level| (*code, level > 0))
            })
        };
        let (code, shifted) = find(symbol).unwrap();
        let shift = find(SHIFT).unwrap().0;
        if shifted {
            self.key(KEY_PRESS_EVENT, shift);
        }
        self.key(KEY_PRESS_EVENT, code);
        self.key(KEY_RELEASE_EVENT, code);
        if shifted {
            self.key(KEY_RELEASE_EVENT, shift);
        }
        tokio::time::sleep(BETWEEN_KEYS).await;
    }

    fn key(&self, kind: u8, code: u8) {
        self.connection.xtest_fake_input(kind, code, x11rb::CURRENT_TIME, self.root, 0, 0, 0).unwrap();
        self.connection.flush().unwrap();
    }

    /// A window in sight with this title.
    fn window(&self, title: &str) -> Option<Window> {
        let windows = self.connection.query_tree(self.root).ok()?.reply().ok()?.children;
        windows.into_iter().find(|id| {
            let name = self.connection.get_property(false, *id, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 64);
            let name = name.ok().and_then(|request| request.reply().ok());
            let state = self.connection.get_window_attributes(*id).ok().and_then(|request| request.reply().ok());
            name.is_some_and(|name| name.value == title.as_bytes())
                && state.is_some_and(|state| state.map_state == MapState::VIEWABLE)
        })
    }
}
