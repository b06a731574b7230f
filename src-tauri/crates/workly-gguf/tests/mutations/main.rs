//! Two thousand broken files: none brings the reader down, none makes it read on for ever or take memory.
//!
//! The corpus holds what the fuzzer found worth keeping (`fuzz/`), and sound headers.

#![expect(unsafe_code, reason = "memory is counted where it is given out")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod mutate;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mutate::{Dice, mutate};
use workly_gguf::{Header, Model, TensorType, Writer};

/// Broken files.
const FILES: usize = 2_000;
/// Memory that one of them may take at the most, bytes.
const MEMORY: usize = 64 << 20;
/// Bytes that a reader may ask for beyond the file's own length: its buffer, filled again after each seek.
const READ_BEYOND: u64 = 64 << 10;

thread_local! {
    /// Bytes in use by this thread, and the most there ever were.
    static IN_USE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Counts what each thread takes.
struct Counting;

// SAFETY: everything is the system's; the counters are plain numbers of the thread, and take no memory themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = IN_USE.try_with(|counter| {
            let (now, most) = counter.get();
            let now = now + layout.size();
            counter.set((now, most.max(now)));
        });
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = IN_USE.try_with(|counter| {
            let (now, most) = counter.get();
            counter.set((now.saturating_sub(layout.size()), most));
        });
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that was in use while `work` ran, beyond what was before, and its result.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = IN_USE.with(|counter| {
        let (now, _) = counter.get();
        counter.set((now, now));
        now
    });
    let result = work();
    (IN_USE.with(Cell::get).1 - before, result)
}

/// A file that counts what is read of it. Beyond its bytes, up to the length that it claims, there are noughts.
struct Counted<'a> {
    bytes: Cursor<&'a [u8]>,
    length: u64,
    read: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = self.bytes.read(buffer)?;
        if count == 0 {
            let left = self.length.saturating_sub(self.bytes.position());
            count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            buffer[..count].fill(0);
            self.bytes.set_position(self.bytes.position() + count as u64);
        }
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut files: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    files.extend(sound());
    files
}

/// Sound files with everything in them that a header can have.
fn sound() -> Vec<Vec<u8>> {
    let writer = || {
        Writer::new("llama")
            .text("general.name", "Tiny")
            .number("general.file_type", 2)
            .number("general.alignment", 64)
            .number("llama.block_count", 2)
            .numbers("llama.attention.head_count_kv", [2, 4])
            .texts("tokenizer.ggml.tokens", ["<s>", "a", "b"])
    };
    let kinds = TensorType::all().enumerate();
    let all = kinds.fold(writer(), |all, (index, kind)| all.tensor(&format!("blk.{index}.w"), &[256, 2], kind));
    vec![writer().bytes(), all.bytes()]
}

/// Reads a broken file; the peak of memory and the bytes read.
fn survive(bytes: &[u8], length: u64) -> (usize, u64) {
    let read = Cell::new(0);
    let (memory, header) = peak(|| {
        let counted = Counted { bytes: Cursor::new(bytes), length, read: &read };
        let header = Header::read_from(counted, length);
        match &header {
            Ok(header) => {
                // What is believed can be asked for everything.
                let _ = (header.architecture(), header.quantization(), header.layers(), header.trained_context());
                let _ = (header.parameters(), header.tensor_bytes(), header.bytes_by_layer(), header.vocabulary());
                let _ = (header.split(), header.license(), header.has_chat_template(), header.of_layer("x", 3));
            }
            Err(error) => assert!(error.to_string().len() < 1_000, "a sentence, not a book"),
        }
        header.is_ok()
    });
    let _ = header;
    (memory, read.get())
}

#[test]
fn two_thousand_broken_files_bring_nothing_down() {
    let (corpus, sound) = (corpus(), sound());
    let mut dice = Dice(2026);
    let (mut most_memory, mut most_read, mut refused) = (0, 0, 0);
    for number in 0..FILES {
        // Half of them are broken from sound files, so that much of each is read.
        let originals = if number % 2 == 0 { &sound } else { &corpus };
        let (bytes, claimed) = mutate(&originals[dice.below(originals.len())], &corpus, &mut dice);
        let length = claimed.unwrap_or(bytes.len() as u64);
        let (memory, read) = survive(&bytes, length);
        assert!(memory < MEMORY, "file {number} of {} bytes took {memory} bytes of memory", bytes.len());
        // The header's own limit bounds a file that claims to go on.
        let bound = length.min(256 << 20) + READ_BEYOND;
        assert!(read <= bound, "file {number} made the reader read {read} bytes of {length}");
        most_memory = most_memory.max(memory);
        most_read = most_read.max(read);
        refused += usize::from(Header::read_from(Cursor::new(&bytes), bytes.len() as u64).is_err());
    }
    assert!(refused > FILES / 2, "the files are broken: {refused} were refused");
    assert!(most_memory > 64 << 10, "memory is counted: {most_memory} bytes");
    assert!(most_read > 0);
    println!("most memory {most_memory}, most read {most_read}, {refused} of {FILES} refused");
}

#[test]
fn broken_files_on_the_disk_bring_nothing_down_either() {
    let corpus = corpus();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.gguf");
    let mut dice = Dice(6);
    for _ in 0..200 {
        let (bytes, _) = mutate(&corpus[dice.below(corpus.len())], &corpus, &mut dice);
        std::fs::write(&path, &bytes).unwrap();
        let (memory, model) = peak(|| Model::read(&path));
        assert!(memory < MEMORY);
        if let Ok(model) = model {
            assert!(model.header.tensor_bytes() <= model.file_bytes);
        }
    }
}

/// What a hostile file can claim at the worst, within the limits: as much as may be kept of everything.
#[test]
fn the_greediest_files_that_are_believed_stay_in_their_bounds() {
    let texts: Vec<String> = (0..16_000).map(|index| format!("general.key.{index}")).collect();
    let keys = texts.iter().fold(Writer::new("llama"), |writer, key| writer.text(key, &"\u{1}".repeat(480)));
    let tensors = (0..65_000).fold(Writer::new("llama"), |writer, index| {
        writer.tensor(&format!("blk.{index}.{:0>50}", 0), &[], TensorType::F32)
    });
    let lists =
        (0..8_000).fold(Writer::new("llama"), |writer, index| writer.numbers(&format!("list.{index}"), 0..1_000));
    for (what, writer) in [("keys", keys), ("tensors", tensors), ("lists", lists)] {
        let bytes = writer.bytes();
        let (memory, read) = survive(&bytes, bytes.len() as u64);
        println!("{what}: {memory} bytes of memory for a file of {}", bytes.len());
        assert!(memory < MEMORY, "{what}: {memory} bytes of memory");
        assert!(read <= bytes.len() as u64 + READ_BEYOND);
        let header = Header::read_from(Cursor::new(&bytes), bytes.len() as u64);
        assert!(header.is_ok(), "{what}: {:?}", header.err());
    }
}
