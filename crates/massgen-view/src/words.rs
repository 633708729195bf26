//! Facts in words for people. Fragments without a full stop, names in full.

use massgen_protocol::{
    AgentCard, Basis, CallFailure, CloseReason, Deadline, Enforcement, FailReason, FailureKind,
    Outcome, RefusalReason, Rejection, RetireReason, Review, RoundEnd, RoundKind, WrapUpReason,
};

use crate::Names;
use crate::names::{alias, label};
use crate::remedy::remedy_for;

/// Characters of a failure that is told in full; the log has all of it. Where a
/// remedy stands, it stands at the end.
const FAILURE_CHARS: usize = 1_000;

/// Characters of a failure that was told before.
const KNOWN_FAILURE_CHARS: usize = 60;

/// Returns whether the character turns the direction of writing, which would
/// show a text other than it is.
pub fn is_bidi_control(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Returns the beginning of a text on one line, without control characters: it
/// may be a model's, and must not reach a terminal as a command.
pub fn preview(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    let mut n_chars = 0;
    // Word by word, so that a long text costs no more than its beginning.
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            n_chars += 1;
        }
        for char in word.chars().filter(|&char| !char.is_control() && !is_bidi_control(char)) {
            if n_chars >= chars_max {
                line.truncate(line.trim_end().len());
                line.push('…');
                return line;
            }
            line.push(char);
            n_chars += 1;
        }
    }
    line
}

/// Returns a duration as people say it: `0.4 s`, `12.0 s`, `3 min 5 s`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    if seconds < 60 {
        format!("{seconds}.{} s", ms % 1_000 / 100)
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// Returns millionths of a dollar as dollars, cents where that says enough.
pub fn money(micros: u64) -> String {
    if micros.is_multiple_of(10_000) || micros >= 1_000_000 {
        format!("${}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000)
    } else {
        format!("${}.{:04}", micros / 1_000_000, micros % 1_000_000 / 100)
    }
}

pub fn rejection(rejection: &Rejection, names: &Names) -> String {
    match rejection {
        Rejection::Stale { seen, current } => {
            format!("had seen {} of {}, and gets the update", counted(seen.0, "answer"), current.0)
        }
        Rejection::NoAnswers => "there is nothing to vote for yet".to_owned(),
        Rejection::UnknownChoice { choice, valid } => {
            let valid: Vec<String> = valid.iter().map(|&agent| alias(agent)).collect();
            format!("`{}` is not one of {}", preview(choice, 40), valid.join(", "))
        }
        Rejection::SelfVote => "an agent may not vote for itself".to_owned(),
        Rejection::NoReason => "a vote needs a reason".to_owned(),
        Rejection::Empty => "the answer is empty".to_owned(),
        Rejection::Duplicate { of } => format!("it equals {}", names.answer(*of)),
        Rejection::TooSimilar { to, percent, allowed } => {
            format!("{percent} % of it is {}, {allowed} % is allowed", names.answer(*to))
        }
        Rejection::AnswerLimit { used, allowed } => {
            format!("{used} of {allowed} answers of this agent are used")
        }
        Rejection::TotalAnswerLimit { used, allowed } => {
            format!("{used} of {allowed} answers of the team are used")
        }
        Rejection::VoteOnly => "only votes are taken now".to_owned(),
        Rejection::SnapshotFailed => "its workspace could not be copied".to_owned(),
    }
}

pub fn enforcement(enforcement: &Enforcement) -> String {
    match enforcement {
        Enforcement::NoChoice => "it neither answered nor voted".to_owned(),
        Enforcement::BothChoices => "it answered and voted at once".to_owned(),
        Enforcement::ManyChoices { n } => format!("it made {n} choices at once"),
        Enforcement::BadArguments { tool, problem } => {
            format!("the arguments of `{tool}` cannot be read: {}", preview(problem, 120))
        }
        Enforcement::CutOff => "its reply was cut off".to_owned(),
        Enforcement::UnknownTool { name } => format!("there is no tool `{}`", preview(name, 40)),
        Enforcement::AfterDecision { tool } => {
            format!("it called `{}` although the team has decided", preview(tool, 40))
        }
    }
}

pub fn failure(failure: &CallFailure) -> String {
    failure_within(failure, FAILURE_CHARS)
}

/// Says a failure that was told in full before.
pub fn known_failure(failure: &CallFailure) -> String {
    failure_within(failure, KNOWN_FAILURE_CHARS)
}

fn failure_within(failure: &CallFailure, chars_max: usize) -> String {
    let kind = failure_kind(failure.kind);
    let status = failure.status.map(|status| format!(" ({status})")).unwrap_or_default();
    let message = preview(&failure.message, chars_max);
    if message.is_empty() {
        format!("{kind}{status}")
    } else {
        format!("{kind}{status}: {message}")
    }
}

pub fn failure_kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::RateLimited => "rate limited",
        FailureKind::Quota => "out of credit",
        FailureKind::Overloaded => "overloaded",
        FailureKind::ContextTooLong => "context too long",
        FailureKind::BadRequest => "request refused",
        FailureKind::Auth => "key refused",
        FailureKind::Unavailable => "not available",
        FailureKind::Tls => "certificate or protocol refused",
        FailureKind::Truncated => "stream cut off",
        FailureKind::Garbled => "not understood",
        FailureKind::TimedOut => "timed out",
        FailureKind::CircuitOpen => "given up after too many failures",
    }
}

/// Says why an agent left its team: what was called, what came of it, and what helps.
/// `tell` says the failure behind it, in full or in short.
pub fn retired(
    reason: &RetireReason,
    card: &AgentCard,
    tell: impl FnOnce(&CallFailure) -> String,
) -> String {
    match reason {
        RetireReason::CallsFailed { failures, last } => {
            let calls = counted(*failures, "call");
            let (told, remedy) = (tell(last), remedy_for(card, last.kind));
            format!("{calls} to {} failed, the last one: {told}; {remedy}", card.backend)
        }
        RetireReason::NoChoice { rounds } => {
            let AgentCard { model, backend, .. } = card;
            let rounds = counted(*rounds, "round");
            format!(
                "no valid choice in {rounds} of `{model}` on {backend}; take a model that calls \
                 tools reliably"
            )
        }
        RetireReason::TimedOut { rounds } => {
            format!("{} ran out of time", counted(*rounds, "round"))
        }
        RetireReason::SnapshotsFailed { failures } => {
            format!("{} of its workspace failed", counted_as(*failures, "copy", "copies"))
        }
        RetireReason::Panicked { message } => {
            format!("a fault of ours: {}", preview(message, 200))
        }
        RetireReason::Budget => "the budget allows no further call".to_owned(),
    }
}

/// `tell` says the failure behind it, in full or in short.
pub fn round_end(end: &RoundEnd, tell: impl FnOnce(&CallFailure) -> String) -> String {
    match end {
        RoundEnd::Exhausted { violations } => {
            format!("no valid choice after {}", counted(*violations, "reminder"))
        }
        RoundEnd::TooManyTurns { turns } => {
            format!("no choice in {}", counted(*turns, "model call"))
        }
        RoundEnd::CallFailed { failure } => tell(failure),
        RoundEnd::Panicked { message } => format!("a fault of ours: {}", preview(message, 200)),
    }
}

pub fn refusal(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::Calls => "all calls of the budget are used",
        RefusalReason::Tokens => "the tokens left in the budget are too few",
        RefusalReason::Money => "the money left in the budget is too little",
        RefusalReason::Time => "the time in the budget is used up",
    }
}

pub fn wrap_up(reason: WrapUpReason) -> &'static str {
    match reason {
        WrapUpReason::Deadline => "time is nearly over",
        WrapUpReason::RoundDeadline => "the round's time is nearly over",
        WrapUpReason::Budget => "the budget is nearly spent",
        WrapUpReason::Interrupted => "the user asked to wrap up",
    }
}

/// Returns what is over, or `None` for a deadline that only wakes an agent up.
pub fn deadline(deadline: Deadline) -> Option<String> {
    match deadline {
        Deadline::WrapUp { .. } => Some("time is nearly over".to_owned()),
        Deadline::Coordination { attempt } => {
            Some(format!("the time to coordinate attempt {} is over", attempt.0))
        }
        Deadline::Attempt { attempt } => Some(format!("the time of attempt {} is over", attempt.0)),
        Deadline::Budget => Some("the time in the budget is used up".to_owned()),
        Deadline::RoundSoft { round } => {
            Some(format!("the time of round {} is nearly over", round.n))
        }
        Deadline::Round { round } => Some(format!("the time of round {} is over", round.n)),
        Deadline::Backoff { .. } => None,
    }
}

/// Returns why a round was closed, or `None` where that is how rounds end.
pub fn closed(reason: CloseReason) -> Option<&'static str> {
    match reason {
        CloseReason::Submitted | CloseReason::Ended => None,
        CloseReason::TimedOut => Some("round closed: its time is over"),
        CloseReason::Decided => Some("round closed: the winner is known"),
        CloseReason::Budget => Some("round closed: the budget is spent"),
        CloseReason::Interrupted => Some("round closed: the user interrupted"),
    }
}

pub fn round_kind(kind: RoundKind) -> &'static str {
    match kind {
        RoundKind::Coordinate => "round",
        RoundKind::Present => "presentation",
        RoundKind::Review => "review",
    }
}

pub fn basis(basis: &Basis) -> String {
    match basis {
        Basis::Votes { votes, voters, tie } => {
            format!("{votes} of {}{}", counted(*voters, "vote"), tied(*tie))
        }
        Basis::SoleAgent => "only agent".to_owned(),
        Basis::NoVoters { votes, tie } => {
            format!("nobody left to vote, {}{}", counted(*votes, "vote"), tied(*tie))
        }
        Basis::Deadline { votes, tie } => {
            format!("time over, {}{}", counted(*votes, "vote"), tied(*tie))
        }
        Basis::Budget { votes, tie } => {
            format!("budget spent, {}{}", counted(*votes, "vote"), tied(*tie))
        }
        Basis::Interrupted { votes, tie } => {
            format!("interrupted, {}{}", counted(*votes, "vote"), tied(*tie))
        }
    }
}

pub fn outcome(outcome: &Outcome, names: &Names) -> String {
    match outcome {
        Outcome::Answered { winner, basis: why, presented } => {
            let how = if *presented { "presented" } else { "taken as it is" };
            format!("{} wins ({}), {how}", names.answer(*winner), basis(why))
        }
        Outcome::Failed { reason } => format!("no answer: {}", fail_reason(*reason)),
    }
}

pub fn fail_reason(reason: FailReason) -> &'static str {
    match reason {
        FailReason::AllAgentsFailed => "all agents failed",
        FailReason::Deadline => "time is over",
        FailReason::Budget => "the budget is spent",
        FailReason::Interrupted => "interrupted",
    }
}

pub fn review(review: &Review) -> String {
    match review {
        Review::Submit => "the answer stands".to_owned(),
        Review::Restart { reason, .. } => format!("another attempt: {}", preview(reason, 120)),
    }
}

/// Returns the label of an answer as models and logs know it.
pub fn answer_label(answer: massgen_protocol::AnswerId) -> String {
    label(answer)
}

fn tied(tie: bool) -> &'static str {
    if tie { ", tie broken" } else { "" }
}

pub(crate) fn counted(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn counted_as(n: u32, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_one_short_line_without_commands_for_a_terminal() {
        for (text, chars_max, expected) in [
            ("", 5, ""),
            (" two\n\n words ", 20, "two words"),
            ("two words", 9, "two words"),
            ("two words", 8, "two word…"),
            ("two words", 4, "two…"),
            ("漢字漢字", 2, "漢字…"),
            ("\u{1b}[31mred\u{7}", 20, "[31mred"),
            ("\u{202e}txt.\u{2066}exe\u{200f}", 20, "txt.exe"),
        ] {
            assert_eq!(preview(text, chars_max), expected);
        }
    }

    #[test]
    fn durations_and_sums_read_well() {
        for (ms, expected) in
            [(0, "0.0 s"), (59_999, "59.9 s"), (60_000, "1 min 0 s"), (185_000, "3 min 5 s")]
        {
            assert_eq!(duration(ms), expected);
        }
        for (micros, expected) in
            [(0, "$0.00"), (420_000, "$0.42"), (1_234_567, "$1.23"), (2_500, "$0.0025")]
        {
            assert_eq!(money(micros), expected);
        }
    }
}
