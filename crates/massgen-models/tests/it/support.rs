//! A spec, a call, and what came of it.

use std::sync::Arc;

use futures::StreamExt;
use massgen_models::{Driver, connect};
use massgen_protocol::{
    ApiKey, AssistantTurn, BackendSpec, CallFailure, Message, ModelCall, ModelEvent, Role, Secret,
    ToolSpec,
};
use massgen_testkit::Server;
use serde_json::json;

pub const KEY: &str = "sk-test-not-to-be-shown";

pub fn spec(base_url: &str) -> BackendSpec {
    BackendSpec {
        api_key: ApiKey::Given { value: Secret::new(KEY) },
        tries_max: 1,
        ..BackendSpec::new("chatcompletion", "m-1", base_url)
    }
}

pub fn driver(server: &Server) -> Arc<Driver> {
    connect(&spec(&server.base_url())).unwrap()
}

pub fn call(messages: Vec<Message>) -> ModelCall {
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: format!("{name} it"),
        parameters: json!({"type": "object", "properties": {"content": {"type": "string"}}}),
    };
    ModelCall {
        messages: Arc::new(messages.into_iter().map(Arc::new).collect()),
        tools: Arc::new(["new_answer", "submit", "vote"].map(tool).to_vec()),
        max_output_tokens: None,
        label: "run/agent1#1.1".to_owned(),
        seed: 1,
    }
}

pub fn question() -> ModelCall {
    call(vec![Message::text(Role::User, "How far?")])
}

/// All that a consumer of one call gets.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<(String, String)>,
    /// Name and input, then name and output, of each tool of the provider's own.
    pub remote: Vec<(String, String)>,
    pub notices: Vec<String>,
    pub retries: Vec<CallFailure>,
    pub turn: Option<AssistantTurn>,
    pub failure: Option<CallFailure>,
}

pub async fn listen(driver: &Driver, call: ModelCall) -> Heard {
    let mut heard = Heard::default();
    let mut events = driver.call(call);
    while let Some(event) = events.next().await {
        assert!(heard.turn.is_none() && heard.failure.is_none(), "nothing follows the end");
        match event {
            Ok(ModelEvent::Started) => {}
            Ok(ModelEvent::Text(text)) => heard.text.push_str(&text),
            Ok(ModelEvent::Reasoning(text)) => heard.reasoning.push_str(&text),
            Ok(ModelEvent::ToolCallStarted { index, name }) => {
                assert_eq!(index, heard.calls.len());
                heard.calls.push((name, String::new()));
            }
            Ok(ModelEvent::ToolArguments { index, delta }) => {
                heard.calls[index].1.push_str(&delta);
            }
            Ok(ModelEvent::Retrying { failure, .. }) => {
                heard = Heard { retries: heard.retries, ..Heard::default() };
                heard.retries.push(failure);
            }
            Ok(ModelEvent::RemoteToolStarted { name, input, .. }) => {
                heard.remote.push((name, input));
            }
            Ok(ModelEvent::RemoteToolFinished { name, output, .. }) => {
                heard.remote.push((name, output));
            }
            Ok(ModelEvent::Throttled { .. }) => {}
            Ok(ModelEvent::FellBack { failure, .. }) => {
                heard = Heard { retries: heard.retries, ..Heard::default() };
                heard.retries.push(failure);
            }
            Ok(ModelEvent::Unknown { what }) => heard.notices.push(what),
            Ok(ModelEvent::Finished(turn)) => heard.turn = Some(*turn),
            Err(failure) => heard.failure = Some(failure),
        }
    }
    assert!(heard.turn.is_some() != heard.failure.is_some(), "exactly one end");
    heard
}
