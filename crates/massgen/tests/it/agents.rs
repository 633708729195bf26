//! Agents that are programs, in a team of the binary's: the bridge is the binary itself.

use std::io::Write;
use std::path::{Path, PathBuf};

use massgen_testkit::{Format, Reply, Request, Script, Server, behaviour, script};

use crate::binary::Place;

fn path() -> String {
    std::env::var("PATH").unwrap()
}

#[test]
fn an_agent_answers_through_the_bridge() {
    let agent =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../massgen-models/tests/it/acp/agent.py");
    let place = Place::new().env("PATH", &path());
    let team = format!(
        "agents:\n  - id: solo\n    backend: {{type: acp, command: python3, args: ['{}']}}\n",
        agent.display()
    );
    place.file("team.yaml", &team);
    // The fake agent does what the lines of its prompt say.
    let question = "6 x 7?\ndo: here made.txt 42\ndo: call new_answer {\"content\": \"It is 42.\"}";
    let done = place.run(&["--config", "team.yaml", question]).expect(0);
    assert!(done.stdout.contains("42"), "{}\n{}", done.stdout, done.stderr);
    let files = place.run(&["runs", "show", "latest", "--files"]).expect(0).stdout;
    assert!(files.starts_with("agent1.1: 1 file") && files.contains("made.txt"), "{files}");
    place.run(&["replay", "--check", "latest"]).expect(0);
}

#[test]
fn a_missing_program_is_one_error_and_the_team_goes_on() {
    let server = Server::start(behaviour::consensus(&["It is 42."]));
    let place = Place::new().env("PATH", "/nowhere");
    let team = format!(
        "agents:\n  - id: coder\n    backend: {{type: claude_code}}\n  - id: model\n    \
         backend: {{type: chatcompletion, model: m, api_key: k, base_url: \"{}\"}}\n\
         orchestrator: {{failures_max: 1}}\n",
        server.base_url()
    );
    place.file("team.yaml", &team);
    let done = place.run(&["--config", "team.yaml", "6 x 7?"]).expect(0);
    assert!(!done.stdout.trim().is_empty());
    for words in ["coder", "npm install -g @agentclientprotocol/claude-agent-acp"] {
        assert!(done.stderr.contains(words), "{words} in {}", done.stderr);
    }
}

#[test]
fn what_is_no_bridge_says_so() {
    let place = Place::new();
    let done = place.run(&["__bridge", "127.0.0.1:1"]).expect(1);
    assert!(done.stderr.contains("no way to the team's tools"), "{}", done.stderr);
    assert!(done.stdout.is_empty(), "stdout belongs to the protocol");
    let elsewhere = Place::new().env("MASSGEN_BRIDGE_TOKEN", "t");
    let done = elsewhere.run(&["__bridge", "192.0.2.1:1"]).expect(1);
    assert!(done.stderr.contains("not of this machine"), "{}", done.stderr);
    assert!(!place.run(&["--help"]).expect(0).stdout.contains("bridge"));
}

/// A member of a team that, having called a tool, says no more.
fn member() -> Script {
    let inner = behaviour::consensus(&["It is 42."]);
    script(move |request: &Request| {
        let said = &request.conversation().said;
        let last = said.iter().rev().find(|said| !said.text.is_empty() || !said.results.is_empty());
        if last.is_some_and(|said| !said.results.is_empty()) {
            return Reply::stream().text("Done.").finish("stop").usage(100, 5).done();
        }
        inner(request)
    })
}

/// Returns the program that an npm package brings, or says loudly that it is missing.
fn npm_program(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MASSGEN_PEERS").map(PathBuf::from);
    let root =
        root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"));
    let program = root.join("node_modules/.bin").join(name);
    if program.is_file() {
        return Some(program);
    }
    let message = format!("not run: `{name}` is not in {}\n", program.display());
    std::io::stderr().write_all(message.as_bytes()).unwrap();
    None
}

#[test]
fn real_agents_and_a_model_reach_consensus() {
    let programs = ["gemini", "claude-agent-acp", "opencode"].map(npm_program);
    let [Some(gemini), Some(claude), Some(opencode)] = programs else { return };
    let server = Server::start(member());
    let home = tempfile::tempdir().unwrap();
    let opencode_config = serde_json::json!({
        "provider": {"loopback": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": server.base_url_of(Format::Chat), "apiKey": "k"},
            "models": {"m": {"name": "m", "tool_call": true}},
        }},
        "model": "loopback/m",
        "small_model": "loopback/m",
    });
    let place = Place::new()
        .env("PATH", &path())
        .env("HOME", home.path().to_str().unwrap())
        .env("GEMINI_API_KEY", "gemini-test-key")
        .env("ANTHROPIC_API_KEY", "claude-test-key")
        .env("OPENCODE_CONFIG", &opencode_config.to_string())
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", "127.0.0.1,localhost");
    let url = server.url();
    let team = format!(
        "agents:\n\
         - id: gemini\n  backend:\n    type: gemini_cli\n    command: ['{}', '--acp', '--model', \
         'gemini-2.5-flash']\n    env: {{GOOGLE_GEMINI_BASE_URL: '{url}'}}\n\
         - id: claude\n  backend:\n    type: claude_code\n    command: ['{}']\n    \
         env: {{ANTHROPIC_BASE_URL: '{url}', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', \
         IS_SANDBOX: '1'}}\n\
         - id: opencode\n  backend:\n    type: opencode\n    command: ['{}', 'acp']\n    \
         env: {{OPENCODE_CONFIG_CONTENT: '${{OPENCODE_CONFIG}}', \
         OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1'}}\n\
         - id: model\n  backend: {{type: chatcompletion, model: m, api_key: k, base_url: '{}'}}\n\
         orchestrator: {{defer_voting_until_all_answered: true}}\n",
        gemini.display(),
        claude.display(),
        opencode.display(),
        server.base_url(),
    );
    place.file("team.yaml", &team);
    let done = place.run(&["--config", "team.yaml", "6 x 7?"]).expect(0);
    assert!(!done.stdout.trim().is_empty());
    assert!(done.stderr.contains("4 of 4 votes"), "{}", done.stderr);
    let formats = [Format::Gemini, Format::Messages, Format::Chat];
    let spoken = server.requests();
    for format in formats {
        assert!(spoken.iter().any(|request| request.format() == format), "{format:?}");
    }
    place.run(&["replay", "--check", "latest"]).expect(0);
}
