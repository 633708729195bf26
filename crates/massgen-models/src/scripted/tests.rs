use std::time::Duration;

use futures::StreamExt;
use massgen_protocol::{FinishReason, Message, ModelEvent, Part, Role as Speaker, ToolSpec};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::backend::Beat;

const SCRIPT: &str = r#"
agents:
  curie:
    chunk_ms: 10
    replies:
      - when: first
        reasoning: I integrate.
        new_answer: "{{distance}} Gpc"
      - when: { situation: answers_in_view, sees: "8.95" }
        vote: { for: agent2, reason: "it has {{distance}}" }
      - when: { situation: answers_in_view, answers_min: 2, sees_not: "8.95" }
        vote: agent1
      - when: present
        text: It is {{ distance }} Gpc away.
        chunk_ms: 0
        usage: { input: 7, output: 3 }
  bohr:
    repeat: none
    replies:
      - text: one
        tool_calls: [{ name: look, arguments: { path: "{{distance}}" } }]
      - text: two
  fault:
    replies:
      - when: { turn: 1 }
        text: I was about to
        fault: { fail: overloaded, after: 2, tries: 1, message: busy, retry_after_ms: 5 }
      - text: gone
        fault: { stall: true }
  fast:
    replies: [{ tokens: 100000 }]
"#;

fn team() -> Scripted {
    let values = BTreeMap::from([("distance".to_owned(), "8".to_owned())]);
    Scripted::new(Script::parse(SCRIPT).unwrap(), &values).unwrap()
}

fn call(label: &str, messages: Vec<Message>) -> ModelCall {
    let tool = |name: &str, properties: serde_json::Value| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: json!({"type": "object", "properties": properties}),
    };
    ModelCall {
        messages: Arc::new(messages.into_iter().map(Arc::new).collect()),
        tools: Arc::new(vec![
            tool("new_answer", json!({"content": {"type": "string"}})),
            tool(
                "vote",
                json!({"agent_id": {"enum": ["agent1", "agent2"]}, "reason": {"type": "string"}}),
            ),
        ]),
        max_output_tokens: None,
        label: label.to_owned(),
        seed: 0,
    }
}

fn user(text: &str) -> Vec<Message> {
    vec![Message::text(Speaker::User, text)]
}

async fn play(
    agent: &str,
    call: ModelCall,
) -> Result<massgen_protocol::AssistantTurn, CallFailure> {
    let mut beats = team().agent(agent).unwrap().call(call);
    let mut text = String::new();
    while let Some(beat) = beats.next().await {
        match beat? {
            Beat::Event(ModelEvent::Finished(turn)) => {
                assert_eq!(turn.text(), text);
                assert!(beats.next().await.is_none());
                return Ok(*turn);
            }
            Beat::Event(ModelEvent::Text(more)) => text.push_str(&more),
            Beat::Event(_) | Beat::Alive => {}
        }
    }
    panic!("the stream ended without an end");
}

fn arguments(turn: &massgen_protocol::AssistantTurn) -> Vec<String> {
    let calls = turn.tool_calls().map(|call| match &call.arguments {
        massgen_protocol::Arguments::Object { value } => {
            format!("{} {}", call.name, serde_json::Value::Object(value.clone()))
        }
        massgen_protocol::Arguments::Malformed { raw, .. } => raw.clone(),
    });
    calls.collect()
}

#[tokio::test(start_paused = true)]
async fn an_agent_says_what_its_situation_asks_for() {
    let before = Instant::now();
    let turn = play("curie", call("r/agent1#1.1", user("How far?"))).await.unwrap();
    assert_eq!(arguments(&turn), [r#"new_answer {"content":"8 Gpc"}"#]);
    assert_eq!(turn.finish, FinishReason::ToolCalls);
    assert!(matches!(&turn.parts[0], Part::Reasoning { text, .. } if text == "I integrate."));
    // Two words of reasoning, the call, and two words of arguments.
    assert_eq!(before.elapsed(), Duration::from_millis(50));

    let seen = "<current_answers><agent1>8.95 Gpc</agent1></current_answers>";
    let turn = play("curie", call("r/agent1#2.1", user(seen))).await.unwrap();
    assert_eq!(arguments(&turn), [r#"vote {"agent_id":"agent2","reason":"it has 8"}"#]);
    let seen = "<current_answers><agent1>a</agent1><agent2>b</agent2></current_answers>";
    let turn = play("curie", call("r/agent1#3.1", user(seen))).await.unwrap();
    assert_eq!(arguments(&turn), [r#"vote {"agent_id":"agent1","reason":"It is right."}"#]);
    let turn = play("curie", call("r/agent1#4.1", user("<present>"))).await.unwrap();
    assert_eq!(
        (turn.text().as_str(), turn.usage.input(), turn.usage.output),
        ("It is 8 Gpc away.", 7, 3)
    );
}

#[tokio::test]
async fn replies_without_a_condition_follow_one_another() {
    let turn = play("bohr", call("r/agent1#1.1", user("x"))).await.unwrap();
    assert_eq!(
        (turn.text().as_str(), arguments(&turn)),
        ("one", vec![r#"look {"path":"8"}"#.to_owned()])
    );
    assert_eq!(play("bohr", call("r/agent1#1.2", user("x"))).await.unwrap().text(), "two");
    assert_eq!(play("bohr", call("r/agent1#2.1", user("x"))).await.unwrap().text(), "two");
    let failure = play("bohr", call("r/agent1#3.1", user("x"))).await.unwrap_err();
    assert_eq!(failure.message, "the script has no reply for this situation");
}

#[tokio::test(start_paused = true)]
async fn faults_come_where_they_are_written_and_pass() {
    let team = team();
    let agent = team.agent("fault").unwrap();
    let mut beats = agent.call(call("r/agent1#1.1", user("x")));
    assert_eq!(beats.next().await, Some(Ok(Beat::Event(ModelEvent::Started))));
    assert_eq!(beats.next().await, Some(Ok(Beat::Event(ModelEvent::Text("I ".to_owned())))));
    let failure = beats.next().await.unwrap().unwrap_err();
    assert_eq!((failure.kind, failure.retry_after_ms), (FailureKind::Overloaded, Some(5)));
    assert!(beats.next().await.is_none());
    let beats: Vec<_> = agent.call(call("r/agent1#1.1", user("x"))).collect().await;
    assert!(matches!(beats.last(), Some(Ok(Beat::Event(ModelEvent::Finished(_))))));

    let spoken = vec![Message::text(Speaker::User, "x"), Message::text(Speaker::Assistant, "y")];
    let stalled = agent.call(call("r", spoken)).collect::<Vec<_>>();
    assert!(tokio::time::timeout(Duration::from_secs(3_600), stalled).await.is_err());
}

#[tokio::test]
async fn synthetic_tokens_are_as_many_events() {
    let mut beats = team().agent("fast").unwrap().call(call("r", user("x")));
    let mut n = 0;
    while let Some(beat) = beats.next().await {
        match beat.unwrap() {
            Beat::Event(ModelEvent::Text(_)) => n += 1,
            Beat::Event(ModelEvent::Finished(turn)) => {
                assert_eq!(turn.text().len(), 400_000);
                assert_eq!(turn.usage.output, 100_000);
            }
            Beat::Event(_) | Beat::Alive => {}
        }
    }
    assert_eq!(n, 100_000);
}

#[test]
fn what_is_wrong_with_a_script_is_said() {
    let problem = |text: &str| {
        let script = Script::parse(text);
        let played = script
            .and_then(|script| Scripted::new(script, &BTreeMap::new())?.agent("a").map(|_| ()));
        played.unwrap_err().to_string()
    };
    assert_eq!(problem("agents: { a: { replies: [] } }"), "agent `a` has no replies");
    assert_eq!(
        problem("agents: { a: { replies: [{ text: \"{{x}}\" }] } }"),
        "agent `a` names `{{x}}`, which has no value"
    );
    assert_eq!(
        problem("agents: { b: { replies: [{}] }, c: { replies: [{}] } }"),
        "there is no agent `a`, only b, c"
    );
    let unknown = problem("agents: { a: { replies: [{ txt: hi }] } }");
    assert!(unknown.contains("txt"), "{unknown}");
    for garbage in ["", "agents: 3", "agents: {a: {replies: [{fault: {fail: tired}}]}}", "\t\u{0}{"]
    {
        assert!(!problem(garbage).is_empty());
    }
    let open = "agents: { a: { replies: [{ text: \"{{ open\" }] } }";
    assert!(Scripted::new(Script::parse(open).unwrap(), &BTreeMap::new()).is_ok());
}
