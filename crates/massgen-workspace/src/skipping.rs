//! What does not belong into a snapshot: what tools made out of something else.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::scan::{SkipReason, open_file};

/// Left out wherever they are: records and caches of tools.
const NAMES: [&str; 14] = [
    ".git",
    ".hg",
    ".svn",
    ".massgen",
    "massgen_logs",
    "node_modules",
    "__pycache__",
    ".venv",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".DS_Store",
];

/// Left out beside a file that tells what they are; the same words may name somebody's work.
const NAMES_BESIDE: [(&str, &[&str]); 2] = [
    ("target", &["Cargo.toml", "pom.xml", "build.sbt"]),
    ("venv", &["pyproject.toml", "requirements.txt", "setup.py"]),
];

/// Begins what a write of ours has not finished.
const UNFINISHED: &str = ".massgen-unfinished-";

/// A file of this name that begins so marks a folder that can be made again.
const CACHE_TAG: (&str, &[u8]) = ("CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55");

/// Read of a `.gitignore`; more is nobody's work.
const RULES_BYTES_MAX: u64 = 256 << 10;

/// Returns why a name is left out. A `.gitignore` counts for folders only: build trees are
/// folders, while a single ignored file may well be the result somebody was asked for.
pub(crate) fn reason(
    rules: &[Gitignore],
    siblings: &[OsString],
    name: &OsStr,
    path: &Path,
    is_folder: bool,
) -> Option<SkipReason> {
    let text = name.to_str().unwrap_or_default();
    if NAMES.contains(&text) || text.starts_with(UNFINISHED) {
        return Some(SkipReason::BuildTree);
    }
    if !is_folder {
        return None;
    }
    let beside = NAMES_BESIDE.iter().filter(|(name, _)| *name == text);
    let mut marks = beside.flat_map(|(_, marks)| marks.iter());
    let is_there = |mark: &&str| {
        siblings.binary_search_by(|name| name.as_os_str().cmp(OsStr::new(mark))).is_ok()
    };
    if marks.any(is_there) {
        return Some(SkipReason::BuildTree);
    }
    // The deepest file that has something to say decides.
    for rules in rules.iter().rev() {
        match rules.matched(path, true) {
            Match::Ignore(_) => return Some(SkipReason::Ignored),
            Match::Whitelist(_) => return None,
            Match::None => {}
        }
    }
    None
}

/// Returns what the `.gitignore` of a folder says, if there is one.
pub(crate) fn rules_of(folder: &OwnedFd, names: &[OsString], below: &Path) -> Option<Gitignore> {
    names.binary_search_by(|name| name.as_os_str().cmp(OsStr::new(".gitignore"))).ok()?;
    let file = open_file(folder, OsStr::new(".gitignore")).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(RULES_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let mut builder = GitignoreBuilder::new(below);
    for line in String::from_utf8_lossy(&bytes).lines() {
        // A line that is no pattern says nothing; the others still do.
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}

/// Returns whether a folder says of itself that it can be made again.
pub(crate) fn is_marked_cache(folder: &OwnedFd) -> bool {
    let (name, signature) = CACHE_TAG;
    let Ok(file) = open_file(folder, OsStr::new(name)) else { return false };
    let mut begin = Vec::new();
    let read = file.take(u64::try_from(signature.len()).unwrap_or(0)).read_to_end(&mut begin);
    read.is_ok() && begin == signature
}
