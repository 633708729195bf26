//! The loopback server as a program, for scripts, benchmarks and by hand.
//!
//! Prints one JSON line when it listens, `{"port": …, "base_url": "…", "base_urls": {…}}`,
//! and serves until its stdin is closed. Then it prints its counters.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use massgen_testkit::{Format, PrefixCache, Script, Server, Setup, behaviour};
use serde_json::{Map, Value, json};

const USAGE: &str = "usage: massgen-testserver [OPTIONS]

A model server on this machine that answers at once, in the format of the request:
  POST /v1/chat/completions                          OpenAI Chat Completions
  POST /v1/responses                                 OpenAI and xAI Responses
  POST /v1/messages                                  Anthropic Messages
  POST /v1beta/models/MODEL:streamGenerateContent    Gemini (also :generateContent)
  POST /api/chat                                     Ollama
as a stream or, where the request wants none, in one JSON. It also answers
/v1/messages/count_tokens, MODEL:countTokens, /v1/models, /v1beta/models, /api/tags,
/api/show and /api/version.

When it listens it prints one line of JSON with its port and the base URL for each
format; when its stdin is closed it prints its counters and ends.

  --port N          port to listen on; 0, the default, takes a free one
  --behaviour NAME  what it does, `consensus` by default
  --tokens N        one-token events of `talkative` and `tokens` (1000)
  --status N        status of `fail` (500)
  --megabytes N     size of `flood` and `endless-line` (1000)
  --delay-ms N      pause before each reply
  --slow-ms N       pause before each piece of a reply
  --first N         the behaviour for the first N requests, then `consensus`
  --thinking        think before each move; signed where the format signs thoughts
  --byte-by-byte    send every byte as a piece of its own
  --prefix-cache    count tokens and prompt-cache hits as the providers document them
  --keep            serve for ever instead of until stdin is closed
  --help            print this

behaviours of models:
  consensus       a new answer while it sees none, then a vote, then the final answer
  talkative       the same after --tokens events of text
  tokens          --tokens events of text and nothing else
  only-talks      one sentence, never a tool
  always-answers  a new answer whenever it can
behaviours that are faults:
  stall           accepts the request and never says a word
  stall-midway    begins to speak and goes silent
  dropped         begins to speak and drops the connection
  cut-off         begins to speak and ends without the end of its format
  cut-arguments   stops for length in the middle of a tool call
  fail            answers --status with the format's error body
  fail-midway     begins to speak and fails within the stream
  rate-limited    answers 429 with `retry-after: 1`
  garbage         sends frames that are not JSON
  invalid-utf8    sends text that is no UTF-8
  deep-json       nests JSON 100,000 deep where text should be
  flood           sends --megabytes of text
  endless-line    sends --megabytes without a line end
  html            answers 200 with a web page";

struct Options {
    port: u16,
    behaviour: String,
    tokens: usize,
    delay: Duration,
    slow: Duration,
    status: u16,
    megabytes: usize,
    first: Option<usize>,
    thinking: bool,
    byte_by_byte: bool,
    prefix_cache: bool,
    keep: bool,
}

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        print(USAGE);
        return ExitCode::SUCCESS;
    }
    let options = match options() {
        Ok(options) => options,
        Err(problem) => return complain(&problem),
    };
    let Some(script) = script(&options) else {
        return complain(&format!("unknown behaviour: {}", options.behaviour));
    };
    let started = (Instant::now(), SystemTime::now());
    let prefix_cache = options.prefix_cache.then(PrefixCache::default);
    let setup = Setup { port: options.port, prefix_cache };
    let server = match Server::try_start(setup, script) {
        Ok(server) => server,
        Err(error) => return complain(&format!("cannot listen on port {}: {error}", options.port)),
    };
    let base_urls: Map<String, Value> = Format::ALL
        .into_iter()
        .map(|format| (format.name().to_owned(), server.base_url_of(format).into()))
        .collect();
    say(&json!({
        "port": server.address().port(), "url": server.url(),
        "base_url": server.base_url(), "base_urls": base_urls,
    }));
    if options.keep {
        loop {
            std::thread::park();
        }
    }
    // Reading to the end is how a parent's exit is noticed; what comes is of no interest.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let stats = server.stats();
    let first_request = stats.first_request.and_then(|at| {
        let wall = started.1 + at.duration_since(started.0);
        wall.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64() * 1e3)
    });
    say(&json!({
        "requests": stats.requests,
        "answered": stats.answered,
        "connections": stats.connections,
        "disconnects": stats.disconnects,
        "first_request_unix_ms": first_request,
        "input_tokens": sum(&server, |counts| counts.input),
        "cache_read_tokens": sum(&server, |counts| counts.cache_read),
    }));
    ExitCode::SUCCESS
}

fn sum(server: &Server, of: impl Fn(&massgen_testkit::Counts) -> u64) -> u64 {
    server.counted().iter().map(of).sum()
}

fn script(options: &Options) -> Option<Script> {
    let chosen = match options.behaviour.as_str() {
        "consensus" => behaviour::consensus(&[]),
        "talkative" => behaviour::talkative(options.tokens),
        "tokens" => behaviour::tokens(options.tokens),
        "stall" => behaviour::stall(),
        "stall-midway" => behaviour::stall_midway(),
        "dropped" => behaviour::dropped(),
        "garbage" => behaviour::garbage(),
        "cut-off" => behaviour::cut_off(),
        "invalid-utf8" => behaviour::invalid_utf8(),
        "deep-json" => behaviour::deep_json(100_000),
        "flood" => behaviour::flood(options.megabytes),
        "endless-line" => behaviour::endless_line(options.megabytes),
        "html" => behaviour::html_page(),
        "fail" => behaviour::fails(options.status),
        "fail-midway" => behaviour::fails_midway(),
        "rate-limited" => behaviour::rate_limited(1),
        "only-talks" => behaviour::only_talks("I think it is 42."),
        "always-answers" => behaviour::always_answers(),
        "cut-arguments" => behaviour::cut_arguments(),
        _ => return None,
    };
    let chosen = match options.first {
        Some(n) => behaviour::first(n, chosen, behaviour::consensus(&[])),
        None => chosen,
    };
    let mut chosen = chosen;
    if options.thinking {
        chosen = behaviour::thoughtful(chosen);
    }
    if options.byte_by_byte {
        chosen = behaviour::byte_by_byte(chosen);
    }
    if !options.slow.is_zero() {
        chosen = behaviour::slow(options.slow, chosen);
    }
    if !options.delay.is_zero() {
        chosen = behaviour::delayed(options.delay, chosen);
    }
    Some(chosen)
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        port: 0,
        behaviour: "consensus".to_owned(),
        tokens: 1_000,
        delay: Duration::ZERO,
        slow: Duration::ZERO,
        status: 500,
        megabytes: 1_000,
        first: None,
        thinking: false,
        byte_by_byte: false,
        prefix_cache: false,
        keep: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let switch = match flag.as_str() {
            "--keep" => Some(&mut options.keep),
            "--thinking" => Some(&mut options.thinking),
            "--byte-by-byte" => Some(&mut options.byte_by_byte),
            "--prefix-cache" => Some(&mut options.prefix_cache),
            _ => None,
        };
        if let Some(switch) = switch {
            *switch = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || value.parse::<usize>().map_err(|error| format!("{flag}: {error}"));
        let small = || u16::try_from(number()?).map_err(|error| format!("{flag}: {error}"));
        match flag.as_str() {
            "--port" => options.port = small()?,
            "--behaviour" => options.behaviour = value,
            "--tokens" => options.tokens = number()?,
            "--delay-ms" => options.delay = Duration::from_millis(number()? as u64),
            "--slow-ms" => options.slow = Duration::from_millis(number()? as u64),
            "--megabytes" => options.megabytes = number()?,
            "--status" => options.status = small()?,
            "--first" => options.first = Some(number()?),
            _ => return Err(format!("unknown flag: {flag}")),
        }
    }
    Ok(options)
}

fn say(line: &Value) {
    print(&line.to_string());
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads on: then nobody is told.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn complain(problem: &str) -> ExitCode {
    let _ = writeln!(
        std::io::stderr(),
        "error: {problem}\nhint: `massgen-testserver --help` lists what it takes"
    );
    ExitCode::from(2)
}
