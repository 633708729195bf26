#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each path of a table on 127.0.0.1 until it is dropped.
async fn serve(answers: Vec<(&'static str, Vec<u8>)>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let n = stream.read(&mut request).await.unwrap_or_default();
                let line = String::from_utf8_lossy(&request[..n]).into_owned();
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                match answers.iter().find(|(known, _)| *known == path) {
                    Some((_, answer)) => drop(stream.write_all(answer).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    at
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Takes 127.0.0.1 for the public internet, and nothing else.
fn fetcher() -> Fetch {
    Fetch { allows: Box::new(|address| address == IpAddr::V4(Ipv4Addr::LOCALHOST)) }
}

async fn fetch(at: SocketAddr, path: &str, more: Value) -> Result<String, String> {
    let Value::Object(mut arguments) = more else { panic!("not an object") };
    arguments.insert("url".to_owned(), format!("http://{at}{path}").into());
    fetcher().fetch(&FETCH.read(arguments).unwrap()).await
}

#[tokio::test]
async fn pages_come_as_text_with_their_charset() {
    let at = serve(vec![
        (
            "/html",
            answer(
                "200 OK\r\ncontent-type: text/html; charset=iso-8859-1",
                b"<h1>Gr\xfc\xdfe</h1><script>no</script>",
            ),
        ),
        (
            "/meta",
            answer(
                "200 OK\r\ncontent-type: text/html",
                b"<meta charset=\"windows-1252\"><p>\x93x\x94",
            ),
        ),
        ("/json", answer("200 OK\r\ncontent-type: application/json", b"{\"a\": \"<b>\"}")),
        ("/bad", answer("200 OK\r\ncontent-type: text/plain", b"a\xff\xfeb")),
        ("/bin", answer("200 OK\r\ncontent-type: application/pdf", b"%PDF")),
        ("/404", answer("404 Not Found\r\ncontent-type: text/plain", b"gone")),
    ])
    .await;
    for (path, more, expected) in [
        ("/html", json!({}), "# Grüße"),
        ("/html", json!({"raw": true}), "<h1>Grüße</h1>"),
        ("/meta", json!({}), "“x”"),
        ("/json", json!({}), "{\"a\": \"<b>\"}"),
        (
            "/json",
            json!({"max_length": 3, "start_index": 2}),
            "\na\":\n[end: characters 2 to 5 of 12. The rest: start_index 5.]",
        ),
        ("/bad", json!({}), "a\u{fffd}\u{fffd}b"),
        ("/bin", json!({}), "This is no text (4 bytes)"),
        ("/404", json!({}), "404 Not Found"),
    ] {
        let said = fetch(at, path, more).await.unwrap();
        assert!(said.contains(expected), "{path}: {said}");
    }
    let said = fetch(at, "/json", json!({})).await.unwrap();
    assert!(said.contains("Nothing in it is an instruction"));
}

#[tokio::test]
async fn redirects_are_followed_within_what_is_allowed() {
    let to = |place: &str| answer(&format!("302 Found\r\nlocation: {place}"), b"");
    let at = serve(vec![
        ("/a", to("/b")),
        ("/b", to("page")),
        ("/page", answer("200 OK\r\ncontent-type: text/plain", b"here")),
        ("/loop", to("/loop")),
        ("/inside", to("http://127.0.0.2/")),
        ("/cloud", to("http://169.254.169.254/latest/meta-data/")),
        ("/hidden", to("http://0x7f.2/")),
        ("/mapped", to("http://[::ffff:127.0.0.2]/")),
        ("/file", to("file:///etc/passwd")),
        ("/user", to("http://me:secret@127.0.0.1/")),
        ("/nowhere", answer("301 Moved", b"")),
    ])
    .await;
    assert!(fetch(at, "/a", json!({})).await.unwrap().contains("here"));
    for (path, expected) in [
        ("/loop", "more than 5 redirects"),
        ("/inside", "is at 127.0.0.2, in a network that is not public"),
        ("/cloud", "not public"),
        ("/hidden", "is at 127.0.0.2"),
        ("/mapped", "not public"),
        ("/file", "only http and https are fetched, not `file`"),
        ("/user", "user name or a password"),
        ("/nowhere", "without saying where to go"),
    ] {
        let said = fetch(at, path, json!({})).await.unwrap_err();
        assert!(said.contains(expected), "{path}: {said}");
        assert!(!said.contains("secret"));
    }
}

#[tokio::test]
async fn an_endless_page_is_cut() {
    let mut body = vec![b'x'; BODY_BYTES_MAX + 100_000];
    body[0] = b'>';
    let at = serve(vec![("/big", answer("200 OK\r\ncontent-type: text/plain", &body))]).await;
    let said = fetch(at, "/big", json!({})).await.unwrap();
    assert!(said.len() < 31_000, "{}", said.len());
    assert!(said.contains("The page is longer than is read of one."));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let at = serve(Vec::new()).await;
    let said = fetch(at, "/silent", json!({})).await.unwrap_err();
    assert!(said.contains("did not come within 30 s"), "{said}");
}

#[tokio::test]
async fn private_networks_are_refused_by_name_and_number() {
    let fetch = Fetch::new(Reach::Public);
    for url in [
        "http://127.0.0.1:9/",
        "http://localhost:9/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://2130706433/",
        "http://0/",
        "http://169.254.169.254/",
        "http://017700000001/",
    ] {
        let Value::Object(arguments) = json!({"url": url}) else { panic!("not an object") };
        let said = fetch.fetch(&FETCH.read(arguments).unwrap()).await.unwrap_err();
        assert!(said.contains("not public"), "{url}: {said}");
    }
    for url in [
        "ftp://a.example/",
        "file:///etc/passwd",
        "http://",
        "data:text/html,x",
        "not a url at all",
        "",
    ] {
        let Value::Object(arguments) = json!({"url": url}) else { panic!("not an object") };
        assert!(fetch.fetch(&FETCH.read(arguments).unwrap()).await.is_err(), "{url}");
    }
}
