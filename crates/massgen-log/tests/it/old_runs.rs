//! Runs recorded by earlier versions stay readable for ever.
//!
//! `fixtures/runs/<version>/` holds one small run each. It is never changed; a
//! new version of a format adds a folder, written by
//! `MASSGEN_RECORD_FIXTURE=1 cargo test -p massgen-log old_runs`.

use std::path::{Path, PathBuf};

use massgen_log::{Reader, RunDir, Writer, WriterOptions};
use massgen_protocol::{EVENTS_VERSION, Event};

use crate::fixture::{Fixture, redactor, write_all};
use crate::kinds::kind_of;
use crate::samples::{KINDS, Parts, one_of_each, sample};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/runs")
}

/// What every recorded run holds: each kind of event, with a short text, then
/// with one long enough for payloads.
fn recorded_texts() -> [String; 2] {
    let long = "A longer text, which is kept as a payload. ".repeat(60);
    ["a short text — “quoted”".to_owned(), long]
}

#[test]
fn recorded_runs_of_every_version_are_read() {
    let current = fixtures().join(EVENTS_VERSION.to_string());
    if std::env::var_os("MASSGEN_RECORD_FIXTURE").is_some() && !current.exists() {
        record(&current);
    }
    let mut n_runs = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let dir = RunDir::open(&path).unwrap();
        let mut reader = Reader::open(&dir).unwrap();
        let events: Vec<Event> = reader.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!((reader.torn_at(), reader.skipped()), (None, 0), "{}", path.display());
        let lines = std::fs::read_to_string(dir.events_path()).unwrap().lines().count();
        assert_eq!(events.len(), lines, "{}", path.display());
        assert_eq!(dir.manifest().spec.question.text, "What is 6 × 7?");
        n_runs += 1;
    }
    assert!(current.is_dir(), "{} is recorded", current.display());
    assert!(n_runs >= 1);
}

/// The first version is what the samples were when it was recorded; this build
/// must still write and read the same.
#[test]
fn the_recorded_run_of_this_version_equals_what_is_written_today() {
    let dir = RunDir::open(&fixtures().join(EVENTS_VERSION.to_string())).unwrap();
    let recorded_events: Vec<Event> =
        Reader::open(&dir).unwrap().collect::<Result<_, _>>().unwrap();
    let texts = recorded_texts();
    let n_kinds = recorded_events.len() / texts.len();
    // Kinds that came later are not in it; those that are have not changed.
    assert!((1..=KINDS).contains(&n_kinds));
    for (n, event) in recorded_events.iter().enumerate() {
        let text = &texts[n / n_kinds];
        assert_eq!(event.body, sample(kind_of(&event.body), &Parts::plain(text)));
    }
}

fn record(target: &Path) {
    let fixture = Fixture::new();
    let mut writer = Writer::create(&fixture.dir, redactor(), WriterOptions::default()).unwrap();
    write_all(&mut writer, recorded_texts().iter().flat_map(|text| one_of_each(text)));
    assert_eq!(writer.close(), None);
    std::fs::create_dir_all(target.join("payloads")).unwrap();
    for file in ["manifest.json", "events.jsonl"] {
        std::fs::copy(fixture.dir.path().join(file), target.join(file)).unwrap();
    }
    for entry in std::fs::read_dir(fixture.dir.payloads_path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, target.join("payloads").join(path.file_name().unwrap())).unwrap();
    }
}
