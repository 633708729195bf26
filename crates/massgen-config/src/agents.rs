//! The roster.

use std::collections::{BTreeMap, BTreeSet};

use massgen_protocol::{AgentId, AgentSpec, CallTimeouts};

use crate::backend::{Around, Backend, Place as Standing, backend, file_name};
use crate::known::AGENT;
use crate::media::MEDIA_BYTES_MAX_DEFAULT;
use crate::node::{Kind, Node};
use crate::problem::{Place, shown};
use crate::rate_limits::RateTable;
use crate::reader::Reader;
use crate::section::Section;
use crate::sensitivity::sensitivity;
use crate::tooling::{TeamTools, Tools, Wishes};

/// Largest team. One process has been seen to run a thousand.
pub(crate) const AGENTS_MAX: usize = 5_000;

/// Longest name of an agent.
const ID_CHARS_MAX: usize = 100;

/// The agents, and what of them is no part of a spec.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    pub agents: Vec<AgentSpec>,
    /// Largest file that an agent is shown, where it is another than usual.
    pub media_bytes_max: BTreeMap<AgentId, u64>,
    /// What agents say for the whole team, in their order.
    pub wishes: Vec<Wishes>,
}

/// What every agent's backend is read with.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    pub timeouts: CallTimeouts,
    pub rates: &'a RateTable,
    pub tools: TeamTools,
}

/// Reads `agents`, or `agent` for a team of one.
pub(crate) fn agents(reader: &mut Reader<'_>, top: &mut Section<'_>, common: Common<'_>) -> Roster {
    let (many, one) = (top.take("agents"), top.take("agent"));
    let nodes: Vec<(&Node, String)> = match (&many, &one) {
        (Some(many), Some(one)) => {
            let (first, second) = if one.key_at < many.key_at { (one, many) } else { (many, one) };
            let message = "both `agents` and `agent` are given".to_owned();
            let hint = format!("move all into `agents`; see also line {}", first.key_at.line);
            reader.error(second.key_at, &second.path, message, Some(hint));
            Vec::new()
        }
        (Some(field), None) => match &field.node.kind {
            Kind::List(items) => {
                let path = |n| format!("{}[{n}]", field.path);
                items.iter().enumerate().map(|(n, item)| (item, path(n))).collect()
            }
            Kind::Scalar { .. } if field.node.is_null() => Vec::new(),
            Kind::Scalar { .. } | Kind::Map(_) => {
                reader.mismatch(field, "a list of agents");
                return Roster::default();
            }
        },
        (None, Some(field)) => vec![(field.node, field.path.clone())],
        (None, None) => Vec::new(),
    };
    if nodes.is_empty() && many.is_some() != one.is_some() || (many.is_none() && one.is_none()) {
        let at = many.or(one).map_or(top.at, |field| field.key_at);
        let hint = "list at least one under `agents:`, each with a `backend`".to_owned();
        reader.error(at, &top.path_of("agents"), "the team has no agents".to_owned(), Some(hint));
    }
    if let Some((node, path)) = nodes.get(AGENTS_MAX) {
        let message = format!("{} agents, at most {AGENTS_MAX} are taken", nodes.len());
        reader.error(node.at, path, message, None);
        return Roster::default();
    }
    let mut ids: BTreeMap<String, Place> = BTreeMap::new();
    let mut roster = Roster::default();
    let mut folders: BTreeSet<String> = BTreeSet::new();
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for (n, (node, path)) in nodes.into_iter().enumerate() {
        let Some(read) = agent(reader, node, path, n, common, &mut ids) else { continue };
        let Read { mut agent, media_bytes_max, tools } = read;
        refuse_shared_folder(reader, &tools, &mut places);
        roster.wishes.push(tools.wishes);
        agent.tooling = tools.tooling;
        if let Some(program) = &mut agent.backend.program {
            program.cwd = own_folder(&program.cwd, &agent.id, &mut folders);
        }
        if media_bytes_max != MEDIA_BYTES_MAX_DEFAULT {
            roster.media_bytes_max.insert(agent.id.clone(), media_bytes_max);
        }
        roster.agents.push(agent);
    }
    roster
}

/// Two agents that work in one folder would overwrite each other's files; a folder that
/// lies elsewhere is the user's own business.
fn own_folder(cwd: &str, agent: &AgentId, taken: &mut BTreeSet<String>) -> String {
    let is_theirs = cwd.starts_with('/');
    let own = if is_theirs || !taken.contains(cwd) {
        cwd.to_owned()
    } else {
        format!("{}-{}", cwd.trim_end_matches('/'), file_name(&agent.0))
    };
    taken.insert(own.clone());
    own
}

/// A folder that is named in full is used as it is: two agents in it would be one.
fn refuse_shared_folder(
    reader: &mut Reader<'_>,
    tools: &Tools,
    places: &mut BTreeMap<String, Place>,
) {
    let (Some(workspace), Some((at, path))) = (&tools.tooling.workspace, &tools.cwd_at) else {
        return;
    };
    let cwd = workspace.cwd.trim_end_matches('/');
    if !cwd.starts_with('/') {
        return;
    }
    if let Some(first) = places.get(cwd) {
        let message = format!("two agents work in `{}`", shown(cwd));
        let hint = format!(
            "the first is in line {}; a relative `cwd` gives each a folder of its own",
            first.line
        );
        reader.error(*at, path, message, Some(hint));
        return;
    }
    places.insert(cwd.to_owned(), *at);
}

/// An agent as it was read.
struct Read {
    agent: AgentSpec,
    media_bytes_max: u64,
    tools: Tools,
}

fn agent(
    reader: &mut Reader<'_>,
    node: &Node,
    path: String,
    n: usize,
    common: Common<'_>,
    ids: &mut BTreeMap<String, Place>,
) -> Option<Read> {
    let mut section = Section::open(reader, node, path, &AGENT)?;
    let id = id(reader, &mut section, n, ids);
    let system_message = reader.text(section.given("system_message"));
    let system_message = system_message.filter(|text| !text.trim().is_empty());
    let voting_sensitivity = sensitivity(reader, section.given("voting_sensitivity"));
    let backend_field = section.take("backend");
    let backend = match backend_field {
        Some(field) if !field.node.is_null() => {
            let agent = id.as_deref().unwrap_or_default();
            let Common { timeouts, rates, tools } = common;
            let around = Around { timeouts, rates, agent, place: Standing::OfAgent, tools };
            backend(reader, field.node, field.path, around)
        }
        Some(_) | None => {
            let at = backend_field.map_or(section.at, |field| field.key_at);
            let message = "this agent has no `backend`".to_owned();
            let hint = "add `backend:` with `type` and `model`".to_owned();
            reader.error(at, &section.path_of("backend"), message, Some(hint));
            None
        }
    };
    section.finish(reader);
    let (id, Backend { spec, media, media_bytes_max, tools }) = (AgentId(id?), backend?);
    let agent =
        AgentSpec { system_message, voting_sensitivity, media, ..AgentSpec::new(id.0, spec) };
    Some(Read { agent, media_bytes_max, tools })
}

fn id(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    n: usize,
    ids: &mut BTreeMap<String, Place>,
) -> Option<String> {
    let field = section.given("id");
    let (at, path) = match &field {
        Some(field) => (field.node.at, field.path.clone()),
        None => (section.at, section.path_of("id")),
    };
    let written = field.as_ref().map(|field| shown(field.written()));
    let id = if field.is_some() { reader.text(field)? } else { format!("agent{}", n + 1) };
    let id = id.trim().to_owned();
    let written = written.unwrap_or_else(|| id.clone());
    if id.is_empty() || id.chars().count() > ID_CHARS_MAX || id.contains(char::is_control) {
        let message =
            format!("an `id` is one line of 1 to {ID_CHARS_MAX} characters, found `{written}`");
        reader.error(at, &path, message, None);
        return None;
    }
    if let Some(first) = ids.get(&id) {
        let message = format!("two agents are called `{written}`");
        let hint = if first.line > 0 {
            format!("the first is in line {}; every agent needs its own `id`", first.line)
        } else {
            "every agent needs its own `id`".to_owned()
        };
        reader.error(at, &path, message, Some(hint));
        return None;
    }
    ids.insert(id.clone(), at);
    Some(id)
}
