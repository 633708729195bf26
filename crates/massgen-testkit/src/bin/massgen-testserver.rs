//! The loopback server as a program, for scripts and benchmarks.
//!
//! Prints one JSON line when it listens, `{"port": …, "base_url": "…"}`, and
//! serves until its stdin is closed. Then it prints its counters.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use massgen_testkit::{Script, Server, behaviour};
use serde_json::json;

const USAGE: &str = "usage: massgen-testserver [--port N] [--behaviour NAME] [--tokens N] \
                     [--delay-ms N] [--status N] [--first N] [--keep]
behaviours: consensus talkative tokens stall stall-midway dropped garbage fail rate-limited \
                     only-talks always-answers cut-arguments
--tokens N    one-token chunks of `talkative` and `tokens` (1000)
--delay-ms N  pause before each reply
--status N    status of `fail` (500)
--first N     the behaviour for the first N requests, then `consensus`
--keep        serve for ever instead of until stdin is closed";

struct Options {
    port: u16,
    behaviour: String,
    tokens: usize,
    delay: Duration,
    status: u16,
    first: Option<usize>,
    keep: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => return complain(&format!("{problem}\n{USAGE}")),
    };
    let Some(script) = script(&options) else {
        return complain(&format!("unknown behaviour: {}\n{USAGE}", options.behaviour));
    };
    let started = (Instant::now(), SystemTime::now());
    let server = match Server::start_on(options.port, script) {
        Ok(server) => server,
        Err(error) => return complain(&format!("cannot listen on port {}: {error}", options.port)),
    };
    say(&json!({"port": server.address().port(), "base_url": server.base_url()}));
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
    }));
    ExitCode::SUCCESS
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
        "fail" => behaviour::fails(options.status),
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
    Some(if options.delay.is_zero() { chosen } else { behaviour::delayed(options.delay, chosen) })
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        port: 0,
        behaviour: "consensus".to_owned(),
        tokens: 1_000,
        delay: Duration::ZERO,
        status: 500,
        first: None,
        keep: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        if flag == "--keep" {
            options.keep = true;
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
            "--status" => options.status = small()?,
            "--first" => options.first = Some(number()?),
            _ => return Err(format!("unknown flag: {flag}")),
        }
    }
    Ok(options)
}

fn say(line: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    // Nobody reads on: then nobody is told.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn complain(problem: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{problem}");
    ExitCode::from(2)
}
