//! Which reply a conversation gets.
//!
//! The choice depends on the call alone, not on what this process has seen
//! before, so that a run that was killed and resumed gets the same replies.

use massgen_protocol::{Message, ModelCall, Part, Role as Speaker, ToolName};

use super::script::{Conditions, Repeat, Reply, Role, Situation, When};

/// What a scripted agent can see of its call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    situation: Situation,
    /// Agents whose answers are in view.
    answers: usize,
    /// Position of the call in its conversation, from 1.
    turn: usize,
    /// Position among all calls of the agent, as far as its label tells, from 0.
    position: usize,
}

impl Sight {
    pub(crate) fn of(call: &ModelCall) -> Sight {
        let offers = |name: &str| call.tools.iter().any(|tool| tool.name == name);
        let answers = answers_in_view(call);
        let last_user = call.messages.iter().rev().find(|message| message.role == Speaker::User);
        let situation = if offers(ToolName::SUBMIT) {
            Situation::Review
        } else if last_user.is_some_and(|message| holds(message, "<present>")) {
            Situation::Present
        } else if answers > 0 {
            Situation::AnswersInView
        } else {
            Situation::First
        };
        let said = call.messages.iter().filter(|message| message.role == Speaker::Assistant);
        let said = said.count();
        let position = position(&call.label).unwrap_or(said);
        Sight { situation, answers, turn: said + 1, position }
    }
}

/// Returns the reply for this call; `None` if the script has none.
pub(crate) fn pick<'a>(role: &'a Role, call: &ModelCall) -> Option<&'a Reply> {
    let sight = Sight::of(call);
    // Replies without a condition follow one another.
    let mut unconditional = 0;
    let matching = role.replies.iter().find(|reply| match &reply.when {
        Some(when) => holds_when(when, &sight, call),
        None => {
            unconditional += 1;
            unconditional - 1 == sight.position
        }
    });
    matching.or_else(|| match role.repeat {
        Repeat::Last => role.replies.last(),
        Repeat::None => None,
    })
}

fn holds_when(when: &When, sight: &Sight, call: &ModelCall) -> bool {
    match when {
        When::Situation(situation) => *situation == sight.situation,
        When::Conditions(Conditions { situation, sees, sees_not, answers_min, turn }) => {
            situation.is_none_or(|situation| situation == sight.situation)
                && sees.as_deref().is_none_or(|text| sees_text(call, text))
                && !sees_not.as_deref().is_some_and(|text| sees_text(call, text))
                && answers_min.is_none_or(|min| sight.answers >= min)
                && turn.is_none_or(|turn| turn == sight.turn)
        }
    }
}

fn sees_text(call: &ModelCall, text: &str) -> bool {
    call.messages
        .iter()
        .filter(|message| message.role != Speaker::System)
        .any(|message| holds(message, text))
}

/// Counts the agents in the newest section of answers, written `<agent1>` and so on.
fn answers_in_view(call: &ModelCall) -> usize {
    const SECTION: &str = "<current_answers>";
    for message in call.messages.iter().rev().filter(|message| message.role != Speaker::System) {
        for text in message.parts.iter().rev().filter_map(text_of) {
            let Some(at) = text.rfind(SECTION) else { continue };
            let section = &text[at + SECTION.len()..];
            let section = section.split("</current_answers>").next().unwrap_or_default();
            let agents = section.split("<agent").skip(1);
            return agents.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).count();
        }
    }
    0
}

fn holds(message: &Message, text: &str) -> bool {
    message.parts.iter().filter_map(text_of).any(|part| part.contains(text))
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text { text } => Some(text),
        Part::ToolResult(result) => Some(&result.text),
        Part::Reasoning { .. } | Part::ToolCall(_) | Part::Native { .. } | Part::Media(_) => None,
    }
}

/// Reads the position out of a label like `run/agent1#2.1`: every further
/// round, and every further call within one, goes one reply on.
fn position(label: &str) -> Option<usize> {
    let (_, numbers) = label.rsplit_once('#')?;
    let (round, call) = numbers.split_once('.')?;
    let (round, call): (usize, usize) = (round.parse().ok()?, call.parse().ok()?);
    Some(round.checked_sub(1)? + call.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use massgen_protocol::{ToolResult, ToolSpec};
    use serde_json::json;

    use super::*;

    fn call(messages: Vec<Message>, tools: &[&str]) -> ModelCall {
        let tools = tools.iter().map(|&name| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            parameters: json!({}),
        });
        ModelCall {
            messages: Arc::new(messages.into_iter().map(Arc::new).collect()),
            tools: Arc::new(tools.collect()),
            max_output_tokens: None,
            label: "run/agent1#2.2".to_owned(),
            seed: 0,
        }
    }

    #[test]
    fn situations_are_told_from_the_conversation_alone() {
        let system = || Message::text(Speaker::System, "answers come in <current_answers><agent1>");
        let user = |text: &str| Message::text(Speaker::User, text);
        let check = |call: &ModelCall, situation, answers, turn| {
            assert_eq!(Sight::of(call), Sight { situation, answers, turn, position: 2 });
        };
        check(&call(vec![system(), user("why?")], &["vote"]), Situation::First, 0, 1);
        let seen =
            "<current_answers>\n<agent2>a</agent2>\n<agent10>b</agent10>\n</current_answers>";
        check(&call(vec![system(), user(seen)], &[]), Situation::AnswersInView, 2, 1);
        let update = Message {
            role: Speaker::Tool,
            parts: vec![Part::ToolResult(ToolResult {
                id: massgen_protocol::ToolCallId("1".to_owned()),
                name: "vote".to_owned(),
                text: "<current_answers><agent1>c</agent1></current_answers>".to_owned(),
                is_error: true,
            })],
        };
        let assistant = Message::text(Speaker::Assistant, "<agent7> hm");
        let updated = call(vec![user(seen), assistant, update], &[]);
        check(&updated, Situation::AnswersInView, 1, 2);
        let present = user("<current_answers><agent1>c</agent1></current_answers><present>now");
        check(&call(vec![present], &["vote"]), Situation::Present, 1, 1);
        check(&call(vec![user("judge")], &["submit"]), Situation::Review, 0, 1);
    }

    #[test]
    fn labels_give_a_position_and_garbage_gives_none() {
        assert_eq!(position("r/agent1#1.1"), Some(0));
        assert_eq!(position("r#x/agent2#3.2"), Some(3));
        for garbage in ["", "r", "#", "#1", "#0.1", "#1.0", "#a.b", "#1.1.1"] {
            assert_eq!(position(garbage), None, "{garbage}");
        }
    }
}
