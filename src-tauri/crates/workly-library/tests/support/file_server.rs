//! A host for downloads that does as a test tells it, and counts the bytes it serves.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Bytes that are written at a time.
const PIECE: usize = 64 << 10;
/// Pieces after which even a body without end has one, so that a test that fails does not fill the disk.
const ENOUGH: usize = 4096;

/// A connection, as it is or inside TLS.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// Names in small letters, and values.
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The first byte that was asked for; `None`: the whole file.
    pub(crate) fn range_start(&self) -> Option<u64> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What comes after the headers.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// These bytes.
    Whole(Vec<u8>),
    /// These bytes, piece by piece with a pause after each.
    Slow(Vec<u8>, Duration),
    /// These bytes, one at a time with a pause after each, for as long as the client takes them.
    Trickle(Vec<u8>, Duration),
    /// These bytes, then the connection is cut.
    Cut(Vec<u8>),
    /// These bytes, then nothing, for as long as the client waits.
    Hang(Vec<u8>),
    /// These bytes, then zeros without end (for 256 MiB), in chunks without an announced length.
    Endless(Vec<u8>),
}

/// An answer. A length is announced unless the headers have one or the body has no end.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Where to instead.
    pub(crate) fn redirect(to: &str) -> Self {
        Self::new(302, Body::Whole(Vec::new())).with("Location", to)
    }

    /// What a good host answers: the file, or the rest of it where it is still the same.
    pub(crate) fn file(request: &Request, content: &[u8], tag: &str) -> Self {
        let is_same = request.header("if-range").is_none_or(|known| tag.is_empty() || known == tag);
        let reply = match request.range_start().filter(|_| is_same) {
            None => Self::new(200, Body::Whole(content.to_vec())),
            Some(start) if start >= content.len() as u64 => {
                Self::new(416, Body::Whole(Vec::new())).with("Content-Range", format!("bytes */{}", content.len()))
            }
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
                Self::new(206, Body::Whole(content[start as usize..].to_vec())).with("Content-Range", range)
            }
        };
        if tag.is_empty() { reply } else { reply.with("ETag", tag) }
    }

    /// The same answer, of which no more than `bytes` of content come before `end`.
    #[must_use]
    pub(crate) fn ending(self, bytes: usize, end: fn(Vec<u8>) -> Body) -> Self {
        let Body::Whole(mut content) = self.body else { return self };
        let length = content.len();
        content.truncate(bytes);
        Self { body: end(content), ..self }.with("Content-Length", length.to_string())
    }
}

/// The host. Its thread ends with the test's process.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    port: u16,
    served: Arc<AtomicU64>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request as `answer` says, which is told how many there were before.
    pub(crate) fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_inside(|stream| Box::new(stream), answer)
    }

    /// The same, inside of what `wrap` makes of a connection.
    pub(crate) fn start_inside(
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
        answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            Self { port: listener.local_addr().unwrap().port(), served: Arc::default(), requests: Arc::default() };
        let (wrap, answer, of_thread) = (Arc::new(wrap), Arc::new(answer), server.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, wrap, answer) = (of_thread.clone(), Arc::clone(&wrap), Arc::clone(&answer));
                thread::spawn(move || server.serve(wrap(stream).as_mut(), answer.as_ref()));
            }
        });
        server
    }

    /// A good host of one file.
    pub(crate) fn of(content: Vec<u8>) -> Self {
        Self::start(move |request, _| Reply::file(request, &content, "\"v1\""))
    }

    /// The port it listens at.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address of a file.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Bytes of content that were handed to the system for clients.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn serve(&self, stream: &mut dyn Stream, answer: &dyn Fn(&Request, usize) -> Reply) {
        let Some(request) = read_request(stream) else { return };
        let before = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        let Reply { status, mut headers, body } = answer(&request, before);
        let has_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        match &body {
            Body::Endless(_) => headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned())),
            Body::Whole(content)
            | Body::Slow(content, _)
            | Body::Trickle(content, _)
            | Body::Cut(content)
            | Body::Hang(content)
                if !has_length =>
            {
                headers.push(("Content-Length".to_owned(), content.len().to_string()));
            }
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {status} As told\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.extend([&name, ": ", &value, "\r\n"]);
        }
        head.push_str("\r\n");
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
        let (Body::Whole(content)
        | Body::Slow(content, _)
        | Body::Trickle(content, _)
        | Body::Cut(content)
        | Body::Hang(content)
        | Body::Endless(content)) = &body;
        let is_chunked = matches!(body, Body::Endless(_));
        let (size, pause) = match &body {
            Body::Slow(_, pause) => (PIECE, *pause),
            Body::Trickle(_, pause) => (1, *pause),
            _ => (PIECE, Duration::ZERO),
        };
        for piece in content.chunks(size) {
            if !self.send(stream, piece, is_chunked) {
                return;
            }
            thread::sleep(pause);
        }
        match body {
            Body::Endless(_) => {
                let _ = (0..ENOUGH).all(|_| self.send(stream, &vec![0; PIECE], true));
            }
            // Until the client has had enough.
            Body::Hang(_) => while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {},
            Body::Whole(_) | Body::Slow(..) | Body::Trickle(..) | Body::Cut(_) => {}
        }
        let _ = stream.flush();
    }

    /// Whether the client took it all.
    fn send(&self, stream: &mut dyn Stream, content: &[u8], is_chunked: bool) -> bool {
        content.chunks(PIECE).all(|piece| {
            let sent = if is_chunked {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                stream.write_all(&chunk)
            } else {
                stream.write_all(piece)
            };
            if sent.is_ok() {
                self.served.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
            sent.is_ok()
        })
    }
}

fn read_request(stream: &mut dyn Stream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Request { path, headers })
}

/// A real model file of about `mebibytes`, whose weights are no two the same.
pub(crate) fn model(mebibytes: u64) -> Vec<u8> {
    let kind = workly_gguf::TensorType::from_id(0).unwrap();
    let writer = workly_gguf::Writer::new("llama")
        .text("general.name", "Nobody")
        .number("llama.block_count", 1)
        .tensor("token_embd.weight", &[1024, 256 * mebibytes], kind);
    let mut content = writer.bytes();
    let header = writer.header().0.len();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for bytes in content[header..].chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.copy_from_slice(&state.to_le_bytes());
    }
    content
}
