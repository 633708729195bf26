//! What a confined server has to read so that it can start at all.
//!
//! Programs of users live below their home directory more often than not, and a confined
//! process sees nothing of that. What the config names in a server's command is meant to be
//! run, so that much is opened: the program, what it is installed with, and the files and
//! folders among its arguments. Never the home directory itself, nor a folder above it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// Interpreters of interpreters: a script run by a shim that is a script itself.
const INTERPRETERS_MAX: usize = 4;

/// Returns the program as the system would find it.
pub(super) fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    if program.contains('/') {
        let program = without_parents(std::path::absolute(program).ok()?);
        return is_program(&program).then_some(program);
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|program| is_program(program))
}

/// Takes `..` out of a path: what it goes through need not be there for a confined program. The
/// last name stays as it is, for an interpreter may be a link that tells it where it belongs.
fn without_parents(path: PathBuf) -> PathBuf {
    if !path.components().any(|component| component == Component::ParentDir) {
        return path;
    }
    let folder = path.parent().and_then(|parent| parent.canonicalize().ok());
    match folder.zip(path.file_name()) {
        Some((folder, name)) => folder.join(name),
        None => path,
    }
}

fn is_program(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    path.is_file()
}

/// Returns what has to be readable, without what the system's own folders hold.
pub(super) fn needed(
    program: &Path,
    args: &[String],
    path: &OsStr,
    home: Option<&Path>,
) -> Vec<PathBuf> {
    let mut needed = Vec::new();
    let mut next = Some(program.to_owned());
    for _ in 0..INTERPRETERS_MAX {
        let Some(program) = next.take() else { break };
        let real = program.canonicalize().unwrap_or_else(|_| program.clone());
        needed.extend(around(&program, home));
        needed.extend(around(&real, home));
        next = interpreter(&real, path).filter(|interpreter| *interpreter != program);
    }
    for arg in args {
        // `--dir=/data` names a path, too.
        let arg = arg.split_once('=').map_or(arg.as_str(), |(_, value)| value);
        let named = Path::new(arg);
        if named.is_absolute() && named.exists() {
            needed.extend(around(named, home));
            let real = named.canonicalize().unwrap_or_else(|_| named.to_owned());
            needed.extend(around(&real, home));
        }
    }
    needed.sort();
    needed.dedup();
    needed
}

/// Returns the folder that belongs to a path, or the path itself where that would be too much.
fn around(path: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let too_much = |folder: &Path| {
        folder.parent().is_none() || home.is_some_and(|home| home.starts_with(folder))
    };
    if path.is_dir() {
        return if too_much(path) { Vec::new() } else { vec![path.to_owned()] };
    }
    let mut found = vec![path.to_owned()];
    let Some(parent) = path.parent() else { return found };
    let packages = path.ancestors().filter(|folder| folder.ends_with("node_modules")).last();
    let venv = path.ancestors().skip(1).take(5).find(|folder| folder.join("pyvenv.cfg").is_file());
    let folder = if let Some(packages) = packages {
        packages
    } else if let Some(venv) = venv {
        // Its Python is a link to the one it was made with, which brings the library.
        let python = venv.join("bin/python").canonicalize();
        if let Some(prefix) = python.ok().as_deref().and_then(|python| installed(python, home)) {
            found.push(prefix.to_owned());
        }
        venv
    } else {
        installed(path, home).unwrap_or(parent)
    };
    if !too_much(folder) {
        found.push(folder.to_owned());
    }
    found
}

/// Returns the prefix a program is installed with.
fn installed<'p>(program: &'p Path, home: Option<&Path>) -> Option<&'p Path> {
    let bin = program.parent()?;
    let prefix = bin.parent()?;
    match bin.file_name().and_then(OsStr::to_str)? {
        "shims" => Some(prefix),
        // `~/.local` and `~/.cargo` hold keys beside their programs.
        "bin" if prefix.parent() == home => Some(bin),
        "bin" => Some(prefix),
        _ => None,
    }
}

/// Returns what runs a script, by its first line.
fn interpreter(script: &Path, path: &OsStr) -> Option<PathBuf> {
    let mut head = [0; 256];
    let n = File::open(script).and_then(|mut file| file.read(&mut head)).ok()?;
    let line = std::str::from_utf8(&head[..n]).ok()?.strip_prefix("#!")?.lines().next()?;
    let mut words = line.split_whitespace().filter(|word| !word.starts_with('-'));
    let first = words.next()?;
    if first.ends_with("/env") { find(words.next()?, path) } else { find(first, path) }
}

/// Returns the folders that servers commonly take as an argument: they are told of them as
/// roots, or a server that asks for roots would forget what it was started for.
pub(super) fn folders(args: &[String]) -> Vec<PathBuf> {
    let named = args.iter().map(Path::new);
    named
        .filter(|path| path.is_absolute() && path.is_dir())
        .filter(|path| {
            !path.components().any(|c| c == Component::Normal(OsStr::new("node_modules")))
        })
        .map(Path::to_owned)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    fn program(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn a_program_is_found_without_the_folders_it_is_not_in() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let real = dir.join("real/python");
        program(&real, "\u{7f}ELF");
        fs::create_dir_all(dir.join("elsewhere/deep")).unwrap();
        let link = dir.join("venv/bin/python");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let wanted = dir.join("elsewhere/deep/../../venv/bin/python");
        assert_eq!(find(wanted.to_str().unwrap(), OsStr::new("")), Some(link));
    }

    #[test]
    fn a_program_brings_what_it_is_installed_with_but_no_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap().join("home");
        let node = home.join(".nvm/versions/v20/bin/node");
        program(&node, "\u{7f}ELF");
        let script = home.join("proj/node_modules/@x/server/dist/index.js");
        program(&script, "#!/usr/bin/env node\n");
        let cargo = home.join(".cargo/bin/server");
        program(&cargo, "\u{7f}ELF");
        fs::write(home.join("notes.md"), "").unwrap();
        let path = std::env::join_paths([node.parent().unwrap()]).unwrap();

        let of = |program: &Path, args: &[&Path]| {
            let args: Vec<String> = args.iter().map(|arg| arg.to_str().unwrap().into()).collect();
            needed(program, &args, &path, Some(&home))
        };
        let reads = of(&script, &[&home, dir.path(), &home.join("notes.md"), Path::new("/")]);
        assert!(reads.contains(&home.join("proj/node_modules")), "{reads:?}");
        assert!(reads.contains(&home.join(".nvm/versions/v20")), "{reads:?}");
        assert!(reads.contains(&home.join("notes.md")), "{reads:?}");
        for folder in [home.as_path(), dir.path(), Path::new("/"), &home.join("proj")] {
            assert!(!reads.iter().any(|path| path == folder), "{folder:?} in {reads:?}");
        }
        let reads = of(&cargo, &[]);
        assert_eq!(reads, [home.join(".cargo/bin"), cargo]);
    }

    #[test]
    fn a_program_is_looked_for_as_the_system_does() {
        let dir = tempfile::tempdir().unwrap();
        program(&dir.path().join("a/tool"), "");
        fs::create_dir_all(dir.path().join("b/tool")).unwrap();
        let path = std::env::join_paths([dir.path().join("b"), dir.path().join("a")]).unwrap();
        assert_eq!(find("tool", &path), Some(dir.path().join("a/tool")));
        assert_eq!(find("other", &path), None);
        assert_eq!(find("/nowhere/tool", &path), None);
    }
}
