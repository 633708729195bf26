//! Paths, by all names that rules may have for them.

use std::path::{Component, Path, PathBuf};

/// A path, by all names a rule may have for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) struct Location {
    /// Without `.` and `..`; relative to the workspace if it lies there, else absolute.
    pub shown: String,
    pub absolute: String,
    /// Where links lead, if that is elsewhere.
    pub resolved: Option<Box<Location>>,
}

impl Location {
    pub fn of(path: &str, workspace: Option<&Path>) -> Location {
        let written = Path::new(path.trim());
        let joined = match workspace {
            Some(workspace) => workspace.join(written),
            None => written.to_owned(),
        };
        let plain = normal(&joined);
        let mut location = Location::at(&plain, workspace);
        // What a link hides is told by the disk, as far as the path is there.
        let real_workspace = workspace.and_then(|folder| folder.canonicalize().ok());
        if let Some(real) = resolve(&plain) {
            let real = Location::at(&real, real_workspace.as_deref());
            if real.shown != location.shown {
                location.resolved = Some(Box::new(real));
            }
        }
        location
    }

    fn at(path: &Path, workspace: Option<&Path>) -> Location {
        let inside = workspace.and_then(|workspace| path.strip_prefix(workspace).ok());
        let absolute = path.to_string_lossy().into_owned();
        let shown = match inside {
            Some(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Some(inside) => inside.to_string_lossy().into_owned(),
            None => absolute.clone(),
        };
        Location { shown, absolute, resolved: None }
    }
}

/// Removes `.` and `..` as they are written.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !normal.pop() && !path.is_absolute() {
                    normal.push("..");
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                normal.push(component);
            }
        }
    }
    normal
}

/// Follows links in the part of a path that is there.
fn resolve(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    for parent in path.ancestors() {
        if let Ok(real) = parent.canonicalize() {
            return Some(match path.strip_prefix(parent) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                Ok(_) | Err(_) => real,
            });
        }
    }
    None
}
