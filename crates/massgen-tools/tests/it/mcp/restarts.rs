//! Servers that end, and how they end.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use massgen_protocol::{AgentIndex, ToolReport};
use massgen_tools::Reports;
use serde_json::json;

use super::bench::{Bench, echo, inner, invocation, is_alive, until};

#[tokio::test]
async fn a_server_that_dies_is_started_again_with_the_next_call() {
    let bench = Bench::faulty(&[]).await;
    assert_eq!(inner(&bench.call("count", json!({})).await), "1");
    let died = bench.call("die", json!({})).await;
    assert!(died.is_error && died.text.contains("ended during the call"), "{}", died.text);
    let (output, heard) = bench.call_and_hear("count", json!({})).await;
    assert_eq!(inner(&output), "1");
    let said: Vec<&str> = heard
        .iter()
        .map(|report| match report {
            ToolReport::Notice { what } => what.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            "the server s is started again, because it ended during a call",
            "the server s is there again",
        ]
    );
}

#[tokio::test]
async fn a_server_killed_between_calls_is_noticed_and_started_again() {
    let bench = Bench::faulty(&[]).await;
    let pids = bench.call("child", json!({})).await;
    let (server, child) = inner(&pids).split_once(' ').unwrap();
    let id = rustix::process::Pid::from_raw(server.parse().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
    until("its child to end with it", || !is_alive(child)).await;
    until("a new one to answer", || {
        bench.log("s").iter().filter(|entry| entry.get("started").is_some()).count() == 1
    })
    .await;
    let output = bench.call("echo", echo("new")).await;
    assert_eq!(inner(&output), "new");
}

#[tokio::test]
async fn a_server_that_keeps_dying_is_left_alone_after_a_while() {
    let bench = Bench::faulty(&["dies-of-calls"]).await;
    for n in 1..=5 {
        let output = bench.call("echo", echo("x")).await;
        assert!(output.is_error && output.text.contains("ended during"), "{n}: {}", output.text);
    }
    let begun = Instant::now();
    let output = bench.call("echo", echo("x")).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(
        output.is_error && output.text.contains("it ended during a call; it is tried again in"),
        "{}",
        output.text
    );
    let starts = bench.log("s").iter().filter(|entry| entry.get("started").is_some()).count();
    assert_eq!(starts, 5);
}

#[tokio::test]
async fn a_server_that_does_not_come_back_is_an_error_in_words() {
    let bench = Bench::faulty(&["crashes-again"]).await;
    bench.call("die", json!({})).await;
    let (output, heard) = bench.call_and_hear("echo", echo("x")).await;
    assert!(output.is_error && output.text.contains("it ended before"), "{}", output.text);
    let told = heard.iter().any(|report| {
        matches!(report, ToolReport::Notice { what } if what.contains("could not be started again"))
    });
    assert!(told, "{heard:?}");
}

#[tokio::test]
async fn a_run_that_goes_on_finds_a_server_that_was_missing() {
    // Its tools are known from the run's record, so they may be called.
    let mut broken = PathBuf::new();
    let bench = Bench::new(|dir| {
        broken = dir.join("s.log.broken");
        fs::write(&broken, "").unwrap();
        vec![super::bench::faulty(dir, "s", &[])]
    })
    .await;
    assert!(bench.names().is_empty());
    assert!(bench.missing()[0].contains("it ended before it listed its tools"));
    let output = bench.call("echo", echo("x")).await;
    assert!(output.text.contains("The server s is not there"), "{}", output.text);
    fs::remove_file(broken).unwrap();
    assert_eq!(inner(&bench.call("echo", echo("there")).await), "there");
    assert!(bench.call("nothing", json!({})).await.text.contains("There is no tool"));
}

#[tokio::test]
async fn closing_ends_every_process_in_time() {
    let bench = Bench::new(|dir| {
        vec![super::bench::faulty(dir, "s", &[]), super::bench::faulty(dir, "stays", &["stays"])]
    })
    .await;
    let pids = bench.call("child", json!({})).await;
    let mut pids: Vec<String> = inner(&pids).split(' ').map(str::to_owned).collect();
    pids.push(bench.log("stays")[0]["started"].to_string());
    assert!(pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    let busy = invocation("mcp__s__sleep", json!({ "seconds": 60 }), Reports::none());
    let busy = tokio::spawn(bench.source().call(busy));
    until("the call", || bench.log("s").iter().any(|e| e["params"]["name"] == "sleep")).await;
    let begun = Instant::now();
    bench.servers.close().await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    until("the processes to be gone", || !pids.iter().any(|pid| is_alive(pid))).await;
    let output = busy.await.unwrap();
    assert!(output.is_error, "{}", output.text);
    let late = bench.call("echo", echo("x")).await;
    assert!(late.text.contains("the run is over"), "{}", late.text);
}

#[tokio::test]
async fn letting_go_ends_every_process_too() {
    let bench = Bench::faulty(&["stays"]).await;
    let pids = bench.call("child", json!({})).await;
    let pids: Vec<String> = inner(&pids).split(' ').map(str::to_owned).collect();
    drop(bench.servers.source(AgentIndex(0)));
    assert!(pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    let Bench { dir, servers } = bench;
    drop(servers);
    until("the processes to be gone", || !pids.iter().any(|pid| is_alive(pid))).await;
    drop(dir);
}
