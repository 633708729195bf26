//! Whatever comes, in whatever order: no panic, and what is said stays true.

use massgen_protocol::{Event, Millis, Outcome};
use massgen_view::{RunView, StatusContext, coordination_table, status_json};
use proptest::prelude::*;

use crate::samples::{any_body, one_of_each};

fn check(view: &RunView) {
    for (voter, ballot) in view.votes.ballots() {
        assert_eq!(*voter, ballot.voter);
        assert!(view.agent(*voter).is_some(), "only members vote");
    }
    let current: Vec<_> = view.votes.current_answers().map(|answer| answer.id.agent).collect();
    let mut unique = current.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), current.len(), "one current answer an agent");

    let status = status_json(view, &StatusContext::default());
    let is_failed = matches!(view.outcome, Some(Outcome::Failed { .. }));
    assert_eq!(status["is_complete"], is_failed, "without its file no answer is complete");
    let percent = status["coordination"]["completion_percentage"].as_u64().unwrap();
    assert!(percent < 100 || is_failed);
    coordination_table(view);
}

proptest! {
    #[test]
    fn any_events_in_any_order(
        bodies in prop::collection::vec((any_body(), 0..3_u64, 0..5_000_u64), 0..120),
    ) {
        let mut view = RunView::default();
        let mut seq = 0_u64;
        for (body, gap, at) in bodies {
            // Gaps of 0 and 1 repeat or continue; 2 leaves one out.
            seq += gap;
            view.apply(&Event { seq, at: Millis(at), body });
            check(&view);
        }
    }
}

#[test]
fn every_kind_comes_before_any_roster() {
    let mut view = RunView::default();
    // The first kind is the roster itself.
    for (seq, body) in (0..).zip(one_of_each("x").into_iter().skip(1)) {
        view.apply(&Event { seq, at: Millis(seq), body });
        check(&view);
    }
    assert!(view.misplaced > 0);
    assert_eq!(view.agents, []);
}

#[test]
fn the_last_event_of_all_is_taken() {
    let mut view = RunView::default();
    let body = massgen_protocol::EventBody::InterruptRequested;
    for seq in [u64::MAX, u64::MAX, 0] {
        view.apply(&Event { seq, at: Millis(u64::MAX), body: body.clone() });
    }
    assert_eq!(view.last_seq, Some(u64::MAX));
    assert_eq!(view.timeline.rows().count(), 2);
}
