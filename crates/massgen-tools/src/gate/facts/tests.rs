use super::*;
use serde_json::json;

/// The subjects of a call as `action(target)`, with the risk of the whole.
fn subjects(name: &str, arguments: Value, effect: ToolEffect) -> (Vec<String>, Risk) {
    let Value::Object(arguments) = arguments else { panic!("{arguments}") };
    let scene = Scene { workspace: Some(Path::new("/nowhere/w")), is_confined: true };
    let facts = Facts::of(name, &arguments, effect, scene);
    let shown = facts.subjects.iter().map(|(subject, _)| {
        let target = match subject {
            Subject::Command { line, .. } => line,
            Subject::ReadFile(file) | Subject::WriteFile(file) => &file.shown,
            Subject::ReadUrl(url) => url,
            Subject::Tool { name, .. } => name,
            Subject::Own(name) => name,
        };
        format!("{}({target})", subject.action().name())
    });
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    (shown, facts.risk())
}

#[test]
fn a_call_is_what_it_does() {
    use ToolEffect::{Irreversible, Read, Write};
    for (name, arguments, effect, expected, risk) in [
        ("read_text_file", json!({"path": "a/../b.txt"}), Read, "read_file(b.txt)", Risk::Read),
        ("read_text_file", json!({"path": "../../etc/x"}), Read, "read_file(/etc/x)", Risk::Read),
        ("list_directory", json!({"path": "."}), Read, "read_file(.)", Risk::Read),
        (
            "write_file",
            json!({"path": "/nowhere/w/a", "content": "path"}),
            Write,
            "write_file(a)",
            Risk::Undoable,
        ),
        (
            "edit_file",
            json!({"path": "a", "edits": [{"oldText": "x"}]}),
            Write,
            "write_file(a)",
            Risk::Undoable,
        ),
        (
            "copy_file",
            json!({"source_path": "/x", "destination_path": "y"}),
            Write,
            "read_file(/x) write_file(y)",
            Risk::Undoable,
        ),
        (
            "move_file",
            json!({"source": "x", "destination": "y"}),
            Write,
            "write_file(x) write_file(y)",
            Risk::Undoable,
        ),
        (
            "delete_files_batch",
            json!({"paths": ["a", "b"]}),
            Write,
            "write_file(a) write_file(b)",
            Risk::Undoable,
        ),
        (
            "mcp__filesystem__write_file",
            json!({"path": "a"}),
            Irreversible,
            "mcp(filesystem/write_file) write_file(a)",
            Risk::Undoable,
        ),
        (
            "execute_command",
            json!({"command": "ls > out"}),
            Write,
            "command(ls > out) write_file(out)",
            Risk::Undoable,
        ),
        (
            "execute_command",
            json!({"command": ["git", "push"]}),
            Write,
            "command('git' 'push')",
            Risk::Irreversible,
        ),
        ("execute_command", json!({"command": 7}), Write, "command(7)", Risk::Undoable),
        (
            "mcp__command_line__execute_command",
            json!({"command": "ls"}),
            Write,
            "command(ls) mcp(command_line/execute_command)",
            Risk::Read,
        ),
        (
            "fetch",
            json!({"url": " https://a.example/x "}),
            Read,
            "read_url(https://a.example/x)",
            Risk::Network,
        ),
        (
            "mcp__fetch__fetch",
            json!({"url": "https://a.example"}),
            Read,
            "mcp(fetch/fetch) read_url(https://a.example)",
            Risk::Network,
        ),
        (
            "mcp__linear__create_issue",
            json!({"path": "x"}),
            Irreversible,
            "mcp(linear/create_issue)",
            Risk::Irreversible,
        ),
        ("mcp__time__now", json!({}), Read, "mcp(time/now)", Risk::Read),
        (
            "web_fetch",
            json!({"url": "a.example", "max": "x"}),
            Read,
            "read_url(a.example)",
            Risk::Network,
        ),
        ("web_fetch", json!({"page": "a.example"}), Read, "read_url(a.example)", Risk::Network),
        (
            "add_task",
            json!({"description": "https://a.example"}),
            Write,
            "*(add_task)",
            Risk::Undoable,
        ),
        ("mcp__odd", json!({}), Write, "mcp(odd/odd)", Risk::Undoable),
        (
            "custom_tool__add",
            json!({"a": 1}),
            Irreversible,
            "mcp(custom_tool/add)",
            Risk::Irreversible,
        ),
        (
            "create_task_plan",
            json!({"tasks": []}),
            Irreversible,
            "*(create_task_plan)",
            Risk::Undoable,
        ),
    ] {
        let (shown, worst) = subjects(name, arguments, effect);
        assert_eq!((shown.join(" ").as_str(), worst), (expected, risk), "{name}");
    }
}

#[test]
fn what_is_shown_is_one_short_line() {
    let arguments = json!({"command": format!("echo a\n\u{1b}[2J\u{202e}{}", "x".repeat(9_000))});
    let Value::Object(arguments) = arguments else { panic!() };
    let scene = Scene { workspace: None, is_confined: true };
    let facts = Facts::of("execute_command", &arguments, ToolEffect::Write, scene);
    assert!(facts.what.starts_with("run `echo a  [2J x"), "{}", facts.what);
    assert_eq!(facts.what.chars().count(), SHOWN_CHARS_MAX + 1);
}

#[test]
fn likeness_is_the_same_for_like_calls() {
    let like = |name: &str, arguments: Value| {
        let Value::Object(arguments) = arguments else { panic!() };
        let scene = Scene { workspace: Some(Path::new("/nowhere/w")), is_confined: true };
        Facts::of(name, &arguments, ToolEffect::Irreversible, scene).likeness()
    };
    let page = |page: &str| like("fetch", json!({"url": format!("https://u@a.example/{page}")}));
    assert_eq!(page("1"), page("2"));
    assert_eq!(page("1"), "read_url(a.example)");
    let tool = |n: u32| like("mcp__s__t", json!({"n": n}));
    assert_eq!(tool(1), tool(2));
    assert_ne!(
        like("execute_command", json!({"command": "git push"})),
        like("execute_command", json!({"command": "git push -f"})),
    );
}

#[test]
fn every_tool_of_ours_is_known_to_the_gate() {
    for name in crate::builtin::OURS {
        let tables: [&[&str]; 4] = [&COMMAND_TOOLS, &FILE_TOOLS, &COPYING, &NOTES];
        let n = tables.iter().filter(|table| table.contains(name)).count();
        assert_eq!(n + usize::from(is_fetch(name)), 1, "`{name}` is in {n} tables");
    }
}
