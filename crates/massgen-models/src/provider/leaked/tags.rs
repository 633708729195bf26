//! Calls written with tags of their own, as models do whose server was not told to read
//! them: `<function=vote><parameter=agent_id>agent1</parameter></function>` and
//! `<tool_call>vote<arg_key>agent_id</arg_key><arg_value>agent1</arg_value></tool_call>`.

use massgen_protocol::ToolSpec;
use serde_json::{Map, Value};

use super::Leaked;

pub(super) const FUNCTION: &str = "<function=";
const FUNCTION_CLOSE: &str = "</function>";
const PARAMETER: &str = "<parameter=";
const PARAMETER_CLOSE: &str = "</parameter>";
const KEY: &str = "<arg_key>";
const KEY_CLOSE: &str = "</arg_key>";
const ARGUMENT: &str = "<arg_value>";
const ARGUMENT_CLOSE: &str = "</arg_value>";

/// A call, and the bytes it takes from the start of the text.
pub(super) struct Written {
    pub(super) call: Leaked,
    pub(super) len: usize,
}

/// Reads a call that begins with [`FUNCTION`].
pub(super) fn function(text: &str, tools: &[ToolSpec]) -> Option<Written> {
    let head = text.strip_prefix(FUNCTION)?;
    let (name, rest) = head.split_once('>')?;
    let tool = offered(name, tools)?;
    let mut arguments = Arguments::new(tool);
    let mut at = text.len() - rest.len();
    loop {
        let rest = &text[at..];
        let begun = rest.trim_start();
        at += rest.len() - begun.len();
        if begun.starts_with(FUNCTION_CLOSE) {
            return Some(Written { call: arguments.whole(), len: at + FUNCTION_CLOSE.len() });
        }
        let Some(parameter) = begun.strip_prefix(PARAMETER) else {
            // Closing tags are the first thing to be lost; what follows is no argument.
            let is_cut = text.len() == at && arguments.fields.is_empty();
            let call = if is_cut { arguments.cut("", "") } else { arguments.whole() };
            return Some(Written { call, len: at });
        };
        let Some((key, value)) = parameter.split_once('>') else {
            return Some(Written { call: arguments.cut(parameter, ""), len: text.len() });
        };
        let ends = [PARAMETER_CLOSE, PARAMETER, FUNCTION_CLOSE];
        let end = ends.iter().filter_map(|tag| Some((value.find(tag)?, *tag))).min();
        let Some((end, tag)) = end else {
            return Some(Written { call: arguments.cut(key, value), len: text.len() });
        };
        arguments.set(key, &value[..end]);
        at = text.len() - value.len() + end;
        if tag == PARAMETER_CLOSE {
            at += PARAMETER_CLOSE.len();
        }
    }
}

/// Reads what stands between `<tool_call>` tags: a name, then keys and values in turns.
pub(super) fn keys_and_values(body: &str, tools: &[ToolSpec]) -> Option<Leaked> {
    let name = body.split(KEY).next()?.trim();
    let tool = offered(name, tools)?;
    let mut arguments = Arguments::new(tool);
    let mut rest = body;
    while let Some((_, after)) = rest.split_once(KEY) {
        let Some((key, after)) = after.split_once(KEY_CLOSE) else {
            return Some(arguments.cut(after, ""));
        };
        let Some((_, value)) = after.split_once(ARGUMENT) else {
            return Some(arguments.cut(key, ""));
        };
        let Some((value, after)) = value.split_once(ARGUMENT_CLOSE) else {
            return Some(arguments.cut(key, value));
        };
        arguments.set(key, value);
        rest = after;
    }
    Some(arguments.whole())
}

fn offered<'t>(name: &str, tools: &'t [ToolSpec]) -> Option<&'t ToolSpec> {
    let name = name.trim().trim_matches('"');
    tools.iter().find(|tool| tool.name == name)
}

struct Arguments<'t> {
    tool: &'t ToolSpec,
    fields: Map<String, Value>,
}

impl<'t> Arguments<'t> {
    fn new(tool: &'t ToolSpec) -> Arguments<'t> {
        Arguments { tool, fields: Map::new() }
    }

    /// Takes one in, as its schema has it: the tags say nothing of types, and an answer
    /// of `8` is a text.
    fn set(&mut self, key: &str, text: &str) {
        let key = key.trim().trim_matches('"');
        let kind = self.tool.parameters.pointer(&format!("/properties/{key}/type"));
        let is_text = kind.is_none_or(|kind| kind == "string");
        let text = text.strip_prefix('\n').unwrap_or(text);
        let text = text.strip_suffix('\n').unwrap_or(text);
        let read = (!is_text).then(|| serde_json::from_str(text.trim()).ok()).flatten();
        self.fields.insert(key.to_owned(), read.unwrap_or_else(|| text.into()));
    }

    fn whole(self) -> Leaked {
        let arguments = Value::Object(self.fields).to_string();
        Leaked { name: self.tool.name.clone(), arguments }
    }

    /// Returns the call with arguments that break off where its text did.
    fn cut(mut self, key: &str, text: &str) -> Leaked {
        self.set(key, text);
        let mut call = self.whole();
        // Without its last quote and bracket it reads as what it is.
        let kept = call.arguments.trim_end_matches(['"', '}', ']']).len();
        call.arguments.truncate(kept);
        call
    }
}
