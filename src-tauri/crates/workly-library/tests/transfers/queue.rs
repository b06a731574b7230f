//! Several transfers, one after the other, paused, taken up and left behind.

use super::file_server::{Body, Reply, Server, model};
use super::*;

/// A host that hangs after so many bytes of the first request for each file.
fn hanging(content: &[u8], after: usize) -> Server {
    let content = content.to_vec();
    Server::start(move |request, _| {
        let reply = Reply::file(request, &content, "\"v1\"");
        if request.range_start().is_none() { reply.ending(after, Body::Hang) } else { reply }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_download_goes_on_when_it_is_wanted() {
    let content = model(1);
    let server = hanging(&content, 250_000);
    let library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    library.until(&id, |transfer| transfer.received_bytes == 250_000).await;
    library.transfers.pause(&id).await.unwrap();
    let paused = library.state(&id, TransferState::Paused).await;
    assert_eq!((paused.received_bytes, paused.bytes_per_second, paused.problem), (250_000, None, None));
    library.transfers.resume(&id).await.unwrap();
    library.state(&id, TransferState::Done).await;
    assert!(library.content("a.gguf") == content);
    assert_eq!(server.served(), content.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_run_left_behind_is_paused_and_goes_on() {
    let content = model(1);
    let server = hanging(&content, 250_000);
    let mut library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    library.until(&id, |transfer| transfer.received_bytes == 250_000).await;
    library.transfers.rest().await;
    library.transfers = Transfers::start(library.models(), options());
    let [left] = library.transfers.list().try_into().unwrap();
    assert_eq!((left.state, left.received_bytes), (TransferState::Paused, 250_000));
    assert_eq!((left.total_bytes, left.title.as_str()), (Some(content.len() as u64), "a"));
    // Asking for it again is the same as going on.
    assert_eq!(library.fetch(&server.url("a.gguf")).await, id);
    library.state(&id, TransferState::Done).await;
    assert!(library.content("a.gguf") == content);
    assert_eq!(server.served(), content.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_only_what_was_on_the_disk_for_good_is_gone_on_from() {
    let content = model(1);
    let server = hanging(&content, 250_000);
    let mut library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    library.until(&id, |transfer| transfer.received_bytes == 250_000).await;
    library.transfers.rest().await;
    // As file systems do: the length was written, the content was not; and the machine was started since.
    let incoming = library.models().join(".incoming");
    let part = fs::File::options().write(true).open(incoming.join(format!("{id}.part"))).unwrap();
    part.set_len(400_000).unwrap();
    let path = incoming.join(format!("{id}.json"));
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["machine_started"] = 1.into();
    fs::write(&path, record.to_string()).unwrap();
    library.transfers = Transfers::start(library.models(), options());
    library.transfers.resume(&id).await.unwrap();
    library.state(&id, TransferState::Done).await;
    assert_eq!(server.requests()[1].range_start(), Some(250_000));
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transfer_is_still_known_after_a_restart() {
    let server = Server::start(|_, _| Reply::new(404, Body::Whole(Vec::new())));
    let mut library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    library.state(&id, TransferState::Failed).await;
    library.transfers.rest().await;
    library.transfers = Transfers::start(library.models(), options());
    let [left] = library.transfers.list().try_into().unwrap();
    assert_eq!((left.state, left.problem.unwrap().code), (TransferState::Failed, ProblemCode::DownloadRefused));
    library.transfers.cancel(&id).await.unwrap();
    assert_eq!(library.incoming(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_download_leaves_nothing() {
    let server = hanging(&model(1), 250_000);
    let library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    library.until(&id, |transfer| transfer.received_bytes == 250_000).await;
    assert!(library.incoming().contains(&format!("{id}.part")));
    library.transfers.cancel(&id).await.unwrap();
    assert_eq!(library.incoming(), [""; 0]);
    assert!(library.transfers.cancel(&id).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_find_no_room_wait_for_their_turn() {
    let content = model(1);
    let server = hanging(&content, 250_000);
    let library = Library::new(Options { at_once: 2, ..options() });
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(library.fetch(&server.url(&format!("{name}.gguf"))).await);
    }
    for id in &ids[..2] {
        library.until(id, |transfer| transfer.received_bytes == 250_000).await;
    }
    assert_eq!(library.transfers.list()[2].state, TransferState::Queued);
    assert_eq!(server.requests().len(), 2);
    library.transfers.pause(&ids[0]).await.unwrap();
    library.until(&ids[2], |transfer| transfer.received_bytes == 250_000).await;
    for id in &ids {
        library.transfers.pause(id).await.unwrap();
        library.transfers.resume(id).await.unwrap();
    }
    for id in &ids {
        library.state(id, TransferState::Done).await;
    }
    assert_eq!(library.names(), ["a.gguf", "b.gguf", "c.gguf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten() {
    let server = hanging(&model(1), 250_000);
    let library = Library::new(options());
    fs::create_dir_all(library.models()).unwrap();
    fs::write(library.models().join("a.gguf"), b"mine").unwrap();
    let problem = library.transfers.fetch_url(&server.url("a.gguf")).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::ModelExists);
    // Nor what appears while it is under way.
    let id = library.fetch(&server.url("b.gguf")).await;
    library.until(&id, |transfer| transfer.received_bytes == 250_000).await;
    let twin = library.transfers.fetch_url(&server.url("other/b.gguf")).await.unwrap_err();
    assert_eq!(twin.code, ProblemCode::ModelExists);
    fs::write(library.models().join("b.gguf"), b"mine too").unwrap();
    library.transfers.pause(&id).await.unwrap();
    library.transfers.resume(&id).await.unwrap();
    assert_eq!(library.ended(&id).await.unwrap_err(), ProblemCode::ModelExists);
    assert_eq!((library.content("a.gguf"), library.content("b.gguf")), (b"mine".to_vec(), b"mine too".to_vec()));
    // With the place free again nothing has to be fetched a second time.
    let before = server.requests().len();
    fs::remove_file(library.models().join("b.gguf")).unwrap();
    library.transfers.resume(&id).await.unwrap();
    library.state(&id, TransferState::Done).await;
    assert_eq!(server.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_do_not_write_one_file() {
    let content = model(1);
    let server = hanging(&content, 250_000);
    let library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    library.until(&id, |transfer| transfer.received_bytes == 250_000).await;
    let other =
        Library { transfers: Transfers::start(library.models(), options()), folder: tempfile::tempdir().unwrap() };
    other.transfers.resume(&id).await.unwrap();
    assert_eq!(other.ended(&id).await.unwrap_err(), ProblemCode::DownloadFailed);
    assert!(other.transfers.cancel(&id).await.is_err());
    library.transfers.pause(&id).await.unwrap();
    library.transfers.resume(&id).await.unwrap();
    library.state(&id, TransferState::Done).await;
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn speed_and_time_left_are_told_while_bytes_come_in() {
    let content = model(4);
    let slow = Body::Slow(content.clone(), Duration::from_millis(50));
    let server = Server::start(move |_, _| Reply::new(200, slow.clone()));
    let library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    let is_told = |transfer: &Transfer| {
        transfer.bytes_per_second.is_some_and(|speed| speed > 0.0) && transfer.seconds_left.is_some()
    };
    let moving = library.until(&id, is_told).await;
    assert_eq!(moving.state, TransferState::Running);
    assert!(moving.received_bytes < content.len() as u64);
    let done = library.state(&id, TransferState::Done).await;
    assert_eq!((done.bytes_per_second, done.seconds_left), (None, None));
}
