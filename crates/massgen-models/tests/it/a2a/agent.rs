//! A remote agent on loopback that says what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// Nothing in a test takes as long unless it hangs.
const WAIT: Duration = Duration::from_secs(30);

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The method of JSON-RPC, or the path of plain HTTP.
    pub fn operation(&self) -> String {
        match self.body["method"].as_str() {
            Some(method) => method.to_owned(),
            None => format!("{} {}", self.method, self.path),
        }
    }

    pub fn message(&self) -> &Value {
        match self.body.get("params") {
            Some(params) => &params["message"],
            None => &self.body["message"],
        }
    }

    pub fn text(&self) -> String {
        let parts = self.message()["parts"].as_array().cloned().unwrap_or_default();
        parts.iter().filter_map(|part| part["text"].as_str()).collect()
    }
}

pub struct Answer {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// After the body.
    then: Then,
}

enum Then {
    End,
    /// Says nothing more until the client leaves.
    Hang,
    /// Sends this again and again until the client leaves.
    Repeat(Vec<u8>),
}

impl Answer {
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, content_type, headers: Vec::new(), body: body.into(), then: Then::End }
    }

    pub fn json(body: &Value) -> Answer {
        Answer::new(200, "application/json", body.to_string())
    }

    /// An answer in JSON-RPC.
    pub fn result(result: &Value) -> Answer {
        Answer::json(&json!({"jsonrpc": "2.0", "id": "1", "result": result}))
    }

    pub fn error(code: i64, message: &str) -> Answer {
        let error = json!({"code": code, "message": message});
        Answer::json(&json!({"jsonrpc": "2.0", "id": "1", "error": error}))
    }

    /// A stream of these results in JSON-RPC.
    pub fn stream(results: &[Value]) -> Answer {
        let frames = results.iter().map(|result| {
            format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": "1", "result": result}))
        });
        Answer::new(200, "text/event-stream", frames.collect::<String>())
    }

    /// A stream of these payloads in plain HTTP.
    pub fn plain_stream(payloads: &[Value]) -> Answer {
        let frames = payloads.iter().map(|payload| format!("data: {payload}\n\n"));
        Answer::new(200, "text/event-stream", frames.collect::<String>())
    }

    pub fn not_found() -> Answer {
        Answer::new(404, "text/plain", "no such path")
    }

    pub fn redirect(to: &str) -> Answer {
        let mut answer = Answer::new(307, "text/plain", "");
        answer.headers.push(("location", to.to_owned()));
        answer
    }

    pub fn hanging(mut self) -> Answer {
        self.then = Then::Hang;
        self
    }

    pub fn endless(mut self, piece: &str) -> Answer {
        self.then = Then::Repeat(piece.as_bytes().to_vec());
        self
    }
}

type Script = dyn Fn(&Asked, usize) -> Answer + Send + Sync;

pub struct Agent {
    address: SocketAddr,
    asked: Arc<(Mutex<Vec<Asked>>, Condvar)>,
}

impl Agent {
    /// Starts an agent on this loopback address; `script` gets each request and how many of the
    /// same operation came before it.
    pub fn start_at(
        host: &str,
        script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Agent {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let script: Arc<Script> = Arc::new(script);
        std::thread::spawn({
            let asked = asked.clone();
            // Lives as long as the test's process; nothing waits for it.
            move || {
                for stream in listener.incoming().flatten() {
                    let (asked, script) = (asked.clone(), script.clone());
                    std::thread::spawn(move || serve(stream, &asked, script.as_ref()));
                }
            }
        });
        Agent { address, asked }
    }

    pub fn start(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Agent {
        Agent::start_at("127.0.0.1", script)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.0.lock().unwrap().clone()
    }

    pub fn operations(&self) -> Vec<String> {
        self.asked().iter().map(Asked::operation).collect()
    }

    /// Returns the messages sent, in order.
    pub fn messages(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.message().is_object()).collect()
    }

    /// Waits until something of this operation was asked, beside whatever else is to be done.
    pub async fn until(&self, operation: &'static str) {
        let asked = self.asked.clone();
        let waited = tokio::task::spawn_blocking(move || {
            let (asked, changed) = &*asked;
            let is_missing =
                |asked: &mut Vec<Asked>| !asked.iter().any(|asked| asked.operation() == operation);
            let asked = asked.lock().unwrap();
            changed.wait_timeout_while(asked, WAIT, is_missing).unwrap().1.timed_out()
        });
        assert!(!waited.await.unwrap(), "`{operation}` never came");
    }
}

fn serve(
    mut stream: TcpStream,
    record: &(Mutex<Vec<Asked>>, Condvar),
    script: &Script,
) -> Option<()> {
    let asked = read(&stream)?;
    let n_before = {
        let mut all = record.0.lock().unwrap();
        let n = all.iter().filter(|before| before.operation() == asked.operation()).count();
        all.push(asked.clone());
        record.1.notify_all();
        n
    };
    let answer = script(&asked, n_before);
    let mut head = format!(
        "HTTP/1.1 {} x\r\ncontent-type: {}\r\nconnection: close\r\n",
        answer.status, answer.content_type
    );
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    stream.write_all(&answer.body).ok()?;
    match answer.then {
        Then::End => {}
        Then::Hang => drop(stream.read(&mut [0; 16])),
        Then::Repeat(piece) => while stream.write_all(&piece).is_ok() {},
    }
    Some(())
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, path, headers, body: Value::Null };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = serde_json::from_slice(&body).unwrap_or_default();
    Some(asked)
}

/// A card of version 1 with these interfaces: binding, version, URL.
pub fn card(streaming: bool, interfaces: &[(&str, &str, &str)]) -> Value {
    let interfaces: Vec<Value> = interfaces
        .iter()
        .map(|(binding, version, url)| {
            json!({"protocolBinding": binding, "protocolVersion": version, "url": url})
        })
        .collect();
    json!({"name": "loopback", "supportedInterfaces": interfaces,
        "capabilities": {"streaming": streaming}})
}

/// A card of version 1 with JSON-RPC at `/rpc`.
pub fn rpc_card(streaming: bool) -> Value {
    card(streaming, &[("JSONRPC", "1.0", "/rpc")])
}

pub fn status(context: &str, state: &str) -> Value {
    json!({"statusUpdate": {"taskId": "t-1", "contextId": context,
        "status": {"state": format!("TASK_STATE_{state}")}}})
}

pub fn task(context: &str, state: &str, text: &str) -> Value {
    let mut task = json!({"id": "t-1", "contextId": context,
        "status": {"state": format!("TASK_STATE_{state}")}});
    if !text.is_empty() {
        task["artifacts"] = json!([{"artifactId": "a-1", "parts": [{"text": text}]}]);
    }
    task
}

/// The stream of a task that says this and is done.
pub fn told(context: &str, text: &str) -> Answer {
    Answer::stream(&[
        json!({"task": task(context, "WORKING", "")}),
        json!({"artifactUpdate": {"taskId": "t-1", "contextId": context,
            "artifact": {"artifactId": "a-1", "parts": [{"text": text}]}}}),
        status(context, "COMPLETED"),
    ])
}
