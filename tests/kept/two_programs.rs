//! A second program on the folder while an answer is written, with and without a session bus, under either name.

use std::rc::Rc;
use std::time::Duration;

use tempfile::tempdir;

use crate::damage::{answers, plain, quit};
use crate::harness::{PROGRAM, Surroundings};
use crate::person::{Person, tell_slowest};
use crate::remains::{SharedMemory, assert_clean};

#[tokio::test]
async fn a_second_program_on_the_folder_of_an_answer_leaves_and_the_answer_is_whole() {
    let around = tempdir().unwrap();
    for bus in [None, Some("unix:path=/no/such/bus")] {
        let (data, shared) = (Rc::new(tempdir().unwrap()), SharedMemory::now());
        let link = around.path().join(if bus.is_some() { "link" } else { "link-with-bus" });
        std::os::unix::fs::symlink(data.path(), &link).unwrap();
        let mut surroundings = Surroundings::over(Rc::clone(&data));
        if let Some(bus) = bus {
            surroundings = surroundings.with("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        let mut person = Person::in_surroundings(surroundings).await;
        person.asks("Tell me a very long story with many chapters.").await;
        person.reads(20).await;
        for folder in [data.path(), &link] {
            let mut second = person.desktop.surroundings().command(PROGRAM);
            let mut second = second.arg("--hidden").env("WORKLY_DATA_DIR", folder).spawn().unwrap();
            let status = loop {
                person.reads_for(Duration::from_millis(50)).await;
                if let Some(status) = second.try_wait().unwrap() {
                    break status;
                }
            };
            // With a bus it asks the first one to show itself; without, it says why it leaves.
            assert_eq!(status.success(), bus.is_none(), "{bus:?} {}", folder.display());
        }
        let answer = person.reads_to_the_end().await;
        tell_slowest("two programs", person.slowest());
        quit(person).await;
        assert_clean(data.path(), &shared);
        let kept = answers(data.path());
        assert!(plain(&kept[0]).starts_with(&plain(&answer)), "seen: {answer}\nkept: {kept:?}");
    }
}
