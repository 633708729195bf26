//! Identities. Each is its own type, so that an alias can never be taken for an agent's id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the run began. A resumed run goes on counting from its last event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// Returns the moment `after_ms` later.
    pub fn plus(self, after_ms: u64) -> Millis {
        Millis(self.0.saturating_add(after_ms))
    }
}

/// Position in the roster, from 0; also the order that breaks ties by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentIndex(pub u16);

/// The name other models see: `agent1` is the first of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(pub u16);

impl AgentIndex {
    /// Returns the alias that stands for this agent in prompts, tools, folders and logs.
    pub fn alias(self) -> Alias {
        Alias(self.0 + 1)
    }

    /// Returns the position as an index into per-agent vectors.
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

impl Alias {
    /// Returns the roster position; the caller checks that the roster is that long.
    pub fn index(self) -> AgentIndex {
        AgentIndex(self.0.saturating_sub(1))
    }
}

/// An agent's name as its user wrote it. Never shown to other models.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentId(pub String);

/// Name of a run and of its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// One run of coordination within a turn, from 1; a review may order another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptIndex(pub u32);

/// Number of accepted answers in this attempt: the version of what there is to vote on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

/// One conversation segment of one agent, from 1 within the run; prints `agent2#3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId {
    pub agent: AgentIndex,
    pub n: u32,
}

/// One model call of a round, from 1; prints `agent2#3.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub round: RoundId,
    pub n: u32,
}

/// The n-th answer of an agent, from 1 within the run; prints `agent2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerId {
    pub agent: AgentIndex,
    pub n: u32,
}

/// Name of an immutable workspace copy. An answer without files has the empty snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub String);

impl SnapshotId {
    /// The snapshot of a workspace without files.
    pub fn empty() -> SnapshotId {
        SnapshotId("empty".to_owned())
    }
}

/// A provider's (or our) name for one tool call; unique within a conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ToolCallId(pub String);

/// A text that is not an identity of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseIdError {
    pub expected: &'static str,
    pub found: String,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found `{}`", self.expected, self.found)
    }
}

impl std::error::Error for ParseIdError {}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent{}", self.0)
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.agent.alias(), self.n)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.n)
    }
}

impl fmt::Display for AnswerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.agent.alias(), self.n)
    }
}

impl FromStr for Alias {
    type Err = ParseIdError;

    /// Reads `agent1`; leading zeros, signs and `agent0` are not aliases.
    fn from_str(text: &str) -> Result<Alias, ParseIdError> {
        let error = || ParseIdError { expected: "an alias like `agent1`", found: text.to_owned() };
        let digits = text.strip_prefix("agent").ok_or_else(error)?;
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        digits.parse().ok().filter(|&n| n > 0).map(Alias).ok_or_else(error)
    }
}

impl FromStr for RoundId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<RoundId, ParseIdError> {
        split(text, '#', "a round like `agent2#3`").map(|(agent, n)| RoundId { agent, n })
    }
}

impl FromStr for AnswerId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<AnswerId, ParseIdError> {
        split(text, '.', "an answer like `agent2.1`").map(|(agent, n)| AnswerId { agent, n })
    }
}

impl FromStr for CallId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<CallId, ParseIdError> {
        let error =
            || ParseIdError { expected: "a call like `agent2#3.1`", found: text.to_owned() };
        let (round, n) = text.rsplit_once('.').ok_or_else(error)?;
        Ok(CallId { round: round.parse()?, n: n.parse().map_err(|_| error())? })
    }
}

fn split(
    text: &str,
    separator: char,
    expected: &'static str,
) -> Result<(AgentIndex, u32), ParseIdError> {
    let error = || ParseIdError { expected, found: text.to_owned() };
    let (alias, n) = text.split_once(separator).ok_or_else(error)?;
    let alias: Alias = alias.parse().map_err(|_| error())?;
    Ok((alias.index(), n.parse().map_err(|_| error())?))
}

/// Serialises an identity as the text it prints.
macro_rules! as_text {
    ($($id:ty),+) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$id, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_text!(Alias, RoundId, CallId, AnswerId);

/// In files a roster position is written as its alias, which is what a reader can relate.
impl Serialize for AgentIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.alias().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AgentIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AgentIndex, D::Error> {
        Alias::deserialize(deserializer).map(Alias::index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_read_back() {
        let round = RoundId { agent: AgentIndex(1), n: 3 };
        assert_eq!(round.to_string(), "agent2#3");
        assert_eq!("agent2#3".parse(), Ok(round));
        let call = CallId { round, n: 12 };
        assert_eq!(call.to_string(), "agent2#3.12");
        assert_eq!("agent2#3.12".parse(), Ok(call));
        let answer = AnswerId { agent: AgentIndex(0), n: 1 };
        assert_eq!("agent1.1".parse(), Ok(answer));
        assert_eq!(serde_json::to_string(&AgentIndex(4)).unwrap_or_default(), "\"agent5\"");
    }

    #[test]
    fn what_is_not_an_alias_is_refused() {
        for text in
            ["", "agent", "agent0", "agent01", "agent-1", "agent1.1", "Agent1", "agent99999"]
        {
            assert!(text.parse::<Alias>().is_err(), "{text}");
        }
        for text in ["agent1", "agent1#", "agent1#x", "#1", "agent0#1", "agent1.1"] {
            assert!(text.parse::<RoundId>().is_err(), "{text}");
        }
    }
}
