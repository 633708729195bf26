//! Keys in `.env` files, a config that is found, and what `config check` says of one.

use massgen_testkit::{Server, behaviour};
use serde_json::Value;

use crate::binary::Place;

fn team(server: &Server, key: &str) -> String {
    format!(
        "agents:\n  - {{id: a, backend: {{type: chatcompletion, model: m, api_key: \"{key}\", \
         base_url: \"{}\"}}}}\n",
        server.base_url()
    )
}

#[test]
fn a_config_is_found_and_keys_come_from_the_nearest_file() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".massgen")).unwrap();
    std::fs::write(home.path().join(".massgen/.env"), "MY_KEY=from-home\nOTHER=home\n").unwrap();
    let place = Place::new().env("HOME", home.path().to_str().unwrap());
    place.file("massgen.yaml", &team(&server, "${MY_KEY}"));
    place.run(&["How much?"]).expect(0);
    let key = || server.requests().last().unwrap().key().map(str::to_owned);
    assert_eq!(key().as_deref(), Some("from-home"));

    place.file(".env", "MY_KEY=from-here\n");
    place.run(&["How much?"]).expect(0);
    assert_eq!(key().as_deref(), Some("from-here"));

    let place = place.env("MY_KEY", "from-environment");
    place.run(&["How much?"]).expect(0);
    assert_eq!(key().as_deref(), Some("from-environment"));

    place.file("keys", "MY_KEY=from-flag\n");
    place.run(&["--env-file", "keys", "How much?"]).expect(0);
    assert_eq!(key().as_deref(), Some("from-flag"));
    let missing = place.run(&["--env-file", "nowhere", "How much?"]).expect(1);
    assert!(missing.stderr.contains("there is no file `nowhere`"), "{}", missing.stderr);
}

#[test]
fn a_check_reports_every_problem_and_what_a_config_comes_to() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let place = Place::new();
    place.file("good.yaml", &team(&server, "k"));
    place.file("bad.yaml", "agents:\n  - backend: {type: opnai, model: m}\n  - {id: b}\n");
    let good = place.run(&["config", "check", "good.yaml"]).expect(0).stdout;
    assert_eq!(good, "good.yaml: runs; agents: a (m)\n");
    let done = place.run(&["config", "check", "good.yaml", "bad.yaml", "none.yaml"]).expect(1);
    for told in [
        "good.yaml: runs",
        "at bad.yaml:2:21",
        "did you mean `openai`?",
        "bad.yaml: cannot run: ",
        "none.yaml: cannot run: 1 error",
    ] {
        assert!(done.stdout.contains(told), "{told}: {}", done.stdout);
    }
    let json = place.run(&["config", "check", "bad.yaml", "--json"]).expect(1).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json[0]["problems"][0]["line"], &json[0]["file"]),
        (&2.into(), &"bad.yaml".into())
    );
    assert!(server.requests().is_empty(), "a check calls nobody");
    let nothing = Place::new().run(&["config", "check"]).expect(1);
    assert!(nothing.stderr.contains("there is no config here"), "{}", nothing.stderr);
}

#[test]
fn shells_and_man_know_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completions", shell]).expect(0).stdout;
        assert!(script.contains("resume") && script.contains("max-cost"), "{shell}");
    }
    let page = place.run(&["man"]).expect(0).stdout;
    assert!(page.contains(".TH massgen") && page.contains("MASSGEN REPLAY"), "{page}");
}
