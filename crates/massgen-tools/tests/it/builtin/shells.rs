use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use massgen_protocol::{CommandSpec, Tooling};
use massgen_tools::ToolSource;
use serde_json::json;

use crate::desk::{Desk, call, ok, refused};

fn tools(desk: &Desk) -> Arc<dyn ToolSource> {
    desk.tools(&Tooling { commands: Some(CommandSpec::default()), ..Tooling::default() }).source
}

/// Asks until an answer holds a text; all that was said until then.
async fn until(source: &Arc<dyn ToolSource>, tool: &str, id: &str, wanted: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut said = String::new();
    while !said.contains(wanted) {
        assert!(Instant::now() < deadline, "no {wanted:?} in {said}");
        said.push_str(&ok(call(source, tool, json!({"shell_id": id})).await));
        tokio::task::yield_now().await;
    }
    said
}

#[tokio::test]
async fn a_background_command_is_followed_and_ended() {
    let desk = Desk::new();
    let tools = tools(&desk);
    let said = ok(call(
        &tools,
        "start_background_shell",
        json!({"command": "echo up; until [ -e go ]; do sleep 0.02; done; echo gone; exit 4"}),
    )
    .await);
    assert!(said.starts_with("Started shell_1."), "{said}");
    until(&tools, "get_background_shell_output", "shell_1", "up").await;
    let said = ok(call(&tools, "get_background_shell_output", json!({"shell_id": 1})).await);
    assert!(said.contains("running for") && said.contains("(nothing new)"), "{said}");
    fs::write(desk.at("workspace/go"), "").unwrap();
    let said = until(&tools, "get_background_shell_status", "shell_1", "Exit code 4").await;
    assert!(said.contains("command: echo up"), "{said}");
    let said =
        ok(call(&tools, "get_background_shell_output", json!({"shell_id": "shell_1"})).await);
    assert!(said.contains("gone") && !said.contains("up\n"), "{said}");

    ok(call(
        &tools,
        "start_background_shell",
        json!({"command": "while true; do date +%N > beat; sleep 0.02; done"}),
    )
    .await);
    while !desk.at("workspace/beat").exists() {
        tokio::task::yield_now().await;
    }
    ok(call(&tools, "kill_background_shell", json!({"shell_id": "2"})).await);
    assert!(
        ok(call(&tools, "kill_background_shell", json!({"shell_id": "2"})).await)
            .contains("has ended already")
    );
    let list = ok(call(&tools, "list_background_shells", json!({})).await);
    assert!(
        list.contains("shell_1: Exit code 4") && list.contains("shell_2: Ended on demand"),
        "{list}"
    );
    still(&desk).await;
    for id in ["shell_9", "x", "", "-1", "99999999999999999999"] {
        refused(
            &call(&tools, "get_background_shell_output", json!({"shell_id": id})).await,
            "no background command",
        );
    }
}

#[tokio::test]
async fn there_are_only_so_many_and_they_end_with_the_run() {
    let desk = Desk::new();
    let tools = tools(&desk);
    for _ in 0..10 {
        ok(call(
            &tools,
            "start_background_shell",
            json!({"command": "while true; do date +%N > beat; sleep 0.05; done"}),
        )
        .await);
    }
    refused(
        &call(&tools, "start_background_shell", json!({"command": "true"})).await,
        "10 background commands run already",
    );
    drop(tools);
    still(&desk).await;
}

#[tokio::test]
async fn of_much_output_the_end_is_kept() {
    let desk = Desk::new();
    let tools = tools(&desk);
    ok(call(
        &tools,
        "start_background_shell",
        json!({"command": "yes x | head -c 2000000; echo last"}),
    )
    .await);
    until(&tools, "get_background_shell_status", "1", "Exit code 0").await;
    let said = ok(call(&tools, "get_background_shell_output", json!({"shell_id": 1})).await);
    assert!(said.ends_with("last") && said.contains("bytes before are lost]"), "{}", &said[..100]);
    assert!(said.len() < 140_000);
}

/// Waits until nothing beats any more.
async fn still(desk: &Desk) {
    let look = || fs::read_to_string(desk.at("workspace/beat")).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let before = look();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if look() == before {
            return;
        }
        assert!(Instant::now() < deadline, "it beats on");
    }
}
