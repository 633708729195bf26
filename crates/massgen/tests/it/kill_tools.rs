//! The kill campaign over tools: whatever the moment of the kill, no effect happens twice.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use massgen_log::Reader;
use massgen_protocol::{EventBody, ToolCallId};

use crate::kill::{EVENTS_MAX, is_killed, massgen, only_run};

/// One agent counts by a command and by writing, the other looks; then they agree.
const SCRIPT: &str = r#"
agents:
  a:
    replies:
      # Whatever its tools gave, it does not call them again.
      - when: { situation: first, turn: 2 }
        new_answer: "counted, see counter.txt"
      - when: first
        tool_calls:
          - { name: execute_command, arguments: { command: "echo hit >> counter.txt" } }
          - { name: list_directory, arguments: { path: "." } }
      - { when: answers_in_view, vote: { for: agent1, reason: "counted" } }
      - { when: { situation: present, sees: "shown-now" }, text: "It was counted once." }
      - { when: { situation: present, sees: "may or may not" }, text: "It was counted once." }
      - when: present
        tool_calls:
          - { name: execute_command, arguments: { command: "echo shown-now | tee -a shown.txt" } }
  b:
    replies:
      - { when: first, delay_ms: 1, new_answer: "not counted" }
      - { when: answers_in_view, vote: { for: agent1, reason: "it was counted" } }
"#;

fn team(dir: &Path) -> PathBuf {
    let script = dir.join("script.yaml");
    std::fs::write(&script, SCRIPT).unwrap();
    let agent = |id: &str, more: &str| {
        format!(
            "  - id: {id}\n    backend: {{ type: scripted, model: {id}, script: \"{}\"{more} }}\n",
            script.display()
        )
    };
    let tools = ", cwd: work, enable_mcp_command_line: true";
    let config = format!(
        "agents:\n{}{}orchestrator: {{ defer_voting_until_all_answered: true }}\n",
        agent("a", tools),
        agent("b", "")
    );
    let path = dir.join("team.yaml");
    std::fs::write(&path, config).unwrap();
    path
}

/// Returns how often each file was written to, in whatever workspace.
fn hits(state: &Path) -> [usize; 2] {
    let rooms = std::fs::read_dir(state.join("workspaces")).into_iter().flatten().flatten();
    let agents = rooms.flat_map(|run| std::fs::read_dir(run.path()).unwrap().flatten());
    let workspaces: Vec<PathBuf> = agents.map(|agent| agent.path().join("workspace")).collect();
    ["counter.txt", "shown.txt"].map(|file| {
        let texts = workspaces.iter().filter_map(|at| std::fs::read_to_string(at.join(file)).ok());
        texts.map(|text| text.lines().count()).sum()
    })
}

/// Kills a fresh run after event `seq` and lets it go on; returns whether there was a kill.
fn kill_at(config: &Path, seq: u64) -> bool {
    let scratch = tempfile::tempdir().unwrap();
    let state = scratch.path();
    let config = config.display().to_string();
    let ask = ["--config", &config, "--quiet", "Count."];
    let (mut status, mut told) = massgen(state, &ask, Some(seq));
    let killed = is_killed(status);
    if killed {
        (status, told) = massgen(state, &["--quiet", "resume", "latest"], None);
    }
    let is_over = told.contains("its end");
    assert!(status.success() || is_over, "killed after event {seq}: {told}");
    let [counted, shown] = hits(state);
    assert!(counted <= 1 && shown <= 1, "killed after event {seq}: {counted} and {shown}");
    let run = only_run(state);
    assert_eq!(massgen_runtime::check(&run).unwrap().divergence, None, "after event {seq}");
    // What is told as done was done; what is told as perhaps done was not done again.
    let mut finished: Vec<ToolCallId> = Vec::new();
    for event in Reader::open(&run).unwrap() {
        if let EventBody::ToolFinished { id, .. } = event.unwrap().body {
            finished.push(id);
        }
    }
    if !killed {
        assert_eq!([counted, shown], [1, 1], "{finished:?}");
    }
    killed
}

#[test]
#[expect(clippy::print_stdout, reason = "`cargo xtask verify` reads the figures")]
fn no_effect_of_a_tool_happens_twice() {
    let dir = tempfile::tempdir().unwrap();
    let config = team(dir.path());
    let next = AtomicU64::new(0);
    let kills = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seq = next.fetch_add(1, Ordering::SeqCst);
                    assert!(seq < EVENTS_MAX, "the run has no end");
                    if !kill_at(&config, seq) {
                        return;
                    }
                    kills.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let kills = kills.load(Ordering::SeqCst);
    assert!(kills > 20, "only {kills} kills");
    println!(
        "kill campaign: {kills} kills, one after each event of a run whose tools write: no effect \
         happened twice (`crates/massgen/tests/it/kill_tools.rs`)"
    );
}
