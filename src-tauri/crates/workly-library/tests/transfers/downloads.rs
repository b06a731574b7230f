//! A file on its way: interruptions, what it is checked against, the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use workly_wire::models::{HashSource, TransferKind};

use super::file_server::{Body, Reply, Server, model};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_in_whole_under_a_name_of_ours() {
    let content = model(2);
    let server = Server::of(content.clone());
    let library = Library::new(options());
    let done = library.get(&server.url("a%2Fb/..%5Cno%20body.gguf?download=true")).await.unwrap();
    assert_eq!(library.names(), ["no body.gguf"]);
    assert!(library.content("no body.gguf") == content);
    assert_eq!(done.model.as_deref(), library.models().join("no body.gguf").to_str());
    assert_eq!((done.kind, done.hash), (TransferKind::Download, HashSource::None));
    assert_eq!((done.received_bytes, done.total_bytes), (content.len() as u64, Some(content.len() as u64)));
    assert_eq!(library.incoming(), [""; 0]);
    assert_eq!(server.served(), content.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_cut_goes_on_from_there() {
    let content = model(3);
    let half = content.len() / 2;
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, "\"v1\"");
        if before == 0 { reply.ending(half, Body::Cut) } else { reply }
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == content);
    let requests = server.requests();
    assert_eq!(requests.iter().map(file_server::Request::range_start).collect::<Vec<_>>(), [None, Some(half as u64)]);
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
    assert_eq!(server.served(), content.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_falls_silent_is_asked_again() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, "\"v1\"");
        if before == 0 { reply.ending(300_000, Body::Hang) } else { reply }
    });
    let library = Library::new(Options { patience: Duration::from_secs(1), ..options() });
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == content);
    assert_eq!(server.requests()[1].range_start(), Some(300_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_answers_is_given_up_and_what_is_here_is_kept() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, "\"v1\"");
        match before {
            0 => reply.ending(300_000, Body::Cut),
            1..=4 => reply.ending(0, Body::Hang),
            _ => reply,
        }
    });
    let library = Library::new(Options { patience: Duration::from_millis(100), ..options() });
    let url = server.url("a.gguf");
    assert_eq!(library.get(&url).await.unwrap_err(), ProblemCode::DownloadFailed);
    assert_eq!(library.names(), [""; 0]);
    // The first attempt brought something, so four more were made.
    assert_eq!(server.requests().len(), 5);
    let failed = &library.transfers.list()[0];
    assert_eq!(failed.received_bytes, 300_000);
    library.transfers.resume(&failed.id).await.unwrap();
    library.state(&failed.id, TransferState::Done).await;
    assert!(library.content("a.gguf") == content);
    assert_eq!(server.served(), content.len() as u64);
}

/// Hardly anything comes from a host that is never silent for long.
fn trickle(request: &file_server::Request, content: &[u8]) -> Reply {
    let reply = Reply::file(request, content, "\"v1\"");
    let Body::Whole(content) = reply.body else { return reply };
    Reply { body: Body::Trickle(content, Duration::from_millis(20)), ..reply }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_trickles_is_asked_again_and_given_up_in_the_end() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| match before {
        0..4 => trickle(request, &served),
        _ => Reply::file(request, &served, "\"v1\""),
    });
    // Some 50 bytes come in a second.
    let library = Library::new(Options { patience: Duration::from_secs(1), slowest: 10_000, ..options() });
    let url = server.url("a.gguf");
    assert_eq!(library.get(&url).await.unwrap_err(), ProblemCode::DownloadFailed);
    assert_eq!(server.requests().len(), 4, "so little is no progress");
    let failed = &library.transfers.list()[0];
    assert!(failed.received_bytes > 0, "it was kept");
    library.transfers.resume(&failed.id).await.unwrap();
    library.state(&failed.id, TransferState::Done).await;
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_download_says_why() {
    let server = Server::start(|_, _| Reply::new(503, Body::Whole(Vec::new())).with("Retry-After", "600"));
    let library = Library::new(options());
    let id = library.fetch(&server.url("a.gguf")).await;
    let waiting = library.state(&id, TransferState::Waiting).await;
    assert_eq!(waiting.problem.unwrap().code, ProblemCode::DownloadFailed);
    library.transfers.cancel(&id).await.unwrap();
    assert_eq!(library.incoming(), [""; 0]);
    let mut list = library.transfers.subscribe();
    in_time("the list to be empty", list.wait_for(Vec::is_empty)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogues_hash_decides() {
    let content = model(1);
    let server = Server::of(content.clone());
    let library = Library::new(options());
    let wrong = of_catalogue(server.url("a.gguf"), Some(sha256(b"else")), Some(content.len() as u64));
    let id = library.transfers.fetch(&wrong).await.unwrap();
    assert_eq!(library.ended(&id).await.unwrap_err(), ProblemCode::HashMismatch);
    assert_eq!(library.names(), [""; 0]);
    // What is known to be wrong is not gone on from.
    assert_eq!(library.transfers.list()[0].received_bytes, 0);
    let right = of_catalogue(server.url("a.gguf"), Some(sha256(&content)), Some(content.len() as u64));
    let id = library.transfers.fetch(&right).await.unwrap();
    let done = library.state(&id, TransferState::Done).await;
    assert_eq!((done.hash, done.catalogue_id.as_deref()), (HashSource::Catalogue, Some("zephyr-7b")));
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_size_than_the_catalogues_is_not_fetched() {
    let server = Server::of(model(1));
    let library = Library::new(options());
    let other = of_catalogue(server.url("a.gguf"), None, Some(12345));
    let id = library.transfers.fetch(&other).await.unwrap();
    assert_eq!(library.ended(&id).await.unwrap_err(), ProblemCode::HashMismatch);
    assert_eq!(library.transfers.list()[0].received_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_hash_is_used_where_nobody_knows_better() {
    let content = model(1);
    for (told, ends) in [(sha256(&content), Ok(())), (sha256(b"else"), Err(ProblemCode::HashMismatch))] {
        let served = content.clone();
        let server = Server::start(move |request, _| match request.path.as_str() {
            "/resolve/a.gguf" => Reply::redirect("/elsewhere?signature=x").with("X-Linked-ETag", format!("\"{told}\"")),
            _ => Reply::file(request, &served, "\"v1\""),
        });
        let library = Library::new(options());
        let id = library.fetch(&server.url("resolve/a.gguf")).await;
        let ended = library.ended(&id).await;
        if let Ok(done) = &ended {
            assert_eq!(done.hash, HashSource::Host);
        }
        assert_eq!(ended.map(|_| ()), ends);
        assert_eq!(library.names().len(), usize::from(ends.is_ok()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_meanwhile_begins_anew() {
    let (old, new) = (model(1), model(2));
    let fresh = new.clone();
    let server = Server::start(move |request, before| match before {
        0 => Reply::file(request, &old, "\"old\"").ending(400_000, Body::Cut),
        _ => Reply::file(request, &fresh, "\"new\""),
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == new);
    assert_eq!(server.served(), 400_000 + new.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_vouches_for_is_not_gone_on_from() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, "");
        if before == 0 { reply.ending(400_000, Body::Cut) } else { reply }
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == content);
    assert_eq!(server.requests()[1].range_start(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_need_not_tell_the_version_with_each_piece() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, if before == 0 { "\"v1\"" } else { "" });
        if before < 2 { reply.ending(200_000, Body::Cut) } else { reply }
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == content);
    let starts: Vec<_> = server.requests().iter().map(file_server::Request::range_start).collect();
    assert_eq!(starts, [None, Some(200_000), Some(400_000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_before_a_byte_is_written_and_the_rest_comes_later() {
    let content = model(1);
    let server = Server::of(content.clone());
    let free = Arc::new(AtomicU64::new(1000));
    let asked = Arc::clone(&free);
    let free_space = FreeSpace::new(move |_| Ok(asked.load(Ordering::SeqCst)));
    let library = Library::new(Options { free_space, keep_free: 500, ..options() });
    let id = library.fetch(&server.url("a.gguf")).await;
    assert_eq!(library.ended(&id).await.unwrap_err(), ProblemCode::DiskFull);
    assert_eq!(library.transfers.list()[0].received_bytes, 0);
    free.store(content.len() as u64 + 500, Ordering::SeqCst);
    library.transfers.resume(&id).await.unwrap();
    library.state(&id, TransferState::Done).await;
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_meanwhile_stops_it_and_keeps_what_is_here() {
    let content = model(100);
    let server = Server::of(content.clone());
    let looks = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&looks);
    // Room at first, none when it is looked at again, and then room again.
    let room = move |_: &Path| Ok(if asked.fetch_add(1, Ordering::SeqCst) == 1 { 0 } else { 1 << 40 });
    let library = Library::new(Options { free_space: FreeSpace::new(room), ..options() });
    let id = library.fetch(&server.url("a.gguf")).await;
    assert_eq!(library.ended(&id).await.unwrap_err(), ProblemCode::DiskFull);
    let kept = library.transfers.list()[0].received_bytes;
    assert!((64 << 20..content.len() as u64).contains(&kept), "{kept}");
    library.transfers.resume(&id).await.unwrap();
    library.state(&id, TransferState::Done).await;
    assert_eq!(server.requests()[1].range_start(), Some(kept));
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_parts_of_a_split_model_come_in() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, "\"v1\"");
        // The second part is cut once.
        if before == 1 { reply.ending(100_000, Body::Cut) } else { reply }
    });
    let library = Library::new(options());
    let done = library.get(&server.url("x/big-00002-of-00003.gguf?download=true")).await.unwrap();
    let parts: Vec<String> = (1..=3).map(|part| format!("big-0000{part}-of-00003.gguf")).collect();
    assert_eq!(library.names(), parts);
    assert_eq!(done.title, "big");
    assert!(done.model.unwrap().ends_with("big-00001-of-00003.gguf"));
    assert_eq!(done.total_bytes, Some(3 * content.len() as u64));
    assert_eq!(server.served(), 3 * content.len() as u64);
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths[0], "/x/big-00001-of-00003.gguf?download=true");
    assert_eq!((paths.len(), &paths[1]), (4, &paths[2]));
}
