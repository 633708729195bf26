//! Reading along.

use massgen_log::{Follower, Writer, WriterOptions};
use massgen_protocol::{Event, EventBody};

use crate::fixture::{Fixture, redactor, write_all};
use crate::samples::one_of_each;

#[test]
fn a_follower_sees_what_is_flushed_and_nothing_twice() {
    let fixture = Fixture::new();
    let mut follower = Follower::new(&fixture.dir, 0);
    assert_eq!(follower.poll().unwrap(), [], "the log is not begun");
    let mut writer = fixture.writer();
    assert_eq!(follower.poll().unwrap(), []);
    for text in ["a", "b", &"long ".repeat(1_000)] {
        let written = write_all(&mut writer, one_of_each(text));
        assert_eq!(follower.poll().unwrap(), written);
        assert_eq!(follower.poll().unwrap(), []);
    }
    assert_eq!(follower.next_seq(), writer.next_seq());
}

#[test]
fn a_follower_begins_where_it_is_told() {
    let (fixture, events) = Fixture::with(one_of_each(&"long ".repeat(1_000)));
    for from in [0, 1, 17, events.len(), events.len() + 5] {
        let mut follower = Follower::new(&fixture.dir, from as u64);
        assert_eq!(follower.poll().unwrap(), events[from.min(events.len())..], "from {from}");
    }
}

#[test]
fn half_a_line_is_waited_for() {
    let (fixture, events) = Fixture::with(one_of_each("x"));
    let whole = fixture.log();
    fixture.set_log(b"");
    let mut follower = Follower::new(&fixture.dir, 0);
    let mut seen: Vec<Event> = Vec::new();
    for cut in (0..whole.len()).step_by(7).chain([whole.len()]) {
        fixture.set_log(&whole[..cut]);
        seen.extend(follower.poll().unwrap());
        let n_lines = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(seen.len(), n_lines, "cut at byte {cut}");
    }
    assert_eq!(seen, events);
}

#[test]
fn a_resume_that_cuts_a_torn_line_does_not_disturb_a_follower() {
    let (fixture, mut events) = Fixture::with(one_of_each("x"));
    let mut torn = fixture.log();
    torn.extend_from_slice(
        b"{\"seq\":42,\"at\":1,\"type\":\"text_streamed\",\"call\":\"agent1#1.1\",\"te",
    );
    fixture.set_log(&torn);
    let mut follower = Follower::new(&fixture.dir, 0);
    assert_eq!(follower.poll().unwrap(), events);
    let mut resumed = fixture.resume();
    let added = write_all(&mut resumed.writer, one_of_each("y"));
    assert_eq!(follower.poll().unwrap(), added);
    events.extend(added);
    assert_eq!(fixture.read(), events);
}

#[test]
fn a_long_backlog_comes_in_batches() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    let body = EventBody::StopRequested;
    let written = write_all(&mut writer, std::iter::repeat_n(body, 2_500));
    let mut follower = Follower::new(&fixture.dir, 0);
    let mut seen = Vec::new();
    let mut n_polls = 0;
    loop {
        let batch = follower.poll().unwrap();
        if batch.is_empty() {
            break;
        }
        n_polls += 1;
        seen.extend(batch);
    }
    assert_eq!((seen, n_polls), (written, 3));
}

#[test]
fn garbage_is_named_and_not_passed_over() {
    let (fixture, events) = Fixture::with(one_of_each("x"));
    let mut log = fixture.log();
    log.extend_from_slice(b"garbage\n");
    fixture.set_log(&log);
    let mut follower = Follower::new(&fixture.dir, 0);
    for _ in 0..2 {
        let error = follower.poll().unwrap_err();
        assert_eq!(error.line, events.len() as u64 + 1);
    }
}

#[test]
fn another_thread_can_follow_a_writer() {
    let fixture = Fixture::new();
    let total = 2_000_u64;
    std::thread::scope(|scope| {
        let dir = &fixture.dir;
        let follow = scope.spawn(move || {
            let mut follower = Follower::new(dir, 0);
            let mut seen = Vec::new();
            while (seen.len() as u64) < total {
                seen.extend(follower.poll().unwrap());
                std::thread::yield_now();
            }
            seen
        });
        let mut writer =
            Writer::create(&fixture.dir, redactor(), WriterOptions::default()).unwrap();
        let bodies = one_of_each("x").into_iter().cycle().take(total as usize);
        let mut written = Vec::new();
        for body in bodies {
            written.extend(write_all(&mut writer, [body]));
        }
        assert_eq!(follow.join().unwrap(), written);
    });
}
