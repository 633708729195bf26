//! What is kept does not grow for ever.

use massgen_protocol::{EventBody, RoundKind, TextChannel};
use massgen_view::CellBody;

use crate::script::{ADA, Script, call};

const MIB: usize = 1024 * 1024;

fn kept_bytes(script: &Script) -> usize {
    let cells = script.view.agent(ADA).unwrap().transcript.cells();
    cells
        .map(|cell| match &cell.body {
            CellBody::Text { text, .. } => text.len(),
            _ => 0,
        })
        .sum()
}

#[test]
fn a_long_text_loses_its_beginning_and_keeps_its_end() {
    let mut script = Script::start();
    let mut n_bytes = 0;
    for n in 0..20_000 {
        let text = format!("{n} is a number of which nothing else is known, so here is more. ");
        n_bytes += text.len();
        let channel = TextChannel::Text;
        script.push(EventBody::TextStreamed { call: call(ADA, 1), channel, text });
    }
    assert!(n_bytes > MIB);
    let kept = kept_bytes(&script);
    assert!(kept <= MIB / 4 && kept > MIB / 5, "{kept} bytes");
    let transcript = &script.view.agent(ADA).unwrap().transcript;
    assert!(transcript.dropped() > 50, "{}", transcript.dropped());
    let CellBody::Text { text, .. } = &transcript.cells().last().unwrap().body else { panic!() };
    assert!(text.contains("19999 is a number"));
}

#[test]
fn one_huge_piece_is_kept_until_the_next() {
    let mut script = Script::start();
    let huge = "x".repeat(3 * MIB);
    for text in [huge.as_str(), "y"] {
        let (channel, text) = (TextChannel::Text, text.to_owned());
        script.push(EventBody::TextStreamed { call: call(ADA, 1), channel, text });
    }
    assert_eq!(kept_bytes(&script), 1);
}

#[test]
fn many_small_cells_rows_and_notices_are_bounded_and_counted() {
    let mut script = Script::start();
    for n in 0..12_000 {
        script.open(ADA, n, RoundKind::Coordinate, 0);
        let what = format!("number {n}");
        script.push(EventBody::ProviderNotice { call: call(ADA, n), what });
    }
    let view = &script.view;
    let transcript = &view.agent(ADA).unwrap().transcript;
    // One round of its own at the start.
    let n_cells = 24_001;
    assert_eq!(transcript.cells().len(), 1_000);
    assert_eq!(transcript.dropped(), n_cells - 1_000);
    assert_eq!(view.timeline.rows().len(), 10_000);
    assert_eq!(view.timeline.dropped(), 12_003 - 10_000);
    let (notices, dropped) = view.notices();
    assert_eq!((notices.count(), dropped), (200, 12_000 - 200));
}
