//! One team of five providers, each in its own format, on servers of this machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use massgen_testkit::{Format, Request, Script, Server, behaviour};
use serde_json::Value;

use crate::binary::{Done, Place};

/// One agent: its id, the type of its backend, its model, and what it is reached by.
struct Member {
    id: &'static str,
    kind: &'static str,
    model: &'static str,
    format: Format,
}

const TEAM: [Member; 5] = [
    Member { id: "anna", kind: "claude", model: "claude-opus-4-6", format: Format::Messages },
    Member { id: "gerd", kind: "gemini", model: "gemini-3-flash-preview", format: Format::Gemini },
    Member { id: "otto", kind: "openai", model: "gpt-5.4", format: Format::Responses },
    Member { id: "xenia", kind: "grok", model: "grok-4.3", format: Format::Responses },
    Member { id: "lola", kind: "ollama", model: "qwen3", format: Format::Ollama },
];

/// As short as a machine under load allows; retries are made, but once.
const BOUNDS: &str = "orchestrator: {failures_max: 1, exhausted_rounds_max: 1, \
    violations_max: 1, backoff_seconds: 0.01}\n\
    timeout_settings: {first_byte_timeout_seconds: 2.0, idle_timeout_seconds: 2.0, \
    orchestrator_timeout_seconds: 60}\n";

/// Writes the config of the team, `server_of` saying where each member is served.
fn team<'a>(server_of: impl Fn(&Member) -> &'a Server) -> String {
    let agents: String = TEAM
        .iter()
        .map(|member| {
            let Member { id, kind, model, format } = member;
            let url = server_of(member).base_url_of(*format);
            format!(
                "  - {{id: {id}, backend: {{type: {kind}, model: {model}, api_key: key-of-{id}, \
                 tries_max: 2, base_url: \"{url}\"}}}}\n"
            )
        })
        .collect();
    format!("agents:\n{agents}{BOUNDS}")
}

fn run(config: &str) -> (Place, Done) {
    let place = Place::new();
    place.file("team.yaml", config);
    let done = place.run(&["--config", "team.yaml", "6 x 7?"]);
    (place, done)
}

/// Returns the requests of each model, in order.
fn by_model(server: &Server) -> BTreeMap<String, Vec<std::sync::Arc<Request>>> {
    let mut requests = BTreeMap::<_, Vec<_>>::new();
    for request in server.requests() {
        requests.entry(request.model().to_owned()).or_default().push(request);
    }
    requests
}

#[test]
fn five_formats_reach_one_consensus() {
    // Every member thinks first, so that what is opaque in a format has to be replayed.
    let server = Server::start(behaviour::thoughtful(behaviour::consensus(&["It is 42."])));
    let (place, done) = run(&team(|_| &server));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("presented by the loopback model"), "{}", done.stdout);
    assert!(done.stderr.contains("5 of 5 votes"), "{}", done.stderr);
    place.run(&["replay", "--check", "latest"]).expect(0);

    let requests = by_model(&server);
    for Member { id, kind, model, format } in &TEAM {
        let of_model = requests.get(*model).unwrap_or_else(|| panic!("{kind} was not asked"));
        assert!(of_model.iter().all(|request| request.format() == *format), "{kind}");
        assert!(of_model.iter().all(|request| request.wants_stream()), "{kind}");
        let key = format!("key-of-{id}");
        assert!(of_model.iter().all(|request| request.key() == Some(&key)), "{kind}");
        check_opaque(*format, of_model);
    }
}

/// Holds that what a format signs or encrypts came back as it was sent.
fn check_opaque(format: Format, requests: &[std::sync::Arc<Request>]) {
    let (field, signed) = match format {
        Format::Messages => ("signature", "thinking"),
        Format::Gemini => ("thoughtSignature", "functionCall"),
        Format::Responses => ("encrypted_content", "summary"),
        // Nothing is signed.
        Format::Chat | Format::Ollama => return,
    };
    let mut replayed = 0;
    for request in requests {
        each_object(&request.body, &mut |object| {
            if object.get(signed).is_some_and(|value| !value.is_null()) && object.len() > 1 {
                let signature = object.get(field).and_then(Value::as_str).unwrap_or_default();
                assert!(signature.starts_with("c2ln"), "{format:?}: {object:?}");
                replayed += 1;
            }
        });
    }
    assert!(replayed > 0, "{format:?}: nothing was replayed");
}

fn each_object(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| each_object(value, see));
        }
        Value::Array(values) => values.iter().for_each(|value| each_object(value, see)),
        _ => {}
    }
}

#[test]
fn the_five_are_asked_at_once() {
    // Nobody is answered before all five have asked.
    let gate = massgen_testkit::Gate::new();
    let behind = gate.clone();
    let inner = behaviour::consensus(&[]);
    let server = Server::start(massgen_testkit::script(move |request| {
        massgen_testkit::Reply::stream().gate(&behind).then(inner(request))
    }));
    let config = team(|_| &server).replace("first_byte_timeout_seconds: 2.0, ", "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(&config));
        let all = runtime.block_on(async {
            let five = server.until(|stats| stats.requests == 5);
            tokio::time::timeout(Duration::from_secs(60), five).await
        });
        gate.open_for_good();
        let (_, done) = ran.join().unwrap();
        assert!(all.is_ok(), "{}", done.stderr);
        assert_eq!(done.code, 0, "{}", done.stderr);
    });
}

/// What may be wrong with one provider: its name, what its server does, what is said of
/// it, and the remedy (one of them).
fn faults() -> Vec<(&'static str, Script, &'static str, &'static str)> {
    const LOOK: &str = "is the API's root and speaks the format";
    vec![
        ("401", behaviour::fails(401), "key refused (401)", "and that it may use"),
        (
            "404",
            behaviour::fails_saying(404, "model_not_found", "there is no such model"),
            "request refused (404): there is no such model",
            "check the name",
        ),
        (
            "400",
            behaviour::fails_saying(400, "invalid_request", "temperature is not for you"),
            "request refused (400): temperature is not for you",
            "what the config asks of it",
        ),
        ("429", behaviour::rate_limited(0), "rate limited (429)", "rate_limits"),
        ("500", behaviour::fails(500), "not available (500)", "reached from here"),
        ("cut", behaviour::cut_off(), "stream cut off", LOOK),
        ("dropped", behaviour::dropped(), "stream cut off", LOOK),
        ("garbage", behaviour::garbage(), "not understood", LOOK),
        ("silence", behaviour::stall(), "timed out", "is not busy"),
        ("silence midway", behaviour::stall_midway(), "timed out", "is not busy"),
        ("in-band error", behaviour::fails_midway(), "fallen over", "check"),
        ("1 GB in a line", behaviour::endless_line(1_000), "", "speaks the format|is not busy"),
        ("web page", behaviour::html_page(), "the reply is a web page", "check"),
        // Where an event is passed over, nothing is left that would be a choice.
        ("deep JSON", behaviour::deep_json(100_000), "", "calls tools reliably|speaks the format"),
    ]
}

#[test]
fn whatever_one_provider_does_the_others_answer() {
    /// Most of a run is waiting for a provider that is silent.
    const RUNS_AT_ONCE: usize = 12;
    let good = Server::start(behaviour::consensus(&[]));
    let faults: Vec<_> = faults()
        .into_iter()
        .map(|(name, script, said, remedy)| (name, Server::start(script), said, remedy))
        .collect();
    let cases: Vec<_> =
        faults.iter().flat_map(|fault| TEAM.iter().map(move |member| (fault, member))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(((name, bad, said, remedy), member)) =
            cases.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let (_place, done) =
                run(&team(|other| if other.id == member.id { bad } else { &good }));
            let line = told_of(member, &done.stderr);
            let is_told = line.is_some_and(|line| {
                let is_remedy = remedy.split('|').any(|remedy| line.contains(remedy));
                line.contains(said) && is_remedy && line.contains(member.kind)
            });
            let is_answered = done.stdout.contains("presented by the loopback model");
            if done.code != 0 || !is_answered || !is_told {
                let Member { id, kind, .. } = member;
                wrong.push(format!("{name} of {id} ({kind}): {}\n{}", done.code, done.stderr));
            }
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..RUNS_AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Returns the line that says that an agent has left the team.
fn told_of<'a>(member: &Member, stderr: &'a str) -> Option<&'a str> {
    let name = format!("({})] retires: ", member.id);
    stderr.lines().find(|line| line.contains(&name))
}
