//! All servers of a team.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use massgen_protocol::{AgentIndex, McpServerSpec, Tooling};
use massgen_sandbox::{Confinement, Sandbox};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::catalogue::{Filter, Listed};
use super::launch::{Launch, Seat};
use super::limits::{SHUTDOWN, STARTS_MAX};
use super::server::Server;
use super::source::{Member, Source};
use crate::{Equipment, Sourced};

/// The servers one agent asks for, and what it has.
#[derive(Clone)]
pub struct Wanted<'a> {
    pub agent: AgentIndex,
    pub servers: &'a [McpServerSpec],
    /// The agent's own list; a server's replaces it.
    pub allowed_tools: Option<&'a [String]>,
    pub exclude_tools: &'a [String],
    pub sandbox: Arc<Sandbox>,
    /// What the agent's commands may touch; a server of its own may touch the same.
    pub confinement: Confinement,
    /// Where its servers run and what they are told to work with.
    pub workspace: Option<PathBuf>,
}

impl<'a> Wanted<'a> {
    pub fn of(tooling: &'a Tooling, equipment: &Equipment) -> Wanted<'a> {
        Wanted {
            agent: equipment.agent,
            servers: &tooling.mcp_servers,
            allowed_tools: tooling.allowed_tools.as_deref(),
            exclude_tools: &tooling.exclude_tools,
            sandbox: equipment.sandbox.clone(),
            confinement: equipment.confinement.clone(),
            workspace: Some(equipment.workspace.clone()),
        }
    }
}

/// Folders for servers.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Of this run: home directories and temporary files.
    pub scratch: PathBuf,
    /// Of all runs: what launchers fetched.
    pub cache: PathBuf,
}

/// How the start of a server went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    pub server: String,
    /// One, or all that share it.
    pub agents: Vec<AgentIndex>,
    pub took: Duration,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It listed so many tools; the version is that of the protocol.
    There { tools: usize, version: String },
    /// Why not, a clause about «it».
    Missing { why: String },
}

/// The servers of a run. Dropping the sources and this ends them without waiting; [`close`]
/// waits until they have ended.
///
/// [`close`]: Servers::close
pub struct Servers {
    servers: Vec<Arc<Server>>,
    agents: BTreeMap<AgentIndex, (Source, Vec<String>)>,
    started: Vec<Started>,
}

/// A server to be started, and who gets its tools.
struct Plan {
    server: Arc<Server>,
    agents: Vec<AgentIndex>,
}

/// What a server was found to offer.
struct Found {
    tools: Vec<Listed>,
    problems: Vec<String>,
}

impl Servers {
    /// Starts all servers side by side, each within its own bound. A server that does not start
    /// is missing, in words, and keeps nobody else from starting.
    pub async fn start(wanted: &[Wanted<'_>], rooms: &Rooms) -> Servers {
        let plans = plan(wanted, rooms);
        let slots = Semaphore::new(STARTS_MAX);
        let mut turns: BTreeMap<String, Mutex<()>> = BTreeMap::new();
        for turn in plans.iter().filter_map(|plan| plan.server.launch().turn()) {
            turns.entry(turn).or_default();
        }
        let (slots, turns) = (&slots, &turns);
        let found = join_all(plans.iter().map(|plan| async move {
            let turn = plan.server.launch().turn().and_then(|turn| turns.get(&turn));
            let _turn = match turn {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            // Closed is what it never is.
            let _slot = slots.acquire().await;
            let begun = Instant::now();
            let found = plan.server.start().await.map(|connection| {
                let (tools, problems) = (connection.tools.clone(), connection.problems.clone());
                (Found { tools, problems }, connection.version.clone())
            });
            (begun.elapsed(), found)
        }))
        .await;
        let mut started = Vec::new();
        let mut offers = Vec::new();
        for (plan, (took, found)) in plans.iter().zip(found) {
            let (offer, outcome) = match found {
                Ok((found, version)) => {
                    let tools = found.tools.len();
                    (Ok(found), Outcome::There { tools, version })
                }
                Err(why) => (Err(why.clone()), Outcome::Missing { why }),
            };
            let server = plan.server.name().to_owned();
            started.push(Started { server, agents: plan.agents.clone(), took, outcome });
            offers.push(offer);
        }
        let agents = wanted.iter().map(|wish| (wish.agent, offer(wish, &plans, &offers))).collect();
        Servers { servers: plans.into_iter().map(|plan| plan.server).collect(), agents, started }
    }

    /// Returns an agent's tools, and what of them is missing.
    pub fn source(&self, agent: AgentIndex) -> Sourced {
        match self.agents.get(&agent) {
            Some((source, missing)) => {
                Sourced { source: Arc::new(source.clone()), missing: missing.clone() }
            }
            None => Sourced { source: Arc::new(Source::new(Vec::new())), missing: Vec::new() },
        }
    }

    /// Returns how the starts went, in the order of the agents and their configs.
    pub fn started(&self) -> &[Started] {
        &self.started
    }

    /// Ends all servers and waits for it, up to a bound after which they are ended by force.
    pub async fn close(&self) {
        let closing = join_all(self.servers.iter().map(|server| server.close()));
        let _ = timeout(SHUTDOWN + Duration::from_secs(1), closing).await;
    }
}

/// Returns one server for each that is shared, and else one for each agent.
fn plan(wanted: &[Wanted<'_>], rooms: &Rooms) -> Vec<Plan> {
    let mut plans: Vec<Plan> = Vec::new();
    for wish in wanted {
        for (at, spec) in wish.servers.iter().enumerate() {
            if wish.servers[..at].iter().any(|other| other.name == spec.name) {
                continue;
            }
            if let Some(plan) = shared(&mut plans, spec) {
                plan.agents.push(wish.agent);
                continue;
            }
            let who = if spec.shared {
                "shared".to_owned()
            } else {
                format!("agent{}", wish.agent.0 + 1)
            };
            let scratch = rooms.scratch.join(who).join(folder(&spec.name, plans.len()));
            let mut confinement = wish.confinement.clone();
            let mut workspace = wish.workspace.clone();
            if spec.shared {
                // No agent's: through a server for all, one could write to another's files.
                confinement.write.clear();
                confinement.cwd.clone_from(&scratch);
                workspace = None;
            }
            let seat = Seat {
                sandbox: wish.sandbox.clone(),
                confinement,
                workspace,
                scratch,
                cache: rooms.cache.clone(),
            };
            let launch = Launch { spec: spec.clone(), seat };
            plans.push(Plan { server: Arc::new(Server::new(launch)), agents: vec![wish.agent] });
        }
    }
    plans
}

/// Returns the server that this spec shares with another agent.
fn shared<'p>(plans: &'p mut [Plan], spec: &McpServerSpec) -> Option<&'p mut Plan> {
    let same = |other: &McpServerSpec| {
        (&other.name, &other.transport, other.trusted, other.connect_ms, other.call_ms)
            == (&spec.name, &spec.transport, spec.trusted, spec.connect_ms, spec.call_ms)
    };
    plans.iter_mut().find(|plan| {
        let other = &plan.server.launch().spec;
        spec.shared && other.shared && same(other)
    })
}

/// Returns a name for a folder that no other server has.
fn folder(server: &str, number: usize) -> String {
    let plain: String =
        server.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
    format!("{plain}-{number}")
}

/// Returns an agent's tools, and in words what it does not get.
fn offer(
    wish: &Wanted<'_>,
    plans: &[Plan],
    offers: &[Result<Found, String>],
) -> (Source, Vec<String>) {
    let mut members = Vec::new();
    let mut missing = Vec::new();
    for (at, spec) in wish.servers.iter().enumerate() {
        let name = &spec.name;
        if wish.servers[..at].iter().any(|other| other.name == *name) {
            missing.push(format!("Two MCP servers are called {name}; the first one counts."));
            continue;
        }
        let filter = Filter::new(spec, wish.allowed_tools, wish.exclude_tools);
        let its = |plan: &Plan| plan.agents.contains(&wish.agent) && plan.server.name() == name;
        let Some((plan, offer)) = plans.iter().zip(offers).find(|(plan, _)| its(plan)) else {
            continue;
        };
        let server = plan.server.clone();
        match offer {
            Ok(found) => {
                for problem in &found.problems {
                    missing.push(format!("The MCP server {name}: {problem}."));
                }
                for tool in filter.unknown(name, &found.tools) {
                    missing.push(format!("The MCP server {name} has no tool `{tool}`."));
                }
                members.push(Member { server, filter, tools: found.tools.clone() });
            }
            Err(why) => {
                missing.push(format!("The MCP server {name} and all its tools: {why}."));
                members.push(Member { server, filter, tools: Vec::new() });
            }
        }
    }
    (Source::new(members), missing)
}
