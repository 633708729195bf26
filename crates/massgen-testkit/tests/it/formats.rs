//! One script, five formats.

use massgen_testkit::{Counts, Format, PrefixCache, Reply, Server, Setup, behaviour, script};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// A question to a member of a team, in each format.
fn asked(format: Format, stream: bool) -> (String, Value) {
    let schema = json!({"type": "object", "properties": {"content": {"type": "string"}}});
    let function = json!({"name": "new_answer", "parameters": schema});
    let said = json!([{"role": "user", "content": "why?"}]);
    let body = match format {
        Format::Chat | Format::Ollama => json!({
            "model": "m", "stream": stream, "messages": said,
            "tools": [{"type": "function", "function": function}],
        }),
        Format::Responses => json!({
            "model": "m", "stream": stream, "input": said,
            "include": ["reasoning.encrypted_content"],
            "tools": [{"type": "function", "name": "new_answer", "parameters": schema}],
        }),
        Format::Messages => json!({
            "model": "m", "stream": stream, "messages": said,
            "tools": [{"name": "new_answer", "input_schema": schema}],
        }),
        Format::Gemini => json!({
            "contents": [{"role": "user", "parts": [{"text": "why?"}]}],
            "tools": [{"functionDeclarations": [function]}],
        }),
    };
    let path = match (format, stream) {
        (Format::Gemini, false) => "/v1beta/models/m:generateContent".to_owned(),
        _ => format!("{}{}", format.root_path(), format.stream_path("m")),
    };
    (path, body)
}

fn ask(server: &Server, format: Format, stream: bool) -> Answer {
    let (path, body) = asked(format, stream);
    Client::new(server).ask_at(&path, &body)
}

/// Takes a stream apart: the JSON of each event, after checking how it is framed.
fn events(format: Format, body: &str) -> Vec<Value> {
    if format == Format::Ollama {
        return body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    }
    let frames = body.split("\n\n").flat_map(|frame| frame.split("\r\n\r\n"));
    let mut events = Vec::new();
    for frame in frames.filter(|frame| !frame.trim().is_empty()) {
        let data = frame.split_once("data: ").unwrap().1;
        if data == "[DONE]" {
            continue;
        }
        let value: Value = serde_json::from_str(data).unwrap();
        let named = frame.strip_prefix("event: ").map(|rest| rest.lines().next().unwrap());
        let kind = value["type"].as_str();
        match format {
            Format::Responses | Format::Messages => assert!(named.is_some() && named == kind),
            Format::Chat | Format::Gemini | Format::Ollama => assert_eq!(named, None),
        }
        events.push(value);
    }
    events
}

#[test]
fn a_team_member_answers_in_the_format_it_is_asked_in() {
    let server = Server::start(behaviour::thoughtful(behaviour::consensus(&["six"])));
    for format in Format::ALL {
        for stream in [true, false] {
            let answer = ask(&server, format, stream);
            let body = answer.body();
            assert_eq!(answer.status, 200, "{format:?} {body}");
            assert!(body.contains("new_answer") && body.contains("Thinking"), "{format:?} {body}");
            let expected = match (stream, format) {
                (true, Format::Ollama) => "application/x-ndjson",
                (true, _) => "text/event-stream",
                (false, _) => "application/json",
            };
            assert!(answer.head.contains(expected), "{}", answer.head);
            if stream {
                assert!(events(format, &body).len() > 2);
            } else {
                assert!(serde_json::from_str::<Value>(&body).unwrap().is_object());
            }
        }
    }
    assert_eq!(server.stats().requests, 10);
}

#[test]
fn responses_are_numbered_and_end_with_all_that_was_said() {
    let reply = Reply::stream()
        .reasoning("", "hm")
        .texts(&["a", "b"])
        .tokens(4)
        .tool_call_in(0, "call_1", "vote", &["{\"x\"", ": 1}"])
        .finish("tool_calls")
        .done();
    let body = String::from_utf8(reply.body_in(Format::Responses).to_vec()).unwrap();
    let numbered = events(Format::Responses, &body);
    for (n, event) in numbered.iter().enumerate() {
        assert_eq!(event["sequence_number"], n, "{event}");
    }
    let response = &numbered.last().unwrap()["response"];
    assert_eq!(response["status"], "completed");
    let kinds: Vec<&Value> =
        response["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!(response["output"][1]["content"][0]["text"], "abtok tok tok tok ");
    assert_eq!(response["output"][2]["arguments"], "{\"x\": 1}");
    let deltas: String = numbered
        .iter()
        .filter(|e| e["type"] == "response.output_text.delta")
        .map(|e| e["delta"].as_str().unwrap())
        .collect();
    assert_eq!(deltas, "abtok tok tok tok ");

    // Kept bytes are sent again only where they are the same.
    let server = Server::start(behaviour::tokens(5));
    for _ in 0..2 {
        for format in Format::ALL {
            let body = ask(&server, format, true).body();
            let last = events(format, &body).pop().unwrap();
            if format == Format::Responses {
                assert_eq!(
                    last["response"]["output"][0]["content"][0]["text"],
                    "tok tok tok tok tok "
                );
            }
            assert!(body.matches("tok ").count() >= 5, "{format:?}");
        }
    }
}

#[test]
fn blocks_are_opened_signed_and_closed_in_order() {
    let reply = Reply::stream()
        .reasoning("", "hm")
        .text("so")
        .tool_call(0, "toolu_1", "vote", &json!({"x": 1}))
        .finish("tool_calls")
        .usage(7, 3)
        .done();
    let body = String::from_utf8(reply.body_in(Format::Messages).to_vec()).unwrap();
    let kinds: Vec<String> = events(Format::Messages, &body)
        .iter()
        .map(|event| {
            let inner = event["delta"]["type"].as_str().or(event["content_block"]["type"].as_str());
            format!("{} {}", event["type"].as_str().unwrap(), inner.unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "message_start -",
            "ping -",
            "content_block_start thinking",
            "content_block_delta thinking_delta",
            "content_block_delta signature_delta",
            "content_block_stop -",
            "content_block_start text",
            "content_block_delta text_delta",
            "content_block_stop -",
            "content_block_start tool_use",
            "content_block_delta input_json_delta",
            "content_block_delta input_json_delta",
            "content_block_stop -",
            "message_delta -",
            "message_stop -",
        ]
    );
}

#[test]
fn gemini_signs_the_first_call_and_streams_an_array_without_sse() {
    let reply = Reply::stream()
        .tool_call(0, "a", "vote", &json!({}))
        .tool_call(1, "b", "vote", &json!({}))
        .finish("tool_calls")
        .done();
    let server = Server::start(script(move |_| reply.clone()));
    let signed = |body: &str| body.matches("thoughtSignature").count();
    let body = ask(&server, Format::Gemini, true).body();
    assert_eq!((events(Format::Gemini, &body).len(), signed(&body)), (3, 1));
    let path = "/v1beta/models/gemini-3-pro:streamGenerateContent";
    let body = Client::new(&server).ask_at(path, &json!({})).body();
    let chunks: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((chunks.as_array().unwrap().len(), signed(&body)), (3, 1));
    assert_eq!(chunks[0]["candidates"][0]["content"]["parts"][0]["functionCall"]["id"], "a");
    assert_eq!(chunks[2]["modelVersion"], "gemini-3-pro");
}

#[test]
fn faults_have_the_shape_of_their_format() {
    let refused = Server::start(behaviour::fails(429));
    let midway = Server::start(behaviour::fails_midway());
    let garbled = Server::start(behaviour::invalid_utf8());
    let deep = Server::start(behaviour::deep_json(50));
    let flood = Server::start(behaviour::flood(3));
    for format in Format::ALL {
        let answer = ask(&refused, format, true);
        let error: Value = serde_json::from_str(&answer.body()).unwrap();
        let message = match format {
            Format::Ollama => &error["error"],
            _ => &error["error"]["message"],
        };
        assert_eq!((answer.status, message), (429, &json!("refused by the script")), "{format:?}");
        let kind = match format {
            Format::Messages => &error["error"]["type"],
            Format::Gemini => &error["error"]["status"],
            _ => &Value::Null,
        };
        let expected = match format {
            Format::Messages => json!("rate_limit_error"),
            Format::Gemini => json!("RESOURCE_EXHAUSTED"),
            _ => Value::Null,
        };
        assert_eq!(*kind, expected);

        let body = ask(&midway, format, true).body();
        let last = events(format, &body).pop().unwrap();
        assert!(last.to_string().contains("fallen over"), "{format:?} {last}");
        assert_eq!(ask(&midway, format, false).status, 500, "{format:?}");

        assert!(String::from_utf8(ask(&garbled, format, true).chunks.concat()).is_err());
        assert!(ask(&deep, format, true).body().contains(&"[".repeat(50)));
        let body = ask(&flood, format, true).body();
        assert!(body.len() > 3_000_000, "{format:?}");
        let opened = body.matches("event: content_block_start").count();
        assert_eq!(opened, usize::from(format == Format::Messages));
    }
    for (script, status, complete) in [
        (behaviour::html_page(), 200, true),
        (behaviour::cut_off(), 200, true),
        (behaviour::endless_line(1), 200, true),
        (behaviour::dropped(), 200, false),
        (behaviour::cut_at_percent(50, behaviour::only_talks("hello")), 200, false),
        (behaviour::byte_by_byte(behaviour::only_talks("hello")), 200, true),
        (
            behaviour::slow(std::time::Duration::from_micros(10), behaviour::only_talks("a")),
            200,
            true,
        ),
        (behaviour::wrong_content_type(behaviour::only_talks("hello")), 200, true),
    ] {
        let server = Server::start(script);
        for format in Format::ALL {
            let answer = ask(&server, format, true);
            assert_eq!((answer.status, answer.complete), (status, complete), "{format:?}");
        }
    }
}

#[test]
fn a_server_with_a_cache_reports_its_own_counts() {
    let prefix_cache = Some(PrefixCache { minimum_tokens: 1, block_tokens: 1 });
    let setup = Setup { port: 0, prefix_cache };
    let server = Server::start_with(setup, behaviour::only_talks("hello"));
    for format in Format::ALL {
        let first = ask(&server, format, false);
        let again = ask(&server, format, false).body();
        assert!(first.complete);
        let counted = server.counted();
        let [.., _, last] = counted[..] else { panic!("two were counted") };
        match format {
            // Nothing was marked.
            Format::Messages => assert_eq!(last.cache_read, 0),
            _ => assert_eq!(last.cache_read, last.input, "{format:?}"),
        }
        let said = match format {
            Format::Chat => Some("\"cached_tokens\""),
            Format::Responses => Some("\"cached_tokens\""),
            Format::Gemini => Some("\"cachedContentTokenCount\""),
            Format::Messages | Format::Ollama => None,
        };
        if let Some(field) = said {
            assert!(again.contains(&format!("{field}:{}", last.cache_read)), "{again}");
        }
    }
    assert_eq!(Counts::default().input, 0);
}

#[test]
fn everything_beside_replies_is_answered_too() {
    let server = Server::start(behaviour::stall());
    let mut client = Client::new(&server);
    let count = client.ask_at("/v1/messages/count_tokens", &json!({"messages": []})).body();
    assert!(count.contains("input_tokens"), "{count}");
    let count = client.ask_at("/v1beta/models/m:countTokens", &json!({})).body();
    assert!(count.contains("totalTokens"), "{count}");
    assert!(client.ask_at("/api/show", &json!({})).body().contains("context_length"));
    for (path, header, expected) in [
        ("/v1/models", "", "\"object\":\"list\""),
        ("/v1/models/gpt-x", "", "\"id\":\"gpt-x\""),
        ("/v1/models", "anthropic-version: 2023-06-01\r\n", "\"has_more\":false"),
        ("/v1beta/models", "", "\"models/loopback\""),
        ("/v1beta/models/gemini-x", "", "\"name\":\"models/gemini-x\""),
        ("/api/tags", "", "\"models\""),
        ("/api/version", "", "\"version\""),
    ] {
        client.send_raw(format!("GET {path} HTTP/1.1\r\n{header}\r\n").as_bytes());
        let body = client.answer().unwrap().body();
        assert!(body.contains(expected), "{path}: {body}");
    }
    assert_eq!(server.stats().requests, 0, "none of them is a completion");
}
