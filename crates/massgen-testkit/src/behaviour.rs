//! Ready-made models and faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{Reply, Request};

/// What a server does with a request. Called on the server's own thread.
pub type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// Turns a closure into a script.
pub fn script(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Script {
    Arc::new(script)
}

/// Plays a reasonable agent of a team: a new answer while it sees none, then a
/// vote for `agent1`, a plain text when asked to present, `submit` when asked
/// to review. It remembers nothing but how many answers it has given, so that
/// no two are the same.
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
    script(move |request| {
        let mut reply = Reply::stream().tokens(n);
        reply.pieces.extend(inner(request).pieces);
        reply
    })
}

/// Answers anew every time it can.
pub fn always_answers() -> Script {
    let given = AtomicUsize::new(0);
    script(move |request| {
        let n = given.fetch_add(1, Ordering::Relaxed);
        let text = format!("answer number {n}, unlike any before: {}", n * 7919);
        match request.tool("new_answer") {
            Some(schema) => call("new_answer", &arguments(schema, "agent1", &text), n),
            None => plain(&text),
        }
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

/// Accepts the request and never says a word, not even a status.
pub fn stall() -> Script {
    script(|_| Reply::stream().stall())
}

/// Begins to speak and goes silent.
pub fn stall_midway() -> Script {
    script(|_| Reply::stream().text("I was about to ").stall())
}

/// Begins to speak and drops the connection.
pub fn dropped() -> Script {
    script(|_| Reply::stream().text("I was about to ").drop_connection())
}

/// Sends frames that are not JSON.
pub fn garbage() -> Script {
    script(|_| Reply::stream().raw("data: {\"choices\": [{\"delta\" oops\n\n").done())
}

/// Refuses every request with this status.
pub fn fails(status: u16) -> Script {
    script(move |_| Reply::error(status, "refused", "refused by the script"))
}

/// Refuses every request for now.
pub fn rate_limited(retry_after_seconds: u64) -> Script {
    script(move |_| {
        Reply::error(429, "rate_limit_exceeded", "slow down")
            .header("retry-after", &retry_after_seconds.to_string())
    })
}

/// Calls a tool and is cut off in the middle of its arguments.
pub fn cut_arguments() -> Script {
    script(|_| {
        Reply::stream()
            .tool_call_in(0, "call_cut", "new_answer", &["{\"content\": \"The ans"])
            .finish("length")
            .done()
    })
}

/// Does one thing for the first `n` requests, another after them.
pub fn first(n: usize, faulty: Script, then: Script) -> Script {
    script(move |request| if request.n < n { faulty(request) } else { then(request) })
}

/// Waits before each reply.
pub fn delayed(pause: Duration, then: Script) -> Script {
    script(move |request| {
        let reply = then(request);
        let pieces = reply.pieces.clone();
        let mut delayed = Reply { pieces: Vec::new(), ..reply }.delay(pause);
        delayed.pieces.extend(pieces);
        delayed
    })
}

/// Returns what `consensus` does on one request.
pub fn team_move(request: &Request, answer: impl FnOnce() -> String) -> Reply {
    if let Some(schema) = request.tool("submit") {
        return call("submit", &arguments(schema, "agent1", "it holds"), request.n);
    }
    let answer_schema = request.tool("new_answer");
    let vote_schema = request.tool("vote");
    let asked_to_present = request.last_user_has("<present>");
    if asked_to_present || (answer_schema.is_none() && vote_schema.is_none()) {
        return plain("The final answer, presented by the loopback model.");
    }
    let may_vote = request.earlier_calls("new_answer") > 0 || request.shows_answers();
    match (vote_schema, answer_schema) {
        (Some(schema), Some(_)) if may_vote => {
            call("vote", &arguments(schema, "agent1", "it is right"), request.n)
        }
        (Some(schema), None) => {
            call("vote", &arguments(schema, "agent1", "it is right"), request.n)
        }
        (_, Some(schema)) => call("new_answer", &arguments(schema, "agent1", &answer()), request.n),
        (None, None) => plain(&answer()),
    }
}

fn plain(text: &str) -> Reply {
    Reply::stream().text(text).finish("stop").usage(100, 10).done()
}

fn call(name: &str, arguments: &Value, n: usize) -> Reply {
    Reply::stream()
        .tool_call(0, &format!("call_{n}"), name, arguments)
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
            None if property["type"] == "string" => json!(text),
            None => continue,
        };
        filled.insert(name.clone(), value);
    }
    Value::Object(filled)
}
