//! The model library on a real disk: folders, other programs' stores, changes from outside, rename and delete.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod changes;
#[path = "../../../workly-engine/tests/support/progress.rs"]
mod progress;
mod stores;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use progress::in_time;
use tempfile::TempDir;
use workly_core::fit::FitVerdict;
use workly_core::model::{ContextSize, KvType};
use workly_core::problem::ProblemCode;
use workly_core::settings::Settings;
use workly_core::why::Notice;
use workly_gguf::{Kind, TensorType, Value, Writer};
use workly_library::library::{self, CardNow, Library, LibraryPlaces, Surroundings, System};
use workly_wire::models::{LibraryModel, LibrarySnapshot, ModelSource};

/// A machine of its own: a home, a data folder.
struct Machine {
    folder: TempDir,
    system: System,
    variables: HashMap<String, std::ffi::OsString>,
    settings: Settings,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        Self { folder, system: System::Linux, variables: HashMap::new(), settings: Settings::default() }
    }

    fn home(&self, path: &str) -> PathBuf {
        self.folder.path().join("home").join(path)
    }

    fn own(&self, path: &str) -> PathBuf {
        self.folder.path().join("data/models").join(path)
    }

    fn places(&self) -> LibraryPlaces {
        LibraryPlaces {
            data_dir: Some(self.folder.path().join("data")),
            embedded: None,
            surroundings: Surroundings {
                system: self.system,
                home: Some(self.home("")),
                variables: self.variables.clone(),
            },
        }
    }

    fn look(&self) -> LibrarySnapshot {
        library::look(self.places(), &self.settings, None, None)
    }

    fn start(&self) -> Library {
        Library::start(self.places(), &self.settings, None).unwrap()
    }
}

/// A small model; no two sizes of vocabulary are the same file.
fn tiny(vocabulary: u64) -> Writer {
    Writer::new("llama")
        .number("llama.block_count", 2)
        .number("llama.embedding_length", 256)
        .number("llama.feed_forward_length", 512)
        .number("llama.attention.head_count", 4)
        .number("llama.context_length", 2048)
        .tensor("token_embd.weight", &[256, vocabulary], TensorType::F16)
        .tensor("blk.0.attn_q.weight", &[256, 256], TensorType::F16)
        .tensor("blk.1.attn_q.weight", &[256, 256], TensorType::F16)
}

fn put(path: &Path, writer: &Writer) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    writer.write(path).unwrap();
}

fn part(writer: Writer, number: u16, count: u16, tensors: u32) -> Writer {
    let short = |number: u16| Value::Unsigned(Kind::U16, number.into());
    let tensors = Value::Signed(Kind::I32, tensors.into());
    writer.value("split.no", short(number)).value("split.count", short(count)).value("split.tensors.count", tensors)
}

/// A model in two parts.
fn put_split(folder: &Path, name: &str) -> [PathBuf; 2] {
    let paths = [1, 2].map(|number| folder.join(format!("{name}-{number:05}-of-00002.gguf")));
    put(&paths[0], &part(tiny(7), 0, 2, 4));
    put(&paths[1], &part(Writer::default().tensor("output.weight", &[256, 7], TensorType::F16), 1, 2, 4));
    paths
}

fn titles(snapshot: &LibrarySnapshot) -> Vec<&str> {
    snapshot.models.iter().map(|model| model.title.as_str()).collect()
}

fn named<'a>(snapshot: &'a LibrarySnapshot, title: &str) -> &'a LibraryModel {
    snapshot.models.iter().find(|model| model.title == title).unwrap_or_else(|| panic!("{title}: {snapshot:?}"))
}

/// Waits until the library shows what is wanted.
async fn until(library: &Library, wanted: impl FnMut(&LibrarySnapshot) -> bool) -> LibrarySnapshot {
    let mut snapshot = library.snapshot();
    in_time("the library to show it", snapshot.wait_for(wanted)).await.unwrap().clone()
}

#[test]
fn models_of_all_folders_are_listed_once_and_the_chosen_one_comes_first() {
    let mut machine = Machine::new();
    put(&machine.own("zebra.gguf"), &tiny(1));
    put(&machine.own("below/Ant.gguf"), &tiny(2));
    put(&machine.own(".unfinished.gguf"), &tiny(2));
    put(&machine.own("mmproj-ant.gguf"), &tiny(2));
    put(&machine.own("download.gguf.part"), &tiny(2));
    put(&machine.home("mine/cat.GGUF"), &tiny(3));
    put(&machine.home("mine/projector.gguf"), &Writer::new("clip").tensor("v.weight", &[32, 2], TensorType::F16));
    let paths = put_split(&machine.home("mine"), "big");
    machine.settings.library.folders = vec![machine.home("mine").to_str().unwrap().to_owned()];
    let embedded = machine.home("embedded.gguf");
    put(&embedded, &tiny(5));

    let places = LibraryPlaces { embedded: Some(embedded), ..machine.places() };
    let snapshot = library::look(places, &machine.settings, Some(&machine.own("zebra.gguf")), None);
    assert_eq!(titles(&snapshot), ["zebra", "Ant", "big", "cat", "embedded"]);
    assert!(snapshot.models[0].is_chosen && !snapshot.models[1].is_chosen);
    let sources: Vec<_> = snapshot.models.iter().map(|model| (model.source, model.is_own)).collect();
    assert_eq!(
        sources,
        [
            (ModelSource::Workly, true),
            (ModelSource::Workly, true),
            (ModelSource::Folder, false),
            (ModelSource::Folder, false),
            (ModelSource::Embedded, false),
        ]
    );
    let big = named(&snapshot, "big");
    assert_eq!((big.path.as_str(), big.facts.as_ref().unwrap().parts), (paths[0].to_str().unwrap(), 2));
    assert_eq!(big.file_bytes, paths.iter().map(|path| path.metadata().unwrap().len()).sum::<u64>());
    let counts: Vec<_> = snapshot.folders.iter().map(|folder| (folder.source, folder.models)).collect();
    assert_eq!(counts, [(ModelSource::Workly, 2), (ModelSource::Folder, 2)]);
}

#[test]
fn a_file_that_cannot_be_used_and_a_folder_that_is_gone_say_why() {
    let mut machine = Machine::new();
    fs::create_dir_all(machine.own("")).unwrap();
    fs::write(machine.own("note.gguf"), "hello").unwrap();
    let whole = tiny(1).bytes();
    fs::write(machine.own("cut.gguf"), &whole[..whole.len() - 100]).unwrap();
    let [_, second] = put_split(&machine.own(""), "half");
    fs::remove_file(second).unwrap();
    machine.settings.library.folders = vec![machine.home("unplugged").to_str().unwrap().to_owned()];
    let snapshot = machine.look();
    let problem = |title: &str| {
        let model = named(&snapshot, title);
        assert!(model.facts.is_none() && model.fit.is_none());
        let problem = model.problem.clone().unwrap();
        (problem.code, problem.message)
    };
    assert_eq!(problem("note").0, ProblemCode::NotGguf);
    assert_eq!(problem("cut").0, ProblemCode::ModelDamaged);
    let (code, message) = problem("half");
    assert_eq!(code, ProblemCode::ModelMissing);
    assert!(message.contains("half-00002-of-00002.gguf"), "{message}");
    let folder = snapshot.folders.iter().find(|folder| folder.source == ModelSource::Folder).unwrap();
    assert_eq!(folder.problem.as_ref().unwrap().code, ProblemCode::FolderUnreadable);
}

#[test]
fn fits_follow_the_card() {
    let machine = Machine::new();
    // 33 MB of weights in two layers, 200 MB of scores and buffers.
    put(&machine.own("m.gguf"), &tiny(65_536));
    let card = |mib: u64, external: u64| CardNow {
        name: "card".into(),
        pci_address: None,
        vram_total: mib << 20,
        vram_external: external << 20,
    };
    let look = |card| library::look(machine.places(), &machine.settings, None, card);
    for (card, verdict) in [
        (Some(card(8_192, 0)), FitVerdict::AllOnGpu),
        (Some(card(8_192, 8_000)), FitVerdict::CpuOnly),
        (None, FitVerdict::CpuOnly),
    ] {
        let snapshot = look(card.clone());
        let fit = named(&snapshot, "m").fit.clone().unwrap();
        assert_eq!((fit.verdict, fit.context_tokens, fit.model_layers), (verdict, 2048, 3), "{card:?}");
        assert!(fit.memory_available_bytes.is_some() && !fit.is_exact);
        assert_eq!(snapshot.card.is_some(), card.is_some());
    }
}

#[test]
fn fits_follow_the_number_type_of_the_cache() {
    let mut machine = Machine::new();
    put(&machine.own("m.gguf"), &tiny(1));
    let [f16, q8_0, q4_0] = [KvType::F16, KvType::Q8_0, KvType::Q4_0].map(|kv_type| {
        machine.settings.ai.kv_type = kv_type;
        named(&machine.look(), "m").fit.as_ref().unwrap().memory_bytes
    });
    assert!(f16 > q8_0 && q8_0 > q4_0, "{f16} {q8_0} {q4_0}");
}

#[test]
fn a_model_that_will_not_fit_in_ram_is_too_large_and_its_load_is_warned_of() {
    let machine = Machine::new();
    // A tebibyte of weights, none of which takes room on the disk.
    let huge = tiny(1).tensor("blk.1.ffn_up.weight", &[1 << 20, 1 << 19], TensorType::F16);
    put(&machine.own("huge.gguf"), &huge);
    put(&machine.own("tiny.gguf"), &tiny(1));
    let snapshot = machine.look();
    assert_eq!(named(&snapshot, "huge").fit.as_ref().unwrap().verdict, FitVerdict::TooLarge);
    assert_eq!(named(&snapshot, "tiny").fit.as_ref().unwrap().verdict, FitVerdict::CpuOnly);
    let warning = |name: &str, layers| {
        library::warn_before_load(&machine.own(name), ContextSize::default(), KvType::default(), layers)
    };
    assert!(
        matches!(warning("huge.gguf", 0), Some(Notice::LowMemory { needed_bytes, .. }) if needed_bytes > 1 << 40),
        "{:?}",
        warning("huge.gguf", 0)
    );
    assert_eq!(warning("tiny.gguf", 0), None);
    assert_eq!(warning("huge.gguf", 3), None, "on the card it takes no RAM");
    assert_eq!(warning("none.gguf", 0), None, "loading it says what is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_and_goes_in_a_folder_is_seen_without_asking() {
    let machine = Machine::new();
    let library = machine.start();
    until(&library, |snapshot| !snapshot.is_searching && snapshot.models.is_empty()).await;
    put(&machine.own("new-1.5B/deeper/one.gguf"), &tiny(1));
    until(&library, |snapshot| titles(snapshot) == ["one"]).await;
    // A finished download takes its name at the end.
    put(&machine.own("two.gguf.part"), &tiny(2));
    fs::rename(machine.own("two.gguf.part"), machine.own("two.gguf")).unwrap();
    until(&library, |snapshot| titles(snapshot) == ["one", "two"]).await;
    fs::remove_dir_all(machine.own("new-1.5B")).unwrap();
    let shown = until(&library, |snapshot| titles(snapshot) == ["two"]).await;
    put(&machine.own("two.gguf"), &tiny(222));
    let bytes = shown.models[0].file_bytes;
    until(&library, |snapshot| snapshot.models.iter().any(|model| model.file_bytes != bytes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_added_and_taken_out_while_the_library_runs() {
    let mut machine = Machine::new();
    put(&machine.home("mine/one.gguf"), &tiny(1));
    let library = machine.start();
    until(&library, |snapshot| !snapshot.is_searching).await;
    let (mine, nowhere) = (machine.home("mine"), machine.home("nowhere"));
    library::add_folder(&mut machine.settings, &mine).unwrap();
    library::add_folder(&mut machine.settings, &mine).unwrap();
    assert_eq!(machine.settings.library.folders.len(), 1, "once is enough");
    library.configure(&machine.settings, Some(&machine.home("mine/one.gguf")));
    let shown = until(&library, |snapshot| titles(snapshot) == ["one"]).await;
    assert!(shown.models[0].is_chosen);
    put(&machine.home("mine/two.gguf"), &tiny(2));
    until(&library, |snapshot| titles(snapshot) == ["one", "two"]).await;
    let folder = machine.settings.library.folders[0].clone();
    library::remove_folder(&mut machine.settings, &folder);
    library.configure(&machine.settings, None);
    until(&library, |snapshot| snapshot.models.is_empty()).await;
    assert!(machine.home("mine/one.gguf").is_file(), "nothing in it is touched");
    let refused = library::add_folder(&mut machine.settings, &nowhere).unwrap_err();
    assert_eq!(refused.code, ProblemCode::FolderUnreadable);
}
