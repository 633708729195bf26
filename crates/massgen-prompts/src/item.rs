//! One item to say, as a message or a tool's result.

use massgen_protocol::{
    AgentIndex, Brief, Enforcement, Epoch, Item, Rejection, Update, WrapUpReason,
};

use crate::quote::{ANSWER_CHARS_MAX, REASON_CHARS_MAX, block, inline};
use crate::section::{join, lines, section};
use crate::texts::{Prompts, TextName};
use crate::view::{InsightView, View};

impl Prompts {
    /// Returns the text of one item, to be appended at the tail of the conversation.
    ///
    /// Briefs, updates and [`Enforcement::NoChoice`] are user messages; the others
    /// are results of the tool calls they answer.
    pub fn item(&self, item: &Item, view: &View<'_>) -> String {
        match item {
            Item::Brief(Brief::Coordinate { epoch, vote_only }) => {
                self.coordinate(*epoch, *vote_only, view)
            }
            Item::Brief(Brief::Present { winner, epoch: _ }) => {
                let winner = winner.to_string();
                let text = self.fill(TextName::Present, &[("winner", &winner)]);
                let files = if view.has_workspace { self.text(TextName::PresentFiles) } else { "" };
                let text = lines([text, files.to_owned()]);
                section("present", &join([self.situation(view), self.reasons(view), text]))
            }
            Item::Brief(Brief::Review { winner }) => {
                let winner = winner.to_string();
                let text = self.fill(TextName::Review, &[("winner", &winner)]);
                section("review", &join([self.under_review(view), text]))
            }
            Item::Update { after, update } => self.update(*after, update, view),
            Item::Enforce(enforcement) => {
                self.rule(&self.enforcement(enforcement), view.enforce_left)
            }
            Item::Rejected(rejection) => {
                let text = self.rejection(rejection);
                if rejection.is_violation() {
                    self.rule(&text, view.enforce_left)
                } else {
                    section("rule", &text)
                }
            }
            Item::Accepted { answer: _ } => self.text(TextName::Accepted).to_owned(),
            Item::Counted => self.text(TextName::Counted).to_owned(),
            Item::NotRun => self.text(TextName::NotRun).to_owned(),
            Item::Interrupted => self.text(TextName::Interrupted).to_owned(),
        }
    }

    /// Returns what others have found, to be said between two calls of a model.
    pub fn insights(&self, found: &[InsightView<'_>]) -> String {
        let told = found.iter().map(|one| {
            let (from, n) = (one.from, one.n);
            let file = one.file.map_or(String::new(), |file| {
                format!(" evidence=\"{from}-insight-{n}/{}\"", inline(file).replace('"', "'"))
            });
            let text = block(one.text, REASON_CHARS_MAX);
            format!("<insight from=\"{from}\"{file}>\n{text}\n</insight>")
        });
        let words = self.text(TextName::Insights).to_owned();
        section("insights", &lines([words].into_iter().chain(told)))
    }

    fn coordinate(&self, epoch: Epoch, vote_only: bool, view: &View<'_>) -> String {
        let text = match (epoch, vote_only) {
            (Epoch(0), _) => TextName::BriefFirst,
            (_, true) => TextName::BriefVoteOnly,
            (_, false) if view.answers.is_empty() => TextName::BriefUnchanged,
            (_, false) => TextName::BriefAnswers,
        };
        join([self.situation(view), self.text(text).to_owned()])
    }

    fn update(&self, after: Epoch, update: &Update, view: &View<'_>) -> String {
        let news = if view.answers.is_empty() {
            // Said only where nothing else is: a wrap-up speaks for itself.
            let silent = update.wrap_up.is_some() || update.vote_only || update.epoch > after;
            let text = if silent { "" } else { self.text(TextName::UpdateUnchanged) };
            text.to_owned()
        } else {
            join([self.answers(view), self.text(TextName::UpdateAnswers).to_owned()])
        };
        let what_to_do = match update.epoch {
            Epoch(0) => TextName::WrapUpAnswer,
            _ if update.vote_only => TextName::UpdateVoteOnly,
            _ => TextName::WrapUpChoose,
        };
        let wrap_up = match update.wrap_up {
            Some(reason) => {
                let why = self.text(wrap_up(reason));
                section("wrap_up", &format!("{why} {}", self.text(what_to_do)))
            }
            None if update.vote_only => self.text(TextName::UpdateVoteOnly).to_owned(),
            None => String::new(),
        };
        let mut body = join([news, wrap_up]);
        if body.is_empty() {
            body = self.text(TextName::UpdateUnchanged).to_owned();
        }
        section("update", &body)
    }

    /// What a brief is about: the question if it was not said yet, an earlier attempt, the answers.
    fn situation(&self, view: &View<'_>) -> String {
        join([question(view), self.previous_attempt(view), self.answers(view)])
    }

    fn previous_attempt(&self, view: &View<'_>) -> String {
        let Some(restart) = view.restart else { return String::new() };
        let quoted = |name, text| match block(text, ANSWER_CHARS_MAX) {
            text if text.is_empty() => text,
            text => section(name, &text),
        };
        let parts = lines([
            self.text(TextName::PreviousAttempt).to_owned(),
            quoted("answer", restart.answer),
            quoted("objection", restart.reason),
            quoted("instructions", restart.instructions),
        ]);
        section("previous_attempt", &parts)
    }

    fn answers(&self, view: &View<'_>) -> String {
        if view.answers.is_empty() {
            return String::new();
        }
        let mut shown: Vec<String> = view
            .answers
            .iter()
            .map(|answer| {
                let (alias, label) = (answer.alias, answer.label);
                let text = block(answer.text, ANSWER_CHARS_MAX);
                format!("<{alias} label=\"{label}\">\n{text}\n</{alias}>")
            })
            .collect();
        if view.snapshots {
            shown.push(self.text(TextName::Snapshots).to_owned());
        }
        section("current_answers", &shown.join("\n"))
    }

    /// Why the team voted as it did. Whose reason it is does not matter any more.
    fn reasons(&self, view: &View<'_>) -> String {
        if view.ballots.is_empty() {
            return String::new();
        }
        let reasons = view.ballots.iter().map(|(_, choice, reason)| {
            format!("<reason for=\"{choice}\">\n{}\n</reason>", block(reason, REASON_CHARS_MAX))
        });
        section("reasons", &reasons.collect::<Vec<_>>().join("\n"))
    }

    fn under_review(&self, view: &View<'_>) -> String {
        let presented = view
            .answers
            .iter()
            .map(|answer| section("final_answer", &block(answer.text, ANSWER_CHARS_MAX)));
        join([question(view), self.previous_attempt(view)].into_iter().chain(presented))
    }

    fn rule(&self, text: &str, enforce_left: u32) -> String {
        let warning = if enforce_left > 1 {
            self.fill(TextName::EnforceLeft, &[("left", &enforce_left.to_string())])
        } else {
            self.text(TextName::EnforceLast).to_owned()
        };
        section("rule", &format!("{text} {warning}"))
    }

    fn enforcement(&self, enforcement: &Enforcement) -> String {
        match enforcement {
            Enforcement::NoChoice => self.text(TextName::EnforceNoChoice).to_owned(),
            Enforcement::BothChoices => self.text(TextName::EnforceBothChoices).to_owned(),
            Enforcement::ManyChoices { n } => {
                self.fill(TextName::EnforceManyChoices, &[("n", &n.to_string())])
            }
            Enforcement::BadArguments { tool, problem } => self.fill(
                TextName::EnforceBadArguments,
                &[("tool", &inline(tool)), ("problem", &inline(problem))],
            ),
            Enforcement::CutOff => self.text(TextName::EnforceCutOff).to_owned(),
            Enforcement::UnknownTool { name } => {
                self.fill(TextName::EnforceUnknownTool, &[("name", &inline(name))])
            }
            Enforcement::AfterDecision { tool } => {
                self.fill(TextName::EnforceAfterDecision, &[("tool", &inline(tool))])
            }
        }
    }

    fn rejection(&self, rejection: &Rejection) -> String {
        let count = |name, used: u32, allowed: u32| {
            self.fill(name, &[("used", &used.to_string()), ("allowed", &allowed.to_string())])
        };
        match rejection {
            Rejection::Stale { seen, current } => self.fill(
                TextName::RejectedStale,
                &[("seen", &seen.0.to_string()), ("current", &current.0.to_string())],
            ),
            Rejection::NoAnswers => self.text(TextName::RejectedNoAnswers).to_owned(),
            Rejection::UnknownChoice { choice, valid } => self.fill(
                TextName::RejectedUnknownChoice,
                &[("choice", &inline(choice)), ("valid", &aliases(valid))],
            ),
            Rejection::SelfVote => self.text(TextName::RejectedSelfVote).to_owned(),
            Rejection::NoReason => self.text(TextName::RejectedNoReason).to_owned(),
            Rejection::Empty => self.text(TextName::RejectedEmpty).to_owned(),
            Rejection::Duplicate { of } => {
                self.fill(TextName::RejectedDuplicate, &[("of", &of.to_string())])
            }
            Rejection::TooSimilar { to, percent, allowed } => self.fill(
                TextName::RejectedTooSimilar,
                &[
                    ("to", &to.to_string()),
                    ("percent", &percent.to_string()),
                    ("allowed", &allowed.to_string()),
                ],
            ),
            Rejection::AnswerLimit { used, allowed } => {
                count(TextName::RejectedAnswerLimit, *used, *allowed)
            }
            Rejection::TotalAnswerLimit { used, allowed } => {
                count(TextName::RejectedTotalAnswerLimit, *used, *allowed)
            }
            Rejection::VoteOnly => self.text(TextName::RejectedVoteOnly).to_owned(),
            Rejection::SnapshotFailed => self.text(TextName::RejectedSnapshotFailed).to_owned(),
        }
    }
}

fn question(view: &View<'_>) -> String {
    if !view.first {
        return String::new();
    }
    // Never cut: it is the user's own, and the front end bounds it.
    section("question", &block(view.question, usize::MAX))
}

fn wrap_up(reason: WrapUpReason) -> TextName {
    match reason {
        WrapUpReason::Deadline => TextName::WrapUpDeadline,
        WrapUpReason::RoundDeadline => TextName::WrapUpRoundDeadline,
        WrapUpReason::Budget => TextName::WrapUpBudget,
        WrapUpReason::Interrupted => TextName::WrapUpInterrupted,
    }
}

fn aliases(agents: &[AgentIndex]) -> String {
    let names: Vec<String> = agents.iter().map(|agent| agent.alias().to_string()).collect();
    if names.is_empty() { "nobody yet".to_owned() } else { names.join(", ") }
}
