//! Tool calls for those who cannot be offered tools: remote agents, models without tool
//! support. The tools are described in the text, and the calls are read out of the reply.
//!
//! What is asked for is one JSON object `{"tool": …, "arguments": {…}}` in a fenced block at the
//! end. What comes is read as tolerantly as it can be told from an answer: a call names an offered
//! tool, and stands in a fence or on lines of its own. Everything else stays text.

use massgen_protocol::{Arguments, ToolCall, ToolSpec};
use serde_json::{Map, Value, json};

use crate::provider::arguments;
use crate::provider::decode::{ARGUMENT_BYTES_MAX, CALLS_MAX};
use crate::provider::loose;

/// Places of one reply that are tried: each may cost a look at all that follows.
const TRIES_MAX: usize = 256;
const TAG_OPEN: &str = "<tool_call>";
const TAG_CLOSE: &str = "</tool_call>";
/// Keys under which models write the tool's name, ours first.
const NAME_KEYS: [&str; 3] = ["tool", "tool_name", "name"];
const ARGUMENT_KEYS: [&str; 4] = ["arguments", "parameters", "args", "input"];

/// A call found in a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TextCall {
    pub(crate) name: String,
    pub(crate) arguments: Arguments,
}

/// What a reply comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// In the order they were written.
    pub(crate) calls: Vec<TextCall>,
    /// The reply without them.
    pub(crate) text: String,
}

/// Returns what an agent has to be told to call these tools; empty without tools.
pub(crate) fn describe(tools: &[ToolSpec]) -> String {
    if tools.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "# How to use your tools\n\n{HOW}\n\nYour tools, each with the JSON Schema of its \
         arguments:\n"
    );
    for tool in tools {
        text += &format!(
            "\n## `{}`\n{}\nArguments: {}\n",
            tool.name,
            tool.description.trim(),
            tool.parameters
        );
    }
    text
}

/// Returns the short form of [`describe`], for one who has read the long one.
pub(crate) fn remind(tools: &[ToolSpec]) -> String {
    if tools.is_empty() {
        return String::new();
    }
    let names: Vec<String> = tools.iter().map(|tool| format!("`{}`", tool.name)).collect();
    format!("# How to use your tools\n\n{HOW}\n\nYour tools are still {}.\n", names.join(", "))
}

const HOW: &str = "You have tools, and in this conversation you call one by writing: end your \
reply with a fenced block that holds exactly one JSON object with the tool's name and its \
arguments, like this:\n\n```json\n{\"tool\": \"NAME\", \"arguments\": {\"key\": \"value\"}}\n```\n\n\
Write it as strict JSON, with nothing after the block. What a tool returns is told to you in the \
next message. A reply without such a block calls nothing.";

/// Returns a call as its writer wrote it, for a conversation that is told again.
pub(crate) fn render(call: &ToolCall) -> String {
    match &call.arguments {
        Arguments::Object { value } => {
            format!("```json\n{}\n```", json!({"tool": call.name, "arguments": value}))
        }
        Arguments::Malformed { raw, error: _ } => format!("```json\n{raw}\n```"),
    }
}

/// Takes the calls of offered tools out of a text.
pub(crate) fn find(text: &str, is_offered: &dyn Fn(&str) -> bool) -> Found {
    let mut finder = Finder { text, is_offered, calls: Vec::new(), kept: String::new(), tries: 0 };
    finder.read();
    Found { calls: finder.calls, text: finder.kept.trim().to_owned() }
}

struct Finder<'t> {
    text: &'t str,
    is_offered: &'t dyn Fn(&str) -> bool,
    calls: Vec<TextCall>,
    kept: String,
    tries: usize,
}

/// A line of backticks or tildes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fence {
    mark: char,
    len: usize,
    has_info: bool,
}

impl Fence {
    fn of(line: &str) -> Option<Fence> {
        let line = line.trim();
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let len = line.len() - info.len();
        let is_fence = len >= 3 && !info.contains(mark);
        is_fence.then_some(Fence { mark, len, has_info: !info.trim().is_empty() })
    }

    fn closes(self, open: Fence) -> bool {
        self.mark == open.mark && self.len >= open.len && !self.has_info
    }

    /// Whether a fence inside `open` begins a block of its own. By the book it cannot, but models
    /// write blocks in blocks with fences of one length; one that is longer, or of the other mark,
    /// was made so on purpose.
    fn may_begin_within(self, open: Fence) -> bool {
        self.mark == open.mark && self.len >= open.len && self.has_info
    }
}

impl Finder<'_> {
    fn read(&mut self) {
        let mut open: Option<Fence> = None;
        let mut at = 0;
        while at < self.text.len() {
            let end = self.line_end(at);
            let line = &self.text[at..end];
            let fence = Fence::of(line);
            let taken = match (fence, open) {
                (Some(fence), Some(outer)) if fence.closes(outer) => {
                    open = None;
                    None
                }
                (Some(fence), outer) if outer.is_none_or(|outer| fence.may_begin_within(outer)) => {
                    let block = self.block(end, fence);
                    if block.is_none() {
                        open = Some(fence);
                    }
                    block
                }
                (Some(_), _) => None,
                (None, None) => self.bare(at),
                (None, Some(_)) => None,
            };
            at = match taken {
                Some(end) => {
                    let kept = self.kept.trim_end().len();
                    self.kept.truncate(kept);
                    self.kept.push_str("\n\n");
                    end
                }
                None => {
                    self.kept.push_str(line);
                    end
                }
            };
        }
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |found| at + found + 1)
    }

    fn may_try(&mut self) -> bool {
        self.tries += 1;
        self.tries <= TRIES_MAX && self.calls.len() < CALLS_MAX
    }

    /// Takes the calls of a block whose first line begins at `at`; returns where it ends.
    fn block(&mut self, at: usize, fence: Fence) -> Option<usize> {
        let inside = &self.text[at..];
        if !inside.trim_start().starts_with(['{', '[']) || !self.may_try() {
            return None;
        }
        let mut calls = Vec::new();
        let mut end = at;
        while let Some((value, after)) = value_at(self.text, end) {
            calls.extend(self.calls_of(&value)?);
            end = after;
            let rest = &self.text[end..];
            // Some write a list of calls without its brackets.
            end += rest.len() - rest.trim_start_matches([',', ' ', '\n', '\r', '\t']).len();
        }
        if calls.is_empty() {
            return self.cut(at, fence);
        }
        self.calls.extend(calls);
        Some(self.after_block(end, fence))
    }

    /// Returns where a block ends whose calls end at `at`: behind its closing fence, if only
    /// stray signs stand between the two.
    fn after_block(&self, at: usize, fence: Fence) -> usize {
        let mut line = at;
        while line < self.text.len() {
            let end = self.line_end(line);
            let text = self.text[line..end].trim();
            // A fence right behind the object is on the object's own line.
            let text = text.trim_start_matches(['}', ']', ')', '"', '\'', ';']);
            if Fence::of(text).is_some_and(|found| found.closes(fence)) {
                return end;
            }
            if !text.is_empty() {
                return at;
            }
            line = end;
        }
        self.text.len()
    }

    /// Takes a block that names an offered tool and is no JSON, most often as it was cut off.
    fn cut(&mut self, at: usize, fence: Fence) -> Option<usize> {
        let name = named(&self.text[at..])?;
        if !(self.is_offered)(name) {
            return None;
        }
        let name = name.to_owned();
        let (mut line, mut stop, mut after) = (at, self.text.len(), self.text.len());
        while line < self.text.len() {
            let end = self.line_end(line);
            if Fence::of(&self.text[line..end]).is_some_and(|found| found.closes(fence)) {
                (stop, after) = (line, end);
                break;
            }
            line = end;
        }
        let raw = self.text[at..stop].trim();
        let error = match stop == after {
            true => "the call breaks off",
            false => "the call is no JSON",
        };
        self.calls.push(TextCall { name, arguments: malformed(raw, error) });
        Some(after)
    }

    /// Takes a call that stands on lines of its own, without a fence; returns where it ends.
    fn bare(&mut self, at: usize) -> Option<usize> {
        let line = self.text[at..].trim_start_matches([' ', '\t']);
        let (inside, is_tagged) = match line.strip_prefix(TAG_OPEN) {
            Some(inside) => (inside, true),
            None => (line, false),
        };
        if !inside.trim_start().starts_with('{') || !self.may_try() {
            return None;
        }
        let (value, mut end) = value_at(self.text, self.text.len() - inside.len())?;
        let calls = self.calls_of(&value)?;
        if is_tagged {
            let rest = self.text[end..].trim_start();
            // The closing tag is the first thing to be lost.
            let rest = rest.strip_prefix(TAG_CLOSE).unwrap_or(rest);
            end = self.text.len() - rest.len();
        }
        let rest_of_line = self.line_end(end);
        if !is_tagged && !self.text[end..rest_of_line].trim().is_empty() {
            return None;
        }
        self.calls.extend(calls);
        Some(if is_tagged { end } else { rest_of_line })
    }

    /// Returns the calls a value stands for; `None` if it stands for something else.
    fn calls_of(&self, value: &Value) -> Option<Vec<TextCall>> {
        match value {
            Value::Object(object) => match object.get("tool_calls").or_else(|| object.get("calls"))
            {
                Some(calls @ Value::Array(_)) => self.calls_of(calls),
                Some(_) | None => {
                    call(object).filter(|call| (self.is_offered)(&call.name)).map(|call| vec![call])
                }
            },
            Value::Array(items) if !items.is_empty() => {
                let calls = items.iter().map(|item| self.calls_of(item));
                calls.collect::<Option<Vec<_>>>().map(|calls| calls.concat())
            }
            _ => None,
        }
    }
}

/// Returns the JSON that begins at this place, strict or loose, and where it ends.
fn value_at(text: &str, at: usize) -> Option<(Value, usize)> {
    let rest = &text[at..];
    if !rest.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Some((value, at + values.byte_offset())),
        Some(Err(_)) | None => loose::value_at(text, at),
    }
}

fn call(object: &Map<String, Value>) -> Option<TextCall> {
    // The form of Chat Completions, which many have learnt best.
    if let Some(Value::Object(inner)) = object.get("function") {
        return call(inner);
    }
    let key = NAME_KEYS.into_iter().find(|&key| object.get(key).is_some_and(Value::is_string))?;
    let name = object.get(key)?.as_str()?.to_owned();
    let written = ARGUMENT_KEYS.into_iter().find_map(|key| object.get(key));
    let arguments = match written {
        Some(Value::Object(value)) => bounded(value.clone()),
        Some(Value::String(text)) => arguments::read(text).arguments,
        Some(Value::Null) => Arguments::Object { value: Map::new() },
        Some(other) => malformed(&other.to_string(), "the arguments are no object"),
        // They were written beside the name. Under `name` this would be any object at all.
        None if key == NAME_KEYS[0] => {
            let beside = object.iter().filter(|(name, _)| *name != key && *name != "id");
            bounded(beside.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        None => return None,
    };
    Some(TextCall { name, arguments })
}

fn bounded(value: Map<String, Value>) -> Arguments {
    let strings: usize = value.values().filter_map(Value::as_str).map(str::len).sum();
    match strings > ARGUMENT_BYTES_MAX {
        true => malformed("", "the arguments are too long"),
        false => Arguments::Object { value },
    }
}

fn malformed(raw: &str, error: &str) -> Arguments {
    let raw = raw[..raw.floor_char_boundary(ARGUMENT_BYTES_MAX)].to_owned();
    Arguments::Malformed { raw, error: error.to_owned() }
}

/// Returns the tool that a broken object names first.
fn named(text: &str) -> Option<&str> {
    let rest = text.trim_start().strip_prefix('{')?.trim_start();
    let rest = rest.trim_start_matches(['"', '\'']);
    let rest = NAME_KEYS.into_iter().find_map(|key| rest.strip_prefix(key))?;
    let rest = rest.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
    let rest = rest.trim_start().strip_prefix(['"', '\''])?;
    rest.split_once(['"', '\'']).map(|(name, _)| name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
