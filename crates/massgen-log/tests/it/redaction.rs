//! No secret in any file of a run, nor in what is shown of it.

use std::path::Path;

use massgen_log::{REDACTED, Redactor, RunDir};
use massgen_protocol::{
    ApiKey, Arguments, BackendSpec, Event, EventBody, HeaderText, Media, MediaKind, MediaSource,
    Part, Program, Secret,
};

use crate::fixture::{Fixture, KEY, new_run, redactor, write_all};
use crate::samples::{Parts, one_of_each, sample};

/// Keys that are not the run's own, told by their shape. Put together here, so
/// that no tool takes this file for a leak.
pub fn foreign() -> Vec<String> {
    let halves = [
        ("sk-", "proj-Ab3dEf6hIj9kLmN0pQrStUvWx"),
        ("sk-", "ant-api03-Zz9yXx8wVv7uTt6s"),
        ("AIza", "SyD4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t"),
        ("xai-", "0123456789abcdefghijkl"),
        ("gsk_", "A1b2C3d4E5f6G7h8I9j0"),
        ("hf_", "AbCdEfGhIjKlMnOpQrStUv12"),
        ("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"),
        ("github_", "pat_11ABCDEFG0abcdefghijkl_mnop"),
        ("xoxb-", "123456789012-abcdefABCDEF"),
        ("AKIA", "IOSFODNN7EXAMPLE0"),
        ("nvapi-", "0a1B2c3D4e5F6g7H8i9J"),
    ];
    halves.iter().map(|(prefix, rest)| format!("{prefix}{rest}")).collect()
}

/// Reads every file below a folder, payloads unpacked, and looks for the text.
#[track_caller]
fn assert_in_no_file(dir: &Path, secret: &str) {
    let mut folders = vec![dir.to_owned()];
    let mut n_files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            n_files += 1;
            let raw = std::fs::read(&path).unwrap();
            let mut unpacked = Vec::new();
            let mut decoder = flate2::read::DeflateDecoder::new(raw.as_slice());
            // Files that are no payloads do not unpack; they are looked at as they are.
            let _ = std::io::Read::read_to_end(&mut decoder, &mut unpacked);
            let escaped = serde_json::to_string(secret).unwrap();
            let inner = serde_json::to_string(escaped.trim_matches('"')).unwrap();
            for form in [secret, escaped.trim_matches('"'), inner.trim_matches('"')] {
                for content in [&raw, &unpacked] {
                    let found = content.windows(form.len()).any(|part| part == form.as_bytes());
                    assert!(!found, "{} holds {form}", path.display());
                }
            }
        }
    }
    assert!(n_files >= 2, "there is something to look at");
}

#[track_caller]
fn assert_in_no_event(events: &[Event], secret: &str) {
    for event in events {
        let json = serde_json::to_string(event).unwrap();
        let escaped = serde_json::to_string(secret).unwrap();
        assert!(!json.contains(escaped.trim_matches('"')), "{json}");
        assert!(!format!("{event:?}").contains(secret), "{event:?}");
    }
}

#[test]
fn no_secret_is_in_any_file_of_the_run_folder() {
    for secret in [KEY.to_owned()].into_iter().chain(foreign()) {
        let secret = secret.as_str();
        let quoted = serde_json::to_string(secret).unwrap();
        let texts = [
            secret.to_owned(),
            format!("the key is {secret}, keep it"),
            format!("line one\n{secret}\nline three"),
            format!("{{\"key\": {quoted}}}"),
            format!("Authorization: Bearer {secret}"),
            // In a payload.
            format!("{} {secret} {}", "x ".repeat(1_500), "y ".repeat(1_500)),
        ];
        for text in texts {
            let fixture = Fixture::new();
            let mut writer = fixture.writer();
            let events = write_all(&mut writer, one_of_each(&text));
            drop(writer);
            assert_in_no_file(fixture.state.path(), secret);
            assert_in_no_event(&events, secret);
            assert_eq!(fixture.read(), events, "what is shown is what is in the log");
            let log = String::from_utf8(fixture.log()).unwrap();
            assert!(log.contains(REDACTED));
        }
    }
}

#[test]
fn a_key_in_the_arguments_of_a_tool_call_is_replaced_and_the_rest_kept() {
    let (_, events) = Fixture::with([sample(11, &Parts::plain(&format!("before {KEY} after")))]);
    let EventBody::CallFinished { turn, .. } = &events[0].body else { panic!() };
    let Part::ToolCall(call) = &turn.get().unwrap().parts[2] else { panic!() };
    let Arguments::Object { value } = &call.arguments else { panic!() };
    assert_eq!(value["z"], format!("before {REDACTED} after"));
    assert_eq!(value.keys().collect::<Vec<_>>(), ["z", "a"]);
}

#[test]
fn a_key_in_the_spec_does_not_reach_the_manifest() {
    let state = tempfile::tempdir().unwrap();
    let mut new = new_run("why?", 1_795_471_261_042);
    for agent in &mut new.spec.agents {
        agent.system_message = Some(format!("log in with {KEY}"));
        agent.backend.params.insert("extra_headers".to_owned(), format!("x-key: {KEY}").into());
        agent.backend.params.insert("temperature".to_owned(), 0.7.into());
    }
    let redactor = Redactor::for_spec(&new.spec).unwrap();
    let dir = RunDir::create(state.path(), new, &redactor).unwrap();
    assert_eq!(&RunDir::open(dir.path()).unwrap(), &dir);
    let params = &dir.manifest().spec.agents[0].backend.params;
    assert_eq!(params["extra_headers"], format!("x-key: {REDACTED}"));
    assert_eq!(params["temperature"], 0.7);
    let text = std::fs::read_to_string(dir.path().join("manifest.json")).unwrap();
    assert!(!text.contains("hush-7f"), "{text}");
}

#[test]
fn a_secret_that_is_a_word_of_the_format_breaks_no_line() {
    for secret in ["agent1", "agent2#3", "text_streamed", "reason", "retry_after_ms", "scripted"] {
        let state = tempfile::tempdir().unwrap();
        let redactor = std::sync::Arc::new(Redactor::new([secret]).unwrap());
        let new = new_run("why?", 1_795_471_261_042);
        let dir = RunDir::create(state.path(), new, &redactor).unwrap();
        let options = massgen_log::WriterOptions::default();
        let mut writer = massgen_log::Writer::create(&dir, redactor, options).unwrap();
        let text = format!("say {secret} aloud");
        let events = write_all(&mut writer, one_of_each(&text));
        drop(writer);
        let read: Vec<Event> =
            massgen_log::Reader::open(&dir).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(read, events);
        let withheld = events.iter().filter(|event| format!("{event:?}").contains("withheld"));
        assert_eq!(withheld.count(), 0, "{secret}");
        assert_in_no_event(&events[16..17], &text);
    }
}

#[test]
fn ordinary_texts_are_left_alone() {
    let redactor = Redactor::new(["ollama", "not-needed", "abc", "", "   "]).unwrap();
    let digits = "1234567890".repeat(3);
    let tasks = format!("a task-{digits} and a risk-{digits}");
    for text in [
        "ask-me-anything-12345678901234567890",
        &tasks,
        "the class sk-circle-fade-dot-before-and-after",
        "sk-short1",
        "Bearer of good news, Bearer tokens",
        "abc, ollama, not-needed",
        "AIzawa went home",
        "",
    ] {
        assert_eq!(redactor.redact(text), text);
        assert!(redactor.is_clean(text.as_bytes()));
    }
}

#[test]
fn what_surrounds_a_secret_stays() {
    let redactor = Redactor::new([KEY, "first-secret", "secret-and-more"]).unwrap();
    for (text, expected) in [
        (format!("{KEY}{KEY}"), "[redacted][redacted]"),
        (format!("é{KEY}é"), "é[redacted]é"),
        ("first-secret-and-more!".to_owned(), "[redacted]!"),
        ("Bearer abcDEF0123456789.xyz~tail ok".to_owned(), "Bearer [redacted] ok"),
        (format!("a={} b", foreign()[0]), "a=[redacted] b"),
        (format!("({})", foreign()[6]), "([redacted])"),
        ("in JSON: \\nsk-abcdefghijklmnop1".to_owned(), "in JSON: \\n[redacted]"),
        ("KEY_sk-abcdefghijklmnop1".to_owned(), "KEY_[redacted]"),
    ] {
        assert_eq!(redactor.redact(&text), expected);
    }
}

#[test]
fn the_redactor_does_not_show_its_secrets() {
    let shown = format!("{:?}", redactor());
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn texts_made_of_prefixes_take_no_longer_than_others() {
    let redactor = redactor();
    for piece in ["sk-", "sk-sk-A1", "Bearer ", "xai-sk-AIza"] {
        let text = piece.repeat(200_000 / piece.len());
        let start = std::time::Instant::now();
        redactor.redact(&text);
        // Quadratic work on so much takes minutes in an unoptimised build.
        assert!(start.elapsed().as_secs() < 10, "{piece}: {:?}", start.elapsed());
    }
}

#[test]
fn secrets_of_headers_programs_and_fallbacks_are_found_and_ordinary_words_are_kept() {
    let expanded = |written: &str, value: &str| HeaderText::Expanded {
        written: written.to_owned(),
        value: Secret::new(value),
    };
    let mut run = new_run("Why?", 0);
    let backend = &mut run.spec.agents[0].backend;
    backend.headers.insert("X-Gateway".to_owned(), expanded("${GATEWAY_TOKEN}", "gw-secret-1"));
    let mut fallback = BackendSpec::new("vllm", "m", "http://h/v1");
    fallback.api_key = ApiKey::Given { value: Secret::new("fallback-key") };
    let env = [
        ("HOME".to_owned(), expanded("${HOME}", "/home/user")),
        ("LOGIN_PASSWORD".to_owned(), expanded("${LOGIN}", "hunter-22")),
    ];
    fallback.program = Some(Program {
        command: "agent".to_owned(),
        args: Vec::new(),
        env: env.into(),
        cwd: "/tmp".to_owned(),
    });
    backend.fallbacks = vec![fallback];
    let redactor = Redactor::for_spec(&run.spec).unwrap();
    let told = redactor.redact("gw-secret-1 fallback-key hunter-22 /home/user");
    assert_eq!(told, format!("{REDACTED} {REDACTED} {REDACTED} /home/user"));
}

#[test]
fn a_file_in_the_spec_keeps_every_byte() {
    // Its base64 holds what has the shape of a key, as some part of a large file will.
    let base64 = format!("9{}9999", foreign().iter().find(|key| key.starts_with("AKIA")).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut run = new_run("Why?", 0);
    run.spec.agents[0].media = vec![Media {
        kind: MediaKind::Image,
        media_type: "image/png".to_owned(),
        name: None,
        source: MediaSource::Inline { base64: base64.clone() },
    }];
    assert_ne!(Redactor::new([]).unwrap().redact(&base64), base64, "it does have that shape");
    let kept = RunDir::create(dir.path(), run, &redactor()).unwrap().manifest().spec.clone();
    let source = &kept.agents[0].media[0].source;
    assert_eq!(*source, MediaSource::Inline { base64 });
}
