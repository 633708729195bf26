//! Logs that were cut, overwritten or mixed up.

use massgen_log::{LogError, ReadError, ReadProblem, Reader, Writer, WriterOptions};
use massgen_protocol::{Event, EventBody};

use crate::fixture::{Fixture, redactor, write_all};
use crate::samples::one_of_each;

fn first_error(fixture: &Fixture) -> (Vec<Event>, ReadError) {
    let mut events = Vec::new();
    for event in Reader::open(&fixture.dir).unwrap() {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, error),
        }
    }
    panic!("the log is read without an error");
}

#[test]
fn a_log_cut_at_any_byte_yields_the_events_before_and_goes_on_from_there() {
    // Every third kind, among them a model's turn; more would only take longer.
    let bodies = one_of_each("π — “x”").into_iter().skip(2).step_by(3);
    let (fixture, appended) = Fixture::with(bodies);
    let whole = fixture.log();
    let mut ends = vec![0];
    ends.extend(whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
    for cut in 0..=whole.len() {
        fixture.set_log(&whole[..cut]);
        let n_whole = ends.iter().filter(|&&end| end <= cut).count() - 1;

        let mut reader = Reader::open(&fixture.dir).unwrap();
        let read: Vec<Event> = reader.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!(read, appended[..n_whole], "cut at byte {cut}");
        let torn_at = (cut > ends[n_whole]).then_some(ends[n_whole] as u64);
        assert_eq!(reader.torn_at(), torn_at, "cut at byte {cut}");
    }
}

#[test]
fn a_resumed_log_has_no_torn_line_and_no_gap() {
    let (fixture, appended) = Fixture::with(one_of_each("x"));
    let whole = fixture.log();
    // Every place within a line, its ends included.
    let lines: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1)
        .collect();
    for cut in lines[23]..=lines[24] {
        fixture.set_log(&whole[..cut]);
        let mut resumed = fixture.resume();
        let n_whole = lines.iter().filter(|&&end| end <= cut).count();
        assert_eq!(resumed.events, appended[..n_whole], "cut at byte {cut}");
        assert_eq!(resumed.torn_bytes as usize, cut - lines[n_whole - 1], "cut at byte {cut}");

        let resumed_by = EventBody::RunResumed { build: "massgen 0.1.0".to_owned() };
        let added = write_all(&mut resumed.writer, [resumed_by]);
        assert_eq!(added[0].seq as usize, n_whole, "cut at byte {cut}");
        drop(resumed);
        assert_eq!(fixture.read(), [&appended[..n_whole], &added[..]].concat());
    }
}

#[test]
fn a_run_without_a_single_event_is_resumed_from_nothing() {
    let fixture = Fixture::new();
    assert_eq!(fixture.read(), []);
    let mut resumed = fixture.resume();
    assert_eq!((resumed.events.len(), resumed.torn_bytes), (0, 0));
    let added = write_all(&mut resumed.writer, one_of_each("x"));
    assert_eq!(added[0].seq, 0);
    assert_eq!(fixture.read(), added);
}

#[test]
fn garbage_in_the_middle_is_named_with_its_place_and_a_remedy() {
    let garbage: [&[u8]; 7] = [
        b"",
        b"not json",
        b"{}",
        b"null",
        b"\0\0\0\0",
        b"\xff\xfe\xfd",
        b"{\"seq\":4,\"at\":0,\"type\":\"dance\"}",
    ];
    for garbage in garbage {
        let (fixture, appended) = Fixture::with(one_of_each("x"));
        let log = fixture.log();
        let lines: Vec<&[u8]> = log.split_inclusive(|&byte| byte == b'\n').collect();
        let (before, after) = (lines[..4].concat(), lines[5..].concat());
        fixture.set_log(&[before.as_slice(), garbage, b"\n", &after].concat());

        let (events, error) = first_error(&fixture);
        assert_eq!(events, appended[..4]);
        assert_eq!((error.line, error.offset as usize), (5, before.len()));
        assert!(matches!(error.problem, ReadProblem::NotAnEvent(_)), "{error}");
        let said = error.to_string();
        assert!(said.contains("events.jsonl") && said.contains("line 5"), "{said}");
        assert!(
            error.hint().contains(&format!("truncate --size {}", before.len())),
            "{}",
            error.hint()
        );

        // The remedy works: the log goes on from there.
        fixture.set_log(&before);
        assert_eq!(fixture.resume().events, appended[..4]);
    }
}

#[test]
fn a_torn_line_that_something_follows_is_an_error_and_nothing_is_cut() {
    let (fixture, appended) = Fixture::with(one_of_each("x"));
    let log = fixture.log();
    let lines: Vec<&[u8]> = log.split_inclusive(|&byte| byte == b'\n').collect();
    let torn = [&lines[..2].concat(), &lines[2][..10], b"\n", &lines[3..].concat()].concat();
    fixture.set_log(&torn);
    let (events, error) = first_error(&fixture);
    assert_eq!((events.as_slice(), error.line), (&appended[..2], 3));

    let refused = Writer::resume(&fixture.dir, redactor(), WriterOptions::default()).unwrap_err();
    assert!(matches!(refused, LogError::Read(_)), "{refused}");
    assert_eq!(fixture.log(), torn);
}

#[test]
fn missing_and_repeated_lines_are_out_of_order() {
    let (fixture, _) = Fixture::with(one_of_each("x"));
    let log = fixture.log();
    let lines: Vec<&[u8]> = log.split_inclusive(|&byte| byte == b'\n').collect();
    let without_third = [lines[..2].concat(), lines[3..].concat()].concat();
    let twice_third = [lines[..3].concat(), lines[2..].concat()].concat();
    for (log, line, expected, found) in [(without_third, 3, 2, 3), (twice_third, 4, 3, 2)] {
        fixture.set_log(&log);
        let (_, error) = first_error(&fixture);
        assert_eq!(error.line, line);
        let problem = format!("event {found} where event {expected} belongs");
        assert!(error.to_string().ends_with(&problem), "{error}");
    }
}

#[test]
fn a_reader_ends_after_an_error() {
    let (fixture, _) = Fixture::with(one_of_each("x"));
    let log = fixture.log();
    fixture.set_log(&[b"garbage\n".as_slice(), &log].concat());
    let mut reader = Reader::open(&fixture.dir).unwrap();
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}
