//! Opens files as one agent may.
//!
//! A path is walked from the root that holds it, one name at a time, through handles of folders
//! and never through a symbolic link: a link is read, and what it says is judged like a path the
//! agent had written itself. What the policy then allows is done at the handle that was reached,
//! so nothing that is swapped in between can lead elsewhere.

mod change;
mod error;
mod resolve;
mod root;
mod survey;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use massgen_protocol::{Access, ContextPath};

pub use change::{Contents, Made, Overwrite, Written};
pub use error::GuardError;
pub use root::{LaidView, Sharing};
pub use survey::{BuildTrees, Kind, Listed, Stat, Walk, WalkOptions, Walked};

use root::Roots;

use crate::{PathPolicy, Places};

/// Opens files as one agent may. All paths are texts as a model writes them: absolute, relative
/// to the workspace, or `agent2/…` and `temp/…` for what is in the folder of views.
///
/// Every call blocks; none follows a link out of what is allowed; writes replace a file whole.
pub struct Guard {
    places: Places,
    context: Vec<ContextPath>,
    forbidden: Vec<PathBuf>,
    roots: RwLock<Arc<Roots>>,
    /// Stand-ins of writable context paths: the path as told, and where it really is.
    stand_ins: RwLock<Vec<(PathBuf, PathBuf)>>,
    views: RwLock<Vec<LaidView>>,
    copy_up: RwLock<Option<CopyUp>>,
    presenting: AtomicBool,
}

/// Makes a private copy of the view of this name, and returns all views as they are then.
pub type CopyUp = Arc<dyn Fn(&str) -> std::io::Result<Vec<LaidView>> + Send + Sync>;

impl Guard {
    /// Opens the folders of one agent. `forbidden` is never read, although it may be inside
    /// something that is: the run's folder, the state folder, other agents' workspaces.
    pub fn new(
        places: &Places,
        context: &[ContextPath],
        forbidden: &[PathBuf],
    ) -> Result<Guard, GuardError> {
        let roots = Roots::open(places, context, forbidden, &[], &[])?;
        Ok(Guard {
            places: places.clone(),
            context: context.to_vec(),
            forbidden: forbidden.to_vec(),
            roots: RwLock::new(Arc::new(roots)),
            stand_ins: RwLock::default(),
            views: RwLock::default(),
            copy_up: RwLock::default(),
            presenting: AtomicBool::new(false),
        })
    }

    /// From now on, whether the agent presents: only then a writable context path is written.
    pub fn set_presenting(&self, presenting: bool) {
        self.presenting.store(presenting, Ordering::SeqCst);
    }

    pub fn is_presenting(&self) -> bool {
        self.presenting.load(Ordering::SeqCst)
    }

    /// Takes over the views as they are laid out now.
    pub fn set_views(&self, views: &[LaidView]) -> Result<(), GuardError> {
        *lock(&self.views) = views.to_vec();
        self.reopen()
    }

    /// What to do before something is written to a view that others read too. Without it such
    /// a write is refused.
    pub fn set_copy_up(&self, copy_up: CopyUp) {
        *lock(&self.copy_up) = Some(copy_up);
    }

    /// Lets a context path be worked on in a private copy: the agent goes on to call it `path`.
    pub fn set_stand_in(&self, path: &Path, copy: &Path) -> Result<(), GuardError> {
        lock(&self.stand_ins).push((path.to_path_buf(), copy.to_path_buf()));
        self.reopen()
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Returns the table that decides, views included.
    pub fn policy(&self) -> PathPolicy {
        self.roots().policy.clone()
    }

    /// Returns whether a path may be read or written, without touching it. For asking early;
    /// whoever goes on to use it is judged again.
    pub fn check(&self, path: &str, access: Access) -> Result<(), GuardError> {
        match self.place(path, access) {
            Ok(_) | Err(GuardError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns a path as the agent is to see it: in full, without `..`.
    pub fn absolute(&self, path: &str) -> Result<PathBuf, GuardError> {
        self.roots().absolute(path)
    }

    /// Returns where an existing file or folder that may be read really is, for programs that
    /// open it themselves. They open it later and by name: whoever can change the folders on
    /// the way can lead them elsewhere, so hand it only to what is confined.
    pub fn real_path(&self, path: &str) -> Result<PathBuf, GuardError> {
        let place = self.place(path, Access::Read)?;
        place.stat()?;
        Ok(place.real())
    }

    fn roots(&self) -> Arc<Roots> {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reopen(&self) -> Result<(), GuardError> {
        let views = lock(&self.views).clone();
        let stand_ins = lock(&self.stand_ins).clone();
        let roots = Roots::open(&self.places, &self.context, &self.forbidden, &views, &stand_ins)?;
        *lock(&self.roots) = Arc::new(roots);
        Ok(())
    }
}

fn lock<T>(value: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    value.write().unwrap_or_else(PoisonError::into_inner)
}
