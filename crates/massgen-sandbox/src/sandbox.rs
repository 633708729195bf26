//! What confines commands on this machine, once it is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use massgen_protocol::{ContainerSpec, SandboxSpec};
use tokio::process::Command;

use crate::plan::Report;
use crate::reading::{Runtimes, private_settings};
use crate::run::Unstartable;
use crate::{Confinement, Rung};

/// How this program starts itself as [`helper`](crate::helper).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Absolute.
    pub program: PathBuf,
    /// Before the helper's own: `__sandbox`.
    pub args: Vec<String>,
}

/// What confines commands on this machine.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) rung: Rung,
    pub(crate) missing: Vec<String>,
    pub(crate) helper: Helper,
    pub(crate) runtimes: Runtimes,
    /// Readable besides those of a confinement.
    pub(crate) read_paths: Vec<PathBuf>,
    /// In `/etc`, not for everybody.
    pub(crate) private_settings: Vec<PathBuf>,
    pub(crate) container: ContainerSpec,
    /// `bwrap`, `docker` or `podman`.
    pub(crate) tool: PathBuf,
    /// Namespaces of our own below Landlock.
    pub(crate) namespaces: bool,
    pub(crate) home: Option<PathBuf>,
    /// The version of Landlock that holds here, zero for none.
    pub(crate) landlock: u32,
    pub(crate) holds_memory: bool,
    pub(crate) holds_processes: bool,
    /// What was better and did not work.
    pub(crate) tried: Vec<String>,
    reports: Reports,
}

impl Sandbox {
    pub(crate) fn new(rung: Rung, spec: &SandboxSpec, helper: Helper, tool: PathBuf) -> Sandbox {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let path = std::env::var("PATH").unwrap_or_default();
        Sandbox {
            rung,
            missing: Vec::new(),
            helper,
            runtimes: Runtimes::find(&path, home.as_deref()),
            read_paths: spec.read_paths.iter().map(PathBuf::from).collect(),
            private_settings: private_settings(),
            container: spec.container.clone(),
            tool,
            namespaces: false,
            home,
            landlock: 0,
            holds_memory: false,
            holds_processes: false,
            tried: Vec::new(),
            reports: Reports::make(),
        }
    }

    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// What is not protected although it was asked for, in plain words.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Makes a command that lives longer than one call, for servers and the like. Its standard
    /// streams are the caller's to set; hold it with [`Tree::of`](crate::Tree::of), or its
    /// processes stay until this program ends.
    ///
    /// # Errors
    /// If a path cannot be used.
    pub fn command(
        &self,
        confinement: &Confinement,
        program: &str,
        args: &[String],
        env: &BTreeMap<String, String>,
    ) -> Result<Command, Unstartable> {
        self.make(confinement, program, args, env, None)
    }

    pub(crate) fn new_report(&self) -> ReportFile {
        self.reports.next()
    }

    /// Returns a folder to try things in.
    pub(crate) fn trial(&self) -> Option<PathBuf> {
        self.reports.folder.as_ref().map(|folder| folder.join("trial"))
    }
}

/// A folder where supervisors say how calls ended, out of reach of what they run.
#[derive(Debug)]
struct Reports {
    folder: Option<PathBuf>,
    count: AtomicU64,
}

impl Reports {
    fn make() -> Reports {
        use std::os::unix::fs::DirBuilderExt;

        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let name = format!(
            "massgen-sandbox-{}-{}",
            std::process::id(),
            now.map_or(0, |since| since.as_nanos())
        );
        let folder = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        // Without it calls end as well; only the bound that ended one cannot be told.
        Reports { folder: made.ok().map(|()| folder), count: AtomicU64::new(0) }
    }

    fn next(&self) -> ReportFile {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        ReportFile(self.folder.as_ref().map(|folder| folder.join(number.to_string())))
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Where the supervisor of one call reports; gone with the call.
pub(crate) struct ReportFile(Option<PathBuf>);

impl ReportFile {
    pub(crate) fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    pub(crate) fn read(&self) -> Option<Report> {
        serde_json::from_slice(&std::fs::read(self.path()?).ok()?).ok()
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
