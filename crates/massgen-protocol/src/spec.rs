//! What a run needs, fully resolved: no defaults left to find, no files left to read.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AgentId, AgentIndex, FilesSpec, Media, PlacesTold, ToolEffect, Tooling, Toolset};

/// What the user asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub text: String,
}

/// A run: the question, the roster in order, the rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    pub question: Question,
    pub agents: Vec<AgentSpec>,
    pub policy: Policy,
    /// Source of every random choice of the run.
    pub seed: u64,
    /// Folder with texts that replace ours, by name; see `massgen-prompts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts_dir: Option<String>,
    /// What the team shares of files, and what confines it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub files: FilesSpec,
    /// Found when the run began; an agent's is at its `toolset`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub toolsets: Vec<Toolset>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSpec {
    pub id: AgentId,
    /// The user's own words for this agent; part of the system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_message: Option<String>,
    pub backend: BackendSpec,
    /// Overrides the team's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voting_sensitivity: Option<VotingSensitivity>,
    /// Images and files shown to this agent with the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    #[serde(default, skip_serializing_if = "Tooling::is_empty")]
    pub tooling: Tooling,
    /// Index into `toolsets`; none without tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolset: Option<u32>,
    /// Where its files are, once there is a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<PlacesTold>,
}

impl AgentSpec {
    /// Returns an agent that has nothing but its model.
    pub fn new(id: impl Into<String>, backend: BackendSpec) -> AgentSpec {
        AgentSpec {
            id: AgentId(id.into()),
            system_message: None,
            backend,
            voting_sensitivity: None,
            media: Vec::new(),
            tooling: Tooling::default(),
            toolset: None,
            places: None,
        }
    }
}

impl RunSpec {
    /// Returns a run without tools.
    pub fn new(question: impl Into<String>, agents: Vec<AgentSpec>, policy: Policy) -> RunSpec {
        RunSpec {
            question: Question { text: question.into() },
            agents,
            policy,
            seed: 0,
            prompts_dir: None,
            files: FilesSpec::default(),
            toolsets: Vec::new(),
        }
    }

    /// Returns what a call of this tool does to the world; of one that is not offered, nothing.
    pub fn tool_effect(&self, agent: AgentIndex, name: &str) -> ToolEffect {
        let tools = self.toolset(agent).map_or(&[][..], |set| set.tools.as_slice());
        let tool = tools.iter().find(|tool| tool.spec.name == name);
        tool.map_or(ToolEffect::Read, |tool| tool.effect)
    }

    /// Returns the tools an agent is offered besides the workflow's.
    pub fn toolset(&self, agent: AgentIndex) -> Option<&Toolset> {
        let at = usize::try_from(self.agents.get(agent.at())?.toolset?).ok()?;
        self.toolsets.get(at)
    }
}

/// Where a model is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendSpec {
    /// The `type` of the config: `chatcompletion`, `lmstudio`, `scripted`, …
    pub kind: String,
    pub model: String,
    /// Root of the API, without a trailing slash. For `scripted`: the script's path.
    pub base_url: String,
    pub api_key: ApiKey,
    pub max_output_tokens: Option<u64>,
    /// Request fields passed through as they are (`temperature`, `seed`, …).
    pub params: Map<String, Value>,
    pub prices: Prices,
    pub timeouts: CallTimeouts,
    /// Tries of one call, the first included.
    pub tries_max: u32,
    /// Tools that run at the provider.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hosted_tools: HostedTools,
    /// How much the model is to think, in the provider's own words.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reasoning: Reasoning,
    /// Tokens of one conversation as the config states them; wins over what is known of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate_limits: RateLimits,
    /// Sent with every request, by name. Values may be keys, so they are never written down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderText>,
    /// What is started and spoken to over its standard streams, for agents that are programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// Taken one after the other where a call cannot succeed with the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<BackendSpec>,
}

impl BackendSpec {
    /// Returns a backend with every default, for code that has no config.
    pub fn new(
        kind: impl Into<String>,
        model: impl Into<String>,
        base_url: impl Into<String>,
    ) -> BackendSpec {
        BackendSpec {
            kind: kind.into(),
            model: model.into(),
            base_url: base_url.into(),
            api_key: ApiKey::None,
            max_output_tokens: None,
            params: Map::new(),
            prices: Prices::default(),
            timeouts: CallTimeouts::default(),
            tries_max: TRIES_MAX_DEFAULT,
            hosted_tools: HostedTools::default(),
            reasoning: Reasoning::default(),
            context_window: None,
            rate_limits: RateLimits::default(),
            headers: BTreeMap::new(),
            program: None,
            fallbacks: Vec::new(),
        }
    }
}

impl BackendSpec {
    /// Returns every secret in it and in its fallbacks, for whoever keeps logs clean.
    pub fn secrets(&self) -> Vec<&Secret> {
        let env = self.program.iter().flat_map(|program| &program.env);
        let texts = self.headers.iter().chain(env);
        let secret_texts = texts.filter_map(|(name, text)| text.secret(name));
        let mut secrets: Vec<&Secret> = self.api_key.secret().into_iter().collect();
        secrets.extend(secret_texts);
        secrets.extend(self.fallbacks.iter().flat_map(BackendSpec::secrets));
        secrets
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Tries of one call, the first included: one slip of a server is mended, a broken
/// server is not hammered. The coordinator's back-off takes over from there.
pub const TRIES_MAX_DEFAULT: u32 = 3;

/// Tools that run at the provider, switched on by the config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedTools {
    #[serde(default)]
    pub web_search: bool,
    #[serde(default)]
    pub code_execution: bool,
    /// Search in posts; Grok only.
    #[serde(default)]
    pub x_search: bool,
}

/// How much a model is to think. What a model cannot do is left out of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; the codec fits it to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Tokens of thought, for models that take a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u64>,
    /// `auto`, `concise`, `detailed`: how much of it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// Most that one key may be used in a minute (or a day), all agents of the process together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u32>,
}

/// A program that is an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Found by `PATH` if it has no slash.
    pub command: String,
    pub args: Vec<String>,
    /// Set on top of the environment it inherits; values may be keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, HeaderText>,
    /// Where it works: absolute, made if it is missing.
    pub cwd: String,
}

/// A text that may hold a key: written down by where it came from only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum HeaderText {
    /// As it stands in the config, with no variable in it.
    Plain { value: String },
    /// With variables in it; a resumed run expands `written` again.
    Expanded {
        written: String,
        #[serde(skip)]
        value: Secret,
    },
}

impl HeaderText {
    /// Returns the text. Call it where the request is made, and nowhere else.
    pub fn expose(&self) -> &str {
        match self {
            HeaderText::Plain { value } => value,
            HeaderText::Expanded { value, .. } => value.expose(),
        }
    }
}

impl HeaderText {
    /// Returns what is to be looked for in logs, if the text is called like a secret or
    /// comes from a variable that is: what else comes from the environment (`${HOME}`)
    /// are ordinary words, and a log without them could not be read.
    pub(crate) fn secret(&self, name: &str) -> Option<&Secret> {
        const WORDS: [&str; 8] =
            ["key", "token", "secret", "passw", "auth", "credential", "cookie", "_pat"];
        match self {
            HeaderText::Plain { .. } => None,
            HeaderText::Expanded { written, value } => {
                let called = format!("{name} {written}").to_ascii_lowercase();
                WORDS.iter().any(|word| called.contains(word)).then_some(value)
            }
        }
    }
}

/// Bounds of one try of one call, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTimeouts {
    pub connect_ms: u64,
    pub first_byte_ms: u64,
    /// Silence between two pieces of the stream.
    pub idle_ms: u64,
    /// The whole call, retries and pauses between them included.
    pub total_ms: u64,
}

impl Default for CallTimeouts {
    fn default() -> CallTimeouts {
        CallTimeouts {
            connect_ms: 10_000,
            // Reasoning models behind Chat Completions may think for minutes before a byte comes.
            first_byte_ms: 180_000,
            idle_ms: 120_000,
            total_ms: 900_000,
        }
    }
}

/// A key, and where it came from, so that a resumed run can look it up again.
/// Serialised without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum ApiKey {
    /// The server asks for none.
    None,
    Env {
        name: String,
        #[serde(skip)]
        value: Secret,
    },
    /// Written in the config; a resumed run reads it there again.
    Given {
        #[serde(skip)]
        value: Secret,
    },
}

impl ApiKey {
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            ApiKey::None => None,
            ApiKey::Env { value, .. } | ApiKey::Given { value } => Some(value),
        }
    }
}

/// A text that never shows in `Debug` or in a file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Returns the text. Call it where the request is made, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(…)" })
    }
}

/// US dollars for a million tokens, in millionths of a dollar; all zero where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    pub input_micros: u64,
    pub cache_read_micros: u64,
    pub cache_write_micros: u64,
    pub output_micros: u64,
}

/// What was, or may be, used of the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spend {
    pub calls: u32,
    /// Input and output together.
    pub tokens: u64,
    /// In millionths of a US dollar.
    pub money_micros: u64,
}

/// Hard bounds of a run. At `soft_percent` of any, by what is spent, agents are told to vote with what exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub calls: Option<u32>,
    pub tokens: Option<u64>,
    pub money_micros: Option<u64>,
    /// Wall time of the whole run, in milliseconds.
    pub time_ms: Option<u64>,
    pub soft_percent: u8,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { calls: None, tokens: None, money_micros: None, time_ms: None, soft_percent: 80 }
    }
}

/// The rules of coordination. Every limit that bounds a loop has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub on_new_answer: OnNewAnswer,
    pub voting_sensitivity: VotingSensitivity,
    pub answer_novelty: AnswerNovelty,
    /// Answers one agent may give in one attempt.
    pub answers_per_agent_max: u32,
    /// Answers of all agents in one attempt.
    pub answers_max: Option<u32>,
    pub self_vote: SelfVote,
    pub tie_break: TieBreak,
    /// Nobody votes while a first draft is still being written.
    pub defer_voting: bool,
    pub final_presentation: FinalPresentation,
    /// Attempts a review may order on top of the first; 0 means no review.
    pub restarts_max: u32,
    /// Failed calls, timed-out rounds and failed snapshots in a row before an agent retires.
    pub failures_max: u32,
    /// Rounds without a valid choice before an agent retires.
    pub exhausted_rounds_max: u32,
    /// First pause of a failing agent; doubles each time.
    pub backoff_ms: u64,
    pub backoff_ms_max: u64,
    /// Broken rules in one round before it ends.
    pub violations_max: u32,
    /// Model calls in one round before it ends.
    pub turns_max: u32,
    /// Take the plain text of a model that never calls a tool for its first answer.
    pub salvage_text: bool,
    /// A team of one votes and presents like any other.
    pub sole_agent_votes: bool,
    pub deadlines: Deadlines,
    pub budget: Budget,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            on_new_answer: OnNewAnswer::Graceful,
            voting_sensitivity: VotingSensitivity::Lenient,
            answer_novelty: AnswerNovelty::Lenient,
            answers_per_agent_max: 5,
            answers_max: None,
            self_vote: SelfVote::Allow,
            tie_break: TieBreak::Roster,
            defer_voting: false,
            final_presentation: FinalPresentation::Present,
            restarts_max: 0,
            failures_max: 3,
            exhausted_rounds_max: 2,
            backoff_ms: 1_000,
            backoff_ms_max: 60_000,
            violations_max: 3,
            turns_max: 50,
            salvage_text: true,
            sole_agent_votes: false,
            deadlines: Deadlines::default(),
            budget: Budget::default(),
        }
    }
}

/// Moments by which something is over, in milliseconds; `None` switches a deadline off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// One attempt, presentation included.
    pub attempt_ms: Option<u64>,
    /// How long before its end the attempt's agents are told to decide; half of it is left
    /// for the presentation.
    pub wrap_up_lead_ms: u64,
    /// An agent's first round.
    pub first_round_ms: Option<u64>,
    /// Its later rounds.
    pub later_round_ms: Option<u64>,
    /// From being told that a round's time is over to its end.
    pub round_grace_ms: u64,
    pub presentation_ms: Option<u64>,
    pub review_ms: Option<u64>,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            attempt_ms: Some(1_800_000),
            wrap_up_lead_ms: 180_000,
            first_round_ms: Some(600_000),
            later_round_ms: Some(600_000),
            round_grace_ms: 120_000,
            presentation_ms: Some(300_000),
            review_ms: Some(300_000),
        }
    }
}

/// What a new answer does to the agents that are working.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewAnswer {
    /// First drafts are left alone; who has seen answers before starts over at once.
    Graceful,
    /// Everybody starts over at once.
    Interrupt,
    /// Nobody is interrupted; the answer is seen at the next safe point.
    Wait,
}

/// How ready an agent should be to vote for what exists. Words only; the machine treats all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VotingSensitivity {
    Lenient,
    Balanced,
    Strict,
}

/// How different a new answer must be: the share of common words above which it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerNovelty {
    /// Only equal texts are refused.
    Lenient,
    /// More than 70 percent.
    Balanced,
    /// More than 50 percent.
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfVote {
    Allow,
    /// Counts only among answers that are otherwise equal.
    Discount,
    /// Refused, unless there is no other answer.
    Forbid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// First in the roster.
    Roster,
    /// The answer that was accepted first.
    Earliest,
    /// By the seed of the run.
    Seeded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalPresentation {
    /// The winner writes the final text with everything in view.
    Present,
    /// The winning answer is the final text; no further call.
    Reuse,
}
