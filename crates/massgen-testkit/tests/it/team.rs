use massgen_testkit::{Server, behaviour};
use serde_json::{Value, json};

use crate::client::Client;

fn request(messages: &Value) -> Value {
    json!({"model": "m", "messages": messages, "tools": [
        {"type": "function", "function": {"name": "new_answer", "parameters": {
            "type": "object", "properties": {"content": {"type": "string"}}}}},
        {"type": "function", "function": {"name": "vote", "parameters": {
            "type": "object", "properties": {
                "agent_id": {"type": "string", "enum": ["agent1", "agent2"]},
                "reason": {"type": "string"}}}}},
    ]})
}

#[test]
fn the_team_answers_votes_and_presents() {
    let server = Server::start(behaviour::consensus(&["six"]));
    let mut client = Client::new(&server);
    let system = json!({"role": "system", "content": "answers come as <agent1>"});
    let question = json!({"role": "user", "content": "why?"});

    let body = client.ask(&request(&json!([system, question]))).body();
    assert!(body.contains(r#""name":"new_answer","arguments":"{\"content\":\"six\"}""#), "{body}");
    let body = client.ask(&request(&json!([system, question]))).body();
    assert!(body.contains("six (draft 1)"), "{body}");

    let seen = json!({"role": "user", "content": [
        {"type": "text", "text": "<current_answers><agent1>six</agent1></current_answers>"}]});
    let body = client.ask(&request(&json!([system, seen]))).body();
    assert!(body.contains(r#"\"agent_id\":\"agent1\""#), "{body}");

    let own = json!({"role": "assistant", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "new_answer", "arguments": "{}"}}]});
    let body = client.ask(&request(&json!([system, question, own]))).body();
    assert!(body.contains(r#""name":"vote""#), "{body}");

    let present = json!({"role": "user", "content": "<present>now</present>"});
    let body = client.ask(&request(&json!([system, present]))).body();
    assert!(body.contains("presented") && !body.contains("tool_calls\":["), "{body}");
    let body = client.ask(&json!({"messages": [question]})).body();
    assert!(body.contains("presented"), "{body}");
}

#[test]
fn faulty_models_do_what_their_names_say() {
    let ask = |script| {
        let server = Server::start(script);
        Client::new(&server).ask(&request(&json!([])))
    };
    assert!(ask(behaviour::always_answers()).body().contains("answer number 0"));
    assert!(ask(behaviour::cut_arguments()).body().contains("\"length\""));
    assert!(!ask(behaviour::dropped()).complete);
    assert!(ask(behaviour::garbage()).body().contains("oops"));
    assert_eq!(ask(behaviour::tokens(5)).body().matches("tok ").count(), 5);
    assert_eq!(ask(behaviour::talkative(5)).body().matches("tok ").count(), 5);
}

#[test]
fn a_fault_can_pass() {
    let flaky = behaviour::first(1, behaviour::fails(500), behaviour::consensus(&["six"]));
    let server = Server::start(flaky);
    let mut client = Client::new(&server);
    assert_eq!(client.ask(&request(&json!([]))).status, 500);
    assert_eq!(client.ask(&request(&json!([]))).status, 200);
}
