//! Large values.

use std::path::PathBuf;

use massgen_log::{ReadProblem, Reader};
use massgen_protocol::{
    AgentIndex, EventBody, Kept, Media, MediaKind, MediaSource, Millis, RoundId, ToolCallId,
};

use crate::fixture::{Fixture, write_all};
use crate::samples::{Parts, one_of_each, sample};

const ANSWER: usize = 16;
const TURN: usize = 11;

fn payload_files(fixture: &Fixture) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(fixture.dir.payloads_path()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn answer(text: &str) -> EventBody {
    sample(ANSWER, &Parts::plain(text))
}

#[test]
fn values_above_the_bound_leave_their_line() {
    for (len, n_payloads) in [(2_048, 0), (2_049, 1)] {
        let text = "x".repeat(len);
        let (fixture, appended) = Fixture::with([answer(&text)]);
        assert_eq!(payload_files(&fixture).len(), n_payloads, "{len} bytes");
        let EventBody::AnswerSubmitted { text: kept, .. } = &appended[0].body else { panic!() };
        assert_eq!(kept.text(), text, "in memory the value is at hand");
        assert_eq!(fixture.read(), appended);
    }
}

#[test]
fn a_picture_and_a_long_text_of_one_tool_are_two_payloads() {
    let picture = Media {
        kind: MediaKind::Image,
        media_type: "image/png".to_owned(),
        name: Some("sky.png".to_owned()),
        source: MediaSource::Inline { base64: "aGk=".repeat(2_000) },
    };
    let (fixture, appended) = Fixture::with([EventBody::ToolFinished {
        round: RoundId { agent: AgentIndex(0), n: 1 },
        id: ToolCallId("c1".to_owned()),
        name: "read_media".to_owned(),
        output: "a picture ".repeat(400).into(),
        is_error: false,
        media: Some(Kept::inline(vec![picture])),
    }]);
    assert_eq!(payload_files(&fixture).len(), 2);
    assert_eq!(fixture.read(), appended);
}

#[test]
fn equal_values_share_a_file() {
    let text = "the same answer, again and again. ".repeat(100);
    let (fixture, appended) = Fixture::with([answer(&text), answer(&text)]);
    assert_eq!(payload_files(&fixture).len(), 1);
    // Also over a resume.
    let mut resumed = fixture.resume();
    let added = write_all(&mut resumed.writer, [answer(&text)]);
    assert_eq!(payload_files(&fixture).len(), 1);
    assert_eq!(fixture.read(), [appended, added].concat());
}

#[test]
fn a_payload_is_there_before_the_line_that_names_it() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    writer.append(Millis(0), answer(&"x".repeat(5_000)));
    assert_eq!((fixture.log().len(), payload_files(&fixture).len()), (0, 1));
    writer.flush();
    assert_eq!(fixture.read().len(), 1);
}

#[test]
fn a_missing_or_broken_payload_is_named() {
    for kind in [ANSWER, TURN] {
        let parts = Parts::plain(&"a long text. ".repeat(400));
        let (fixture, appended) = Fixture::with([one_of_each("x").remove(0), sample(kind, &parts)]);
        let file = payload_files(&fixture).remove(0);
        let content = std::fs::read(&file).unwrap();
        let error = || {
            let mut reader = Reader::open(&fixture.dir).unwrap();
            assert_eq!(reader.next().unwrap().unwrap(), appended[0]);
            let error = reader.next().unwrap().unwrap_err();
            assert_eq!(error.line, 2);
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(error.to_string().contains(name), "{error}");
            assert!(error.hint().contains(name), "{}", error.hint());
            error.problem
        };

        let mut flipped = content.clone();
        flipped[content.len() / 2] ^= 0x10;
        let longer = [content.as_slice(), b"more"].concat();
        for broken in [&flipped[..], &content[..content.len() - 5], b"", b"\xff\xff\xff"] {
            std::fs::write(&file, broken).unwrap();
            assert!(matches!(error(), ReadProblem::PayloadCorrupt { .. }));
        }
        std::fs::write(&file, longer).unwrap();
        assert_eq!(
            fixture.read(),
            appended,
            "what follows the content's own end is not its content"
        );
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(error(), ReadProblem::PayloadMissing { .. }));
    }
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let (fixture, _) = Fixture::with([answer("short")]);
    let secret = fixture.dir.path().join("manifest.json");
    assert!(secret.exists());
    let line = String::from_utf8(fixture.log()).unwrap();
    let line = line.replace(r#""short""#, r#"{"payload":"../manifest.json","bytes":10}"#);
    fixture.set_log(line.as_bytes());
    let error = Reader::open(&fixture.dir).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error.problem, ReadProblem::PayloadCorrupt { .. }), "{error}");
}

#[test]
fn a_payload_does_not_unpack_to_more_than_its_length() {
    let (fixture, _) = Fixture::with([answer(&"x".repeat(2_000_000))]);
    let file = payload_files(&fixture).remove(0);
    assert!(std::fs::metadata(file).unwrap().len() < 10_000);
    let line = String::from_utf8(fixture.log()).unwrap();
    fixture.set_log(line.replace("2000000", "10").as_bytes());
    let error = Reader::open(&fixture.dir).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("11 of 10 bytes"), "{error}");
}

#[test]
fn a_payload_cut_by_a_power_failure_is_written_again() {
    let text = "worth keeping. ".repeat(300);
    let (fixture, _) = Fixture::with([answer(&text)]);
    let file = payload_files(&fixture).remove(0);
    std::fs::write(&file, b"").unwrap();
    fixture.set_log(b"");
    let mut resumed = fixture.resume();
    let added = write_all(&mut resumed.writer, [answer(&text)]);
    assert_eq!(fixture.read(), added);
}

#[test]
fn what_a_killed_process_was_writing_is_cleared_away() {
    let (fixture, _) = Fixture::with([answer(&"x".repeat(3_000))]);
    let unfinished = fixture.dir.payloads_path().join(".abc.99-1.tmp");
    std::fs::write(&unfinished, "half").unwrap();
    fixture.resume();
    assert!(!unfinished.exists());
    assert_eq!(payload_files(&fixture).len(), 1);
}

#[test]
fn runs_side_by_side_keep_their_payloads_apart_and_whole() {
    let state = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer_n in 0..4 {
            let state = state.path();
            scope.spawn(move || {
                let dir = crate::fixture::create(state);
                let mut writer = massgen_log::Writer::create(
                    &dir,
                    crate::fixture::redactor(),
                    massgen_log::WriterOptions::default(),
                )
                .unwrap();
                let texts = (0..40).map(|n| format!("{writer_n} {} ", n % 20).repeat(1_000));
                let appended = write_all(&mut writer, texts.map(|text| answer(&text)));
                drop(writer);
                let read: Vec<_> = Reader::open(&dir).unwrap().collect::<Result<_, _>>().unwrap();
                assert_eq!(read, appended);
                assert_eq!(std::fs::read_dir(dir.payloads_path()).unwrap().count(), 20);
            });
        }
    });
}

#[test]
fn an_event_that_is_appended_as_a_payload_stays_one() {
    // Nobody at hand has the value; the name is all there is to write.
    let (fixture, _) = Fixture::with([answer(&"x".repeat(5_000))]);
    let line = String::from_utf8(fixture.log()).unwrap();
    let event: massgen_protocol::Event = serde_json::from_str(line.trim_end()).unwrap();
    let EventBody::AnswerSubmitted { text, .. } = &event.body else { panic!() };
    assert!(matches!(text, Kept::Payload { bytes: 5_000, .. }));
    let mut resumed = fixture.resume();
    write_all(&mut resumed.writer, [event.body]);
    let read = fixture.read();
    assert_eq!(read[0].body, read[1].body);
}
