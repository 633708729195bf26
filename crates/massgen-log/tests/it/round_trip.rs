//! What is written is read back, whatever it is.

use std::collections::BTreeSet;

use massgen_protocol::Millis;
use proptest::prelude::*;

use crate::fixture::{Fixture, write_all};
use crate::kinds::kind_of;
use crate::samples::{KINDS, any_body, one_of_each};

#[test]
fn there_is_a_sample_of_every_kind() {
    let samples = one_of_each("x");
    let kinds: BTreeSet<usize> = samples.iter().map(kind_of).collect();
    assert_eq!(kinds, (0..KINDS).collect());
}

#[test]
fn every_kind_is_read_back_as_it_was_appended() {
    let texts =
        ["", "plain", "\"quotes\" \\ and \u{0}\u{1b}\n\t control", "π 漢字 👩‍🚀", "{\"seq\":9}"];
    // Twice the bound of a line, so that payloads are among them.
    let long = "All work and no play. ".repeat(200);
    for text in texts.into_iter().chain([long.as_str()]) {
        let (fixture, appended) = Fixture::with(one_of_each(text));
        assert_eq!(fixture.read(), appended, "{text:.20}");
    }
}

#[test]
fn a_text_that_looks_like_a_payload_stays_a_text() {
    let text = r#"{"payload":"aa","bytes":2}"#;
    let (fixture, appended) = Fixture::with(one_of_each(text));
    assert_eq!(fixture.read(), appended);
}

#[test]
fn nothing_is_written_before_the_flush_and_all_of_it_by_one() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    for body in one_of_each("x") {
        writer.append(Millis(5), body);
    }
    assert_eq!(fixture.log().len(), 0);
    writer.flush();
    assert_eq!(fixture.read().len(), KINDS);
}

#[test]
fn a_dropped_writer_has_written_everything() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    let event = writer.append(Millis(5), one_of_each("x").remove(0));
    drop(writer);
    assert_eq!(fixture.read(), [event]);
}

#[test]
fn a_closed_writer_has_nothing_to_complain_about() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    write_all(&mut writer, one_of_each("x"));
    assert!(writer.works());
    assert_eq!(writer.close(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_events_are_read_back(bodies in prop::collection::vec(any_body(), 0..30)) {
        let (fixture, appended) = Fixture::with(bodies);
        prop_assert_eq!(fixture.read(), appended);
    }
}
