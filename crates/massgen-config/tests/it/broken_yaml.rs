//! Configs broken at random: never a panic, always a place, never for long.
#![expect(clippy::disallowed_methods, reason = "the test measures time, the crate does not")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::loaded;

const WHOLE: &str = "\
defaults: &defaults {type: lmstudio, temperature: 0.5}
agents:
  - id: writer
    system_message: |
      You write for ${HOST}.
    backend: {<<: *defaults, model: m, stop: ['END', \"a\\tb\"]}
  - id: \"checker\"   # checks
    voting_sensitivity: strict
    backend:
      type: chatcompletion
      model: 'x'
      base_url: http://${HOST}:8000/v1
      api_key: ${OPENAI_API_KEY}
      prices: {input: 1.5, output: 2}
      reasoning:
        effort: high
  - id: worker
    backend:
      type: lmstudio
      model: m
      cwd: work
      enable_mcp_command_line: true
      command_line_allowed_commands: ['^git (log|status)']
      mcp_servers:
        time: {command: uvx mcp-server-time, env: {A: '${HOST}'}}
      custom_tools: [{name: [f], function: [f], path: x.py, preset_args: {n: 1}}]
      permissions: {role: read-only, rules: {deny: ['command(git push*)']}}
      hooks: {PreToolUse: [{handler: 'h.py:f', matcher: 'a|b'}]}
orchestrator:
  sandbox: {mode: os, limits: {memory: 1g}}
  context_paths: [{path: src, permission: write, protected_paths: [a]}, docs]
  tie_break: seeded
  seed: 12
  coordination:
    max_orchestration_restarts: 1
  budget: {max_calls: 5, max_cost_usd: 0.5}
timeout_settings:
  orchestrator_timeout_seconds: 60
  connect_timeout_seconds: 1e1
ui: {display_type: simple}
";

/// Pieces that mean something to YAML or to us.
const PIECES: &[&str] = &[
    "\n",
    " ",
    "  ",
    "\t",
    ":",
    ": ",
    "-",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "|\n",
    ">\n",
    "#",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!!int ",
    "!x ",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "${",
    "${X}",
    "${X:-y}",
    "}",
    "null",
    "~",
    "yes",
    "-1",
    ".nan",
    ".inf",
    "1e309",
    "0x",
    "agents:\n",
    "agent: ",
    "backend: ",
    "type: ",
    "é",
    "\u{feff}",
    "\u{0}",
    "\u{202e}",
    "\r",
    "\r\n",
    "\u{85}",
    "\\",
    "\"\\uD800\"",
    "models: []\n",
];

#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, &'static str),
    Delete(Index, usize),
    Copy(Index, Index, usize),
    Indent(Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), 1..40usize).prop_map(|(at, n)| Edit::Delete(at, n)),
        (any::<Index>(), any::<Index>(), 1..200usize)
            .prop_map(|(from, to, n)| Edit::Copy(from, to, n)),
        (any::<Index>(), 0..6usize).prop_map(|(at, n)| Edit::Indent(at, n)),
    ]
}

fn apply(text: &mut Vec<char>, edit: &Edit) {
    let at = |index: &Index, text: &[char]| index.index(text.len() + 1);
    match edit {
        Edit::Insert(index, piece) => {
            let at = at(index, text);
            text.splice(at..at, piece.chars());
        }
        Edit::Delete(index, n) => {
            let at = at(index, text);
            let end = text.len().min(at + n);
            text.drain(at..end);
        }
        Edit::Copy(from, to, n) => {
            let from = at(from, text);
            let copied = text[from..text.len().min(from + n)].to_vec();
            let to = at(to, text);
            text.splice(to..to, copied);
        }
        Edit::Indent(index, n) => {
            let at = at(index, text);
            let line = text[..at].iter().rposition(|&c| c == '\n').map_or(0, |newline| newline + 1);
            text.splice(line..line, std::iter::repeat_n(' ', *n));
        }
    }
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let started = Instant::now();
    let loaded = loaded(text);
    let n_lines = u32::try_from(text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count())
        .unwrap_or(u32::MAX);
    if let Err(errors) = &loaded.spec {
        prop_assert!(!errors.is_empty());
    }
    for problem in loaded.spec.err().iter().flatten().chain(&loaded.notices) {
        prop_assert!((1..=n_lines + 1).contains(&problem.line), "{problem} in {text:?}");
        prop_assert!(problem.column >= 1, "{problem}");
        prop_assert!(!problem.to_string().contains("sk-openai"));
    }
    prop_assert!(started.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[test]
fn the_text_that_is_broken_is_whole_at_first() {
    assert!(loaded(WHOLE).spec.is_ok());
}

/// Every beginning of a config, as an editor that saves while one types produces it.
#[test]
fn every_beginning_is_read_or_refused() {
    for end in (0..=WHOLE.len()).filter(|&end| WHOLE.is_char_boundary(end)) {
        holds(&WHOLE[..end]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edited_configs_are_read_or_refused(edits in prop::collection::vec(edit(), 1..8)) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for edit in &edits {
            apply(&mut text, edit);
        }
        holds(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn heaps_of_pieces_are_read_or_refused(pieces in prop::collection::vec(select(PIECES), 0..60)) {
        holds(&pieces.concat())?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        holds(&text)?;
    }
}
