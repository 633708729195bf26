//! The user's own files: read by all, changed by the presenter alone, and handed over.

use crate::binary::Place;

/// Writes too early, then answers; writes again when it presents.
const SCRIPT: &str = r#"
agents:
  a:
    replies:
      - { when: { situation: present, sees: "second try" }, text: "Done." }
      - when: present
        tool_calls:
          - { name: edit_file, arguments: { path: "PATH/app.txt", edits: [{ oldText: "one", newText: "two" }] } }
          - { name: write_file, arguments: { path: "PATH/new.txt", content: "new\n" } }
          - { name: write_file, arguments: { path: "PATH/keep/fixed.txt", content: "spoilt" } }
          - { name: execute_command, arguments: { command: "cat 'PATH/app.txt'; echo more >> 'PATH/app.txt'; echo second try" } }
      - { when: { situation: first, turn: 2 }, new_answer: "it says one" }
      - when: first
        tool_calls:
          - { name: read_text_file, arguments: { path: "PATH/app.txt" } }
          - { name: write_file, arguments: { path: "PATH/early.txt", content: "early" } }
          - { name: execute_command, arguments: { command: "echo early > 'PATH/early.txt'" } }
      - { when: answers_in_view, vote: { for: agent1, reason: "read" } }
  b:
    replies:
      - { when: first, new_answer: "no idea" }
      - { when: answers_in_view, vote: { for: agent1, reason: "it was read" } }
  sole:
    replies:
      - { when: { situation: first, turn: 2 }, new_answer: "changed" }
      - when: first
        tool_calls:
          - { name: write_file, arguments: { path: "PATH/new.txt", content: "new\n" } }
"#;

#[test]
fn a_context_path_is_read_only_until_the_presentation_and_changed_then() {
    let place = Place::new();
    let app = place.path().join("app");
    std::fs::create_dir_all(app.join("keep")).unwrap();
    std::fs::write(app.join("app.txt"), "one\n").unwrap();
    std::fs::write(app.join("keep/fixed.txt"), "fixed").unwrap();
    let path = app.canonicalize().unwrap().display().to_string();
    place.file("script.yaml", &SCRIPT.replace("PATH", &path));
    place.file(
        "team.yaml",
        "agents:\n  - {id: a, backend: {type: scripted, model: a, script: script.yaml, cwd: w, \
         enable_mcp_command_line: true}}\n  - {id: b, backend: {type: scripted, model: b, \
         script: script.yaml}}\norchestrator:\n  defer_voting_until_all_answered: true\n  context_paths:\n    \
         - {path: app, permission: write, protected_paths: [keep]}\n",
    );
    let asked = ["--config", "team.yaml", "--confirm", "What does it say?"];
    let refused = place.run(&asked).expect(0);
    // Nobody is there to ask.
    assert!(refused.stderr.contains("were not made"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(app.join("app.txt")).unwrap(), "one\n");

    let done = place.run(&["--config", "team.yaml", "What does it say?"]).expect(0);
    assert_eq!(std::fs::read_to_string(app.join("app.txt")).unwrap(), "two\n", "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(app.join("new.txt")).unwrap(), "new\n");
    assert_eq!(std::fs::read_to_string(app.join("keep/fixed.txt")).unwrap(), "fixed");
    assert!(!app.join("early.txt").exists(), "nobody writes before the presentation");
    assert!(done.stderr.contains("2 changes made in"), "{}", done.stderr);
}

#[test]
fn an_agent_alone_changes_the_users_files_without_a_presentation() {
    let place = Place::new();
    let app = place.path().join("app");
    std::fs::create_dir_all(&app).unwrap();
    let path = app.canonicalize().unwrap().display().to_string();
    place.file("script.yaml", &SCRIPT.replace("PATH", &path));
    let team = "agents:\n  - {id: a, backend: {type: scripted, model: sole, \
                script: script.yaml, cwd: w}}\n";
    place.file("team.yaml", team);
    place.run(&["--config", "team.yaml", "--context", "app:w", "Change it."]).expect(0);
    assert_eq!(std::fs::read_to_string(app.join("new.txt")).unwrap(), "new\n");
}

#[test]
fn a_repository_is_worked_on_in_a_worktree_of_its_own() {
    let path = std::env::var("PATH").unwrap();
    let place = Place::new().env("PATH", &path).env("HOME", "/nowhere");
    let app = place.path().join("app");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("old.txt"), "old\n").unwrap();
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.test"])
            .args(arguments)
            .current_dir(&app)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "Begin"]);
    let at = app.canonicalize().unwrap().display().to_string();
    place.file("script.yaml", &SCRIPT.replace("PATH", &at));
    place.file(
        "team.yaml",
        "agents:\n  - {id: a, backend: {type: scripted, model: sole, script: script.yaml, \
         cwd: w}}\norchestrator:\n  coordination: {write_mode: worktree}\n  \
         context_paths: [{path: app, permission: write}]\n",
    );
    place.run(&["--config", "team.yaml", "Change it."]).expect(0);
    assert_eq!(std::fs::read_to_string(app.join("new.txt")).unwrap(), "new\n");
    assert_eq!(git(&["status", "--porcelain"]), "?? new.txt\n", "nothing else has changed");
    assert_eq!(git(&["worktree", "list"]).lines().count(), 1, "ours is gone again");
    assert_eq!(git(&["branch", "--list"]), "* main\n");
}

#[test]
fn a_path_in_the_question_is_one_and_a_missing_one_is_named() {
    let place = Place::new();
    let missing = place.run(&[
        "--context",
        "nowhere",
        "--model",
        "gpt-5.4",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "Why?",
    ]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("nowhere` is not there"), "{}", missing.stderr);
}
