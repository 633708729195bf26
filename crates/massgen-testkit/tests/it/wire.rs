use std::time::Duration;

use massgen_testkit::{Cut, Gate, Reply, Server, behaviour, script};
use serde_json::json;

use crate::client::Client;

#[test]
fn one_connection_carries_many_requests_and_all_are_recorded() {
    let server = Server::start(behaviour::only_talks("hello"));
    let mut client = Client::new(&server);
    for n in 0..3 {
        let answer = client.ask(&json!({"model": "m", "n": n}));
        assert!(answer.complete && answer.body().contains("\"content\":\"hello\""));
        assert!(answer.body().ends_with("data: [DONE]\n\n"));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!((requests[2].n, requests[2].body["n"].as_u64()), (2, Some(2)));
    assert_eq!(requests[0].header("x-key"), Some("Abc"));
    // A reply is counted when its last byte is out; the client may have read it before.
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while server.stats().answered < 3 && std::time::Instant::now() < patience {
        std::thread::yield_now();
    }
    let stats = server.stats();
    assert_eq!((stats.connections, stats.requests, stats.answered), (1, 3, 3));
    assert!(stats.first_request.is_some());
}

#[test]
fn a_reply_can_be_taken_apart_without_changing_its_bytes() {
    let reply = Reply::stream().text("ab").finish("stop").done();
    let whole = reply.body();
    let bytes = whole.clone();
    let server = Server::start(script(move |request| match request.model() {
        "bytes" => Reply::sse(bytes.clone()).byte_by_byte(),
        "split" => Reply::sse(bytes.clone()).split_at(7),
        "cut" => Reply::sse(bytes.clone()).cut_at(7, Cut::Clean),
        _ => Reply::sse(bytes.clone()).cut_at(7, Cut::Dropped),
    }));
    let ask = |model: &str| Client::new(&server).ask(&json!({ "model": model }));

    let answer = ask("bytes");
    assert_eq!((answer.chunks.len(), answer.body().as_bytes()), (whole.len(), &whole[..]));
    let answer = ask("split");
    assert_eq!((answer.chunks[0].len(), answer.body().as_bytes()), (7, &whole[..]));
    let answer = ask("cut");
    assert!(answer.complete && answer.body().as_bytes() == &whole[..7]);
    let answer = ask("dropped");
    assert!(!answer.complete && answer.body().as_bytes() == &whole[..7]);
}

#[test]
fn a_gate_holds_the_rest_of_a_reply_back() {
    let gate = Gate::new();
    let behind = gate.clone();
    let server = Server::start(script(move |_| Reply::stream().gate(&behind).text("late").done()));
    let mut client = Client::new(&server);
    client.send(&json!({}));
    // The request is there and its answer is not: only the gate can let it out.
    while server.stats().requests == 0 {
        std::thread::yield_now();
    }
    assert_eq!(server.stats().answered, 0);
    gate.open();
    assert!(client.answer().unwrap().complete);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let server = Server::start(behaviour::stall_midway());
    let mut client = Client::new(&server);
    client.send(&json!({}));
    server.until(|stats| stats.requests == 1).await;
    drop(client);
    let stats = server.until(|stats| stats.disconnects == 1).await;
    assert_eq!((stats.answered, stats.disconnects), (0, 1));
}

#[test]
fn what_is_no_request_ends_its_connection_only() {
    let server = Server::start(behaviour::only_talks("hello"));
    for garbage in [
        &b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: ten\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n",
    ] {
        let mut client = Client::new(&server);
        client.send_raw(garbage);
        assert!(client.answer().is_none());
    }
    let mut client = Client::new(&server);
    client.send_raw(b"GET /nothing HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 404);
    client.send_raw(b"GET /v1/models HTTP/1.1\r\n\r\n");
    assert!(client.answer().unwrap().body().contains("\"loopback\""));
    client.send_raw(
        b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
          2\r\n{}\r\n0\r\n\r\n",
    );
    assert!(client.answer().unwrap().complete);
}

#[test]
fn faults_have_their_status_and_headers() {
    let ask = |script| {
        let server = Server::start(script);
        Client::new(&server).ask(&json!({}))
    };
    let answer = ask(behaviour::rate_limited(7));
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 7\r\n"));
    assert_eq!(ask(behaviour::fails(503)).status, 503);
    let script = behaviour::delayed(Duration::from_millis(1), behaviour::fails(400));
    assert_eq!(ask(script).status, 400);
    let server = Server::start(script_refusing());
    let mut client = Client::new(&server);
    client.send(&json!({}));
    assert!(client.answer().is_none());
}

fn script_refusing() -> massgen_testkit::Script {
    script(|_| Reply::refused())
}

#[test]
fn hundreds_of_clients_are_served_at_once() {
    // Each holds its connection until all have one, so none can wait for another's.
    const CLIENTS: usize = 300;
    let gate = Gate::new();
    let behind = gate.clone();
    let server = Server::start(script(move |_| Reply::stream().gate(&behind).text("4").done()));
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(&server)).collect();
    for client in &mut clients {
        client.send(&json!({}));
    }
    while server.stats().requests < CLIENTS {
        std::thread::yield_now();
    }
    gate.open_for_good();
    assert!(clients.iter_mut().all(|client| client.answer().unwrap().complete));
    assert_eq!(server.stats().connections, CLIENTS);
}
