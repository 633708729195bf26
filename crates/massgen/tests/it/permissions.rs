//! Who decides about tool calls, from the config to the log of a run.

use std::path::Path;
use std::time::Duration;

use massgen_testkit::{Reply, Request, Script, Server, script};
use serde_json::{Value, json};

use crate::binary::Place;

const HOOKS: &str = "def seen(event):\n    return {'append': 'seen by ' + event.tool_name}\n";

fn calls(tools: &[(&str, Value)]) -> Reply {
    let reply = tools.iter().enumerate().fold(Reply::stream(), |reply, (at, (name, arguments))| {
        reply.tool_call(at, &format!("call_{at}"), name, arguments)
    });
    reply.finish("tool_calls").done()
}

fn said(request: &Request) -> String {
    request.messages().iter().map(Request::text_of).collect::<Vec<_>>().join("\n")
}

/// Tries what is denied, asked about and allowed, then answers.
fn agent() -> Script {
    script(|request| {
        if request.last_user_has("present") {
            return Reply::stream().text("All done.").finish("stop").done();
        }
        if request.earlier_calls("execute_command") == 0 {
            return calls(&[
                ("execute_command", json!({"command": "ls; git   push '--force'"})),
                ("execute_command", json!({"command": "uname -s"})),
                ("execute_command", json!({"command": "uname -n"})),
                ("write_file", json!({"path": "note.txt", "content": "x"})),
            ]);
        }
        if request.earlier_calls("new_answer") == 0 {
            return calls(&[("new_answer", json!({"content": "tried"}))]);
        }
        calls(&[("vote", json!({"agent_id": "agent1", "reason": "it is there"}))])
    })
}

/// Answers every question that appears in the folder: `uname -s` is fine, nothing else is.
fn answer_all(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().ends_with(".request.json") {
            continue;
        }
        // Gone already, if it was answered the last time round.
        let Ok(text) = std::fs::read(entry.path()) else { continue };
        let request: Value = serde_json::from_slice(&text).unwrap();
        let allowed = request["arguments"]["command"] == "uname -s";
        let answer = json!({"allowed": allowed, "reason": "as the test likes it"});
        let half = dir.join("half");
        std::fs::write(&half, answer.to_string()).unwrap();
        std::fs::rename(half, dir.join(request["answer_file"].as_str().unwrap())).unwrap();
    }
}

#[test]
fn rules_questions_and_hooks_hold_in_a_run() {
    let server = Server::start(agent());
    let place = Place::new();
    std::fs::create_dir(place.path().join("hooks")).unwrap();
    place.file("hooks/look.py", HOOKS);
    place.file(
        "team.yaml",
        &format!(
            "agents:
  - id: anna
    backend:
      type: chatcompletion
      model: anna
      base_url: \"{}\"
      cwd: work
      enable_mcp_command_line: true
      hooks: {{PostToolUse: [{{handler: 'hooks/look.py:seen', matcher: 'write_*'}}]}}
      permissions:
        role: read-write
        approval_mode: file
        approval_timeout_seconds: 60
        rules: {{deny: ['command(git push --force*)'], ask: ['command(uname *)']}}
",
            server.base_url()
        ),
    );
    let (done, dir) =
        (std::sync::atomic::AtomicBool::new(false), place.path().join(".massgen/approvals"));
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                answer_all(&dir);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let run = place.run(&["--config", "team.yaml", "Try it"]);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        run
    });
    assert_eq!(run.code, 0, "{}", run.stderr);

    let told = said(server.requests().last().unwrap());
    assert!(told.contains("refused by rule command(git push --force*)"), "{told}");
    assert!(told.contains("refused by file: as the test likes it: run `uname -n`"), "{told}");
    assert!(told.contains("Linux"), "{told}");
    assert!(told.contains("seen by write_file"), "{told}");

    let log = place.run_file("events.jsonl");
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut decided: Vec<String> = Vec::new();
    let mut n_asked = 0;
    for event in events {
        match event["type"].as_str().unwrap_or_default() {
            "permission_asked" => n_asked += 1,
            "permission_decided" => decided.push(format!("{} {}", event["allowed"], event["by"])),
            _ => {}
        }
    }
    decided.sort();
    assert_eq!(n_asked, 2, "{log}");
    let expected = [
        "false \"file\"",
        "false \"rule command(git push --force*)\"",
        "true \"file\"",
        "true \"role read-write\"",
    ];
    assert_eq!(decided, expected);
    let left: Vec<_> =
        std::fs::read_dir(&dir).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}
