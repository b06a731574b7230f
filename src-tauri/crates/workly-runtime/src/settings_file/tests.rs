use std::fs;
use std::time::Duration;

use serde_json::json;
use workly_core::profile::{Profile, ProfileChoice};

use super::*;

/// The example of the seed's guide, to the letter.
const SEED: &str = "{\n  \"ai\": {\n    \"gpu_profile\": \"auto\",\n    \"auto_switching_enabled\": true\n  }\n}\n";

fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), text).unwrap();
    folder
}

fn broken_files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("config.broken-")).collect()
}

#[test]
fn the_seed_s_file_loads_and_is_left_as_it_is() {
    let folder = folder_with(SEED);
    let file = SettingsFile::open(folder.path());
    assert_eq!((file.settings(), file.notices()), (&Settings::default(), vec![]));
    assert_eq!(fs::read_to_string(file.path()).unwrap(), SEED);
    assert_eq!(read(folder.path()), (Settings::default(), vec![]));
}

#[test]
fn without_a_file_the_defaults_hold_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = SettingsFile::open(folder.path());
    assert_eq!((file.settings(), file.notices()), (&Settings::default(), vec![]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(read(&folder.path().join("nowhere")), (Settings::default(), vec![]));
}

#[test]
fn a_file_cut_short_is_kept_and_the_last_good_one_comes_back() {
    let good = r#"{ "ai": { "gpu_profile": "balanced" }, "avatar": { "vrm": true } }"#;
    let folder = folder_with(good);
    SettingsFile::open(folder.path());
    for broken in ["", " \n", "{ \"ai\": { \"gpu_pro", "[1, 2]", "\u{0}\u{0}\u{0}"] {
        fs::write(folder.path().join(FILE), broken).unwrap();

        let (settings, told) = read(folder.path());
        assert_eq!(settings.ai.gpu_profile, ProfileChoice::Fixed(Profile::Balanced));
        assert!(told[0].contains("last good"), "{told:?}");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), broken, "reading changes nothing");

        let file = SettingsFile::open(folder.path());
        assert_eq!(file.settings(), &settings);
        let [SettingsNotice::Restored { kept_as, .. }] = &file.notices()[..] else { panic!("{:?}", file.notices()) };
        assert_eq!(fs::read_to_string(folder.path().join(kept_as)).unwrap(), broken);
        let restored: Value = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(restored["avatar"]["vrm"], true, "what Workly does not know comes back too");
    }
    assert_eq!(broken_files(folder.path()).len(), 5);
    assert_eq!(SettingsFile::open(folder.path()).notices(), [], "told once");
}

#[test]
fn a_broken_file_without_a_good_one_gives_the_defaults_and_is_kept() {
    let folder = folder_with("{ oops");
    let file = SettingsFile::open(folder.path());
    assert_eq!(file.settings(), &Settings::default());
    assert!(matches!(&file.notices()[..], [SettingsNotice::Defaults { .. }]), "{:?}", file.notices());
    assert_eq!(broken_files(folder.path()).len(), 1);
    assert!(!file.path().exists());
}

#[test]
fn what_windows_editors_add_is_no_fault() {
    let folder = folder_with("\u{feff}{\r\n\t\"ui\": { \"language\": \"fr\" }\r\n}");
    let file = SettingsFile::open(folder.path());
    assert_eq!((file.settings().ui.language.as_str(), file.notices()), ("fr", vec![]));
}

#[test]
fn a_bad_value_is_named_and_the_file_is_left_alone() {
    let text = r#"{ "ai": { "context_tokens": -1 }, "ui": { "theme": "dark" } }"#;
    let folder = folder_with(text);
    let file = SettingsFile::open(folder.path());
    assert_eq!((file.settings().ai.context_tokens, file.settings().ui.theme.as_str()), (4096, "dark"));
    let told = file.notices()[0].to_string();
    assert_eq!(told, "ai.context_tokens must be a whole number from 256 to 1048576; 4096 is used.");
    assert_eq!(read(folder.path()).1, [told]);
    assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
}

#[test]
fn a_change_is_safe_before_it_is_written() {
    let folder = folder_with(SEED);
    let mut file = SettingsFile::open(folder.path());
    file.prepare(json!({ "ui": { "theme": "dark" } })).unwrap();
    assert_eq!(file.settings().ui.theme, "dark");
    // The crash: the file is cut short while the store writes it.
    fs::write(file.path(), "{ \"ui\"").unwrap();
    assert_eq!(SettingsFile::open(folder.path()).settings().ui.theme, "dark");
}

#[test]
fn an_edit_that_breaks_the_file_is_reported_once_kept_before_it_is_overwritten_and_forgotten_when_repaired() {
    let folder = folder_with(r#"{ "ui": { "theme": "dark" } }"#);
    let mut file = SettingsFile::open(folder.path());
    fs::write(file.path(), "{ \"ui\": { \"theme\": ").unwrap();
    assert_eq!(file.look_again(), Found::Broken);
    assert_eq!(file.look_again(), Found::Nothing);
    assert_eq!(file.settings().ui.theme, "dark");
    assert!(matches!(&file.notices()[..], [SettingsNotice::EditBroken { .. }]));

    fs::write(file.path(), r#"{ "ui": { "theme": "light" } }"#).unwrap();
    assert_eq!((file.look_again(), file.notices()), (Found::Change, vec![]));
    assert_eq!(file.settings().ui.theme, "light");

    fs::write(file.path(), "{ again").unwrap();
    assert_eq!(file.look_again(), Found::Broken);
    file.prepare(json!({ "ui": { "theme": "system" } })).unwrap();
    assert_eq!(file.notices(), []);
    assert_eq!(fs::read_to_string(folder.path().join(&broken_files(folder.path())[0])).unwrap(), "{ again");
}

#[test]
fn what_we_wrote_ourselves_is_no_change() {
    let folder = folder_with(SEED);
    let mut file = SettingsFile::open(folder.path());
    let document = json!({ "ui": { "theme": "dark" } });
    file.prepare(document.clone()).unwrap();
    file.write(document.as_object().unwrap()).unwrap();
    assert_eq!(file.look_again(), Found::Nothing);
}

#[test]
fn the_text_keeps_the_order_of_the_design() {
    let document = json!({ "avatar": 1, "ui": {}, "ai": {}, "override": {}, "gpu_monitoring": {} });
    let text = String::from_utf8(to_text(document.as_object().unwrap()).unwrap()).unwrap();
    let places: Vec<_> = ["\"ai\"", "\"gpu_monitoring\"", "\"ui\"", "\"override\"", "\"avatar\""]
        .map(|key| text.find(key).unwrap())
        .into();
    assert!(places.is_sorted(), "{text}");
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_leaves_the_last_good_settings_in_force() {
    let folder = folder_with(r#"{ "ui": { "theme": "dark" } }"#);
    SettingsFile::open(folder.path());
    fs::remove_file(folder.path().join(FILE)).unwrap();
    // A folder in its place cannot be read by anybody, not even by root.
    fs::create_dir(folder.path().join(FILE)).unwrap();
    let file = SettingsFile::open(folder.path());
    assert_eq!(file.settings().ui.theme, "dark");
    assert!(matches!(&file.notices()[..], [SettingsNotice::Unreadable { .. }]), "{:?}", file.notices());
}

/// Waits for the next edit that changes something, as a program would.
async fn next(watch: &mut SettingsWatch, file: &mut SettingsFile) -> Found {
    loop {
        let edited = tokio::time::timeout(Duration::from_mins(1), watch.edited()).await;
        edited.expect("an edit is told of").expect("the watch goes on");
        match file.look_again() {
            Found::Nothing => {}
            found => return found,
        }
    }
}

#[tokio::test]
async fn edits_from_outside_are_seen_however_the_editor_writes() {
    let folder = folder_with(SEED);
    let mut file = SettingsFile::open(folder.path());
    let mut watch = SettingsWatch::start(&file.path()).unwrap();
    let path = file.path();

    fs::write(&path, r#"{ "ui": { "theme": "dark" } }"#).unwrap();
    assert_eq!(next(&mut watch, &mut file).await, Found::Change);
    assert_eq!(file.settings().ui.theme, "dark");

    let beside = folder.path().join(".config.json.swp");
    fs::write(&beside, r#"{ "ui": { "theme": "light" } }"#).unwrap();
    fs::rename(&beside, &path).unwrap();
    assert_eq!(next(&mut watch, &mut file).await, Found::Change);
    assert_eq!(file.settings().ui.theme, "light");

    fs::write(&path, "{ broken").unwrap();
    assert_eq!(next(&mut watch, &mut file).await, Found::Broken);
    assert_eq!(file.settings().ui.theme, "light");

    fs::remove_file(&path).unwrap();
    assert_eq!(next(&mut watch, &mut file).await, Found::Change);
    assert_eq!(file.settings().ui.theme, "system");

    fs::write(&path, r#"{ "ui": { "theme": "dark" } }"#).unwrap();
    assert_eq!(next(&mut watch, &mut file).await, Found::Change);
    assert_eq!(file.settings().ui.theme, "dark");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_a_file_elsewhere_is_followed() {
    let elsewhere = folder_with(SEED);
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join(FILE), folder.path().join(FILE)).unwrap();
    let mut file = SettingsFile::open(folder.path());
    let mut watch = SettingsWatch::start(&file.path()).unwrap();
    fs::write(elsewhere.path().join(FILE), r#"{ "ui": { "theme": "dark" } }"#).unwrap();
    assert_eq!(next(&mut watch, &mut file).await, Found::Change);
    assert_eq!(file.settings().ui.theme, "dark");
}

/// Set in the environment of the child that writes settings until it is killed: its data folder.
#[cfg(unix)]
const WRITES_TO: &str = "WORKLY_TEST_WRITES_SETTINGS";

/// What the child of the next test does; without its variable it is no test.
#[cfg(unix)]
#[test]
fn settings_are_written_until_the_process_is_killed() {
    let Some(folder) = std::env::var_os(WRITES_TO) else { return };
    let mut file = SettingsFile::open(Path::new(&folder));
    for number in 0_u64.. {
        // Long enough that a file written in place is seen half done.
        let filler = "settings ".repeat(20_000);
        let document = json!({ "ui": { "theme": "dark" }, "written": number, "filler": filler });
        file.prepare(document.clone()).unwrap();
        file.write(document.as_object().unwrap()).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_program_killed_while_it_saves_leaves_a_whole_file() {
    use std::process::{Command, Stdio};

    let folder = folder_with(SEED);
    let path = folder.path().join(FILE);
    let written = || -> Option<u64> {
        let text = fs::read(&path).unwrap();
        let document: Value = serde_json::from_slice(&text).expect("the file is whole at every moment");
        document["written"].as_u64()
    };
    let name = "settings_file::tests::settings_are_written_until_the_process_is_killed";
    for _ in 0..30 {
        fs::write(&path, SEED).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(WRITES_TO, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + Duration::from_mins(2);
        while written().is_none() {
            assert!(child.try_wait().unwrap().is_none() && std::time::Instant::now() < deadline, "nothing is written");
        }
        // At a place in the loop that differs each time.
        for _ in 0..fastrand::u32(0..20) {
            written();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(written().is_some());
    }
}
