//! The work tree as the chores see it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One text file of the work tree.
pub struct TextFile {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

/// The work tree: files git knows or would add, and what cargo says of the crates.
pub struct Repo {
    pub root: PathBuf,
    pub files: Vec<TextFile>,
    /// Paths of files that are not text.
    pub binaries: Vec<String>,
    pub metadata: Value,
}

impl Repo {
    /// Reads the work tree this chore was built in.
    ///
    /// # Errors
    /// Says which command or file could not be read.
    pub fn read() -> Result<Repo, String> {
        let root = root()?;
        let listed = output(
            &root,
            "git",
            &["ls-files", "-z", "-co", "--exclude-standard", "--deduplicate"],
        )?;
        let mut files = Vec::new();
        let mut binaries = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // A file deleted but not yet committed is still listed.
            let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
            match String::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => {
                    files.push(TextFile { path: path.to_owned(), text });
                }
                _ => binaries.push(path.to_owned()),
            }
        }
        let metadata =
            output(&root, env!("CARGO"), &["metadata", "--no-deps", "--format-version", "1"])?;
        let metadata = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
        Ok(Repo { root, files, binaries, metadata })
    }

    pub fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Returns the Rust sources.
    pub fn sources(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }
}

fn output(root: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{program} {}` failed: {}", arguments.join(" "), stderr.trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

/// Returns the work tree that the cargo which runs us stands in: a target folder may
/// serve more than one.
pub fn root() -> Result<PathBuf, String> {
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    Ok(manifest_dir.parent().ok_or("xtask has no parent folder")?.to_path_buf())
}

/// Writes a generated page of `docs/`.
pub fn write_doc(name: &str, text: &str) -> Result<(), String> {
    let path = root()?.join("docs").join(name);
    std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Prints one line; a reader that has gone away is no error of ours.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
