//! One writer a run, and none that outlives its process.

use massgen_log::{LogError, RunStatus, Writer, WriterOptions};
use massgen_protocol::EventBody;

use crate::fixture::{Fixture, redactor, write_all};
use crate::samples::one_of_each;

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let (fixture, _) = Fixture::with(one_of_each("x"));
    let first = fixture.resume();
    let refused = Writer::resume(&fixture.dir, redactor(), WriterOptions::default()).unwrap_err();
    assert!(
        matches!(refused, LogError::Locked { pid: Some(pid), .. } if pid == std::process::id())
    );
    let said = refused.to_string();
    assert!(said.contains(&fixture.dir.id().0), "{said}");
    drop(first);
    fixture.resume();
}

#[test]
fn a_lock_file_without_its_process_locks_nothing() {
    let fixture = Fixture::new();
    std::fs::write(fixture.dir.path().join("lock"), "4194304\n").unwrap();
    fixture.writer();
}

#[test]
fn a_log_is_begun_once() {
    let (fixture, appended) = Fixture::with(one_of_each("x"));
    let refused = Writer::create(&fixture.dir, redactor(), WriterOptions::default()).unwrap_err();
    assert!(matches!(refused, LogError::Io { .. }), "{refused}");
    assert_eq!(fixture.read(), appended);
}

#[test]
fn a_run_is_running_while_it_is_written() {
    let fixture = Fixture::new();
    let interrupted = RunStatus::Interrupted { resumable: true };
    assert_eq!(fixture.dir.status(), interrupted);
    let mut writer = fixture.writer();
    write_all(&mut writer, [EventBody::StopRequested]);
    assert_eq!(fixture.dir.status(), RunStatus::Running);
    drop(writer);
    assert_eq!(fixture.dir.status(), interrupted);
}

#[test]
fn looking_at_a_run_never_keeps_a_writer_out() {
    let fixture = Fixture::new();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    fixture.dir.status();
                }
            });
        }
        for _ in 0..20 {
            fixture.resume();
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
