//! Every item in every situation it can be said in.

use massgen_prompts::{RestartView, View};
use massgen_protocol::{
    AgentIndex, Alias, Brief, Enforcement, Epoch, Item, Rejection, Update, WrapUpReason,
};

use crate::{answer, label, prompts, view};

fn coordinate(epoch: u32, vote_only: bool) -> Item {
    Item::Brief(Brief::Coordinate { epoch: Epoch(epoch), vote_only })
}

fn update(epoch: u32, wrap_up: Option<WrapUpReason>, vote_only: bool) -> Item {
    let update = Update { epoch: Epoch(epoch), wrap_up, vote_only };
    Item::Update { after: Epoch(1), update }
}

fn nothing_in_view<'a>() -> View<'a> {
    View { answers: Vec::new(), ..view() }
}

/// Several items, told apart by their titles.
fn shown<'v>(items: impl IntoIterator<Item = (&'static str, Item, View<'v>)>) -> String {
    let mut all = String::new();
    for (title, item, view) in items {
        all.push_str(&format!("==== {title}\n{}\n\n", prompts().item(&item, &view)));
    }
    all
}

#[test]
fn briefs() {
    let first = || View { first: true, ..nothing_in_view() };
    let restart = RestartView {
        reason: "The integral is wrong.",
        instructions: "Integrate numerically.",
        answer: "8.95 Gpc",
    };
    insta::assert_snapshot!(shown([
        ("first draft", coordinate(0, false), first()),
        (
            "first draft after a restart",
            coordinate(0, false),
            View { restart: Some(restart), ..first() }
        ),
        ("first draft, later in the conversation", coordinate(0, false), nothing_in_view()),
        ("answers in view", coordinate(3, false), View { first: true, ..view() }),
        ("answers with files", coordinate(3, false), View { snapshots: true, ..view() }),
        ("nothing new to show", coordinate(3, false), nothing_in_view()),
        ("vote only", coordinate(3, true), view()),
        ("vote only, nothing new to show", coordinate(3, true), nothing_in_view()),
    ]));
}

#[test]
fn updates() {
    let one = || View { answers: vec![answer(2, 2, "8 Gpc")], ..view() };
    let deadline = Some(WrapUpReason::Deadline);
    insta::assert_snapshot!(shown([
        ("a new answer", update(2, None, false), one()),
        ("a new answer, vote only", update(2, None, true), one()),
        ("a new answer, wrap up", update(2, deadline, false), one()),
        ("wrap up", update(1, deadline, false), nothing_in_view()),
        ("wrap up, vote only", update(1, deadline, true), nothing_in_view()),
        ("wrap up, nobody has answered", update(0, deadline, false), nothing_in_view()),
        (
            "wrap up of the round",
            update(1, Some(WrapUpReason::RoundDeadline), false),
            nothing_in_view()
        ),
        ("wrap up by budget", update(1, Some(WrapUpReason::Budget), true), nothing_in_view()),
        (
            "wrap up, interrupted before anybody has answered",
            update(0, Some(WrapUpReason::Interrupted), false),
            nothing_in_view()
        ),
        ("vote only", update(1, None, true), nothing_in_view()),
        ("nothing", update(1, None, false), nothing_in_view()),
        ("newer, but nothing to show", update(2, None, false), nothing_in_view()),
    ]));
}

#[test]
fn enforcements() {
    let problem = "EOF while parsing a string at line 1 column 20".to_owned();
    let items = [
        ("no choice", Enforcement::NoChoice),
        ("both", Enforcement::BothChoices),
        ("many", Enforcement::ManyChoices { n: 3 }),
        ("bad arguments", Enforcement::BadArguments { tool: "vote".to_owned(), problem }),
        ("cut off", Enforcement::CutOff),
        ("unknown tool", Enforcement::UnknownTool { name: "search".to_owned() }),
        ("after the decision", Enforcement::AfterDecision { tool: "vote".to_owned() }),
    ];
    let last = ("the last time", Enforcement::NoChoice);
    let items = items.into_iter().map(|item| (item, 2)).chain([(last, 1)]);
    insta::assert_snapshot!(shown(items.map(|((title, enforcement), enforce_left)| {
        (title, Item::Enforce(enforcement), View { enforce_left, ..view() })
    })));
}

#[test]
fn rejections() {
    let valid = vec![AgentIndex(0), AgentIndex(2)];
    let items = [
        ("stale", Rejection::Stale { seen: Epoch(1), current: Epoch(2) }),
        ("no answers", Rejection::NoAnswers),
        ("unknown choice", Rejection::UnknownChoice { choice: "agent1.1".to_owned(), valid }),
        (
            "unknown choice, nobody",
            Rejection::UnknownChoice { choice: String::new(), valid: Vec::new() },
        ),
        ("self vote", Rejection::SelfVote),
        ("no reason", Rejection::NoReason),
        ("empty", Rejection::Empty),
        ("duplicate", Rejection::Duplicate { of: label(2, 1) }),
        ("too similar", Rejection::TooSimilar { to: label(3, 2), percent: 83, allowed: 70 }),
        ("answer limit", Rejection::AnswerLimit { used: 5, allowed: 5 }),
        ("total answer limit", Rejection::TotalAnswerLimit { used: 9, allowed: 9 }),
        ("vote only", Rejection::VoteOnly),
        ("snapshot failed", Rejection::SnapshotFailed),
    ];
    let items = items.map(|(title, rejection)| (title, Item::Rejected(rejection), view()));
    insta::assert_snapshot!(shown(items));
}

#[test]
fn results_of_tools() {
    let accepted = Item::Accepted { answer: label(1, 2) };
    insta::assert_snapshot!(shown([
        ("accepted", accepted, view()),
        ("counted", Item::Counted, view()),
        ("not run", Item::NotRun, view()),
        ("interrupted", Item::Interrupted, view()),
    ]));
}

#[test]
fn presentation() {
    let present = || Item::Brief(Brief::Present { winner: label(3, 2), epoch: Epoch(4) });
    let ballots = [
        (Alias(1), Alias(3), "I integrated it myself and got 8 Gpc."),
        (Alias(2), Alias(3), "The only one that uses the right H0."),
    ];
    let voted = View { ballots: &ballots, ..view() };
    let first = View { first: true, snapshots: true, ..view() };
    insta::assert_snapshot!(shown([
        ("after a vote", present(), voted),
        ("without votes, in a new conversation", present(), first),
    ]));
}

#[test]
fn presentation_and_review_begin_with_their_own_tag() {
    let present = Item::Brief(Brief::Present { winner: label(3, 2), epoch: Epoch(4) });
    let review = Item::Brief(Brief::Review { winner: label(3, 2) });
    for view in [view(), View { first: true, ..view() }, nothing_in_view()] {
        assert!(prompts().item(&present, &view).starts_with("<present>\n"));
        assert!(prompts().item(&review, &view).starts_with("<review>\n"));
    }
}

#[test]
fn review() {
    let review = || Item::Brief(Brief::Review { winner: label(3, 2) });
    let fresh = View { first: true, answers: vec![answer(3, 2, "It is 8 Gpc.")], ..view() };
    insta::assert_snapshot!(shown([
        ("of one's own presentation", review(), nothing_in_view()),
        ("in a new conversation", review(), fresh),
    ]));
}

/// Nobody is told how many votes an answer has, or which answer is their own.
#[test]
fn ballots_are_sealed_and_answers_are_nobodys() {
    let ballots = [(Alias(2), Alias(3), "Because of the integral.")];
    let mut whole = View { ballots: &ballots, first: true, ..view() };
    for item in [coordinate(3, false), coordinate(3, true), update(3, None, false)] {
        let text = prompts().item(&item, &whole);
        assert!(!text.contains("Because of the integral."), "{text}");
        let as_others = std::mem::take(&mut whole.answers);
        whole.answers =
            as_others.iter().map(|&a| massgen_prompts::AnswerView { own: false, ..a }).collect();
        assert_eq!(text, prompts().item(&item, &whole));
        whole.answers = as_others;
    }
}
