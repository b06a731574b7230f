//! libFuzzer against the reader of headers. On a stable toolchain, in this crate's `fuzz/` folder:
//!
//! ```sh
//! ./run 600
//! ```
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use workly_gguf::Header;

fuzz_target!(|bytes: &[u8]| {
    // The file is as long as it is, or claims to go on for longer, as a file with holes does.
    for length in [bytes.len() as u64, 1 << 40] {
        match Header::read_from(Cursor::new(bytes), length) {
            Ok(header) => {
                assert!(header.tensor_bytes() <= length);
                let _ = (header.architecture(), header.quantization(), header.layers(), header.trained_context());
                let _ = (header.parameters(), header.bytes_by_layer(), header.vocabulary(), header.split());
                let _ = (header.license(), header.has_chat_template(), header.of_layer("attention.head_count_kv", 3));
            }
            Err(error) => assert!(error.to_string().len() < 1_000),
        }
    }
});
