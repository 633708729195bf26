//! From a path to a handle of the folder it is in.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use massgen_protocol::Access;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use super::root::{Root, Roots, dir_of};
use super::{Guard, GuardError, Stat, lock};
use crate::places::normal;
use crate::policy::{Denial, Zone};

/// Links followed for one path; the kernel's own bound.
const LINKS_MAX: usize = 40;

/// Where a path leads, links resolved and judged.
pub(super) struct Place {
    /// As the model wrote it, for errors.
    pub given: String,
    /// In full.
    pub shown: PathBuf,
    pub root: Arc<Root>,
    /// Below the root's folder.
    below: PathBuf,
    pub parent: Dir,
    /// None: the root itself.
    pub name: Option<OsString>,
}

/// What a last name that is a link stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LastLink {
    Follow,
    Itself,
}

enum Step {
    Arrived(Place),
    Elsewhere(PathBuf),
}

impl Guard {
    /// Finds a place and has it judged; makes a private copy of a shared view that is to be
    /// written.
    pub(super) fn place(&self, path: &str, access: Access) -> Result<Place, GuardError> {
        self.place_by(path, access, LastLink::Follow)
    }

    pub(super) fn place_by(
        &self,
        path: &str,
        access: Access,
        last: LastLink,
    ) -> Result<Place, GuardError> {
        let roots = self.roots();
        match roots.place(path, access, last, self.is_presenting()) {
            Err(GuardError::Denied { denial: Denial::SharedView, .. }) => {
                self.copied_up(path)?;
                self.roots().place(path, access, last, self.is_presenting())
            }
            other => other,
        }
    }

    /// Makes the shared view that holds a path a private one, if somebody can.
    fn copied_up(&self, path: &str) -> Result<(), GuardError> {
        let roots = self.roots();
        let denied = || roots.denied(path, Access::Write, Denial::SharedView);
        let Some(copy_up) = lock(&self.copy_up).clone() else { return Err(denied()) };
        // The view is judged by what the links on the way come to, not by the words.
        let place = roots.place(path, Access::Read, LastLink::Itself, self.is_presenting());
        let shown = match place {
            Ok(place) => place.shown,
            Err(_) => roots.absolute(path)?,
        };
        let name = shown.strip_prefix(&self.places.temp).ok().and_then(|below| {
            let views = lock(&self.views);
            let view = views.iter().find(|view| below.starts_with(&view.name))?;
            Some(view.name.clone())
        });
        let views = copy_up(&name.ok_or_else(denied)?)
            .map_err(|source| GuardError::io("copy", path, source))?;
        self.set_views(&views)
    }
}

impl Roots {
    pub(super) fn place(
        &self,
        given: &str,
        access: Access,
        last: LastLink,
        presenting: bool,
    ) -> Result<Place, GuardError> {
        let mut path = self.absolute(given)?;
        for _ in 0..=LINKS_MAX {
            // Judged before it is touched, so that what is not open cannot be felt out, and
            // on every hop, the last of which has no link left in it.
            self.policy
                .decide(&path, access, presenting)
                .map_err(|denial| self.denied(given, access, denial))?;
            match self.step(given, access, &path, last)? {
                Step::Arrived(place) => return Ok(place),
                Step::Elsewhere(target) => path = self.known_as(&target),
            }
        }
        Err(GuardError::Malformed { path: given.to_owned(), why: "its links lead in a circle" })
    }

    /// Walks until a link or the end.
    fn step(
        &self,
        given: &str,
        access: Access,
        path: &Path,
        last: LastLink,
    ) -> Result<Step, GuardError> {
        let failed = |source| GuardError::io("open", given, source);
        let outside = || self.denied(given, access, Denial::Outside);
        let Some((root, below)) = self.root_of(path) else {
            // Allowed by the table but not open: a context path that has gone.
            return Err(match self.policy.zone(path) {
                Some(Zone::Forbidden) | None => outside(),
                Some(_) => GuardError::Missing { path: given.to_owned() },
            });
        };
        let mut parent = root.handle().map_err(failed)?;
        let (names, mut walked): (Vec<OsString>, PathBuf) = match &root.only {
            Some(name) if below.as_os_str().is_empty() => {
                (vec![name.clone()], root.shown.parent().unwrap_or(&root.shown).to_path_buf())
            }
            Some(_) => return Err(GuardError::NotFolder { path: given.to_owned() }),
            None => (below.iter().map(OsStr::to_owned).collect(), root.shown.clone()),
        };
        for (at, name) in names.iter().enumerate() {
            let is_last = at + 1 == names.len();
            if let Some(target) = link(&parent, name, is_last, last).map_err(failed)? {
                let rest: PathBuf = names[at + 1..].iter().collect();
                return Ok(Step::Elsewhere(normal(&walked.join(target).join(rest))));
            }
            if is_last {
                break;
            }
            parent = open_folder(&parent, name).map_err(failed)?;
            walked.push(name);
        }
        let name = names.last().cloned();
        Ok(Step::Arrived(Place {
            given: given.to_owned(),
            shown: path.to_path_buf(),
            root,
            below,
            parent,
            name,
        }))
    }
}

/// Returns where a name leads if it is a link that is to be followed.
fn link(parent: &Dir, name: &OsStr, is_last: bool, last: LastLink) -> io::Result<Option<PathBuf>> {
    if is_last && last == LastLink::Itself {
        return Ok(None);
    }
    match readlinkat(parent, name, Vec::new()) {
        Ok(target) => {
            use std::os::unix::ffi::OsStrExt;
            Ok(Some(PathBuf::from(OsStr::from_bytes(target.as_bytes()))))
        }
        // Not a link.
        Err(Errno::INVAL) => Ok(None),
        Err(Errno::NOENT) if is_last => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder that is not a link.
pub(super) fn open_folder(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A folder one may pass through but not list is passed through.
    #[cfg(target_os = "linux")]
    let flags = flags | OFlags::PATH;
    Ok(dir_of(openat(parent, name, flags, Mode::empty())?))
}

/// Opens a folder that is not a link, to list what is in it.
pub(super) fn open_listed(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(dir_of(openat(parent, name, flags, Mode::empty())?))
}

impl Place {
    pub(super) fn failed(&self, doing: &'static str, source: impl Into<io::Error>) -> GuardError {
        GuardError::io(doing, &self.given, source.into())
    }

    /// Where it really is.
    pub(super) fn real(&self) -> PathBuf {
        self.root.real.join(&self.below)
    }

    /// The name to hand to the system beside `parent`.
    pub(super) fn entry(&self) -> &OsStr {
        self.name.as_deref().unwrap_or(OsStr::new("."))
    }

    pub(super) fn is_root(&self) -> bool {
        self.name.is_none()
    }

    pub(super) fn stat(&self) -> Result<Stat, GuardError> {
        let stat = statat(&self.parent, self.entry(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| self.failed("look at", error))?;
        Ok(Stat::of(&stat))
    }

    /// Opens it as a folder that can be listed.
    pub(super) fn folder(&self) -> Result<Dir, GuardError> {
        open_listed(&self.parent, self.entry()).map_err(|error| self.failed("open", error))
    }

    /// Opens it as a regular file; never waits for the other end of a pipe.
    pub(super) fn file(&self) -> Result<std::fs::File, GuardError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.parent, self.entry(), flags, Mode::empty())
            .map_err(|error| self.failed("open", error))?;
        let stat = rustix::fs::fstat(&file).map_err(|error| self.failed("look at", error))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            FileType::Directory => Err(GuardError::Folder { path: self.given.clone() }),
            _ => Err(GuardError::Special { path: self.given.clone() }),
        }
    }
}
