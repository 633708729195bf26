//! The workspaces of a run as its loop wants them: copied with each answer, shown to the
//! others, and given back to whoever presents.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use massgen_protocol::{
    Access, AgentIndex, AnswerId, ContextPath, FilesSpec, RoundKind, SnapshotId, WriteMode,
};
use massgen_runtime::{FilesView, Snapshots};
use massgen_tools::builtin::InsightKeeper;
use massgen_workspace::{
    Changes, ContextCopy, Guard, RunPlaces, Stop, Store, StoreError, TakeOptions, View, ViewMode,
    Views, Worktree, WorktreeError,
};

/// All that the agents of a run have of files.
pub struct Files {
    pub(super) store: Store,
    pub(super) places: RunPlaces,
    seats: BTreeMap<AgentIndex, Seat>,
    pub(super) context: Vec<ContextPath>,
    write_mode: WriteMode,
    /// A team of one gives its answer without a presentation, so it presents all the time.
    pub(super) is_sole: bool,
    /// Notes of what must not be done twice, also after a resume.
    notes: PathBuf,
    /// What each agent sees now.
    laid: Mutex<BTreeMap<AgentIndex, FilesView>>,
}

/// What one agent sees files by.
struct Seat {
    guard: Arc<Guard>,
    views: Arc<Views>,
    mode: ViewMode,
}

impl Files {
    pub fn new(
        store: Store,
        places: RunPlaces,
        guards: BTreeMap<AgentIndex, (Arc<Guard>, ViewMode)>,
        spec: &FilesSpec,
        is_sole: bool,
        run_path: &Path,
    ) -> Files {
        let mut seats = BTreeMap::new();
        for (agent, (guard, mode)) in guards {
            let Some(places) = places.of(agent) else { continue };
            let views = Arc::new(Views::new(store.clone(), places.clone()));
            let lifted = views.clone();
            guard.set_copy_up(Arc::new(move |name| {
                let copied = lifted.copy_up(name, &Stop::default());
                copied.map_err(|error| std::io::Error::other(error.full_text()))
            }));
            seats.insert(agent, Seat { guard, views, mode });
        }
        let notes = run_path.join("presented");
        let (context, write_mode) = (spec.context_paths.clone(), spec.write_mode);
        Files { store, places, seats, context, write_mode, is_sole, notes, laid: Mutex::default() }
    }

    pub fn guard(&self, agent: AgentIndex) -> Option<Arc<Guard>> {
        self.seats.get(&agent).map(|seat| seat.guard.clone())
    }

    /// Returns where the trees lie that several agents read.
    pub fn shared_trees(&self) -> PathBuf {
        self.store.dir().join("shared")
    }

    /// Returns where an agent's own copies of the user's files are made, if it presents.
    pub fn copies_of(&self, agent: AgentIndex) -> PathBuf {
        let own = self.places.of(agent).and_then(|places| places.temp.parent());
        own.unwrap_or(self.places.dir()).join("yours")
    }

    /// Makes the copy of a repository a git worktree, so that its history is at hand; `None`
    /// where it is no repository, or git cannot.
    fn worktree(
        &self,
        agent: AgentIndex,
        n: usize,
        original: &Path,
        room: &Path,
    ) -> Result<Option<ContextCopy>, StoreError> {
        let run = self.places.dir().file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{run}-{}-{n}", agent.alias());
        let stop = Stop::default();
        let base = self.store.take(original, &TakeOptions::default())?.id;
        // Left behind by a run that was killed at this point.
        let _ = Worktree::remove_orphans(original, room);
        if let Some(parent) = room.parent() {
            let io = |source| StoreError::Io { doing: "create", path: parent.to_owned(), source };
            fs::create_dir_all(parent).map_err(io)?;
        }
        match Worktree::add(&self.store, original, room, &name, &stop) {
            Ok(_) => ContextCopy::found(original, room, base).map(Some),
            Err(WorktreeError::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Lets go of the worktrees that a presenter was given.
    pub(super) fn remove_worktrees(&self, agent: AgentIndex) {
        for (n, path) in self.context.iter().enumerate() {
            if self.write_mode == WriteMode::Worktree && path.access == Access::Write {
                // One that stays is found by the next run, or by `git worktree prune`.
                let _ = Worktree::remove_orphans(Path::new(&path.path), &self.room_of(agent, n));
            }
        }
    }

    /// Returns the copy of the `n`th context path that an agent may change if it presents.
    pub fn copy_of(&self, agent: AgentIndex, n: usize) -> PathBuf {
        let name = self.context.get(n).and_then(|path| Path::new(&path.path).file_name());
        let name = name.map_or_else(|| "files".into(), |name| name.to_string_lossy().into_owned());
        self.copies_of(agent).join(n.to_string()).join(name)
    }

    /// Returns what takes the evidence of an agent's findings.
    pub fn keeper(self: &Arc<Files>, agent: AgentIndex) -> Arc<dyn InsightKeeper> {
        Arc::new(Keeper { files: self.clone(), agent })
    }

    /// Copies a workspace as it is now.
    pub(super) fn take_now(&self, agent: AgentIndex) -> Result<SnapshotId, StoreError> {
        match self.places.of(agent) {
            None => Ok(SnapshotId::empty()),
            Some(places) => {
                let taken = self.store.take(&places.workspace, &TakeOptions::default())?;
                Ok(taken.id)
            }
        }
    }

    fn lay_out(&self, view: &FilesView) -> Result<(), String> {
        let agent = view.round.agent;
        let Some(Seat { guard, views, mode }) = self.seats.get(&agent) else { return Ok(()) };
        let told = |error: StoreError| error.full_text();
        let answers = view.answers.iter().map(|(answer, snapshot)| View {
            name: answer.agent.alias().to_string(),
            snapshot: snapshot.clone(),
        });
        let evidence = view.evidence.iter().map(|(from, n, snapshot)| View {
            name: format!("{from}-insight-{n}"),
            snapshot: snapshot.clone(),
        });
        let wanted: Vec<View> = answers.chain(evidence).collect();
        let is_same_round =
            self.laid().get(&agent).is_some_and(|before| before.round == view.round);
        let changes = if is_same_round { Changes::Keep } else { Changes::Drop };
        let laid = views.prepare(&wanted, *mode, changes, &Stop::default()).map_err(told)?;
        guard.set_views(&laid).map_err(|error| error.full_text())?;
        let presents = view.presents.as_ref().filter(|_| view.kind == RoundKind::Present);
        guard.set_presenting(presents.is_some() || self.is_sole);
        if let Some((answer, snapshot)) = presents {
            self.give_back(agent, *answer, snapshot, &view.round.to_string()).map_err(told)?;
        }
        if presents.is_some() || self.is_sole {
            for (n, path) in self.context.iter().enumerate() {
                let copy = self.copy_of(agent, n);
                if path.access == Access::Write {
                    if !self.note_of_copy(agent, n).exists() {
                        self.copy_context(agent, n, path).map_err(told)?;
                    }
                    guard
                        .set_stand_in(Path::new(&path.path), &copy)
                        .map_err(|error| error.full_text())?;
                }
            }
        }
        Ok(())
    }

    /// Puts the chosen answer's files into its author's workspace, once for a presentation.
    fn give_back(
        &self,
        agent: AgentIndex,
        answer: AnswerId,
        snapshot: &SnapshotId,
        round: &str,
    ) -> Result<(), StoreError> {
        let note = self.notes.join(round.replace(['#', '/'], "-"));
        let Some(places) = self.places.of(agent) else { return Ok(()) };
        if note.exists() {
            return Ok(());
        }
        let io = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        // What was made since is kept too: it can be had by the name in the note.
        let restored = self.store.restore(snapshot, &places.workspace, &Stop::default())?;
        fs::create_dir_all(&self.notes).map_err(io("create", &self.notes))?;
        let text = format!("{answer} {}\nbefore {}\n", snapshot.0, restored.before.0);
        fs::write(&note, text).map_err(io("write", &note))
    }

    fn copy_context(
        &self,
        agent: AgentIndex,
        n: usize,
        path: &ContextPath,
    ) -> Result<(), StoreError> {
        let (original, room) = (Path::new(&path.path), self.room_of(agent, n));
        let made = match self.write_mode {
            WriteMode::Worktree => self.worktree(agent, n, original, &room)?,
            WriteMode::Auto | WriteMode::Isolated | WriteMode::Legacy => None,
        };
        let made = match made {
            Some(made) => made,
            None => ContextCopy::make(&self.store, original, &room, &Stop::default())?,
        };
        let note = self.note_of_copy(agent, n);
        let io = |source| StoreError::Io { doing: "write", path: note.clone(), source };
        fs::create_dir_all(&self.notes).map_err(io)?;
        fs::write(&note, made.base.0).map_err(io)
    }

    /// Returns the copy of the `n`th context path that a presenter was given, if it was.
    pub(super) fn given_copy(
        &self,
        agent: AgentIndex,
        n: usize,
    ) -> Result<Option<ContextCopy>, StoreError> {
        let (Some(path), Ok(base)) =
            (self.context.get(n), fs::read_to_string(self.note_of_copy(agent, n)))
        else {
            return Ok(None);
        };
        let room = self.room_of(agent, n);
        ContextCopy::found(Path::new(&path.path), &room, SnapshotId(base)).map(Some)
    }

    /// Where the copy is made: the folder itself, or what holds a copy of a file.
    fn room_of(&self, agent: AgentIndex, n: usize) -> PathBuf {
        let copy = self.copy_of(agent, n);
        let is_folder = self.context.get(n).is_some_and(|path| Path::new(&path.path).is_dir());
        match copy.parent() {
            Some(parent) if !is_folder => parent.to_owned(),
            Some(_) | None => copy,
        }
    }

    fn note_of_copy(&self, agent: AgentIndex, n: usize) -> PathBuf {
        self.notes.join(format!("{}-copy-{n}", agent.alias()))
    }

    fn laid(&self) -> MutexGuard<'_, BTreeMap<AgentIndex, FilesView>> {
        self.laid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Behind the seam of the loop.
pub struct Shelf(pub Arc<Files>);

impl Snapshots for Shelf {
    fn take(&self, answer: AnswerId) -> BoxFuture<'static, Result<SnapshotId, String>> {
        let files = self.0.clone();
        blocking(move || files.take_now(answer.agent).map_err(|error| error.full_text()))
    }

    fn has_files(&self, agent: AgentIndex) -> bool {
        self.0.places.of(agent).is_some()
    }

    fn prepare(&self, view: FilesView) -> BoxFuture<'static, Result<(), String>> {
        if self.0.laid().get(&view.round.agent) == Some(&view) {
            return Box::pin(std::future::ready(Ok(())));
        }
        let files = self.0.clone();
        blocking(move || {
            files.lay_out(&view)?;
            files.laid().insert(view.round.agent, view);
            Ok(())
        })
    }
}

fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> BoxFuture<'static, Result<T, String>> {
    Box::pin(async move {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(format!("the work on files broke off: {error}")),
        }
    })
}

struct Keeper {
    files: Arc<Files>,
    agent: AgentIndex,
}

impl InsightKeeper for Keeper {
    fn keep(&self, path: &Path) -> Result<SnapshotId, String> {
        let places = self.files.places.of(self.agent).ok_or("there is no workspace")?;
        let only = Some(vec![path.to_owned()]);
        let options = TakeOptions { only, ..TakeOptions::default() };
        let taken = self.files.store.take(&places.workspace, &options);
        taken.map(|taken| taken.id).map_err(|error| error.full_text())
    }
}
