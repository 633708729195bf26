//! An agent's desk: its folders, a guard, a sandbox, and its tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use massgen_protocol::{
    AgentIndex, NetworkPolicy, RoundId, RoundKind, SandboxLimits, SandboxSpec, SnapshotId,
    ToolCallId, ToolOutput, ToolReport, Tooling,
};
use massgen_sandbox::{Confinement, Helper, Sandbox};
use massgen_tools::builtin::{self, InsightKeeper};
use massgen_tools::{Equipment, Invocation, Reports, Sourced, ToolSource};
use massgen_workspace::{Guard, Places};
use serde_json::Value;
use tempfile::TempDir;

pub struct Desk {
    dir: TempDir,
    pub equipment: Equipment,
}

/// What calls reported.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<ToolReport>>>);

/// Says which files it was asked to keep.
#[derive(Default)]
pub struct Keeper(pub Mutex<Vec<PathBuf>>);

impl InsightKeeper for Keeper {
    fn keep(&self, path: &Path) -> Result<SnapshotId, String> {
        self.0.lock().unwrap().push(path.to_path_buf());
        Ok(SnapshotId(format!("snapshot-{}", path.display())))
    }
}

impl Desk {
    pub fn new() -> Desk {
        Desk::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Confinement)) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| fs::canonicalize(dir.path()).unwrap().join(name);
        for name in ["workspace", "temp/agent2", "scratch", "other", "tools"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("other/secret.txt"), "the other's secret").unwrap();
        let places =
            Places { workspace: at("workspace"), temp: at("temp"), scratch: at("scratch") };
        let guard = Guard::new(&places, &[], &[at("other")]).unwrap();
        let mut confinement = Confinement {
            cwd: at("workspace"),
            write: vec![at("workspace"), at("temp"), at("scratch")],
            read: vec![],
            hidden: vec![],
            scratch: Some(at("scratch")),
            network: NetworkPolicy::Off,
            limits: SandboxLimits { time_ms: 20_000, ..SandboxLimits::default() },
        };
        change(&mut confinement);
        let equipment = Equipment {
            agent: AgentIndex(0),
            guard: Arc::new(guard),
            sandbox: sandbox(),
            confinement,
            workspace: at("workspace"),
        };
        Desk { dir, equipment }
    }

    pub fn at(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join(path)
    }

    /// Puts a file of the user's beside the workspace.
    pub fn tool_file(&self, name: &str, content: &str) -> String {
        let path = self.at("tools").join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub fn tools(&self, tooling: &Tooling) -> Sourced {
        builtin::source(tooling, &self.equipment, Arc::new(Keeper::default()))
    }
}

/// The one this machine offers, looked for once.
fn sandbox() -> Arc<Sandbox> {
    static FOUND: OnceLock<Arc<Sandbox>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let helper = Helper {
            program: PathBuf::from(env!("CARGO_BIN_EXE_massgen-tools-helper")),
            args: vec![],
        };
        Arc::new(Sandbox::probe(&SandboxSpec::default(), helper).unwrap())
    });
    found.clone()
}

impl Heard {
    pub fn reports(&self) -> Reports {
        let heard = self.0.clone();
        Reports::new(move |report| heard.lock().unwrap().push(report))
    }

    pub fn all(&self) -> Vec<ToolReport> {
        self.0.lock().unwrap().clone()
    }

    /// What was printed so far.
    pub fn printed(&self) -> String {
        let text = |report| match report {
            ToolReport::Output { text } => Some(text),
            _ => None,
        };
        self.all().into_iter().filter_map(text).collect()
    }
}

pub async fn call(source: &Arc<dyn ToolSource>, name: &str, arguments: Value) -> ToolOutput {
    call_with(source, name, arguments, Reports::none()).await
}

pub async fn call_with(
    source: &Arc<dyn ToolSource>,
    name: &str,
    arguments: Value,
    reports: Reports,
) -> ToolOutput {
    let Value::Object(arguments) = arguments else { panic!("not an object") };
    let agent = AgentIndex(0);
    let call = Invocation {
        agent,
        round: RoundId { agent, n: 1 },
        kind: RoundKind::Coordinate,
        id: ToolCallId("call".to_owned()),
        name: name.to_owned(),
        arguments,
        reports,
    };
    source.call(call).await
}

#[track_caller]
pub fn ok(output: ToolOutput) -> String {
    assert!(!output.is_error, "{}", output.text);
    output.text
}

#[track_caller]
pub fn refused(output: &ToolOutput, expected: &str) {
    assert!(output.is_error && output.text.contains(expected), "{output:?}");
}
