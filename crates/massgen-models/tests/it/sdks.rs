//! The official SDKs read what our fixtures and test servers send, and understand the
//! same by it as our decoders.
//!
//! `scripts/peers` installs them; without them the test says what it did not do. One
//! process reads all streams (`tests/peers/read_streams.py`).

mod differences;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use massgen_models::connect;
use massgen_protocol::{ApiKey, Arguments, AssistantTurn, BackendSpec, Secret, Usage};
use massgen_testkit::{Format, Reply, Request, Server, behaviour, script};
use serde_json::{Value, json};

use crate::peer;
use crate::support::{KEY, listen, question};
use differences::{DIFFERENCES, Difference};

/// A format, the folder of its fixtures, and the backend type that reads it here.
const FORMATS: &[(Format, &str)] = &[
    (Format::Chat, "chatcompletion"),
    (Format::Responses, "openai"),
    (Format::Messages, "claude"),
    (Format::Gemini, "gemini"),
];

/// What a stream comes to, whoever reads it; `None` where there is no whole reply.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    text: String,
    reasoning: String,
    /// Name and arguments, these as JSON where they are.
    calls: Vec<(String, Value)>,
    usage: Counted,
}

/// Input and output in all, and what of them is special.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counted {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

#[tokio::test]
async fn the_official_sdks_understand_the_same_streams() {
    // Installed all three or none.
    let Some(python) = peer::python("sdks", "openai") else { return };
    let fixtures = fixtures();
    let streams: BTreeMap<String, Vec<u8>> =
        fixtures.iter().map(|(name, (bytes, _))| (name.clone(), bytes.clone())).collect();
    let server = Server::start(script(move |request| serve(request, &streams)));

    let mut ours: BTreeMap<String, Option<Reading>> =
        fixtures.into_iter().map(|(name, (_, reading))| (name, reading)).collect();
    for (format, backend_type) in FORMATS {
        for behaviour in BEHAVIOURS {
            let name = format!("{}/@{behaviour}", format.name());
            ours.insert(name.clone(), read_by_us(&server, *format, backend_type, &name).await);
        }
    }
    let theirs = tokio::task::spawn_blocking({
        let (url, names) = (server.url(), ours.keys().cloned().collect::<Vec<_>>());
        move || read_by_sdks(python, &url, &names)
    });
    let theirs = theirs.await.unwrap();

    let mut wrong = Vec::new();
    for (name, ours) in &ours {
        let (reading, said) = &theirs[name];
        let found = first_difference(ours.as_ref(), reading.as_ref());
        let listed = DIFFERENCES.iter().find(|(listed, ..)| listed == name);
        if found != listed.map(|(_, difference, _)| *difference) {
            wrong.push(format!("{name}: {found:?}\n  ours {ours:?}\n  theirs {reading:?} {said}"));
        }
    }
    for (listed, ..) in DIFFERENCES {
        if !ours.contains_key(*listed) {
            wrong.push(format!("{listed}: listed as a difference and not there"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ours.len(), wrong.join("\n"));
}

/// Behaviours of the test server that the SDKs read too.
const BEHAVIOURS: &[&str] = &["thinks-and-calls", "calls-twice", "talks", "fails-midway", "fails"];

fn behaves(name: &str, request: &Request) -> Reply {
    let vote = json!({"agent_id": "agent1", "reason": "größer"});
    match name {
        "thinks-and-calls" => Reply::stream()
            .reasoning("reasoning_content", "Hm. ")
            .reasoning("reasoning_content", "So.")
            .text("I vote")
            .tool_call(0, "call_1", "vote", &vote)
            .finish("tool_calls"),
        "calls-twice" => Reply::stream()
            .tool_call_in(0, "call_1", "vote", &["{\"agent_id\": ", "\"agent1\"}"])
            .tool_call(1, "call_2", "submit", &json!({"content": "x"}))
            .finish("tool_calls"),
        "talks" => Reply::stream().texts(&["8 Gpc, ", "roughly"]).finish("stop"),
        "fails-midway" => return behaviour::fails_midway()(request),
        _ => return behaviour::fails(429)(request),
    }
    .usage(1200, 30)
    .done()
}

/// Serves `/FORMAT/NAME/…`, the fixture or behaviour of that name.
fn serve(request: &Request, streams: &BTreeMap<String, Vec<u8>>) -> Reply {
    let mut parts = request.path.trim_start_matches('/').splitn(3, '/');
    let name = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()].join("/");
    match (name.split_once("/@"), streams.get(&name)) {
        (Some((_, behaviour)), _) => behaves(behaviour, request),
        (None, Some(bytes)) => Reply::sse(bytes.clone()),
        (None, None) => Reply::error(404, "not_found", "no such fixture"),
    }
}

/// Returns the stream of each fixture and what it comes to, by `FORMAT/NAME`. What is
/// expected there is what the decoder makes of it: the conformance kit holds both together.
fn fixtures() -> BTreeMap<String, (Vec<u8>, Option<Reading>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire");
    let mut fixtures = BTreeMap::new();
    for (format, _) in FORMATS {
        for entry in std::fs::read_dir(root.join(format.name())).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "sse") {
                continue;
            }
            let expected = std::fs::read_to_string(path.with_extension("expected.json")).unwrap();
            let expected: Value = serde_json::from_str(&expected).unwrap();
            let turn: Option<AssistantTurn> =
                serde_json::from_value(expected["turn"].clone()).unwrap();
            let text = |key: &str| expected[key].as_str().unwrap().to_owned();
            let reading = turn.map(|turn| reading(&turn, text("text"), text("reasoning")));
            let name = format!("{}/{}", format.name(), path.file_stem().unwrap().display());
            fixtures.insert(name, (without_source(std::fs::read(path).unwrap()), reading));
        }
    }
    assert!(fixtures.len() > 100, "only {} fixtures", fixtures.len());
    fixtures
}

/// Takes the comment away that names a fixture's source: no provider sends it.
fn without_source(bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let (source, stream) = bytes.split_at(end);
    assert!(source.windows(9).any(|window| window == b": source:"));
    let blank = stream.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    stream[blank..].to_vec()
}

fn reading(turn: &AssistantTurn, text: String, reasoning: String) -> Reading {
    let calls = turn.tool_calls().map(|call| {
        let arguments = match &call.arguments {
            Arguments::Object { value } => Value::Object(value.clone()),
            Arguments::Malformed { raw, .. } => raw.clone().into(),
        };
        (call.name.clone(), arguments)
    });
    Reading { text, reasoning, calls: calls.collect(), usage: Counted::of(&turn.usage) }
}

impl Counted {
    fn of(usage: &Usage) -> Counted {
        Counted {
            input: usage.input(),
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            output: usage.generated(),
            reasoning: usage.reasoning,
        }
    }
}

async fn read_by_us(
    server: &Server,
    format: Format,
    backend_type: &str,
    name: &str,
) -> Option<Reading> {
    let base_url = format!("{}/{name}{}", server.url(), format.root_path());
    let spec = BackendSpec {
        api_key: ApiKey::Given { value: Secret::new(KEY) },
        tries_max: 1,
        ..BackendSpec::new(backend_type, "gemini-3-pro", &base_url)
    };
    let heard = listen(&connect(&spec).unwrap(), question()).await;
    heard.turn.map(|turn| reading(&turn, heard.text, heard.reasoning))
}

/// Returns what the SDKs made of each stream, and what they said in full.
fn read_by_sdks(
    mut python: Command,
    url: &str,
    names: &[String],
) -> BTreeMap<String, (Option<Reading>, Value)> {
    let mut child = python
        // What an SDK warns of is not ours to show.
        .args(["-W", "ignore"])
        .arg(peer::script("read_streams.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let jobs: String = names
        .iter()
        .map(|name| {
            let (format, stream) = name.split_once('/').unwrap();
            // What our server sends has to be complete in every way; fixtures are as short
            // as their point allows.
            let has_helper = stream.starts_with('@') && format.starts_with("openai");
            let reader = if has_helper { format!("{format} accumulated") } else { format.into() };
            format!("{}\n", json!({"name": name, "reader": reader, "url": format!("{url}/{name}")}))
        })
        .collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(jobs.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let read: BTreeMap<String, (Option<Reading>, Value)> = lines
        .lines()
        .map(|line| {
            let said: Value = serde_json::from_str(line).unwrap();
            let whole = said["complete"] == true;
            (said["name"].as_str().unwrap().to_owned(), (whole.then(|| of_sdk(&said)), said))
        })
        .collect();
    assert_eq!(read.len(), names.len());
    read
}

fn of_sdk(said: &Value) -> Reading {
    let text = |key: &str| said[key].as_str().unwrap().to_owned();
    let count = |key: &str| said["usage"][key].as_u64().unwrap();
    let calls = said["calls"].as_array().unwrap().iter().map(|call| {
        let arguments = match call[1].as_str() {
            // No arguments at all are no arguments.
            Some("" | "null") => json!({}),
            Some(text) => serde_json::from_str::<Value>(text)
                .ok()
                .filter(Value::is_object)
                .unwrap_or(text.into()),
            None => call[1].clone(),
        };
        (call[0].as_str().unwrap_or_default().to_owned(), arguments)
    });
    Reading {
        text: text("text"),
        reasoning: text("reasoning"),
        calls: calls.collect(),
        usage: Counted {
            input: count("input"),
            cache_read: count("cache_read"),
            cache_write: count("cache_write"),
            output: count("output"),
            reasoning: count("reasoning"),
        },
    }
}

/// Returns the first thing two readings do not agree on.
fn first_difference(ours: Option<&Reading>, theirs: Option<&Reading>) -> Option<Difference> {
    let (ours, theirs) = match (ours, theirs) {
        (None, None) => return None,
        (Some(_), None) => return Some(Difference::OnlyWeRead),
        (None, Some(_)) => return Some(Difference::OnlyTheyRead),
        (Some(ours), Some(theirs)) => (ours, theirs),
    };
    if ours.calls != theirs.calls {
        Some(Difference::Calls)
    } else if ours.text != theirs.text {
        Some(Difference::Text)
    } else if ours.reasoning != theirs.reasoning {
        Some(Difference::Reasoning)
    } else if ours.usage != theirs.usage {
        Some(Difference::Usage)
    } else {
        None
    }
}
