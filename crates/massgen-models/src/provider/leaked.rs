//! Tool calls that a server failed to recognise and left in the text.

mod tags;

use massgen_protocol::ToolSpec;
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
pub(crate) fn find(text: &str, tools: &[ToolSpec]) -> Option<(Vec<Leaked>, String)> {
    if text.contains(OPEN) || text.contains(tags::FUNCTION) {
        return tagged(text, tools);
    }
    if !text.contains("\"name\"") {
        return None;
    }
    let calls = match serde_json::from_str(unfenced(text.trim())).ok()? {
        Value::Array(calls) => calls.iter().map(call).collect::<Option<Vec<_>>>()?,
        value => vec![call(&value)?],
    };
    let all_offered = !calls.is_empty() && calls.iter().all(|call| is_offered(call, tools));
    all_offered.then(|| (calls, String::new()))
}

fn is_offered(call: &Leaked, tools: &[ToolSpec]) -> bool {
    tools.iter().any(|tool| tool.name == call.name)
}

fn tagged(text: &str, tools: &[ToolSpec]) -> Option<(Vec<Leaked>, String)> {
    let mut calls = Vec::new();
    let mut kept = String::new();
    let mut rest = text;
    let next = |rest: &str| rest.find(OPEN).into_iter().chain(rest.find(tags::FUNCTION)).min();
    while let Some(at) = next(rest) {
        let begun = &rest[at..];
        let (found, taken) = if let Some(inside) = begun.strip_prefix(OPEN) {
            // The closing tag is the first thing to be lost.
            let (body, after) = inside.split_once(CLOSE).unwrap_or((inside, ""));
            (in_tags(body, tools), begun.len() - after.len())
        } else {
            let written = tags::function(begun, tools);
            let taken = written.as_ref().map_or(tags::FUNCTION.len(), |written| written.len);
            (written.map(|written| vec![written.call]), taken)
        };
        match found {
            Some(found) => {
                kept.push_str(&rest[..at]);
                calls.extend(found);
            }
            None => kept.push_str(&rest[..at + taken]),
        }
        rest = &rest[at + taken..];
    }
    kept.push_str(rest);
    if calls.is_empty() {
        return None;
    }
    // A tag that closes nothing any more.
    let kept = kept.trim();
    let plain = kept.strip_suffix(CLOSE).filter(|plain| !plain.contains(OPEN)).unwrap_or(kept);
    Some((calls, plain.trim().to_owned()))
}

/// Reads what stands between the tags; `None` if it is no call of an offered tool.
fn in_tags(body: &str, tools: &[ToolSpec]) -> Option<Vec<Leaked>> {
    let mut body = body.trim();
    if !body.starts_with(tags::FUNCTION) {
        let json = serde_json::from_str(unfenced(body)).ok();
        let found = json.and_then(|json| call(&json)).filter(|call| is_offered(call, tools));
        return found.or_else(|| tags::keys_and_values(body, tools)).map(|call| vec![call]);
    }
    let mut calls = Vec::new();
    while let Some(written) = tags::function(body, tools) {
        calls.push(written.call);
        body = body[written.len..].trim_start();
    }
    (!calls.is_empty()).then_some(calls)
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
    use serde_json::json;

    use super::*;

    fn tools() -> Vec<ToolSpec> {
        let tool = |name: &str, properties: Value| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            parameters: json!({"type": "object", "properties": properties}),
        };
        vec![
            tool("new_answer", json!({"content": {"type": "string"}, "n": {"type": "integer"}})),
            tool("vote", json!({"agent_id": {"type": "string"}})),
        ]
    }

    #[track_caller]
    fn check(text: &str, calls: &[(&str, &str)], kept: &str) {
        let (found, rest) = find(text, &tools()).unwrap();
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
    fn calls_in_tags_are_read_as_their_schema_has_them() {
        let vote = ("vote", r#"{"agent_id":"agent1"}"#);
        check(
            "So.\n<tool_call>\n<function=vote>\n<parameter=agent_id>\nagent1\n</parameter>\n\
             </function>\n</tool_call>",
            &[vote],
            "So.",
        );
        check("<function=vote><parameter=agent_id>agent1</parameter></function>", &[vote], "");
        // An answer of 8 is a text, a count is none, and what is no number stays what it is.
        check(
            "<function=new_answer><parameter=content>8</parameter><parameter=n>8</parameter>\
             </function> and <function=new_answer><parameter=n>many</parameter></function>",
            &[("new_answer", r#"{"content":"8","n":8}"#), ("new_answer", r#"{"n":"many"}"#)],
            "and",
        );
        // Tags that are lost.
        check("<function=vote><parameter=agent_id>agent1</function></tool_call>", &[vote], "");
        check(
            "<tool_call><function=vote><parameter=agent_id>agent1</parameter></tool_call> Done.",
            &[vote],
            "Done.",
        );
        check("<function=vote></function>", &[("vote", "{}")], "");
        // GLM's way.
        check(
            "<tool_call>vote\n<arg_key>agent_id</arg_key>\n<arg_value>agent1</arg_value>\n\
             </tool_call>",
            &[vote],
            "",
        );
    }

    #[test]
    fn calls_in_tags_that_break_off_are_not_taken_for_whole() {
        for text in [
            "<function=new_answer><parameter=content>The dist",
            "<function=new_answer><parameter=content>",
            "<function=new_answer><parameter=cont",
            "<function=new_answer>",
            "<tool_call>new_answer<arg_key>content</arg_key><arg_value>The dist",
            "<tool_call>new_answer<arg_key>content</arg_key>",
            "<tool_call>new_answer<arg_key>cont",
        ] {
            let (calls, _) = find(text, &tools()).unwrap();
            let read = crate::provider::arguments::read(&calls[0].arguments);
            assert!(read.is_cut, "{text}: {read:?}");
        }
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
            "The tag is <function=name>, and <tool_call> is the other.",
            "<function=dance><parameter=a>1</parameter></function>",
            "<function=vote",
            "<tool_call>dance<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>",
            "[]",
            "",
        ] {
            assert_eq!(find(text, &tools()), None, "{text}");
        }
    }
}
