//! The folders of a run's agents.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use massgen_protocol::{AgentIndex, Alias, RunId};
use thiserror::Error;

/// The folders of one agent in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where it writes.
    pub workspace: PathBuf,
    /// Holds `agent1/`, `agent2/`, …: the others' work and its own earlier one.
    pub temp: PathBuf,
    /// For programs' temporary files (`TMPDIR`).
    pub scratch: PathBuf,
}

/// The folders of all agents of a run that have any, below `<state>/workspaces/<run>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlaces {
    dir: PathBuf,
    of: BTreeMap<AgentIndex, Places>,
}

/// Why a run's folders cannot be had.
#[derive(Debug, Error)]
pub enum PlacesError {
    #[error("`{first}` and `{second}` would both work in `{path}`; give each a `cwd` of its own")]
    Shared { first: Alias, second: Alias, path: PathBuf },
    #[error("`cwd` of `{agent}` is not a folder: `{path}`")]
    NotFolder { agent: Alias, path: PathBuf },
    #[error("failed to create `{path}`")]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl RunPlaces {
    /// Creates what is missing and leaves alone what is there, so a resumed run finds its files.
    /// An absolute `cwd` is the workspace itself; any other text asks for a folder of the
    /// run's own. Its path tells neither the user's name of the agent nor its alias: an agent
    /// that knows which answer is its own favours it.
    pub fn create(
        state_dir: &Path,
        run: &RunId,
        agents: &[(Alias, Option<String>)],
    ) -> Result<RunPlaces, PlacesError> {
        let dir = state_dir.join("workspaces").join(&run.0);
        create_private(&dir)?;
        let dir = canonical(&dir)?;
        let mut of: BTreeMap<AgentIndex, Places> = BTreeMap::new();
        for (alias, cwd) in agents {
            let Some(cwd) = cwd else { continue };
            let own = dir.join(room(run, *alias));
            let cwd = Path::new(cwd);
            let workspace =
                if cwd.is_absolute() { cwd.to_path_buf() } else { own.join("workspace") };
            if workspace.exists() && !workspace.is_dir() {
                return Err(PlacesError::NotFolder { agent: *alias, path: workspace });
            }
            create(&workspace)?;
            let places = Places {
                workspace: canonical(&workspace)?,
                temp: own.join("temp"),
                scratch: own.join("scratch"),
            };
            create(&places.temp)?;
            create(&places.scratch)?;
            for (other, others) in &of {
                if overlaps(&places.workspace, &others.workspace) {
                    return Err(PlacesError::Shared {
                        first: other.alias(),
                        second: *alias,
                        path: places.workspace,
                    });
                }
            }
            of.insert(alias.index(), places);
        }
        Ok(RunPlaces { dir, of })
    }

    /// Returns the folders of an agent that has a workspace.
    pub fn of(&self, agent: AgentIndex) -> Option<&Places> {
        self.of.get(&agent)
    }

    /// Returns the folder that holds those of all agents.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the workspaces of all agents but this one: what it must never see.
    pub fn hidden_from(&self, agent: AgentIndex) -> Vec<PathBuf> {
        let others = self.of.iter().filter(|(other, _)| **other != agent);
        others.map(|(_, places)| places.workspace.clone()).collect()
    }
}

/// Returns the name of an agent's folder, the same again after a resume.
fn room(run: &RunId, alias: Alias) -> String {
    let hash = blake3::hash(format!("{}/{alias}", run.0).as_bytes());
    format!("w-{}", &hash.to_hex()[..8])
}

/// Returns the path without `.` and `..`, as far as its text tells; never above the root.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                normal.push(component);
            }
        }
    }
    normal
}

/// One inside the other is as bad as the same: a snapshot of one would hold the other.
fn overlaps(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn create(path: &Path) -> Result<(), PlacesError> {
    fs::create_dir_all(path)
        .map_err(|source| PlacesError::Create { path: path.to_path_buf(), source })
}

/// Agents' files are nobody else's on the machine.
fn create_private(path: &Path) -> Result<(), PlacesError> {
    create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|source| PlacesError::Create { path: path.to_path_buf(), source })?;
    }
    Ok(())
}

fn canonical(path: &Path) -> Result<PathBuf, PlacesError> {
    path.canonicalize().map_err(|source| PlacesError::Create { path: path.to_path_buf(), source })
}
