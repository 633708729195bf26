//! The agent's folder: what is in it, and reading and writing there on the agent's behalf.
//!
//! A rule, not a wall: an agent is a program with its user's rights. What it asks of
//! us is served in its own folder only, however the path is written.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// What is read or written at once; no agent can use a longer text.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Links followed in one path, as many as common systems do.
const LINKS_MAX: usize = 40;

/// A folder, by its path without links.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> io::Result<Folder> {
        Ok(Folder { root: fs::canonicalize(path)? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// Returns the path without `..` and links if it is in the folder, or would be once it
    /// is made. A path that is not absolute counts from the folder.
    pub(super) fn inside(&self, path: &Path) -> Option<PathBuf> {
        let real = real_path(&self.root.join(path))?;
        real.starts_with(&self.root).then_some(real)
    }

    /// Reads a text: `limit` lines from line `from`, which counts from 1.
    pub(super) fn read(
        &self,
        path: &Path,
        from: Option<u32>,
        limit: Option<u32>,
    ) -> Result<String, String> {
        let path = self.inside(path).ok_or_else(|| outside(path))?;
        let failed = |error: io::Error| format!("failed to read `{}`: {error}", path.display());
        // Before it is opened: opening a pipe would wait for its other end.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(format!("`{}` is not a file", path.display()));
        }
        let file = fs::File::open(&path).map_err(failed)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("`{}` is longer than {FILE_BYTES_MAX} bytes", path.display()));
        }
        if from.is_none() && limit.is_none() {
            return Ok(text);
        }
        let skipped = from.unwrap_or(1).saturating_sub(1) as usize;
        let lines = text.split_inclusive('\n').skip(skipped);
        Ok(lines.take(limit.map_or(usize::MAX, |limit| limit as usize)).collect())
    }

    /// Writes a whole text; folders above it are made.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<(), String> {
        let path = self.inside(path).ok_or_else(|| outside(path))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("a text longer than {FILE_BYTES_MAX} bytes is not written"));
        }
        let failed = |error: io::Error| format!("failed to write `{}`: {error}", path.display());
        if fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            return Err(format!("`{}` is not a file", path.display()));
        }
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)
    }
}

fn outside(path: &Path) -> String {
    format!("`{}` is outside of the agent's folder", path.display())
}

/// Follows every link and every `..` in the order the system would, also where the last
/// parts do not exist yet. `None` where links go in circles or nothing can be told.
fn real_path(path: &Path) -> Option<PathBuf> {
    let mut real = PathBuf::new();
    let mut rest: Vec<PathBuf> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.components().next()? {
            Component::Prefix(_) | Component::RootDir => real.push(&part),
            Component::CurDir => {}
            Component::ParentDir => {
                real.pop();
            }
            Component::Normal(name) => {
                let next = real.join(name);
                match fs::symlink_metadata(&next) {
                    Ok(meta) if meta.is_symlink() => {
                        links += 1;
                        if links > LINKS_MAX {
                            return None;
                        }
                        rest.extend(parts(&fs::read_link(&next).ok()?));
                    }
                    Ok(_) => real = next,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => real = next,
                    Err(_) => return None,
                }
            }
        }
    }
    Some(real)
}

/// Returns the components of a path, the last first. A root begins anew, as `push` does.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> =
        path.components().map(|part| PathBuf::from(part.as_os_str())).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_by_where_it_leads() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("work");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        let folder = Folder::new(&root).unwrap();
        let check = |path: &str, expected: Option<&str>| {
            let expected = expected.map(|path| folder.path().join(path));
            assert_eq!(folder.inside(&root.join(path)), expected, "{path}");
        };
        check("a", Some("a"));
        check("new/deep/a", Some("new/deep/a"));
        check("sub/../a", Some("a"));
        check("", Some(""));
        check("../secret", None);
        check("sub/../../secret", None);
        check("/etc/passwd", None);
        check("../work2/a", None);
        assert_eq!(folder.inside(Path::new("a")), Some(folder.path().join("a")));
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink(outer.path(), root.join("up")).unwrap();
            symlink("../secret", root.join("link")).unwrap();
            symlink("sub", root.join("in")).unwrap();
            symlink("circle", root.join("circle")).unwrap();
            symlink(outer.path().join("not-yet"), root.join("dangling")).unwrap();
            check("up/secret", None);
            check("link", None);
            check("in/a", Some("sub/a"));
            check("up/work/a", Some("a"));
            check("circle", None);
            check("dangling", None);
            // `..` after a link leads to where the link's target is.
            check("in/../a", Some("a"));
            check("up/../a", None);
            assert!(folder.write(&root.join("link"), "x").is_err());
            assert_eq!(fs::read_to_string(outer.path().join("secret")).unwrap(), "s");
        }
    }

    #[test]
    fn texts_are_read_by_line_and_written_whole() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path()).unwrap();
        folder.write(Path::new("a/b.txt"), "1\n2\n3\n4").unwrap();
        let read = |from, limit| folder.read(Path::new("a/b.txt"), from, limit).unwrap();
        assert_eq!(read(None, None), "1\n2\n3\n4");
        assert_eq!(read(Some(2), Some(2)), "2\n3\n");
        assert_eq!(read(Some(9), None), "");
        assert_eq!(read(None, Some(1)), "1\n");
        let error = |result: Result<String, String>| result.unwrap_err();
        assert!(error(folder.read(Path::new("a"), None, None)).contains("is not a file"));
        assert!(error(folder.read(Path::new("none"), None, None)).contains("failed to read"));
        fs::write(root.path().join("raw"), [0xff]).unwrap();
        assert!(error(folder.read(Path::new("raw"), None, None)).contains("UTF-8"));
        assert!(folder.write(Path::new("a"), "x").unwrap_err().contains("is not a file"));
        let long = "x".repeat(FILE_BYTES_MAX as usize + 1);
        assert!(folder.write(Path::new("long"), &long).is_err());
    }
}
