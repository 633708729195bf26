//! Writing, moving, copying and deleting files.

use massgen_protocol::ToolEffect;
use massgen_workspace::{
    BuildTrees, Contents, GuardError, Kind as FileKind, Made, Overwrite, Stat, Walk, WalkOptions,
    Walked,
};

use super::edit::{Edit, apply};
use super::find::Globs;
use super::{Files, Said, below, said, text};
use crate::builtin::params::{Given, Kind, Param, Tool};
use crate::builtin::{Stop, size};

/// Files that are edited are read whole.
const EDITED_BYTES_MAX: u64 = 16 << 20;
const EDITS_MAX: usize = 200;
const DIFF_SHOWN_MAX: usize = 30_000;
const DIFF_CONTEXT: usize = 3;
/// Files of one batch.
const BATCH_MAX: usize = 5_000;
const PATTERNS_MAX: usize = 50;
/// Files that are named where not all can be.
const NAMED_MAX: usize = 8;

pub(super) const TOOLS: &[&Tool] =
    &[&WRITE, &EDIT, &CREATE_DIRECTORY, &MOVE, &COPY, &COPY_BATCH, &DELETE, &DELETE_BATCH];

const EDITS: &[Param] = &[
    Param::need("oldText", Kind::Text, "Text that is there, exactly").or(&[
        "old_text",
        "old_string",
        "old",
        "search",
    ]),
    Param::need("newText", Kind::Text, "Text in its place").or(&[
        "new_text",
        "new_string",
        "new",
        "replace",
    ]),
    Param::may("replaceAll", Kind::Flag, "Replace it everywhere").or(&["replace_all"]),
];
const INCLUDE: Param = Param::may(
    "include_patterns",
    Kind::Texts { max: PATTERNS_MAX },
    "Globs of the files meant; all if not given",
)
.or(&["include", "includePatterns"]);
const EXCLUDE: Param = Param::may(
    "exclude_patterns",
    Kind::Texts { max: PATTERNS_MAX },
    "Globs of files to leave alone",
)
.or(&["exclude", "excludePatterns"]);
const OVERWRITE: Param = Param::may("overwrite", Kind::Flag, "Replace files that are there");

static WRITE: Tool = Tool {
    name: "write_file",
    does: "Writes a whole file and makes the folders it is in. A file that is there has to be read before it is replaced.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("path", Kind::Text, "The file").or(&["file_path", "file", "filename"]),
        Param::need("content", Kind::Text, "All of its text").or(&[
            "contents",
            "text",
            "file_text",
        ]),
    ],
};
static EDIT: Tool = Tool {
    name: "edit_file",
    does: "Replaces parts of a text file; each must stand in it exactly once. All edits are made or none. Returns the difference.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("path", Kind::Text, "The file").or(&["file_path", "file", "filename"]),
        Param::need(
            "edits",
            Kind::Objects { of: EDITS, max: EDITS_MAX },
            "What to replace, in this order",
        ),
        Param::may("dryRun", Kind::Flag, "Only show the difference").or(&["dry_run"]),
    ],
};
static CREATE_DIRECTORY: Tool = Tool {
    name: "create_directory",
    does: "Makes a folder and those above it.",
    effect: ToolEffect::Write,
    takes: &[Param::need("path", Kind::Text, "The folder").or(&["directory", "dir"])],
};
static MOVE: Tool = Tool {
    name: "move_file",
    does: "Moves or renames a file or folder. Nothing is replaced.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("source", Kind::Text, "What to move").or(&["source_path", "from"]),
        Param::need("destination", Kind::Text, "Its new path").or(&["destination_path", "to"]),
    ],
};
static COPY: Tool = Tool {
    name: "copy_file",
    does: "Copies a file or folder, also out of the others' work.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("source_path", Kind::Text, "What to copy").or(&["source", "from"]),
        Param::need("destination_path", Kind::Text, "Where to").or(&["destination", "to"]),
        OVERWRITE,
    ],
};
static COPY_BATCH: Tool = Tool {
    name: "copy_files_batch",
    does: "Copies files of a folder into another, with the folders they are in.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("source_base_path", Kind::Text, "Folder to copy from").or(&[
            "source",
            "source_path",
            "from",
        ]),
        Param::need("destination_base_path", Kind::Text, "Folder to copy to").or(&[
            "destination",
            "destination_path",
            "to",
        ]),
        INCLUDE,
        EXCLUDE,
        OVERWRITE,
    ],
};
static DELETE: Tool = Tool {
    name: "delete_file",
    does: "Deletes a file or folder. What you neither made nor read in this run is not deleted.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("path", Kind::Text, "What to delete").or(&["file_path"]),
        Param::may("recursive", Kind::Flag, "A folder with all that is in it"),
    ],
};
static DELETE_BATCH: Tool = Tool {
    name: "delete_files_batch",
    does: "Deletes files of a folder. What you neither made nor read in this run is left.",
    effect: ToolEffect::Write,
    takes: &[Param::need("base_path", Kind::Text, "The folder").or(&["path"]), INCLUDE, EXCLUDE],
};

impl Files {
    pub(super) fn write_file(&self, given: &Given) -> Said {
        let (path, content) = (given.text("path"), given.text("content"));
        if let Ok(stat) = self.guard.stat(path) {
            if stat.kind == FileKind::Folder {
                return Err(format!("`{path}` is a folder, not a file"));
            }
            self.known_or_problem(path, &stat, "replaced")?;
        }
        let written = self.guard.write(path, content.as_bytes()).map_err(|error| said(&error))?;
        self.seen.add(path);
        let made = match written.made {
            Made::New => "new",
            Made::Replaced => "replaced",
        };
        Ok(format!(
            "Wrote {path} ({made}): {} lines, {}.",
            content.lines().count(),
            size(written.bytes)
        ))
    }

    pub(super) fn edit_file(&self, given: &Given) -> Said {
        let path = given.text("path");
        self.text_or_problem(path)?;
        let bytes = self.guard.read(path, EDITED_BYTES_MAX).map_err(|error| said(&error))?;
        // A lossy copy written back would change what was not to be changed.
        let old = String::from_utf8(bytes)
            .map_err(|_| format!("`{path}` is not UTF-8, so it is not edited; use a command"))?;
        let edits: Vec<Edit> = given
            .objects("edits")
            .iter()
            .map(|edit| Edit {
                old: edit.text("oldText").to_owned(),
                new: edit.text("newText").to_owned(),
                everywhere: edit.flag("replaceAll"),
            })
            .collect();
        let new = apply(&old, &edits)?;
        let diff = text::clipped(&text::diff(&old, &new, path, path, DIFF_CONTEXT), DIFF_SHOWN_MAX);
        if given.flag("dryRun") {
            return Ok(format!("Not written; it would change:\n{diff}"));
        }
        self.guard.write(path, new.as_bytes()).map_err(|error| said(&error))?;
        self.seen.add(path);
        Ok(diff)
    }

    pub(super) fn create_directory(&self, given: &Given) -> Said {
        let path = given.text("path");
        match self.guard.create_dir(path).map_err(|error| said(&error))? {
            Made::New => Ok(format!("Made {path}.")),
            Made::Replaced => Ok(format!("{path} is there already.")),
        }
    }

    pub(super) fn move_file(&self, given: &Given) -> Said {
        let (from, to) = (given.text("source"), given.text("destination"));
        self.guard.rename(from, to).map_err(|error| said(&error))?;
        self.seen.moved(from, to);
        Ok(format!("Moved {from} to {to}."))
    }

    pub(super) fn copy_file(&self, given: &Given) -> Said {
        let (from, to) = (given.text("source_path"), given.text("destination_path"));
        self.may_copy_over(to, given.flag("overwrite"))?;
        let (files, bytes) =
            self.guard.copy(from, to, overwrite(given)).map_err(|error| said(&error))?;
        self.seen.add(to);
        Ok(format!("Copied {from} to {to}: {files} files, {}.", size(bytes)))
    }

    pub(super) fn copy_files_batch(&self, given: &Given, stop: &Stop) -> Said {
        let (from, to) = (given.text("source_base_path"), given.text("destination_base_path"));
        let chosen = self.chosen(from, given)?;
        let (mut n_copied, mut n_bytes, mut left) = (0, 0, Vec::new());
        for entry in &chosen {
            if stop.is_set() {
                break;
            }
            let (source, target) = (below(from, &entry.path), below(to, &entry.path));
            let copied = self.may_copy_over(&target, given.flag("overwrite")).and_then(|()| {
                self.guard.copy(&source, &target, overwrite(given)).map_err(|error| said(&error))
            });
            match copied {
                Ok((_, bytes)) => {
                    self.seen.add(&target);
                    n_copied += 1;
                    n_bytes += bytes;
                }
                Err(problem) => left.push(problem),
            }
        }
        report(&format!("Copied {n_copied} files ({}) to {to}.", size(n_bytes)), n_copied, &left)
    }

    pub(super) fn delete_file(&self, given: &Given) -> Said {
        let path = given.text("path");
        let stat = self.guard.stat_link(path).map_err(|error| said(&error))?;
        let contents =
            if given.flag("recursive") { Contents::Remove } else { Contents::MustBeEmpty };
        match stat.kind {
            FileKind::File => self.known_or_problem(path, &stat, "deleted")?,
            FileKind::Folder if contents == Contents::Remove => {
                self.folder_known_or_problem(path)?
            }
            FileKind::Folder | FileKind::Link | FileKind::Special => {}
        }
        self.guard.remove(path, contents).map_err(|error| match error {
            GuardError::NotEmpty { .. } => {
                format!("{}: give `recursive` to delete what is in it too", said(&error))
            }
            other => said(&other),
        })?;
        self.seen.gone(path);
        Ok(format!("Deleted {path}."))
    }

    pub(super) fn delete_files_batch(&self, given: &Given, stop: &Stop) -> Said {
        let base = given.text("base_path");
        let chosen = self.chosen(base, given)?;
        let (mut n_deleted, mut left) = (0, Vec::new());
        for entry in &chosen {
            if stop.is_set() {
                break;
            }
            let path = below(base, &entry.path);
            let deleted = self.known_or_problem(&path, &entry.stat, "deleted").and_then(|()| {
                self.guard.remove(&path, Contents::MustBeEmpty).map_err(|error| said(&error))
            });
            match deleted {
                Ok(()) => {
                    self.seen.gone(&path);
                    n_deleted += 1;
                }
                Err(problem) => left.push(problem),
            }
        }
        report(&format!("Deleted {n_deleted} files in {base}."), n_deleted, &left)
    }

    /// The files of a folder that a batch is about.
    fn chosen(&self, base: &str, given: &Given) -> Result<Vec<Walked>, String> {
        let only = Globs::new(&given.texts("include_patterns").unwrap_or_default())?;
        let without = Globs::new(&given.texts("exclude_patterns").unwrap_or_default())?;
        let walk = self.guard.walk(base, &WHOLE).map_err(|error| said(&error))?;
        let files = walk.entries.into_iter().filter(|entry| match entry.stat.kind {
            FileKind::File => {
                (only.is_empty() || only.hit_with_parents(&entry.path))
                    && !without.hit_with_parents(&entry.path)
            }
            FileKind::Folder | FileKind::Link | FileKind::Special => false,
        });
        let files: Vec<Walked> = files.collect();
        match files.len() {
            0 => Err(format!("no file below `{base}` is meant by these patterns")),
            n if n > BATCH_MAX || walk.cut => Err(format!(
                "more than {BATCH_MAX} files are meant, which is too much for one call; nothing was done"
            )),
            _ => Ok(files),
        }
    }

    fn may_copy_over(&self, to: &str, is_allowed: bool) -> Result<(), String> {
        match self.guard.stat(to) {
            Ok(stat) if stat.kind == FileKind::File && is_allowed => {
                self.known_or_problem(to, &stat, "replaced")
            }
            Ok(_) if !is_allowed => {
                Err(format!("`{to}` exists already: give `overwrite` to replace it"))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn known_or_problem(&self, path: &str, stat: &Stat, done: &str) -> Result<(), String> {
        if stat.kind != FileKind::File || self.seen.knows(path, stat) {
            return Ok(());
        }
        Err(format!(
            "`{path}` ({}) was not {done}: you neither made nor read it in this run. Read it first",
            size(stat.bytes)
        ))
    }

    fn folder_known_or_problem(&self, path: &str) -> Result<(), String> {
        let Walk { entries, cut } = self.guard.walk(path, &WHOLE).map_err(|error| said(&error))?;
        let unknown = entries.iter().filter(|entry| {
            entry.stat.kind == FileKind::File
                && !self.seen.knows(&below(path, &entry.path), &entry.stat)
        });
        let unknown: Vec<&str> = unknown.map(|entry| entry.path.as_str()).collect();
        if unknown.is_empty() && !cut {
            return Ok(());
        }
        let named = unknown
            .iter()
            .take(NAMED_MAX)
            .map(|path| format!("`{path}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let more = if unknown.len() > NAMED_MAX { ", …" } else { "" };
        Err(format!(
            "`{path}` was not deleted: in it are {} files that you neither made nor read in this run ({named}{more})",
            unknown.len()
        ))
    }
}

const WHOLE: WalkOptions =
    WalkOptions { depth_max: 64, entries_max: BATCH_MAX * 4, build_trees: BuildTrees::Enter };

fn overwrite(given: &Given) -> Overwrite {
    if given.flag("overwrite") { Overwrite::Replace } else { Overwrite::Refuse }
}

/// An error only if nothing at all was done.
fn report(done: &str, n_done: usize, left: &[String]) -> Said {
    if left.is_empty() {
        return Ok(done.to_owned());
    }
    let named =
        left.iter().take(NAMED_MAX).map(|problem| format!("\n- {problem}")).collect::<String>();
    let more = if left.len() > NAMED_MAX { "\n- …" } else { "" };
    let text = format!("{done} {} were left:{named}{more}", left.len());
    if n_done == 0 { Err(text) } else { Ok(text) }
}
