use std::collections::BTreeMap;

use massgen_prompts::{Prompts, SystemFacts};
use massgen_protocol::{Alias, AnswerNovelty, ContextTold, PlacesTold, VotingSensitivity};

use crate::prompts;

/// What one agent without tools may cost in every call of every round.
const SYSTEM_CHARS_MAX: usize = 2_000;

const SENSITIVITIES: [VotingSensitivity; 3] =
    [VotingSensitivity::Lenient, VotingSensitivity::Balanced, VotingSensitivity::Strict];
const NOVELTIES: [AnswerNovelty; 3] =
    [AnswerNovelty::Lenient, AnswerNovelty::Balanced, AnswerNovelty::Strict];

fn facts<'a>() -> SystemFacts<'a> {
    SystemFacts {
        alias: Alias(2),
        n_agents: 3,
        system_message: None,
        sensitivity: VotingSensitivity::Lenient,
        novelty: AnswerNovelty::Lenient,
        has_tools: false,
        places: None,
        missing: &[],
    }
}

#[test]
fn an_agent_without_tools_gets_at_most_two_thousand_characters() {
    for sensitivity in SENSITIVITIES {
        for novelty in NOVELTIES {
            for (n_agents, system_message) in [(1, None), (3, Some("")), (50, Some(" \n"))] {
                let facts =
                    SystemFacts { n_agents, system_message, sensitivity, novelty, ..facts() };
                let n_chars = prompts().system(&facts).chars().count();
                assert!(n_chars <= SYSTEM_CHARS_MAX, "{n_chars} for {facts:?}");
            }
        }
    }
}

#[test]
fn lenient() {
    insta::assert_snapshot!(prompts().system(&facts()));
}

#[test]
fn balanced() {
    let facts = SystemFacts {
        sensitivity: VotingSensitivity::Balanced,
        novelty: AnswerNovelty::Balanced,
        ..facts()
    };
    insta::assert_snapshot!(prompts().system(&facts));
}

#[test]
fn strict_with_tools_and_words_of_the_user() {
    let facts = SystemFacts {
        sensitivity: VotingSensitivity::Strict,
        novelty: AnswerNovelty::Strict,
        system_message: Some("You are an astronomer.\n"),
        has_tools: true,
        ..facts()
    };
    insta::assert_snapshot!(prompts().system(&facts));
}

#[test]
fn alone() {
    insta::assert_snapshot!(prompts().system(&SystemFacts { n_agents: 1, ..facts() }));
}

/// An agent that knows its alias knows which of the answers it reads is its own.
#[test]
fn an_agent_is_not_told_its_alias() {
    let mut others = SystemFacts { alias: Alias(3), ..facts() };
    assert_eq!(prompts().system(&facts()), prompts().system(&others));
    others.n_agents = 4;
    assert_ne!(prompts().system(&facts()), prompts().system(&others));
}

#[test]
fn a_user_may_tell_it_and_may_empty_a_section() {
    let overrides = BTreeMap::from([
        ("system_team".to_owned(), "You are {alias} of {n_agents}.".to_owned()),
        ("system_work".to_owned(), String::new()),
    ]);
    let system = Prompts::new(overrides).unwrap().system(&facts());
    assert!(system.starts_with("<team>\nYou are agent2 of 3.\n</team>\n\n<decide>\n"), "{system}");
}

#[test]
fn an_agent_with_files_is_told_where_they_are_and_what_is_missing() {
    let places = PlacesTold {
        workspace: "/runs/r1/w7/workspace".to_owned(),
        temp: "/runs/r1/w7/temp".to_owned(),
        context: vec![
            ContextTold { path: "/data".to_owned(), copy: None },
            ContextTold { path: "/app".to_owned(), copy: Some("/runs/r1/w7/app".to_owned()) },
        ],
    };
    let missing = ["the server `weather` does not start".to_owned()];
    let facts = SystemFacts { places: Some(&places), missing: &missing, ..facts() };
    insta::assert_snapshot!(prompts().system(&facts));
}
