//! Who may read or write where: a table, without a look at any disk.

use std::path::{Path, PathBuf};

use massgen_protocol::{Access, ContextPath};

use crate::Places;
use crate::places::normal;

/// Outside of an agent's own folders, what has one of these names in its path is never written.
pub const EXCLUDED_NAMES: [&str; 12] = [
    ".massgen",
    ".env",
    ".git",
    "node_modules",
    "__pycache__",
    ".venv",
    "venv",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".DS_Store",
    "massgen_logs",
];

/// What a path is to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Its own folder.
    Workspace,
    /// Its programs' temporary files.
    Scratch,
    /// The folder of views, and what it puts beside them.
    Temp,
    /// A view that others read too.
    SharedView,
    /// A view that is its own copy.
    PrivateView,
    /// The user's, to read.
    ContextRead,
    /// The user's, to read, and to write while presenting.
    ContextWrite,
    /// In a context path, never written.
    Protected,
    /// The run's log, the store, other agents' folders.
    Forbidden,
}

/// Why a path is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Outside of everything, or forbidden; the two are not told apart, so that nothing can be
    /// learned by asking.
    Outside,
    /// Others read the same copy.
    SharedView,
    /// A context path that is only read.
    ReadOnly,
    /// A context path that the presenter may write.
    NotYet,
    Protected,
    /// A folder or file of this name is left alone.
    Excluded(String),
    /// Holds something that may not be changed.
    HoldsOther,
    /// One of the agent's folders itself, which stays where it is.
    Root,
}

/// A table of folders and what they are; the deepest one that holds a path decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPolicy {
    rules: Vec<(PathBuf, Zone)>,
}

impl PathPolicy {
    /// The table of one agent, without views. `forbidden`: the run's folder, the state folder,
    /// other agents' workspaces; what is deeper inside and allowed stays allowed.
    pub fn new(places: &Places, context: &[ContextPath], forbidden: &[PathBuf]) -> PathPolicy {
        let mut policy = PathPolicy::default();
        for path in forbidden {
            policy.add(path, Zone::Forbidden);
        }
        for context in context {
            let zone = match context.access {
                Access::Read => Zone::ContextRead,
                Access::Write => Zone::ContextWrite,
            };
            policy.add(&context.path, zone);
            for protected in &context.protected {
                policy.add(Path::new(&context.path).join(protected), Zone::Protected);
            }
        }
        // Last: an agent's own folder stays its own, whatever else is said of the same path.
        policy.add(&places.temp, Zone::Temp);
        policy.add(&places.scratch, Zone::Scratch);
        policy.add(&places.workspace, Zone::Workspace);
        policy
    }

    /// Adds a row; a later one for the same path replaces the earlier.
    pub fn add(&mut self, root: impl AsRef<Path>, zone: Zone) {
        let root = normal(root.as_ref());
        self.rules.retain(|(other, _)| *other != root);
        self.rules.push((root, zone));
        self.rules.sort_by_key(|(root, _)| std::cmp::Reverse(root.components().count()));
    }

    /// Returns the rows, the deepest folder first.
    pub fn rules(&self) -> &[(PathBuf, Zone)] {
        &self.rules
    }

    /// Returns what an absolute path without `..` is.
    pub fn zone(&self, path: &Path) -> Option<Zone> {
        self.rule(path).map(|(_, zone)| *zone)
    }

    /// Returns whether one file or folder may be read or written. The path is absolute, without
    /// `..`, and no part of it is a symbolic link: the [`Guard`](crate::Guard) sees to that.
    pub fn decide(&self, path: &Path, access: Access, presenting: bool) -> Result<(), Denial> {
        let Some((root, zone)) = self.rule(path) else { return Err(Denial::Outside) };
        match (zone, access) {
            (Zone::Forbidden, _) => Err(Denial::Outside),
            (Zone::Workspace | Zone::Scratch | Zone::Temp | Zone::PrivateView, _)
            | (_, Access::Read) => Ok(()),
            (Zone::SharedView, Access::Write) => Err(Denial::SharedView),
            (Zone::ContextRead, Access::Write) => Err(Denial::ReadOnly),
            (Zone::Protected, Access::Write) => Err(Denial::Protected),
            (Zone::ContextWrite, Access::Write) => match excluded(root, path) {
                Some(name) => Err(Denial::Excluded(name)),
                None if !presenting => Err(Denial::NotYet),
                None => Ok(()),
            },
        }
    }

    /// Returns whether a path may be moved or removed with all that is below it.
    pub fn decide_removal(&self, path: &Path, presenting: bool) -> Result<(), Denial> {
        self.decide(path, Access::Write, presenting)?;
        if self.rules.iter().any(|(root, _)| root == path) {
            return Err(Denial::Root);
        }
        match self.rules.iter().any(|(root, _)| root.starts_with(path)) {
            true => Err(Denial::HoldsOther),
            false => Ok(()),
        }
    }

    fn rule(&self, path: &Path) -> Option<&(PathBuf, Zone)> {
        self.rules.iter().find(|(root, _)| path.starts_with(root))
    }
}

/// Returns the name in a path, below its root, that keeps it from being written.
pub(crate) fn excluded(root: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(root).ok()?;
    let mut names = below.iter().filter_map(|name| name.to_str());
    names.find(|name| EXCLUDED_NAMES.contains(name)).map(str::to_owned)
}
