//! A machine in small: a home, workspaces and the sandboxes that work here.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use massgen_protocol::{NetworkPolicy, SandboxLimits, SandboxSpec};
use massgen_sandbox::{Confinement, Helper, Outcome, Run, Rung, Sandbox};

pub fn helper() -> Helper {
    Helper { program: PathBuf::from(env!("CARGO_BIN_EXE_massgen-sandbox-helper")), args: vec![] }
}

/// Every sandbox that works on this machine, with its name. What does not is said once.
pub fn sandboxes() -> &'static [(&'static str, Sandbox)] {
    static FOUND: OnceLock<Vec<(&'static str, Sandbox)>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let spec = SandboxSpec::default();
        let tried = [
            ("bubblewrap", Sandbox::at(Rung::Bubblewrap, &spec, helper())),
            ("landlock with namespaces", Sandbox::landlock(&spec, helper(), true)),
            ("landlock", Sandbox::landlock(&spec, helper(), false)),
        ];
        let mut found = Vec::new();
        for (name, sandbox) in tried {
            match sandbox {
                Ok(sandbox) => found.push((name, sandbox)),
                Err(why) => eprintln!("not tested on this machine: {name}: {why}"),
            }
        }
        assert!(!found.is_empty(), "no sandbox works on this machine");
        found
    })
}

/// Folders of one agent, and what is none of its business.
pub struct World {
    pub root: tempfile::TempDir,
}

impl World {
    pub fn new() -> World {
        let world = World { root: tempfile::tempdir().unwrap() };
        for folder in ["agent1", "agent2", "temp/agent2", "scratch", "home/.ssh", "run/state"] {
            fs::create_dir_all(world.path(folder)).unwrap();
        }
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.root.path()).unwrap().join(name)
    }

    pub fn confinement(&self) -> Confinement {
        Confinement {
            cwd: self.path("agent1"),
            write: vec![self.path("agent1")],
            read: vec![self.path("temp")],
            hidden: vec![],
            scratch: Some(self.path("scratch")),
            network: NetworkPolicy::Off,
            limits: SandboxLimits { time_ms: 20_000, ..SandboxLimits::default() },
        }
    }
}

pub fn shell(line: &str) -> Run {
    Run::new("sh", ["-c", line])
}

pub async fn run(sandbox: &Sandbox, confinement: &Confinement, run: Run) -> Outcome {
    sandbox.run(confinement, run, |_, _| {}).await
}
