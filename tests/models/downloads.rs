//! Downloads: progress, cancel, pause and resume, a file that is not the one expected, and a talk with the new model.

use rustix::process::Signal;

use crate::file_server::{Server, model};
use crate::harness::program::ONE_WORKER;
use crate::harness::{Desktop, Surroundings, signal};
use crate::page::{CATALOGUE, MODEL, Offer, READY, TRANSFER, files_of, real_model, slow_host, with_catalogue};
use crate::talk::DONE;

const DOWNLOAD: &str = "[data-testid=download]";

fn with_the_real_model(server: &Server) -> (Surroundings, u64) {
    let size = real_model().metadata().unwrap().len();
    (with_catalogue(&[Offer { size: Some(size), ..Offer::new("new", "New model", server.url("new.gguf")) }]), size)
}

#[tokio::test]
async fn a_model_is_fetched_paused_resumed_and_talked_to_in_the_same_conversation() {
    let server = slow_host();
    let (surroundings, size) = with_the_real_model(&server);
    let desktop = Desktop::on_cpu(surroundings).await;
    desktop.ask("Say hello to the lighthouse keeper.").await;
    desktop.open_models().await;
    desktop.click(&format!("{CATALOGUE} {DOWNLOAD}")).await;

    // Half of it comes, and the bar says so.
    desktop.wait_for("half of the model", || async { desktop.received().await >= size / 2 }).await;
    desktop.wait_for_transfer("running").await;
    let percent = desktop.run_script("return document.querySelector('[role=progressbar]').ariaValueNow").await;
    assert_eq!(percent, "50");
    desktop.save_screenshot("models-download").await;

    desktop.click("[data-testid=transfer-pause]").await;
    desktop.wait_for_transfer("paused").await;
    assert_eq!(files_of(desktop.surroundings().data()), Vec::<String>::new(), "half a model is no model");
    desktop.save_screenshot("models-paused").await;
    desktop.click("[data-testid=transfer-resume]").await;
    desktop.wait_for_transfer("done").await;
    let resumed = server.requests().pop().unwrap().range_start();
    assert!(resumed.is_some_and(|from| from > 0 && from <= size / 2 + 1), "it went on from {resumed:?}");
    assert_eq!(
        std::fs::read(desktop.surroundings().data().join("models/new.gguf")).unwrap(),
        std::fs::read(real_model()).unwrap()
    );

    // It is in the library, and nothing to fetch any more.
    let card = desktop.card_of("new").await;
    desktop.wait_for("the catalogue without it", || async { desktop.count(CATALOGUE).await == 0 }).await;
    desktop.click(&format!("{card} [data-testid=use-model]")).await;
    desktop.find(&format!("{card} [data-testid=model-chosen]")).await;
    desktop.click("[data-testid=transfer-dismiss]").await;
    desktop.wait_for("no transfer", || async { desktop.count(TRANSFER).await == 0 }).await;
    desktop.save_screenshot("models-used").await;

    // The conversation is the one it was, and goes on with the new model.
    desktop.click("[data-testid=page-chat]").await;
    desktop.find(READY).await;
    desktop.wait_for_shown("[data-testid=model-picker]", "new").await;
    let question = "lighthouse keeper";
    assert!(desktop.texts("[data-testid=question-text]").await[0].contains(question), "it is the conversation it was");
    let second = desktop.ask("And to his cat.").await;
    assert!(!second.trim().is_empty());
    assert_eq!(desktop.count(DONE).await, 2);
    let config = std::fs::read_to_string(desktop.surroundings().data().join("config.json")).unwrap();
    assert!(config.contains("\"new.gguf\""), "{config}");
}

#[tokio::test]
async fn a_download_that_is_cancelled_leaves_nothing_and_can_be_begun_again() {
    let server = slow_host();
    let (surroundings, size) = with_the_real_model(&server);
    let desktop = Desktop::on_cpu(surroundings).await;
    desktop.open_models().await;
    desktop.click(&format!("{CATALOGUE} {DOWNLOAD}")).await;
    desktop.wait_for("half of the model", || async { desktop.received().await >= size / 2 }).await;
    desktop.click("[data-testid=transfer-cancel]").await;
    desktop.wait_for("no transfer", || async { desktop.count(TRANSFER).await == 0 }).await;
    let incoming = desktop.surroundings().data().join("models/.incoming");
    let left: Vec<_> = std::fs::read_dir(incoming).into_iter().flatten().flatten().map(|file| file.path()).collect();
    assert!(left.iter().all(|path| path.extension().is_none_or(|ending| ending != "part")), "{left:?}");
    desktop.click(&format!("{CATALOGUE} {DOWNLOAD}")).await;
    desktop.wait_for_transfer("done").await;
    assert_eq!(server.requests().pop().unwrap().range_start(), None, "it began anew");
    desktop.card_of("new").await;
}

#[tokio::test]
async fn a_file_that_is_not_the_one_expected_is_refused_with_a_retry() {
    let server = Server::of(model(1));
    let wrong = Some("0".repeat(64));
    let offer = Offer { sha256: wrong, ..Offer::new("other", "Another model", server.url("other.gguf")) };
    let surroundings = with_catalogue(&[offer]);
    let desktop = Desktop::on_cpu(surroundings).await;
    desktop.open_models().await;
    desktop.click(&format!("{CATALOGUE} {DOWNLOAD}")).await;
    desktop.wait_for_transfer("failed").await;
    desktop.find(&format!("{TRANSFER} [data-testid=problem][data-code=hash_mismatch]")).await;
    desktop.save_screenshot("models-failed").await;
    assert_eq!(files_of(desktop.surroundings().data()), Vec::<String>::new());
    assert_eq!(desktop.count(MODEL).await, 1);
    let asked = server.requests().len();
    desktop.click(&format!("{TRANSFER} [data-testid=retry]")).await;
    desktop.wait_for("another attempt", || async { server.requests().len() > asked }).await;
    desktop
        .wait_for("no transfer", || async {
            // Only one that has ended can be dismissed.
            desktop.run_script("document.querySelector('[data-testid=transfer-dismiss]')?.click()").await;
            desktop.count(TRANSFER).await == 0
        })
        .await;
}

#[tokio::test]
async fn a_download_goes_on_after_a_restart() {
    let server = slow_host();
    let (surroundings, size) = with_the_real_model(&server);
    let data = surroundings.data().join("models");
    let desktop = Desktop::start_in(surroundings, ONE_WORKER).await.ready().await;
    desktop.open_models().await;
    desktop.click(&format!("{CATALOGUE} {DOWNLOAD}")).await;
    desktop.wait_for("half of the model", || async { desktop.received().await >= size / 2 }).await;
    signal(desktop.program(), Signal::KILL);
    let next = with_the_real_model(&server).0;
    copy_all(&data, &next.data().join("models"));
    drop(desktop);
    let desktop = Desktop::start_in(next, ONE_WORKER).await.ready().await;
    desktop.open_models().await;
    desktop.wait_for_transfer("paused").await;
    desktop.click("[data-testid=transfer-resume]").await;
    desktop.wait_for_transfer("done").await;
    assert!(server.requests().pop().unwrap().range_start().is_some_and(|from| from > 0), "it began anew");
    desktop.card_of("new").await;
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
