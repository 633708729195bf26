//! What providers' prompt caches serve of a team's input: two rounds of drafts, votes, the
//! presentation, and a kill and resume in the middle, against a server that computes
//! prefix hits as each provider documents.
//!
//! `cargo xtask bench` prints the lines of this test.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use massgen_testkit::{
    Counts, Format, Gate, PrefixCache, Reply, Request, Script, Server, Setup, behaviour, script,
};
use serde_json::Value;

use crate::binary::Place;

/// What has to come from the cache, in hundredths.
const SHARE_MIN: f64 = 90.0;

/// A question with a document, as long as some files of code.
const QUESTION_BYTES: usize = 60_000;
const ANSWER_BYTES: usize = 1_200;
const AGENTS: usize = 3;

/// Type of backend and model; one of each format, and a hosted look-alike.
const BACKENDS: [(&str, &str, Format); 5] = [
    ("claude", "claude-opus-4-6", Format::Messages),
    ("gemini", "gemini-3-flash-preview", Format::Gemini),
    ("openai", "gpt-5.4", Format::Responses),
    ("chatcompletion", "m-1", Format::Chat),
    ("ollama", "qwen3", Format::Ollama),
];

/// Tokens of the requests after each agent's first round.
#[derive(Default)]
struct Share {
    requests: usize,
    input: u64,
    cached: u64,
}

impl Share {
    fn of<'a>(counted: impl Iterator<Item = (&'a Request, Counts)>) -> Share {
        let mut share = Share::default();
        for (_, counts) in counted.filter(|(request, _)| is_after_first_round(request)) {
            share.requests += 1;
            share.input += counts.input;
            share.cached += counts.cache_read;
        }
        share
    }

    fn percent(&self) -> f64 {
        self.cached as f64 * 100.0 / self.input as f64
    }
}

fn is_after_first_round(request: &Request) -> bool {
    request.earlier_calls("new_answer") > 0
}

/// Two drafts an agent; whoever has made its first is held until the gate is open.
fn held_in_second_round(gate: &Gate) -> Script {
    let (behind, inner) = (gate.clone(), behaviour::drafts(2, ANSWER_BYTES));
    script(move |request| {
        let reply = inner(request);
        let held = is_after_first_round(request);
        if held { Reply::stream().gate(&behind).then(reply) } else { reply }
    })
}

/// A text of which no two parts are the same.
fn document() -> String {
    let mut text = String::from("Which of these steps is wrong?\n");
    for n in 0.. {
        if text.len() >= QUESTION_BYTES {
            break;
        }
        text.push_str(&format!("{n}. From {} follows {}.\n", n * 7919 % 10_007, n * 104_729));
    }
    text
}

/// Runs a team, kills it in its second round, resumes it, and returns all it asked.
fn requests_of(kind: &str, model: &str, format: Format) -> (Vec<Arc<Request>>, Vec<Counts>) {
    let gate = Gate::new();
    let setup = Setup { port: 0, prefix_cache: Some(PrefixCache::default()) };
    let server = Server::start_with(setup, held_in_second_round(&gate));
    let url = server.base_url_of(format);
    let agents: String = (1..=AGENTS)
        .map(|n| {
            format!(
                "  - {{id: a{n}, backend: {{type: {kind}, model: {model}, \
                 api_key: \"${{KEY}}\", base_url: \"{url}\"}}}}\n"
            )
        })
        .collect();
    let place = Place::new().env("KEY", "k");
    place.file("team.yaml", &format!("agents:\n{agents}"));
    let question = document();

    let mut child =
        place.command(&["--config", "team.yaml", "--quiet", &question]).spawn().unwrap();
    // Each has drafted and asks again.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let waited = runtime.block_on(async {
        let held = server.until(|stats| stats.requests >= 2 * AGENTS);
        tokio::time::timeout(Duration::from_secs(60), held).await
    });
    child.kill().unwrap();
    child.wait().unwrap();
    waited.unwrap_or_else(|_| {
        panic!("{kind}: no second round in {} requests", server.stats().requests)
    });
    gate.open_for_good();
    place.run(&["resume", "latest"]).expect(0);
    let requests = server.requests();
    (requests, server.counted())
}

/// Returns the request as it would be if the newest answers stood in the system prompt:
/// the same words at another place.
fn rewritten(request: &Request) -> Request {
    let said = &request.conversation().said;
    let update = said.iter().rev().find(|said| said.text.contains("<current_answers>"));
    let Some(update) = update else { return request.clone() };
    let mut body = request.body.clone();
    let system = match request.format() {
        Format::Messages => &mut body["system"][0]["text"],
        Format::Gemini => &mut body["systemInstruction"]["parts"][0]["text"],
        Format::Responses => &mut body["input"][0]["content"][0]["text"],
        Format::Chat | Format::Ollama => &mut body["messages"][0]["content"],
    };
    let text = system.as_str().unwrap_or_else(|| panic!("{:?}: no system text", request.format()));
    *system = Value::String(format!("{text}\n{}", update.text));
    request.with_body(body)
}

#[test]
fn after_the_first_round_nine_tenths_of_the_input_come_from_the_cache() {
    let shares: Vec<_> = std::thread::scope(|scope| {
        let measured = BACKENDS.map(|(kind, model, format)| {
            (kind, scope.spawn(move || requests_of(kind, model, format)))
        });
        measured
            .into_iter()
            .map(|(kind, measured)| {
                let (requests, counted) = measured.join().unwrap();
                let ours = requests.iter().map(|request| &**request).zip(counted);
                let rewritten: Vec<Request> = requests.iter().map(|r| rewritten(r)).collect();
                let recounted = PrefixCache::default().replay(&rewritten);
                let theirs = rewritten.iter().zip(recounted);
                (kind, Share::of(ours), Share::of(theirs))
            })
            .collect()
    });
    for (kind, ours, theirs) in &shares {
        let (percent, rewritten) = (ours.percent(), theirs.percent());
        let Share { requests, input, .. } = ours;
        let line = format!(
            "prefix cache: {kind} | {requests} | {} | {percent:.1} % | {rewritten:.1} %\n",
            input / *requests as u64
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
    for (kind, ours, theirs) in shares {
        // Three held, three again after the resume, a vote each, one presentation.
        assert!(ours.requests >= 10, "{kind}: {} requests", ours.requests);
        assert!(ours.percent() >= SHARE_MIN, "{kind}: {:.1} %", ours.percent());
        // Not nothing: agents of one model share what they see, and a resume repeats it.
        let gained = ours.percent() - theirs.percent();
        assert!(gained > 20.0, "{kind}: only {gained:.1} points more than rewritten");
    }
}
