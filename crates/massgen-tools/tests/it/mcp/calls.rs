//! Calls and what comes of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use massgen_protocol::{MediaSource, ToolReport};
use massgen_tools::Reports;
use serde_json::{Value, json};

use super::bench::{Bench, echo, faulty, inner, invocation, until};

#[tokio::test]
async fn results_come_bounded_and_marked_as_the_servers() {
    let bench = Bench::faulty(&[]).await;
    let huge = bench.call("huge", json!({ "bytes": 2 << 20 })).await;
    assert!(huge.text.len() < 70_000, "{}", huge.text.len());
    assert!(inner(&huge).contains("of 2097152 bytes left out"));
    // Longer than a message may be: it is dropped, and the server goes on.
    let failed = bench.call("error", json!({})).await;
    assert!(failed.is_error);
    assert_eq!(inner(&failed), "no such file");
    let refused = bench.call("refuse", json!({})).await;
    assert!(refused.is_error);
    assert_eq!(inner(&refused), "wrong argument (code -32602): {\"field\":\"x\"}");
    let image = bench.call("image", json!({})).await;
    assert_eq!(inner(&image), "[image/png, 70 bytes, attached]");
    assert!(matches!(&image.media[0].source, MediaSource::Inline { base64 } if base64.len() == 96));
    assert_eq!(inner(&bench.call("garbage", json!({})).await), "after the garbage");
    assert_eq!(inner(&bench.call("echo", echo("a\u{1b}[2Jb")).await), "ab");
}

#[tokio::test]
async fn progress_and_log_messages_are_heard() {
    let bench = Bench::faulty(&[]).await;
    let (_, heard) = bench.call_and_hear("progress", json!({ "steps": 3, "pause": 0.05 })).await;
    let mut texts: Vec<String> = heard
        .into_iter()
        .map(|report| match report {
            ToolReport::Output { text } => text,
            other => panic!("{other:?}"),
        })
        .collect();
    texts.sort();
    assert_eq!(texts, ["1/3 step 1\n", "2/3 step 2\n", "3/3 step 3\n"]);
    let (_, heard) = bench.call_and_hear("progress", json!({ "steps": 1_000 })).await;
    assert!(heard.len() <= 200, "{}", heard.len());
    // Nothing orders the message and the result but that the one is sent first.
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let listening = Reports::new(move |report| ear.lock().unwrap().push(report));
    let slow = invocation("mcp__s__sleep", json!({ "seconds": 60 }), listening);
    let slow = tokio::spawn(bench.source().call(slow));
    until("the slow call", || bench.log("s").iter().any(|e| e["params"]["name"] == "sleep")).await;
    bench.call("log", json!({})).await;
    let word = ToolReport::Notice { what: "a word".to_owned() };
    until("the word", || heard.lock().unwrap().contains(&word)).await;
    slow.abort();
}

#[tokio::test]
async fn silence_ends_a_call_and_progress_keeps_it() {
    let bench = Bench::new(|dir| {
        let mut hasty = faulty(dir, "s", &[]);
        hasty.call_ms = 400;
        vec![hasty]
    })
    .await;
    let begun = Instant::now();
    let slow = bench.call("sleep", json!({ "seconds": 60 })).await;
    assert!(slow.is_error && slow.text.contains("was silent for 400 ms"), "{}", slow.text);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let is_told = || bench.log("s").iter().any(|e| e["method"] == "notifications/cancelled");
    until("the server to be told", is_told).await;
    let steady = bench.call("progress", json!({ "steps": 8, "pause": 0.15 })).await;
    assert_eq!(inner(&steady), "done");
    let begun = Instant::now();
    let endless = bench.call("progress", json!({ "steps": 1_000, "pause": 0.05 })).await;
    assert!(endless.is_error, "{}", endless.text);
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_called_off_on_the_server() {
    let bench = Bench::faulty(&[]).await;
    let slow = invocation("mcp__s__sleep", json!({ "seconds": 60 }), Reports::none());
    let slow = tokio::spawn(bench.source().call(slow));
    let mut id = Value::Null;
    until("the call", || {
        let log = bench.log("s");
        let call = log.iter().find(|entry| entry["params"]["name"] == "sleep");
        id = call.map(|call| call["id"].clone()).unwrap_or_default();
        call.is_some()
    })
    .await;
    slow.abort();
    until("the server to be told", || {
        bench.log("s").iter().any(|entry| {
            entry["method"] == "notifications/cancelled" && entry["params"]["requestId"] == id
        })
    })
    .await;
    assert_eq!(inner(&bench.call("echo", echo("free again")).await), "free again");
}

#[tokio::test]
async fn many_calls_run_side_by_side() {
    let bench = Bench::faulty(&[]).await;
    let begun = Instant::now();
    let calls = (0..20).map(|n| {
        let call = json!({ "seconds": 0.4 });
        let bench = &bench;
        async move {
            bench.call("sleep", call).await;
            inner(&bench.call("echo", echo(&n.to_string())).await).to_owned()
        }
    });
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_a_server_asks_back_is_answered_without_a_person_or_a_model() {
    let bench = Bench::faulty(&[]).await;
    let text = bench.call("roots", json!({})).await.text;
    let work = bench.dir.path().join("work");
    assert!(text.contains(&format!("file://{}", work.display())), "{text}");
    let form = bench.call("form", json!({})).await;
    assert!(form.text.contains("\"action\": \"decline\""), "{}", form.text);
    let sampling = bench.call("sampling", json!({})).await;
    assert!(sampling.text.contains("-32601"), "{}", sampling.text);

    let modern = Bench::faulty(&["modern"]).await;
    let asks = modern.call("asks", json!({})).await;
    assert!(inner(&asks).contains(r#"[{"name": {"action": "decline"}}, "s-1"]"#), "{}", asks.text);
    let forever = modern.call("asks_forever", json!({})).await;
    assert!(forever.is_error && forever.text.contains("wants an answer"), "{}", forever.text);
}

#[tokio::test]
async fn other_tools_are_noticed_and_not_offered() {
    for faults in [&[][..], &["modern"]] {
        let bench = Bench::faulty(faults).await;
        bench.call("others", json!({})).await;
        let mut heard = Vec::new();
        let deadline = Instant::now() + super::bench::PATIENCE;
        while heard.is_empty() && Instant::now() < deadline {
            heard = bench.call_and_hear("echo", echo("x")).await.1;
        }
        let what = "the server s has other tools now; agents keep those of the run's beginning";
        assert_eq!(heard, [ToolReport::Notice { what: what.to_owned() }], "{faults:?}");
    }
}

#[tokio::test]
async fn a_server_sees_little_of_our_environment() {
    let bench = Bench::faulty(&[]).await;
    let environment = bench.call("environment", json!({})).await;
    let environment: serde_json::Map<String, Value> =
        serde_json::from_str(inner(&environment)).unwrap();
    assert!(environment.contains_key("PATH") && environment.contains_key("HOME"));
    // Cargo sets dozens of these for the test.
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO_")));
    let leaked: Vec<&String> =
        environment.keys().filter(|name| name.starts_with("CARGO_")).collect();
    assert_eq!(leaked, Vec::<&String>::new());
}
