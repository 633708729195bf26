//! What the coordinator answers when it is asked. What it decides is tested in `tests/it`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use massgen_protocol::{Review, Submission};

use super::*;

const NOW: Millis = Millis(0);

/// Lets an agent answer in its open round, and stores the answer.
fn answer(coordinator: &mut Coordinator, agent: u16, text: &str) -> AnswerId {
    let agent = AgentIndex(agent);
    let round = coordinator.agents[agent.at()].state.open_round().unwrap();
    let answer = coordinator.agents[agent.at()].next_answer(agent);
    let seen = Epoch(0);
    let submission = Submission::NewAnswer { text: text.into() };
    let _ = coordinator.step(NOW, Input::Submitted { round, seen, submission });
    assert_eq!(coordinator.freezing_answers(), [answer]);
    let snapshot = Some(SnapshotId(format!("tree of {answer}")));
    let _ = coordinator.step(NOW, Input::SnapshotTaken { answer, snapshot });
    answer
}

fn begun(n_agents: u16, policy: Policy) -> Coordinator {
    let mut coordinator = Coordinator::new(n_agents, policy, 0);
    let _ = coordinator.step(NOW, Input::Begin);
    coordinator
}

fn printed(answers: &[AnswerId]) -> String {
    answers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_viewer_begins_elsewhere_and_sees_the_answers_of_its_epoch() {
    let mut coordinator = begun(3, Policy::default());
    let viewers = [0, 1, 2].map(AgentIndex);
    let views = |coordinator: &Coordinator, epoch| {
        viewers.map(|viewer| printed(&coordinator.answers_in_view(viewer, Epoch(epoch))))
    };
    assert_eq!(views(&coordinator, 0), ["", "", ""]);
    answer(&mut coordinator, 1, "4");
    answer(&mut coordinator, 0, "5");
    answer(&mut coordinator, 2, "6");
    answer(&mut coordinator, 1, "7");
    assert_eq!(views(&coordinator, 0), ["", "", ""]);
    assert_eq!(views(&coordinator, 1), ["agent2.1", "agent2.1", "agent2.1"]);
    assert_eq!(
        views(&coordinator, 3),
        ["agent2.1 agent3.1 agent1.1", "agent3.1 agent1.1 agent2.1", "agent1.1 agent2.1 agent3.1"]
    );
    assert_eq!(
        views(&coordinator, 4),
        ["agent2.2 agent3.1 agent1.1", "agent3.1 agent1.1 agent2.2", "agent1.1 agent2.2 agent3.1"]
    );
    assert_eq!(printed(&coordinator.newest_answers()), "agent1.1 agent2.2 agent3.1");
}

#[test]
fn answers_are_kept_with_text_and_snapshot_beyond_their_attempt() {
    let policy = Policy { restarts_max: 1, ..Policy::default() };
    let mut coordinator = begun(1, policy);
    let first = answer(&mut coordinator, 0, "4");
    assert_eq!(coordinator.restart_notes(), None);
    let round = coordinator.open_rounds()[0];
    assert_eq!(coordinator.kind_of_open(round), Some(RoundKind::Review));
    let review = Review::Restart { reason: "wrong unit".into(), instructions: "use Gpc".into() };
    let _ = coordinator.step(NOW, Input::Reviewed { round, review });

    let notes = coordinator.restart_notes().unwrap();
    assert_eq!((notes.reason.as_str(), notes.instructions.as_str()), ("wrong unit", "use Gpc"));
    assert_eq!(notes.answer, first);
    assert_eq!((coordinator.attempt(), coordinator.epoch()), (AttemptIndex(2), Epoch(0)));
    assert_eq!(coordinator.newest_answers(), []);
    assert_eq!(coordinator.answer_text(first).unwrap().as_str(), "4");
    assert_eq!(coordinator.answer_snapshot(first).unwrap().0, "tree of agent1.1");

    let second = answer(&mut coordinator, 0, "4 Gpc");
    assert_eq!(second.to_string(), "agent1.2");
    assert!(coordinator.is_finished());
    let Some(Outcome::Answered { winner, presented: false, .. }) = coordinator.outcome() else {
        panic!("{:?}", coordinator.outcome());
    };
    assert_eq!(*winner, second);
}

#[test]
fn there_are_no_answers_that_nobody_gave() {
    let coordinator = begun(1, Policy::default());
    for (agent, n) in [(0, 0), (0, 1), (0, u32::MAX), (1, 1), (u16::MAX, 1)] {
        let nobody = AnswerId { agent: AgentIndex(agent), n };
        assert_eq!(coordinator.answer_text(nobody), None);
        assert_eq!(coordinator.answer_snapshot(nobody), None);
    }
}

#[test]
fn limits_of_zero_count_as_one() {
    let policy = Policy {
        answers_per_agent_max: 0,
        answers_max: Some(0),
        failures_max: 0,
        exhausted_rounds_max: 0,
        ..Policy::default()
    };
    let mut coordinator = begun(2, policy);
    answer(&mut coordinator, 0, "4");
    assert_eq!(coordinator.epoch(), Epoch(1));
}
