//! A conversation → the messages of a request.

use std::sync::Arc;

use massgen_protocol::{Arguments, Message, Part, Role, ToolCall};
use serde_json::{Map, Value, json};

use super::ids::Ids;
use super::quirks::Quirks;
use super::{FIELD_PARTS, FIELD_TAGS, NATIVE_DETAILS, media};

pub(super) fn messages(messages: &[Arc<Message>], quirks: Quirks) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(messages.len());
    let mut ids = Ids::new(quirks.ids);
    let mut last = None;
    for message in messages {
        match message.role {
            Role::System => match out.last_mut() {
                Some(before) if quirks.merges_system && last == Some(Role::System) => {
                    let whole = before["content"].as_str().unwrap_or_default();
                    before["content"] = json!(format!("{whole}\n\n{}", text(message)));
                }
                Some(_) | None => out.push(json!({"role": "system", "content": text(message)})),
            },
            Role::User => {
                if quirks.assistant_between_tool_and_user && last == Some(Role::Tool) {
                    out.push(json!({"role": "assistant", "content": "Understood."}));
                }
                out.push(json!({"role": "user", "content": content(message)}));
            }
            Role::Assistant => out.push(assistant(message, quirks, &mut ids)),
            Role::Tool => tool_results(message, &mut ids, &mut out),
        }
        last = Some(message.role);
    }
    out
}

/// Returns what a user said: one text, which every server takes, unless files are with it.
fn content(message: &Message) -> Value {
    let has_media = message.parts.iter().any(|part| matches!(part, Part::Media(_)));
    if !has_media {
        return Value::String(text(message));
    }
    let part = |part: &Part| match part {
        Part::Text { text } => Some(json!({"type": "text", "text": text})),
        Part::Media(media) => Some(media::part(media)),
        Part::Reasoning { .. } | Part::ToolCall(_) | Part::ToolResult(_) | Part::Native { .. } => {
            None
        }
    };
    Value::Array(message.parts.iter().filter_map(part).collect())
}

fn text(message: &Message) -> String {
    let mut all = String::new();
    for part in &message.parts {
        match part {
            Part::Text { text } => all.push_str(text),
            // Nothing else is text.
            Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Native { .. }
            | Part::Media(_) => {}
        }
    }
    all
}

fn tool_results(message: &Message, ids: &mut Ids, out: &mut Vec<Value>) {
    for part in &message.parts {
        match part {
            Part::ToolResult(result) => {
                let id = ids.of(&result.id.0, &result.name);
                out.push(json!({"role": "tool", "tool_call_id": id, "content": result.text}));
            }
            Part::Text { .. }
            | Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::Native { .. }
            | Part::Media(_) => {}
        }
    }
}

/// What stands for a turn that held thoughts alone, or nothing: Moonshot and DeepSeek refuse
/// every later request with an assistant's message without text and calls, and some chat
/// templates refuse two of the user's in a row.
const NOTHING_SAID: &str = "(nothing said)";

/// Returns an earlier turn of the model, with its reasoning in the field it came
/// from: some servers require it there, and some refuse it anywhere else.
fn assistant(message: &Message, quirks: Quirks, ids: &mut Ids) -> Value {
    let mut content = String::new();
    let mut thoughts: Vec<Value> = Vec::new();
    let mut fields = Map::new();
    let mut calls: Vec<Value> = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text } => content.push_str(text),
            Part::Reasoning { text, field } => match field.as_deref() {
                Some(FIELD_TAGS) => content.push_str(&format!("<think>{text}</think>")),
                Some(FIELD_PARTS) => thoughts.push(
                    json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]}),
                ),
                Some(field) => {
                    fields.insert(field.to_owned(), json!(text));
                }
                // It came from a provider of another format, which is no use to this one.
                None => {}
            },
            Part::ToolCall(call) => calls.push(tool_call(call, ids)),
            Part::Native { format, value }
                if format == NATIVE_DETAILS && !quirks.drops_reasoning_details =>
            {
                fields.insert("reasoning_details".to_owned(), value.clone());
            }
            Part::Native { .. } | Part::ToolResult(_) | Part::Media(_) => {}
        }
    }
    let content = if !thoughts.is_empty() {
        if !content.is_empty() {
            thoughts.push(json!({"type": "text", "text": content}));
        }
        Value::Array(thoughts)
    } else if content.is_empty() && !calls.is_empty() {
        Value::Null
    } else if calls.is_empty() && content.trim().is_empty() {
        json!(NOTHING_SAID)
    } else {
        Value::String(content)
    };
    let mut out = Map::new();
    out.insert("role".to_owned(), json!("assistant"));
    out.insert("content".to_owned(), content);
    out.extend(fields);
    if !calls.is_empty() {
        out.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(out)
}

fn tool_call(call: &ToolCall, ids: &mut Ids) -> Value {
    let arguments = match &call.arguments {
        Arguments::Object { value } => Value::Object(value.clone()).to_string(),
        // Servers parse what they are given back; broken JSON would fail every
        // later request of this conversation.
        Arguments::Malformed { raw, .. } => json!({"unreadable": raw}).to_string(),
    };
    json!({
        "id": ids.of(&call.id.0, &call.name),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_of_thoughts_alone_is_not_sent_empty() {
        let mut turn = Message::text(Role::Assistant, " \n");
        let field = Some("reasoning_content".to_owned());
        turn.parts.insert(0, Part::Reasoning { text: "Hm.".to_owned(), field });
        let sent = messages(&[std::sync::Arc::new(turn.clone())], Quirks::default());
        assert_eq!(sent[0]["content"], NOTHING_SAID);
        assert_eq!(sent[0]["reasoning_content"], "Hm.");

        turn.parts.push(Part::Text { text: "4".to_owned() });
        let sent = messages(&[std::sync::Arc::new(turn)], Quirks::default());
        assert_eq!(sent[0]["content"], " \n4");
    }

    #[test]
    fn files_stand_before_the_text_they_belong_to() {
        let mut message = Message::text(Role::User, "What is it?");
        assert_eq!(content(&message), json!("What is it?"));
        let media = massgen_protocol::Media {
            kind: massgen_protocol::MediaKind::Image,
            media_type: "image/png".to_owned(),
            name: None,
            source: massgen_protocol::MediaSource::Url { url: "https://h/a.png".to_owned() },
        };
        message.parts.insert(0, Part::Media(media));
        let expected = json!([
            {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
            {"type": "text", "text": "What is it?"},
        ]);
        assert_eq!(content(&message), expected);
    }
}
