//! Hosts that lie, refuse, lead astray or never end.

use super::file_server::{Body, Reply, Server, model};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_on_safe_ground_only() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/moved.gguf" => Reply::redirect("../there/x"),
        "/there/x" => Reply::file(request, &served, "\"v1\""),
        "/out.gguf" => Reply::redirect("http://example.org/a.gguf"),
        "/file.gguf" => Reply::redirect("file:///etc/passwd"),
        path => Reply::redirect(path),
    });
    let library = Library::new(options());
    library.get(&server.url("moved.gguf")).await.unwrap();
    assert!(library.content("moved.gguf") == content);
    for unsafe_one in ["out.gguf", "file.gguf"] {
        assert_eq!(library.get(&server.url(unsafe_one)).await.unwrap_err(), ProblemCode::DownloadRefused);
    }
    let before = server.requests().len();
    assert_eq!(library.get(&server.url("circle.gguf")).await.unwrap_err(), ProblemCode::DownloadRefused);
    assert_eq!(server.requests().len() - before, 11);
    assert_eq!(library.names(), ["moved.gguf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_safe_are_refused_at_once() {
    let library = Library::new(options());
    for address in ["http://example.org/a.gguf", "file:///a.gguf", "ftp://example.org/a", "nonsense", ""] {
        let problem = library.transfers.fetch_url(address).await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::DownloadRefused, "{address}");
    }
    assert_eq!(library.transfers.list(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ignores_ranges_sends_all_of_it_again() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |_, before| {
        let reply = Reply::new(200, Body::Whole(served.clone())).with("ETag", "\"v1\"");
        if before == 0 { reply.ending(700_000, Body::Cut) } else { reply }
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert_eq!(server.requests()[1].range_start(), Some(700_000));
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ignores_ranges_and_always_cuts_is_given_up() {
    let content = model(1);
    let server = Server::start(move |_, _| {
        Reply::new(200, Body::Whole(content.clone())).with("ETag", "\"v1\"").ending(700_000, Body::Cut)
    });
    let library = Library::new(options());
    assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::DownloadFailed);
    // The first attempt brought something, the four after it nothing more.
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_piece_than_was_asked_for_is_not_taken() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, "\"v1\"");
        match before {
            0 => reply.ending(500_000, Body::Cut),
            1 => Reply::new(206, Body::Whole(served[1000..].to_vec()))
                .with("Content-Range", format!("bytes 1000-{}/{}", served.len() - 1, served.len())),
            _ => reply,
        }
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == content);
    assert_eq!(server.requests()[2].range_start(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_refused_begins_anew() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| {
        let reply = Reply::file(request, &served, "\"v1\"");
        match before {
            0 => reply.ending(500_000, Body::Cut),
            1 => Reply::new(416, Body::Whole(Vec::new())).with("Content-Range", "bytes */77"),
            _ => reply,
        }
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_announces_more_than_it_has_is_given_up() {
    let content = model(1);
    let server = Server::start(move |request, _| {
        // As if the file went on.
        let mut longer = content.clone();
        longer.extend_from_slice(&[0; 1000]);
        let start = request.range_start().unwrap_or(0) as usize;
        let left = content.len().saturating_sub(start);
        Reply::file(request, &longer, "\"v1\"").ending(left, Body::Cut)
    });
    let library = Library::new(options());
    assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::DownloadFailed);
    assert_eq!(library.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_announces_less_than_the_model_needs_is_found_out() {
    let content = model(1);
    let server = Server::of(content[..500_000].to_vec());
    let library = Library::new(options());
    assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::ModelDamaged);
    assert_eq!((library.names(), library.transfers.list()[0].received_bytes), (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_is_refused_at_its_first_bytes() {
    let server = Server::start(|_, _| {
        let page = b"<!doctype html><p>Please sign in.".to_vec();
        Reply::new(200, Body::Hang(page)).with("Content-Length", "5000000000")
    });
    let library = Library::new(options());
    assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::NotGguf);
    assert_eq!((library.names(), library.transfers.list()[0].received_bytes), (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_a_model_inside_is_refused() {
    let mut content = b"GGUF".to_vec();
    content.resize(100_000, 0xAB);
    let server = Server::of(content);
    let library = Library::new(options());
    let code = library.get(&server.url("a.gguf")).await.unwrap_err();
    assert!(matches!(code, ProblemCode::ModelDamaged | ProblemCode::LoadFailed), "{code:?}");
    assert_eq!(library.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_end_is_cut_at_what_its_header_says() {
    let content = model(4);
    let server = Server::start(move |_, _| Reply::new(200, Body::Endless(content.clone())));
    let library = Library::new(options());
    assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::HashMismatch);
    assert_eq!((library.names(), library.transfers.list()[0].received_bytes), (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_end_is_cut_at_what_the_catalogue_says() {
    let content = model(1);
    let length = content.len() as u64;
    let server = Server::start(move |_, _| Reply::new(200, Body::Endless(content.clone())));
    let library = Library::new(options());
    let id = library.transfers.fetch(&of_catalogue(server.url("a.gguf"), None, Some(length))).await.unwrap();
    assert_eq!(library.ended(&id).await.unwrap_err(), ProblemCode::HashMismatch);
    assert_eq!(library.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_end_does_not_fill_the_disk() {
    let content = model(4);
    let server = Server::start(move |_, _| Reply::new(200, Body::Endless(content.clone())));
    let free_space = FreeSpace::new(|_| Ok(3 << 20));
    let library = Library::new(Options { free_space, keep_free: 1 << 20, ..options() });
    assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::DiskFull);
    assert!(library.transfers.list()[0].received_bytes <= 2 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_refuses_is_not_asked_again() {
    for status in [401, 403, 404, 410, 400] {
        let server = Server::start(move |_, _| Reply::new(status, Body::Whole(b"no".to_vec())));
        let library = Library::new(options());
        assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::DownloadRefused, "{status}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_host_is_asked_again_until_it_is_enough() {
    let content = model(1);
    let served = content.clone();
    let server = Server::start(move |request, before| match before {
        0 => Reply::new(500, Body::Whole(Vec::new())),
        1 => Reply::new(503, Body::Whole(Vec::new())).with("Retry-After", "0"),
        2 => Reply::new(429, Body::Whole(Vec::new())),
        _ => Reply::file(request, &served, "\"v1\""),
    });
    let library = Library::new(options());
    library.get(&server.url("a.gguf")).await.unwrap();
    assert!(library.content("a.gguf") == content);
    let server = Server::start(|_, _| Reply::new(500, Body::Whole(Vec::new())));
    assert_eq!(library.get(&server.url("b.gguf")).await.unwrap_err(), ProblemCode::DownloadFailed);
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_told_by_name() {
    // A port that nobody listens at: bound, and given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let library = Library::new(options());
    let id = library.fetch(&format!("http://127.0.0.1:{port}/a.gguf")).await;
    assert_eq!(library.ended(&id).await.unwrap_err(), ProblemCode::DownloadFailed);
    let problem = library.transfers.list()[0].problem.clone().unwrap();
    assert!(problem.message.contains("127.0.0.1"), "{problem}");
    assert!(problem.details.is_some_and(|details| details.to_lowercase().contains("connect")));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_in_another_form_is_refused() {
    let content = model(1);
    let server = Server::start(move |request, _| {
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        Reply::file(request, &content, "\"v1\"").with("Content-Encoding", "gzip")
    });
    let library = Library::new(options());
    assert_eq!(library.get(&server.url("a.gguf")).await.unwrap_err(), ProblemCode::DownloadRefused);
}
