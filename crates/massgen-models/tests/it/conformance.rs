//! The wire fixtures over a real connection. Every split and every cut of each
//! is tried on the decoder itself (`decode/tests.rs`); here it is shown that
//! what HTTP makes of the pieces changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use massgen_protocol::FailureKind;
use massgen_testkit::{Cut, Reply, Server, script};
use serde_json::Value;

use crate::support::{Heard, driver, listen, question};

fn fixtures() -> BTreeMap<String, (Vec<u8>, Heard)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire/openai-chat");
    let mut fixtures = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sse") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = std::fs::read_to_string(path.with_extension("expected.json")).unwrap();
        // Ids of ours count the turns of the conversation, of which there are none here.
        let expected = expected.replace("\"call_2_", "\"call_0_");
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let text = |key: &str| expected[key].as_str().unwrap().to_owned();
        let heard = Heard {
            text: text("text"),
            reasoning: text("reasoning"),
            calls: serde_json::from_value(expected["calls"].clone()).unwrap(),
            notices: serde_json::from_value(expected["notices"].clone()).unwrap(),
            remote: Vec::new(),
            retries: Vec::new(),
            turn: serde_json::from_value(expected["turn"].clone()).unwrap(),
            failure: serde_json::from_value(expected["failure"].clone()).unwrap(),
        };
        fixtures.insert(name, (std::fs::read(path).unwrap(), heard));
    }
    // The one fixture whose id is renamed only because it was used before.
    let (_, whole) = fixtures.get_mut("tools_whole").unwrap();
    let json = serde_json::to_string(&whole.turn).unwrap();
    let json = json.replace("call_0_0", "functions.vote:0");
    whole.turn = serde_json::from_str(&json).unwrap();
    fixtures
}

async fn hear(reply: Reply) -> Heard {
    let server = Server::start(script(move |_| reply.clone()));
    listen(&driver(&server), question()).await
}

#[tokio::test]
async fn fixtures_are_heard_the_same_whole_and_byte_by_byte() {
    for (name, (bytes, expected)) in fixtures() {
        assert_eq!(hear(Reply::sse(bytes.clone())).await, expected, "{name}");
        assert_eq!(hear(Reply::sse(bytes).byte_by_byte()).await, expected, "{name} by bytes");
    }
}

#[tokio::test]
async fn fixtures_that_break_off_are_complete_or_fail_cleanly() {
    for (name, (bytes, expected)) in fixtures() {
        let ends = bytes.windows(2).enumerate().filter(|(_, pair)| *pair == b"\n\n");
        for at in ends.map(|(at, _)| at + 2) {
            for (cut, at) in [(Cut::Clean, at), (Cut::Dropped, at), (Cut::Dropped, at - 9)] {
                let heard = hear(Reply::sse(bytes.clone()).cut_at(at, cut)).await;
                match (heard.turn, heard.failure) {
                    (Some(turn), _) => {
                        let expected = expected.turn.as_ref().unwrap();
                        assert_eq!(turn.parts, expected.parts, "{name}, {cut:?} at {at}");
                        assert_eq!(turn.finish, expected.finish, "{name}, {cut:?} at {at}");
                    }
                    (None, failure) => {
                        let is_truncation =
                            failure.as_ref().is_some_and(|f| f.kind == FailureKind::Truncated);
                        let is_own = failure == expected.failure;
                        assert!(is_truncation || is_own, "{name}, {cut:?} at {at}: {failure:?}");
                    }
                }
            }
        }
    }
}
