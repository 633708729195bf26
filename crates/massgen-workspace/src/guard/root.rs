//! The folders a guard has open, and how a model's words for a path become one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use massgen_protocol::{Access, ContextPath};

use super::GuardError;
use crate::places::normal;
use crate::policy::{Denial, Zone};
use crate::{PathPolicy, Places};

/// A view in the folder of views, as the views laid it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidView {
    /// Below the folder of views: `agent2`.
    pub name: String,
    /// Where its files really are.
    pub dir: PathBuf,
    pub sharing: Sharing,
}

/// Whether others read the same files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Read-only.
    Shared,
    /// The agent may do with it what it likes.
    Private,
}

/// An open folder and the path it goes by.
pub(super) struct Root {
    /// As the agent knows it.
    pub shown: PathBuf,
    pub real: PathBuf,
    pub dir: Dir,
    /// A context path that is one file: only this name in `dir`.
    pub only: Option<std::ffi::OsString>,
}

/// All of them, the deepest first, with the table that decides.
pub(super) struct Roots {
    pub policy: PathPolicy,
    pub roots: Vec<Arc<Root>>,
    /// Other names of the same folders: what the system says they are called.
    aliases: Vec<(PathBuf, PathBuf)>,
    workspace: PathBuf,
    temp: PathBuf,
    views: Vec<String>,
}

impl Roots {
    pub fn open(
        places: &Places,
        context: &[ContextPath],
        forbidden: &[PathBuf],
        views: &[LaidView],
        stand_ins: &[(PathBuf, PathBuf)],
    ) -> Result<Roots, GuardError> {
        let mut policy = PathPolicy::new(places, context, forbidden);
        for path in forbidden {
            if let Ok(real) = path.canonicalize()
                && policy.rules().iter().all(|(root, _)| *root != real)
            {
                policy.add(real, Zone::Forbidden);
            }
        }
        let mut roots = Roots {
            policy,
            roots: Vec::new(),
            aliases: Vec::new(),
            workspace: normal(&places.workspace),
            temp: normal(&places.temp),
            views: views.iter().map(|view| view.name.clone()).collect(),
        };
        for path in [&places.workspace, &places.temp, &places.scratch] {
            roots.add(path, path)?;
        }
        for path in context.iter().map(|context| Path::new(&context.path)) {
            let stand_in = stand_ins.iter().rev().find(|(told, _)| told == path);
            let real = stand_in.map_or(path, |(_, copy)| copy);
            // One that has gone since the run began is missing to the agent, not to the run.
            if real.exists() {
                roots.add(path, real)?;
            }
        }
        for view in views {
            let shown = roots.temp.join(&view.name);
            roots.policy.add(
                &shown,
                match view.sharing {
                    Sharing::Shared => Zone::SharedView,
                    Sharing::Private => Zone::PrivateView,
                },
            );
            roots.add(&shown, &view.dir)?;
        }
        roots.roots.sort_by_key(|root| std::cmp::Reverse(root.shown.components().count()));
        Ok(roots)
    }

    fn add(&mut self, shown: &Path, real: &Path) -> Result<(), GuardError> {
        let failed = |source| GuardError::io("open", &shown.display().to_string(), source);
        let shown_normal = normal(shown);
        let real = real.canonicalize().map_err(failed)?;
        let (folder, only) = match (real.is_dir(), real.parent(), real.file_name()) {
            (false, Some(parent), Some(name)) => (parent.to_path_buf(), Some(name.to_owned())),
            _ => (real.clone(), None),
        };
        let dir = Dir::open_ambient_dir(&folder, ambient_authority()).map_err(failed)?;
        if real != shown_normal {
            self.aliases.push((real.clone(), shown_normal.clone()));
        }
        self.roots.retain(|root| root.shown != shown_normal);
        self.roots.push(Arc::new(Root { shown: shown_normal, real, dir, only }));
        Ok(())
    }

    /// Returns the root that holds a path, and the path below it.
    pub fn root_of(&self, path: &Path) -> Option<(Arc<Root>, PathBuf)> {
        let root = self.roots.iter().find(|root| path.starts_with(&root.shown))?;
        let below = path.strip_prefix(&root.shown).ok()?;
        Some((root.clone(), below.to_path_buf()))
    }

    /// Returns what a text means, in full and without `..`.
    pub fn absolute(&self, text: &str) -> Result<PathBuf, GuardError> {
        let malformed = |why| Err(GuardError::Malformed { path: text.to_owned(), why });
        if text.contains('\0') {
            return malformed("it holds a zero byte");
        }
        if text == "~" || text.starts_with("~/") {
            return malformed("`~` stands for nothing here; write paths in full");
        }
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        if path.is_absolute() {
            return Ok(self.known_as(&normal(path)));
        }
        let mut parts = path.components();
        let first = parts.next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
        let folder = match first {
            "temp" if parts.next().is_some_and(|second| self.is_view(second.as_os_str())) => {
                self.temp.parent().unwrap_or(&self.temp)
            }
            _ if self.is_view(first.as_ref()) => &self.temp,
            _ => &self.workspace,
        };
        Ok(normal(&folder.join(path)))
    }

    /// Returns the name the agent knows for a path of the system's.
    pub fn known_as(&self, path: &Path) -> PathBuf {
        if self.root_of(path).is_some() {
            return path.to_path_buf();
        }
        let mut found: Option<(&PathBuf, PathBuf)> = None;
        for (real, shown) in &self.aliases {
            let deeper = found.as_ref().is_none_or(|(other, _)| real.starts_with(other));
            if let (Ok(below), true) = (path.strip_prefix(real), deeper) {
                found = Some((real, normal(&shown.join(below))));
            }
        }
        found.map_or_else(|| path.to_path_buf(), |(_, path)| path)
    }

    fn is_view(&self, name: &std::ffi::OsStr) -> bool {
        let first = |view: &String| view.split('/').next().is_some_and(|first| name == first);
        self.views.iter().any(first)
    }

    pub fn denied(&self, path: &str, access: Access, denial: Denial) -> GuardError {
        let workspace = self.workspace.display();
        let why = match &denial {
            Denial::Outside => {
                let open: Vec<String> = self
                    .policy
                    .rules()
                    .iter()
                    .filter(|(_, zone)| matches!(zone, Zone::ContextRead | Zone::ContextWrite))
                    .map(|(root, _)| format!("`{}`", root.display()))
                    .collect();
                let context = if open.is_empty() {
                    String::new()
                } else {
                    format!(", and to read {}", open.join(", "))
                };
                let temp = self.temp.display();
                format!(
                    "it is outside of what is open to you: your workspace `{workspace}` and the \
                     others' work in `{temp}`{context}"
                )
            }
            Denial::SharedView => {
                format!("others read the same copy; copy what you want to change to `{workspace}`")
            }
            Denial::ReadOnly => {
                format!("this path was given to be read; write to `{workspace}` instead")
            }
            Denial::NotYet => format!(
                "it can be changed only by whoever presents the final answer; until then write \
                 to `{workspace}`"
            ),
            Denial::Protected => "the user protects it".to_owned(),
            Denial::Excluded(name) => format!("`{name}` in the user's files is left alone"),
            Denial::HoldsOther => "it holds something that may not be changed".to_owned(),
            Denial::Root => "this folder stays where it is; change what is in it".to_owned(),
        };
        GuardError::Denied { path: path.to_owned(), access, denial, why }
    }
}

impl Root {
    /// Returns a handle of its own of the folder.
    pub fn handle(&self) -> std::io::Result<Dir> {
        self.dir.try_clone()
    }
}

/// Turns a descriptor that is known to be a folder's into a handle.
pub(super) fn dir_of(descriptor: std::os::fd::OwnedFd) -> Dir {
    Dir::from_std_file(File::from(descriptor))
}
