//! Figures of the release build against a loopback server without delay.
//!
//! `cargo xtask bench` prints them; `--write` also keeps them in
//! `docs/benchmarks.md`. Nothing here can fail a build: a figure is for reading.

mod measure;
mod snapshots;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::repo::{root, say, write_doc};
use measure::{Bench, Run, median};

/// One line of the table.
struct Figure {
    what: &'static str,
    target: &'static str,
    /// The Python MassGen 0.1.97 on the same kind of machine, where it was measured.
    python: &'static str,
    here: String,
}

pub fn run(arguments: &[String]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "snapshots") {
        return only_snapshots(arguments.iter().any(|argument| argument == "--write"));
    }
    let measured =
        figures().and_then(|figures| Ok((figures, prompt_cache()?, snapshots::section(&root()?)?)));
    match measured {
        Ok((figures, prompt_cache, snapshots)) => {
            let table = format!("{}\n{prompt_cache}\n{snapshots}", table(&figures));
            say(&table);
            if arguments.iter().any(|argument| argument == "--write") {
                return write(&table);
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            say(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures the copies of workspaces alone: the rest takes a release build of everything.
fn only_snapshots(may_write: bool) -> ExitCode {
    let done = root().and_then(|root| {
        let section = snapshots::section(&root)?;
        say(&section);
        if !may_write {
            return Ok(());
        }
        let page = fs::read_to_string(root.join("docs/benchmarks.md"))
            .map_err(|error| format!("cannot read docs/benchmarks.md: {error}"))?;
        write_doc("benchmarks.md", &snapshots::replaced(&page, &section))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn figures() -> Result<Vec<Figure>, String> {
    let root = root()?;
    build(&root)?;
    let bench = Bench::new(&root)?;
    let mut figures = Vec::new();

    let runs: Vec<Run> = (0..20).map(|_| bench.team(3, &[])).collect::<Result<_, _>>()?;
    figures.push(Figure {
        what: "start of the process to its first request (median of 20)",
        target: "≤ 30 ms",
        python: "7.8 s",
        here: format!("{:.1} ms", median(runs.iter().map(|run| run.first_request_ms))),
    });
    figures.push(Figure {
        what: "3 agents, whole consensus, process start to exit (median of 20)",
        target: "≤ 50 ms",
        python: "11.1 s",
        here: format!(
            "{:.1} ms wall, {:.0} ms CPU, {:.0} MB, {} calls",
            median(runs.iter().map(|run| run.wall_ms)),
            median(runs.iter().map(|run| run.cpu_ms)),
            median(runs.iter().map(|run| run.peak_mb)),
            runs[0].requests
        ),
    });
    let fifty: Vec<Run> = (0..3).map(|_| bench.team(50, &[])).collect::<Result<_, _>>()?;
    figures.push(Figure {
        what: "50 agents, whole consensus",
        target: "≤ 60 MB resident",
        python: "25.9 s, 457 MB",
        here: wide(&fifty),
    });
    figures.push(Figure {
        what: "1,000 agents in one process, whole consensus",
        target: "reaches consensus",
        python: "not measured",
        here: wide(&[bench.team(1_000, &[])?]),
    });
    figures.push(Figure {
        what: "run folder after a 100,000-token answer",
        target: "≤ 1 MB",
        python: "34.6 MB",
        here: format!("{:.2} MB", bench.log_of_long_answer()? as f64 / 1e6),
    });
    for (what, target, python, example, arguments) in [
        (
            "one-token events: engine, log and view, fed by the scripted model, one core",
            "≥ 300,000/s",
            "1,270/s with everything",
            "token_speed",
            &["scripted"][..],
        ),
        (
            "one-token events: provider stream, engine, log and view, one core",
            "see the next line",
            "1,270/s",
            "token_speed",
            &["http"][..],
        ),
    ] {
        let here = bench.example("massgen", example, arguments)?;
        figures.push(Figure { what, target, python, here });
    }
    let here = bench.example("massgen-models", "decode_speed", &[])?;
    figures.push(Figure {
        what: "one-token events: decoding a provider stream alone",
        target: "at most 20 % below rig alone, each",
        python: "",
        here: here.replace('\n', "<br>"),
    });
    Ok(figures)
}

/// Returns the section on what providers' prompt caches serve, as its test measures it.
fn prompt_cache() -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["test", "-q", "-p", "massgen", "--test", "it", "prefix_cache", "--"])
        .arg("--nocapture")
        .current_dir(root()?)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<String> = said
        .lines()
        .filter_map(|line| line.split_once("prefix cache: "))
        .map(|(_, row)| format!("| {row} |\n"))
        .collect();
    if !output.status.success() || rows.is_empty() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the test of the prompt cache failed: {said}{errors}"));
    }
    Ok(format!(
        "## Prompt cache\n\n\
         Three agents of one model with a question of 60 kB: two drafts each, killed in the \
         second round and resumed, votes, presentation, against a server that computes prefix \
         hits as the provider documents (Anthropic: up to breakpoints, within 20 blocks, 1,024 \
         tokens at least; the others: common prefix in steps of 128 tokens; a token is four \
         bytes). Counted are the requests after each agent's first answer. *Rewritten* is the \
         same run with the newest answers in the system prompt instead of at the end \
         (`crates/massgen/tests/it/prefix_cache.rs`).\n\n\
         | backend | requests | input tokens a request | from cache | rewritten |\n\
         |---|---|---|---|---|\n{}",
        rows.concat()
    ))
}

fn wide(runs: &[Run]) -> String {
    format!(
        "{:.2} s wall, {:.2} s CPU, {:.0} MB, {} calls",
        median(runs.iter().map(|run| run.wall_ms)) / 1e3,
        median(runs.iter().map(|run| run.cpu_ms)) / 1e3,
        median(runs.iter().map(|run| run.peak_mb)),
        runs[0].requests
    )
}

fn build(root: &Path) -> Result<(), String> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "-p", "massgen", "-p", "massgen-testkit", "--bins"])
        .current_dir(root)
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the release build failed".to_owned()) }
}

fn table(figures: &[Figure]) -> String {
    let mut table = String::from("| what | target | Python 0.1.97 | here |\n|---|---|---|---|\n");
    for Figure { what, target, python, here } in figures {
        let _ = writeln!(table, "| {what} | {target} | {python} | {here} |");
    }
    table
}

fn write(table: &str) -> ExitCode {
    let text = format!(
        "# Benchmarks\n\n\
         Printed by `cargo xtask bench --write`: the release build against \
         `massgen-testserver`, a loopback server without delay, both on the same machine \
         ({}). Wall time is from the start of the process to its end; memory is the peak of \
         resident memory. One core means that everything, the server too, is bound to one. \
         The Python figures were taken with the same protocol on the same kind of \
         machine.\n\n{table}",
        machine()
    );
    match write_doc("benchmarks.md", &text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{model}, {cores} cores")
}
