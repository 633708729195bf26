//! A server whose certificate nobody trusts, and the remedy that is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::binary::Place;

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../fixtures/tls", name].iter().collect()
}

/// Serves TLS and answers every request with 401. Ends with the test's process.
fn serve() -> u16 {
    let certificate = CertificateDer::from_pem_file(fixture("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let Ok(connection) = ServerConnection::new(config.clone()) else { continue };
            let mut stream = StreamOwned::new(connection, socket);
            // A client that refuses the certificate sends nothing, and is sent nothing.
            if stream.read(&mut [0; 16 * 1024]).is_ok() {
                let _ = stream.write_all(
                    b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                );
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

#[test]
fn a_wrong_certificate_is_told_with_its_remedy() {
    let url = format!("https://127.0.0.1:{}/v1", serve());
    let ask = ["--model", "m", "--base-url", &url, "why?"];
    let refused = Place::new().env("OPENAI_API_KEY", "k-for-this-test").run(&ask).expect(2);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    assert!(refused.stderr.contains("SSL_CERT_FILE"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    // The remedy works: the connection stands, and what is refused now is the key.
    let certificate = fixture("certificate.pem").display().to_string();
    let place = Place::new().env("OPENAI_API_KEY", "k-for-this-test");
    let trusted = place.env("SSL_CERT_FILE", &certificate).run(&ask).expect(2);
    assert!(!trusted.stderr.contains("certificate"), "{}", trusted.stderr);
    assert!(trusted.stderr.contains("401"), "{}", trusted.stderr);
}
