//! The official conformance suite plays servers for our client, each of its scenarios that is
//! about tools. The scenarios of OAuth are left out: servers behind it are not reached yet.

use std::path::PathBuf;
use std::process::Command;

use super::real::{not_run, peers};

/// What a scenario comes to, and why where it is not what the suite wishes.
const SCENARIOS: &[(&str, Result<(), &str>)] = &[
    ("initialize", Ok(())),
    ("tools_call", Ok(())),
    ("sse-retry", Ok(())),
    ("request-metadata", Ok(())),
    ("sep-2322-client-request-state", Ok(())),
    ("http-standard-headers", Ok(())),
    ("http-custom-headers", Ok(())),
    ("http-invalid-tool-headers", Ok(())),
    ("json-schema-ref-no-deref", Ok(())),
    (
        "json-schema-2020-12-preservation",
        Err("`$schema` is taken out: some providers refuse a tool that has it; all else is kept"),
    ),
    (
        "elicitation-sep1034-client-defaults",
        Err("a server's question to a person is declined: there is none who could answer"),
    ),
];

#[test]
#[expect(clippy::print_stdout, reason = "the count is what the suite is run for")]
fn the_official_suite_finds_our_client_conforming() {
    let node = peers().join("mcp/node_modules/node/bin/node");
    let suite = peers().join("mcp/node_modules/@modelcontextprotocol/conformance/dist/index.js");
    for needed in [&node, &suite] {
        if !needed.is_file() {
            return not_run(needed);
        }
    }
    let client = client();
    let results = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let mut passed = 0;
    for (scenario, expected) in SCENARIOS {
        let output = Command::new(&node)
            .arg(&suite)
            .args(["client", "--scenario", scenario, "--timeout", "30000", "--command"])
            .arg(&client)
            .arg("-o")
            .arg(results.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let has_passed = output.status.success();
        passed += usize::from(has_passed);
        if has_passed != expected.is_ok() {
            wrong.push(format!("{scenario}: passed {has_passed}, {expected:?}\n{said}"));
        }
    }
    println!("conformance suite: {passed} of {} scenarios passed", SCENARIOS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The example that `cargo test` builds beside the tests.
fn client() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.parent().and_then(|deps| deps.parent()).unwrap();
    let client = target.join("examples/mcp_conformance_client");
    assert!(client.is_file(), "{} is built by `cargo test`", client.display());
    client
}
