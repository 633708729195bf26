//! Reads a model's reply as the binary choice, or says which rule it broke.
//!
//! Pure functions of one turn: how often a rule may be broken is the business
//! of [`crate::Round`].

use std::collections::BTreeSet;

use massgen_protocol::{
    Arguments, AssistantTurn, Enforcement, FinishReason, Kept, Review, RoundKind, Submission,
    ToolCall, ToolName,
};

/// What a reply amounts to. Numbers are positions among the reply's tool calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    /// A valid choice. `tools` are run first: a model that writes its file and
    /// answers in one reply must not lose the file.
    Chosen { choice: Choice, tools: Tools },
    /// Work goes on.
    Tools(Tools),
    /// The reply goes back as a whole.
    Broken(Enforcement),
}

/// The calls of a reply that are no part of its choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tools {
    pub(crate) run: Vec<usize>,
    /// Answered at once with the rule they break.
    pub(crate) refused: Vec<(usize, Enforcement)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    Submit(Submission),
    Final(String),
    Review(Review),
}

/// Reads `turn` by the rules of a round of `kind`; `known_tools` are those that can be run.
pub(crate) fn read(
    kind: RoundKind,
    turn: &AssistantTurn,
    known_tools: &BTreeSet<String>,
) -> Reading {
    let calls: Vec<&ToolCall> = turn.tool_calls().collect();
    let of_name = |name: &str| -> Vec<&ToolCall> {
        calls.iter().copied().filter(|call| call.name == name).collect()
    };
    let choice = match kind {
        RoundKind::Coordinate => {
            coordinate(turn, &of_name(ToolName::VOTE), &of_name(ToolName::NEW_ANSWER))
        }
        RoundKind::Present => present(turn, &calls, &of_name(ToolName::NEW_ANSWER)),
        RoundKind::Review => {
            review(turn, &calls, &of_name(ToolName::SUBMIT), &of_name(ToolName::RESTART))
        }
    };
    let tools = tools(kind, turn, &calls, known_tools);
    match choice {
        Some(Ok(choice)) => Reading::Chosen { choice, tools },
        Some(Err(rule)) => Reading::Broken(rule),
        None if !tools.run.is_empty() => Reading::Tools(tools),
        None => Reading::Broken(match tools.refused.into_iter().next() {
            Some((_, rule)) => rule,
            // All that is left are calls that decide, where nothing is to be decided.
            None if !calls.is_empty() => Enforcement::AfterDecision { tool: calls[0].name.clone() },
            None if turn.finish == FinishReason::Length => Enforcement::CutOff,
            None => Enforcement::NoChoice,
        }),
    }
}

/// Sorts the calls that are no part of a choice.
fn tools(
    kind: RoundKind,
    turn: &AssistantTurn,
    calls: &[&ToolCall],
    known_tools: &BTreeSet<String>,
) -> Tools {
    let mut tools = Tools::default();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| !is_choice(kind, &call.name)) {
        let name = call.name.clone();
        if !known_tools.contains(&name) {
            tools.refused.push((at, Enforcement::UnknownTool { name }));
            continue;
        }
        match &call.arguments {
            Arguments::Object { .. } => tools.run.push(at),
            // Half a call must not take half an effect.
            Arguments::Malformed { .. } if turn.finish == FinishReason::Length => {
                tools.refused.push((at, Enforcement::CutOff));
            }
            Arguments::Malformed { error, .. } => {
                let problem = format!("not a JSON object: {error}");
                tools.refused.push((at, Enforcement::BadArguments { tool: name, problem }));
            }
        }
    }
    tools
}

/// Returns whether this tool is how a round of `kind` is decided, or was before.
pub(crate) fn is_choice(kind: RoundKind, name: &str) -> bool {
    match kind {
        RoundKind::Coordinate | RoundKind::Present => {
            matches!(name, ToolName::NEW_ANSWER | ToolName::VOTE)
        }
        RoundKind::Review => matches!(name, ToolName::SUBMIT | ToolName::RESTART),
    }
}

fn coordinate(
    turn: &AssistantTurn,
    votes: &[&ToolCall],
    answers: &[&ToolCall],
) -> Option<Result<Choice, Enforcement>> {
    match (votes, answers) {
        ([], []) => None,
        ([_, ..], [_, ..]) => Some(Err(Enforcement::BothChoices)),
        ([vote, others @ ..], []) => Some(same(vote, others).and_then(|()| {
            let choice = text_argument(turn, vote, "agent_id")?;
            // A missing reason is for the coordinator to refuse, so that one
            // place knows what a ballot needs.
            let reason = text_argument(turn, vote, "reason").unwrap_or_default();
            Ok(Choice::Submit(Submission::Vote { choice: choice.trim().to_owned(), reason }))
        })),
        ([], [answer, others @ ..]) => Some(same(answer, others).and_then(|()| {
            let text = answer_text(turn, answer)?;
            Ok(Choice::Submit(Submission::NewAnswer { text: Kept::from(text) }))
        })),
    }
}

/// The presenter writes text, or calls `new_answer` as it did before.
fn present(
    turn: &AssistantTurn,
    calls: &[&ToolCall],
    answers: &[&ToolCall],
) -> Option<Result<Choice, Enforcement>> {
    if turn.finish == FinishReason::Length {
        // Half a presentation is worse than the whole answer that won.
        return Some(Err(Enforcement::CutOff));
    }
    if let Some(answer) = answers.last() {
        return Some(answer_text(turn, answer).map(Choice::Final));
    }
    let text = turn.text();
    // A vote beside the text is a habit of the rounds before; the text is what was asked for.
    let only_habit = calls.iter().all(|call| call.name == ToolName::VOTE);
    (only_habit && !text.trim().is_empty()).then_some(Ok(Choice::Final(text)))
}

/// A reviewer that only writes text has no objection.
fn review(
    turn: &AssistantTurn,
    calls: &[&ToolCall],
    submits: &[&ToolCall],
    restarts: &[&ToolCall],
) -> Option<Result<Choice, Enforcement>> {
    match (submits, restarts) {
        ([_, ..], [_, ..]) => Some(Err(Enforcement::BothChoices)),
        ([_, ..], []) => Some(Ok(Choice::Review(Review::Submit))),
        ([], [restart, ..]) => Some(text_argument(turn, restart, "reason").and_then(|reason| {
            let instructions = text_argument(turn, restart, "instructions")?;
            Ok(Choice::Review(Review::Restart { reason, instructions }))
        })),
        ([], []) => calls.is_empty().then_some(Ok(Choice::Review(Review::Submit))),
    }
}

/// Several calls that say the same are one choice.
fn same(first: &ToolCall, others: &[&ToolCall]) -> Result<(), Enforcement> {
    if others.iter().all(|other| other.arguments == first.arguments) {
        Ok(())
    } else {
        Err(Enforcement::ManyChoices { n: u32::try_from(others.len() + 1).unwrap_or(u32::MAX) })
    }
}

/// The answer's text: the argument, or what the model wrote beside a call without one.
fn answer_text(turn: &AssistantTurn, call: &ToolCall) -> Result<String, Enforcement> {
    let written = turn.text();
    match text_argument(turn, call, "content") {
        Ok(text) if !text.trim().is_empty() => Ok(text),
        Ok(_) | Err(Enforcement::BadArguments { .. })
            if matches!(call.arguments, Arguments::Object { .. }) && !written.trim().is_empty() =>
        {
            Ok(written)
        }
        other => other,
    }
}

fn text_argument(turn: &AssistantTurn, call: &ToolCall, name: &str) -> Result<String, Enforcement> {
    let bad = |problem: String| Enforcement::BadArguments { tool: call.name.clone(), problem };
    match &call.arguments {
        Arguments::Malformed { .. } if turn.finish == FinishReason::Length => {
            Err(Enforcement::CutOff)
        }
        Arguments::Malformed { error, .. } => Err(bad(format!("not a JSON object: {error}"))),
        Arguments::Object { value } => match value.get(name) {
            Some(serde_json::Value::String(text)) => Ok(text.clone()),
            // Models write `"agent_id": 2` or answer with a number; both are plain enough.
            Some(serde_json::Value::Number(number)) if name == "agent_id" => {
                Ok(format!("agent{number}"))
            }
            Some(serde_json::Value::Number(number)) => Ok(number.to_string()),
            Some(_) => Err(bad(format!("`{name}` must be a string"))),
            None => Err(bad(format!("`{name}` is missing"))),
        },
    }
}
