//! Rename and delete: in Workly's own folder, and nowhere else.

use super::*;

async fn shown(machine: &Machine) -> (Library, LibrarySnapshot) {
    let library = machine.start();
    let snapshot = until(&library, |snapshot| !snapshot.is_searching).await;
    (library, snapshot)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_our_own_is_renamed_and_deleted_with_all_its_parts() {
    let machine = Machine::new();
    let [first, second] = put_split(&machine.own(""), "big");
    put(&machine.own("taken.gguf"), &tiny(1));
    let (library, snapshot) = shown(&machine).await;
    let id = library.rename(&named(&snapshot, "big").id, " Great model.gguf ").await.unwrap();
    assert!(!first.exists() && !second.exists());
    assert!(machine.own("Great model-00002-of-00002.gguf").is_file());
    assert_eq!(library.path_of(&id), Some(machine.own("Great model-00001-of-00002.gguf")));
    let snapshot = library.snapshot().borrow().clone();
    assert_eq!(named(&snapshot, "Great model").facts.as_ref().unwrap().parts, 2);

    let taken = library.rename(&id, "taken").await;
    assert!(taken.is_ok(), "a whole model of that name is no part of a split one");
    let id = taken.unwrap();
    put_split(&machine.own(""), "again");
    library.refreshed().await;
    let exists = library.rename(&id, "again").await.unwrap_err();
    assert_eq!(exists.code, ProblemCode::ModelExists);
    assert!(machine.own("taken-00001-of-00002.gguf").is_file() && machine.own("taken-00002-of-00002.gguf").is_file());

    library.delete(&id).await.unwrap();
    assert!(!machine.own("taken-00001-of-00002.gguf").exists() && !machine.own("taken-00002-of-00002.gguf").exists());
    assert_eq!(titles(&library.snapshot().borrow()), ["again", "taken"]);
    assert_eq!(library.delete(&id).await.unwrap_err().code, ProblemCode::ModelMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_would_lead_elsewhere_is_refused() {
    let machine = Machine::new();
    put(&machine.own("m.gguf"), &tiny(1));
    let (library, snapshot) = shown(&machine).await;
    let long = "x".repeat(300);
    for name in
        ["", "  ", "..", "../up", "a/b", "a\\b", "/etc/x", "c:d", ".hidden", "nul", "COM1.old", "x\ny", "end.", &long]
    {
        let refused = library.rename(&snapshot.models[0].id, name).await.unwrap_err();
        assert_eq!(refused.code, ProblemCode::InvalidSetting, "{name}");
    }
    assert!(machine.own("m.gguf").is_file());
    let same = library.rename(&snapshot.models[0].id, "m").await;
    assert_eq!(same.unwrap(), snapshot.models[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_our_own_folder_is_changed() {
    let mut machine = Machine::new();
    let foreign = machine.home("mine/foreign.gguf");
    put(&foreign, &tiny(1));
    machine.settings.library.folders = vec![machine.home("mine").to_str().unwrap().to_owned()];
    let (library, snapshot) = shown(&machine).await;
    let id = &named(&snapshot, "foreign").id;
    assert_eq!(library.delete(id).await.unwrap_err().code, ProblemCode::NotOurs);
    assert_eq!(library.rename(id, "ours").await.unwrap_err().code, ProblemCode::NotOurs);
    // An id is no path: what is not in the library is not looked at.
    let other = machine.home("mine/other.txt");
    fs::write(&other, "x").unwrap();
    assert_eq!(library.delete(other.to_str().unwrap()).await.unwrap_err().code, ProblemCode::ModelMissing);
    assert!(foreign.is_file() && other.is_file());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn links_in_our_own_folder_never_reach_what_they_point_to() {
    let machine = Machine::new();
    let (one, two) = (machine.home("elsewhere/one.gguf"), machine.home("elsewhere/two.gguf"));
    put(&one, &tiny(1));
    put(&two, &tiny(2));
    fs::create_dir_all(machine.own("")).unwrap();
    std::os::unix::fs::symlink(machine.home("elsewhere"), machine.own("folder")).unwrap();
    let (library, snapshot) = shown(&machine).await;
    let behind = named(&snapshot, "one");
    assert!(!behind.is_own);
    assert_eq!(library.delete(&behind.id).await.unwrap_err().code, ProblemCode::NotOurs);

    fs::remove_file(machine.own("folder")).unwrap();
    std::os::unix::fs::symlink(&two, machine.own("link.gguf")).unwrap();
    library.refreshed().await;
    let snapshot = library.snapshot().borrow().clone();
    let link = named(&snapshot, "link");
    assert!(link.is_own, "the link itself is ours");
    library.delete(&link.id).await.unwrap();
    assert!(machine.own("link.gguf").symlink_metadata().is_err());
    assert!(one.is_file() && two.is_file());
}
