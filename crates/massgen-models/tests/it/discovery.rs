use massgen_models::{LocalServer, Ports, local_servers_at};
use massgen_testkit::{Server, behaviour};

/// A port on which nothing listens.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn servers_are_found_and_what_only_listens_is_not() {
    let server = Server::start(behaviour::stall());
    // Accepts connections and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let page = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let page_port = page.local_addr().unwrap().port();
    let page = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = page.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    });
    let ports = Ports {
        ollama: server.address().port(),
        lmstudio: mute.local_addr().unwrap().port(),
        vllm: page_port,
        llamacpp: free_port(),
        sglang: server.address().port(),
    };
    let started = std::time::Instant::now();
    let found = local_servers_at(ports).await;
    assert!(started.elapsed() < std::time::Duration::from_secs(3));
    let expected = |kind| LocalServer {
        kind,
        base_url: server.base_url(),
        models: vec!["loopback".to_owned()],
    };
    assert_eq!(found, [expected("ollama"), expected("sglang")]);
    page.join().unwrap();
}
