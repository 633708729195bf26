//! Models and servers that do wrong, in the shape of whatever format is asked for.

use std::time::Duration;

use crate::{Cut, Reply};

use super::{Script, script};

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

/// Begins to speak and ends, by the rules of HTTP, without the end of its format.
pub fn cut_off() -> Script {
    script(|_| Reply::stream().text("I was about to "))
}

/// Sends frames that are not JSON.
pub fn garbage() -> Script {
    script(|_| Reply::stream().raw("data: {\"choices\": [{\"delta\" oops\n\n").done())
}

/// Sends text that is no UTF-8 and ends as if nothing were wrong.
pub fn invalid_utf8() -> Script {
    script(|_| Reply::stream().invalid_utf8().finish("stop").usage(10, 1).done())
}

/// Sends JSON nested so deep where text should be.
pub fn deep_json(depth: usize) -> Script {
    script(move |_| Reply::stream().deep_json(depth).finish("stop").usage(10, 1).done())
}

/// Sends text without an end: `megabytes` of them, a megabyte an event.
pub fn flood(megabytes: usize) -> Script {
    script(move |_| Reply::stream().flood(1_000_000, megabytes).finish("stop").done())
}

/// Sends one line without an end: `megabytes` of them.
pub fn endless_line(megabytes: usize) -> Script {
    let filler = bytes::Bytes::from("x".repeat(1_000_000));
    script(move |_| {
        let head = Reply::stream().raw("data: {\"choices\": \"");
        (0..megabytes).fold(head, |reply, _| reply.raw(filler.clone()))
    })
}

/// Refuses every request with this status.
pub fn fails(status: u16) -> Script {
    fails_saying(status, "refused", "refused by the script")
}

/// Refuses every request with this status, code and sentence.
pub fn fails_saying(status: u16, code: &str, message: &str) -> Script {
    let reply = Reply::error(status, code, message);
    script(move |_| reply.clone())
}

/// Begins to speak and fails within the stream, after the status said that all is well.
pub fn fails_midway() -> Script {
    script(|_| {
        Reply::stream().text("I was about to ").fails_midway(
            500,
            "server_error",
            "the model has fallen over",
        )
    })
}

/// Answers with a page for people, as proxies do, and claims success.
pub fn html_page() -> Script {
    script(|_| Reply::new(200, "text/html").raw("<!doctype html><html>Please log in.</html>"))
}

/// Sends what `then` does and calls it plain text.
pub fn wrong_content_type(then: Script) -> Script {
    script(move |request| then(request).content_type("text/plain"))
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

/// Sends only so many hundredths of each reply and drops the connection.
pub fn cut_at_percent(percent: usize, then: Script) -> Script {
    script(move |request| then(request).cut_at_percent(percent, Cut::Dropped))
}

/// Sends every byte of a reply as a piece of its own.
pub fn byte_by_byte(then: Script) -> Script {
    script(move |request| then(request).byte_by_byte())
}

/// Pauses before each piece of a reply.
pub fn slow(pause: Duration, then: Script) -> Script {
    script(move |request| then(request).slowly(pause))
}

/// Does one thing for the first `n` requests, another after them.
pub fn first(n: usize, faulty: Script, then: Script) -> Script {
    script(move |request| if request.n < n { faulty(request) } else { then(request) })
}

/// Waits before each reply.
pub fn delayed(pause: Duration, then: Script) -> Script {
    script(move |request| Reply::stream().delay(pause).then(then(request)))
}
