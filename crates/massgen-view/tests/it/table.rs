//! The run as a text table.

use massgen_protocol::{AgentCard, AgentId, AgentIndex, Event, EventBody, Millis, Outcome, RunId};
use massgen_view::{RunView, coordination_table, coordination_table_within};

use crate::script::{ADA, Script, answer, three_votes};

#[test]
fn a_small_team_stands_side_by_side() {
    let mut script = Script::consensus();
    let (winner, basis) = (answer(ADA, 2), three_votes());
    script.end(Outcome::Answered { winner, basis, presented: true });
    insta::assert_snapshot!(coordination_table(&script.view));
}

#[test]
fn a_large_team_is_listed() {
    let mut view = RunView::default();
    let card = |n: u16| AgentCard {
        id: AgentId(format!("member-{n}")),
        alias: AgentIndex(n),
        model: "m".to_owned(),
        backend: "scripted".to_owned(),
    };
    let agents = (0..6).map(card).collect();
    let run = RunId("20261123-220101-ab12".to_owned());
    let started = EventBody::RunStarted { run, build: "massgen 0.1.0".to_owned(), agents };
    let failed =
        EventBody::AgentFailed { agent: AgentIndex(5), failures: 1, max: 3, backoff_ms: 2_000 };
    for (seq, body) in (0..).zip([started, failed, EventBody::InterruptRequested]) {
        view.apply(&Event { seq, at: Millis(seq * 61_500), body });
    }
    insta::assert_snapshot!(coordination_table(&view));
}

#[test]
fn a_run_that_has_not_begun_has_an_empty_table() {
    insta::assert_snapshot!(coordination_table(&RunView::default()));
}

#[test]
fn a_table_keeps_within_its_terminal() {
    let mut script = Script::consensus();
    let (winner, basis) = (answer(ADA, 2), three_votes());
    script.end(Outcome::Answered { winner, basis, presented: true });
    for columns in [0, 40, 60, 80, 100, 500] {
        let table = coordination_table_within(&script.view, columns);
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns.max(40)), "{columns}: {widest:?}\n{table}");
        assert!(table.contains("integral"), "{table}");
    }
    let narrow = coordination_table_within(&script.view, 60);
    assert!(narrow.contains("who"), "three columns do not fit, so they are listed: {narrow}");
}
