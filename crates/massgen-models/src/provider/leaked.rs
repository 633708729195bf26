//! Tool calls that a server failed to recognise and left in the text.

use serde_json::{Map, Value};

use super::arguments::unfenced;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// A call found in a text; its arguments as JSON text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaked {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Returns the calls of offered tools in a text, and the text without them.
/// `None` if there are none: JSON that names no offered tool is an answer.
pub(crate) fn find(text: &str, is_offered: impl Fn(&str) -> bool) -> Option<(Vec<Leaked>, String)> {
    if !text.contains("\"name\"") {
        return None;
    }
    if text.contains(OPEN) {
        return tagged(text, is_offered);
    }
    let calls = match serde_json::from_str(unfenced(text.trim())).ok()? {
        Value::Array(calls) => calls.iter().map(call).collect::<Option<Vec<_>>>()?,
        value => vec![call(&value)?],
    };
    let all_offered = !calls.is_empty() && calls.iter().all(|call| is_offered(&call.name));
    all_offered.then(|| (calls, String::new()))
}

fn tagged(text: &str, is_offered: impl Fn(&str) -> bool) -> Option<(Vec<Leaked>, String)> {
    let mut calls = Vec::new();
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let inside = &rest[at + OPEN.len()..];
        // The closing tag is the first thing to be lost.
        let (body, after) = inside.split_once(CLOSE).unwrap_or((inside, ""));
        let found = serde_json::from_str(unfenced(body.trim())).ok().and_then(|json| call(&json));
        match found.filter(|call| is_offered(&call.name)) {
            Some(call) => {
                kept.push_str(&rest[..at]);
                calls.push(call);
            }
            None => kept.push_str(&rest[..rest.len() - after.len()]),
        }
        rest = after;
    }
    kept.push_str(rest);
    (!calls.is_empty()).then(|| (calls, kept.trim().to_owned()))
}

fn call(json: &Value) -> Option<Leaked> {
    let json = json.as_object()?;
    let json: &Map<String, Value> = json.get("function").and_then(Value::as_object).unwrap_or(json);
    let name = json.get("name")?.as_str()?.to_owned();
    let arguments = match json.get("arguments").or_else(|| json.get("parameters"))? {
        Value::String(text) => text.clone(),
        value @ Value::Object(_) => value.to_string(),
        _ => return None,
    };
    Some(Leaked { name, arguments })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, calls: &[(&str, &str)], kept: &str) {
        let (found, rest) = find(text, |name| name == "vote" || name == "new_answer").unwrap();
        let found: Vec<_> =
            found.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!((found.as_slice(), rest.as_str()), (calls, kept));
    }

    #[test]
    fn calls_are_found_in_every_shape() {
        let vote = ("vote", r#"{"agent_id":"agent1"}"#);
        check(
            "Well.\n<tool_call>\n{\"name\":\"vote\",\"arguments\":{\"agent_id\":\"agent1\"}}</tool_call>",
            &[vote],
            "Well.",
        );
        check(r#"<tool_call>{"name":"vote","parameters":{"agent_id":"agent1"}}"#, &[vote], "");
        check(r#"{"name":"vote","arguments":"{\"agent_id\":\"agent1\"}"}"#, &[vote], "");
        check(
            "```json\n[{\"name\":\"vote\",\"arguments\":{\"agent_id\":\"agent1\"}}]\n```",
            &[vote],
            "",
        );
        check(
            r#"{"type":"function","function":{"name":"vote","arguments":{"agent_id":"agent1"}}}"#,
            &[vote],
            "",
        );
        check(
            r#"<tool_call>{"name":"vote","arguments":{}}</tool_call> and
               <tool_call>{"name":"dance","arguments":{}}</tool_call>"#,
            &[("vote", "{}")],
            r#"and
               <tool_call>{"name":"dance","arguments":{}}</tool_call>"#,
        );
    }

    #[test]
    fn an_answer_that_is_json_stays_an_answer() {
        for text in [
            "8 Gpc",
            r#"{"name":"Ada","arguments":{"x":1}}"#,
            r#"{"name":"vote"}"#,
            r#"{"name":"vote","arguments":3}"#,
            r#"[{"name":"vote","arguments":{}}, 3]"#,
            r#"The call {"name":"vote","arguments":{}} is what I would make."#,
            r#"<tool_call>{"name":"vote","arguments":{"#,
            "[]",
            "",
        ] {
            assert_eq!(find(text, |name| name == "vote"), None, "{text}");
        }
    }
}
