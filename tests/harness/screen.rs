//! The other side of the window: what a window manager and a user do to it.

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask, ImageFormat, MapState, Window,
};
use x11rb::rust_connection::RustConnection;

use super::Surroundings;
use super::program::eventually;

/// Place and size, pixels.
pub(crate) type Frame = (i16, i16, u16, u16);

/// The pixels of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture(Vec<u8>);

impl Picture {
    /// Whether it shows more than one even colour.
    pub(crate) fn has_drawing(&self) -> bool {
        self.0.chunks_exact(4).filter(|pixel| *pixel != &self.0[..4]).count() > 100
    }

    /// Whether it shows the same, but for the blink of a caret.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let different =
            self.0.chunks_exact(4).zip(other.0.chunks_exact(4)).filter(|(left, right)| left != right).count();
        self.0.len() == other.0.len() && different < 100
    }
}

/// The display's windows.
pub(crate) struct Screen {
    connection: RustConnection,
    root: Window,
}

impl Screen {
    /// Looks at the display.
    pub(crate) fn of(surroundings: &Surroundings) -> Self {
        let (connection, number) = RustConnection::connect(Some(&surroundings.display())).unwrap();
        let root = connection.setup().roots[number].root;
        Self { connection, root }
    }

    /// Waits for the window to be in sight.
    pub(crate) async fn window(&self) -> Window {
        eventually("the window to be in sight", || async { self.workly().filter(|id| self.is_mapped(*id)) }).await
    }

    /// Waits for a window of any program, with whatever title.
    pub(crate) async fn any_window(&self) -> Window {
        eventually("a window", || async { self.largest().filter(|id| self.is_mapped(*id)) }).await
    }

    /// Waits for the window to be out of sight.
    pub(crate) async fn without_window(&self) {
        eventually("the window to be out of sight", || async { (!self.is_in_sight()).then_some(()) }).await;
    }

    /// Whether the window is in sight.
    pub(crate) fn is_in_sight(&self) -> bool {
        self.workly().is_some_and(|id| self.is_mapped(id))
    }

    /// Asks the window to close, as the cross in its title bar does.
    pub(crate) fn close(&self, window: Window) {
        let (protocols, delete) = (self.atom("WM_PROTOCOLS"), self.atom("WM_DELETE_WINDOW"));
        let message = ClientMessageEvent::new(32, window, protocols, [delete, 0, 0, 0, 0]);
        self.connection.send_event(false, window, EventMask::NO_EVENT, message).unwrap();
        // Answered, so heard: a connection that is closed with something unread in it may take its last words along.
        self.connection.get_input_focus().unwrap().reply().unwrap();
    }

    /// Where the window is.
    pub(crate) fn frame(&self, window: Window) -> Frame {
        let shape = self.connection.get_geometry(window).unwrap().reply().unwrap();
        let place = self.connection.translate_coordinates(window, self.root, 0, 0).unwrap().reply().unwrap();
        (place.dst_x, place.dst_y, shape.width, shape.height)
    }

    /// Moves and sizes the window, as dragging its edges does.
    pub(crate) fn set_frame(&self, window: Window, (left, top, width, height): Frame) {
        let frame = ConfigureWindowAux::new().x(i32::from(left)).y(i32::from(top));
        let frame = frame.width(u32::from(width)).height(u32::from(height));
        self.connection.configure_window(window, &frame).unwrap();
        self.connection.flush().unwrap();
    }

    /// What the window shows.
    pub(crate) fn picture(&self, window: Window) -> Picture {
        self.picture_down_to(window, u16::MAX)
    }

    /// What the window shows at its upper edge, down to this many pixels: less work than all of it.
    pub(crate) fn picture_down_to(&self, window: Window, height: u16) -> Picture {
        let (_, _, width, whole) = self.frame(window);
        let height = height.min(whole);
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, window, 0, 0, width, height, u32::MAX);
        Picture(image.unwrap().reply().unwrap().data)
    }

    /// Whether the window, or something in it, has the keyboard.
    pub(crate) fn has_focus(&self, window: Window) -> bool {
        let mut focused = self.connection.get_input_focus().unwrap().reply().unwrap().focus;
        // None and the root stand for nobody in particular.
        while focused > 1 && focused != self.root {
            if focused == window {
                return true;
            }
            focused = self.connection.query_tree(focused).unwrap().reply().unwrap().parent;
        }
        false
    }

    /// Gives the keyboard to a window, as a click on it does.
    pub(crate) fn give_focus(&self, window: Window) {
        self.connection
            .set_input_focus(x11rb::protocol::xproto::InputFocus::PARENT, window, x11rb::CURRENT_TIME)
            .unwrap();
        self.connection.flush().unwrap();
    }

    /// Takes the keyboard away from every window.
    pub(crate) fn take_focus(&self) {
        self.connection
            .set_input_focus(x11rb::protocol::xproto::InputFocus::NONE, x11rb::NONE, x11rb::CURRENT_TIME)
            .unwrap();
        self.connection.flush().unwrap();
    }

    /// The window of Workly's, mapped or not.
    fn workly(&self) -> Option<Window> {
        let windows = self.connection.query_tree(self.root).ok()?.reply().ok()?.children;
        windows.into_iter().find(|id| {
            let size = self.connection.get_geometry(*id).ok().and_then(|request| request.reply().ok());
            let title = self.connection.get_property(false, *id, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 64);
            let title = title.ok().and_then(|request| request.reply().ok());
            title.is_some_and(|title| title.value == b"Workly") && size.is_some_and(|size| size.width > 100)
        })
    }

    fn largest(&self) -> Option<Window> {
        let windows = self.connection.query_tree(self.root).ok()?.reply().ok()?.children;
        windows.into_iter().find(|id| {
            let size = self.connection.get_geometry(*id).ok().and_then(|request| request.reply().ok());
            size.is_some_and(|size| size.width > 100)
        })
    }

    fn is_mapped(&self, window: Window) -> bool {
        let attributes = self.connection.get_window_attributes(window).ok().and_then(|request| request.reply().ok());
        attributes.is_some_and(|attributes| attributes.map_state == MapState::VIEWABLE)
    }

    fn atom(&self, name: &str) -> u32 {
        self.connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
    }
}
