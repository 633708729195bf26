//! Runs of other builds.

use massgen_log::{LogError, Reader, RunDir, Writer, WriterOptions};
use serde_json::json;

use crate::fixture::{Fixture, redactor};
use crate::samples::one_of_each;

#[test]
fn a_newer_major_is_refused_with_the_build_that_can_read_it() {
    for (part, file) in [("version", "manifest.json"), ("events", "events.jsonl")] {
        let (mut fixture, _) = Fixture::with(one_of_each("x"));
        fixture.edit_manifest(|manifest| {
            manifest[part] = json!({ "major": 2, "minor": 3 });
            manifest["build"] = json!("massgen 9.1.0");
            // What else is in it may have changed.
            manifest["spec"] = json!("moved to another file");
        });
        let error = RunDir::open(fixture.dir.path()).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(file) && said.contains("2.3") && said.contains("1.0"), "{said}");
        assert_eq!(error.hint().unwrap(), "use massgen 9.1.0 or newer, which wrote it");
    }
}

#[test]
fn facts_of_a_newer_minor_are_passed_over_and_counted() {
    let (mut fixture, appended) = Fixture::with(one_of_each("x"));
    let log = String::from_utf8(fixture.log()).unwrap();
    let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
    lines[5] = r#"{"seq":5,"at":5000,"type":"tea_served","cups":3}"#.to_owned();
    lines[6] = lines[6].replace('}', r#","sugar":2}"#);
    fixture.set_log((lines.join("\n") + "\n").as_bytes());

    // For this version it is garbage.
    assert!(Reader::open(&fixture.dir).unwrap().any(|event| event.is_err()));

    fixture.edit_manifest(|manifest| {
        manifest["events"] = json!({ "major": 1, "minor": 7 });
        manifest["version"] = json!({ "major": 1, "minor": 7 });
        manifest["mood"] = json!("sunny");
    });
    let mut reader = Reader::open(&fixture.dir).unwrap();
    let read: Vec<_> = reader.by_ref().collect::<Result<_, _>>().unwrap();
    assert_eq!(reader.skipped(), 1);
    assert_eq!(read, [&appended[..5], &appended[6..]].concat());
}

#[test]
fn garbage_is_garbage_in_a_newer_minor_too() {
    let (mut fixture, _) = Fixture::with(one_of_each("x"));
    let log = fixture.log();
    fixture.set_log(&[b"garbage\n".as_slice(), &log].concat());
    fixture.edit_manifest(|manifest| manifest["events"] = json!({ "major": 1, "minor": 7 }));
    assert!(Reader::open(&fixture.dir).unwrap().next().unwrap().is_err());
}

#[test]
fn a_run_of_a_newer_minor_is_shown_but_not_resumed() {
    let (mut fixture, appended) = Fixture::with(one_of_each("x"));
    fixture.edit_manifest(|manifest| manifest["events"] = json!({ "major": 1, "minor": 7 }));
    assert_eq!(fixture.read(), appended);
    let error = Writer::resume(&fixture.dir, redactor(), WriterOptions::default()).unwrap_err();
    assert!(matches!(error, LogError::NewerFormat { .. }), "{error}");
}

#[test]
fn broken_manifests_are_named() {
    let fixture = Fixture::new();
    let path = fixture.dir.path().join("manifest.json");
    for text in ["", "{", "[]", "{\"version\":1}", "null"] {
        std::fs::write(&path, text).unwrap();
        let error = RunDir::open(fixture.dir.path()).unwrap_err();
        assert!(matches!(error, LogError::BadManifest { .. }), "{text}: {error}");
        assert!(error.to_string().contains("manifest.json"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = RunDir::open(fixture.dir.path()).unwrap_err();
    assert!(matches!(error, LogError::NotARun { .. }), "{error}");
}
