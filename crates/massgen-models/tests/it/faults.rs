//! Servers that fail, over real connections.

use std::io::{Read, Write};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use massgen_models::connect;
use massgen_protocol::{BackendSpec, CallFailure, CallTimeouts, FailureKind, ModelEvent};
use massgen_testkit::{Gate, Reply, Script, Server, behaviour, script};
use serde_json::json;

use crate::support::{KEY, call, driver, listen, question, spec};

async fn failure(script: Script) -> CallFailure {
    let server = Server::start(script);
    listen(&driver(&server), question()).await.failure.unwrap()
}

#[tokio::test]
async fn refusals_have_their_kind_and_the_servers_wish() {
    let refused = failure(behaviour::rate_limited(7)).await;
    let expected = CallFailure {
        kind: FailureKind::RateLimited,
        message: "slow down (rate_limit_exceeded)".to_owned(),
        status: Some(429),
        retry_after_ms: Some(7_000),
    };
    assert_eq!(refused, expected);
    let check = async |reply: Reply, kind, message: &str| {
        let refused = failure(script(move |_| reply.clone())).await;
        assert_eq!((refused.kind, refused.message.as_str()), (kind, message));
    };
    let page = || Reply::new(502, "text/html").raw("<html>Bad gateway</html>");
    check(page(), FailureKind::Unavailable, "Bad Gateway (a web page, not an API)").await;
    let plain = Reply::new(503, "text/plain").raw("no upstream\n");
    check(plain, FailureKind::Overloaded, "Service Unavailable: no upstream").await;
    check(Reply::new(401, "text/plain"), FailureKind::Auth, "Unauthorized").await;
    check(Reply::new(204, "text/plain"), FailureKind::Garbled, "an answer with status 204").await;
    let moved = Reply::new(308, "text/plain").header("location", "https://h/v2");
    let message = "the server is at https://h/v2 now; set `base_url` accordingly";
    check(moved, FailureKind::BadRequest, message).await;
    let quota = Reply::error(200, "insufficient_quota", "no credit");
    check(quota, FailureKind::Quota, "no credit (insufficient_quota)").await;
    let long = Reply::new(400, "text/plain").raw("x".repeat(1_000_000));
    let refused = failure(script(move |_| long.clone())).await;
    assert!(refused.message.len() < 700);
}

#[tokio::test]
async fn a_reply_that_cannot_be_a_stream_is_not_asked_for_again() {
    let check = async |header: (&'static str, &'static str), told: &str| {
        let server = Server::start(script(move |_| {
            Reply::new(200, "text/html").header(header.0, header.1).raw("<html>Log in</html>")
        }));
        let failure = listen(&driver(&server), question()).await.failure.unwrap();
        assert_eq!(failure.kind, FailureKind::BadRequest);
        assert!(failure.message.contains(told), "{}", failure.message);
        assert_eq!(server.stats().requests, 1);
    };
    check(("content-encoding", "gzip"), "as `gzip`, which was not asked for").await;
    check(("x-nothing", "more"), "a web page, not an API").await;
}

#[tokio::test]
async fn a_model_that_is_not_there_is_named_with_its_server() {
    let refused = failure(behaviour::fails(404)).await;
    assert_eq!(refused.kind, FailureKind::BadRequest);
    let message = &refused.message;
    assert!(message.contains("`m-1` at http://127.0.0.1:"), "{message}");
}

#[tokio::test]
async fn a_key_that_a_server_repeats_is_not_passed_on() {
    let refused = failure(script(|_| {
        Reply::error(401, "invalid_api_key", &format!("wrong key: {KEY}, sent as Bearer {KEY}"))
    }))
    .await;
    assert_eq!(refused.kind, FailureKind::Auth);
    assert!(!format!("{refused:?}").contains(KEY), "{refused:?}");
    let inside = failure(script(|_| {
        Reply::stream().chunk(&json!({"error": {"message": format!("key {KEY}"), "code": 401}}))
    }))
    .await;
    assert_eq!((inside.kind, inside.message.as_str()), (FailureKind::Auth, "key [key]"));
}

#[tokio::test]
async fn connections_that_fail_say_where_and_why() {
    let dropped = failure(script(|_| Reply::refused())).await;
    assert_eq!(dropped.kind, FailureKind::Unavailable);
    assert!(dropped.message.starts_with("no answer from http://127.0.0.1:"), "{dropped:?}");
    let midway = failure(behaviour::dropped()).await;
    assert_eq!(midway.kind, FailureKind::Truncated);
    assert!(midway.message.starts_with("the connection was lost before the reply ended: "));
    assert_eq!(failure(behaviour::garbage()).await.kind, FailureKind::Garbled);

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = connect(&spec(&format!("http://127.0.0.1:{port}/v1"))).unwrap();
    let refused = listen(&nobody, question()).await.failure.unwrap();
    assert_eq!(refused.kind, FailureKind::Unavailable);
    assert!(refused.message.contains(&format!("cannot connect to http://127.0.0.1:{port}: ")));
    assert!(refused.message.to_lowercase().contains("refused"), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_away() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let driver = connect(&spec(&format!("https://127.0.0.1:{port}/v1"))).unwrap();
    let failure = listen(&driver, question()).await.failure.unwrap();
    server.join().unwrap();
    assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
    assert!(failure.message.contains("write `http://` in `base_url`"), "{failure:?}");
}

#[tokio::test]
async fn silence_is_bounded_and_comments_are_no_silence() {
    let timed = |timeouts| move |spec: BackendSpec| BackendSpec { timeouts, ..spec };
    let fast = CallTimeouts { connect_ms: 200, first_byte_ms: 50, idle_ms: 50, total_ms: 10_000 };
    let server = Server::start(behaviour::stall());
    let driver = connect(&timed(fast)(spec(&server.base_url()))).unwrap();
    let failure = listen(&driver, question()).await.failure.unwrap();
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::TimedOut, "no answer within 0.1 s")
    );
    server.until(|stats| stats.disconnects == 1).await;

    let server = Server::start(behaviour::stall_midway());
    let driver = connect(&timed(fast)(spec(&server.base_url()))).unwrap();
    let failure = listen(&driver, question()).await.failure.unwrap();
    assert_eq!(failure.message, "silent for 0.1 s");

    // Two hundred comments, 5 ms apart, are a second in which nothing is said.
    let patient = CallTimeouts { first_byte_ms: 500, idle_ms: 500, ..fast };
    let mut reply = Reply::stream();
    for _ in 0..200 {
        reply = reply.comment("PROCESSING").delay(Duration::from_millis(5));
    }
    let reply = reply.text("8").finish("stop").done();
    let server = Server::start(script(move |_| reply.clone()));
    let driver = connect(&timed(patient)(spec(&server.base_url()))).unwrap();
    assert_eq!(listen(&driver, question()).await.text, "8");
}

#[tokio::test]
async fn headers_alone_are_not_the_first_byte_of_an_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        // Until the client has had enough.
        while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
    });
    // Nobody waits for the idle bound, which is not what runs here.
    let timeouts =
        CallTimeouts { connect_ms: 200, first_byte_ms: 100, idle_ms: 600_000, total_ms: 900_000 };
    let spec = BackendSpec { timeouts, ..spec(&format!("http://127.0.0.1:{port}/v1")) };
    let failure = listen(&connect(&spec).unwrap(), question()).await.failure.unwrap();
    assert_eq!(failure.message, "no answer within 0.1 s");
    // Not in this thread, which is the one that closes the connection.
    tokio::task::spawn_blocking(move || server.join()).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_follows_the_end_is_not_waited_for() {
    // Complete, and the server keeps the connection open without a word.
    for reply in [
        Reply::stream().text("8").finish("stop").stall(),
        Reply::stream().text("8").finish("stop").usage(3, 2).stall(),
        Reply::stream().text("8").finish("stop").usage(3, 2).done().stall(),
        Reply::stream().text("8").done().stall(),
    ] {
        let server = Server::start(script(move |_| reply.clone()));
        let driver = driver(&server);
        let heard = tokio::time::timeout(Duration::from_secs(10), listen(&driver, question()));
        let turn = heard.await.expect("the idle bound is minutes away").turn.unwrap();
        assert_eq!(turn.text(), "8");
    }
    // Usage that comes a little later is still taken in.
    let gate = Gate::new();
    let behind = gate.clone();
    let server = Server::start(script(move |_| {
        Reply::stream().text("8").finish("stop").gate(&behind).usage(3, 2).done()
    }));
    let driver = driver(&server);
    let mut events = driver.call(question());
    loop {
        match events.next().await.unwrap().unwrap() {
            ModelEvent::Text(_) => gate.open(),
            ModelEvent::Finished(turn) => {
                assert_eq!((turn.usage.input(), turn.usage.output), (3, 2));
                break;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_retried_and_the_partial_text_is_void() {
    let flaky = behaviour::first(1, behaviour::dropped(), behaviour::only_talks("8"));
    let server = Server::start(flaky);
    let spec = BackendSpec { tries_max: 2, ..spec(&server.base_url()) };
    let heard = listen(&connect(&spec).unwrap(), question()).await;
    assert_eq!((heard.text.as_str(), heard.retries.len()), ("8", 1));
    assert_eq!(heard.retries[0].kind, FailureKind::Truncated);
    let requests = server.requests();
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    let server = Server::start(behaviour::stall_midway());
    let mut events = driver(&server).call(question());
    while !matches!(events.next().await.unwrap().unwrap(), ModelEvent::Text(_)) {}
    assert_eq!(server.stats().disconnects, 0);
    drop(events);
    assert_eq!(server.until(|stats| stats.disconnects == 1).await.answered, 0);
}

#[tokio::test]
async fn fifty_calls_run_side_by_side() {
    // No reply goes on before all have begun, so none can wait for another's.
    let gate = Gate::new();
    let behind = gate.clone();
    let server = Server::start(script(move |request| {
        let text = request.body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        Reply::stream().text(&text).gate(&behind).finish("stop").usage(1, 1).done()
    }));
    let driver = driver(&server);
    let calls = (0..50).map(|n| {
        let driver = driver.clone();
        async move {
            let question =
                massgen_protocol::Message::text(massgen_protocol::Role::User, n.to_string());
            listen(&driver, call(vec![question])).await.text == n.to_string()
        }
    });
    let all = async { join_all(calls).await.into_iter().all(|is_own| is_own) };
    let open = async {
        server.until(|stats| stats.requests == 50).await;
        gate.open_for_good();
    };
    assert!(tokio::join!(all, open).0);
}
