//! Disks that refuse. What a full disk does is tested beside the writer, which
//! can be given one.

use massgen_log::{LogError, RunStatus, Writer, WriterOptions};

use crate::fixture::{Fixture, redactor, write_all};
use crate::samples::one_of_each;

#[test]
fn a_run_whose_folder_is_taken_away_goes_on_in_memory_and_says_so_once() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    let before = write_all(&mut writer, one_of_each("x"));
    assert_eq!(writer.take_failure(), None);
    std::fs::remove_dir_all(fixture.dir.path()).unwrap();

    // Lines still go to the file that nobody can see; a payload finds no folder.
    let after = write_all(&mut writer, one_of_each(&"long ".repeat(1_000)));
    assert_eq!(after[0].seq, before.len() as u64);
    assert_eq!(after.len(), one_of_each("x").len());
    assert!(!writer.works());
    let message = writer.take_failure().unwrap();
    assert!(message.starts_with("failed to write a payload"), "{message}");
    assert_eq!(writer.take_failure(), None);
    write_all(&mut writer, one_of_each(&"long ".repeat(1_000)));
    assert_eq!(writer.close(), None, "told once is enough");
}

#[test]
fn a_run_whose_payloads_cannot_be_written_is_marked_and_not_resumed() {
    let fixture = Fixture::new();
    std::fs::remove_dir(fixture.dir.payloads_path()).unwrap();
    std::fs::write(fixture.dir.payloads_path(), "not a folder").unwrap();
    let mut writer = fixture.writer();
    let (mut kept, long) = (one_of_each("x"), one_of_each(&"long ".repeat(1_000)));
    let kept = write_all(&mut writer, kept.drain(..));
    write_all(&mut writer, long);
    drop(writer);

    assert_eq!(fixture.dir.status(), RunStatus::Finished { outcome: outcome_of(&kept) });
    // What was written before stays readable, and nothing follows that leaves a gap.
    let read = fixture.read();
    assert_eq!(read[..kept.len()], kept);
    let refused = Writer::resume(&fixture.dir, redactor(), WriterOptions::default()).unwrap_err();
    assert!(matches!(refused, LogError::RecordingFailed { .. }), "{refused}");
}

fn outcome_of(events: &[massgen_protocol::Event]) -> massgen_protocol::Outcome {
    let outcome = events.iter().find_map(|event| match &event.body {
        massgen_protocol::EventBody::TurnFinished { outcome } => Some(outcome.clone()),
        _ => None,
    });
    outcome.unwrap()
}
