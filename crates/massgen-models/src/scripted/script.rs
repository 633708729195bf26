//! The script of a team, as YAML.

use std::collections::BTreeMap;

use massgen_protocol::FailureKind;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What each agent of a team says, and when.
///
/// ```yaml
/// agents:
///   curie:
///     chunk_ms: 20                       # pause before each word
///     replies:
///       - when: first                    # nobody has answered yet
///         reasoning: I integrate 1/E(z).
///         new_answer: "{{distance}} Gpc" # filled in by the program
///       - when: { situation: answers_in_view, sees: "8.95" }
///         vote: { for: agent2, reason: its integral is right }
///       - when: present
///         text: It is {{distance}} Gpc away.
///     repeat: last
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub(crate) agents: BTreeMap<String, Role>,
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("{0}")]
    Yaml(String),
    #[error("agent `{agent}` has no replies")]
    NoReplies { agent: String },
    #[error("agent `{agent}` names `{{{{{name}}}}}`, which has no value")]
    NoValue { agent: String, name: String },
    #[error("there is no agent `{agent}`, only {}", known.join(", "))]
    NoAgent { agent: String, known: Vec<String> },
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) replies: Vec<Reply>,
    #[serde(default)]
    pub(crate) repeat: Repeat,
    /// Pause before each word, where a reply has none of its own.
    #[serde(default)]
    pub(crate) chunk_ms: u64,
}

/// What follows when no reply is meant for the situation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Repeat {
    /// The last reply again.
    #[default]
    Last,
    /// The call fails.
    None,
}

/// One reply. Its pieces are said in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reply {
    pub(crate) when: Option<When>,
    pub(crate) delay_ms: u64,
    pub(crate) chunk_ms: Option<u64>,
    pub(crate) reasoning: Option<String>,
    pub(crate) text: Option<String>,
    /// So many tokens of nothing, one an event.
    pub(crate) tokens: u64,
    pub(crate) tool_calls: Vec<Call>,
    pub(crate) new_answer: Option<String>,
    pub(crate) vote: Option<Vote>,
    pub(crate) usage: Option<Tokens>,
    pub(crate) fault: Option<Fault>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum When {
    Situation(Situation),
    Conditions(Conditions),
}

/// What the agent is looking at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Situation {
    /// Nobody has answered yet.
    First,
    AnswersInView,
    Present,
    Review,
}

/// All that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Conditions {
    pub(crate) situation: Option<Situation>,
    /// A text somewhere in the conversation, the system prompt left out.
    pub(crate) sees: Option<String>,
    pub(crate) sees_not: Option<String>,
    /// Agents whose answers are in view, at least.
    pub(crate) answers_min: Option<usize>,
    /// Position of the call in its conversation, from 1.
    pub(crate) turn: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Vote {
    For(String),
    Reasoned {
        #[serde(rename = "for")]
        choice: String,
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// Something that goes wrong after the pieces of the reply have been said.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    #[serde(flatten)]
    pub(crate) what: What,
    /// Pieces said before; all of them where absent.
    pub(crate) after: Option<usize>,
    /// Tries of a call that fail before one does not; all of them where absent.
    pub(crate) tries: Option<u32>,
    pub(crate) message: Option<String>,
    pub(crate) retry_after_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Fail(FailureKind),
    /// Silence for ever.
    Stall(bool),
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// If it is not YAML of this shape, with the place and what is wrong there.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let script: Script =
            serde_saphyr::from_str(text).map_err(|error| ScriptError::Yaml(error.to_string()))?;
        match script.agents.iter().find(|(_, role)| role.replies.is_empty()) {
            Some((agent, _)) => Err(ScriptError::NoReplies { agent: agent.clone() }),
            None => Ok(script),
        }
    }

    /// Puts values in the place of every `{{name}}`.
    pub(crate) fn fill(&mut self, values: &BTreeMap<String, String>) -> Result<(), ScriptError> {
        for (agent, role) in &mut self.agents {
            let fill = |text: &mut String| {
                *text = filled(text, values)
                    .map_err(|name| ScriptError::NoValue { agent: agent.clone(), name })?;
                Ok(())
            };
            for reply in &mut role.replies {
                fill_reply(reply, &fill)?;
            }
        }
        Ok(())
    }
}

fn fill_reply(
    reply: &mut Reply,
    fill: &impl Fn(&mut String) -> Result<(), ScriptError>,
) -> Result<(), ScriptError> {
    let texts = [&mut reply.reasoning, &mut reply.text, &mut reply.new_answer];
    texts.into_iter().flatten().try_for_each(fill)?;
    if let Some(When::Conditions(conditions)) = &mut reply.when {
        let texts = [&mut conditions.sees, &mut conditions.sees_not];
        texts.into_iter().flatten().try_for_each(fill)?;
    }
    match &mut reply.vote {
        Some(Vote::Reasoned { choice, reason }) => {
            fill(choice)?;
            fill(reason)?;
        }
        Some(Vote::For(choice)) => fill(choice)?,
        None => {}
    }
    let arguments = reply.tool_calls.iter_mut().flat_map(|call| call.arguments.values_mut());
    for argument in arguments {
        if let Value::String(text) = argument {
            fill(text)?;
        }
    }
    Ok(())
}

/// Returns the text with values in place, or the name that has none.
fn filled(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        let name = name.trim();
        out.push_str(before);
        out.push_str(values.get(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    Ok(out + rest)
}
