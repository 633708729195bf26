//! What every program may read: the system's folders, and language runtimes that are elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Programs, libraries and what they come with.
pub(crate) const SYSTEM: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
];

/// Settings of the system; what in it not everybody may read stays hidden, also from root.
pub(crate) const SETTINGS: &str = "/etc";

/// How deep `/etc` is looked through for what is private. Deeper down it is private by its
/// folder.
const SETTINGS_DEPTH: usize = 3;

/// Programs whose folders are read when they are found on `PATH` outside of the system's.
const RUNTIMES: [&str; 24] = [
    "python3", "python", "pip", "uv", "node", "npm", "npx", "deno", "bun", "ruby", "perl", "go",
    "java", "julia", "R", "php", "rustc", "cargo", "gcc", "cc", "make", "cmake", "git", "conda",
];

/// Where version managers keep runtimes below a home directory, and nothing private.
const MANAGED: [&str; 14] = [
    ".pyenv",
    ".rbenv",
    ".rustup/toolchains",
    ".rustup/settings.toml",
    ".cargo/bin",
    ".nvm/versions",
    ".volta/tools",
    ".asdf/installs",
    ".sdkman/candidates",
    ".local/share/uv/python",
    ".local/share/mise/installs",
    "miniconda3",
    "miniforge3",
    "anaconda3",
];

/// The runtimes of this machine, looked for once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runtimes {
    /// To be readable, with all below.
    pub(crate) folders: Vec<PathBuf>,
    /// The `PATH` of programs.
    pub(crate) path: String,
    /// By which version managers find themselves under another `HOME`.
    pub(crate) env: BTreeMap<String, String>,
}

impl Runtimes {
    /// Looks for runtimes on `path`, without opening the home directory for their sake.
    pub(crate) fn find(path: &str, home: Option<&Path>) -> Runtimes {
        let entries: Vec<PathBuf> =
            std::env::split_paths(path).filter(|entry| entry.is_absolute()).collect();
        let mut folders: Vec<PathBuf> = Vec::new();
        for entry in &entries {
            // A virtual environment holds no more than what it was made for.
            if let Some(folder) = entry.parent()
                && folder.join("pyvenv.cfg").is_file()
            {
                folders.push(folder.to_owned());
            }
            let programs = RUNTIMES.iter().map(|name| entry.join(name));
            for program in programs.filter_map(|program| fs::canonicalize(program).ok()) {
                folders.extend(folder_of(&program, home));
            }
        }
        if let Some(home) = home {
            let managed = MANAGED.iter().map(|name| home.join(name));
            folders.extend(managed.filter(|folder| {
                entries.iter().any(|entry| entry.starts_with(folder))
                    || folder.ends_with("settings.toml")
            }));
            // A toolchain's programs are links to one that looks for it elsewhere.
            if folders.contains(&home.join(".cargo/bin")) {
                folders.push(home.join(".rustup/toolchains"));
            }
        }
        folders.retain(|folder| folder.exists() && !is_system(folder));
        folders.sort();
        folders.dedup();
        let managers =
            [("PYENV_ROOT", ".pyenv", ".pyenv"), ("RUSTUP_HOME", ".rustup", ".rustup/toolchains")];
        let env = managers.into_iter().filter_map(|(name, folder, opened)| {
            let home = home.filter(|home| folders.contains(&home.join(opened)))?;
            Some((name.to_owned(), home.join(folder).display().to_string()))
        });
        let env = env.collect();
        let readable = |entry: &&PathBuf| {
            is_system(entry) || folders.iter().any(|folder| entry.starts_with(folder))
        };
        let mut listed: Vec<String> =
            entries.iter().filter(readable).map(|entry| entry.display().to_string()).collect();
        for usual in ["/usr/local/bin", "/usr/bin", "/bin"] {
            if !listed.iter().any(|entry| entry == usual) {
                listed.push(usual.to_owned());
            }
        }
        Runtimes { folders, path: listed.join(":"), env }
    }
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|folder| path.starts_with(folder))
}

/// Returns what to open for a program: what it was installed into, or its own folder alone
/// where that would open a home directory or a folder directly in it.
fn folder_of(program: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let own = program.parent()?;
    if own.parent().is_none() || is_system(own) {
        return None;
    }
    let whole = own.parent().filter(|_| own.ends_with("bin"));
    let private = |folder: &Path| {
        folder.parent().is_none()
            || home.is_some_and(|home| home.starts_with(folder) || folder.parent() == Some(home))
    };
    match whole {
        Some(folder) if !private(folder) => Some(folder.to_owned()),
        _ if home.is_some_and(|home| home.starts_with(own)) => None,
        _ => Some(own.to_owned()),
    }
}

/// Returns what below [`SETTINGS`] is not for everybody.
pub(crate) fn private_settings() -> Vec<PathBuf> {
    let mut found = Vec::new();
    look(Path::new(SETTINGS), SETTINGS_DEPTH, &mut found);
    found.sort();
    found
}

fn look(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // A link is as private as what it leads to, which is looked at on its own.
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        if facts.is_symlink() {
            continue;
        }
        if facts.permissions().mode() & 0o004 == 0 {
            found.push(path);
        } else if facts.is_dir() && depth > 1 {
            look(&path, depth - 1, found);
        }
    }
}

/// Returns the largest parts of `folder` that hold nothing of `without`.
pub(crate) fn parts(folder: &Path, without: &[PathBuf]) -> Vec<PathBuf> {
    if without.iter().any(|hidden| folder.starts_with(hidden)) {
        return Vec::new();
    }
    if !without.iter().any(|hidden| hidden.starts_with(folder)) {
        return vec![folder.to_owned()];
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    // A link opens what it leads to: that is asked for by its own name or not at all.
    entries.retain(|entry| !entry.is_symlink());
    entries.iter().flat_map(|entry| parts(entry, without)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn a_runtime_is_opened_and_the_home_directory_is_not() {
        let machine = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(machine.path()).unwrap();
        let home = root.join("home/ann");
        program(&root.join("opt/node/bin/node"));
        program(&home.join("bin/python3"));
        program(&home.join(".local/bin/uv"));
        program(&home.join("tools/go-1/bin/go"));
        program(&home.join(".cargo/bin/cargo"));
        fs::write(home.join(".cargo/credentials.toml"), "secret").unwrap();
        program(&home.join(".rustup/toolchains/stable/bin/rustc"));
        program(&root.join("project/.venv/bin/python3"));
        fs::write(root.join("project/.venv/pyvenv.cfg"), "").unwrap();
        let entries = [
            root.join("opt/node/bin"),
            home.join("bin"),
            home.join(".local/bin"),
            home.join("tools/go-1/bin"),
            home.join(".cargo/bin"),
            root.join("project/.venv/bin"),
            PathBuf::from("relative/bin"),
        ];
        let path = std::env::join_paths(&entries).unwrap().into_string().unwrap();

        let found = Runtimes::find(&path, Some(&home));
        let expected = [
            home.join(".cargo/bin"),
            home.join(".local/bin"),
            home.join(".rustup/toolchains"),
            home.join("bin"),
            home.join("tools/go-1"),
            root.join("opt/node"),
            root.join("project/.venv"),
        ];
        assert_eq!(found.folders, expected);
        assert!(!found.path.contains("relative"));
        let rustup = home.join(".rustup").display().to_string();
        assert_eq!(found.env, BTreeMap::from([("RUSTUP_HOME".to_owned(), rustup)]));
        assert!(found.path.ends_with("/usr/local/bin:/usr/bin:/bin"));
        assert!(Runtimes::find("/usr/bin:/bin", Some(&home)).folders.is_empty());
    }

    #[test]
    fn parts_leave_out_what_is_hidden_and_links() {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        program(&root.join("a/b/secret"));
        program(&root.join("a/b/open"));
        program(&root.join("a/c"));
        std::os::unix::fs::symlink(root.join("a/b/secret"), root.join("a/link")).unwrap();
        let hidden = [root.join("a/b/secret")];
        assert_eq!(parts(root, &hidden), [root.join("a/b/open"), root.join("a/c")]);
        assert_eq!(parts(&root.join("a/b/secret"), &hidden), Vec::<PathBuf>::new());
        assert_eq!(parts(root, &[]), [root]);
    }

    #[test]
    fn settings_that_are_not_for_everybody_are_private() {
        let private = private_settings();
        if Path::new("/etc/shadow").exists() {
            assert!(private.contains(&PathBuf::from("/etc/shadow")), "{private:?}");
        }
        assert!(!private.contains(&PathBuf::from("/etc/passwd")));
    }
}
