//! `doctor` and `models`: what is there, and whether it works.

use massgen_testkit::{Server, behaviour};
use serde_json::Value;

use crate::binary::Place;

fn backend(url: &str, more: &str) -> String {
    format!("{{type: vllm, model: m, base_url: \"{url}\"{more}}}")
}

fn json(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap()
}

#[test]
fn each_backend_is_tried_once_and_each_failure_has_its_remedy() {
    let good = Server::start(behaviour::tokens(3));
    let bad = Server::start(behaviour::fails(401));
    let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off").env("MY_KEY", "k");
    let good_backend = backend(&good.base_url(), ", prices: {input: 1, output: 1}");
    place.file(
        "team.yaml",
        &format!(
            "agents:\n  - {{id: ada, backend: {good_backend}}}\n  - {{id: bob, backend: \
             {good_backend}}}\n  - {{id: eve, backend: {}}}\n",
            backend(&bad.base_url(), ", api_key: \"${MY_KEY}\""),
        ),
    );
    let done = place.run(&["doctor", "--config", "team.yaml"]).expect(2);
    let line = |begin: &str| {
        let mut lines = done.stdout.lines().skip_while(|line| !line.starts_with(begin));
        [lines.next().unwrap_or_default(), lines.next().unwrap_or_default()]
    };
    let [ok, _] = line("ok       ada, bob");
    assert!(ok.contains("vllm m: ") && ok.contains("13 tokens, $0.0000"), "{}", done.stdout);
    let [broken, remedy] = line("broken   eve");
    assert!(broken.contains("vllm m: key refused (401)"), "{}", done.stdout);
    assert!(remedy.contains("check the key in `MY_KEY`"), "{}", done.stdout);
    assert_eq!((good.stats().requests, bad.stats().requests), (1, 1));
    let request = &good.requests()[0];
    assert!(request.tool("ok").is_some(), "a server that takes no tools is found out");

    let done = place.run(&["doctor", "--config", "team.yaml", "--json"]).expect(2);
    let calls = &json(&done.stdout)["calls"];
    assert_eq!(calls[0]["agents"], serde_json::json!(["ada", "bob"]));
    assert_eq!(calls[0]["cost_micros"], 13);
    assert_eq!((&calls[1]["failure"], &calls[1]["verdict"]), (&"auth".into(), &"broken".into()));
}

#[test]
fn without_calls_nobody_is_called() {
    let server = Server::start(behaviour::tokens(3));
    let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off");
    let team = format!("agents:\n  - backend: {}\n", backend(&server.base_url(), ""));
    place.file("team.yaml", &team);
    place.run(&["doctor", "--no-calls", "--config", "team.yaml"]).expect(0);
    assert_eq!(server.stats().requests, 0);
    let done = place.run(&["doctor", "--config", "team.yaml"]).expect(0);
    assert!(done.stdout.contains("team.yaml: "), "{}", done.stdout);
    assert_eq!(server.stats().requests, 1);
}

#[test]
fn a_config_with_a_fault_is_told_before_anything_is_called() {
    let place = Place::new();
    place.file("team.yaml", "agents:\n  - backend: {type: vlm, model: m}\n");
    let done = place.run(&["doctor", "--config", "team.yaml"]).expect(1);
    assert!(done.stderr.contains("did you mean `vllm`?"), "{}", done.stderr);
}

#[test]
fn a_server_that_is_not_there_does_not_hold_the_others_up() {
    let server = Server::start(behaviour::tokens(3));
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off");
    let (gone, here) = (backend(&format!("http://{free}/v1"), ""), backend(&server.base_url(), ""));
    let team =
        format!("agents:\n  - {{id: gone, backend: {gone}}}\n  - {{id: here, backend: {here}}}\n");
    place.file("team.yaml", &team);
    let done = place.run(&["doctor", "--config", "team.yaml", "--json"]).expect(2);
    let calls = &json(&done.stdout)["calls"];
    assert_eq!((&calls[0]["verdict"], &calls[1]["verdict"]), (&"broken".into(), &"ok".into()));
    assert!(calls[0]["remedy"].as_str().unwrap().contains(&free.to_string()), "{calls}");
}

#[test]
fn a_program_that_is_missing_is_named_with_its_remedy() {
    let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off");
    place.file("team.yaml", "agents:\n  - backend: {type: acp, command: no-such-agent}\n");
    let done = place.run(&["doctor", "--config", "team.yaml", "--json"]).expect(2);
    let call = &json(&done.stdout)["calls"][0];
    assert!(call["found"].as_str().unwrap().contains("`no-such-agent` is not installed"), "{call}");
    assert!(call["remedy"].as_str().unwrap().contains("installed"), "{call}");
}

#[test]
fn types_are_listed_with_their_keys_and_without_any_call() {
    let key = ["sk", "-", &"k9".repeat(20)].concat();
    let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off").env("GROQ_API_KEY", &key);
    let all = place.run(&["models"]).expect(0);
    assert!(all.stdout.contains("GROQ_API_KEY is set"), "{}", all.stdout);
    assert!(all.stdout.contains("OPENAI_API_KEY is not set"), "{}", all.stdout);
    let shown = json(&place.run(&["models", "--json"]).expect(0).stdout);
    let types = shown["types"].as_array().unwrap();
    assert_eq!(types.len(), massgen_protocol::backend_types().len());
    let groq = types.iter().find(|kind| kind["type"] == "groq").unwrap();
    assert_eq!(groq["key_found"], "GROQ_API_KEY");
    assert!(!all.stdout.contains(&key) && !shown.to_string().contains(&key));
}

#[test]
fn one_type_is_shown_with_its_models_and_their_prices() {
    let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off");
    let shown = place.run(&["models", "openai"]).expect(0);
    let row = shown.stdout.lines().find(|line| line.starts_with("gpt-5.4 ")).unwrap();
    assert!(row.contains("1,050,000") && row.contains("2.50"), "{row}");
    assert!(shown.stdout.contains("api.openai.com"), "{}", shown.stdout);
    let shown = json(&place.run(&["models", "openai", "--json"]).expect(0).stdout);
    assert_eq!(shown["capabilities"]["web_search"], true);
    let wrong = place.run(&["models", "opanai"]).expect(1);
    assert!(wrong.stderr.contains("did you mean `openai`?"), "{}", wrong.stderr);
}
