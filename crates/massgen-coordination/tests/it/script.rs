//! Scripts of what happens, played on the coordinator, and what it makes of them in words.
//!
//! Agents are `a`, `b`, … (`agent1`, `agent2`, …); `a#2` is a round, `a.1` an answer.
//! The referee of the explorer watches, so no scenario can break a law unseen.

use std::fmt::Write as _;

use massgen_coordination::{Command, Coordinator, Effects, Input};
use massgen_protocol::{
    AgentIndex, AnswerId, AnswerNovelty, AttemptIndex, Basis, Brief, CallFailure, CallId, Deadline,
    Deadlines, Epoch, EventBody, FailureKind, FinalPresentation, Millis, OnNewAnswer, Outcome,
    Policy, Rejection, RetireReason, Review, RoundEnd, RoundId, RoundKind, SelfVote, SnapshotId,
    Spend, Submission, TieBreak, Update,
};

use crate::explorer::Referee;

/// A run being played.
struct Play {
    coordinator: Coordinator,
    referee: Referee,
    now: Millis,
    agents: Vec<Seat>,
    shows_timers: bool,
}

/// What the script may leave unsaid about an agent.
#[derive(Clone, Default)]
struct Seat {
    round: u32,
    seen: Epoch,
    calls: u32,
}

/// Plays a script and returns it with what followed from each line.
pub fn play(script: &str) -> String {
    let mut lines = script.lines().filter(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('→')
    });
    let team = lines.next().unwrap();
    let mut play = Play::new(team);
    let mut played = format!("{team}\n");
    for line in lines {
        let (line, comment) = match line.split_once("  #") {
            Some((line, comment)) => (line.trim_end(), format!("  #{comment}")),
            None => (line, String::new()),
        };
        let _ = writeln!(played, "{line}{comment}");
        let words = play.line(line);
        let mut row = String::from("  →");
        for word in &words {
            if row.chars().count() + word.chars().count() > 100 {
                let _ = writeln!(played, "{row}");
                row = String::from("  →");
            }
            let _ = write!(row, " {word};");
        }
        let row = row.trim_end_matches(';');
        let _ = writeln!(played, "{}", if words.is_empty() { "  → nothing" } else { row });
    }
    played
}

impl Play {
    fn new(team: &str) -> Play {
        let mut parts = team.split('·').map(str::trim);
        let n_agents = parts.next().and_then(|part| part.strip_prefix("team of ")).unwrap();
        let n_agents: u16 = n_agents.parse().unwrap();
        let mut policy = quiet_policy();
        let (mut shows_timers, mut seed) = (false, 7);
        for part in parts {
            match part.split_once(' ') {
                None if part == "timers" => shows_timers = true,
                None => set_flag(&mut policy, part),
                Some(("seed", value)) => seed = value.parse().unwrap(),
                Some((key, value)) => set(&mut policy, key, value),
            }
        }
        Play {
            coordinator: Coordinator::new(n_agents, policy.clone(), seed),
            referee: Referee::new(n_agents, &policy),
            now: Millis(0),
            agents: vec![Seat::default(); usize::from(n_agents)],
            shows_timers,
        }
    }

    fn line(&mut self, line: &str) -> Vec<String> {
        let input = self.read(line).unwrap_or_else(|| panic!("not understood: {line}"));
        let fx = self.coordinator.step(self.now, input.clone());
        if let Err(breach) = self.referee.observe(self.now, &input, &fx, &self.coordinator) {
            panic!("{line}: {breach:?}");
        }
        self.obey(&fx);
        self.words(&fx)
    }

    fn read(&mut self, line: &str) -> Option<Input> {
        let quoted: Vec<String> =
            line.split('"').skip(1).step_by(2).map(|text| text.replace("\\n", "\n")).collect();
        let words: Vec<&str> = line.split('"').step_by(2).flat_map(str::split_whitespace).collect();
        if let Some(at) = words.iter().position(|word| *word == "at") {
            self.now = Millis(words.get(at + 1)?.parse().ok()?);
        }
        let seen = words.iter().position(|word| *word == "seen").and_then(|at| words.get(at + 1));
        let seen = seen.and_then(|seen| seen.parse().ok()).map(Epoch);
        let number = |key: &str| -> Option<u64> {
            words
                .iter()
                .position(|word| *word == key)
                .and_then(|at| words.get(at + 1)?.parse().ok())
        };
        let text = || quoted.first().cloned().unwrap_or_default();
        match words[..] {
            ["begin", ..] => Some(Input::Begin),
            ["interrupt", ..] => Some(Input::Interrupt),
            ["stored", answer, ..] => {
                let answer = read_answer(answer)?;
                Some(Input::SnapshotTaken { answer, snapshot: Some(SnapshotId::empty()) })
            }
            ["lost", answer, ..] => {
                Some(Input::SnapshotTaken { answer: read_answer(answer)?, snapshot: None })
            }
            ["due", what, ..] => {
                let attempt =
                    number("of").map_or(Ok(self.coordinator.attempt().0), u32::try_from).ok()?;
                let attempt = AttemptIndex(attempt);
                let of = words.get(2).copied();
                Some(Input::Due(match what {
                    "wrap-up" => Deadline::WrapUp { attempt },
                    "coordination" => Deadline::Coordination { attempt },
                    "attempt" => Deadline::Attempt { attempt },
                    "budget" => Deadline::Budget,
                    "soft" => Deadline::RoundSoft { round: read_round(of?)? },
                    "round" => Deadline::Round { round: read_round(of?)? },
                    "backoff" => Deadline::Backoff {
                        agent: read_agent(of?)?,
                        failures: words.get(3)?.parse().ok()?,
                    },
                    _ => return None,
                }))
            }
            [who, verb, ref rest @ ..] => {
                let round = match read_round(who) {
                    Some(round) => round,
                    None => {
                        let agent = read_agent(who)?;
                        RoundId { agent, n: self.agents[agent.at()].round }
                    }
                };
                let seat = self.agents.get(round.agent.at()).cloned().unwrap_or_default();
                let seen = seen.unwrap_or(seat.seen);
                let tokens = number("tokens").unwrap_or(10);
                let money_micros = number("money").unwrap_or(0);
                let spend = Spend { calls: 1, tokens, money_micros };
                let end = |end| Some(Input::RoundEnded { round, end });
                match verb {
                    "answers" => {
                        let submission = Submission::NewAnswer { text: text().into() };
                        Some(Input::Submitted { round, seen, submission })
                    }
                    "votes" => {
                        // A bare letter is an agent; anything in quotes goes through as it is.
                        let (choice, reason) = match rest.first().and_then(|name| read_agent(name))
                        {
                            Some(agent) => (agent.alias().to_string(), quoted.first()),
                            None => (quoted.first()?.clone(), quoted.get(1)),
                        };
                        let reason = reason.cloned().unwrap_or_else(|| "checked".to_owned());
                        let submission = Submission::Vote { choice, reason };
                        Some(Input::Submitted { round, seen, submission })
                    }
                    "calls" => {
                        let n = seat.calls + 1;
                        if let Some(seat) = self.agents.get_mut(round.agent.at()) {
                            seat.calls = n;
                        }
                        Some(Input::CallRequested { call: CallId { round, n }, estimate: spend })
                    }
                    "spent" => {
                        // Its last one, where the script does not name another.
                        let n = match number("call") {
                            Some(n) => u32::try_from(n).ok()?,
                            None => seat.calls,
                        };
                        let call = CallId { round, n };
                        Some(Input::CallSettled { call, spend, failure: None })
                    }
                    "fails" => {
                        let kind = match rest.first().copied() {
                            Some("auth") => FailureKind::Auth,
                            Some("busy") => FailureKind::RateLimited,
                            _ => FailureKind::Overloaded,
                        };
                        let (message, status) = ("down".to_owned(), None);
                        let retry_after_ms = number("after");
                        let failure = CallFailure { kind, message, status, retry_after_ms };
                        end(RoundEnd::CallFailed { failure })
                    }
                    "undecided" => end(RoundEnd::Exhausted { violations: 3 }),
                    "loops" => end(RoundEnd::TooManyTurns { turns: 50 }),
                    "panics" => end(RoundEnd::Panicked { message: text() }),
                    "presents" => Some(Input::Presented { round }),
                    "submits" => Some(Input::Reviewed { round, review: Review::Submit }),
                    "restarts" => {
                        let instructions = quoted.get(1).cloned().unwrap_or_default();
                        let review = Review::Restart { reason: text(), instructions };
                        Some(Input::Reviewed { round, review })
                    }
                    _ => None,
                }
            }
            [] | [_] => None,
        }
    }

    fn obey(&mut self, fx: &Effects) {
        for command in &fx.commands {
            match command {
                Command::OpenRound { round, brief } => {
                    let seen = match brief {
                        Brief::Coordinate { epoch, .. } | Brief::Present { epoch, .. } => *epoch,
                        Brief::Review { .. } => Epoch(0),
                    };
                    self.agents[round.agent.at()] = Seat { round: round.n, seen, calls: 0 };
                }
                Command::DeliverUpdate { round, update, .. }
                | Command::Reply { round, update: Some(update), .. } => {
                    self.agents[round.agent.at()].seen = update.epoch;
                }
                Command::Reply { update: None, .. }
                | Command::StartCall { .. }
                | Command::CloseRound { .. }
                | Command::TakeSnapshot { .. }
                | Command::Arm { .. }
                | Command::Finish(_) => {}
            }
        }
    }

    /// Says what follows. Commands are the twins of events (the referee sees to it), so
    /// they are said only where they know more.
    fn words(&self, fx: &Effects) -> Vec<String> {
        let mut words: Vec<String> = fx.events.iter().filter_map(|event| said(event, fx)).collect();
        for command in &fx.commands {
            match command {
                Command::Arm { deadline, after_ms } if self.shows_timers => {
                    words.push(format!("{} in {after_ms} ms", deadline_name(*deadline)));
                }
                // The answer to one who asks although its round is closed.
                Command::CloseRound { round, .. } => {
                    let is_twin = |event: &EventBody| match event {
                        EventBody::RoundClosed { round: closed, .. } => closed == round,
                        _ => false,
                    };
                    if !fx.events.iter().any(is_twin) {
                        words.push(format!("close {} again", round_name(*round)));
                    }
                }
                _ => {}
            }
        }
        words
    }
}

fn said(event: &EventBody, fx: &Effects) -> Option<String> {
    Some(match event {
        EventBody::AttemptStarted { attempt } => format!("attempt {}", attempt.0),
        EventBody::RoundOpened { round, kind, epoch, vote_only } => {
            let round = round_name(*round);
            match (kind, vote_only) {
                (RoundKind::Coordinate, false) => format!("open {round} at {}", epoch.0),
                (RoundKind::Coordinate, true) => format!("open {round} at {}, vote only", epoch.0),
                (RoundKind::Present, _) => format!("open {round} to present"),
                (RoundKind::Review, _) => format!("open {round} to review"),
            }
        }
        EventBody::RoundClosed { round, reason } => {
            format!("close {} ({reason:?})", round_name(*round))
        }
        EventBody::CallGranted { call } => format!("call {} granted", call_name(*call)),
        EventBody::CallRefused { call, reason } => {
            format!("call {} refused ({reason:?})", call_name(*call))
        }
        EventBody::AnswerProposed { answer, .. } => format!("freeze {}", answer_name(*answer)),
        EventBody::AnswerAccepted { answer, epoch, .. } => {
            format!("{} is epoch {}", answer_name(*answer), epoch.0)
        }
        EventBody::SubmissionRejected { round, rejection } => {
            format!("refuse {}: {}", round_name(*round), rejection_name(rejection))
        }
        EventBody::VoteCast { ballot, .. } => {
            format!("{} votes {}", name(ballot.voter), name(ballot.choice))
        }
        EventBody::VotesVoided { n, .. } => format!("{n} votes void"),
        EventBody::UpdateSent { round, epoch, interrupt } => {
            let update = fx.commands.iter().find_map(|command| match command {
                Command::DeliverUpdate { round: to, update, .. }
                | Command::Reply { round: to, update: Some(update), .. } => {
                    (to == round).then_some(update)
                }
                _ => None,
            });
            let Update { wrap_up, vote_only, .. } = update.unwrap();
            let mut words = format!("update {} to {}", round_name(*round), epoch.0);
            if *interrupt {
                words.push_str(" at once");
            }
            if *vote_only {
                words.push_str(", vote only");
            }
            if let Some(reason) = wrap_up {
                let _ = write!(words, ", wrap up ({reason:?})");
            }
            words
        }
        EventBody::AgentFailed { agent, failures, max, backoff_ms } => {
            format!("{} pauses {backoff_ms} ms ({failures} of {max})", name(*agent))
        }
        EventBody::AgentRetired { agent, reason } => {
            format!("{} retires ({})", name(*agent), retire_name(reason))
        }
        EventBody::WrapUpStarted { reason } => format!("wrap up ({reason:?})"),
        EventBody::WinnerSelected { winner, basis } => {
            format!("{} wins by {}", answer_name(*winner), basis_name(basis))
        }
        EventBody::AttemptRestarted { reason, .. } => format!("restart: {reason}"),
        EventBody::TurnFinished { outcome: Outcome::Failed { reason } } => {
            format!("end: failed ({reason:?})")
        }
        EventBody::TurnFinished { outcome: Outcome::Answered { winner, presented, .. } } => {
            let how = if *presented { "presented" } else { "as stored" };
            format!("end: {} {how}", answer_name(*winner))
        }
        EventBody::InputIgnored { why } => format!("ignored: {why}"),
        _ => return None,
    })
}

fn rejection_name(rejection: &Rejection) -> String {
    match rejection {
        Rejection::Stale { seen, current } => format!("stale, saw {} of {}", seen.0, current.0),
        Rejection::UnknownChoice { choice, valid } => {
            let valid: Vec<String> = valid.iter().map(|agent| name(*agent)).collect();
            format!("no `{choice}` among {}", valid.join(" "))
        }
        Rejection::Duplicate { of } => format!("the same as {}", answer_name(*of)),
        Rejection::TooSimilar { to, percent, allowed } => {
            format!("{percent} % of {}, {allowed} % allowed", answer_name(*to))
        }
        Rejection::AnswerLimit { used, allowed } => format!("{used} of {allowed} answers used"),
        Rejection::TotalAnswerLimit { used, allowed } => {
            format!("{used} of {allowed} answers of all used")
        }
        Rejection::NoAnswers => "nothing to vote for".into(),
        Rejection::SelfVote => "a vote for itself".into(),
        Rejection::NoReason => "no reason".into(),
        Rejection::Empty => "empty".into(),
        Rejection::VoteOnly => "only votes now".into(),
        Rejection::SnapshotFailed => "not stored".into(),
    }
}

fn retire_name(reason: &RetireReason) -> String {
    match reason {
        RetireReason::CallsFailed { failures, last } => format!("{failures} × {:?}", last.kind),
        RetireReason::NoChoice { rounds } => format!("{rounds} rounds without a choice"),
        RetireReason::TimedOut { rounds } => format!("{rounds} × too slow"),
        RetireReason::SnapshotsFailed { failures } => format!("{failures} × not stored"),
        RetireReason::Panicked { message } => format!("panicked: {message}"),
        RetireReason::Budget => "budget".into(),
    }
}

fn basis_name(basis: &Basis) -> String {
    let tied = |tie: &bool| if *tie { ", a tie" } else { "" };
    match basis {
        Basis::Votes { votes, voters, tie } => format!("{votes} of {voters} votes{}", tied(tie)),
        Basis::SoleAgent => "being the only one".into(),
        Basis::NoVoters { votes, tie } => format!("{votes} votes, nobody left{}", tied(tie)),
        Basis::Deadline { votes, tie } => format!("{votes} votes at the deadline{}", tied(tie)),
        Basis::Budget { votes, tie } => format!("{votes} votes within the budget{}", tied(tie)),
        Basis::Interrupted { votes, tie } => format!("{votes} votes when interrupted{}", tied(tie)),
    }
}

fn deadline_name(deadline: Deadline) -> String {
    match deadline {
        Deadline::WrapUp { attempt } => format!("wrap-up {}", attempt.0),
        Deadline::Coordination { attempt } => format!("coordination {}", attempt.0),
        Deadline::Attempt { attempt } => format!("attempt {}", attempt.0),
        Deadline::Budget => "budget".into(),
        Deadline::RoundSoft { round } => format!("soft {}", round_name(round)),
        Deadline::Round { round } => format!("round {}", round_name(round)),
        Deadline::Backoff { agent, failures } => format!("backoff {} {failures}", name(agent)),
    }
}

fn name(agent: AgentIndex) -> String {
    let letter = u8::try_from(agent.0).ok().and_then(|at| b'a'.checked_add(at)).map(char::from);
    letter.unwrap().to_string()
}

fn round_name(round: RoundId) -> String {
    format!("{}#{}", name(round.agent), round.n)
}

fn call_name(call: CallId) -> String {
    format!("{}.{}", round_name(call.round), call.n)
}

fn answer_name(answer: AnswerId) -> String {
    format!("{}.{}", name(answer.agent), answer.n)
}

fn read_agent(text: &str) -> Option<AgentIndex> {
    match text.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(AgentIndex(u16::from(letter - b'a'))),
        _ => None,
    }
}

fn read_round(text: &str) -> Option<RoundId> {
    let (agent, n) = text.split_once('#')?;
    Some(RoundId { agent: read_agent(agent)?, n: n.parse().ok()? })
}

fn read_answer(text: &str) -> Option<AnswerId> {
    let (agent, n) = text.split_once('.')?;
    Some(AnswerId { agent: read_agent(agent)?, n: n.parse().ok()? })
}

/// The default policy, but without deadlines: a script names those it wants.
fn quiet_policy() -> Policy {
    let deadlines = Deadlines {
        attempt_ms: None,
        first_round_ms: None,
        later_round_ms: None,
        presentation_ms: None,
        review_ms: None,
        ..Deadlines::default()
    };
    Policy { deadlines, ..Policy::default() }
}

fn set_flag(policy: &mut Policy, flag: &str) {
    match flag {
        "defer_voting" => policy.defer_voting = true,
        "reuse" => policy.final_presentation = FinalPresentation::Reuse,
        "sole_agent_votes" => policy.sole_agent_votes = true,
        _ => panic!("no flag `{flag}`"),
    }
}

fn set(policy: &mut Policy, key: &str, value: &str) {
    let number = || -> u64 { value.parse().unwrap() };
    let small = || -> u32 { value.parse().unwrap() };
    match key {
        "answers" => policy.answers_per_agent_max = small(),
        "total" => policy.answers_max = Some(small()),
        "failures" => policy.failures_max = small(),
        "undecided" => policy.exhausted_rounds_max = small(),
        "restarts" => policy.restarts_max = small(),
        "attempt" => policy.deadlines.attempt_ms = Some(number()),
        "lead" => policy.deadlines.wrap_up_lead_ms = number(),
        "first" => policy.deadlines.first_round_ms = Some(number()),
        "later" => policy.deadlines.later_round_ms = Some(number()),
        "grace" => policy.deadlines.round_grace_ms = number(),
        "presentation" => policy.deadlines.presentation_ms = Some(number()),
        "review" => policy.deadlines.review_ms = Some(number()),
        "calls" => policy.budget.calls = Some(small()),
        "tokens" => policy.budget.tokens = Some(number()),
        "money" => policy.budget.money_micros = Some(number()),
        "time" => policy.budget.time_ms = Some(number()),
        "on_new_answer" => {
            policy.on_new_answer = match value {
                "graceful" => OnNewAnswer::Graceful,
                "interrupt" => OnNewAnswer::Interrupt,
                "wait" => OnNewAnswer::Wait,
                _ => panic!("on_new_answer `{value}`"),
            }
        }
        "novelty" => {
            policy.answer_novelty = match value {
                "balanced" => AnswerNovelty::Balanced,
                "strict" => AnswerNovelty::Strict,
                _ => panic!("novelty `{value}`"),
            }
        }
        "self_vote" => {
            policy.self_vote = match value {
                "discount" => SelfVote::Discount,
                "forbid" => SelfVote::Forbid,
                _ => panic!("self_vote `{value}`"),
            }
        }
        "tie_break" => {
            policy.tie_break = match value {
                "earliest" => TieBreak::Earliest,
                "seeded" => TieBreak::Seeded,
                _ => panic!("tie_break `{value}`"),
            }
        }
        _ => panic!("no key `{key}`"),
    }
}
