//! Servers that start, slowly, wrongly or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use massgen_protocol::{AgentIndex, HeaderText, McpTransport, Secret, ToolEffect};
use massgen_tools::mcp::{Outcome, Servers};
use serde_json::json;

use super::bench::{Bench, echo, faulty, inner, rooms, spec, wanted};

#[tokio::test]
async fn tools_are_listed_sorted_and_called() {
    let bench = Bench::faulty(&[]).await;
    assert_eq!(bench.missing(), Vec::<String>::new());
    let names = bench.names();
    assert!(names.is_sorted() && names.contains(&"mcp__s__echo".to_owned()), "{names:?}");
    assert_eq!(inner(&bench.call("echo", echo("hello")).await), "hello");
    let tools = bench.source().tools();
    assert!(tools.iter().all(|tool| tool.effect == ToolEffect::Write));
    let started = bench.servers.started();
    let there = Outcome::There { tools: tools.len(), version: "2025-11-25".to_owned() };
    assert_eq!((started[0].server.as_str(), &started[0].outcome), ("s", &there));
    assert!(bench.call("nothing", json!({})).await.is_error);
    bench.servers.close().await;
}

#[tokio::test]
async fn the_newest_version_needs_no_handshake() {
    let bench = Bench::faulty(&["modern"]).await;
    assert_eq!(inner(&bench.call("echo", echo("hello")).await), "hello");
    let version = "2026-07-28".to_owned();
    assert!(matches!(&bench.servers.started()[0].outcome,
        Outcome::There { version: agreed, .. } if *agreed == version));
    let log = bench.log("s");
    assert!(!log.iter().any(|entry| entry["method"] == "initialize"), "{log:?}");
    let call = log.iter().find(|entry| entry["method"] == "tools/call").unwrap();
    assert_eq!(call["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], version);
}

#[tokio::test]
async fn a_mute_server_is_missing_in_time_and_holds_nobody_up() {
    // Found once, and not what is timed here.
    super::bench::sandbox();
    let begun = Instant::now();
    let bench = Bench::new(|dir| {
        let mut mute = faulty(dir, "mute", &["mute"]);
        mute.connect_ms = 1_500;
        vec![mute, faulty(dir, "s", &[])]
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(
        bench.missing(),
        ["The MCP server mute and all its tools: it did not answer within 1.5 s."]
    );
    assert_eq!(inner(&bench.call("echo", echo("here")).await), "here");
}

#[tokio::test]
async fn old_servers_that_cannot_be_asked_for_their_era_are_reached_all_the_same() {
    let bench = Bench::new(|dir| {
        let mut silent = faulty(dir, "s", &["ignores-discover"]);
        silent.connect_ms = 3_000;
        vec![silent, faulty(dir, "dies", &["dies-of-discover"]), faulty(dir, "greets", &["greets"])]
    })
    .await;
    assert_eq!(bench.missing(), Vec::<String>::new());
    assert_eq!(inner(&bench.call("echo", echo("old")).await), "old");
    let names = bench.names();
    for server in ["dies", "greets"] {
        assert!(names.contains(&format!("mcp__{server}__echo")), "{server}");
    }
    let starts = |log: Vec<serde_json::Value>| {
        log.iter().filter(|entry| entry.get("started").is_some()).count()
    };
    assert_eq!(starts(bench.log("dies")), 2);
    assert_eq!(starts(bench.log("s")), 1);
}

#[tokio::test]
async fn a_server_that_crashes_tells_why_without_the_key_it_was_given() {
    let bench = Bench::new(|dir| {
        let mut crashes = faulty(dir, "s", &["crashes"]);
        let McpTransport::Stdio { env, .. } = &mut crashes.transport else { panic!() };
        let value = Secret::new("sk-very-secret");
        let key = HeaderText::Expanded { written: "${KEY}".to_owned(), value };
        *env = BTreeMap::from([("API_KEY".to_owned(), key)]);
        vec![crashes, spec("gone", "no-such-program-anywhere", Vec::new())]
    })
    .await;
    let missing = bench.missing().join("\n");
    assert!(missing.contains("it ended before it answered"), "{missing}");
    assert!(missing.contains("the key [hidden] is wrong | giving up"), "{missing}");
    assert!(!missing.contains("sk-very-secret") && !missing.contains('\u{1b}'), "{missing}");
    assert!(missing.contains("there is no program `no-such-program-anywhere`"), "{missing}");
    assert!(bench.names().is_empty());
    assert!(bench.call("echo", json!({})).await.is_error);
}

#[tokio::test]
async fn a_broken_list_hides_no_other_tool() {
    let bench = Bench::faulty(&["broken-list"]).await;
    let names = bench.names();
    assert!(names.contains(&"mcp__s__echo".to_owned()), "{names:?}");
    assert!(names.contains(&"mcp__s__schema_is_a_word".to_owned()), "{names:?}");
    assert!(names.contains(&"mcp__s__no_schema_at_all".to_owned()), "{names:?}");
    assert_eq!(
        bench.missing(),
        [
            "The MCP server s: 2 of its tools have no name and are left out.",
            "The MCP server s: it lists `echo` more than once; the first counts.",
        ]
    );
    assert_eq!(inner(&bench.call("echo", echo("still")).await), "still");
}

#[tokio::test]
async fn long_lists_come_whole_and_endless_ones_end() {
    let bench = Bench::new(|dir| {
        vec![
            faulty(dir, "s", &["tools=1000"]),
            faulty(dir, "pages", &["pages"]),
            faulty(dir, "endless", &["endless"]),
        ]
    })
    .await;
    let names = bench.names();
    let of = |server: &str| {
        let prefix = format!("mcp__{server}__");
        names.iter().filter(|name| name.starts_with(&prefix)).count()
    };
    assert_eq!((of("s"), of("pages"), of("endless")), (1_000, 22, 0));
    assert_eq!(
        bench.missing(),
        ["The MCP server endless: its list of tools does not end; 64 pages count."]
    );
}

#[tokio::test]
async fn tools_added_at_the_very_beginning_are_offered() {
    let bench = Bench::faulty(&["late-tool"]).await;
    assert!(bench.names().contains(&"mcp__s__late".to_owned()), "{:?}", bench.names());
    let (_, heard) = bench.call_and_hear("echo", echo("x")).await;
    assert_eq!(heard, []);
}

#[tokio::test]
async fn a_shared_server_runs_once_and_others_once_for_each_agent() {
    let dir = tempfile::tempdir().unwrap();
    let mut common = faulty(dir.path(), "common", &[]);
    common.shared = true;
    let own = faulty(dir.path(), "own", &[]);
    let first = [common.clone(), own.clone()];
    let mut filtered = common.clone();
    filtered.allowed_tools = Some(vec!["count".to_owned()]);
    let second = [filtered, own];
    let places = [dir.path().join("a"), dir.path().join("b")];
    places.iter().for_each(|place| fs::create_dir(place).unwrap());
    let wanted = [wanted(0, &places[0], &first), wanted(1, &places[1], &second)];
    let servers = Servers::start(&wanted, &rooms(dir.path())).await;
    let starts = |name: &str| {
        let log = fs::read_to_string(dir.path().join(format!("{name}.log"))).unwrap();
        log.lines().filter(|line| line.contains("\"started\"")).count()
    };
    assert_eq!((starts("common"), starts("own")), (1, 2));
    assert_eq!(servers.started()[0].agents, [AgentIndex(0), AgentIndex(1)]);
    let names = |agent: u16| {
        let tools = servers.source(AgentIndex(agent)).source.tools();
        tools.into_iter().map(|tool| tool.spec.name).collect::<Vec<_>>()
    };
    assert_eq!(names(1).iter().filter(|name| name.starts_with("mcp__common__")).count(), 1);
    assert_eq!(names(0).len(), 44);
    assert!(servers.source(AgentIndex(7)).source.tools().is_empty());
    // Each works in its agent's workspace, and a count for all is one count.
    let call = async |agent: u16, name: &str| {
        let call = super::bench::invocation(name, json!({}), massgen_tools::Reports::none());
        servers.source(AgentIndex(agent)).source.call(call).await.text
    };
    for (agent, place) in places.iter().enumerate() {
        let place = place.canonicalize().unwrap();
        let text = call(agent as u16, "mcp__own__where").await;
        assert!(text.contains(place.to_str().unwrap()), "{text}");
        let text = call(agent as u16, "mcp__common__count").await;
        assert!(text.contains(&format!("\n{}\n", agent + 1)), "{text}");
    }
}

#[tokio::test]
async fn the_lists_of_a_config_decide_which_tools_an_agent_gets() {
    let bench = Bench::new(|dir| {
        let mut some = faulty(dir, "s", &[]);
        some.allowed_tools = Some(vec!["echo".to_owned(), "count".to_owned(), "fly".to_owned()]);
        some.exclude_tools = vec!["count".to_owned()];
        let again = faulty(dir, "s", &["crashes"]);
        vec![some, again]
    })
    .await;
    assert_eq!(bench.names(), ["mcp__s__echo"]);
    let missing = bench.missing();
    assert_eq!(
        missing,
        [
            "The MCP server s has no tool `fly`.",
            "Two MCP servers are called s; the first one counts.",
        ]
    );
    assert!(bench.call("count", json!({})).await.is_error);
}
