//! Servers behind an address.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use massgen_protocol::ToolReport;
use massgen_tools::Reports;
use massgen_tools::mcp::Outcome;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::bench::{Bench, behind, echo, inner, invocation, until};

/// What came in: the method, the headers in lower case, the body.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn asks(&self, method: &str) -> bool {
        self.body["method"] == method
    }
}

enum Reply {
    /// Status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// Events, sent as they come; the connection closes with their sender.
    Stream(mpsc::UnboundedReceiver<Value>),
    /// Nothing, until the client leaves.
    Mute,
}

impl Reply {
    fn json(body: Value) -> Reply {
        Reply::Whole(200, vec![("content-type", "application/json".to_owned())], body.to_string())
    }

    fn status(status: u16) -> Reply {
        Reply::Whole(status, vec![("content-type", "text/plain".to_owned())], "no".to_owned())
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A web server on loopback. Ends with the test's runtime.
struct Web {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Web {
    async fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, answer) = (seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer: Arc<Answer> = answer.clone();
                tokio::spawn(serve(stream, all.clone(), answer));
            }
        });
        Web { url, seen }
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Request>>>,
    answer: Arc<Answer>,
) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let method = lines.next()?.split(' ').next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut request = Request { method, headers, body: Value::Null };
    let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    request.body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default();
    seen.lock().unwrap().push(request.clone());
    match answer(&request) {
        Reply::Whole(status, headers, body) => {
            let mut reply = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
            for (name, value) in headers {
                reply.push_str(&format!("{name}: {value}\r\n"));
            }
            reply.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
            stream.write_all(reply.as_bytes()).await.ok()?;
        }
        Reply::Stream(mut events) => {
            let head =
                "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            let mut rest = [0; 64];
            loop {
                let event = tokio::select! {
                    event = events.recv() => event?,
                    _ = stream.read(&mut rest) => return None,
                };
                stream.write_all(format!("data: {event}\n\n").as_bytes()).await.ok()?;
            }
        }
        Reply::Mute => {
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.ok()? > 0 {}
        }
    }
    Some(())
}

fn result(request: &Request, result: Value) -> Reply {
    Reply::json(json!({ "jsonrpc": "2.0", "id": request.body["id"], "result": result }))
}

/// Answers as a server of 2025-11-25 with one tool, except for what `special` answers.
fn old(special: impl Fn(&Request) -> Option<Reply> + Send + Sync) -> impl Fn(&Request) -> Reply {
    move |request| {
        if let Some(reply) = special(request) {
            return reply;
        }
        if request.method != "POST" {
            return Reply::status(405);
        }
        match request.body["method"].as_str().unwrap_or_default() {
            "initialize" => result(
                request,
                json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                    "serverInfo": { "name": "web", "version": "1" } }),
            ),
            "tools/list" => result(
                request,
                json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
            ),
            "tools/call" => {
                let text = request.body["params"]["arguments"]["text"].clone();
                result(request, json!({ "content": [{ "type": "text", "text": text }] }))
            }
            method if method.starts_with("notifications/") => Reply::status(202),
            _ => Reply::json(json!({ "jsonrpc": "2.0", "id": request.body["id"],
                "error": { "code": -32601, "message": "unknown method" } })),
        }
    }
}

async fn bench(web: &Web, headers: &[(&str, &str)]) -> Bench {
    Bench::new(|_| vec![behind("s", &web.url, headers)]).await
}

#[tokio::test]
async fn a_server_behind_an_address_gets_its_headers_with_every_request() {
    let web = Web::new(old(|_| None)).await;
    let bench = bench(&web, &[("Authorization", "Bearer k-123456"), ("X-Team", "a")]).await;
    assert_eq!(bench.missing(), Vec::<String>::new());
    assert_eq!(inner(&bench.call("echo", echo("far")).await), "far");
    let seen = web.seen();
    assert!(seen.len() >= 4, "{seen:?}");
    for request in &seen {
        assert_eq!(request.header("authorization"), Some("Bearer k-123456"), "{request:?}");
        assert_eq!(request.header("x-team"), Some("a"), "{request:?}");
    }
    let call = seen.iter().find(|request| request.asks("tools/call")).unwrap();
    assert_eq!(call.header("mcp-protocol-version"), Some("2025-11-25"));
}

#[tokio::test]
async fn the_newest_version_is_spoken_over_http_too() {
    let web = Web::new(|request: &Request| match request.body["method"].as_str() {
        Some("server/discover") => result(
            request,
            json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0,
                "cacheScope": "private", "capabilities": { "tools": {} } }),
        ),
        Some("tools/list") => result(
            request,
            json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": [{
                "name": "echo", "inputSchema": { "type": "object", "properties": {
                    "text": { "type": "string", "x-mcp-header": "Text" } } } }] }),
        ),
        Some("tools/call") => result(
            request,
            json!({ "resultType": "complete", "content": [{ "type": "text", "text": "new" }] }),
        ),
        _ => Reply::status(404),
    })
    .await;
    let bench = bench(&web, &[]).await;
    assert!(matches!(&bench.servers.started()[0].outcome,
        Outcome::There { version, .. } if version == "2026-07-28"));
    assert_eq!(inner(&bench.call("echo", echo("x")).await), "new");
    let seen = web.seen();
    let call = seen.iter().find(|request| request.asks("tools/call")).unwrap();
    assert_eq!(call.header("mcp-method"), Some("tools/call"));
    assert_eq!(call.header("mcp-name"), Some("echo"));
    assert_eq!(call.header("mcp-param-text"), Some("x"));
    assert!(call.header("mcp-session-id").is_none());
}

#[tokio::test]
async fn refusals_are_told_apart_and_name_no_key() {
    let challenge = ("www-authenticate", "Bearer realm=\"x\"".to_owned());
    let html = || {
        let body = "<html>Sign in</html>".to_owned();
        Reply::Whole(200, vec![("content-type", "text/html".to_owned())], body)
    };
    let elsewhere = || {
        let to = ("location", "http://127.0.0.1:1/elsewhere".to_owned());
        Reply::Whole(302, vec![to], String::new())
    };
    let cases: [(&str, Arc<Answer>); 8] = [
        ("asks for a key (HTTP 401)", {
            let challenge = challenge.clone();
            Arc::new(move |_| Reply::Whole(401, vec![challenge.clone()], String::new()))
        }),
        ("HTTP 401", Arc::new(|_| Reply::status(401))),
        ("refuses this key (HTTP 403)", {
            Arc::new(move |_| Reply::Whole(403, vec![challenge.clone()], String::new()))
        }),
        ("HTTP 404", Arc::new(|_| Reply::status(404))),
        ("HTTP 500", Arc::new(|_| Reply::status(500))),
        ("HTTP 429", Arc::new(|_| Reply::status(429))),
        ("content type", Arc::new(move |_| html())),
        ("HTTP 302", Arc::new(move |_| elsewhere())),
    ];
    for (expected, answer) in cases {
        let web = Web::new(move |request: &Request| answer(request)).await;
        let mut server = behind("s", &format!("{}?token=tok-987654", web.url), &[]);
        if let massgen_protocol::McpTransport::Http { headers, .. } = &mut server.transport {
            let key = massgen_protocol::HeaderText::Plain { value: "Bearer k-123456".to_owned() };
            headers.insert("Authorization".to_owned(), key);
        }
        let begun = Instant::now();
        let bench = Bench::new(|_| vec![server]).await;
        let missing = bench.missing().join("\n");
        assert!(missing.to_lowercase().contains(&expected.to_lowercase()), "{expected}: {missing}");
        for secret in ["k-123456", "tok-987654"] {
            assert!(!missing.contains(secret), "{missing}");
        }
        assert!(begun.elapsed() < Duration::from_secs(8), "{expected}: {:?}", begun.elapsed());
        assert!(bench.names().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_missing_in_time() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/mcp?key=abcdefgh", free.local_addr().unwrap());
    drop(free);
    let mute = Web::new(|_| Reply::Mute).await;
    // Found once, and not what is timed here.
    super::bench::sandbox();
    let begun = Instant::now();
    let bench = Bench::new(|_| {
        let mut mute = behind("mute", &mute.url, &[]);
        mute.connect_ms = 1_000;
        vec![behind("nobody", &nobody, &[]), mute, behind("odd", "ftp://x", &[])]
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", bench.servers.started());
    let missing = bench.missing();
    assert!(missing[0].contains("it cannot be reached: "), "{missing:?}");
    assert!(!missing[0].contains("abcdefgh"), "{missing:?}");
    assert!(missing[1].contains("it did not answer within 1 s"), "{missing:?}");
    assert!(missing[2].contains("has to begin with http"), "{missing:?}");
}

#[tokio::test]
async fn calls_that_fail_on_the_way_are_errors_and_many_of_them_leave_the_server_alone() {
    let web = Web::new(old(|request| request.asks("tools/call").then(|| Reply::status(503)))).await;
    let bench = bench(&web, &[]).await;
    for _ in 0..5 {
        let output = bench.call("echo", echo("x")).await;
        assert!(output.is_error && output.text.contains("HTTP 503"), "{}", output.text);
    }
    let output = bench.call("echo", echo("x")).await;
    assert!(output.text.contains("it is tried again in"), "{}", output.text);
    let calls = web.seen().iter().filter(|request| request.asks("tools/call")).count();
    assert_eq!(calls, 5);
}

#[tokio::test]
async fn a_session_that_is_lost_is_begun_again() {
    let lost = Arc::new(Mutex::new(None::<String>));
    let session = Arc::new(Mutex::new(0));
    let (is_lost, number) = (lost.clone(), session.clone());
    let web = Web::new(old(move |request| {
        if request.asks("initialize") {
            *number.lock().unwrap() += 1;
            let id = format!("session-{}", number.lock().unwrap());
            let Reply::Whole(status, mut headers, body) = old(|_| None)(request) else {
                return None;
            };
            headers.push(("mcp-session-id", id));
            return Some(Reply::Whole(status, headers, body));
        }
        let is_lost = is_lost.lock().unwrap();
        (is_lost.is_some() && request.header("mcp-session-id") == is_lost.as_deref())
            .then(|| Reply::status(404))
    }))
    .await;
    let bench = bench(&web, &[]).await;
    assert_eq!(inner(&bench.call("echo", echo("one")).await), "one");
    *lost.lock().unwrap() = Some("session-1".to_owned());
    assert_eq!(inner(&bench.call("echo", echo("two")).await), "two");
    assert_eq!(*session.lock().unwrap(), 2);
}

#[tokio::test]
async fn progress_comes_over_a_stream_and_a_dropped_call_is_called_off() {
    let senders = Arc::new(Mutex::new(Vec::new()));
    let kept = senders.clone();
    let web = Web::new(old(move |request| {
        if !request.asks("tools/call") {
            return None;
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        kept.lock().unwrap().push((request.body.clone(), sender));
        Some(Reply::Stream(receiver))
    }))
    .await;
    let bench = bench(&web, &[]).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let reports = Reports::new(move |report| ear.lock().unwrap().push(report));
    let call = invocation("mcp__s__echo", echo("x"), reports.clone());
    let call = tokio::spawn(bench.source().call(call));
    until("the call", || senders.lock().unwrap().len() == 1).await;
    let (body, sender) = senders.lock().unwrap()[0].clone();
    let token = &body["params"]["_meta"]["progressToken"];
    sender
        .send(json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": token, "progress": 1, "message": "half" } }))
        .unwrap();
    let half = ToolReport::Output { text: "1 half\n".to_owned() };
    until("the progress", || heard.lock().unwrap().contains(&half)).await;
    sender
        .send(json!({ "jsonrpc": "2.0", "id": body["id"],
            "result": { "content": [{ "type": "text", "text": "done" }] } }))
        .unwrap();
    assert_eq!(inner(&call.await.unwrap()), "done");

    let call = tokio::spawn(bench.source().call(invocation("mcp__s__echo", echo("y"), reports)));
    until("the other call", || senders.lock().unwrap().len() == 2).await;
    let id = senders.lock().unwrap()[1].0["id"].clone();
    call.abort();
    until("the server to be told", || {
        web.seen().iter().any(|request| {
            request.asks("notifications/cancelled") && request.body["params"]["requestId"] == id
        })
    })
    .await;
}
