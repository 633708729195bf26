//! Differences between files and between folders.

use std::collections::BTreeMap;

use massgen_protocol::ToolEffect;
use massgen_workspace::{BuildTrees, Kind as FileKind, WalkOptions, Walked};

use super::{Files, Said, below, said, text};
use crate::builtin::Stop;
use crate::builtin::params::{Given, Kind, Param, Tool};

/// Of each of two files that are compared as texts.
const COMPARED_BYTES_MAX: u64 = 8 << 20;
const SHOWN_MAX: usize = 40_000;
const CONTEXT: u64 = 3;
const CONTEXT_MAX: u64 = 50;
/// Files of one folder.
const FILES_MAX: usize = 20_000;
/// Paths of one kind of difference that are named.
const NAMED_MAX: usize = 200;
/// Read at once where only sameness is asked for.
const PIECE_BYTES: u64 = 1 << 20;

pub(super) const TOOLS: &[&Tool] = &[&FILES, &DIRECTORIES];

static FILES: Tool = Tool {
    name: "compare_files",
    does: "Shows how two text files differ.",
    effect: ToolEffect::Read,
    takes: &[
        Param::need("file1", Kind::Text, "One file").or(&["path1", "a"]),
        Param::need("file2", Kind::Text, "The other").or(&["path2", "b"]),
        Param::may(
            "context_lines",
            Kind::Count { min: 0, max: CONTEXT_MAX },
            "Lines around each difference; 3 if not given",
        )
        .or(&["context"]),
    ],
};
static DIRECTORIES: Tool = Tool {
    name: "compare_directories",
    does: "Tells which files two folders have in common, which differ, and which only one of them has.",
    effect: ToolEffect::Read,
    takes: &[
        Param::need("dir1", Kind::Text, "One folder").or(&["path1", "a"]),
        Param::need("dir2", Kind::Text, "The other").or(&["path2", "b"]),
        Param::may("show_content_diff", Kind::Flag, "Show how text files differ"),
    ],
};

impl Files {
    pub(super) fn compare_files(&self, given: &Given) -> Said {
        let (a, b) = (given.text("file1"), given.text("file2"));
        let context = given.count("context_lines").unwrap_or(CONTEXT) as usize;
        let diff = self.diff(a, b, context)?;
        self.seen.add(a);
        self.seen.add(b);
        Ok(if diff.is_empty() {
            format!("{a} and {b} are the same.")
        } else {
            text::clipped(&diff, SHOWN_MAX)
        })
    }

    pub(super) fn compare_directories(&self, given: &Given, stop: &Stop) -> Said {
        let (a, b) = (given.text("dir1"), given.text("dir2"));
        let (in_a, in_b) = (self.files_of(a)?, self.files_of(b)?);
        let only = |these: &BTreeMap<String, Walked>, those: &BTreeMap<String, Walked>| {
            these.keys().filter(|path| !those.contains_key(*path)).cloned().collect::<Vec<_>>()
        };
        let (only_a, only_b) = (only(&in_a, &in_b), only(&in_b, &in_a));
        let (mut differing, mut n_same) = (Vec::new(), 0);
        for (path, one) in &in_a {
            let Some(other) = in_b.get(path) else { continue };
            if stop.is_set() {
                return Err("given up".to_owned());
            }
            if one.stat.bytes == other.stat.bytes
                && self.same(&below(a, path), &below(b, path), one.stat.bytes)?
            {
                n_same += 1;
            } else {
                differing.push(path.clone());
            }
        }
        if only_a.is_empty() && only_b.is_empty() && differing.is_empty() {
            return Ok(format!("{a} and {b} are the same: {n_same} files."));
        }
        let mut shown = format!("{n_same} files are the same.\n");
        for (title, paths) in [
            (format!("Only in {a}"), &only_a),
            (format!("Only in {b}"), &only_b),
            ("Different".to_owned(), &differing),
        ] {
            if !paths.is_empty() {
                shown.push_str(&format!("{title} ({}):\n{}", paths.len(), named(paths)));
            }
        }
        if given.flag("show_content_diff") {
            for path in &differing {
                if shown.len() > SHOWN_MAX || stop.is_set() {
                    break;
                }
                // What is no text was named above.
                if let Ok(diff) = self.diff(&below(a, path), &below(b, path), CONTEXT as usize) {
                    shown.push_str(&format!("\n{diff}"));
                }
            }
        }
        Ok(text::clipped(&shown, SHOWN_MAX))
    }

    fn diff(&self, a: &str, b: &str, context: usize) -> Said {
        let (old, new) = (self.text(a)?, self.text(b)?);
        Ok(text::diff(&old, &new, a, b, context))
    }

    fn text(&self, path: &str) -> Said {
        self.text_or_problem(path)?;
        let bytes = self.guard.read(path, COMPARED_BYTES_MAX).map_err(|error| said(&error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn files_of(&self, path: &str) -> Result<BTreeMap<String, Walked>, String> {
        let options =
            WalkOptions { depth_max: 64, entries_max: FILES_MAX, build_trees: BuildTrees::Skip };
        let walk = self.guard.walk(path, &options).map_err(|error| said(&error))?;
        if walk.cut {
            return Err(format!(
                "`{path}` holds more than {FILES_MAX} files: compare folders below it"
            ));
        }
        let files = walk.entries.into_iter().filter(|entry| entry.stat.kind == FileKind::File);
        Ok(files.map(|entry| (entry.path.clone(), entry)).collect())
    }

    /// Both have this size.
    fn same(&self, a: &str, b: &str, bytes: u64) -> Result<bool, String> {
        let mut at = 0;
        while at < bytes {
            let (one, _) =
                self.guard.read_part(a, at, PIECE_BYTES).map_err(|error| said(&error))?;
            let (other, _) =
                self.guard.read_part(b, at, PIECE_BYTES).map_err(|error| said(&error))?;
            if one != other || one.is_empty() {
                return Ok(one == other);
            }
            at += one.len() as u64;
        }
        Ok(true)
    }
}

fn named(paths: &[String]) -> String {
    let mut text: String = paths.iter().take(NAMED_MAX).map(|path| format!("  {path}\n")).collect();
    if paths.len() > NAMED_MAX {
        text.push_str(&format!("  [{} more]\n", paths.len() - NAMED_MAX));
    }
    text
}
