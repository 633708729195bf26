//! What the agents of a run work with: folders, tools, and what confines them. Made before
//! the run starts, and the same again when it goes on.

mod files;
mod final_files;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use massgen_log::{ReservedRun, RunDir};
use massgen_protocol::{
    Access, AgentIndex, ApprovalBy, CommandSpec, ContextTold, Drift, EventBody, McpTransport,
    PlacesTold, RunId, RunSpec, SandboxMode, SandboxSpec, Tooling,
};
use massgen_runtime::Seams;
use massgen_sandbox::{Confinement, Rung, Sandbox};
use massgen_tools::gate::{Gate, Setting};
use massgen_tools::host::{Host, Kit};
use massgen_tools::mcp::{Outcome, Rooms, Servers, Wanted};
use massgen_tools::{Equipment, builtin, python};
use massgen_workspace::{Guard, Limits, RunPlaces, Store, ViewMode};

use crate::approvals;
use crate::cli::GlobalArgs;
use crate::command::sandbox;
use crate::error::CliError;

pub use files::Files;
use files::Shelf;

/// Folder of a run that holds the copies of workspaces.
pub const SNAPSHOTS: &str = "snapshots";

/// What a run is started with besides its spec.
#[derive(Default)]
pub struct Equipped {
    pub seams: Seams,
    pub reserved: Option<ReservedRun>,
    pub opening: Vec<EventBody>,
    pub held: Option<Held>,
}

/// What lasts as long as the run.
pub struct Held {
    pub files: Arc<Files>,
    pub servers: Option<Servers>,
    /// Where the winner's files go besides the run's folder.
    pub output_dir: Option<PathBuf>,
    /// Changes to the user's own files are shown first.
    pub confirm: bool,
    pub drift: Drift,
}

impl Held {
    /// Ends what still runs.
    pub async fn close(self) {
        if let Some(servers) = self.servers {
            servers.close().await;
        }
    }
}

/// Which run it is for.
pub enum For<'a> {
    New,
    /// Its spec tells what its agents were offered; that stays.
    Resumed(&'a RunDir),
}

/// Makes what the agents of a run work with, and writes it into the spec of a new one.
///
/// # Errors
/// What stands in the way of the run: a folder, a rule, a protection that is required.
pub async fn equip(
    spec: &mut RunSpec,
    run: For<'_>,
    global: &GlobalArgs,
) -> Result<Equipped, CliError> {
    let has_files: Vec<bool> = spec
        .agents
        .iter()
        .map(|agent| !agent.tooling.is_empty() || agent.backend.program.is_some())
        .collect();
    if !has_files.contains(&true) {
        return Ok(Equipped::default());
    }
    let (id, path, reserved) = match run {
        For::New => {
            let now = std::time::SystemTime::now();
            let reserved =
                RunDir::reserve(&global.state_dir, now).map_err(crate::command::runs::from_log)?;
            (reserved.id.clone(), reserved.path.clone(), Some(reserved))
        }
        For::Resumed(run) => (run.id().clone(), run.path().to_owned(), None),
    };
    let bench = Workshop::open(spec, &id, &path, &has_files, global)?;
    let mut opening = Vec::new();
    let sandboxes = bench.sandboxes(spec, &mut opening)?;
    let files = Arc::new(bench.files(spec, &sandboxes)?);
    let (host, servers) = bench.host(spec, &files, &sandboxes, global, &mut opening).await?;
    if matches!(run, For::New) {
        bench.write_down(spec, &host, &files);
    }
    let confirm = spec.files.confirm;
    let output_dir = spec.files.output_dir.as_ref().map(PathBuf::from);
    let seams = Seams {
        snapshots: Arc::new(Shelf(files.clone())),
        tools: Arc::new(tools::Bench { host: Arc::new(host), is_sole: files.is_sole }),
    };
    Ok(Equipped {
        seams,
        reserved,
        opening,
        held: Some(Held { files, servers, output_dir, confirm, drift: spec.files.drift }),
    })
}

/// The folders of a run, before there is anything in them.
struct Workshop {
    run_path: PathBuf,
    state_dir: PathBuf,
    places: RunPlaces,
    store: Store,
}

impl Workshop {
    fn open(
        spec: &RunSpec,
        id: &RunId,
        run_path: &Path,
        has_files: &[bool],
        global: &GlobalArgs,
    ) -> Result<Workshop, CliError> {
        let rooms: Vec<_> = spec
            .agents
            .iter()
            .zip(0_u16..)
            .zip(has_files)
            .map(|((agent, at), has_files)| {
                (AgentIndex(at).alias(), has_files.then(|| wished_folder(agent)))
            })
            .collect();
        let state_dir = absolute(&global.state_dir);
        let places = RunPlaces::create(&state_dir, id, &rooms).map_err(|error| {
            CliError::configuration("failed to make the agents' folders")
                .because(error)
                .hint("give each agent a `cwd` of its own, or none")
        })?;
        let store = Store::open(&run_path.join(SNAPSHOTS), Limits::default()).map_err(|error| {
            CliError::execution("failed to open the run's snapshots").because(error.full_text())
        })?;
        Ok(Workshop { run_path: absolute(run_path), state_dir, places, store })
    }

    /// Finds what confines each agent's commands: one sandbox for each way they want it.
    fn sandboxes(
        &self,
        spec: &RunSpec,
        opening: &mut Vec<EventBody>,
    ) -> Result<BTreeMap<SandboxMode, Arc<Sandbox>>, CliError> {
        let helper = sandbox::helper()?;
        let mut found = BTreeMap::new();
        let mut modes: Vec<SandboxMode> = spec
            .agents
            .iter()
            .filter(|agent| runs_programs(&agent.tooling))
            .map(|agent| mode_of(spec, &agent.tooling))
            .collect();
        let are_needed = !modes.is_empty();
        // Whoever runs nothing is confined by the guard of the files alone.
        modes.push(spec.files.sandbox.mode);
        for mode in modes {
            if found.contains_key(&mode) {
                continue;
            }
            let wish = SandboxSpec { mode, ..spec.files.sandbox.clone() };
            let sandbox = Sandbox::probe(&wish, helper.clone()).map_err(|refused| {
                let remedy = refused.remedy.clone();
                CliError::configuration(refused.to_string()).hint(remedy)
            })?;
            if are_needed {
                opening.push(EventBody::SandboxChosen {
                    rung: sandbox.rung().name().to_owned(),
                    missing: sandbox.missing().to_vec(),
                });
            }
            found.insert(mode, Arc::new(sandbox));
        }
        Ok(found)
    }

    fn files(
        &self,
        spec: &RunSpec,
        sandboxes: &BTreeMap<SandboxMode, Arc<Sandbox>>,
    ) -> Result<Files, CliError> {
        let mut guards = BTreeMap::new();
        for at in 0..spec.agents.len() {
            let agent = AgentIndex(u16::try_from(at).unwrap_or(u16::MAX));
            let Some(places) = self.places.of(agent) else { continue };
            let guard = Guard::new(places, &spec.files.context_paths, &self.forbidden(agent))
                .map_err(|error| {
                    CliError::configuration("failed to open the agents' folders")
                        .because(error.full_text())
                })?;
            let tooling = &spec.agents[at].tooling;
            let sandbox = sandboxes.get(&mode_of(spec, tooling));
            let is_confined = sandbox.is_some_and(|sandbox| sandbox.rung() != Rung::Off);
            // Whoever is not kept from it might write to what all read.
            let is_program = spec.agents[at].backend.program.is_some();
            let mode = match (is_program || !is_confined, runs_programs(tooling)) {
                (true, _) => ViewMode::Copied,
                (false, true) => ViewMode::Auto,
                (false, false) => ViewMode::Linked,
            };
            guards.insert(agent, (Arc::new(guard), mode));
        }
        let is_sole = spec.agents.len() == 1 && !spec.policy.sole_agent_votes;
        let (store, places) = (self.store.clone(), self.places.clone());
        Ok(Files::new(store, places, guards, &spec.files, is_sole, &self.run_path))
    }

    /// Never to be read by this agent, wherever it lies.
    fn forbidden(&self, agent: AgentIndex) -> Vec<PathBuf> {
        let mut forbidden = self.places.hidden_from(agent);
        forbidden.push(self.state_dir.clone());
        forbidden
    }

    async fn host(
        &self,
        spec: &RunSpec,
        files: &Arc<Files>,
        sandboxes: &BTreeMap<SandboxMode, Arc<Sandbox>>,
        global: &GlobalArgs,
        opening: &mut Vec<EventBody>,
    ) -> Result<(Host, Option<Servers>), CliError> {
        let mut equipment = BTreeMap::new();
        for (at, agent) in (0_u16..).zip(&spec.agents) {
            let agent_at = AgentIndex(at);
            let (Some(places), Some(guard)) = (self.places.of(agent_at), files.guard(agent_at))
            else {
                continue;
            };
            let mode = mode_of(spec, &agent.tooling);
            let Some(sandbox) = sandboxes.get(&mode).or_else(|| sandboxes.values().next()) else {
                continue;
            };
            equipment.insert(
                agent_at,
                Equipment {
                    agent: agent_at,
                    guard,
                    sandbox: sandbox.clone(),
                    confinement: self.confinement(spec, &agent.tooling, agent_at, files),
                    workspace: places.workspace.clone(),
                },
            );
        }
        let servers = self.servers(spec, &equipment, opening).await;
        let is_attended = approvals::is_somebody_there(global);
        let mut kits = Vec::new();
        for (at, agent) in (0_u16..).zip(&spec.agents) {
            let agent_at = AgentIndex(at);
            let mut sources = Vec::new();
            let mut gate = None;
            if let Some(equipment) = equipment.get(&agent_at) {
                let tooling = tooling_of(agent);
                let keeper = files.keeper(agent_at);
                sources.push(builtin::source(&tooling, equipment, keeper));
                if !tooling.python_tools.is_empty() {
                    sources.push(python::source(&tooling.python_tools, equipment).await);
                }
                if let Some(servers) = &servers {
                    sources.push(servers.source(agent_at));
                }
                let setting = Setting {
                    equipment: Some(equipment.clone()),
                    is_attended: is_attended || spec.files.approval.by == ApprovalBy::File,
                    home: std::env::var("HOME").ok(),
                };
                let made = Gate::new(&tooling, &spec.files, setting).map_err(|error| {
                    CliError::configuration(format!("agent `{}` cannot be given tools", agent.id))
                        .because(error)
                })?;
                gate = Some(Arc::new(made));
            }
            kits.push(Kit { sources, exclude: agent.tooling.exclude_tools.clone(), gate });
        }
        Ok((Host::new(kits), servers))
    }

    async fn servers(
        &self,
        spec: &RunSpec,
        equipment: &BTreeMap<AgentIndex, Equipment>,
        opening: &mut Vec<EventBody>,
    ) -> Option<Servers> {
        let wanted: Vec<Wanted<'_>> = (0_u16..)
            .zip(&spec.agents)
            .filter(|(_, agent)| !agent.tooling.mcp_servers.is_empty())
            .filter_map(|(at, agent)| {
                Some(Wanted::of(&agent.tooling, equipment.get(&AgentIndex(at))?))
            })
            .collect();
        if wanted.is_empty() {
            return None;
        }
        let rooms = Rooms {
            scratch: self.places.dir().join("servers"),
            cache: self.state_dir.join("cache").join("servers"),
        };
        let servers = Servers::start(&wanted, &rooms).await;
        for started in servers.started() {
            let Outcome::Missing { why } = &started.outcome else { continue };
            let agent = started.agents.first().copied().unwrap_or(AgentIndex(0));
            let what = format!("the server `{}` is missing: {why}", started.server);
            opening.push(EventBody::ToolNotice { agent, what });
        }
        Some(servers)
    }

    fn confinement(
        &self,
        spec: &RunSpec,
        tooling: &Tooling,
        agent: AgentIndex,
        files: &Files,
    ) -> Confinement {
        let Some(places) = self.places.of(agent) else {
            unreachable!("asked for agents that have folders only")
        };
        let commands = tooling.commands.clone().unwrap_or_default();
        let CommandSpec { network, timeout_ms, .. } = commands;
        let mut limits = spec.files.sandbox.limits;
        limits.time_ms = timeout_ms.unwrap_or(limits.time_ms).max(limits.time_ms);
        let mut read: Vec<PathBuf> =
            spec.files.context_paths.iter().map(|path| PathBuf::from(&path.path)).collect();
        read.push(files.shared_trees());
        let write = vec![
            places.workspace.clone(),
            places.temp.clone(),
            places.scratch.clone(),
            files.copies_of(agent),
        ];
        Confinement {
            cwd: places.workspace.clone(),
            write,
            read,
            hidden: self.places.hidden_from(agent),
            scratch: Some(places.scratch.clone()),
            network: network.unwrap_or(spec.files.sandbox.network),
            limits,
        }
    }

    /// Writes down what a resumed run has to find again.
    fn write_down(&self, spec: &mut RunSpec, host: &Host, files: &Files) {
        let (toolsets, of_agents) = host.toolsets();
        spec.toolsets = toolsets;
        let context = spec.files.context_paths.clone();
        for ((at, agent), toolset) in (0_u16..).zip(&mut spec.agents).zip(of_agents) {
            agent.toolset = toolset;
            let Some(places) = self.places.of(AgentIndex(at)) else { continue };
            let told = context.iter().enumerate().map(|(n, path)| ContextTold {
                path: path.path.clone(),
                copy: (path.access == Access::Write)
                    .then(|| files.copy_of(AgentIndex(at), n).display().to_string()),
            });
            agent.places = Some(PlacesTold {
                workspace: places.workspace.display().to_string(),
                temp: places.temp.display().to_string(),
                context: told.collect(),
            });
            let fallbacks = agent.backend.fallbacks.iter_mut();
            let programs = fallbacks.filter_map(|spec| spec.program.as_mut());
            for program in programs.chain(agent.backend.program.as_mut()) {
                program.cwd = places.workspace.display().to_string();
            }
        }
    }
}

/// What an agent is given: one that is a program brings tools for files and commands itself.
fn tooling_of(agent: &massgen_protocol::AgentSpec) -> Tooling {
    let mut tooling = agent.tooling.clone();
    if agent.backend.program.is_some() {
        tooling.file_tools = false;
        tooling.commands = None;
        tooling.read_media = false;
        tooling.web_fetch = false;
    }
    tooling
}

/// Where an agent would like to work; what is not absolute is a folder of the run's own.
fn wished_folder(agent: &massgen_protocol::AgentSpec) -> String {
    let of_program = agent.backend.program.as_ref().map(|program| program.cwd.clone());
    let of_tools = agent.tooling.workspace.as_ref().map(|workspace| workspace.cwd.clone());
    of_tools.or(of_program).unwrap_or_else(|| "workspace".to_owned())
}

fn mode_of(spec: &RunSpec, tooling: &Tooling) -> SandboxMode {
    let own = tooling.commands.as_ref().and_then(|commands| commands.sandbox);
    own.unwrap_or(spec.files.sandbox.mode)
}

fn runs_programs(tooling: &Tooling) -> bool {
    let is_program = |transport: &McpTransport| matches!(transport, McpTransport::Stdio { .. });
    tooling.commands.is_some()
        || !tooling.python_tools.is_empty()
        || !tooling.hooks.is_empty()
        || tooling.mcp_servers.iter().any(|server| is_program(&server.transport) && !server.trusted)
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.canonicalize().unwrap_or(path)
}
