//! Every fixture whole, at every split, byte by byte, and cut at every byte.
//!
//! `UPDATE_FIXTURES=1 cargo test -p massgen-models` writes what is expected;
//! read it before you commit it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use super::*;

/// What a reply amounts to, however it came.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    result: Result<AssistantTurn, CallFailure>,
    text: String,
    reasoning: String,
    /// Name and arguments of each call, as streamed.
    calls: Vec<(String, String)>,
    notices: Vec<String>,
    signs_of_life: bool,
}

/// The same as a file; the order of its fields is that of reading it.
#[derive(Deserialize)]
struct Expected {
    turn: Option<AssistantTurn>,
    failure: Option<CallFailure>,
    text: String,
    reasoning: String,
    calls: Vec<(String, String)>,
    notices: Vec<String>,
}

struct Fixture {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

fn fixtures() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire/openai-chat");
    let mut fixtures: Vec<Fixture> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .map(|path| Fixture {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            bytes: std::fs::read(&path).unwrap(),
            path,
        })
        .collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(fixtures.len() >= 40, "only {} fixtures", fixtures.len());
    fixtures
}

fn asked() -> Asked {
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: json!({}),
    };
    let tools = ["new_answer", "submit", "vote"].map(tool).to_vec();
    Asked { tools: Arc::new(tools), turn: 2, ids: BTreeSet::from(["functions.vote:0".to_owned()]) }
}

fn decode(pieces: &[&[u8]], lost: Option<&str>) -> Outcome {
    let mut decoder = Decoder::new(asked(), Failures::default());
    let mut out = VecDeque::new();
    let mut run = || {
        for piece in pieces {
            if decoder.progress() == Progress::Complete {
                break;
            }
            decoder.push(piece, &mut out)?;
        }
        if decoder.progress() != Progress::Complete {
            decoder.end(lost, &mut out)?;
        }
        Ok(decoder.finish(&mut out))
    };
    let result = run();
    let mut outcome = Outcome {
        result,
        text: String::new(),
        reasoning: String::new(),
        calls: Vec::new(),
        notices: Vec::new(),
        signs_of_life: false,
    };
    let mut started = false;
    for beat in out {
        let event = match beat {
            Beat::Alive => {
                outcome.signs_of_life = true;
                continue;
            }
            Beat::Event(event) => event,
        };
        assert_eq!(started, event != ModelEvent::Started, "`Started` comes first and once");
        match event {
            ModelEvent::Started => started = true,
            ModelEvent::Text(text) => outcome.text.push_str(&text),
            ModelEvent::Reasoning(text) => outcome.reasoning.push_str(&text),
            ModelEvent::ToolCallStarted { index, name } => {
                assert_eq!(index, outcome.calls.len());
                outcome.calls.push((name, String::new()));
            }
            ModelEvent::ToolArguments { index, delta } => outcome.calls[index].1.push_str(&delta),
            ModelEvent::Unknown { what } => outcome.notices.push(what),
            ModelEvent::Retrying { .. } | ModelEvent::Finished(_) => panic!("not the decoder's"),
        }
    }
    outcome
}

fn expected(fixture: &Fixture) -> Outcome {
    let path = fixture.path.with_extension("expected.json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        let outcome = decode(&[&fixture.bytes], None);
        let first_line = String::from_utf8_lossy(&fixture.bytes);
        let first_line = first_line.lines().next().unwrap_or_default();
        let source = first_line.trim_start_matches('\u{feff}').trim_start_matches(": source: ");
        let file = json!({
            "source": source,
            "turn": outcome.result.as_ref().ok(),
            "failure": outcome.result.as_ref().err(),
            "text": outcome.text,
            "reasoning": outcome.reasoning,
            "calls": outcome.calls,
            "notices": outcome.notices,
        });
        std::fs::write(&path, serde_json::to_string_pretty(&file).unwrap() + "\n").unwrap();
    }
    let file = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let expected: Expected = serde_json::from_str(&file).unwrap();
    let result = match (expected.turn, expected.failure) {
        (Some(turn), None) => Ok(turn),
        (None, Some(failure)) => Err(failure),
        both => panic!("{}: {both:?}", path.display()),
    };
    Outcome {
        result,
        text: expected.text,
        reasoning: expected.reasoning,
        calls: expected.calls,
        notices: expected.notices,
        // Every fixture begins with a comment that names its source.
        signs_of_life: true,
    }
}

#[test]
fn every_fixture_is_decoded_as_expected_in_any_pieces() {
    for fixture in fixtures() {
        let (name, bytes) = (&fixture.name, &fixture.bytes);
        let expected = expected(&fixture);
        assert_eq!(decode(&[bytes], None), expected, "{name}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decode(&single, None), expected, "{name}, byte by byte");
        for at in 0..=bytes.len() {
            assert_eq!(decode(&[&bytes[..at], &bytes[at..]], None), expected, "{name}, at {at}");
        }
    }
}

#[test]
fn a_fixture_that_is_cut_is_complete_or_fails_cleanly() {
    for fixture in fixtures() {
        let (name, bytes) = (&fixture.name, &fixture.bytes);
        let whole = expected(&fixture);
        let mut cuts_complete = 0;
        for at in 0..bytes.len() {
            for lost in [None, Some("reset")] {
                let cut = decode(&[&bytes[..at]], lost);
                match cut.result {
                    Ok(turn) => {
                        // Only what may come after the model has stopped may be missing.
                        let expected = whole.result.clone().unwrap_or_else(|failure| {
                            panic!("{name}, cut at {at}: {turn:?} instead of {failure:?}")
                        });
                        let model = turn.model.or_else(|| expected.model.clone());
                        let turn = AssistantTurn { usage: expected.usage, model, ..turn };
                        assert_eq!(turn, expected, "{name}, cut at {at}");
                        cuts_complete += 1;
                    }
                    Err(failure) => {
                        let is_own = whole.result.as_ref().err() == Some(&failure);
                        let is_truncation = failure.kind == FailureKind::Truncated;
                        assert!(is_own || is_truncation, "{name}, cut at {at}: {failure:?}");
                    }
                }
                assert!(whole.text.starts_with(&cut.text), "{name}, cut at {at}");
                assert!(whole.reasoning.starts_with(&cut.reasoning), "{name}, cut at {at}");
            }
        }
        // A cut in the middle of what the model says is never a success.
        let content_bytes = whole.text.len() + whole.reasoning.len();
        assert!(cuts_complete < 2 * (bytes.len() - content_bytes), "{name}");
    }
}

#[track_caller]
fn check(bytes: &str, expected: Result<&str, (FailureKind, &str)>) {
    let outcome = decode(&[bytes.as_bytes()], None);
    let result = match &outcome.result {
        Ok(turn) => Ok(turn.text()),
        Err(failure) => Err((failure.kind, failure.message.clone())),
    };
    let expected =
        expected.map(str::to_owned).map_err(|(kind, message)| (kind, message.to_owned()));
    assert_eq!(result, expected, "{bytes}");
}

#[test]
fn a_reply_that_is_no_stream_is_understood_or_named() {
    use FailureKind::*;
    check(
        r#" {"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"8 Gpc"},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        Ok("8 Gpc"),
    );
    check(
        r#"{"error":{"message":"no credit","code":"insufficient_quota"}}"#,
        Err((Quota, "no credit (insufficient_quota)")),
    );
    check(r#"{"object":"error","message":"no","code":400}"#, Err((BadRequest, "no")));
    check("{}", Err((Garbled, "the reply is not the format: JSON without a choice")));
    check("{\"choi", Err((Garbled, NO_API)));
    check("<html>hello</html>", Err((Garbled, NO_API)));
    check("", Err((Truncated, "the reply stopped before its end")));
    check("\n\n", Err((Truncated, "the reply stopped before its end")));
    check("hello", Err((Truncated, "the reply stopped before its end")));
    check("data: [DONE]\n\n", Err((Truncated, "the reply ended before it began")));
}

const NO_API: &str = "the reply is not the format: neither an event stream nor JSON; is `base_url` \
                      the root of an API that speaks OpenAI Chat Completions?";

#[test]
fn garbage_in_a_stream_is_named() {
    let outcome = decode(&[b"data: {\"choices\": [{\"delta\" oops\n\ndata: [DONE]\n\n"], None);
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Garbled);
    assert!(failure.message.starts_with("the reply is not the format: a frame is no JSON"));
    let outcome = decode(&[b"event: error\ndata: it broke\n\n"], None);
    assert_eq!(outcome.result.unwrap_err().message, "it broke");
    let failure = decode(&[b"data: {\"choices\":[{\"delta\":"], Some("reset")).result.unwrap_err();
    assert_eq!(failure.message, "the connection was lost before the reply ended: reset");
}

#[test]
fn notices_and_text_are_bounded() {
    let odd = b"data: {\"odd\":true}\n\n".repeat(100);
    let end = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(decode(&[&odd, end], None).notices.len(), NOTICES_MAX);

    let content = "x".repeat(TURN_BYTES_MAX / 4);
    let frame = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": content}}]}));
    let frames = [frame.as_bytes(); 6];
    let turn = decode(&frames, None).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    assert!(turn.text().len() <= TURN_BYTES_MAX + content.len());

    let endless = vec![b'['; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(decode(&[&endless], None).result.unwrap_err().kind, FailureKind::Garbled);
}

#[test]
fn ids_are_unique_within_a_conversation() {
    let call =
        |id: &str| json!({"index": 0, "id": id, "function": {"name": "vote", "arguments": "{}"}});
    let frame = |id: &str| {
        let chunk = json!({"choices": [{"delta": {"tool_calls": [call(id)]}}]});
        format!("data: {chunk}\n\n").into_bytes()
    };
    let end = b"data: [DONE]\n\n".to_vec();
    let pieces = [frame("a"), frame("functions.vote:0"), frame(""), end];
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let turn = decode(&pieces, None).result.unwrap();
    let ids: Vec<&str> = turn.tool_calls().map(|call| call.id.0.as_str()).collect();
    assert_eq!(ids, ["a", "call_2_0", "call_2_1"]);
}
