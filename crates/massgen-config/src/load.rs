//! A config file to the spec of a run.

use std::collections::BTreeMap;

use massgen_protocol::{AgentId, Prices, Question, RunSpec};

use crate::agents::{Common, Roster, agents};
use crate::files::take_wishes;
use crate::known::{TOP, V1_MARKERS};
use crate::node::{Kind, Node};
use crate::parse::parse;
use crate::policy::{Team, team};
use crate::problem::{Place, Problem, Severity};
use crate::rate_limits::RateTable;
use crate::reader::Reader;
use crate::report::Report;
use crate::section::Section;
use crate::{Environment, Overrides};

/// Longest question; more is a file, and belongs into one.
pub const QUESTION_BYTES_MAX: usize = 1 << 20;

/// A config as it was read from somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Shown in messages.
    pub name: &'a str,
    pub text: &'a str,
}

/// What became of a config.
#[derive(Debug)]
pub struct Loaded {
    /// The run, or everything that stands in its way.
    pub spec: Result<RunSpec, Vec<Problem>>,
    /// What the user should know and the run can live with.
    pub notices: Vec<Problem>,
    /// Largest file that an agent is shown, in bytes, where the config says so.
    pub media_bytes_max: BTreeMap<AgentId, u64>,
}

/// What the whole tree comes to.
pub(crate) struct Run {
    pub spec: RunSpec,
    pub media_bytes_max: BTreeMap<AgentId, u64>,
}

/// Reads a config. Problems come all at once, in the order of the file.
pub fn load(source: &Source<'_>, env: &Environment, overrides: &Overrides) -> Loaded {
    let mut reader = Reader { env, report: Report::new(source.name) };
    let spec = match parse(source.text) {
        Ok(parsed) => {
            for notice in parsed.notices {
                reader.report.notice(notice.at, "", notice.message, notice.hint);
            }
            read(&mut reader, &parsed.root, overrides)
        }
        Err(fault) => {
            reader.error(fault.at, "", fault.message, fault.hint);
            None
        }
    };
    finish(reader, spec)
}

/// Returns the text of a config file, without a byte order mark.
///
/// # Errors
/// The first byte that is not UTF-8, with its place.
pub fn decode(name: &str, bytes: &[u8]) -> Result<String, Problem> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()),
        Err(error) => error,
    };
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let valid = &bytes[..error.valid_up_to()];
    let lines = String::from_utf8_lossy(valid);
    let last_line = lines.rsplit('\n').next().unwrap_or_default();
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
    Err(Problem {
        severity: Severity::Error,
        file: name.to_owned(),
        line: bounded(1 + lines.matches('\n').count()),
        column: bounded(1 + last_line.chars().count()),
        path: String::new(),
        message: format!("the config is not UTF-8: byte 0x{byte:02x}"),
        hint: Some(if is_utf16 {
            "it looks like UTF-16: save it as UTF-8".to_owned()
        } else {
            "save it as UTF-8".to_owned()
        }),
    })
}

/// Gives what was read its final form; notices stay also where errors stand.
pub(crate) fn finish(reader: Reader<'_>, run: Option<Run>) -> Loaded {
    let (errors, notices) = reader.report.finish();
    let (spec, media_bytes_max) = match run {
        Some(run) if errors.is_empty() => (Ok(run.spec), run.media_bytes_max),
        Some(_) | None => (Err(errors), BTreeMap::new()),
    };
    Loaded { spec, notices, media_bytes_max }
}

/// Reads the whole tree. `None` comes with at least one error.
pub(crate) fn read(reader: &mut Reader<'_>, root: &Node, overrides: &Overrides) -> Option<Run> {
    if root.is_null() || !matches!(root.kind, Kind::Map(_)) {
        let message = format!("a config is a map of keys, found {}", root.noun());
        let hint = "begin with `agents:`".to_owned();
        reader.error(root.at, "", message, Some(hint));
        return None;
    }
    let mut top = Section::open(reader, root, String::new(), &TOP)?;
    if is_v1(reader, &top) {
        return None;
    }
    let mut team = team(reader, &mut top, overrides);
    let mut rates = RateTable::default();
    if let Some(field) = top.given("rate_limits") {
        rates.read(reader, field.node, field.path);
    }
    if let Some(table) = &overrides.rate_limits {
        rates.extend(table);
    }
    let common = Common { timeouts: team.timeouts, rates: &rates, tools: team.tools };
    let roster = agents(reader, &mut top, common);
    let Roster { mut agents, media_bytes_max, wishes } = roster;
    take_wishes(reader, &mut team.files, &wishes);
    let question = question(reader, &mut top, overrides);
    top.finish(reader);
    if let Some(system_message) = &overrides.system_message {
        for agent in &mut agents {
            agent.system_message = Some(system_message.clone());
        }
    }
    let unpriced = agents.iter().find(|agent| agent.backend.prices == Prices::default());
    if let (Some((at, path)), Some(agent)) = (&team.cost_at, unpriced) {
        let message = format!("calls of `{}` cost nothing to this budget", agent.id);
        let hint = "give every `backend` its `prices` (US dollars for a million tokens)";
        reader.report.notice(*at, path, message, Some(hint.to_owned()));
    }
    let question = question?;
    let Team { policy, seed, prompts_dir, files, .. } = team;
    let seed = seed.unwrap_or_else(|| seed_of(&question));
    let question = Question { text: question };
    let toolsets = Vec::new();
    let spec = RunSpec { question, agents, policy, seed, prompts_dir, files, toolsets };
    Some(Run { spec, media_bytes_max })
}

/// A config of the first MassGen shares nothing with ours but its ending.
fn is_v1(reader: &mut Reader<'_>, top: &Section<'_>) -> bool {
    let Some((key, at)) = V1_MARKERS.iter().find_map(|key| Some((*key, top.place_of(key)?))) else {
        return false;
    };
    let message = format!("`{key}` belongs to configs of MassGen before 0.1");
    let hint = "write the team as `agents:`, each with an `id` and a `backend`".to_owned();
    reader.error(at, key, message, Some(hint));
    true
}

fn question(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    overrides: &Overrides,
) -> Option<String> {
    let field = top.given("prompt");
    let mut at = field.as_ref().map_or(Place::default(), |field| field.node.at);
    let n_errors = reader.report.n_errors();
    let mut question = reader.text(field);
    if let Some(asked) = &overrides.question {
        question = Some(asked.clone());
        at = Place::default();
    }
    if question.is_none() && reader.report.n_errors() > n_errors {
        return None;
    }
    let question = question.unwrap_or_default();
    if question.trim().is_empty() {
        let hint = "give it on the command line, or as `prompt:`".to_owned();
        reader.error(at, "prompt", "there is no question".to_owned(), Some(hint));
        return None;
    }
    if question.len() > QUESTION_BYTES_MAX {
        let message = format!(
            "the question is too long: {} bytes, at most {QUESTION_BYTES_MAX}",
            question.len()
        );
        reader.error(at, "prompt", message, None);
        return None;
    }
    Some(question)
}

/// The same question gives the same run where nothing else is random (FNV-1a).
fn seed_of(question: &str) -> u64 {
    question.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
