//! What is read of sound files, and how others are refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::Cursor;
use std::path::Path;

use workly_gguf::{Fault, GgufError, Header, Kind, Model, TensorType, Value, Writer};

fn kind(name: &str) -> TensorType {
    TensorType::all().find(|kind| kind.name() == name).unwrap()
}

/// A small llama.
fn sound() -> Writer {
    Writer::new("llama")
        .text("general.name", "Tiny")
        .text("general.license", "apache-2.0")
        .number("general.file_type", 15)
        .number("llama.block_count", 2)
        .number("llama.context_length", 2048)
        .numbers("llama.attention.head_count_kv", [2, 4])
        .text("tokenizer.chat_template", "{{ messages }}")
        .texts("tokenizer.ggml.tokens", ["<s>", "a", "é"])
        .tensor("token_embd.weight", &[256, 3], kind("Q4_K"))
        .tensor("blk.0.attn_q.weight", &[256, 256], kind("Q6_K"))
        .tensor("blk.1.attn_norm.weight", &[256], TensorType::F32)
}

fn read(bytes: &[u8]) -> Result<Header, GgufError> {
    Header::read_from(Cursor::new(bytes), bytes.len() as u64)
}

#[test]
fn a_sound_header_says_what_the_model_is() {
    let header = read(&sound().bytes()).unwrap();
    assert_eq!(header.architecture(), Some("llama"));
    assert_eq!((header.name(), header.license()), (Some("Tiny"), Some("apache-2.0")));
    assert_eq!(header.quantization(), "Q4_K_M");
    assert_eq!((header.layers(), header.trained_context()), (2, Some(2048)));
    assert_eq!(
        (header.of_layer("attention.head_count_kv", 1), header.of_layer("attention.head_count_kv", 2)),
        (Some(4), None)
    );
    assert!(header.has_chat_template());
    assert_eq!(header.vocabulary(), Some(3));
    assert_eq!(header.parameters(), 768 + 65_536 + 256);
    assert_eq!(header.tensor_bytes(), 3 * 144 + 256 * 210 + 1024);
    assert_eq!(
        header.bytes_by_layer().into_iter().collect::<Vec<_>>(),
        [(None, 432), (Some(0), 53_760), (Some(1), 1024)]
    );
    assert_eq!(header.split(), None);
}

#[test]
fn every_cut_of_a_sound_file_is_refused_as_cut() {
    let bytes = sound().bytes();
    // The last tensor is not padded, so that every byte counts.
    for length in 0..bytes.len() {
        let error = read(&bytes[..length]).unwrap_err();
        match length {
            0 => assert!(matches!(error, GgufError::Empty)),
            1..4 => assert!(matches!(error, GgufError::NotGguf)),
            _ => assert!(matches!(error, GgufError::CutOff { .. }), "{length}: {error}"),
        }
    }
    assert!(read(&bytes).is_ok());
}

#[test]
fn other_versions_and_other_files_are_refused_by_name() {
    let with_version = |version: [u8; 4]| {
        let mut bytes = sound().bytes();
        bytes[4..8].copy_from_slice(&version);
        read(&bytes).unwrap_err()
    };
    assert!(matches!(with_version(1_u32.to_le_bytes()), GgufError::TooOld { version: 1 }));
    assert!(matches!(with_version(4_u32.to_le_bytes()), GgufError::TooNew { version: 4 }));
    assert!(matches!(with_version(3_u32.to_be_bytes()), GgufError::BigEndian));
    let mut second = sound().bytes();
    second[4..8].copy_from_slice(&2_u32.to_le_bytes());
    assert_eq!(read(&second).unwrap().version, 2);
    assert_eq!(read(b"PK\x03\x04 something zipped").unwrap_err().fault(), Fault::NotGguf);
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Header::read(folder.path()), Err(GgufError::Folder | GgufError::Io(_))));
    assert_eq!(Header::read(&folder.path().join("none.gguf")).unwrap_err().fault(), Fault::Missing);
}

#[test]
fn counts_that_the_length_does_not_bear_out_are_refused_before_they_are_believed() {
    for (place, what) in [(8, "tensors"), (16, "keys")] {
        for count in [1_u64 << 20, 1 << 40, u64::MAX] {
            let mut bytes = sound().bytes();
            bytes[place..place + 8].copy_from_slice(&count.to_le_bytes());
            let error = read(&bytes).unwrap_err();
            assert_eq!(error.fault(), Fault::Damaged, "{count} {what}: {error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
    let long = Value::Array { of: Kind::U8, count: 0, kept: vec![] };
    let mut bytes = Writer::new("llama").value("list", long).bytes();
    let end = bytes.len();
    let place = bytes.windows(4).position(|four| four == b"list").unwrap() + 8 + 4;
    assert!(place < end - 8);
    bytes[place - 4..place + 4].copy_from_slice(&u64::MAX.to_le_bytes()[..8]);
    assert_eq!(read(&bytes).unwrap_err().fault(), Fault::Damaged);
}

#[test]
fn a_header_that_goes_on_for_ever_in_a_file_with_holes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holes.gguf");
    let (mut header, _) = Writer::new("llama").texts("tokenizer.ggml.tokens", [""]).header();
    let place = header.windows(6).position(|six| six == b"tokens").unwrap() + 6 + 8;
    header.truncate(place);
    header.extend((1_u64 << 36).to_le_bytes());
    std::fs::write(&path, &header).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let error = Header::read(&path).unwrap_err();
    assert!(matches!(error, GgufError::Unbelievable(_)), "{error}");
}

#[test]
fn contradictions_are_refused() {
    let refused = |writer: Writer, part: &str| {
        let error = read(&writer.bytes()).unwrap_err();
        assert_eq!(error.fault(), Fault::Damaged, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(sound().number("llama.block_count", 3), "twice");
    refused(sound().tensor("token_embd.weight", &[256], TensorType::F16), "twice");
    refused(sound().tensor("ragged", &[100, 2], kind("Q4_K")), "cannot hold");
    refused(sound().tensor("five", &[1, 1, 1, 1, 1], TensorType::F32), "5 dimensions");
    refused(sound().tensor(&"n".repeat(64), &[1], TensorType::F32), "64 bytes");
    refused(sound().number("general.alignment", 24), "alignment");
    let nested = Value::Array { of: Kind::Array, count: 0, kept: vec![] };
    refused(sound().value("nested", nested), "list of lists");
    // Shapes whose product cannot be counted, with a nought to hide it.
    for shape in [[1_u64 << 32, 1 << 32, 1, 1], [0, 1 << 62, 4, 1]] {
        let mut bytes = sound().tensor("huge", &[7, 7, 7, 7], TensorType::F32).bytes();
        let place = bytes.windows(4).position(|four| four == b"huge").unwrap() + 8;
        for (index, dimension) in shape.iter().enumerate() {
            bytes[place + index * 8..place + index * 8 + 8].copy_from_slice(&dimension.to_le_bytes());
        }
        assert!(read(&bytes).unwrap_err().to_string().contains("counted"));
    }
}

#[test]
fn what_is_long_is_known_by_its_length() {
    let long = Value::LongText { bytes: 600 << 10 };
    let header = read(&sound().value("poem", long.clone()).bytes()).unwrap();
    assert_eq!(header.metadata["poem"], long);
    let many: Vec<String> = (0..5_000).map(|index| index.to_string()).collect();
    let header = read(&Writer::new("llama").texts("list", many.iter().map(String::as_str)).bytes()).unwrap();
    assert_eq!(header.metadata["list"], Value::Array { of: Kind::Text, count: 5_000, kept: vec![] });
}

#[test]
fn a_quantisation_that_is_not_named_is_that_of_most_tensors() {
    let writer = Writer::new("llama")
        .tensor("blk.0.a", &[256], kind("Q5_K"))
        .tensor("blk.3.b", &[256], kind("Q5_K"))
        .tensor("c", &[256], TensorType::F32);
    let header = read(&writer.bytes()).unwrap();
    assert_eq!((header.quantization(), header.layers()), ("Q5_K_M", 4));
}

fn part(number: u16, count: u16, tensors: u32) -> Writer {
    let short = |number: u16| Value::Unsigned(Kind::U16, number.into());
    let writer = if number == 0 { sound() } else { Writer::default().tensor("output.weight", &[256, 3], kind("Q8_0")) };
    let tensors = Value::Signed(Kind::I32, tensors.into());
    writer.value("split.no", short(number)).value("split.count", short(count)).value("split.tensors.count", tensors)
}

#[test]
fn a_split_model_is_all_its_parts_and_one_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let first = path("big-00001-of-00002.gguf");
    part(0, 2, 4).write(&first).unwrap();
    let error = Model::read(&first).unwrap_err();
    assert!(matches!(error, GgufError::PartMissing { .. }));
    assert!(error.to_string().contains("big-00002-of-00002.gguf"), "{error}");

    let second = path("big-00002-of-00002.gguf");
    part(1, 2, 4).write(&second).unwrap();
    let model = Model::read(&first).unwrap();
    assert_eq!((model.parts.len(), model.header.tensors.len()), (2, 4));
    assert_eq!(model.header.tensor("output.weight").unwrap().bytes, 256 * 3 / 32 * 34);
    let sizes: u64 = model.parts.iter().map(|part| part.metadata().unwrap().len()).sum();
    assert_eq!(model.file_bytes, sizes);
    assert!(matches!(Model::read(&second), Err(GgufError::NotFirstPart { number: 2, .. })));

    part(0, 2, 4).write(&second).unwrap();
    assert!(Model::read(&first).unwrap_err().to_string().contains("is not part 2"), "the same part twice");
    part(0, 2, 9).write(&first).unwrap();
    part(1, 2, 9).write(&second).unwrap();
    assert!(Model::read(&first).unwrap_err().to_string().contains("9 are expected"));
    let renamed = path("other.gguf");
    std::fs::rename(&first, &renamed).unwrap();
    assert!(matches!(Model::read(&renamed), Err(GgufError::PartMissing { .. })));
}

#[test]
fn the_embedded_model_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../models/SmolLM2-135M-Instruct.Q4_1.gguf");
    let model = Model::read(&path).unwrap();
    let header = &model.header;
    assert_eq!((header.architecture(), header.layers(), header.quantization()), (Some("llama"), 30, "Q4_1"));
    assert_eq!((header.trained_context(), header.parameters()), (Some(8192), 134_515_008));
    assert_eq!(model.file_bytes, 98_362_432);
    assert!(header.has_chat_template());
}
