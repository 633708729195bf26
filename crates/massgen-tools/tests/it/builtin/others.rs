use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use massgen_protocol::{CommandSpec, MediaSource, SnapshotId, ToolReport, Tooling, WorkspaceSpec};
use massgen_tools::builtin::{self, OURS, native};
use serde_json::{Value, json};

use crate::desk::{Desk, Heard, Keeper, call, call_with, ok, refused};

fn everything() -> Tooling {
    Tooling {
        workspace: Some(WorkspaceSpec { cwd: "w".to_owned() }),
        file_tools: true,
        commands: Some(CommandSpec::default()),
        planning: true,
        read_media: true,
        web_fetch: true,
        insights: true,
        ..Tooling::default()
    }
}

#[tokio::test]
async fn all_tools_are_offered_under_their_names() {
    let desk = Desk::new();
    let sourced = desk.tools(&everything());
    assert_eq!(sourced.missing, Vec::<String>::new());
    let tools = sourced.source.tools();
    let names: Vec<&str> = tools.iter().map(|tool| tool.spec.name.as_str()).collect();
    assert_eq!(names, OURS);
    for tool in &tools {
        let parameters = &tool.spec.parameters;
        assert_eq!(parameters["type"], "object", "{}", tool.spec.name);
        assert_eq!(parameters["additionalProperties"], false, "{}", tool.spec.name);
        assert!(
            tool.spec.description.ends_with('.') && tool.spec.description.len() < 300,
            "{}",
            tool.spec.name
        );
        for (name, schema) in parameters["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{} {name}", tool.spec.name);
        }
        assert_eq!(native(&tool.spec.name), tool.spec.name);
    }
    assert!(desk.tools(&Tooling::default()).source.tools().is_empty());
    refused(&call(&sourced.source, "no_such_tool", json!({})).await, "there is no tool");
}

#[tokio::test]
async fn configs_allow_and_exclude_by_either_name() {
    let desk = Desk::new();
    let names = |tooling: &Tooling| -> Vec<String> {
        desk.tools(tooling).source.tools().into_iter().map(|tool| tool.spec.name).collect()
    };
    let texts = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let allowed = texts(&["mcp__filesystem__read_file", "list_directory", "mcp__weather__get"]);
    let tooling = Tooling { allowed_tools: Some(allowed), ..everything() };
    assert_eq!(names(&tooling), ["list_directory", "read_text_file"]);
    let tooling = Tooling { allowed_tools: Some(texts(&["mcp__weather__get"])), ..everything() };
    assert_eq!(names(&tooling).len(), OURS.len());
    let tooling = Tooling {
        exclude_tools: texts(&["mcp__workspace_tools__delete_file", "web_fetch"]),
        ..everything()
    };
    assert_eq!(names(&tooling).len(), OURS.len() - 2);
}

#[tokio::test]
async fn a_plan_is_kept_in_the_workspace() {
    let desk = Desk::new();
    let tools = desk.tools(&everything()).source;
    assert!(ok(call(&tools, "get_task_plan", json!({})).await).contains("The plan is empty"));
    let tasks = json!(["look", {"description": "build", "id": "b", "depends_on": [0]}, {"task": "ship", "dependencies": "b", "priority": "HIGH"}]);
    let said = ok(call(&tools, "create_task_plan", json!({"tasks": tasks})).await);
    assert_eq!(
        said,
        "0 of 3 tasks completed, 1 ready.\n`task_1` [pending] look\n`b` [pending] build (waits for task_1)\n`task_2` [pending, high] ship (waits for b)"
    );
    refused(
        &call(&tools, "update_task_status", json!({"task_id": "b", "status": "completed"})).await,
        "waits for `task_1`",
    );
    let said =
        ok(call(&tools, "update_task_status", json!({"task_id": "task_1", "status": "Completed"}))
            .await);
    assert!(said.contains("Ready now:\n`b`"), "{said}");
    refused(
        &call(&tools, "edit_task", json!({"task_id": "b", "depends_on": ["task_2"]})).await,
        "in a circle",
    );
    ok(call(
        &tools,
        "add_task",
        json!({"description": "check", "after_task_id": "b", "depends_on": ["b"]}),
    )
    .await);
    assert!(ok(call(&tools, "get_blocked_tasks", json!({})).await).contains("waits for b"));
    assert!(ok(call(&tools, "get_ready_tasks", json!({})).await).starts_with("`b`"));
    refused(&call(&tools, "delete_task", json!({"task_id": "b"})).await, "depend on `b`");
    refused(
        &call(&tools, "update_task_status", json!({"task_id": "b", "status": "done"})).await,
        "must be one of",
    );

    // Another session finds it; what is no plan is told and left behind.
    let again = desk.tools(&everything()).source;
    assert!(ok(call(&again, "get_task_plan", json!({})).await).contains("1 of 4 tasks completed"));
    for broken in [
        "{",
        "[]",
        "{\"tasks\": [{\"id\": \"a\", \"description\": \"x\", \"dependencies\": [\"a\"]}]}",
    ] {
        fs::write(desk.at("workspace/tasks/plan.json"), broken).unwrap();
        let fresh = desk.tools(&everything()).source;
        assert!(
            ok(call(&fresh, "get_task_plan", json!({})).await)
                .contains("holds no plan that can be read"),
            "{broken}"
        );
    }
    // Without a workspace it lives in memory.
    let memory = desk.tools(&Tooling { planning: true, ..Tooling::default() }).source;
    assert!(ok(call(&memory, "get_task_plan", json!({})).await).contains("The plan is empty"));
    ok(call(&memory, "create_task_plan", json!({"tasks": "only one"})).await);
    assert!(ok(call(&memory, "get_task_plan", json!({})).await).contains("only one"));
}

#[tokio::test]
async fn a_plan_survives_calls_side_by_side() {
    let desk = Desk::new();
    let tools = desk.tools(&everything()).source;
    ok(call(&tools, "create_task_plan", json!({"tasks": ["one"]})).await);
    let adding = (0..20).map(|n| {
        let tools = tools.clone();
        tokio::spawn(async move {
            ok(call(&tools, "add_task", json!({"description": format!("task {n}")})).await)
        })
    });
    for added in adding.collect::<Vec<_>>() {
        added.await.unwrap();
    }
    assert!(
        ok(call(&tools, "get_task_plan", json!({})).await)
            .contains("0 of 21 tasks completed, 21 ready")
    );
    let kept: Value =
        serde_json::from_slice(&fs::read(desk.at("workspace/tasks/plan.json")).unwrap()).unwrap();
    assert_eq!(kept["tasks"].as_array().unwrap().len(), 21);
}

#[tokio::test]
async fn pictures_are_shown_by_what_they_are() {
    let desk = Desk::new();
    let tools = desk.tools(&everything()).source;
    let png = b"\x89PNG\r\n\x1a\n rest";
    for (name, bytes, expected) in [
        ("a.txt", &png[..], "image/png"),
        ("b.jpg", b"\xff\xd8\xff\xe0 rest", "image/jpeg"),
        ("c.gif", b"GIF89a rest", "image/gif"),
        ("d.webp", b"RIFF\0\0\0\0WEBP rest", "image/webp"),
    ] {
        fs::write(desk.at("workspace").join(name), bytes).unwrap();
        let output = call(&tools, "read_media", json!({"path": name})).await;
        assert_eq!(output.media.len(), 1, "{output:?}");
        assert_eq!(output.media[0].media_type, expected);
        assert!(
            matches!(&output.media[0].source, MediaSource::Inline { base64 } if base64.len() > 8)
        );
    }
    fs::write(desk.at("workspace/fake.png"), "text").unwrap();
    refused(
        &call(&tools, "read_media", json!({"path": "fake.png"})).await,
        "is no PNG, JPEG, GIF or WebP",
    );
    fs::write(desk.at("workspace/big.png"), [&png[..], &vec![0; 4_000_000]].concat()).unwrap();
    refused(&call(&tools, "read_media", json!({"path": "big.png"})).await, "more than");
    refused(
        &call(&tools, "read_media", json!({"path": "../other/secret.txt"})).await,
        "../other/secret.txt",
    );
}

#[tokio::test]
async fn findings_go_out_with_their_evidence() {
    let desk = Desk::new();
    let keeper = Arc::new(Keeper::default());
    let tools = builtin::source(&everything(), &desk.equipment, keeper.clone()).source;
    fs::create_dir(desk.at("workspace/out")).unwrap();
    fs::write(desk.at("workspace/out/proof.csv"), "1,2").unwrap();
    let heard = Heard::default();
    let said = ok(call_with(
        &tools,
        "share_insight",
        json!({"text": " 42 ", "file": "./out/proof.csv"}),
        heard.reports(),
    )
    .await);
    assert!(said.contains("4 more"), "{said}");
    assert_eq!(*keeper.0.lock().unwrap(), [PathBuf::from("out/proof.csv")]);
    let report = ToolReport::Insight {
        text: "42".to_owned(),
        file: Some("out/proof.csv".to_owned()),
        evidence: Some(SnapshotId("snapshot-out/proof.csv".to_owned())),
    };
    assert_eq!(heard.all(), [report]);
    std::os::unix::fs::symlink(desk.at("other/secret.txt"), desk.at("workspace/link")).unwrap();
    for (arguments, expected) in [
        (json!({"text": "x", "file": "link"}), "is not a file"),
        (json!({"text": "x", "file": "out"}), "is not a file"),
        (json!({"text": "x", "file": "../other/secret.txt"}), "is not in your workspace"),
        (json!({"text": "x", "file": "nope"}), "there is no `nope`"),
        (json!({"text": "x".repeat(1_001)}), "at most 1000 characters"),
        (json!({"text": "  "}), "is empty"),
        (json!({}), "`text` is missing"),
    ] {
        refused(&call_with(&tools, "share_insight", arguments, heard.reports()).await, expected);
    }
    for _ in 0..4 {
        ok(call_with(&tools, "share_insight", json!({"insight": "more"}), heard.reports()).await);
    }
    refused(
        &call_with(&tools, "share_insight", json!({"text": "more"}), heard.reports()).await,
        "5 findings were shared",
    );
    assert_eq!(heard.all().len(), 5);
}
