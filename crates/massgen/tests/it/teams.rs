//! Teams from configs and flags, on a model server of this machine.

use massgen_testkit::{Server, behaviour};
use serde_json::Value;

use crate::binary::Place;

fn team(n_agents: usize, base_url: &str, more: &str) -> String {
    let agents: String = (1..=n_agents)
        .map(|n| {
            format!(
                "  - id: a{n}\n    backend: {{type: chatcompletion, model: m, api_key: k, \
                 base_url: \"{base_url}\"}}\n"
            )
        })
        .collect();
    format!("agents:\n{agents}{more}")
}

/// Bounds tight enough for a test, all of them named in the config's reference.
const BOUNDS: &str = "orchestrator:\n  \
    failures_max: 2\n  exhausted_rounds_max: 1\n  violations_max: 2\n  backoff_seconds: 0.01\n\
    timeout_settings:\n  first_byte_timeout_seconds: 0.5\n  idle_timeout_seconds: 0.5\n  \
    orchestrator_timeout_seconds: 60\n";

#[test]
fn three_agents_reach_consensus_and_the_log_proves_it() {
    let server = Server::start(behaviour::consensus(&["It is 42."]));
    let place = Place::new();
    place.file("team.yaml", &team(3, &server.base_url(), ""));
    let done = place.run(&["--config", "team.yaml", "6 x 7?"]).expect(0);
    assert!(!done.stdout.trim().is_empty());
    assert!(done.stderr.contains("3 of 3 votes"), "{}", done.stderr);
    place.run(&["replay", "--check", "latest"]).expect(0);
}

#[test]
fn fifty_agents_reach_consensus() {
    let server = Server::start(behaviour::consensus(&[]));
    let place = Place::new();
    place.file("team.yaml", &team(50, &server.base_url(), ""));
    let done = place.run(&["--config", "team.yaml", "6 x 7?"]).expect(0);
    assert!(done.stderr.contains("50 of 50 votes"), "{}", done.stderr);
    place.run(&["replay", "--check", "latest"]).expect(0);
}

#[test]
fn a_quick_team_is_two_flags() {
    let server = Server::start(behaviour::consensus(&[]));
    let url = server.base_url();
    let place = Place::new().env("OPENAI_API_KEY", "k");
    let arguments = ["--model", "m1", "--model", "m2", "--base-url", &url, "6 x 7?"];
    let done = place.run(&arguments).expect(0);
    assert!(done.stderr.contains("2 of 2 votes"), "{}", done.stderr);
    let models: Vec<String> =
        server.requests().iter().map(|request| request.model().to_owned()).collect();
    assert!(models.contains(&"m1".to_owned()) && models.contains(&"m2".to_owned()));
}

#[test]
fn the_question_may_come_through_a_pipe() {
    let server = Server::start(behaviour::consensus(&[]));
    let url = server.base_url();
    let place = Place::new().env("OPENAI_API_KEY", "k");
    let question = "line one\nline two of the question\n".as_bytes();
    for arguments in
        [&["--model", "m", "--base-url", &url, "-"][..], &["--model", "m", "--base-url", &url]]
    {
        place.run_with_stdin(arguments, question).expect(0);
    }
    let asked = |request: &massgen_testkit::Request| {
        request.messages().iter().any(|message| {
            massgen_testkit::Request::text_of(message).contains("line two of the question")
        })
    };
    assert!(server.requests().iter().all(|request| asked(request)));
}

#[test]
fn whatever_one_server_does_the_others_agents_answer() {
    let faults: [(&str, massgen_testkit::Script); 9] = [
        ("rate limited", behaviour::rate_limited(0)),
        ("500", behaviour::fails(500)),
        ("401", behaviour::fails(401)),
        ("dropped", behaviour::dropped()),
        ("stall", behaviour::stall()),
        ("stall midway", behaviour::stall_midway()),
        ("garbage", behaviour::garbage()),
        ("cut arguments", behaviour::cut_arguments()),
        ("no tool, ever", behaviour::only_talks("I would rather talk.")),
    ];
    let good = Server::start(behaviour::consensus(&[]));
    for (name, fault) in faults {
        let bad = Server::start(fault);
        let place = Place::new();
        let config = format!(
            "{}  - id: bad\n    backend: {{type: chatcompletion, model: m, api_key: k, \
             tries_max: 2, base_url: \"{}\"}}\n{BOUNDS}",
            team(2, &good.base_url(), ""),
            bad.base_url(),
        );
        place.file("team.yaml", &config);
        let done = place.run(&["--config", "team.yaml", "6 x 7?"]);
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);
        assert!(done.stderr.contains("wins"), "{name}: {}", done.stderr);
        assert!(done.stderr.contains("[agent3 (bad)]"), "{name}: nothing is said of it");
        place.run(&["replay", "--check", "latest"]).expect(0);
    }
}

#[test]
fn one_that_always_answers_anew_is_bounded() {
    let server = Server::start(behaviour::always_answers());
    let place = Place::new();
    let bounds = BOUNDS.replace("failures_max", "max_new_answers_per_agent: 2\n  failures_max");
    place.file("team.yaml", &team(2, &server.base_url(), &bounds));
    let done = place.run(&["--config", "team.yaml", "--output", "json", "6 x 7?"]).expect(0);
    let accepted = done.stdout.matches("\"answer_accepted\"").count();
    assert_eq!(accepted, 4, "two agents, two answers each");
}

#[test]
fn a_team_that_nobody_answers_fails_with_its_reason() {
    // Nothing listens on the port of a server that is gone.
    let gone = Server::start(behaviour::stall());
    let url = gone.base_url();
    drop(gone);
    for (name, server) in [
        ("unreachable", None),
        ("no credit", Some(Server::start(behaviour::fails(402)))),
        ("key refused", Some(Server::start(behaviour::fails(401)))),
    ] {
        let url = server.as_ref().map_or(url.clone(), Server::base_url);
        let place = Place::new();
        let config = team(2, &url, BOUNDS).replace("api_key: k", "api_key: k, tries_max: 1");
        place.file("team.yaml", &config);
        let done = place.run(&["--config", "team.yaml", "6 x 7?"]);
        assert_eq!(done.code, 2, "{name}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{name}");
        assert!(done.stderr.contains("no answer: all agents failed"), "{name}: {}", done.stderr);
    }
}

#[test]
fn a_deadline_gives_the_best_answer_and_its_own_code() {
    let good = Server::start(behaviour::consensus(&[]));
    let stuck = Server::start(behaviour::stall());
    let place = Place::new();
    let config = format!(
        "{}  - id: stuck\n    backend: {{type: chatcompletion, model: m, api_key: k, \
         base_url: \"{}\"}}\n",
        team(1, &good.base_url(), ""),
        stuck.base_url(),
    );
    place.file("team.yaml", &config);
    let arguments = ["--config", "team.yaml", "--orchestrator-timeout", "2", "--automation", "q"];
    let done = place.run(&arguments).expect(3);
    assert!(done.stdout.contains("ANSWER_FILE: "), "{}", done.stdout);
    let status: Value = serde_json::from_str(&place.run_file("status.json")).unwrap();
    assert_eq!(status["finish_reason"], "timeout");
    assert_eq!(status["is_complete"], true);

    let place = Place::new();
    place.file("team.yaml", &team(1, &stuck.base_url(), ""));
    let arguments = ["--config", "team.yaml", "--orchestrator-timeout", "1", "q"];
    let done = place.run(&arguments).expect(3);
    assert_eq!(done.stdout, "");
}

#[test]
fn a_budget_of_calls_is_kept() {
    let server = Server::start(behaviour::always_answers());
    let place = Place::new();
    place.file("team.yaml", &team(3, &server.base_url(), ""));
    let done = place.run(&["--config", "team.yaml", "--max-calls", "5", "6 x 7?"]).expect(0);
    assert!(server.stats().requests <= 5, "{}", server.stats().requests);
    assert!(done.stderr.contains("budget"), "{}", done.stderr);
}

#[test]
fn a_key_reaches_the_server_and_no_file() {
    let server = Server::start(behaviour::consensus(&[]));
    let key = ["sk", "-", &"q7".repeat(20)].concat();
    let place = Place::new().env("MY_KEY", &key);
    let config = team(2, &server.base_url(), "").replace("api_key: k", "api_key: \"${MY_KEY}\"");
    place.file("team.yaml", &config);
    let done = place.run(&["--config", "team.yaml", "--automation", "6 x 7?"]).expect(0);
    assert!(!done.stdout.contains(&key) && !done.stderr.contains(&key));
    let sent = server.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(sent, Some(format!("Bearer {key}")));
    let mut open = vec![place.path().join(".massgen")];
    let mut n_files = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!found, "{}", path.display());
            n_files += 1;
        }
    }
    assert!(n_files >= 5, "{n_files}");
}
