//! Runs the program and reads from outside what it took.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

/// A run that takes longer is ended: something is wrong with it.
const RUN_S_MAX: u64 = 300;

pub struct Bench {
    root: PathBuf,
    target: PathBuf,
    scratch: PathBuf,
}

/// What one run of the program took.
pub struct Run {
    pub wall_ms: f64,
    pub cpu_ms: f64,
    pub peak_mb: f64,
    /// From the start of the process to the server's first request.
    pub first_request_ms: f64,
    pub requests: u64,
}

/// The loopback server as a child; it ends when its stdin is closed.
struct TestServer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    base_url: String,
}

impl Bench {
    pub fn new(root: &Path) -> Result<Bench, String> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), PathBuf::from)
            .join("release");
        let scratch = target.join("bench");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        Ok(Bench { root: root.to_owned(), target, scratch })
    }

    /// A team of `n` against a server that behaves as told; consensus where nothing is.
    pub fn team(&self, n: usize, server: &[&str]) -> Result<Run, String> {
        let server = TestServer::start(&self.target, server)?;
        let config = self.config(n, &server.base_url)?;
        let started = (Instant::now(), SystemTime::now());
        let cpu_before = children_cpu_ms();
        let mut child = Command::new(self.target.join("massgen"))
            .arg("--config")
            .arg(&config)
            .arg("--state-dir")
            .arg(self.scratch.join("state"))
            .args(["--quiet", "What is the lightest way to cross the river?"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run massgen: {error}"))?;
        let peak_mb = watch(&mut child, started.0)?;
        let wall_ms = started.0.elapsed().as_secs_f64() * 1e3;
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("massgen failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let cpu_ms = children_cpu_ms() - cpu_before;
        let stats = server.stop()?;
        let start_unix_ms = started
            .1
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|error| error.to_string())?
            .as_secs_f64()
            * 1e3;
        Ok(Run {
            wall_ms,
            cpu_ms,
            peak_mb,
            first_request_ms: stats["first_request_unix_ms"].as_f64().unwrap_or(f64::NAN)
                - start_unix_ms,
            requests: stats["requests"].as_u64().unwrap_or(0),
        })
    }

    /// Returns the bytes of the run folder of one answer of 100,000 tokens.
    pub fn log_of_long_answer(&self) -> Result<u64, String> {
        let _ = fs::remove_dir_all(self.scratch.join("state"));
        self.team(1, &["--behaviour", "talkative", "--tokens", "100000"])?;
        folder_bytes(&self.scratch.join("state/runs"))
    }

    /// Runs an example on one core and returns what it prints.
    pub fn example(&self, package: &str, name: &str, arguments: &[&str]) -> Result<String, String> {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "-p", package, "--example", name])
            .current_dir(&self.root)
            .status()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !built.success() {
            return Err(format!("example `{name}` does not build"));
        }
        let program = self.target.join("examples").join(name);
        let output = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(arguments)
            .output()
            .map_err(|error| format!("cannot run `{name}` under taskset: {error}"))?;
        if !output.status.success() {
            return Err(format!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn config(&self, n: usize, base_url: &str) -> Result<PathBuf, String> {
        let mut yaml = String::from("agents:\n");
        for at in 1..=n {
            let _ = writeln!(
                yaml,
                "  - id: a{at}\n    backend: {{ type: chatcompletion, model: m, base_url: \"{base_url}\" }}"
            );
        }
        let path = self.scratch.join(format!("team-{n}.yaml"));
        fs::write(&path, yaml).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

impl TestServer {
    fn start(target: &Path, arguments: &[&str]) -> Result<TestServer, String> {
        let mut child = Command::new(target.join("massgen-testserver"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run massgen-testserver: {error}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("the server has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let hello = next_json(&mut lines)?;
        let base_url = hello["base_url"].as_str().ok_or("the server names no address")?.to_owned();
        Ok(TestServer { child, stdin, lines, base_url })
    }

    fn stop(mut self) -> Result<Value, String> {
        drop(self.stdin.take());
        let stats = next_json(&mut self.lines);
        self.child.wait().map_err(|error| error.to_string())?;
        stats
    }
}

fn next_json(
    lines: &mut std::io::Lines<BufReader<std::process::ChildStdout>>,
) -> Result<Value, String> {
    let line = lines.next().ok_or("the server said nothing")?.map_err(|error| error.to_string())?;
    serde_json::from_str(&line).map_err(|error| format!("the server said `{line}`: {error}"))
}

/// Waits for the process and returns the peak of its resident memory in MB.
fn watch(child: &mut Child, started: Instant) -> Result<f64, String> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kb = 0.0_f64;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        peak_kb = peak_kb.max(now.unwrap_or(0.0));
        if child.try_wait().map_err(|error| error.to_string())?.is_some() {
            return Ok(peak_kb / 1e3);
        }
        if started.elapsed() > Duration::from_secs(RUN_S_MAX) {
            let _ = child.kill();
            return Err(format!("massgen did not end within {RUN_S_MAX} s"));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Returns the CPU time of all children that have ended, user and system.
fn children_cpu_ms() -> f64 {
    /// Ticks a second in `/proc`, fixed for user space on Linux.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |at: usize| -> f64 {
        after_name.split_whitespace().nth(at).and_then(|text| text.parse().ok()).unwrap_or(0.0)
    };
    (field(13) + field(14)) / TICKS * 1e3
}

fn folder_bytes(path: &Path) -> Result<u64, String> {
    let mut total = 0;
    for entry in fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))? {
        let entry = entry.map_err(|error| error.to_string())?;
        let metadata = entry.metadata().map_err(|error| error.to_string())?;
        total += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(total)
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
