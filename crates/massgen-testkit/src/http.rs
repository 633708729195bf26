//! As much of HTTP/1.1 as clients of model servers use: requests with a length
//! or in chunks, responses in chunks, connections kept open.

use std::io;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::Request;

/// More than any client's headers.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// More than any conversation in a test or benchmark.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Reads requests off one connection.
pub(crate) struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Reader {
    pub(crate) fn new(half: OwnedReadHalf) -> Reader {
        Reader { half, buffer: BytesMut::with_capacity(8 * 1024) }
    }

    /// Returns the next request, or `None` where the client closed the connection.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Request>> {
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(malformed("headers too long"));
            }
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(malformed("headers cut off"))
                };
            }
        };
        let head = self.buffer.split_to(head_end + 4);
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.split("\r\n");
        let mut request_line = lines.next().unwrap_or_default().split(' ');
        let method = request_line.next().unwrap_or_default().to_owned();
        let path = request_line.next().unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let value_of =
            |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let body = if value_of("transfer-encoding").is_some_and(|value| value == "chunked") {
            self.chunked_body().await?
        } else {
            let length = value_of("content-length").map_or(Ok(0), |value| value.parse());
            self.exactly(length.map_err(|_| malformed("content-length"))?).await?
        };
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Some(Request::new(method, path, headers, body)))
    }

    /// Waits until the client has closed the connection. A client that sends
    /// its next request before it has the answer is not noticed leaving.
    pub(crate) async fn closed(&mut self) {
        let mut byte = [0];
        match self.half.peek(&mut byte).await {
            Ok(0) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }

    async fn exactly(&mut self, n: usize) -> io::Result<Bytes> {
        if n > BODY_BYTES_MAX {
            return Err(malformed("body too long"));
        }
        while self.buffer.len() < n {
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Err(malformed("body cut off"));
            }
        }
        Ok(self.buffer.split_to(n).freeze())
    }

    async fn chunked_body(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line_end = loop {
                if let Some(at) = find(&self.buffer, b"\r\n") {
                    break at;
                }
                if self.half.read_buf(&mut self.buffer).await? == 0 {
                    return Err(malformed("body cut off"));
                }
            };
            let line = self.buffer.split_to(line_end + 2);
            let text = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(text.trim(), 16).map_err(|_| malformed("chunk"))?;
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(body.freeze());
            }
            body.extend_from_slice(&chunk[..size]);
            if body.len() > BODY_BYTES_MAX {
                return Err(malformed("body too long"));
            }
        }
    }
}

/// Writes one response's head; the body follows in chunks.
pub(crate) async fn write_head(
    half: &mut OwnedWriteHalf,
    status: u16,
    headers: &[(String, String)],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("transfer-encoding: chunked\r\n\r\n");
    half.write_all(head.as_bytes()).await
}

/// Writes one piece as a chunk of its own, so that a client's reads can be told apart.
pub(crate) async fn write_chunk(half: &mut OwnedWriteHalf, bytes: &Bytes) -> io::Result<()> {
    if bytes.is_empty() {
        // An empty chunk would end the body.
        return Ok(());
    }
    let mut framed = BytesMut::with_capacity(bytes.len() + 16);
    framed.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    half.write_all(&framed).await
}

pub(crate) async fn write_end(half: &mut OwnedWriteHalf) -> io::Result<()> {
    half.write_all(b"0\r\n\r\n").await
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        402 => "Payment Required",
        403 => "Forbidden",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
