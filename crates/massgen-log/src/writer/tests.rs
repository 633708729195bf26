//! What a full disk does. The device `/dev/full` takes no byte; a writer gets it
//! in place of its own file, which only this module can do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::SystemTime;

use massgen_protocol::{Policy, RunSpec};

use super::*;
use crate::{NewRun, RunStatus};

struct Run {
    _state: tempfile::TempDir,
    dir: RunDir,
    writer: Writer,
}

fn start() -> Run {
    let state = tempfile::tempdir().unwrap();
    let redactor = Arc::new(Redactor::new(["hush-7f3a91"]).unwrap());
    let spec = RunSpec::new("why?", Vec::new(), Policy::default());
    let new = NewRun {
        started_at: SystemTime::UNIX_EPOCH,
        build: "massgen 0.1.0".to_owned(),
        config_path: None,
        cwd: "/".to_owned(),
        spec,
    };
    let dir = RunDir::create(state.path(), new, &redactor).unwrap();
    let writer = Writer::create(&dir, redactor, WriterOptions::default()).unwrap();
    Run { _state: state, dir, writer }
}

fn note(text: &str) -> EventBody {
    EventBody::InputIgnored { why: text.to_owned() }
}

fn read(dir: &RunDir) -> Vec<Event> {
    Reader::open(dir).unwrap().collect::<Result<_, _>>().unwrap()
}

fn fill_disk(writer: &mut Writer) {
    writer.events = File::options().write(true).open("/dev/full").unwrap();
}

#[test]
fn a_full_disk_ends_recording_but_not_the_run() {
    let mut run = start();
    let kept = run.writer.append(Millis(0), note("before"));
    run.writer.flush();
    fill_disk(&mut run.writer);
    run.writer.append(Millis(1), note("lost"));
    assert!(run.writer.works(), "nothing was tried yet");
    run.writer.flush();
    assert!(!run.writer.works());

    let message = run.writer.take_failure().unwrap();
    assert!(message.starts_with("failed to write events.jsonl in"), "{message}");
    assert_eq!(run.writer.take_failure(), None);

    // Events go on being numbered and redacted, and nothing piles up.
    let after = run.writer.append(Millis(2), note("the key is hush-7f3a91"));
    assert_eq!((after.seq, after.body), (2, note("the key is [redacted]")));
    run.writer.flush();
    assert!(run.writer.buffer.is_empty());

    // Space that comes back later would only leave a hole.
    run.writer.events = File::options().append(true).open(run.dir.events_path()).unwrap();
    run.writer.append(Millis(3), note("later"));
    run.writer.flush();
    drop(run.writer);
    assert_eq!(read(&run.dir), [kept]);
    assert_eq!(run.dir.status(), RunStatus::Interrupted { resumable: false });
}

#[test]
fn a_writer_that_nobody_flushes_writes_before_it_grows_large() {
    let mut run = start();
    let text = "x".repeat(1_000);
    for _ in 0..3_000 {
        run.writer.append(Millis(0), note(&text));
        assert!(run.writer.buffer.len() <= BUFFER_MAX + 2_000);
    }
    let on_disk = read(&run.dir).len();
    assert!((2_000..3_000).contains(&on_disk), "{on_disk}");
    drop(run.writer);
    assert_eq!(read(&run.dir).len(), 3_000);
}

#[test]
fn a_sync_that_fails_is_told_of() {
    let mut run = start();
    // A device cannot be synced as a file can.
    let device = File::options().write(true).open("/dev/full").unwrap();
    run.writer.syncer = Syncer::start(device).unwrap();
    run.writer.append(Millis(0), note("x"));
    run.writer.finish();
    let message = run.writer.take_failure().unwrap();
    assert!(message.starts_with("failed to sync events.jsonl"), "{message}");
}
