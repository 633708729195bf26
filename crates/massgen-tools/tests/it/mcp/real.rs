//! Servers of other makers: every tool of each is called.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use massgen_protocol::{AgentIndex, HeaderText, McpServerSpec, McpTransport, NetworkPolicy};
use massgen_tools::Reports;
use massgen_tools::mcp::{Outcome, Servers};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::bench::{Bench, behind, invocation, rooms, spec, wanted};

/// Generous: interpreters start slowly on a machine that builds.
const CONNECT_MS: u64 = 60_000;

pub fn peers() -> PathBuf {
    let root = std::env::var_os("MASSGEN_PEERS").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"))
}

pub fn not_run(missing: &Path) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let message = format!("not run: {test}: no {}; scripts/peers installs it\n", missing.display());
    // Not through the test's own output, which is shown for failures only.
    std::io::stderr().write_all(message.as_bytes()).unwrap();
}

/// Returns the program of an npm package, if it is installed.
fn script(package: &str) -> Option<String> {
    let path = peers().join("mcp/node_modules/@modelcontextprotocol").join(package);
    let script = path.join("dist/index.js");
    if script.is_file() {
        return Some(script.canonicalize().unwrap().to_str().unwrap().to_owned());
    }
    not_run(&script);
    None
}

/// Returns the program of a Python package, if it is installed.
fn program(name: &str) -> Option<String> {
    let program = peers().join("mcp-python/bin").join(name);
    if program.is_file() {
        return Some(std::path::absolute(program).unwrap().to_str().unwrap().to_owned());
    }
    not_run(&program);
    None
}

fn node(script: String, more: &[&str]) -> McpServerSpec {
    let mut args = vec![script];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    confined("node", args)
}

/// As servers are started unless the user says more.
fn confined(command: &str, args: Vec<String>) -> McpServerSpec {
    let server = spec("s", command, args);
    McpServerSpec { trusted: false, connect_ms: CONNECT_MS, call_ms: 30_000, ..server }
}

/// One call: the tool, its arguments, and words of its result; `!` before them if it fails.
type Call = (&'static str, Value, &'static str);

/// Calls every tool of a server, prints a table, and checks each result.
async fn call_all(bench: &Bench, title: &str, calls: &[Call]) {
    assert_eq!(bench.missing(), Vec::<String>::new(), "{title}");
    let started = &bench.servers.started()[0];
    let Outcome::There { tools, version } = &started.outcome else { panic!("{started:?}") };
    let mut table =
        format!("\n{title}: {tools} tools, protocol {version}, there in {:?}\n", started.took);
    let mut left: Vec<String> = bench.names();
    for (tool, arguments, expected) in calls {
        let begun = Instant::now();
        let (output, heard) = bench.call_and_hear(tool, arguments.clone()).await;
        let took = begun.elapsed();
        left.retain(|name| *name != format!("mcp__s__{tool}"));
        let (fails, words) = match expected.strip_prefix('!') {
            Some(words) => (true, words),
            None => (false, *expected),
        };
        assert_eq!(output.is_error, fails, "{title}: {tool}: {}", output.text);
        assert!(output.text.contains(words), "{title}: {tool}: {words:?} in {}", output.text);
        let line = output.text.lines().nth(1).unwrap_or_default();
        let line: String = line.chars().take(50).collect();
        let more = match (output.media.len(), heard.len()) {
            (0, 0) => String::new(),
            (media, heard) => format!(" (+ {media} images, {heard} reports)"),
        };
        let outcome = if fails { "error" } else { "ok" };
        table.push_str(&format!(
            "  {tool:32} {:>6} ms  {outcome:5} {line}{more}\n",
            took.as_millis()
        ));
    }
    bench.servers.close().await;
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    assert_eq!(left, Vec::<String>::new(), "{title}: not called");
}

#[tokio::test]
async fn every_tool_of_server_everything() {
    let Some(script) = script("server-everything") else { return };
    let bench = Bench::new(|_| vec![node(script, &[])]).await;
    call_all(&bench, "server-everything", &everything(&bench)).await;
}

fn everything(bench: &Bench) -> Vec<Call> {
    let root = bench.dir.path().canonicalize().unwrap().join("work");
    let root: &'static str = Box::leak(root.to_str().unwrap().to_owned().into_boxed_str());
    let mut calls = vec![
        ("echo", json!({ "message": "hello" }), "Echo: hello"),
        ("echo", json!({}), "!message"),
        ("get-annotated-message", json!({ "messageType": "error", "includeImage": true }), "Error"),
        ("get-env", json!({}), "PATH"),
        ("get-resource-links", json!({ "count": 2 }), "[resource "),
        (
            "get-resource-reference",
            json!({ "resourceType": "Text", "resourceId": 1 }),
            "[resource ",
        ),
        ("get-structured-content", json!({ "location": "Chicago" }), "temperature"),
        ("get-sum", json!({ "a": 2, "b": 40 }), "42"),
        ("get-tiny-image", json!({}), "[image/png, "),
        (
            "gzip-file-as-resource",
            json!({ "name": "a.gz", "data": "data:text/plain,hello", "outputType": "resourceLink" }),
            "[resource a.gz",
        ),
        ("toggle-simulated-logging", json!({}), "logging"),
        ("toggle-simulated-logging", json!({}), "logging"),
        ("toggle-subscriber-updates", json!({}), "updates"),
        ("toggle-subscriber-updates", json!({}), "updates"),
        (
            "trigger-long-running-operation",
            json!({ "duration": 0.4, "steps": 4 }),
            "Long running operation completed",
        ),
        // Works as a task only, which is not asked for.
        ("simulate-research-query", json!({ "topic": "tea" }), "!requires task"),
    ];
    // A server elsewhere is not told of our folders.
    if bench.names().contains(&"mcp__s__get-roots-list".to_owned()) {
        calls.push(("get-roots-list", json!({}), root));
    }
    calls
}

#[tokio::test]
async fn every_tool_of_server_everything_over_http() {
    let Some(script) = script("server-everything") else { return };
    // Asked for a free port, which is taken before anybody else can.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = tokio::process::Command::new("node")
        .args([&script, "streamableHttp"])
        .env("PORT", port.to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_millis(CONNECT_MS);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let url = format!("http://127.0.0.1:{port}/mcp");
    let bench = Bench::new(|_| vec![behind("s", &url, &[])]).await;
    call_all(&bench, "server-everything over HTTP", &everything(&bench)).await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn every_tool_of_server_filesystem() {
    let Some(script) = script("server-filesystem") else { return };
    let mut work = String::new();
    let bench = Bench::new(|dir| {
        work = dir.canonicalize().unwrap().join("work").to_str().unwrap().to_owned();
        vec![node(script, &[&work])]
    })
    .await;
    let at = |name: &str| format!("{work}/{name}");
    fs::write(at("pixel.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let calls = [
        ("list_allowed_directories", json!({}), "/work"),
        ("create_directory", json!({ "path": at("sub") }), "Successfully"),
        ("write_file", json!({ "path": at("sub/a.txt"), "content": "one\ntwo\n" }), "Successfully"),
        ("read_file", json!({ "path": at("sub/a.txt") }), "two"),
        ("read_text_file", json!({ "path": at("sub/a.txt"), "head": 1 }), "one"),
        ("read_multiple_files", json!({ "paths": [at("sub/a.txt"), at("none")] }), "two"),
        ("read_media_file", json!({ "path": at("pixel.png") }), "[image/png, 8 bytes"),
        (
            "edit_file",
            json!({ "path": at("sub/a.txt"), "edits": [{ "oldText": "two", "newText": "three" }] }),
            "+three",
        ),
        ("list_directory", json!({ "path": work }), "[DIR] sub"),
        ("list_directory_with_sizes", json!({ "path": at("sub") }), "a.txt"),
        ("directory_tree", json!({ "path": work }), "a.txt"),
        ("move_file", json!({ "source": at("sub/a.txt"), "destination": at("b.txt") }), "moved"),
        ("search_files", json!({ "path": work, "pattern": "**/*.txt" }), "b.txt"),
        ("get_file_info", json!({ "path": at("b.txt") }), "size"),
        ("read_text_file", json!({ "path": "/etc/passwd" }), "!Access denied"),
    ];
    call_all(&bench, "server-filesystem", &calls).await;
    assert_eq!(fs::read_to_string(at("b.txt")).unwrap(), "one\nthree\n");
}

#[tokio::test]
async fn every_tool_of_server_memory() {
    let Some(script) = script("server-memory") else { return };
    let bench = Bench::new(|dir| {
        let file = dir.canonicalize().unwrap().join("work/memory.jsonl");
        let mut server = node(script, &[]);
        let McpTransport::Stdio { env, .. } = &mut server.transport else { panic!() };
        let value = file.to_str().unwrap().to_owned();
        *env = BTreeMap::from([("MEMORY_FILE_PATH".to_owned(), HeaderText::Plain { value })]);
        vec![server]
    })
    .await;
    let of = |name: &str| json!({ "name": name, "entityType": "person", "observations": ["tall"] });
    let knows = json!([{ "from": "Ann", "to": "Ben", "relationType": "knows" }]);
    let calls = [
        ("create_entities", json!({ "entities": [of("Ann"), of("Ben")] }), "Ben"),
        ("create_relations", json!({ "relations": knows }), "knows"),
        (
            "add_observations",
            json!({ "observations": [{ "entityName": "Ann", "contents": ["likes tea"] }] }),
            "likes tea",
        ),
        ("read_graph", json!({}), "likes tea"),
        ("search_nodes", json!({ "query": "tea" }), "Ann"),
        ("open_nodes", json!({ "names": ["Ben"] }), "Ben"),
        (
            "delete_observations",
            json!({ "deletions": [{ "entityName": "Ann", "observations": ["tall"] }] }),
            "deleted successfully",
        ),
        ("delete_relations", json!({ "relations": knows }), "deleted successfully"),
        ("delete_entities", json!({ "entityNames": ["Ben"] }), "deleted successfully"),
    ];
    call_all(&bench, "server-memory", &calls).await;
    let kept = fs::read_to_string(bench.dir.path().join("work/memory.jsonl")).unwrap();
    assert!(kept.contains("likes tea") && !kept.contains("Ben"), "{kept}");
}

#[tokio::test]
async fn every_tool_of_server_sequential_thinking() {
    let Some(script) = script("server-sequential-thinking") else { return };
    let bench = Bench::new(|_| vec![node(script, &[])]).await;
    let thought = json!({ "thought": "begin", "nextThoughtNeeded": true, "thoughtNumber": 1,
        "totalThoughts": 2 });
    let calls = [("sequentialthinking", thought, "\"thoughtNumber\": 1")];
    call_all(&bench, "server-sequential-thinking", &calls).await;
}

#[tokio::test]
async fn every_tool_of_mcp_server_time() {
    let Some(program) = program("mcp-server-time") else { return };
    let bench = Bench::new(|_| vec![confined(&program, Vec::new())]).await;
    let convert = json!({ "source_timezone": "Asia/Tokyo", "time": "16:30",
        "target_timezone": "Etc/UTC" });
    let calls = [
        ("get_current_time", json!({ "timezone": "Asia/Tokyo" }), "+09:00"),
        ("convert_time", convert, "-9.0h"),
        ("get_current_time", json!({ "timezone": "Nowhere/Land" }), "!Nowhere/Land"),
    ];
    call_all(&bench, "mcp-server-time", &calls).await;
}

#[tokio::test]
async fn every_tool_of_mcp_server_git() {
    let Some(program) = program("mcp-server-git") else { return };
    let bench = Bench::new(|_| vec![confined(&program, Vec::new())]).await;
    let repo = bench.dir.path().canonicalize().unwrap().join("work");
    let git = |args: &[&str]| {
        let done = Command::new("git").args(args).current_dir(&repo).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["config", "user.name", "Ann"]);
    git(&["config", "user.email", "ann@example.test"]);
    fs::write(repo.join("a.txt"), "one\n").unwrap();
    git(&["add", "a.txt"]);
    git(&["commit", "-q", "-m", "Begin"]);
    fs::write(repo.join("a.txt"), "two\n").unwrap();
    let at = |more: Value| {
        let mut arguments = json!({ "repo_path": repo });
        let all = arguments.as_object_mut().unwrap();
        all.extend(more.as_object().cloned().unwrap());
        arguments
    };
    let calls = [
        ("git_status", at(json!({})), "modified:   a.txt"),
        ("git_diff_unstaged", at(json!({})), "+two"),
        ("git_add", at(json!({ "files": ["a.txt"] })), "staged"),
        ("git_diff_staged", at(json!({})), "+two"),
        ("git_diff", at(json!({ "target": "main" })), "+two"),
        ("git_reset", at(json!({})), "reset"),
        ("git_add", at(json!({ "files": ["a.txt"] })), "staged"),
        ("git_commit", at(json!({ "message": "Count on" })), "committed"),
        ("git_log", at(json!({})), "Count on"),
        ("git_create_branch", at(json!({ "branch_name": "side" })), "side"),
        ("git_checkout", at(json!({ "branch_name": "side" })), "side"),
        ("git_show", at(json!({ "revision": "HEAD" })), "+two"),
        ("git_branch", at(json!({ "branch_type": "local" })), "side"),
    ];
    call_all(&bench, "mcp-server-git", &calls).await;
}

#[tokio::test]
async fn every_tool_of_mcp_server_fetch() {
    let Some(program) = program("mcp-server-fetch") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/page", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            let n = stream.read(&mut head).await.unwrap_or(0);
            let is_page = head[..n].starts_with(b"GET /page");
            let body = "<html><body><h1>Tea</h1><p>Leaves in water.</p></body></html>";
            let (status, body) = if is_page { (200, body) } else { (404, "") };
            let reply = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    // It is all about the network, and this one is on our own machine.
    let mut server = confined(
        &program,
        vec!["--ignore-robots-txt".to_owned(), "--allow-private-ips".to_owned()],
    );
    server.trusted = true;
    let specs = [server];
    let mut wish = wanted(0, &work, &specs);
    wish.confinement.network = NetworkPolicy::On;
    let servers = Servers::start(&[wish], &rooms(dir.path())).await;
    let bench = Bench { dir, servers };
    let calls = [
        ("fetch", json!({ "url": url }), "Leaves in water."),
        ("fetch", json!({ "url": url, "raw": true }), "<p>Leaves"),
        ("fetch", json!({ "url": "no address" }), "!"),
    ];
    call_all(&bench, "mcp-server-fetch", &calls).await;
}

#[tokio::test]
async fn a_long_operation_of_a_real_server_is_called_off() {
    let Some(script) = script("server-everything") else { return };
    let bench = Bench::new(|_| vec![node(script, &[])]).await;
    let long = json!({ "duration": 600, "steps": 6_000 });
    let call = invocation("mcp__s__trigger-long-running-operation", long, Reports::none());
    let call = tokio::spawn(bench.source().call(call));
    let echo = bench.call("echo", json!({ "message": "meanwhile" })).await;
    assert!(echo.text.contains("meanwhile"), "{}", echo.text);
    call.abort();
    let begun = Instant::now();
    bench.servers.close().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(bench.servers.source(AgentIndex(0)).missing.is_empty());
}
