//! Runs recorded by earlier versions stay readable for ever.
//!
//! `fixtures/runs/<version>/` holds one small run each. It is never changed; a
//! new version of a format adds a folder, written by
//! `MASSGEN_RECORD_FIXTURE=1 cargo test -p massgen-log old_runs`.

use std::path::{Path, PathBuf};

use massgen_log::{Reader, RunDir, Writer, WriterOptions};
use massgen_protocol::{EVENTS_VERSION, Event};

use crate::fixture::{Fixture, redactor, write_all};
use crate::samples::{KINDS, kind_of, one_of_each};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/runs")
}

/// What every recorded run holds: each kind of event, with a short text, then
/// with one long enough for payloads.
fn recorded() -> Vec<massgen_protocol::EventBody> {
    let long = "A longer text, which is kept as a payload. ".repeat(60);
    [one_of_each("a short text — “quoted”"), one_of_each(&long)].concat()
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
        assert_eq!(events.len(), 2 * KINDS, "{}", path.display());
        for (event, kind) in events.iter().zip((0..KINDS).cycle()) {
            assert_eq!(kind_of(&event.body), kind, "{} event {}", path.display(), event.seq);
        }
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
    let (_, written) = Fixture::with(recorded());
    assert_eq!(recorded_events, written);
}

fn record(target: &Path) {
    let fixture = Fixture::new();
    let mut writer = Writer::create(&fixture.dir, redactor(), WriterOptions::default()).unwrap();
    write_all(&mut writer, recorded());
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
