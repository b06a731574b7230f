//! Files of this machine.

use workly_wire::models::{HashSource, TransferKind};

use super::file_server::model;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_file_stays_where_it_was_too() {
    let content = model(1);
    let library = Library::new(options());
    let source = library.folder.path().join("My Model.Q4.GGUF");
    fs::write(&source, &content).unwrap();
    let id = library.transfers.import(&source).await.unwrap();
    let done = library.state(&id, TransferState::Done).await;
    assert_eq!((done.kind, done.title.as_str(), done.hash), (TransferKind::Import, "My Model.Q4", HashSource::None));
    assert_eq!(library.names(), ["My Model.Q4.gguf"]);
    assert!(library.content("My Model.Q4.gguf") == content && fs::read(&source).unwrap() == content);
    assert_eq!(library.incoming(), [""; 0]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&source), inode(&library.models().join("My Model.Q4.gguf")), "no second copy on the disk");
    }
    let again = library.transfers.import(&source).await.unwrap_err();
    assert_eq!(again.code, ProblemCode::ModelExists);
    let own = library.transfers.import(&library.models().join("My Model.Q4.gguf")).await.unwrap_err();
    assert_eq!(own.code, ProblemCode::ModelExists);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_disk_is_copied() {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let library = Library::new(options());
    if fs::metadata(elsewhere.path()).unwrap().dev() == fs::metadata(library.folder.path()).unwrap().dev() {
        return;
    }
    let content = model(20);
    let source = elsewhere.path().join("a.gguf");
    fs::write(&source, &content).unwrap();
    let id = library.transfers.import(&source).await.unwrap();
    let done = library.state(&id, TransferState::Done).await;
    assert_eq!(done.received_bytes, content.len() as u64);
    assert!(library.content("a.gguf") == content && fs::read(&source).unwrap() == content);
    // And where there is no room for a copy, that is told.
    let small = Library::new(Options { free_space: FreeSpace::new(|_| Ok(1000)), ..options() });
    let id = small.transfers.import(&source).await.unwrap();
    assert_eq!(small.ended(&id).await.unwrap_err(), ProblemCode::DiskFull);
    small.transfers.cancel(&id).await.unwrap();
    assert!(fs::read(&source).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_model_is_refused_at_once() {
    let library = Library::new(options());
    let path = |name: &str| library.folder.path().join(name);
    fs::write(path("text.gguf"), b"hello").unwrap();
    fs::write(path("empty.gguf"), b"").unwrap();
    fs::write(path("cut.gguf"), &model(1)[..1000]).unwrap();
    for (name, code) in [
        ("text.gguf", ProblemCode::NotGguf),
        ("empty.gguf", ProblemCode::NotGguf),
        ("cut.gguf", ProblemCode::ModelDamaged),
        ("nowhere.gguf", ProblemCode::ModelMissing),
        ("", ProblemCode::NotGguf),
    ] {
        assert_eq!(library.transfers.import(&path(name)).await.unwrap_err().code, code, "{name}");
    }
    assert_eq!((library.transfers.list(), library.incoming()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_model_is_imported_with_all_its_parts() {
    let library = Library::new(options());
    let part = |number: u32| library.folder.path().join(format!("big-{number:05}-of-00003.gguf"));
    fs::write(part(1), model(1)).unwrap();
    fs::write(part(3), model(3)).unwrap();
    let problem = library.transfers.import(&part(3)).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::ModelMissing);
    assert!(problem.message.contains("big-00002-of-00003.gguf"), "{problem}");
    fs::write(part(2), model(2)).unwrap();
    let id = library.transfers.import(&part(2)).await.unwrap();
    let done = library.state(&id, TransferState::Done).await;
    assert_eq!(library.names(), [1, 2, 3].map(|number| format!("big-{number:05}-of-00003.gguf")));
    assert!(done.model.unwrap().ends_with("big-00001-of-00003.gguf"));
    assert_eq!(done.total_bytes, Some((model(1).len() + model(2).len() + model(3).len()) as u64));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_imported_under_its_own_name() {
    let content = model(1);
    let library = Library::new(options());
    let blob = library.folder.path().join("5f0c");
    fs::write(&blob, &content).unwrap();
    std::os::unix::fs::symlink(&blob, library.folder.path().join("named.gguf")).unwrap();
    let id = library.transfers.import(&library.folder.path().join("named.gguf")).await.unwrap();
    library.state(&id, TransferState::Done).await;
    assert!(library.content("named.gguf") == content);
    assert!(!library.models().join("named.gguf").is_symlink());
}
