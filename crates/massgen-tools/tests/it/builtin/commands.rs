use std::fs;
use std::time::{Duration, Instant};

use massgen_protocol::{CommandSpec, NetworkPolicy, ToolEffect, Tooling};
use serde_json::json;

use crate::desk::{Desk, Heard, call, call_with, ok, refused};

fn with_commands(spec: CommandSpec) -> Tooling {
    Tooling { commands: Some(spec), ..Tooling::default() }
}

#[tokio::test]
async fn commands_run_in_the_workspace_and_say_how_they_ended() {
    let desk = Desk::new();
    let tools = desk.tools(&with_commands(CommandSpec::default())).source;
    let heard = Heard::default();
    let output = call_with(
        &tools,
        "execute_command",
        json!({"command": "pwd; echo made > made.txt; echo bad >&2; exit 3"}),
        heard.reports(),
    )
    .await;
    assert!(!output.is_error, "a command that says no is an answer");
    assert!(output.text.starts_with("Exit code 3 after "), "{}", output.text);
    let workspace = desk.at("workspace").display().to_string();
    assert!(
        output.text.contains(&format!("stdout:\n{workspace}\n\nstderr:\nbad")),
        "{}",
        output.text
    );
    assert!(heard.printed().contains("bad"));
    assert_eq!(fs::read_to_string(desk.at("workspace/made.txt")).unwrap(), "made\n");

    fs::create_dir(desk.at("workspace/sub")).unwrap();
    let said =
        ok(call(&tools, "execute_command", json!({"cmd": "basename $PWD", "work_dir": "sub"}))
            .await);
    assert!(said.contains("stdout:\nsub"), "{said}");
    refused(
        &call(&tools, "execute_command", json!({"command": "ls", "work_dir": "made.txt"})).await,
        "is not a folder",
    );
    refused(
        &call(&tools, "execute_command", json!({"command": "ls", "work_dir": "../other"})).await,
        "other",
    );
    refused(
        &call(&tools, "execute_command", json!({"command": "sudo ls"})).await,
        "nothing here runs as another user",
    );
    refused(&call(&tools, "execute_command", json!({"command": ["ls"]})).await, "must be a text");
    refused(
        &call(&tools, "execute_command", json!({"command": "x".repeat(200_000)})).await,
        "write it to a file",
    );
}

#[tokio::test]
async fn commands_are_held_by_the_sandbox() {
    let desk = Desk::new();
    let tools = desk.tools(&with_commands(CommandSpec::default())).source;
    let other = desk.at("other");
    for command in [
        format!("cat {}/secret.txt", other.display()),
        format!("echo x > {}/planted", other.display()),
        format!("ln -s {}/secret.txt l; cat l", other.display()),
        "exec 3<>/dev/tcp/127.0.0.1/9".to_owned(),
    ] {
        let said = call(&tools, "execute_command", json!({"command": command})).await.text;
        assert!(
            !said.contains("the other's secret") && !said.starts_with("Exit code 0"),
            "{command}: {said}"
        );
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    // A link that a command made leads no file tool out either.
    let files = desk.tools(&Tooling { file_tools: true, ..Tooling::default() }).source;
    let read = call(&files, "read_text_file", json!({"path": "l"})).await;
    assert!(read.is_error && !read.text.contains("the other's secret"), "{read:?}");
}

#[tokio::test]
async fn time_and_output_are_bounded() {
    let desk = Desk::with(|confinement| confinement.limits.output_bytes = 2_000);
    let tools = desk.tools(&with_commands(CommandSpec::default())).source;
    let begun = Instant::now();
    let output = call(
        &tools,
        "execute_command",
        json!({"command": "echo begun; sleep 100 & sleep 100", "timeout": "1"}),
    )
    .await;
    refused(&output, "Not done after 1.0 s");
    assert!(output.text.contains("begun"));
    assert!(begun.elapsed() < Duration::from_secs(15));
    let heard = Heard::default();
    let output = call_with(
        &tools,
        "execute_command",
        json!({"command": "yes | head -c 3000000; echo end"}),
        heard.reports(),
    )
    .await;
    assert!(
        output.text.contains("bytes left out") && output.text.contains("end"),
        "{}",
        output.text
    );
    assert!(output.text.len() < 3_000);
    assert!(heard.printed().len() < 400_000 && heard.printed().contains("is not shown"));
    let said =
        ok(call(&tools, "execute_command", json!({"command": "true", "timeout": 5_000})).await);
    assert!(said.contains("(at most 20.0 s are allowed)"), "{said}");
    let said = ok(call(&tools, "execute_command", json!({"command": r"printf 'a\377b\0c'"})).await);
    assert!(said.contains("a\u{fffd}b\0c"), "{said:?}");
}

#[tokio::test]
async fn giving_up_a_call_ends_the_command() {
    let desk = Desk::new();
    let tools = desk.tools(&with_commands(CommandSpec::default())).source;
    let heard = Heard::default();
    let command = json!({"command": "echo up; while true; do date +%s%N > beat; sleep 0.02; done"});
    let running = tokio::spawn({
        let (tools, reports) = (tools.clone(), heard.reports());
        async move { call_with(&tools, "execute_command", command, reports).await }
    });
    while !heard.printed().contains("up") || !desk.at("workspace/beat").exists() {
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(running.await.is_err());
    // It stops beating: once two looks a while apart see the same.
    let look = || fs::read_to_string(desk.at("workspace/beat")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let before = look();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if look() == before {
            break;
        }
        assert!(Instant::now() < deadline, "it beats on");
    }
}

#[tokio::test]
async fn rules_of_the_config_are_told() {
    let desk = Desk::new();
    let spec = CommandSpec {
        allow: vec!["echo".into(), "(".into()],
        block: vec!["bad".into()],
        ..CommandSpec::default()
    };
    let sourced = desk.tools(&with_commands(spec));
    assert!(
        sourced.missing.len() == 1 && sourced.missing[0].contains("commands.allow: `(`"),
        "{:?}",
        sourced.missing
    );
    let tools = sourced.source;
    ok(call(&tools, "execute_command", json!({"command": "echo fine"})).await);
    refused(
        &call(&tools, "execute_command", json!({"command": "ls"})).await,
        "allows only commands that begin like `echo`",
    );
    refused(
        &call(&tools, "start_background_shell", json!({"command": "echo bad"})).await,
        "blocks commands like it",
    );
}

#[tokio::test]
async fn effects_follow_from_what_holds_commands() {
    for (network, expected) in
        [(NetworkPolicy::Off, ToolEffect::Write), (NetworkPolicy::On, ToolEffect::Irreversible)]
    {
        let desk = Desk::with(|confinement| confinement.network = network);
        let tools = desk.tools(&with_commands(CommandSpec::default())).source.tools();
        let effect = |name: &str| tools.iter().find(|tool| tool.spec.name == name).unwrap().effect;
        assert_eq!(effect("execute_command"), expected);
        assert_eq!(effect("list_background_shells"), ToolEffect::Read);
    }
}
