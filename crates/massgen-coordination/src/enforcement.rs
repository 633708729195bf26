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
    Chosen { choice: Choice, tools: Vec<usize> },
    /// Work goes on.
    Tools { known: Vec<usize>, unknown: Vec<usize> },
    /// The reply goes back as a whole.
    Broken(Enforcement),
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
    let at = |wanted: &dyn Fn(&ToolCall) -> bool| -> Vec<usize> {
        (0..calls.len()).filter(|&at| wanted(calls[at])).collect()
    };
    let known = at(&|call| known_tools.contains(&call.name));
    match choice {
        Some(Ok(choice)) => Reading::Chosen { choice, tools: known },
        Some(Err(rule)) => Reading::Broken(rule),
        None if !known.is_empty() => {
            Reading::Tools { known, unknown: at(&|call| !known_tools.contains(&call.name)) }
        }
        None => Reading::Broken(match calls.first() {
            Some(call) if kind != RoundKind::Coordinate && ToolName::is_workflow(&call.name) => {
                Enforcement::AfterDecision { tool: call.name.clone() }
            }
            Some(call) => Enforcement::UnknownTool { name: call.name.clone() },
            None if turn.finish == FinishReason::Length => Enforcement::CutOff,
            None => Enforcement::NoChoice,
        }),
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
