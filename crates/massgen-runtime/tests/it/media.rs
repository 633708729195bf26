//! Files go to the model with the question, once, and stay as they are.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use massgen_models::{Backend, Beat, Beats, Driver};
use massgen_protocol::{
    AgentSpec, Arguments, AssistantTurn, CallTimeouts, FinishReason, Media, MediaKind, MediaSource,
    Message, ModelCall, ModelEvent, Part, Policy, Role, ToolCall, ToolCallId, Usage,
};
use massgen_runtime::Session;
use serde_json::{Value, json};

use crate::team::{self, policy, spec};

type Seen = Arc<Mutex<Vec<Vec<Arc<Message>>>>>;

/// Plays an agent that answers, then votes for itself, and keeps what it was sent.
struct Recorder(Seen);

impl Backend for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn call(&self, call: ModelCall) -> Beats {
        let mut seen = self.0.lock().unwrap();
        let part = match seen.len() {
            0 => tool_call("new_answer", json!({"content": "a quasar"})),
            1 => tool_call("vote", json!({"agent_id": "agent1", "reason": "it is one"})),
            _ => Part::Text { text: "A quasar.".to_owned() },
        };
        seen.push(call.messages.to_vec());
        let turn = AssistantTurn {
            parts: vec![part],
            finish: FinishReason::Stop,
            usage: Usage::default(),
            model: None,
        };
        let finished = Beat::Event(ModelEvent::Finished(Box::new(turn)));
        futures::stream::iter([Ok(finished)]).boxed()
    }
}

fn tool_call(name: &str, arguments: Value) -> Part {
    let Value::Object(value) = arguments else { panic!("{arguments} is no map") };
    let arguments = Arguments::Object { value };
    Part::ToolCall(ToolCall { id: ToolCallId("c".to_owned()), name: name.to_owned(), arguments })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_with_the_first_question_and_never_change() {
    let seen: Seen = Arc::default();
    let dir = tempfile::tempdir().unwrap();
    let mut options = team::options(dir.path());
    let shared = seen.clone();
    options.connect = Arc::new(move |_| {
        let backend = Arc::new(Recorder(shared.clone()));
        Ok(Arc::new(Driver::new(backend, CallTimeouts::default(), 1)))
    });
    let mut team = spec(&[], Policy { sole_agent_votes: true, ..policy() });
    let image = Media {
        kind: MediaKind::Image,
        media_type: "image/png".to_owned(),
        name: Some("sky.png".to_owned()),
        source: MediaSource::Inline { base64: "aGk=".to_owned() },
    };
    team.agents.push(AgentSpec {
        media: vec![image.clone()],
        ..AgentSpec::new("a", team::backend("http://127.0.0.1:9/v1"))
    });
    // A replay comes to the same, files and all.
    let ran = team::finish(Session::start(team, options).unwrap(), dir).await;
    ran.reached_consensus(1);

    let calls = seen.lock().unwrap().clone();
    assert!(calls.len() >= 2, "{calls:?}");
    let first: &Message = calls[0].iter().find(|message| message.role == Role::User).unwrap();
    assert_eq!(first.parts[0], Part::Media(image));
    assert!(matches!(&first.parts[1], Part::Text { text } if text.contains("two and two")));
    for (before, after) in calls.iter().zip(&calls[1..]) {
        assert_eq!(before[..], after[..before.len()], "what was sent is sent again as it was");
    }
    let n_media = |messages: &[Arc<Message>]| {
        let parts = messages.iter().flat_map(|message| &message.parts);
        parts.filter(|part| matches!(part, Part::Media(_))).count()
    };
    assert_eq!(n_media(calls.last().unwrap()), 1);
}
