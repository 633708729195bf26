//! The conformance kit: every fixture of a format whole, at every split, byte by byte,
//! and cut at every byte. One folder of `fixtures/wire/` a format.
//!
//! A fixture `NAME.sse` (or `.jsonl`) begins with a comment that names its source;
//! `NAME.expected.json` says what it comes to. `UPDATE_FIXTURES=1 cargo test -p
//! massgen-models` writes what is expected; read it before you commit it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use massgen_protocol::{AssistantTurn, CallFailure, FailureKind, ModelEvent, ToolSpec};
use serde::Deserialize;
use serde_json::json;

use super::decode::{Asked, Decode, Finish, Out, Progress};
use crate::backend::Beat;

/// What a reply amounts to, however it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) result: Result<AssistantTurn, CallFailure>,
    /// What the turn would be continued with, if the provider paused it.
    pub(crate) paused: Option<serde_json::Value>,
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Name and arguments of each call, as streamed.
    pub(crate) calls: Vec<(String, String)>,
    /// Name, input, output of each tool of the provider's own; `None` until it is done.
    pub(crate) remote: Vec<(String, String, Option<String>)>,
    pub(crate) notices: Vec<String>,
    pub(crate) signs_of_life: bool,
}

/// The same as a file; the order of its fields is that of reading it.
#[derive(Deserialize)]
struct Expected {
    turn: Option<AssistantTurn>,
    failure: Option<CallFailure>,
    #[serde(default)]
    paused: Option<serde_json::Value>,
    text: String,
    reasoning: String,
    calls: Vec<(String, String)>,
    #[serde(default)]
    remote: Vec<(String, String, Option<String>)>,
    notices: Vec<String>,
}

/// A folder of fixtures, and how its format is decoded.
pub(crate) struct Kit {
    pub(crate) folder: &'static str,
    /// Fewer are a mistake in the path.
    pub(crate) fixtures_min: usize,
    pub(crate) decoder: fn() -> Box<dyn Decode>,
}

struct Fixture {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Returns a call of three tools, at the third turn of its conversation.
pub(crate) fn asked() -> Asked {
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: json!({}),
    };
    let tools = ["new_answer", "submit", "vote"].map(tool).to_vec();
    Asked { tools: Arc::new(tools), turn: 2, ids: BTreeSet::from(["functions.vote:0".to_owned()]) }
}

/// Feeds the pieces to a decoder, as the connection would.
pub(crate) fn decode(
    mut decoder: Box<dyn Decode>,
    pieces: &[&[u8]],
    lost: Option<&str>,
) -> Outcome {
    let mut out = Out::new();
    let mut paused = None;
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
        match decoder.finish(true, &mut out) {
            Finish::Turn(turn) => Ok(*turn),
            Finish::Continue(value) => {
                paused = Some(value);
                match decoder.finish(false, &mut out) {
                    Finish::Turn(turn) => Ok(*turn),
                    Finish::Continue(_) => panic!("it may not continue"),
                }
            }
        }
    };
    let result = run();
    let mut outcome = Outcome {
        result,
        paused,
        text: String::new(),
        reasoning: String::new(),
        calls: Vec::new(),
        remote: Vec::new(),
        notices: Vec::new(),
        signs_of_life: false,
    };
    let mut ids: Vec<String> = Vec::new();
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
            ModelEvent::RemoteToolStarted { id, name, input } => {
                ids.push(id);
                outcome.remote.push((name, input, None));
            }
            ModelEvent::RemoteToolFinished { id, name: _, output, is_error: _ } => {
                let at = ids.iter().position(|known| *known == id);
                outcome.remote[at.expect("it was started")].2 = Some(output);
            }
            ModelEvent::Unknown { what } => outcome.notices.push(what),
            ModelEvent::Retrying { .. }
            | ModelEvent::Throttled { .. }
            | ModelEvent::FellBack { .. }
            | ModelEvent::Finished(_) => panic!("not the decoder's"),
        }
    }
    outcome
}

impl Kit {
    /// Holds every fixture of the folder to what is expected, in any pieces and cut
    /// anywhere.
    pub(crate) fn check(&self) {
        for fixture in self.fixtures() {
            self.any_pieces(&fixture);
            self.any_cut(&fixture);
        }
    }

    fn decode(&self, pieces: &[&[u8]], lost: Option<&str>) -> Outcome {
        decode((self.decoder)(), pieces, lost)
    }

    fn fixtures(&self) -> Vec<Fixture> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire");
        let mut fixtures: Vec<Fixture> = std::fs::read_dir(root.join(self.folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension().is_some_and(|extension| extension == "sse" || extension == "jsonl")
            })
            .map(|path| Fixture {
                name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                bytes: std::fs::read(&path).unwrap(),
                path,
            })
            .collect();
        fixtures.sort_by(|a, b| a.name.cmp(&b.name));
        let n = fixtures.len();
        assert!(n >= self.fixtures_min, "only {n} fixtures in {}", self.folder);
        fixtures
    }

    fn any_pieces(&self, fixture: &Fixture) {
        let (name, bytes) = (&fixture.name, &fixture.bytes);
        let expected = self.expected(fixture);
        assert_eq!(self.decode(&[bytes], None), expected, "{name}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(self.decode(&single, None), expected, "{name}, byte by byte");
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(self.decode(&[head, tail], None), expected, "{name}, at {at}");
        }
    }

    fn any_cut(&self, fixture: &Fixture) {
        let (name, bytes) = (&fixture.name, &fixture.bytes);
        let whole = self.expected(fixture);
        let mut cuts_complete = 0;
        for at in 0..bytes.len() {
            for lost in [None, Some("reset")] {
                let cut = self.decode(&[&bytes[..at]], lost);
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

    fn expected(&self, fixture: &Fixture) -> Outcome {
        let path = fixture.path.with_extension("expected.json");
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            let outcome = self.decode(&[&fixture.bytes], None);
            let first_line = String::from_utf8_lossy(&fixture.bytes);
            let first_line = first_line.lines().next().unwrap_or_default();
            let source = first_line.trim_start_matches('\u{feff}').trim_start_matches(": source: ");
            let mut file = json!({
                "source": source,
                "turn": outcome.result.as_ref().ok(),
                "failure": outcome.result.as_ref().err(),
                "text": outcome.text,
                "reasoning": outcome.reasoning,
                "calls": outcome.calls,
                "notices": outcome.notices,
            });
            if !outcome.remote.is_empty() {
                file["remote"] = json!(outcome.remote);
            }
            if let Some(paused) = outcome.paused {
                file["paused"] = paused;
            }
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
            paused: expected.paused,
            text: expected.text,
            reasoning: expected.reasoning,
            calls: expected.calls,
            remote: expected.remote,
            notices: expected.notices,
            // Every fixture begins with a comment that names its source.
            signs_of_life: true,
        }
    }
}
