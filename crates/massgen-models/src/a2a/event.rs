//! What an agent sends, in the forms of version 1.0 and of 0.3, as one.

use serde_json::Value;

/// One thing an agent says of its task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'v> {
    /// All of the task, as it stands.
    Task {
        at: At<'v>,
        status: Status<'v>,
        artifacts: Vec<Artifact<'v>>,
        /// The last message of the agent's own in the task's history.
        last_message: Option<Message<'v>>,
    },
    /// A reply without a task.
    Message {
        at: At<'v>,
        message: Message<'v>,
    },
    Status {
        at: At<'v>,
        status: Status<'v>,
    },
    Artifact {
        at: At<'v>,
        artifact: Artifact<'v>,
        append: bool,
    },
}

/// The task and context something belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At<'v> {
    pub(super) task: Option<&'v str>,
    pub(super) context: Option<&'v str>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Status<'v> {
    pub(super) state: State,
    pub(super) message: Option<Message<'v>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message<'v> {
    pub(super) id: &'v str,
    pub(super) parts: &'v [Value],
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Artifact<'v> {
    pub(super) id: &'v str,
    pub(super) parts: &'v [Value],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Submitted, at work, or something unknown.
    Open,
    InputRequired,
    AuthRequired,
    Completed,
    Failed,
    Rejected,
    Canceled,
}

impl State {
    fn of(word: &str) -> State {
        let word = word.to_ascii_lowercase().replace('_', "-");
        match word.strip_prefix("task-state-").unwrap_or(&word) {
            "input-required" => State::InputRequired,
            "auth-required" => State::AuthRequired,
            "completed" => State::Completed,
            "failed" => State::Failed,
            "rejected" => State::Rejected,
            "canceled" | "cancelled" => State::Canceled,
            _ => State::Open,
        }
    }
}

/// Reads the payload of one event or answer; `None` if it is none of the protocol's.
pub(super) fn read(value: &Value) -> Option<Event<'_>> {
    // 0.3 names its kind in the value, 1.0 in the key around it; some send the bare thing.
    for (key, read) in [
        ("task", task as fn(&Value) -> Option<Event<'_>>),
        ("message", bare_message),
        ("msg", bare_message),
        ("statusUpdate", status_update),
        ("artifactUpdate", artifact_update),
    ] {
        if let Some(inner) = value.get(key).filter(|inner| inner.is_object())
            && value.get("kind").is_none()
        {
            return read(inner);
        }
    }
    match value["kind"].as_str() {
        Some("task") => task(value),
        Some("message") => bare_message(value),
        Some("status-update") => status_update(value),
        Some("artifact-update") => artifact_update(value),
        Some(_) => None,
        None if value["artifact"].is_object() => artifact_update(value),
        None if value["messageId"].is_string() => bare_message(value),
        None if value["status"].is_object() && value["id"].is_string() => task(value),
        None if value["status"].is_object() => status_update(value),
        None => None,
    }
}

fn task(value: &Value) -> Option<Event<'_>> {
    let at = At { task: word(&value["id"]), context: word(&value["contextId"]) };
    at.task?;
    let history = value["history"].as_array();
    let last_message = history.into_iter().flatten().rev().find_map(|message| {
        let role = message["role"].as_str().unwrap_or_default();
        matches!(role, "agent" | "ROLE_AGENT").then(|| self::message(message))
    });
    let artifacts = value["artifacts"].as_array().into_iter().flatten().map(artifact).collect();
    Some(Event::Task { at, status: status(&value["status"]), artifacts, last_message })
}

fn bare_message(value: &Value) -> Option<Event<'_>> {
    parts(value)?;
    let at = At { task: word(&value["taskId"]), context: word(&value["contextId"]) };
    Some(Event::Message { at, message: message(value) })
}

fn status_update(value: &Value) -> Option<Event<'_>> {
    if !value["status"].is_object() {
        return None;
    }
    let at = At { task: word(&value["taskId"]), context: word(&value["contextId"]) };
    Some(Event::Status { at, status: status(&value["status"]) })
}

fn artifact_update(value: &Value) -> Option<Event<'_>> {
    if !value["artifact"].is_object() {
        return None;
    }
    let at = At { task: word(&value["taskId"]), context: word(&value["contextId"]) };
    let append = value["append"].as_bool().unwrap_or(false);
    Some(Event::Artifact { at, artifact: artifact(&value["artifact"]), append })
}

fn status(value: &Value) -> Status<'_> {
    // The plain HTTP of 0.3 calls the message an update.
    let message = [&value["message"], &value["update"]].into_iter().find(|value| value.is_object());
    Status {
        state: State::of(value["state"].as_str().unwrap_or_default()),
        message: message.map(self::message),
    }
}

fn message(value: &Value) -> Message<'_> {
    Message {
        id: value["messageId"].as_str().unwrap_or_default(),
        parts: parts(value).unwrap_or_default(),
    }
}

fn artifact(value: &Value) -> Artifact<'_> {
    Artifact {
        id: value["artifactId"].as_str().unwrap_or_default(),
        parts: parts(value).unwrap_or_default(),
    }
}

fn parts(value: &Value) -> Option<&[Value]> {
    // `content` is what the plain HTTP of 0.3 calls them.
    let parts = value["parts"].as_array().or_else(|| value["content"].as_array())?;
    Some(parts.as_slice())
}

fn word(value: &Value) -> Option<&str> {
    value.as_str().filter(|word| !word.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_versions_say_the_same() {
        let at = At { task: Some("t"), context: Some("c") };
        let part = json!({"text": "x"});
        let parts = std::slice::from_ref(&part);
        let message = Message { id: "m", parts };
        let status = Status { state: State::InputRequired, message: Some(message.clone()) };
        let told = json!({"messageId": "m", "role": "agent", "parts": [part], "contextId": "c", "taskId": "t"});
        for value in [
            json!({"statusUpdate": {"taskId": "t", "contextId": "c",
                "status": {"state": "TASK_STATE_INPUT_REQUIRED", "message": told}}}),
            json!({"kind": "status-update", "taskId": "t", "contextId": "c", "final": true,
                "status": {"state": "input-required", "message": told}}),
            json!({"statusUpdate": {"taskId": "t", "contextId": "c",
                "status": {"state": "TASK_STATE_INPUT_REQUIRED", "update": {"messageId": "m", "content": [part]}}}}),
            json!({"taskId": "t", "contextId": "c", "status": {"state": "input_required", "message": told}}),
        ] {
            assert_eq!(read(&value), Some(Event::Status { at, status: status.clone() }), "{value}");
        }
        for value in [json!({"message": told}), json!({"msg": told}), told.clone()] {
            let event = Event::Message { at, message: message.clone() };
            assert_eq!(read(&value), Some(event), "{value}");
        }
        let artifact = json!({"artifactId": "a", "parts": [part]});
        let update = json!({"taskId": "t", "contextId": "c", "append": true, "artifact": artifact});
        let mut old = update.clone();
        old["kind"] = json!("artifact-update");
        for value in [json!({"artifactUpdate": update}), update.clone(), old] {
            let artifact = Artifact { id: "a", parts };
            assert_eq!(
                read(&value),
                Some(Event::Artifact { at, artifact, append: true }),
                "{value}"
            );
        }
        let user = json!({"messageId": "u", "role": "user", "parts": []});
        let task = json!({"id": "t", "contextId": "c", "status": {"state": "completed"},
            "artifacts": [artifact], "history": [user, told, user]});
        let mut old = task.clone();
        old["kind"] = json!("task");
        for value in [json!({"task": task}), task.clone(), old] {
            let event = Event::Task {
                at,
                status: Status { state: State::Completed, message: None },
                artifacts: vec![Artifact { id: "a", parts }],
                last_message: Some(message.clone()),
            };
            assert_eq!(read(&value), Some(event), "{value}");
        }
    }

    #[test]
    fn what_is_nothing_of_the_protocol_is_none() {
        for value in [
            json!(null),
            json!([]),
            json!({}),
            json!({"kind": "dance"}),
            json!({"task": {}}),
            json!({"task": "t"}),
            json!({"message": {"parts": 3}}),
            json!({"statusUpdate": {"status": "x"}}),
            json!({"artifactUpdate": {}}),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
        assert_eq!(State::of("TASK_STATE_WORKING"), State::Open);
        assert_eq!(State::of("cancelled"), State::Canceled);
    }
}
