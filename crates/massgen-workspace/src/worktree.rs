//! A git worktree of the user's repository for each agent, so that git works in its copy.
//!
//! The user's branch, index and files are not touched. What they have not committed yet is in
//! the copy too: its files come from a snapshot, so no filter or hook of the repository runs.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::error::StoreError;
use crate::scan::{Stop, TakeOptions};
use crate::store::Store;

/// One command of git's; listing a repository's worktrees is no long work.
const GIT_TIME_MAX: Duration = Duration::from_secs(60);

/// Kept of what git says.
const GIT_OUTPUT_MAX: u64 = 1 << 20;

/// Branches of ours begin so.
const BRANCHES: &str = "massgen/";

/// A worktree of a repository, on a branch of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktree {
    pub repository: PathBuf,
    pub path: PathBuf,
    pub branch: String,
}

/// Why a repository is shared in another way.
#[derive(Debug, Error)]
pub enum WorktreeError {
    #[error("`{path}` is not the top folder of a git repository")]
    NotRepository { path: PathBuf },
    #[error("the repository `{path}` has no commit yet")]
    NoCommit { path: PathBuf },
    #[error("git could not be started")]
    NoGit {
        #[source]
        source: io::Error,
    },
    #[error("git took longer than {seconds} seconds")]
    TooSlow { seconds: u64 },
    #[error("git refused: {said}")]
    Refused { said: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Worktree {
    /// Makes a worktree at a path that is not there yet, with the repository's files as they
    /// are now. `name` tells it from others of the same repository.
    pub fn add(
        store: &Store,
        repository: &Path,
        path: &Path,
        name: &str,
        stop: &Stop,
    ) -> Result<Worktree, WorktreeError> {
        let not_repository = || WorktreeError::NotRepository { path: repository.to_path_buf() };
        let repository = repository.canonicalize().map_err(|_| not_repository())?;
        let top = match git(&repository, &["rev-parse", "--show-toplevel"]) {
            Ok(top) => PathBuf::from(top.trim_end_matches('\n')),
            Err(WorktreeError::Refused { .. }) => return Err(not_repository()),
            Err(error) => return Err(error),
        };
        if top.canonicalize().ok().as_deref() != Some(repository.as_path()) {
            return Err(not_repository());
        }
        match git(&repository, &["rev-parse", "--verify", "-q", "HEAD^{commit}"]) {
            Err(WorktreeError::Refused { .. }) => {
                return Err(WorktreeError::NoCommit { path: repository });
            }
            other => other?,
        };
        let snapshot = store
            .take(&repository, &TakeOptions { stop: stop.clone(), ..TakeOptions::default() })?;
        let branch = format!("{BRANCHES}{name}");
        let at = path.to_string_lossy();
        git(&repository, &["worktree", "add", "--no-checkout", "-B", &branch, "--", &at, "HEAD"])?;
        let made = Worktree { repository, path: path.to_path_buf(), branch };
        let filled = git(path, &["read-tree", "HEAD"])
            .and_then(|_| Ok(store.restore(&snapshot.id, path, stop).map(|_| ())?));
        match filled {
            Ok(()) => Ok(made),
            Err(error) => {
                // The fault itself is the news; what stays is an orphan and goes as one.
                let _ = made.remove();
                Err(error)
            }
        }
    }

    /// Removes the worktree and its branch. Commits made on it are gone with it once git
    /// cleans up; what is worth keeping is in a snapshot.
    pub fn remove(&self) -> Result<(), WorktreeError> {
        let at = self.path.to_string_lossy();
        let removed = git(&self.repository, &["worktree", "remove", "--force", "--", &at]);
        let pruned = git(&self.repository, &["worktree", "prune"]);
        // Only a branch that no worktree has checked out can go.
        let deleted = git(&self.repository, &["branch", "-q", "-D", "--", &self.branch]);
        removed.and(pruned).and(deleted).map(|_| ())
    }

    /// Removes worktrees of ours below a folder that a run which was killed left behind;
    /// returns how many.
    pub fn remove_orphans(repository: &Path, below: &Path) -> Result<usize, WorktreeError> {
        let listed = git(repository, &["worktree", "list", "--porcelain"])?;
        let below = below.canonicalize().unwrap_or_else(|_| below.to_path_buf());
        let mut removed = 0;
        for record in listed.split("\n\n") {
            let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name));
            let (Some(path), Some(branch)) = (field("worktree "), field("branch refs/heads/"))
            else {
                continue;
            };
            if branch.starts_with(BRANCHES) && Path::new(path).starts_with(&below) {
                let orphan = Worktree {
                    repository: repository.to_path_buf(),
                    path: PathBuf::from(path),
                    branch: branch.to_owned(),
                };
                orphan.remove()?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Runs git in a folder: no hooks, no questions, no network, no other configuration than the
/// repository's and the user's, no longer than it may.
fn git(folder: &Path, arguments: &[&str]) -> Result<String, WorktreeError> {
    let mut child = Command::new("git")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"])
        .args(["-c", "protocol.allow=never", "-c", "credential.helper="])
        .arg("-C")
        .arg(folder)
        .args(arguments)
        // Whoever started us may have been a hook of another repository.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| WorktreeError::NoGit { source })?;
    let (out, said) = (drained(child.stdout.take()), drained(child.stderr.take()));
    let ended = wait(&mut child);
    if !matches!(ended, Ok(Some(_))) {
        // It may have ended on its own by now.
        let _ = child.kill();
        let _ = child.wait();
    }
    let text = |reader: std::thread::JoinHandle<String>| reader.join().unwrap_or_default();
    let (out, said) = (text(out), text(said));
    match ended.map_err(|source| WorktreeError::NoGit { source })? {
        Some(status) if status.success() => Ok(out),
        Some(_) => Err(WorktreeError::Refused { said: said.trim().to_owned() }),
        None => Err(WorktreeError::TooSlow { seconds: GIT_TIME_MAX.as_secs() }),
    }
}

/// None once its time is over.
fn wait(child: &mut Child) -> io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + GIT_TIME_MAX;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Reads a pipe to its end so that the writer never waits, and keeps the beginning.
fn drained(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            // What could be read is what there is.
            let _ = (&mut pipe).take(GIT_OUTPUT_MAX).read_to_end(&mut kept);
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}
