//! Ready-made models and faults. Each reads and writes any format.

mod faults;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value, json};

use crate::{Reply, Request};

pub use faults::{
    byte_by_byte, cut_arguments, cut_at_percent, cut_off, deep_json, delayed, dropped,
    endless_line, fails, fails_midway, fails_saying, first, flood, garbage, html_page,
    invalid_utf8, rate_limited, slow, stall, stall_midway, wrong_content_type,
};

/// What a server does with a request. Called on the server's own thread.
pub type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// Turns a closure into a script.
pub fn script(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Script {
    Arc::new(script)
}

/// Plays a reasonable agent of a team: a new answer while it sees none, then a vote for
/// the first that has answered, a plain text when asked to present, `submit` when asked to
/// review. It remembers nothing but how many answers it has given, so that no two are the
/// same.
pub fn consensus(answers: &[&str]) -> Script {
    let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
    let given = AtomicUsize::new(0);
    script(move |request| {
        let text = || {
            let n = given.fetch_add(1, Ordering::Relaxed);
            match answers.get(n) {
                Some(answer) => answer.clone(),
                None => format!("{} (draft {n})", answers.first().map_or("42", String::as_str)),
            }
        };
        team_move(request, text)
    })
}

/// Plays the same agent with `n` one-token chunks of text before each move.
pub fn talkative(n: usize) -> Script {
    let inner = consensus(&[]);
    let chatter = Reply::stream().tokens(n);
    script(move |request| chatter.clone().then(inner(request)))
}

/// Thinks before each of its moves. What it thinks is signed where the format does so.
pub fn thoughtful(then: Script) -> Script {
    script(move |request| {
        let thought = format!("Thinking about request {}.", request.n);
        Reply::stream().reasoning("reasoning_content", &thought).then(then(request))
    })
}

/// Plays the same agent, but answers `n` times before it votes, each time with a text of
/// about `bytes` bytes.
pub fn drafts(n: usize, bytes: usize) -> Script {
    script(move |request| {
        let earlier = request.earlier_calls("new_answer");
        let text = || {
            let mut text = format!("Draft {earlier} of request {}:", request.n);
            while text.len() < bytes {
                text.push_str(&format!(" step {} follows", text.len() * 7919 % 10_007));
            }
            text
        };
        if request.tool("new_answer").is_some()
            && earlier < n
            && !request.last_user_has("<present>")
        {
            return call(request, "new_answer", &text());
        }
        team_move(request, text)
    })
}

/// Answers anew every time it can.
pub fn always_answers() -> Script {
    let given = AtomicUsize::new(0);
    script(move |request| {
        let n = given.fetch_add(1, Ordering::Relaxed);
        let text = format!("answer number {n}, unlike any before: {}", n * 7919);
        call(request, "new_answer", &text)
    })
}

/// Never calls a tool.
pub fn only_talks(text: &str) -> Script {
    let text = text.to_owned();
    script(move |_| plain(&text))
}

/// Sends `n` tokens of text and ends.
pub fn tokens(n: usize) -> Script {
    // Encoded once; a reply then only counts a reference up.
    let reply = Reply::stream().tokens(n).finish("stop").usage(10, n as u64).done();
    script(move |_| reply.clone())
}

/// Returns what `consensus` does on one request.
pub fn team_move(request: &Request, answer: impl FnOnce() -> String) -> Reply {
    if request.tool("submit").is_some() {
        return call(request, "submit", "it holds");
    }
    let may_answer = request.tool("new_answer").is_some();
    let may_vote = request.tool("vote").is_some();
    if request.last_user_has("<present>") || !(may_answer || may_vote) {
        return plain("The final answer, presented by the loopback model.");
    }
    let has_answers = request.earlier_calls("new_answer") > 0 || request.shows_answers();
    if may_vote && (has_answers || !may_answer) {
        call(request, "vote", "it is right")
    } else {
        call(request, "new_answer", &answer())
    }
}

fn plain(text: &str) -> Reply {
    Reply::stream().text(text).finish("stop").usage(100, 10).done()
}

/// Calls an offered tool under the name it is offered by, its arguments filled.
fn call(request: &Request, tool: &str, text: &str) -> Reply {
    let Some(tool) = request.conversation().tool(tool) else { return plain(text) };
    let id = format!("call_{}", request.n);
    // Who has answered first, so that votes agree.
    let shown = request.shown_answers();
    let choice = shown.first().map_or("agent1", String::as_str);
    Reply::stream()
        .tool_call(0, &id, &tool.name, &arguments(&tool.parameters, choice, text))
        .finish("tool_calls")
        .usage(100, 20)
        .done()
}

/// Fills a tool's arguments by its schema, so that a script need not know their
/// names: a choice gets `choice` (or what there is), every other text `text`.
pub fn arguments(schema: &Value, choice: &str, text: &str) -> Value {
    let mut filled = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let value = match property["enum"].as_array() {
            Some(options) if options.iter().any(|option| option == choice) => json!(choice),
            Some(options) => options.first().cloned().unwrap_or(Value::Null),
            None if is_string(property) => json!(text),
            None => continue,
        };
        filled.insert(name.clone(), value);
    }
    Value::Object(filled)
}

/// Gemini may spell its types in capitals; agents of others make a text optional.
fn is_string(property: &Value) -> bool {
    let names =
        |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("string"));
    let either = property["type"].as_array().or_else(|| property["anyOf"].as_array());
    names(&property["type"])
        || either.is_some_and(|kinds| kinds.iter().any(|kind| names(kind) || names(&kind["type"])))
}
