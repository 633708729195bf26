//! Tool arguments as models write them → an object, or an honest failure.
//!
//! What can be mended without guessing is mended; what cannot stays
//! [`Arguments::Malformed`] with the text as written, never `{}`.

use massgen_protocol::Arguments;
use serde_json::{Map, Value};

use super::loose;

/// Places tried for the start of arguments that were sent twice.
const RESTARTS_MAX: usize = 64;

/// Arguments, and whether the text broke off in the middle.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) arguments: Arguments,
    pub(crate) is_cut: bool,
}

/// Reads the accumulated text of one call's arguments.
pub(crate) fn read(raw: &str) -> Read {
    let text = unfenced(raw.trim());
    if text.is_empty() {
        // A tool without arguments: nothing was written, so nothing is lost.
        return whole(Map::new());
    }
    let error = match object(text) {
        Ok(object) => return whole(object),
        Err(error) => error,
    };
    if let Some(object) = mend(text) {
        return whole(object);
    }
    let is_cut = error.is_eof();
    let error = if is_cut { "the arguments break off".to_owned() } else { error.to_string() };
    Read { arguments: Arguments::Malformed { raw: raw.to_owned(), error }, is_cut }
}

/// Returns whether this text is a whole object already.
pub(crate) fn is_whole(raw: &str) -> bool {
    object(raw.trim()).is_ok()
}

fn whole(value: Map<String, Value>) -> Read {
    Read { arguments: Arguments::Object { value }, is_cut: false }
}

fn object(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(text)
}

fn mend(text: &str) -> Option<Map<String, Value>> {
    // An object inside a string, as it was escaped once too often.
    if text.starts_with('"')
        && let Ok(inner) = serde_json::from_str::<String>(text)
    {
        return object(inner.trim()).ok();
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    if let Some(Ok(first)) = values.next() {
        let rest = text[values.byte_offset()..].trim();
        // A stray quote, fence or bracket behind a whole object.
        if rest.chars().all(|c| matches!(c, '"' | '\'' | '`' | '}' | ']')) {
            return Some(first);
        }
        return match object(rest) {
            Ok(second) if second == first || first.is_empty() => Some(second),
            Ok(_) | Err(_) => None,
        };
    }
    // A first piece, and then the whole text from its start.
    let restarts = text.match_indices('{').map(|(at, _)| at).filter(|&at| at > 0);
    for at in restarts.take(RESTARTS_MAX) {
        if text[at..].starts_with(&text[..at])
            && let Ok(object) = object(&text[at..])
        {
            return Some(object);
        }
    }
    // Line breaks and tabs written as they are inside strings, and then all the rest.
    let escaped = with_control_characters_escaped(text);
    escaped.and_then(|text| object(&text).ok()).or_else(|| loose::object(text))
}

/// Returns the text with control characters inside strings escaped, if there are any.
fn with_control_characters_escaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut in_string, mut escaped, mut changed) = (false, false, false);
    for c in text.chars() {
        if in_string && c.is_control() {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
            changed = true;
            escaped = false;
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(c);
    }
    changed.then_some(out)
}

/// Returns the text inside a Markdown fence, or the text itself.
pub(crate) fn unfenced(text: &str) -> &str {
    let Some(inner) = text.strip_prefix("```").and_then(|text| text.strip_suffix("```")) else {
        return text;
    };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn mended(raw: &str, expected: &Value) {
        let Arguments::Object { value } = read(raw).arguments else {
            panic!("not read: {raw}");
        };
        assert_eq!(&Value::Object(value), expected, "{raw}");
    }

    #[track_caller]
    fn broken(raw: &str, is_cut: bool) {
        let read = read(raw);
        assert_eq!(read.is_cut, is_cut, "{raw}");
        let Arguments::Malformed { raw: kept, error } = read.arguments else {
            panic!("taken for an object: {raw}");
        };
        assert_eq!(kept, raw);
        assert!(!error.is_empty());
    }

    #[test]
    fn what_can_be_mended_is() {
        mended(r#"{"a": 1}"#, &json!({"a": 1}));
        mended("", &json!({}));
        mended("  \n", &json!({}));
        mended(r#"{"a": 1}""#, &json!({"a": 1}));
        mended(r#"{"a": 1}}"#, &json!({"a": 1}));
        mended("```json\n{\"a\": 1}\n```", &json!({"a": 1}));
        mended(r#"{"a": 1}{"a": 1}"#, &json!({"a": 1}));
        mended(r#"{}{"a": 1}"#, &json!({"a": 1}));
        mended(r#"{"a": {"a": {"b": 2}}"#, &json!({"a": {"b": 2}}));
        mended(r#"{"agent_id": {"agent_id": "agent1"}"#, &json!({"agent_id": "agent1"}));
        mended(r#""{\"a\": 1}""#, &json!({"a": 1}));
        mended(
            "{\"a\": \"two\nlines\\n\tand \\\"tabs\\\"\"}",
            &json!({"a": "two\nlines\n\tand \"tabs\""}),
        );
        mended("{'agent_id': 'agent1', sure: True,}", &json!({"agent_id": "agent1", "sure": true}));
        mended(r#"{"a": "\(x\)"}"#, &json!({"a": "\\(x\\)"}));
    }

    #[test]
    fn what_cannot_is_never_an_empty_object() {
        broken(r#"{"a": "The dist"#, true);
        broken(r#"{"a": 1"#, true);
        broken("{", true);
        broken(r#"{"a": agent1}"#, false);
        broken(r#"{"a": 1}{"a": 2}"#, false);
        broken("[1, 2]", false);
        broken("null", false);
        broken("I vote for agent1", false);
        broken(r#""{\"a\": ""#, false);
    }

    #[test]
    fn many_braces_are_no_trap() {
        broken(&"{".repeat(100_000), false);
        broken(&"{\"a\":".repeat(100_000), false);
    }
}
