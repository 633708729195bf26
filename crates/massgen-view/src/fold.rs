//! What each event changes. Whatever the order of events, nothing here panics:
//! a log may have been cut, and a subscriber may have lagged.

use std::sync::Arc;

use massgen_protocol::{
    AgentCard, AgentIndex, AnswerId, AttemptIndex, Ballot, CallFailure, CallId, Epoch, Event,
    EventBody, Outcome, RoundId, RoundKind, SnapshotId, TextChannel, ToolCallId, ToolEffect,
};

use crate::timeline::{Row, RowKind};
use crate::transcript::{CellBody, ToolState};
use crate::vote_view::AnswerView;
use crate::words::{self, duration, preview};
use crate::{AgentStatus, AgentView, Level, Names, Phase, RoundView, RunView, Selection};

/// Characters of an answer, a reason or a message in a row.
const ROW_CHARS: usize = 160;

/// Deadlines kept in the view; a run reaches a handful.
const DEADLINES_MAX: usize = 1_000;

/// Agents a view takes in: what an alias can count.
const AGENTS_MAX: usize = u16::MAX as usize;

impl RunView {
    pub(crate) fn fold(&mut self, event: &Event) {
        match &event.body {
            EventBody::TextStreamed { call, channel, text } => {
                self.streamed(event, *call, *channel, text);
            }
            EventBody::ToolCallStreaming { call, name, bytes } => {
                let Some(agent) = self.active(call.round.agent, event) else { return };
                agent.status = AgentStatus::Streaming;
                agent.transcript.tool_call_coming(event.seq, event.at, *call, name, *bytes);
            }
            EventBody::RunStarted { run, build, agents } => {
                self.run = Some(run.clone());
                self.build.clone_from(build);
                self.enrol(agents);
            }
            EventBody::RunResumed { .. } => self.resumed(event),
            EventBody::QuestionAsked { question } => {
                self.question = Some(question.text.clone());
                self.phase = Phase::Coordinating;
            }
            EventBody::AttemptStarted { attempt } => self.attempt_started(event, *attempt),
            EventBody::RoundOpened { round, kind, epoch, vote_only } => {
                let opened =
                    RoundView { id: *round, kind: *kind, epoch: *epoch, vote_only: *vote_only };
                self.round_opened(event, opened);
            }
            EventBody::RoundClosed { round, reason } => {
                let Some(agent) = self.active(round.agent, event) else { return };
                if agent.round.is_some_and(|open| open.id == *round) {
                    agent.round = None;
                }
                if agent.is_working() {
                    agent.rest();
                }
                if let Some(text) = words::closed(*reason) {
                    agent.say(event, Level::Info, text.to_owned());
                }
            }
            EventBody::RoundEnded { round, end } => {
                let text = words::round_end(end, |failure| self.told_once(round.agent, failure));
                let text = format!("round ended: {text}");
                self.trouble(event, round.agent, RowKind::Failure, Level::Warning, text);
                let Some(agent) = self.agents.get_mut(round.agent.at()) else { return };
                agent.last_error = Some((event.at, words::round_end(end, words::failure)));
            }
            EventBody::CallRequested { .. } => {}
            EventBody::CallGranted { call } => {
                let Some(agent) = self.active(call.round.agent, event) else { return };
                agent.status = AgentStatus::Thinking;
            }
            EventBody::CallRefused { call, reason } => {
                let text = format!("call refused: {}", words::refusal(*reason));
                self.trouble(event, call.round.agent, RowKind::Limit, Level::Warning, text);
            }
            EventBody::CallRetried { call, failure, after_ms, attempt } => {
                // The event counts the try that failed.
                let text = format!(
                    "{}; try {} follows in {}",
                    self.told_once(call.round.agent, failure),
                    attempt.saturating_add(1),
                    duration(*after_ms)
                );
                self.retries += 1;
                let Some(agent) = self.active(call.round.agent, event) else { return };
                agent.retries += 1;
                agent.status = AgentStatus::BackingOff { until: event.at.plus(*after_ms) };
                agent.say(event, Level::Warning, text.clone());
                self.note(event, Some(call.round.agent), Level::Warning, text);
            }
            EventBody::CallFinished { call, turn, .. } => {
                let Some(agent) = self.active(call.round.agent, event) else { return };
                if agent.is_working() {
                    agent.rest();
                }
                // A model that does not stream says all at its end.
                let text = turn.get().map(|turn| turn.text()).unwrap_or_default();
                if !text.is_empty() && !agent.transcript.has_text_of(*call) {
                    let channel = TextChannel::Text;
                    agent.transcript.stream(event.seq, event.at, *call, channel, &text);
                }
            }
            EventBody::CallFailed { call, failure, .. } => {
                let agent = call.round.agent;
                let text = self.told_once(agent, failure);
                self.trouble(event, agent, RowKind::Failure, Level::Error, text);
                let Some(agent) = self.agents.get_mut(agent.at()) else { return };
                agent.last_error = Some((event.at, words::failure(failure)));
                agent.failures += 1;
                if agent.is_working() {
                    agent.rest();
                }
            }
            EventBody::CallCancelled { call, .. } => {
                let Some(agent) = self.active(call.round.agent, event) else { return };
                if agent.is_working() {
                    agent.rest();
                }
                agent.say(event, Level::Info, "call given up".to_owned());
            }
            EventBody::ToolStarted { round, id, name, effect, arguments } => {
                let arguments = arguments.get().cloned().unwrap_or_default();
                self.tool_started(event, round.agent, (id, name), Some(*effect), arguments);
            }
            EventBody::ToolFinished { round, id, name, output, is_error, media: _ } => {
                let output = output.get().cloned().unwrap_or_default();
                self.tool_finished(event, round.agent, (id, name), &output, *is_error);
            }
            EventBody::RemoteToolStarted { call, id, name, input } => {
                let id = ToolCallId(id.clone());
                let input = input.get().cloned().unwrap_or_default();
                self.tool_started(event, call.round.agent, (&id, name), None, input);
            }
            EventBody::RemoteToolFinished { call, id, name, output, is_error } => {
                let id = ToolCallId(id.clone());
                let output = output.get().cloned().unwrap_or_default();
                self.tool_finished(event, call.round.agent, (&id, name), &output, *is_error);
            }
            EventBody::CallThrottled { call, wait_ms } => {
                let Some(agent) = self.active(call.round.agent, event) else { return };
                let text = format!("waits {} for its rate limit", duration(*wait_ms));
                agent.say(event, Level::Info, text.clone());
                self.note(event, Some(call.round.agent), Level::Info, text);
            }
            EventBody::CallFellBack { call, failure, to } => {
                let told = self.told_once(call.round.agent, failure);
                let text = format!("{told}; `{to}` is called instead");
                self.trouble(event, call.round.agent, RowKind::Failure, Level::Warning, text);
            }
            EventBody::AnswerSubmitted { round, text, salvaged, .. } => {
                let Some(agent) = self.active(round.agent, event) else { return };
                agent.submitted = Some((*round, text.get().cloned().unwrap_or_default()));
                if *salvaged {
                    agent.say(event, Level::Info, "its text is taken for its answer".to_owned());
                }
            }
            EventBody::VoteSubmitted { round, .. } => {
                self.active(round.agent, event);
            }
            EventBody::AnswerProposed { answer, round } => {
                let Some(agent) = self.active(answer.agent, event) else { return };
                let text = agent.take_submitted(*round).unwrap_or_default();
                agent.proposed = Some((*answer, text));
            }
            EventBody::SnapshotTaken { .. } => {}
            EventBody::SnapshotFailed { answer, message } => {
                let text = format!("workspace not copied: {}", preview(message, ROW_CHARS));
                self.trouble(event, answer.agent, RowKind::Failure, Level::Error, text);
            }
            EventBody::AnswerAccepted { answer, epoch, snapshot } => {
                self.answer_accepted(event, *answer, *epoch, snapshot);
            }
            EventBody::SubmissionRejected { round, rejection } => {
                let text = format!("refused: {}", words::rejection(rejection, &self.names));
                let level = if rejection.is_violation() { Level::Warning } else { Level::Info };
                self.refused(event, *round, rejection.is_violation(), level, text);
            }
            EventBody::RuleEnforced { round, enforcement, n, max } => {
                let text = format!("reminder {n} of {max}: {}", words::enforcement(enforcement));
                self.refused(event, *round, true, Level::Warning, text);
            }
            EventBody::VoteCast { ballot, epoch } => self.vote_cast(event, ballot, *epoch),
            EventBody::VotesVoided { n, .. } => {
                self.void_votes(event);
                if *n > 0 {
                    let votes = words::counted(*n, "vote");
                    let text = format!("{votes} void: there is a newer answer");
                    self.row(event, None, RowKind::Void, text);
                }
            }
            EventBody::UpdateSent { .. } => {}
            EventBody::UpdateSeen { round, epoch } => {
                let Some(agent) = self.active(round.agent, event) else { return };
                if let Some(open) = agent.round.as_mut().filter(|open| open.id == *round) {
                    open.epoch = *epoch;
                }
                agent.restarts = agent.restarts.saturating_add(1);
                let text = format!("sees the newest of {}", words::counted(epoch.0, "answer"));
                agent.say(event, Level::Info, text.clone());
                self.row(event, Some(round.agent), RowKind::Update, text);
            }
            EventBody::DeadlineReached { deadline } => {
                let Some(text) = words::deadline(*deadline) else { return };
                if self.deadlines.len() < DEADLINES_MAX {
                    self.deadlines.push((event.at, *deadline));
                }
                self.row(event, None, RowKind::Limit, text.clone());
                self.note(event, None, Level::Warning, text);
            }
            EventBody::AgentFailed { agent, failures, max, backoff_ms } => {
                let text = format!(
                    "failure {failures} of {max}, tries again in {}",
                    duration(*backoff_ms)
                );
                let before = self.agent(*agent).and_then(|agent| agent.last_error.clone());
                self.trouble(event, *agent, RowKind::Failure, Level::Warning, text);
                let Some(agent) = self.agents.get_mut(agent.at()) else { return };
                // What went wrong says more than that it did.
                agent.last_error = before.or(agent.last_error.take());
                agent.status = AgentStatus::BackingOff { until: event.at.plus(*backoff_ms) };
            }
            EventBody::AgentRetired { agent, reason } => {
                let card = self.agent(*agent).map(|agent| agent.card.clone());
                let Some(card) = card else {
                    self.misplaced += 1;
                    return;
                };
                let text = words::retired(reason, &card, |failure| self.told_once(*agent, failure));
                let text = format!("retires: {text}");
                self.trouble(event, *agent, RowKind::Failure, Level::Error, text);
                let Some(agent) = self.agents.get_mut(agent.at()) else { return };
                // Whoever reads only this has not read what was told before.
                let why = words::retired(reason, &card, words::failure);
                agent.last_error = Some((event.at, why));
                agent.retired = Some(reason.clone());
                agent.rest();
            }
            EventBody::WrapUpStarted { reason } => {
                self.wrap_up = Some(*reason);
                let text = format!("time to decide: {}", words::wrap_up(*reason));
                self.row(event, None, RowKind::Limit, text.clone());
                self.note(event, None, Level::Info, text);
            }
            EventBody::WinnerSelected { winner, basis } => {
                let text = format!("{} wins: {}", self.names.answer(*winner), words::basis(basis));
                self.row(event, None, RowKind::Winner, text);
                self.selection = Some(Selection { winner: *winner, basis: basis.clone() });
                self.phase = Phase::Presenting;
            }
            EventBody::Presented { round, text } => {
                let text = text.get().cloned().unwrap_or_default();
                let row = format!("presents: {}", preview(&text, ROW_CHARS));
                self.active(round.agent, event);
                self.row(event, Some(round.agent), RowKind::Final, row);
                self.presented = Some(text);
            }
            EventBody::AttemptReviewed { round, review } => {
                let text = format!("review: {}", words::review(review));
                self.row(event, Some(round.agent), RowKind::Final, text);
            }
            EventBody::AttemptRestarted { reason, .. } => {
                self.restarts += 1;
                let text = format!("another attempt: {}", preview(reason, ROW_CHARS));
                self.row(event, None, RowKind::Team, text);
            }
            EventBody::InterruptRequested => {
                self.cut_short.apply(event);
                self.interrupted = self.cut_short.is_cut();
                let text = "the user asks to wrap up".to_owned();
                self.row(event, None, RowKind::Team, text);
            }
            EventBody::StopRequested => {
                self.stopped = true;
                self.row(
                    event,
                    None,
                    RowKind::Team,
                    "the run is stopped before its end".to_owned(),
                );
            }
            EventBody::TurnFinished { outcome } => self.finished(event, outcome),
            EventBody::InputIgnored { .. } => {
                self.cut_short.apply(event);
                self.interrupted = self.cut_short.is_cut();
            }
            EventBody::RecordingFailed { message } => {
                self.recording_failed = Some(message.clone());
                let text = format!("recording failed: {message}");
                self.row(event, None, RowKind::Failure, text.clone());
                self.note(event, None, Level::Error, text);
            }
            // Shown as it runs; its result follows with the end.
            EventBody::ToolOutputStreamed { .. } => {}
            EventBody::ToolNotice { agent, what } => {
                let text = format!("tools: {}", preview(what, ROW_CHARS));
                self.trouble(event, *agent, RowKind::Failure, Level::Warning, text);
            }
            EventBody::PermissionAsked { round, name, what, reason, .. } => {
                let text = format!(
                    "asks to run `{name}`: {} ({})",
                    preview(what, ROW_CHARS),
                    preview(reason, ROW_CHARS)
                );
                self.trouble(event, round.agent, RowKind::Failure, Level::Warning, text);
            }
            EventBody::PermissionDecided { round, name, allowed, by, reason, .. } => {
                let word = if *allowed { "allowed" } else { "refused" };
                let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                let text = format!("`{name}` {word} by {by}{}", preview(&why, ROW_CHARS));
                let Some(agent) = self.active(round.agent, event) else { return };
                agent.say(event, Level::Info, text);
            }
            EventBody::InsightShared { round, text, file, .. } => {
                let file = file.as_ref().map_or(String::new(), |file| format!(" ({file})"));
                let text = format!("found: {}{file}", preview(text, ROW_CHARS));
                self.row(event, Some(round.agent), RowKind::Team, text.clone());
                let Some(agent) = self.active(round.agent, event) else { return };
                agent.say(event, Level::Info, text);
            }
            EventBody::SandboxChosen { rung, missing } => {
                let text = format!("commands are confined by {rung}");
                self.note(event, None, Level::Info, text);
                for what in missing {
                    self.note(event, None, Level::Warning, format!("not protected: {what}"));
                }
            }
            EventBody::ProviderNotice { call, what } => {
                let text = format!("provider: {}", preview(what, ROW_CHARS));
                let Some(agent) = self.active(call.round.agent, event) else { return };
                agent.say(event, Level::Info, text.clone());
                self.note(event, Some(call.round.agent), Level::Info, text);
            }
        }
    }

    fn streamed(&mut self, event: &Event, call: CallId, channel: TextChannel, text: &str) {
        let Some(agent) = self.active(call.round.agent, event) else { return };
        agent.status = match channel {
            TextChannel::Text => AgentStatus::Streaming,
            TextChannel::Reasoning => AgentStatus::Thinking,
        };
        agent.transcript.stream(event.seq, event.at, call, channel, text);
    }

    fn enrol(&mut self, cards: &[AgentCard]) {
        self.names = Names::new(cards);
        self.agents = cards.iter().take(AGENTS_MAX).cloned().map(AgentView::new).collect();
    }

    fn resumed(&mut self, event: &Event) {
        self.resumes += 1;
        self.stopped = false;
        for agent in &mut self.agents {
            if agent.is_working() {
                agent.rest();
            }
        }
        self.row(event, None, RowKind::Team, "the run is taken up again".to_owned());
    }

    fn attempt_started(&mut self, event: &Event, attempt: AttemptIndex) {
        self.attempt = Some(attempt);
        self.epoch = Epoch(0);
        self.phase = Phase::Coordinating;
        self.wrap_up = None;
        self.selection = None;
        self.presented = None;
        self.votes.begin_attempt(event.at);
        for agent in &mut self.agents {
            agent.rest();
        }
        if attempt.0 > 1 {
            self.row(event, None, RowKind::Team, format!("attempt {} begins", attempt.0));
        }
    }

    fn round_opened(&mut self, event: &Event, opened: RoundView) {
        let who = opened.id.agent;
        let Some(agent) = self.active(who, event) else { return };
        agent.status = AgentStatus::Waiting;
        agent.round = Some(opened);
        let RoundView { id: round, kind, epoch, vote_only } = opened;
        agent.transcript.push(
            event.seq,
            event.at,
            CellBody::Round { round, kind, epoch, vote_only },
        );
        match kind {
            RoundKind::Coordinate => {}
            RoundKind::Present => self.phase = Phase::Presenting,
            RoundKind::Review => self.phase = Phase::Reviewing,
        }
        let seen = match epoch.0 {
            0 => "nobody has answered yet".to_owned(),
            n => format!("{} so far", words::counted(n, "answer")),
        };
        let only = if vote_only { ", votes only" } else { "" };
        let text = format!("{} {}: {seen}{only}", words::round_kind(kind), round.n);
        self.row(event, Some(who), RowKind::Round, text);
    }

    fn answer_accepted(
        &mut self,
        event: &Event,
        id: AnswerId,
        epoch: Epoch,
        snapshot: &SnapshotId,
    ) {
        self.epoch = epoch;
        // The machine says so itself; a ballot of an older epoch never counts.
        self.void_votes(event);
        let attempt = self.attempt.unwrap_or(AttemptIndex(1));
        let Some(agent) = self.active(id.agent, event) else { return };
        let text = match agent.proposed.take() {
            Some((proposed, text)) if proposed == id => text,
            Some(_) | None => Arc::default(),
        };
        agent.answers += 1;
        agent.status = AgentStatus::Answered { answer: id };
        let cell = CellBody::Answer { answer: id, epoch, text: Arc::clone(&text) };
        agent.transcript.push(event.seq, event.at, cell);
        let row = format!("answers {}: {}", words::answer_label(id), preview(&text, ROW_CHARS));
        self.row(event, Some(id.agent), RowKind::Answer, row);
        let (snapshot, at) = (snapshot.clone(), event.at);
        let answer = AnswerView { id, text, epoch, attempt, snapshot, at, is_current: true };
        self.votes.accept(answer);
    }

    fn vote_cast(&mut self, event: &Event, ballot: &Ballot, epoch: Epoch) {
        let choice = self.names.agent(ballot.choice);
        let Some(agent) = self.active(ballot.voter, event) else { return };
        agent.votes += 1;
        agent.status = AgentStatus::Voted { choice: ballot.choice };
        let row = format!("votes for {choice}: {}", preview(&ballot.reason, ROW_CHARS));
        let cell = CellBody::Vote { choice, reason: ballot.reason.clone(), epoch };
        agent.transcript.push(event.seq, event.at, cell);
        self.votes.cast(ballot.clone());
        self.row(event, Some(ballot.voter), RowKind::Vote, row);
    }

    fn void_votes(&mut self, event: &Event) {
        self.votes.void_ballots(event.at);
        for agent in &mut self.agents {
            match agent.status {
                AgentStatus::Voted { .. } => {
                    agent.restarts = agent.restarts.saturating_add(1);
                    agent.rest();
                }
                AgentStatus::Waiting
                | AgentStatus::Thinking
                | AgentStatus::Streaming
                | AgentStatus::UsingTool { .. }
                | AgentStatus::Answered { .. }
                | AgentStatus::BackingOff { .. }
                | AgentStatus::Retired { .. } => {}
            }
        }
    }

    fn finished(&mut self, event: &Event, outcome: &Outcome) {
        self.outcome = Some(outcome.clone());
        self.phase = Phase::Finished;
        let text = words::outcome(outcome, &self.names);
        self.row(event, None, RowKind::Final, text);
        for agent in &mut self.agents {
            agent.round = None;
            agent.rest();
            // What it came to, whatever it was at when the run ended.
            let index = agent.card.alias;
            if agent.retired.is_some() {
                continue;
            }
            if let Some(ballot) = self.votes.ballots().get(&index) {
                agent.status = AgentStatus::Voted { choice: ballot.choice };
            } else if let Some(answer) = self.votes.current_answer_of(index) {
                agent.status = AgentStatus::Answered { answer: answer.id };
            }
        }
    }

    fn refused(
        &mut self,
        event: &Event,
        round: RoundId,
        is_violation: bool,
        level: Level,
        text: String,
    ) {
        let Some(agent) = self.active(round.agent, event) else { return };
        agent.submitted = None;
        agent.violations += u32::from(is_violation);
        agent.say(event, level, text.clone());
        self.row(event, Some(round.agent), RowKind::Refused, text);
    }

    fn tool_started(
        &mut self,
        event: &Event,
        who: AgentIndex,
        (id, name): (&ToolCallId, &str),
        effect: Option<ToolEffect>,
        arguments: Arc<String>,
    ) {
        let Some(agent) = self.active(who, event) else { return };
        agent.status = AgentStatus::UsingTool { name: name.to_owned() };
        let (id, name) = (id.clone(), name.to_owned());
        let cell = CellBody::Tool { id, name, effect, arguments, state: ToolState::Running };
        agent.transcript.push(event.seq, event.at, cell);
    }

    fn tool_finished(
        &mut self,
        event: &Event,
        who: AgentIndex,
        (id, name): (&ToolCallId, &str),
        output: &Arc<String>,
        is_error: bool,
    ) {
        let Some(agent) = self.active(who, event) else { return };
        if !agent.transcript.tool_done(id, output, is_error) {
            let text = format!("`{name}` is done: {}", preview(output, ROW_CHARS));
            agent.say(event, Level::Info, text);
        }
        if agent.is_working() {
            agent.rest();
        }
    }

    /// Says a failure in full once; the same of the same agent in short from then on.
    fn told_once(&mut self, agent: AgentIndex, failure: &CallFailure) -> String {
        let Some(agent) = self.agents.get_mut(agent.at()) else { return words::failure(failure) };
        if agent.told.as_ref().is_some_and(|told| is_same(told, failure)) {
            return words::known_failure(failure);
        }
        agent.told = Some(failure.clone());
        words::failure(failure)
    }

    /// Tells of something that went wrong wherever one would look for it.
    fn trouble(
        &mut self,
        event: &Event,
        who: AgentIndex,
        kind: RowKind,
        level: Level,
        text: String,
    ) {
        let Some(agent) = self.active(who, event) else { return };
        agent.last_error = Some((event.at, text.clone()));
        agent.say(event, level, text.clone());
        self.row(event, Some(who), kind, text.clone());
        self.note(event, Some(who), level, text);
    }

    /// Returns the agent something happened to; counts events about strangers.
    fn active(&mut self, agent: AgentIndex, event: &Event) -> Option<&mut AgentView> {
        match self.agents.get_mut(agent.at()) {
            Some(agent) => {
                agent.active_at = event.at;
                Some(agent)
            }
            None => {
                self.misplaced += 1;
                None
            }
        }
    }

    fn row(&mut self, event: &Event, agent: Option<AgentIndex>, kind: RowKind, text: String) {
        self.timeline.push(Row { seq: event.seq, at: event.at, agent, kind, text });
    }
}

/// How long a provider asks to wait may differ from try to try.
fn is_same(told: &CallFailure, failure: &CallFailure) -> bool {
    (told.kind, told.status, &told.message) == (failure.kind, failure.status, &failure.message)
}

impl AgentView {
    fn say(&mut self, event: &Event, level: Level, text: String) {
        self.transcript.push(event.seq, event.at, CellBody::Notice { level, text });
    }

    fn take_submitted(&mut self, of: RoundId) -> Option<Arc<String>> {
        let (_, text) = self.submitted.take_if(|(round, _)| *round == of)?;
        Some(text)
    }
}
