//! Finding files by name and by what is in them.

use ignore::overrides::{Override, OverrideBuilder};
use massgen_protocol::ToolEffect;
use massgen_workspace::{BuildTrees, Kind as FileKind, WalkOptions};
use regex::{Regex, RegexBuilder};

use super::{Files, Said, below, text};
use crate::builtin::Stop;
use crate::builtin::params::{Given, Kind, Param, Tool};

/// Files that are looked at.
const WALKED_MAX: usize = 100_000;
const FOUND_MAX: u64 = 500;
const MATCHES: u64 = 100;
const MATCHES_MAX: u64 = 1_000;
const CONTEXT_MAX: u64 = 20;
/// A longer file is passed over and said to be.
const SEARCHED_BYTES_MAX: u64 = 16 << 20;
/// Bytes of one line that are shown.
const LINE_SHOWN_MAX: usize = 400;
const SHOWN_MAX: usize = 60_000;
const PATTERN_MAX: usize = 50;
/// Of a compiled expression: what is larger is meant to be slow.
const EXPRESSION_BYTES_MAX: usize = 4 << 20;

pub(super) const TOOLS: &[&Tool] = &[&FILES, &TEXT];

const PATH: Param = Param::may("path", Kind::Text, "Where to look; the workspace if not given")
    .or(&["directory", "dir"]);
const EXCLUDED: Param =
    Param::may("excludePatterns", Kind::Texts { max: PATTERN_MAX }, "Globs of what to leave out")
        .or(&["exclude_patterns", "exclude"]);

static FILES: Tool = Tool {
    name: "search_files",
    does: "Finds files and folders by a glob, like `*.py` or `src/**/test_*`. Folders like node_modules are not entered.",
    effect: ToolEffect::Read,
    takes: &[
        PATH,
        Param::need("pattern", Kind::Text, "The glob").or(&["glob", "query", "name"]),
        EXCLUDED,
    ],
};
static TEXT: Tool = Tool {
    name: "search_text",
    does: "Finds lines by a regular expression in a file or in all text files of a folder.",
    effect: ToolEffect::Read,
    takes: &[
        Param::need("pattern", Kind::Text, "The regular expression")
            .or(&["regex", "query", "text"]),
        PATH,
        Param::may("glob", Kind::Texts { max: PATTERN_MAX }, "Only in files of such names")
            .or(&["include", "filePattern"]),
        EXCLUDED,
        Param::may("literal", Kind::Flag, "The pattern is plain text"),
        Param::may("ignore_case", Kind::Flag, "Upper and lower case are the same")
            .or(&["case_insensitive"]),
        Param::may(
            "context",
            Kind::Count { min: 0, max: CONTEXT_MAX },
            "Lines to show around each",
        )
        .or(&["context_lines"]),
        Param::may(
            "max_results",
            Kind::Count { min: 1, max: MATCHES_MAX },
            "Matches to show; 100 if not given",
        )
        .or(&["limit"]),
    ],
};

/// Some globs, any of which may fit.
pub(super) struct Globs(Option<Override>);

impl Globs {
    /// # Errors
    /// Which of them cannot be read.
    pub fn new(patterns: &[String]) -> Result<Globs, String> {
        if patterns.is_empty() {
            return Ok(Globs(None));
        }
        let mut globs = OverrideBuilder::new("");
        for pattern in patterns {
            // `!` at the beginning would turn the meaning around.
            let pattern = pattern.trim_start_matches("./").trim_start_matches('!');
            globs.add(pattern).map_err(|error| format!("`{pattern}` is no glob: {error}"))?;
        }
        globs.build().map(|globs| Globs(Some(globs))).map_err(|error| error.to_string())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn hit(&self, path: &str, is_folder: bool) -> bool {
        self.0.as_ref().is_some_and(|globs| globs.matched(path, is_folder).is_whitelist())
    }

    /// Whether it fits the path or a folder above it.
    pub fn hit_with_parents(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at);
        ends.map(|end| (end, true)).chain([(path.len(), false)]).any(|(end, is_folder)| {
            // What is last may be a file or a folder.
            self.hit(&path[..end], is_folder) || (!is_folder && self.hit(&path[..end], true))
        })
    }
}

const OPTIONS: WalkOptions =
    WalkOptions { depth_max: 64, entries_max: WALKED_MAX, build_trees: BuildTrees::Skip };

impl Files {
    pub(super) fn search_files(&self, given: &Given) -> Said {
        let path = given.maybe("path").unwrap_or(".");
        let wanted = Globs::new(&[given.text("pattern").to_owned()])?;
        let without = Globs::new(&given.texts("excludePatterns").unwrap_or_default())?;
        let walk = self.walk(path, &OPTIONS)?;
        let found: Vec<String> = walk
            .entries
            .iter()
            .filter(|entry| wanted.hit(&entry.path, entry.stat.kind == FileKind::Folder))
            .filter(|entry| !without.hit_with_parents(&entry.path))
            .map(|entry| below(path, &entry.path))
            .collect();
        let cut = if walk.cut { "\n[the folder holds more than was looked at]" } else { "" };
        if found.is_empty() {
            return Ok(format!("Nothing found.{cut}"));
        }
        let n_shown = found.len().min(FOUND_MAX as usize);
        let more = match found.len() - n_shown {
            0 => String::new(),
            n => format!("\n[{n} more]"),
        };
        Ok(format!("{}{more}{cut}", found[..n_shown].join("\n")))
    }

    pub(super) fn search_text(&self, given: &Given, stop: &Stop) -> Said {
        let path = given.maybe("path").unwrap_or(".");
        let wanted = expression(given)?;
        let only = Globs::new(&given.texts("glob").unwrap_or_default())?;
        let without = Globs::new(&given.texts("excludePatterns").unwrap_or_default())?;
        let context = given.count("context").unwrap_or(0) as usize;
        let mut search = Search {
            out: String::new(),
            n_left: given.count("max_results").unwrap_or(MATCHES) as usize,
            n_found: 0,
            n_files: 0,
        };
        let walk = self.walk(path, &OPTIONS)?;
        let mut n_skipped = 0;
        for entry in walk.entries.iter().filter(|entry| entry.stat.kind == FileKind::File) {
            if stop.is_set() || search.n_left == 0 || search.out.len() > SHOWN_MAX {
                break;
            }
            // A file that was named is searched, whatever its name.
            let is_named = entry.path.is_empty();
            if !is_named
                && (!only.is_empty() && !only.hit(&entry.path, false)
                    || without.hit_with_parents(&entry.path))
            {
                continue;
            }
            let name = below(path, &entry.path);
            match self.guard.read(&name, SEARCHED_BYTES_MAX) {
                Ok(bytes) if text::is_binary(&bytes) => {}
                Ok(bytes) => search.file(&name, &String::from_utf8_lossy(&bytes), &wanted, context),
                Err(_) => n_skipped += 1,
            }
        }
        let mut notes = Vec::new();
        if search.n_left == 0 || search.out.len() > SHOWN_MAX {
            notes.push("there may be more: narrow the search, or raise max_results".to_owned());
        }
        if n_skipped > 0 {
            notes.push(format!("{n_skipped} files are too long or cannot be read"));
        }
        if walk.cut {
            notes.push("the folder holds more files than were looked at".to_owned());
        }
        let notes: String = notes.iter().map(|note| format!("\n[{note}]")).collect();
        if search.n_found == 0 {
            return Ok(format!("Nothing found.{notes}"));
        }
        Ok(format!(
            "{}\n{} matches in {} files{notes}",
            search.out.trim_end(),
            search.n_found,
            search.n_files
        ))
    }
}

struct Search {
    out: String,
    n_left: usize,
    n_found: usize,
    n_files: usize,
}

impl Search {
    fn file(&mut self, name: &str, text: &str, wanted: &Regex, context: usize) {
        if !wanted.is_match(text) {
            return;
        }
        let lines: Vec<&str> = text.lines().collect();
        let hits =
            lines.iter().enumerate().filter(|(_, line)| wanted.is_match(line)).map(|(at, _)| at);
        let hits: Vec<usize> = hits.take(self.n_left).collect();
        let mut shown_to = 0;
        for &at in &hits {
            if self.out.len() > SHOWN_MAX {
                break;
            }
            self.n_left -= 1;
            self.n_found += 1;
            let from = at.saturating_sub(context).max(shown_to);
            if context > 0 && from > shown_to && shown_to > 0 {
                self.out.push_str("--\n");
            }
            let to = (at + context + 1).min(lines.len()).max(from);
            for (n, line) in (from..to).zip(&lines[from..to]) {
                let mark = if hits.binary_search(&n).is_ok() { ':' } else { '-' };
                self.out.push_str(&format!("{name}:{}{mark} {}\n", n + 1, short(line)));
            }
            shown_to = to;
        }
        self.n_files += usize::from(!hits.is_empty());
    }
}

fn expression(given: &Given) -> Result<Regex, String> {
    let written = given.text("pattern");
    if written.is_empty() {
        return Err("the pattern is empty".to_owned());
    }
    let pattern = if given.flag("literal") { regex::escape(written) } else { written.to_owned() };
    let built = RegexBuilder::new(&pattern)
        .case_insensitive(given.flag("ignore_case"))
        .multi_line(true)
        .size_limit(EXPRESSION_BYTES_MAX)
        .build();
    built.map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim().to_owned();
        format!("the pattern is no regular expression ({why}); for plain text give `literal`")
    })
}

fn short(line: &str) -> String {
    match line.char_indices().nth(LINE_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn globs_fit_names_and_paths() {
        for (glob, path, expected) in [
            ("*.py", "a.py", true),
            ("*.py", "src/deep/a.py", true),
            ("*.py", "a.pyc", false),
            ("src/**/x_*", "src/a/b/x_1", true),
            ("src/*.rs", "src/a/b.rs", false),
            ("**/test", "a/test", true),
            ("./a.txt", "a.txt", true),
            ("{a,b}.md", "b.md", true),
            ("node_modules", "x/node_modules/y.js", false),
        ] {
            assert_eq!(
                Globs::new(&[glob.to_owned()]).unwrap().hit(path, false),
                expected,
                "{glob} {path}"
            );
        }
        let globs = Globs::new(&["node_modules".to_owned()]).unwrap();
        assert!(globs.hit_with_parents("x/node_modules/y.js"));
        assert!(!globs.hit_with_parents("x/y.js"));
        assert!(Globs::new(&["a[".to_owned()]).is_err());
    }

    #[test]
    fn matches_are_shown_once_with_what_is_around() {
        let mut search = Search { out: String::new(), n_left: 10, n_found: 0, n_files: 0 };
        let wanted = Regex::new("hit").unwrap();
        search.file("f", "a\nhit 1\nhit 2\nb\nc\nd\ne\nhit 3", &wanted, 1);
        assert_eq!(search.out, "f:1- a\nf:2: hit 1\nf:3: hit 2\nf:4- b\n--\nf:7- e\nf:8: hit 3\n");
        assert_eq!((search.n_found, search.n_files), (3, 1));
    }
}
