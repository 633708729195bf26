//! Operations → HTTP requests, in either binding and either version.

use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use super::card::{Binding, Interface, Version};
use super::message::Outgoing;

/// What is asked of an agent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation<'o> {
    /// Sends a message and hears of its task as it goes.
    Stream(&'o Outgoing),
    /// Sends a message; its task is then asked for with `Get`.
    Send(&'o Outgoing),
    Get(&'o str),
    Subscribe(&'o str),
    Cancel(&'o str),
}

/// A request, but for its headers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Value>,
    pub(super) accept: &'static str,
    pub(super) content_type: &'static str,
    pub(super) version: &'static str,
}

const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";
/// The media type of version 1 in the binding that is plain HTTP.
const A2A_JSON: &str = "application/a2a+json";

/// Returns the request. `id` is unique to it; `metadata` is the user's own.
pub(super) fn prepare(
    interface: &Interface,
    operation: Operation<'_>,
    id: &str,
    metadata: &Map<String, Value>,
) -> Prepared {
    let version = interface.version;
    let params = params(interface, operation, id, metadata);
    let accept = match operation {
        Operation::Stream(_) | Operation::Subscribe(_) => EVENTS,
        Operation::Send(_) | Operation::Get(_) | Operation::Cancel(_) => JSON,
    };
    let number = match version {
        Version::V1 => "1.0",
        Version::V03 => "0.3",
    };
    match interface.binding {
        Binding::JsonRpc => {
            let method = rpc_method(version, operation);
            let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            Prepared {
                method: Method::POST,
                url: interface.url.clone(),
                body: Some(body),
                accept,
                content_type: JSON,
                version: number,
            }
        }
        Binding::HttpJson => {
            let (method, body) = match operation {
                Operation::Stream(_) | Operation::Send(_) => (Method::POST, Some(params)),
                Operation::Cancel(_) => (Method::POST, Some(json!({}))),
                Operation::Get(_) | Operation::Subscribe(_) => (Method::GET, None),
            };
            Prepared {
                method,
                url: path(interface, operation),
                body,
                accept,
                content_type: match version {
                    Version::V1 => A2A_JSON,
                    Version::V03 => JSON,
                },
                version: number,
            }
        }
    }
}

fn rpc_method(version: Version, operation: Operation<'_>) -> &'static str {
    match (version, operation) {
        (Version::V1, Operation::Stream(_)) => "SendStreamingMessage",
        (Version::V1, Operation::Send(_)) => "SendMessage",
        (Version::V1, Operation::Get(_)) => "GetTask",
        (Version::V1, Operation::Subscribe(_)) => "SubscribeToTask",
        (Version::V1, Operation::Cancel(_)) => "CancelTask",
        (Version::V03, Operation::Stream(_)) => "message/stream",
        (Version::V03, Operation::Send(_)) => "message/send",
        (Version::V03, Operation::Get(_)) => "tasks/get",
        (Version::V03, Operation::Subscribe(_)) => "tasks/resubscribe",
        (Version::V03, Operation::Cancel(_)) => "tasks/cancel",
    }
}

fn params(
    interface: &Interface,
    operation: Operation<'_>,
    id: &str,
    metadata: &Map<String, Value>,
) -> Value {
    let mut params = match operation {
        Operation::Stream(outgoing) | Operation::Send(outgoing) => {
            let mut message = outgoing.message(interface.version, id);
            if (interface.binding, interface.version) == (Binding::HttpJson, Version::V03) {
                as_proto_03(&mut message);
            }
            let mut params = json!({"message": message});
            if matches!(operation, Operation::Send(_)) {
                // A call that is silent until all is done cannot be told from a dead one.
                params["configuration"] = match interface.version {
                    Version::V1 => json!({"returnImmediately": true}),
                    Version::V03 => json!({"blocking": false}),
                };
            }
            if !metadata.is_empty() {
                params["metadata"] = Value::Object(metadata.clone());
            }
            params
        }
        Operation::Get(task) | Operation::Subscribe(task) | Operation::Cancel(task) => {
            json!({"id": task})
        }
    };
    if let (Some(tenant), Binding::JsonRpc) = (&interface.tenant, interface.binding) {
        params["tenant"] = json!(tenant);
    }
    params
}

/// Version 0.3 had its plain HTTP in the words of its protocol buffers, not of its JSON.
fn as_proto_03(message: &mut Value) {
    let Value::Object(fields) = message else { return };
    fields.shift_remove("kind");
    fields.insert("role".to_owned(), json!("ROLE_USER"));
    let parts = fields.shift_remove("parts").unwrap_or_default();
    let parts = parts.as_array().into_iter().flatten().map(|part| {
        let file = &part["file"];
        if file.is_null() {
            return json!({"text": part["text"]});
        }
        let mut proto = json!({"mimeType": file["mimeType"], "name": file["name"]});
        for (from, to) in [("bytes", "fileWithBytes"), ("uri", "fileWithUri")] {
            if !file[from].is_null() {
                proto[to] = file[from].clone();
            }
        }
        json!({"file": proto})
    });
    let parts: Vec<Value> = parts.collect();
    fields.insert("content".to_owned(), Value::Array(parts));
}

fn path(interface: &Interface, operation: Operation<'_>) -> Url {
    let mut url = interface.url.clone();
    let has_version = interface.url.path().trim_end_matches('/').ends_with("/v1");
    // A URL of `http` or `https`, which ours are, always has segments.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
        if interface.version == Version::V03 && !has_version {
            segments.push("v1");
        }
        if let Some(tenant) = &interface.tenant {
            segments.push(tenant);
        }
        match operation {
            Operation::Stream(_) => segments.push("message:stream"),
            Operation::Send(_) => segments.push("message:send"),
            Operation::Get(task) => segments.push("tasks").push(task),
            Operation::Subscribe(task) => segments.push("tasks").push(&format!("{task}:subscribe")),
            Operation::Cancel(task) => segments.push("tasks").push(&format!("{task}:cancel")),
        };
    }
    url
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::message::Piece;
    use super::*;

    fn interface(binding: Binding, version: Version, url: &str) -> Interface {
        let url = Url::parse(url).unwrap();
        Interface { url, binding, version, tenant: None, is_home: true }
    }

    fn outgoing() -> Outgoing {
        let context = Some("c".to_owned());
        Outgoing { pieces: vec![Piece::Text("Hi".to_owned())], context, task: None }
    }

    #[test]
    fn json_rpc_names_its_method_by_version() {
        let outgoing = outgoing();
        let (v1, v03) = (
            interface(Binding::JsonRpc, Version::V1, "http://h/rpc"),
            interface(Binding::JsonRpc, Version::V03, "http://h/rpc"),
        );
        let stream = prepare(&v1, Operation::Stream(&outgoing), "1", &Map::new());
        assert_eq!((stream.accept, stream.version, stream.method), (EVENTS, "1.0", Method::POST));
        assert_eq!(
            stream.body.unwrap(),
            json!({"jsonrpc": "2.0", "id": "1", "method": "SendStreamingMessage", "params": {"message": {
                "messageId": "1", "role": "ROLE_USER", "parts": [{"text": "Hi"}], "contextId": "c",
            }}})
        );
        let metadata = json!({"skill": "maths"}).as_object().unwrap().clone();
        let send = prepare(&v03, Operation::Send(&outgoing), "1", &metadata).body.unwrap();
        assert_eq!(
            send,
            json!({"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {
                "message": {"kind": "message", "messageId": "1", "role": "user",
                    "parts": [{"kind": "text", "text": "Hi"}], "contextId": "c"},
                "configuration": {"blocking": false}, "metadata": {"skill": "maths"},
            }})
        );
        let method = |interface: &Interface, operation| {
            let body = prepare(interface, operation, "1", &Map::new()).body.unwrap();
            assert_eq!(body["params"], json!({"id": "t"}));
            body["method"].as_str().unwrap().to_owned()
        };
        assert_eq!(method(&v1, Operation::Get("t")), "GetTask");
        assert_eq!(method(&v1, Operation::Subscribe("t")), "SubscribeToTask");
        assert_eq!(method(&v1, Operation::Cancel("t")), "CancelTask");
        assert_eq!(method(&v03, Operation::Get("t")), "tasks/get");
        assert_eq!(method(&v03, Operation::Subscribe("t")), "tasks/resubscribe");
        assert_eq!(method(&v03, Operation::Cancel("t")), "tasks/cancel");
        let tenant = Interface { tenant: Some("acme".to_owned()), ..v1 };
        let body = prepare(&tenant, Operation::Get("t"), "1", &Map::new()).body.unwrap();
        assert_eq!(body["params"], json!({"id": "t", "tenant": "acme"}));
    }

    #[test]
    fn plain_http_names_it_in_the_path() {
        let outgoing = outgoing();
        let v1 = interface(Binding::HttpJson, Version::V1, "http://h/a/");
        let check = |interface: &Interface, operation, expected: &str| {
            let prepared = prepare(interface, operation, "1", &Map::new());
            assert_eq!(format!("{} {}", prepared.method, prepared.url), expected);
            prepared.body
        };
        let body =
            check(&v1, Operation::Stream(&outgoing), "POST http://h/a/message:stream").unwrap();
        assert_eq!(body["message"]["parts"], json!([{"text": "Hi"}]));
        let body = check(&v1, Operation::Send(&outgoing), "POST http://h/a/message:send").unwrap();
        assert_eq!(body["configuration"], json!({"returnImmediately": true}));
        assert_eq!(check(&v1, Operation::Get("t/1?"), "GET http://h/a/tasks/t%2F1%3F"), None);
        check(&v1, Operation::Subscribe("t"), "GET http://h/a/tasks/t:subscribe");
        check(&v1, Operation::Cancel("t"), "POST http://h/a/tasks/t:cancel");
        let tenant = Interface { tenant: Some("acme".to_owned()), ..v1 };
        check(&tenant, Operation::Get("t"), "GET http://h/a/acme/tasks/t");
        for root in ["http://h", "http://h/v1"] {
            let v03 = interface(Binding::HttpJson, Version::V03, root);
            let body = check(&v03, Operation::Stream(&outgoing), "POST http://h/v1/message:stream");
            assert_eq!(
                body.unwrap()["message"],
                json!({"messageId": "1", "role": "ROLE_USER", "contextId": "c", "content": [{"text": "Hi"}]})
            );
        }
    }
}
