//! Files that are dragged over the window and let go there, as a file manager does it: the XDND protocol.

use std::path::PathBuf;

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
    SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::harness::Surroundings;

/// The version of the protocol that is spoken.
const VERSION: u32 = 5;

/// A hand that drags files.
pub(crate) struct Drag {
    connection: RustConnection,
    /// Where the files come from.
    source: Window,
    /// The window they are dragged to.
    target: Window,
    files: Vec<PathBuf>,
}

impl Drag {
    /// Takes the files up; `target`: the window they are going to.
    pub(crate) fn begin(surroundings: &Surroundings, target: Window, files: Vec<PathBuf>) -> Self {
        let (connection, number) = RustConnection::connect(Some(&surroundings.display())).unwrap();
        let root = connection.setup().roots[number].root;
        let source = connection.generate_id().unwrap();
        let window = CreateWindowAux::new();
        connection.create_window(0, source, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &window).unwrap();
        let drag = Self { connection, source, target, files };
        let selection = drag.atom("XdndSelection");
        drag.connection.set_selection_owner(source, selection, x11rb::CURRENT_TIME).unwrap();
        drag.tell("XdndEnter", [source, VERSION << 24, drag.atom("text/uri-list"), 0, 0]);
        drag
    }

    /// Holds the files over a place of the screen, and answers what the window asks of them meanwhile.
    pub(crate) fn hold(&self, (x, y): (u32, u32)) {
        let copy = self.atom("XdndActionCopy");
        self.tell("XdndPosition", [self.source, 0, x << 16 | y, x11rb::CURRENT_TIME, copy]);
        self.answer();
    }

    /// Takes the files away from the window.
    pub(crate) fn leave(&self) {
        self.tell("XdndLeave", [self.source, 0, 0, 0, 0]);
    }

    /// Lets the files go.
    pub(crate) fn drop_files(&self) {
        self.tell("XdndDrop", [self.source, 0, x11rb::CURRENT_TIME, 0, 0]);
    }

    /// Answers what the window asks of the files.
    pub(crate) fn answer(&self) {
        while let Some(event) = self.connection.poll_for_event().unwrap() {
            if let Event::SelectionRequest(request) = event {
                self.give(&request);
            }
        }
    }

    fn give(&self, request: &SelectionRequestEvent) {
        let files: Vec<String> = self.files.iter().map(|file| format!("file://{}", file.display())).collect();
        let list = files.join("\r\n");
        let is_known = request.target == self.atom("text/uri-list");
        if is_known {
            let (window, property, kind) = (request.requestor, request.property, request.target);
            self.connection.change_property8(PropMode::REPLACE, window, property, kind, list.as_bytes()).unwrap();
        }
        let given = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if is_known { request.property } else { AtomEnum::NONE.into() },
        };
        self.connection.send_event(false, request.requestor, EventMask::NO_EVENT, given).unwrap();
        self.connection.flush().unwrap();
    }

    fn tell(&self, what: &str, data: [u32; 5]) {
        let message = ClientMessageEvent::new(32, self.target, self.atom(what), data);
        self.connection.send_event(false, self.target, EventMask::NO_EVENT, message).unwrap();
        self.connection.flush().unwrap();
    }

    fn atom(&self, name: &str) -> u32 {
        self.connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
    }
}
