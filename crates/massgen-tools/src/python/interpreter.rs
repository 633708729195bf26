//! The user's Python: which one it is, and what of the disk it needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

/// To say where it is installed; no code of the user's runs for it.
const PROBE_TIME: Duration = Duration::from_secs(15);
const PROBE: &str = "import json, sys; print(json.dumps({'version': sys.version_info[:3], \
     'program': sys.executable, 'prefixes': [sys.prefix, sys.base_prefix], \
     'path': [p for p in sys.path if p and p != '/']}))";
const OLDEST: [u64; 2] = [3, 9];

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Interpreter {
    version: [u64; 3],
    pub program: PathBuf,
    prefixes: Vec<PathBuf>,
    /// Where modules are looked for.
    pub path: Vec<String>,
}

impl Interpreter {
    /// Asks the `python3` that the user's shell would run.
    ///
    /// # Errors
    /// Why there is none to be used, with what helps.
    pub async fn find() -> Result<Interpreter, String> {
        const REMEDY: &str = "install Python 3.9 or newer, and have it on `PATH` as `python3`";
        let mut probe = Command::new("python3");
        // From `/`, so that no file where the user happens to be is taken for a module.
        probe
            .args(["-c", PROBE])
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = match tokio::time::timeout(PROBE_TIME, probe.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(format!("`python3` cannot be run ({error}): {REMEDY}")),
            Err(_) => {
                return Err(format!(
                    "`python3` said nothing for {} s: {REMEDY}",
                    PROBE_TIME.as_secs()
                ));
            }
        };
        let found: Result<Interpreter, _> = serde_json::from_slice(&output.stdout);
        match found {
            Ok(found) if found.version[..2] >= OLDEST[..] && found.program.is_absolute() => {
                Ok(found)
            }
            Ok(found) => {
                let [major, minor, _] = found.version;
                Err(format!("`python3` is version {major}.{minor}: {REMEDY}"))
            }
            Err(_) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said: String =
                    said.lines().last().unwrap_or("nothing said").chars().take(200).collect();
                Err(format!("`python3` does not work ({said}): {REMEDY}"))
            }
        }
    }

    /// Returns the one in a container's image, which has its files with it.
    pub fn of_container() -> Interpreter {
        Interpreter {
            version: [3, 0, 0],
            program: "python3".into(),
            prefixes: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Returns the folders it reads, and those of files it is to load.
    pub fn reads<'a>(&self, files: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
        let program = self.program.canonicalize().unwrap_or_else(|_| self.program.clone());
        let found = self.program.is_absolute();
        let programs = [self.program.parent(), program.parent()]
            .into_iter()
            .flatten()
            .filter(|_| found)
            .map(Path::to_path_buf);
        let modules = self.path.iter().map(PathBuf::from);
        let folders = self.prefixes.iter().cloned().chain(programs).chain(modules);
        let mut reads: BTreeSet<PathBuf> = folders.filter(|path| is_narrow(path)).collect();
        for file in files {
            let folder = package_root(file);
            reads.insert(if is_narrow(&folder) { folder } else { file.to_path_buf() });
        }
        // `/usr` and the like are open anyway; what is not there cannot be opened.
        reads.into_iter().filter(|path| path.exists()).collect()
    }
}

/// Modules beside a file are imported by it, and those of its whole package.
fn package_root(file: &Path) -> PathBuf {
    let mut folder = file.parent().unwrap_or(file);
    while folder.join("__init__.py").is_file() {
        let Some(parent) = folder.parent() else { break };
        folder = parent;
    }
    folder.to_path_buf()
}

/// A folder that holds a home folder is too much to open for a file in it.
fn is_narrow(path: &Path) -> bool {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let holds_home = home.is_some_and(|home| home.starts_with(path));
    path.is_absolute() && path.components().count() > 1 && !holds_home && path != Path::new("/tmp")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn finds_the_one_on_the_path() {
        let found = Interpreter::find().await.unwrap();
        assert!(found.program.exists(), "{found:?}");
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("pack");
        std::fs::create_dir(&package).unwrap();
        std::fs::write(package.join("__init__.py"), "").unwrap();
        let reads = found.reads([package.join("tools.py").as_path()].into_iter());
        assert!(reads.contains(&dir.path().to_path_buf()), "{reads:?}");
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        assert!(!reads.iter().any(|path| home.starts_with(path)), "{reads:?}");
    }
}
