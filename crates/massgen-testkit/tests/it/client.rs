//! A client that shows bytes as they are.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use massgen_testkit::Server;
use serde_json::Value;

pub struct Client(BufReader<TcpStream>);

pub struct Answer {
    pub status: u16,
    pub head: String,
    /// The pieces of the body as they were framed.
    pub chunks: Vec<Vec<u8>>,
    pub complete: bool,
}

impl Answer {
    pub fn body(&self) -> String {
        String::from_utf8(self.chunks.concat()).unwrap()
    }
}

impl Client {
    pub fn new(server: &Server) -> Client {
        Client(BufReader::new(TcpStream::connect(server.address()).unwrap()))
    }

    /// Asks for a stream of Chat Completions.
    pub fn send(&mut self, body: &Value) {
        let mut body = body.clone();
        body["stream"] = true.into();
        self.send_to("/v1/chat/completions", &body);
    }

    pub fn send_to(&mut self, path: &str, body: &Value) {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nX-Key: Abc\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.0.get_mut().write_all(head.as_bytes()).unwrap();
        self.0.get_mut().write_all(body.as_bytes()).unwrap();
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Reads one answer; `None` where the connection was closed instead.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).unwrap_or(0) == 0 {
                return None;
            }
        }
        let status = head[9..12].parse().unwrap();
        let mut chunks = Vec::new();
        loop {
            let mut size = String::new();
            if self.0.read_line(&mut size).unwrap_or(0) == 0 {
                return Some(Answer { status, head, chunks, complete: false });
            }
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.0.read_exact(&mut chunk).unwrap();
            chunk.truncate(size);
            if size == 0 {
                return Some(Answer { status, head, chunks, complete: true });
            }
            chunks.push(chunk);
        }
    }

    pub fn ask(&mut self, body: &Value) -> Answer {
        self.send(body);
        self.answer().unwrap()
    }

    pub fn ask_at(&mut self, path: &str, body: &Value) -> Answer {
        self.send_to(path, body);
        self.answer().unwrap()
    }
}
