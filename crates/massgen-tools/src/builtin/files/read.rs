//! Reading files.

use std::io::BufReader;
use std::time::{SystemTime, UNIX_EPOCH};

use massgen_protocol::{Access, ToolEffect};
use massgen_workspace::Kind as FileKind;

use super::text::{self, Lines, PROBED_BYTES, Window};
use super::{Files, Said, said};
use crate::builtin::params::{Given, Kind, Param, Tool};
use crate::builtin::{Stop, size};

/// Bytes of a text shown at once; more is read on with `offset`.
const SHOWN_MAX: usize = 100_000;
/// Of each file where several are read.
const SHOWN_OF_SEVERAL_MAX: usize = 40_000;
const FILES_MAX: usize = 50;
/// Bytes that are looked at to tell how many lines a file has.
const COUNTED_MAX: u64 = 64 << 20;
/// Where the last lines of a file are looked for.
const TAIL_BYTES: u64 = 1 << 20;
const LINES_MAX: u64 = 1_000_000_000;

pub(super) const TOOLS: &[&Tool] = &[&READ, &READ_SEVERAL, &INFO, &ALLOWED];

static READ: Tool = Tool {
    name: "read_text_file",
    does: "Reads a text file: all of it, its first lines (head), its last ones (tail), or lines from offset on.",
    effect: ToolEffect::Read,
    takes: &[
        Param::need("path", Kind::Text, "The file").or(&["file_path", "file", "filename"]),
        Param::may("head", Kind::Count { min: 1, max: LINES_MAX }, "First lines to show"),
        Param::may("tail", Kind::Count { min: 1, max: LINES_MAX }, "Last lines to show"),
        Param::may("offset", Kind::Count { min: 1, max: LINES_MAX }, "First line to show, from 1")
            .or(&["start_line"]),
        Param::may("limit", Kind::Count { min: 1, max: LINES_MAX }, "Lines to show from there")
            .or(&["max_lines"]),
        Param::may("line_numbers", Kind::Flag, "Put numbers before lines"),
    ],
};
static READ_SEVERAL: Tool = Tool {
    name: "read_multiple_files",
    does: "Reads several text files. One that cannot be read does not keep the others from being shown.",
    effect: ToolEffect::Read,
    takes: &[
        Param::need("paths", Kind::Texts { max: FILES_MAX }, "The files").or(&["files", "path"])
    ],
};
static INFO: Tool = Tool {
    name: "get_file_info",
    does: "Tells what a path is, its size, when it changed and what you may do with it.",
    effect: ToolEffect::Read,
    takes: &[Param::need("path", Kind::Text, "A file or folder").or(&["file_path"])],
};
static ALLOWED: Tool = Tool {
    name: "list_allowed_directories",
    does: "Lists the folders that you may read, and those that you may write.",
    effect: ToolEffect::Read,
    takes: &[],
};

impl Files {
    pub(super) fn read_text_file(&self, given: &Given, stop: &Stop) -> Said {
        let path = given.text("path");
        let (head, tail) = (given.count("head"), given.count("tail"));
        if let Some(tail) = tail {
            if head.or(given.count("offset")).or(given.count("limit")).is_some() {
                return Err("give `tail`, or `head`, or `offset` and `limit`".to_owned());
            }
            let text = self.tail_of(path, tail)?;
            self.seen.add(path);
            return Ok(text);
        }
        if head.is_some() && given.count("offset").is_some() {
            return Err("give `head`, or `offset` and `limit`".to_owned());
        }
        let first = given.count("offset").unwrap_or(1);
        let count = head.or(given.count("limit")).unwrap_or(LINES_MAX);
        let read = self.lines_of(
            path,
            Window { first, count, bytes_max: SHOWN_MAX, counted_max: COUNTED_MAX },
            stop,
        )?;
        self.seen.add(path);
        let note = note(&read, count);
        let text = if given.flag("line_numbers") {
            text::numbered(&read.text, read.first)
        } else {
            read.text
        };
        Ok(if note.is_empty() {
            text
        } else {
            format!("{}\n[{note}]", text.trim_end_matches('\n'))
        })
    }

    pub(super) fn read_multiple_files(&self, given: &Given, stop: &Stop) -> Said {
        let paths = given.texts("paths").unwrap_or_default();
        let window = Window {
            first: 1,
            count: LINES_MAX,
            bytes_max: SHOWN_OF_SEVERAL_MAX,
            counted_max: COUNTED_MAX,
        };
        let (mut shown, mut n_failed, mut room) = (String::new(), 0, SHOWN_MAX * 2);
        for path in &paths {
            let bytes_max = room.min(window.bytes_max);
            let part = match self.lines_of(path, Window { bytes_max, ..window }, stop) {
                Ok(read) => {
                    self.seen.add(path);
                    let note = note(&read, LINES_MAX);
                    let note = if note.is_empty() { note } else { format!("\n[{note}]") };
                    format!("{}{note}", read.text.trim_end_matches('\n'))
                }
                Err(problem) => {
                    n_failed += 1;
                    format!("[{problem}]")
                }
            };
            room = room.saturating_sub(part.len());
            shown.push_str(&format!("=== {path} ===\n{part}\n\n"));
        }
        let shown = shown.trim_end().to_owned();
        if n_failed == paths.len() { Err(shown) } else { Ok(shown) }
    }

    pub(super) fn get_file_info(&self, given: &Given) -> Said {
        let path = given.text("path");
        let link = self.guard.stat_link(path).map_err(|error| said(&error))?;
        let stat = self.guard.stat(path).map_err(|error| said(&error))?;
        let kind = match stat.kind {
            FileKind::File => "file",
            FileKind::Folder => "folder",
            FileKind::Link => "link",
            FileKind::Special => "pipe, socket or device",
        };
        let through = if link.kind == FileKind::Link { " (through a link)" } else { "" };
        let may_write = self.guard.check(path, Access::Write).is_ok();
        let absolute = self.guard.absolute(path).map_err(|error| said(&error))?;
        let mut lines =
            vec![format!("path: {}", absolute.display()), format!("kind: {kind}{through}")];
        if stat.kind == FileKind::File {
            lines.push(format!("size: {} ({} bytes)", size(stat.bytes), stat.bytes));
            let start =
                self.guard.read_part(path, 0, PROBED_BYTES as u64).map_err(|error| said(&error))?.0;
            lines.push(format!("content: {}", content(&start)));
        }
        lines.push(format!("modified: {}", ago(stat.modified)));
        lines.push(format!("permissions: {:o}", stat.mode));
        lines
            .push(format!("you may: read{}", if may_write { " and write" } else { ", not write" }));
        Ok(lines.join("\n"))
    }

    pub(super) fn list_allowed_directories(&self) -> String {
        let policy = self.guard.policy();
        let mut lines: Vec<String> = policy
            .rules()
            .iter()
            .filter(|(root, _)| policy.decide(root, Access::Read, false).is_ok())
            .map(|(root, _)| {
                let presenting = self.guard.is_presenting();
                let may_write = policy.decide(&root.join("x"), Access::Write, presenting).is_ok();
                format!(
                    "{} ({})",
                    root.display(),
                    if may_write { "read and write" } else { "read" }
                )
            })
            .collect();
        lines.sort();
        lines.join("\n")
    }

    fn lines_of(&self, path: &str, window: Window, stop: &Stop) -> Result<Lines, String> {
        self.text_or_problem(path)?;
        let file = self.guard.open(path).map_err(|error| said(&error))?;
        text::lines(BufReader::new(file), window, || !stop.is_set())
            .map_err(|error| format!("failed to read `{path}`: {error}"))
    }

    fn tail_of(&self, path: &str, count: u64) -> Said {
        self.text_or_problem(path)?;
        let bytes = self.guard.stat(path).map_err(|error| said(&error))?.bytes;
        let from = bytes.saturating_sub(TAIL_BYTES);
        let (part, _) =
            self.guard.read_part(path, from, TAIL_BYTES).map_err(|error| said(&error))?;
        let part = String::from_utf8_lossy(&part).into_owned();
        let wanted = text::tail(&part, usize::try_from(count).unwrap_or(usize::MAX));
        let over = wanted.len().saturating_sub(SHOWN_MAX);
        let begin =
            (over..wanted.len()).find(|at| wanted.is_char_boundary(*at)).unwrap_or(wanted.len());
        let is_cut = begin > 0 || (from > 0 && wanted.len() == part.len());
        let shown = &wanted[begin..];
        Ok(if is_cut {
            format!(
                "[only the last {} of these lines are shown]\n{shown}",
                size(shown.len() as u64)
            )
        } else {
            shown.to_owned()
        })
    }

    /// # Errors
    /// If it is no text, with what it is.
    pub(super) fn text_or_problem(&self, path: &str) -> Result<(), String> {
        let (start, bytes) =
            self.guard.read_part(path, 0, PROBED_BYTES as u64).map_err(|error| said(&error))?;
        if !text::is_binary(&start) {
            return Ok(());
        }
        let what = content(&start);
        let hint = if crate::builtin::media::type_of(&start).is_some() {
            "; use read_media to look at it"
        } else {
            ""
        };
        Err(format!("`{path}` is no text but {what}, {}{hint}", size(bytes)))
    }
}

fn content(start: &[u8]) -> String {
    match (crate::builtin::media::type_of(start), start) {
        (Some(kind), _) => kind.to_owned(),
        (None, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) => "text in UTF-16".to_owned(),
        (None, start) if text::is_binary(start) => "binary data".to_owned(),
        (None, start)
            if std::str::from_utf8(start).is_err_and(|error| error.error_len().is_some()) =>
        {
            "text that is not UTF-8".to_owned()
        }
        (None, _) => "text".to_owned(),
    }
}

fn note(read: &Lines, wanted: u64) -> String {
    let last = read.first + read.n_shown.saturating_sub(1);
    match (read.n_all, read.n_shown) {
        (Some(0), _) => "the file is empty".to_owned(),
        (Some(n_all), 0) => format!("the file has {n_all} lines"),
        (Some(n_all), _) if read.first == 1 && last >= n_all && !read.is_cut => String::new(),
        (n_all, _) => {
            let all = n_all.map_or_else(|| "more than are counted".to_owned(), |n| n.to_string());
            let cut = match (read.is_cut, read.n_shown) {
                (true, 1) => "; the line is cut".to_owned(),
                (true, _) => format!("; too long to be shown at once, read on with offset {last}"),
                (false, _) if n_all.is_none() && read.n_shown < wanted => {
                    "; reading was given up".to_owned()
                }
                (false, _) => String::new(),
            };
            format!("lines {} to {last} of {all}{cut}", read.first)
        }
    }
}

fn ago(time: SystemTime) -> String {
    let seconds =
        |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let past = seconds(SystemTime::now()).saturating_sub(seconds(time));
    match past {
        0..120 => format!("{past} s ago"),
        120..7_200 => format!("{} min ago", past / 60),
        7_200..172_800 => format!("{} h ago", past / 3_600),
        _ => format!("{} days ago", past / 86_400),
    }
}
