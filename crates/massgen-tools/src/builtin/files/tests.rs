#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use massgen_protocol::{Access, ContextPath};
use massgen_workspace::Places;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::builtin::Toolbox;

/// An agent with a workspace, a context path to read and a folder that is not its own.
struct Desk {
    dir: TempDir,
    files: Files,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        for name in ["workspace", "temp", "scratch", "context", "other"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("other").join("secret.txt"), "the other's secret").unwrap();
        fs::write(at("context").join("notes.txt"), "context\n").unwrap();
        let places =
            Places { workspace: at("workspace"), temp: at("temp"), scratch: at("scratch") };
        let context = ContextPath {
            path: at("context").display().to_string(),
            access: Access::Read,
            protected: Vec::new(),
        };
        let guard = Guard::new(&places, &[context], &[at("other")]).unwrap();
        let files = Files::new(Arc::new(guard));
        Desk { dir, files }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("workspace").join(path)
    }

    /// Puts a file there that was there before the run.
    fn old(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
        let file = fs::File::options().write(true).open(self.at(path)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).unwrap();
    }

    fn call(&self, name: &str, arguments: Value) -> Said {
        let tool = self.files.tools().into_iter().find(|tool| tool.name == name).expect(name);
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        self.files.run(tool, &tool.read(arguments)?, &Stop::default())
    }

    #[track_caller]
    fn ok(&self, name: &str, arguments: Value) -> String {
        self.call(name, arguments).unwrap()
    }

    #[track_caller]
    fn refused(&self, name: &str, arguments: Value, expected: &str) {
        let said = self.call(name, arguments.clone()).expect_err(&format!("{name} {arguments}"));
        assert!(said.contains(expected), "{name} {arguments}: {said}");
    }
}

#[test]
fn reads_parts_of_a_text() {
    let desk = Desk::new();
    desk.old("a.txt", "one\ntwo\nthree\nfour\n");
    for (arguments, expected) in [
        (json!({"path": "a.txt"}), "one\ntwo\nthree\nfour\n"),
        (json!({"path": "a.txt", "head": 2}), "one\ntwo\n[lines 1 to 2 of 4]"),
        (json!({"path": "a.txt", "tail": "1"}), "four\n"),
        (json!({"path": "a.txt", "offset": 2, "limit": 2}), "two\nthree\n[lines 2 to 3 of 4]"),
        (json!({"path": "a.txt", "offset": 9}), "\n[the file has 4 lines]"),
        (
            json!({"path": "a.txt", "offset": 4, "line_numbers": "yes"}),
            "     4\tfour\n[lines 4 to 4 of 4]",
        ),
        (json!({"file_path": desk.at("a.txt").to_str()}), "one\ntwo\nthree\nfour\n"),
    ] {
        assert_eq!(desk.ok("read_text_file", arguments), expected);
    }
    desk.refused(
        "read_text_file",
        json!({"path": "a.txt", "head": 1, "tail": 1}),
        "give `tail`, or",
    );
    desk.refused("read_text_file", json!({"path": "b.txt"}), "there is no `b.txt`");
    desk.refused("read_text_file", json!({"path": "."}), "folder");
    desk.refused("read_text_file", json!({}), "`path` is missing");
}

#[test]
fn tells_what_is_no_text() {
    let desk = Desk::new();
    desk.old("p.png", b"\x89PNG\r\n\x1a\n\0\0");
    desk.old("x.bin", b"a\0b");
    desk.old("latin", b"Gr\xfc\xdfe\n");
    desk.refused(
        "read_text_file",
        json!({"path": "p.png"}),
        "is no text but image/png, 10 B; use read_media",
    );
    desk.refused("read_text_file", json!({"path": "x.bin"}), "binary data");
    assert_eq!(desk.ok("read_text_file", json!({"path": "latin"})), "Gr\u{fffd}\u{fffd}e\n");
    desk.refused(
        "edit_file",
        json!({"path": "latin", "edits": {"oldText": "Gr", "newText": "x"}}),
        "is not UTF-8",
    );
    let said = desk.ok("get_file_info", json!({"path": "latin"}));
    assert!(said.contains("text that is not UTF-8") && said.contains("read and write"), "{said}");
}

#[test]
fn huge_files_are_shown_in_parts() {
    let desk = Desk::new();
    // Three gigabytes of nothing after one line: sparse, and read in no time.
    desk.old("huge", "first\n");
    fs::File::options().write(true).open(desk.at("huge")).unwrap().set_len(3 << 30).unwrap();
    desk.refused("read_text_file", json!({"path": "huge"}), "binary data");
    desk.old("long", "x".repeat(10_000) + "\n" + &"line\n".repeat(100_000));
    let said = desk.ok("read_text_file", json!({"path": "long"}));
    assert!(said.len() < 101_000);
    assert!(
        said.ends_with("of 100001; too long to be shown at once, read on with offset 18001]"),
        "{}",
        &said[said.len() - 120..]
    );
    let said = desk.ok("read_text_file", json!({"path": "long", "tail": 100_000}));
    assert!(
        said.starts_with("[only the last 100.0 kB of these lines are shown]"),
        "{}",
        &said[..80]
    );
    desk.refused(
        "edit_file",
        json!({"path": "huge", "edits": [{"oldText": "a", "newText": "b"}]}),
        "no text",
    );
    // Head of a large text costs no more than what is shown and counted.
    let big = "0123456789abcdef\n".repeat(1 << 20);
    desk.old("big", big);
    let said = desk.ok("read_text_file", json!({"path": "big", "head": 1}));
    assert_eq!(said, "0123456789abcdef\n[lines 1 to 1 of 1048576]");
}

#[test]
fn several_files_come_with_what_failed() {
    let desk = Desk::new();
    desk.old("a", "A\n");
    desk.old("b", "B");
    let said = desk.ok("read_multiple_files", json!({"paths": ["a", "nope", "b"]}));
    assert_eq!(said, "=== a ===\nA\n\n=== nope ===\n[there is no `nope`]\n\n=== b ===\nB");
    desk.refused("read_multiple_files", json!({"paths": "nope"}), "there is no `nope`");
}

#[test]
fn nothing_unknown_is_overwritten_or_deleted() {
    let desk = Desk::new();
    desk.old("old.txt", "precious");
    desk.old("dir/deep/x.txt", "precious");
    desk.old("dir/__pycache__/x.pyc", "cache");
    desk.old("empty", "");
    desk.refused("write_file", json!({"path": "old.txt", "content": "x"}), "neither made nor read");
    desk.refused("delete_file", json!({"path": "old.txt"}), "Read it first");
    desk.refused(
        "copy_file",
        json!({"source_path": "empty", "destination_path": "old.txt", "overwrite": true}),
        "neither made nor read",
    );
    desk.refused(
        "delete_file",
        json!({"path": "dir", "recursive": true}),
        "1 files that you neither made nor read in this run (`deep/x.txt`)",
    );
    desk.refused(
        "delete_files_batch",
        json!({"base_path": ".", "include_patterns": "*.txt"}),
        "2 were left",
    );
    assert_eq!(fs::read_to_string(desk.at("old.txt")).unwrap(), "precious");

    desk.ok("read_text_file", json!({"path": "old.txt"}));
    desk.ok("write_file", json!({"path": "./old.txt", "content": "x"}));
    desk.ok("delete_file", json!({"path": "old.txt"}));
    desk.ok("delete_file", json!({"path": "empty"}));
    desk.ok("read_multiple_files", json!({"paths": ["dir/deep/x.txt"]}));
    desk.ok("move_file", json!({"source": "dir", "destination": "moved"}));
    desk.refused("delete_file", json!({"path": "moved"}), "give `recursive`");
    desk.ok("delete_file", json!({"path": "moved", "recursive": "true"}));
    // What its own programs made in this run.
    fs::create_dir(desk.at("build")).unwrap();
    fs::write(desk.at("build/out.o"), "made").unwrap();
    desk.ok("delete_file", json!({"path": "build", "recursive": true}));
    assert!(!desk.at("build").exists());
}

#[test]
fn edits_return_the_difference() {
    let desk = Desk::new();
    desk.old("a.py", "import os\n\ndef f():\n    return 1\n");
    let edits = json!([{"oldText": "return 1", "newText": "return 2"}, {"old_string": "os", "new_string": "sys"}]);
    let dry = desk.ok("edit_file", json!({"path": "a.py", "edits": edits, "dryRun": true}));
    assert!(dry.contains("-    return 1\n+    return 2"), "{dry}");
    assert!(fs::read_to_string(desk.at("a.py")).unwrap().contains("return 1"));
    desk.ok("edit_file", json!({"path": "a.py", "edits": edits}));
    assert_eq!(
        fs::read_to_string(desk.at("a.py")).unwrap(),
        "import sys\n\ndef f():\n    return 2\n"
    );
    desk.refused(
        "edit_file",
        json!({"path": "a.py", "edits": [{"oldText": "def f():\n  return 2", "newText": ""}]}),
        "but for white space it is at lines 3 to 4",
    );
    desk.refused("edit_file", json!({"path": "a.py", "edits": []}), "must not be empty");
    desk.refused("edit_file", json!({"path": "a.py", "edits": "return"}), "`newText` is missing");
    // As one JSON text, as some models send it.
    desk.ok(
        "edit_file",
        json!({"path": "a.py", "edits": "[{\"oldText\": \"sys\", \"newText\": \"re\"}]"}),
    );
    assert!(fs::read_to_string(desk.at("a.py")).unwrap().starts_with("import re"));
}

#[test]
fn lists_and_trees() {
    let desk = Desk::new();
    desk.old("b.txt", "12345");
    desk.old("a/c/d.rs", "");
    desk.old("a/node_modules/x.js", "");
    assert_eq!(desk.ok("list_directory", json!({})), "[DIR] a\n[FILE] b.txt");
    assert_eq!(desk.ok("list_directory", json!({"path": "a/c"})), "[FILE] d.rs");
    assert_eq!(
        desk.ok("list_directory_with_sizes", json!({"path": ".", "sortBy": "Size"})).lines().last(),
        Some("1 files, 5 B")
    );
    assert_eq!(
        desk.ok("directory_tree", json!({"path": "."})),
        "a/\n  c/\n    d.rs\n  node_modules/\nb.txt\n"
    );
    assert_eq!(desk.ok("directory_tree", json!({"excludePatterns": ["a"]})), "b.txt\n");
    assert_eq!(
        desk.ok("directory_tree", json!({"depth": 1})),
        "a/\nb.txt\n[there is more below what is shown]\n"
    );
    fs::create_dir(desk.at("many")).unwrap();
    for n in 0..1_200 {
        fs::write(desk.at(&format!("many/{n:04}")), "").unwrap();
    }
    assert!(
        desk.ok("directory_tree", json!({"path": "many"}))
            .ends_with("0999\n[200 more; name a folder below to see it]\n")
    );
    let said = desk.ok("list_allowed_directories", json!({}));
    assert!(
        said.contains("workspace (read and write)") && said.contains("context (read)"),
        "{said}"
    );
    assert!(!said.contains("other"), "{said}");
}

#[test]
fn finds_names_and_lines() {
    let desk = Desk::new();
    desk.old("src/a.rs", "fn main() {\n    todo();\n}\n");
    desk.old("src/b.py", "def main():\n    pass\n");
    desk.old("bin", b"main\0");
    assert_eq!(desk.ok("search_files", json!({"pattern": "*.rs"})), "src/a.rs");
    assert_eq!(
        desk.ok("search_files", json!({"path": "src", "pattern": "*", "excludePatterns": "*.rs"})),
        "src/b.py"
    );
    assert_eq!(desk.ok("search_files", json!({"pattern": "*.zig"})), "Nothing found.");
    assert_eq!(
        desk.ok("search_text", json!({"pattern": r"main\(\)"})),
        "src/a.rs:1: fn main() {\nsrc/b.py:1: def main():\n2 matches in 2 files"
    );
    assert_eq!(
        desk.ok("search_text", json!({"pattern": "MAIN(", "literal": true, "ignore_case": true, "glob": "*.py", "context": 1})),
        "src/b.py:1: def main():\nsrc/b.py:2-     pass\n1 matches in 1 files"
    );
    assert!(
        desk.ok("search_text", json!({"pattern": "todo", "path": "src/a.rs"}))
            .starts_with("src/a.rs:2: ")
    );
    desk.refused("search_text", json!({"pattern": "a("}), "is no regular expression");
    desk.refused(
        "search_text",
        json!({"pattern": "(?:x{1000}){1000}{1000}"}),
        "is no regular expression",
    );
    desk.refused("search_files", json!({"pattern": "a["}), "is no glob");
}

#[test]
fn compares_files_and_folders() {
    let desk = Desk::new();
    for (path, content) in [
        ("a/same", "x"),
        ("b/same", "x"),
        ("a/diff", "1\n2\n"),
        ("b/diff", "1\n3\n"),
        ("a/only", "x"),
    ] {
        desk.old(path, content);
    }
    assert_eq!(
        desk.ok("compare_files", json!({"file1": "a/same", "file2": "b/same"})),
        "a/same and b/same are the same."
    );
    assert!(
        desk.ok("compare_files", json!({"file1": "a/diff", "file2": "b/diff"})).contains("-2\n+3")
    );
    let said = desk.ok("compare_directories", json!({"dir1": "a", "dir2": "b"}));
    assert_eq!(said, "1 files are the same.\nOnly in a (1):\n  only\nDifferent (1):\n  diff\n");
    assert!(
        desk.ok(
            "compare_directories",
            json!({"dir1": "a", "dir2": "b", "show_content_diff": true})
        )
        .contains("-2\n+3")
    );
    assert!(
        desk.ok("compare_directories", json!({"dir1": "a", "dir2": "a"}))
            .contains("are the same: 3 files")
    );
}

#[test]
fn batches_keep_folders_and_say_what_is_left() {
    let desk = Desk::new();
    desk.old("src/a.py", "1");
    desk.old("src/sub/b.py", "2");
    desk.old("src/c.txt", "3");
    let said = desk.ok("copy_files_batch", json!({"source_base_path": "src", "destination_base_path": "out", "include_patterns": ["*.py"]}));
    assert!(said.starts_with("Copied 2 files"), "{said}");
    assert_eq!(fs::read_to_string(desk.at("out/sub/b.py")).unwrap(), "2");
    desk.refused(
        "copy_files_batch",
        json!({"source_base_path": "src", "destination_base_path": "out", "include_patterns": ["*.py"]}),
        "give `overwrite`",
    );
    desk.ok(
        "copy_files_batch",
        json!({"source_base_path": "src", "destination_base_path": "out", "overwrite": true}),
    );
    assert!(
        desk.ok("delete_files_batch", json!({"base_path": "out", "exclude_patterns": "*.txt"}))
            .starts_with("Deleted 2")
    );
    assert!(desk.at("out/c.txt").exists());
    desk.refused(
        "delete_files_batch",
        json!({"base_path": "out", "include_patterns": "*.zig"}),
        "no file below",
    );
}

/// Every tool with a path, given paths that lead out.
#[test]
fn no_tool_leads_out() {
    let desk = Desk::new();
    let other = desk.dir.path().canonicalize().unwrap().join("other");
    let secret = other.join("secret.txt").display().to_string();
    std::os::unix::fs::symlink(&secret, desk.at("link")).unwrap();
    std::os::unix::fs::symlink(&other, desk.at("linked")).unwrap();
    std::os::unix::fs::symlink("/", desk.at("root")).unwrap();
    fs::write(desk.at("mine"), "mine").unwrap();
    let paths = [
        secret.clone(),
        "../other/secret.txt".to_owned(),
        "link".to_owned(),
        "linked/secret.txt".to_owned(),
        format!("root{secret}"),
        format!("file://{secret}"),
        format!("/proc/self/root{secret}"),
        format!("{}/../other/secret.txt", desk.at("").display()),
        "/etc/passwd".to_owned(),
        "~/.ssh/id_rsa".to_owned(),
        "a\0b".to_owned(),
        "x".repeat(5_000),
    ];
    for tool in desk.files.tools() {
        for path in &paths {
            for arguments in [
                json!({"path": path, "paths": [path], "content": "x", "pattern": "secret", "edits": [{"oldText": "the", "newText": "x"}],
                    "source": path, "destination": "got", "source_path": path, "destination_path": "got", "source_base_path": path,
                    "destination_base_path": "got", "base_path": path, "file1": path, "file2": "mine", "dir1": path, "dir2": ".", "recursive": true, "overwrite": true}),
                json!({"path": path, "paths": [path], "content": "x", "pattern": "secret", "edits": [{"oldText": "the", "newText": "x"}],
                    "source": "mine", "destination": path, "source_path": "mine", "destination_path": path, "source_base_path": ".",
                    "destination_base_path": path, "base_path": path, "file1": "mine", "file2": path, "dir1": ".", "dir2": path, "overwrite": true}),
            ] {
                let Value::Object(mut all) = arguments else { panic!("not an object") };
                let takes = tool.offered(tool.effect).spec.parameters;
                all.retain(|name, _| takes["properties"].get(name).is_some());
                if let Ok(said) = desk.call(tool.name, Value::Object(all)) {
                    assert!(
                        !said.contains("the other's secret") && !said.contains("root:x:"),
                        "{} {path}: {said}",
                        tool.name
                    );
                }
                assert_eq!(
                    fs::read_to_string(other.join("secret.txt")).unwrap(),
                    "the other's secret",
                    "{}",
                    tool.name
                );
                fs::write(desk.at("mine"), "mine").unwrap();
                let got = desk.at("got");
                // A link may be moved; it leads nowhere for our tools.
                if fs::symlink_metadata(&got).is_ok_and(|got| got.is_file()) {
                    assert!(
                        !fs::read_to_string(&got).unwrap_or_default().contains("secret"),
                        "{} {path}",
                        tool.name
                    );
                }
                for path in [Path::new("got"), Path::new("got.txt")] {
                    let _ = fs::remove_file(desk.at(path.to_str().unwrap()));
                    let _ = fs::remove_dir_all(desk.at(path.to_str().unwrap()));
                }
                for (name, target) in
                    [("link", secret.as_str()), ("linked", other.to_str().unwrap()), ("root", "/")]
                {
                    if fs::symlink_metadata(desk.at(name)).is_err() {
                        std::os::unix::fs::symlink(target, desk.at(name)).unwrap();
                    }
                }
            }
        }
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1, "nothing was put there");
    assert_eq!(fs::read_to_string(desk.dir.path().join("context/notes.txt")).unwrap(), "context\n");
}

#[test]
fn context_paths_are_read_and_not_written() {
    let desk = Desk::new();
    let context = desk.dir.path().canonicalize().unwrap().join("context");
    let notes = context.join("notes.txt").display().to_string();
    assert_eq!(desk.ok("read_text_file", json!({"path": notes})), "context\n");
    for (tool, arguments) in [
        ("write_file", json!({"path": notes, "content": "x"})),
        ("edit_file", json!({"path": notes, "edits": [{"oldText": "context", "newText": "x"}]})),
        ("delete_file", json!({"path": notes})),
        ("move_file", json!({"source": notes, "destination": "stolen"})),
        ("create_directory", json!({"path": context.join("new").display().to_string()})),
        (
            "copy_file",
            json!({"source_path": notes, "destination_path": context.join("b").display().to_string()}),
        ),
    ] {
        assert!(desk.call(tool, arguments).is_err(), "{tool}");
    }
    desk.ok("copy_file", json!({"source_path": notes, "destination_path": "copy.txt"}));
    assert_eq!(fs::read_dir(&context).unwrap().count(), 1);
}

/// Any arguments of any tool give words, never a panic.
#[test]
fn garbage_is_answered_with_words() {
    let desk = Desk::new();
    desk.old("f", "text\n");
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!(18_446_744_073_709_551_615_u64),
        json!(""),
        json!("f"),
        json!("\u{0}"),
        json!("../.."),
        json!([]),
        json!({}),
        json!([null]),
        json!([{"oldText": 1}]),
        json!(["f", ["f"]]),
        json!({"a": {"b": []}}),
        json!("[[["),
        json!("**/**/**"),
        json!("(((("),
        json!("ü\u{202e}\u{1F600}"),
    ];
    let names: Vec<String> = desk
        .files
        .tools()
        .iter()
        .flat_map(|tool| {
            tool.offered(tool.effect).spec.parameters["properties"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        })
        .collect();
    let mut n_said = 0;
    for tool in desk.files.tools() {
        for (shift, value) in values.iter().enumerate() {
            for name in &names {
                let other = &values[(shift * 7 + name.len()) % values.len()];
                for arguments in [
                    json!({name.as_str(): value}),
                    json!({"path": "f", name.as_str(): value, "content": other, "pattern": other}),
                ] {
                    let Value::Object(arguments) = arguments else { panic!("not an object") };
                    match tool.read(arguments) {
                        Ok(given) => drop(desk.files.run(tool, &given, &Stop::default())),
                        Err(said) => {
                            assert!(!said.is_empty());
                            n_said += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(n_said > 1_000);
}
