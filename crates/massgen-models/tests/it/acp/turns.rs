//! What an agent does in its turn, and what becomes of it.

use std::collections::BTreeMap;

use massgen_protocol::{Arguments, FinishReason, HeaderText, Part, Usage};
use serde_json::json;

use super::fake::Fake;

#[tokio::test]
async fn text_thoughts_tools_and_plans_come_as_events() {
    let fake = Fake::new(&[]);
    let heard = fake
        .ask(
            "do: think Let me see.\ndo: say Four\ndo: tool Bash {\"command\":\"ls\"} a.txt\n\
             do: tool Bash {\"command\":\"rm\"} FAIL\ndo: plan\ndo: strange\ndo: say  teen",
        )
        .await;
    let turn = heard.turn.unwrap();
    assert_eq!((turn.text().as_str(), turn.finish), ("Four teen", FinishReason::Stop));
    assert_eq!((heard.text.as_str(), heard.reasoning.as_str()), ("Four teen", "Let me see."));
    let remote: Vec<(&str, &str)> =
        heard.remote.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(
        remote,
        [
            ("Bash", r#"{"command":"ls"}"#),
            ("Bash", "a.txt"),
            ("Bash", r#"{"command":"rm"}"#),
            ("Bash", "FAIL"),
        ]
    );
    assert!(heard.notices.iter().any(|notice| notice == "plan: 1 of 2 done; second"));
    assert!(heard.notices.iter().any(|notice| notice.contains("hologram")));
    let Part::Native { format, value } = &turn.parts[0] else { panic!("{:?}", turn.parts) };
    assert_eq!((format.as_str(), value), ("acp/claude_code", &json!({"session": "s1"})));
}

#[tokio::test]
async fn a_tool_of_the_team_is_called_over_mcp_and_ends_the_turn() {
    for generation in ["legacy", "new"] {
        let fake = Fake::new(&["--mcp", generation]);
        let heard = fake
            .ask("do: list\ndo: call vote {\"content\":\"agent1 ü\"}\ndo: say done\ndo: wait")
            .await;
        let turn = heard.turn.expect(generation);
        assert_eq!(turn.finish, FinishReason::ToolCalls);
        let calls: Vec<_> = turn.tool_calls().collect();
        assert_eq!(calls.len(), 1, "{generation}");
        assert_eq!(calls[0].name, "vote");
        let Arguments::Object { value } = &calls[0].arguments else { panic!("{calls:?}") };
        assert_eq!(value["content"], "agent1 ü");
        assert_eq!(heard.calls, [("vote".to_owned(), r#"{"content":"agent1 ü"}"#.to_owned())]);
        // Its last words came, and only then it was told to stop.
        assert!(heard.text.starts_with("new_answer submit vote"), "{}", heard.text);
        assert!(heard.text.contains("End your turn now") && heard.text.ends_with("done"));
        assert_eq!(fake.got("session/cancel").len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_tool_of_the_team_is_refused_in_words_the_model_can_read() {
    let fake = Fake::new(&[]);
    let heard = fake.ask("do: call votes {}").await;
    assert!(heard.text.contains("there is no tool `votes` now; there are: new_answer"));
    assert_eq!(heard.turn.unwrap().finish, FinishReason::Stop);
}

#[tokio::test]
async fn permissions_follow_the_mode_and_are_told() {
    let asked =
        "do: permission edit a.txt\ndo: permission edit ../../b.txt\ndo: permission execute c";
    let check = async |mode: Option<&str>, expected: &str| {
        let fake = Fake::with(&[], |spec| {
            spec.params.extend(mode.map(|mode| ("permission_mode".to_owned(), json!(mode))));
        });
        let heard = fake.ask(asked).await;
        assert_eq!(heard.text, expected, "{mode:?}");
        let told = heard.notices.iter().filter(|notice| notice.starts_with("permission ")).count();
        assert_eq!(told, 3, "{:?}", heard.notices);
    };
    check(None, "oncenoonce").await;
    check(Some("acceptEdits"), "oncenoonce").await;
    check(Some("plan"), "nonono").await;
    check(Some("bypassPermissions"), "onceonceonce").await;
}

#[tokio::test]
async fn files_are_served_in_its_folder_only_and_terminals_are_not() {
    let fake = Fake::new(&[]);
    std::fs::create_dir_all(&fake.cwd).unwrap();
    std::fs::write(fake.cwd.parent().unwrap().join("secret"), "hidden").unwrap();
    let cwd = fake.cwd.display();
    let heard = fake
        .ask(&format!(
            "do: write {cwd}/sub/a.txt some text\ndo: read {cwd}/sub/a.txt\n\
             do: read {cwd}/../secret\ndo: write {cwd}/../new x\ndo: terminal"
        ))
        .await;
    assert!(heard.text.starts_with("writtensome text"), "{}", heard.text);
    assert_eq!(heard.text.matches("is outside of the agent's folder").count(), 2);
    assert!(heard.text.ends_with("-32601"), "no terminal is offered: {}", heard.text);
    assert!(!heard.text.contains("hidden") && !fake.cwd.join("../new").exists());
    assert_eq!(std::fs::read_to_string(fake.cwd.join("sub/a.txt")).unwrap(), "some text");
    assert_eq!(heard.notices.iter().filter(|n| n.contains("file request refused")).count(), 2);
}

#[tokio::test]
async fn stop_reasons_and_usage_are_told_in_our_words() {
    let check = async |lines: &str, finish: FinishReason, usage: Usage| {
        let turn = Fake::new(&[]).ask(lines).await.turn.expect(lines);
        assert_eq!((turn.finish, turn.usage), (finish, usage), "{lines}");
    };
    let none = Usage::default();
    check("do: stop max_tokens", FinishReason::Length, none).await;
    check("do: stop max_turn_requests", FinishReason::Other, none).await;
    check("do: stop refusal", FinishReason::Refused, none).await;
    check("do: stop cancelled", FinishReason::Other, none).await;
    let usage = Usage {
        input_uncached: 10,
        cache_read: 20,
        cache_write: 5,
        output: 7,
        reasoning: 3,
        cost_micros: None,
    };
    let apart = "do: usage {\"totalTokens\":45,\"inputTokens\":10,\"outputTokens\":7,\
                 \"thoughtTokens\":3,\"cachedReadTokens\":20,\"cachedWriteTokens\":5}";
    check(apart, FinishReason::Stop, usage).await;
    let overlapping = apart.replace("\"inputTokens\":10", "\"inputTokens\":35");
    check(&overlapping, FinishReason::Stop, usage).await;
    let paid = Usage { cost_micros: Some(250_000), ..none };
    check("do: cost 0.25", FinishReason::Stop, paid).await;
}

#[tokio::test]
async fn model_mode_key_and_environment_reach_the_agent() {
    let fake = Fake::with(&[], |spec| {
        spec.model = "large".to_owned();
        spec.params.insert("permission_mode".to_owned(), json!("plan"));
        let value = HeaderText::Plain { value: "given".to_owned() };
        spec.program.as_mut().unwrap().env = BTreeMap::from([("OF_ITS_OWN".to_owned(), value)]);
    });
    let heard = fake.ask("do: env ANTHROPIC_API_KEY\ndo: env OF_ITS_OWN\ndo: cwd").await;
    let cwd = std::fs::canonicalize(&fake.cwd).unwrap();
    assert_eq!(heard.text, format!("{}given{}", crate::support::KEY, cwd.display()));
    assert_eq!(fake.got("session/set_config_option")[0]["value"], "large");
    assert_eq!(fake.got("session/set_mode")[0]["modeId"], "plan");
    assert_eq!(fake.got("session/new")[0]["cwd"], cwd.to_str().unwrap());
    assert_eq!(fake.driver.name(), "claude_code large");
}
