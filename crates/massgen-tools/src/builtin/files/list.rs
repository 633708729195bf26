//! What is in folders.

use massgen_protocol::ToolEffect;
use massgen_workspace::{BuildTrees, Kind as FileKind, Listed, WalkOptions};

use super::find::Globs;
use super::{Files, Said, said};
use crate::builtin::params::{Given, Kind, Param, Tool};
use crate::builtin::size;

/// Names shown at once.
const ENTRIES_MAX: usize = 2_000;
/// Names that are looked at in one folder.
const LISTED_MAX: usize = 200_000;
const TREE_ENTRIES_MAX: usize = 1_000;
const TREE_DEPTH: u64 = 8;
const TREE_DEPTH_MAX: u64 = 32;
const PATTERNS_MAX: usize = 50;

pub(super) const TOOLS: &[&Tool] = &[&LIST, &LIST_SIZES, &TREE];

const PATH: Param = Param::may("path", Kind::Text, "The folder; the workspace if none is given")
    .or(&["directory", "dir"]);

static LIST: Tool = Tool {
    name: "list_directory",
    does: "Lists what is in a folder.",
    effect: ToolEffect::Read,
    takes: &[PATH],
};
static LIST_SIZES: Tool = Tool {
    name: "list_directory_with_sizes",
    does: "Lists what is in a folder with sizes.",
    effect: ToolEffect::Read,
    takes: &[
        PATH,
        Param::may("sortBy", Kind::Choice(&["name", "size"]), "name or size").or(&["sort_by"]),
    ],
};
static TREE: Tool = Tool {
    name: "directory_tree",
    does: "Shows a folder with all that is below it. Folders like node_modules and .git are named, not entered.",
    effect: ToolEffect::Read,
    takes: &[
        PATH,
        Param::may(
            "depth",
            Kind::Count { min: 1, max: TREE_DEPTH_MAX },
            "Levels to show; 8 if not given",
        )
        .or(&["max_depth"]),
        Param::may(
            "excludePatterns",
            Kind::Texts { max: PATTERNS_MAX },
            "Globs of what to leave out",
        )
        .or(&["exclude_patterns", "exclude"]),
    ],
};

impl Files {
    pub(super) fn list_directory(&self, given: &Given) -> Said {
        let listed = self.listed(given)?;
        Ok(shown(&listed, |entry| format!("{} {}", mark(entry.stat.kind), entry.name)))
    }

    pub(super) fn list_directory_with_sizes(&self, given: &Given) -> Said {
        let mut listed = self.listed(given)?;
        if given.maybe("sortBy") == Some("size") {
            listed.sort_by_key(|entry| std::cmp::Reverse(entry.stat.bytes));
        }
        let files: Vec<&Listed> =
            listed.iter().filter(|entry| entry.stat.kind == FileKind::File).collect();
        let total: u64 = files.iter().map(|entry| entry.stat.bytes).sum();
        let list = shown(&listed, |entry| match entry.stat.kind {
            FileKind::File => {
                format!("{} {} ({})", mark(FileKind::File), entry.name, size(entry.stat.bytes))
            }
            kind @ (FileKind::Folder | FileKind::Link | FileKind::Special) => {
                format!("{} {}", mark(kind), entry.name)
            }
        });
        Ok(format!("{list}\n{} files, {}", files.len(), size(total)))
    }

    pub(super) fn directory_tree(&self, given: &Given) -> Said {
        let path = given.maybe("path").unwrap_or(".");
        let without = Globs::new(&given.texts("excludePatterns").unwrap_or_default())?;
        let depth_max =
            usize::try_from(given.count("depth").unwrap_or(TREE_DEPTH)).unwrap_or(usize::MAX);
        let options =
            WalkOptions { depth_max, entries_max: LISTED_MAX, build_trees: BuildTrees::Skip };
        let walk = self.guard.walk(path, &options).map_err(|error| said(&error))?;
        let kept = walk.entries.iter().filter(|entry| !without.hit_with_parents(&entry.path));
        let (mut text, mut n_more) = (String::new(), 0);
        for (nth, entry) in kept.enumerate() {
            if nth >= TREE_ENTRIES_MAX {
                n_more += 1;
                continue;
            }
            let (parents, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            let depth = if parents.is_empty() { 0 } else { parents.split('/').count() };
            let end = if entry.stat.kind == FileKind::Folder { "/" } else { "" };
            text.push_str(&format!("{}{name}{end}\n", "  ".repeat(depth)));
        }
        if n_more > 0 {
            text.push_str(&format!("[{n_more} more; name a folder below to see it]\n"));
        }
        if walk.cut {
            text.push_str("[there is more below what is shown]\n");
        }
        Ok(if text.is_empty() { "(empty)".to_owned() } else { text })
    }

    fn listed(&self, given: &Given) -> Result<Vec<Listed>, String> {
        self.guard
            .list(given.maybe("path").unwrap_or("."), LISTED_MAX)
            .map_err(|error| said(&error))
    }
}

fn shown(listed: &[Listed], line: impl Fn(&Listed) -> String) -> String {
    if listed.is_empty() {
        return "(empty)".to_owned();
    }
    let mut lines: Vec<String> = listed.iter().take(ENTRIES_MAX).map(line).collect();
    if listed.len() > ENTRIES_MAX {
        lines.push(format!("[{} more]", listed.len() - ENTRIES_MAX));
    }
    lines.join("\n")
}

fn mark(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "[FILE]",
        FileKind::Folder => "[DIR]",
        FileKind::Link => "[LINK]",
        FileKind::Special => "[OTHER]",
    }
}
