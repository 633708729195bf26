//! The loop: one thing from outside at a time, logged, decided, logged, shown, done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use massgen_log::{Redactor, RunDir, Writer};
use massgen_protocol::{
    AnswerId, AssistantTurn, CallId, Event, EventBody, FailureKind, Kept, Millis, Op,
    PermissionAnswer, Prices, RoundId, RunId, SnapshotId, Spend, ToolCall, ToolCallId, ToolEffect,
    ToolOutput, ToolReport, Usage,
};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::call::{self, CallReport};
use crate::conversation::{tokens_of, turn_bytes};
use crate::engine::{Engine, Outgoing};
use crate::fanout::Fanout;
use crate::lanes::Lane;
use crate::{FilesView, Finished, Seams, ToolRequest, work};

/// Reports that may wait for the loop. Model calls wait while it is full.
const REPORTS_MAX: usize = 1_024;

/// Reports taken at once, so that one write and one look at the clock serve many.
const REPORTS_PER_BATCH: usize = 256;

/// Tasks that are given up get so long to let go of what they hold. Only one that never
/// yields takes longer, and the answer does not wait for that.
const LET_GO_MS_MAX: u64 = 2_000;

/// What the tasks around the loop tell it.
pub(crate) enum Report {
    Call(CallId, CallReport),
    Snapshot(AnswerId, Result<SnapshotId, String>),
    Tool { round: RoundId, id: ToolCallId, name: String, output: ToolOutput },
    ToolSaid { round: RoundId, id: ToolCallId, name: String, report: ToolReport },
}

impl From<(CallId, CallReport)> for Report {
    fn from((call, report): (CallId, CallReport)) -> Report {
        Report::Call(call, report)
    }
}

/// What a session is put together from.
pub(crate) struct Parts {
    pub(crate) run: RunDir,
    pub(crate) writer: Writer,
    pub(crate) engine: Engine,
    /// By agent.
    pub(crate) backends: Vec<Arc<massgen_models::Driver>>,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) seams: Seams,
    /// Time of the run that earlier processes have used.
    pub(crate) offset_ms: u64,
}

pub(crate) struct Driver {
    run: RunId,
    path: PathBuf,
    writer: Writer,
    engine: Engine,
    backends: Vec<Arc<massgen_models::Driver>>,
    redactor: Arc<Redactor>,
    seams: Seams,
    fanout: Fanout,
    /// Logged, but not yet on disk for sure, so not yet shown.
    unshown: Vec<Arc<Event>>,
    calls: BTreeMap<CallId, LiveCall>,
    tools: BTreeMap<(RoundId, ToolCallId), (String, AbortHandle)>,
    lanes: BTreeMap<RoundId, Lane>,
    /// All that runs around the loop: none of it outlives the run.
    tasks: JoinSet<()>,
    reports: mpsc::Sender<Report>,
    inbox: Option<mpsc::Receiver<Report>>,
    started: Instant,
    offset_ms: u64,
    is_recorded: bool,
    is_over: bool,
}

/// A call under way, and what it has cost so far as far as can be seen.
struct LiveCall {
    abort: AbortHandle,
    input_tokens: u64,
    /// Text and tool arguments of the running try.
    text_bytes: u64,
    tool_bytes: u64,
    /// What earlier tries have cost.
    before: Spend,
}

impl LiveCall {
    /// Estimates what a call has cost that ends, or begins anew, in a failure of `kind`.
    fn spent(&self, prices: &Prices, kind: FailureKind) -> Spend {
        let written = self.text_bytes + self.tool_bytes;
        if written == 0 && kind.is_refusal() {
            return self.with(Spend { calls: 1, ..Spend::default() });
        }
        self.with(self.estimate(prices, written))
    }

    /// Returns what a call has cost that came to its end: the server's figures, or an
    /// estimate where it gives none.
    fn spent_on(&self, prices: &Prices, turn: &AssistantTurn) -> Spend {
        let usage = &turn.usage;
        if usage.input() == 0 && usage.generated() == 0 && usage.cost_micros.is_none() {
            return self.with(self.estimate(prices, turn_bytes(turn)));
        }
        self.with(Spend {
            calls: 1,
            tokens: usage.input().saturating_add(usage.generated()),
            money_micros: massgen_models::cost_micros(usage, prices),
        })
    }

    fn estimate(&self, prices: &Prices, written: u64) -> Spend {
        let usage = Usage {
            input_uncached: self.input_tokens,
            output: tokens_of(written),
            ..Usage::default()
        };
        Spend {
            calls: 1,
            tokens: usage.input().saturating_add(usage.generated()),
            money_micros: massgen_models::cost_micros(&usage, prices),
        }
    }

    fn with(&self, now: Spend) -> Spend {
        // Tries of one call count as one call: that is what the budget of calls bounds.
        Spend {
            calls: self.before.calls.max(now.calls),
            tokens: self.before.tokens.saturating_add(now.tokens),
            money_micros: self.before.money_micros.saturating_add(now.money_micros),
        }
    }
}

impl Driver {
    pub(crate) fn new(parts: Parts, fanout: Fanout) -> Driver {
        let Parts { run, writer, engine, backends, redactor, seams, offset_ms } = parts;
        let (reports, inbox) = mpsc::channel(REPORTS_MAX);
        Driver {
            run: run.id().clone(),
            path: run.path().to_owned(),
            writer,
            engine,
            backends,
            redactor,
            seams,
            fanout,
            unshown: Vec::new(),
            calls: BTreeMap::new(),
            tools: BTreeMap::new(),
            lanes: BTreeMap::new(),
            tasks: JoinSet::new(),
            reports,
            inbox: Some(inbox),
            started: Instant::now(),
            offset_ms,
            is_recorded: true,
            is_over: false,
        }
    }

    /// Runs to the end. `first` is what happens before anything from outside.
    pub(crate) async fn run(
        mut self,
        first: Vec<EventBody>,
        mut wishes: mpsc::Receiver<Op>,
    ) -> Finished {
        let Some(mut inbox) = self.inbox.take() else { unreachable!("a driver runs once") };
        // A resumed run first records what was decided but not written, in its order.
        let mut first = first.into_iter();
        if let Some(opening) = first.next() {
            self.append(opening);
        }
        self.drain();
        for body in first {
            self.record(body);
        }
        let again = self.take_up();
        self.settle(again);
        let mut batch = Vec::with_capacity(REPORTS_PER_BATCH);
        while !self.is_over {
            let due = self.engine.next_deadline().map(|(at, _)| self.instant_of(at));
            let mut wish = None;
            tokio::select! {
                biased;
                // Whoever lets go of the session lets go of the run; it can be resumed.
                op = wishes.recv() => wish = Some(op.unwrap_or(Op::Stop)),
                _n = inbox.recv_many(&mut batch, REPORTS_PER_BATCH) => {}
                () = sleep_until(due) => {}
            }
            match wish {
                Some(Op::Interrupt) => self.record(EventBody::InterruptRequested),
                Some(Op::Stop) => {
                    self.record(EventBody::StopRequested);
                    self.is_over = true;
                }
                Some(Op::Permit { round, id, answer }) => self.permit(round, &id, answer),
                None => {}
            }
            for report in batch.drain(..) {
                // Nothing follows the last event of a run.
                if !self.engine.is_finished() {
                    self.take(report);
                }
            }
            self.strike();
            self.settle(Vec::new());
            while self.tasks.try_join_next().is_some() {}
        }
        self.end().await
    }

    /// Records what a continued run can no longer wait for, and returns what it had under
    /// way and has to be done again.
    fn take_up(&mut self) -> Vec<Outgoing> {
        let open = self.engine.open_work();
        let calls: Vec<CallId> = open.calls().collect();
        let tools: Vec<(RoundId, ToolCall)> =
            open.tools().map(|(round, call)| (round, call.clone())).collect();
        let mut again: Vec<Outgoing> = open.snapshots().map(Outgoing::TakeSnapshot).collect();
        // Asked for just now, and part of the open work.
        let fresh = self.engine.take_outgoing();
        for call in calls {
            if self.engine.awaits(call) {
                again.push(Outgoing::StartCall(call));
            } else if !fresh.contains(&Outgoing::CancelCall(call)) {
                // Given up before the crash, but not settled.
                self.record(EventBody::CallCancelled { call, spend: Spend::default() });
            }
        }
        for (round, call) in tools {
            let effect = self.engine.spec().tool_effect(round.agent, &call.name);
            let run = Outgoing::RunTool { round, call: call.clone() };
            if fresh.contains(&run)
                || self.engine.awaits_tool(round, &call) && effect == ToolEffect::Read
            {
                again.push(run);
                continue;
            }
            // A receipt without an end: it may have happened, and the model is told so.
            let text = "interrupted while it ran: it may or may not have taken effect; \
                        check before you repeat it";
            self.record(EventBody::ToolFinished {
                round,
                id: call.id,
                name: call.name,
                output: text.into(),
                is_error: true,
                media: None,
            });
        }
        let rest = fresh.into_iter().filter(|what| !again.contains(what)).collect::<Vec<_>>();
        again.extend(rest);
        again
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Call(call, report) => self.take_call(call, report),
            Report::Snapshot(answer, Ok(snapshot)) => {
                self.record(EventBody::SnapshotTaken { answer, snapshot });
            }
            Report::Snapshot(answer, Err(message)) => {
                self.record(EventBody::SnapshotFailed { answer, message });
            }
            Report::Tool { round, id, name, output } => {
                let done = id.clone();
                if self.tools.remove(&(round, id.clone())).is_some() {
                    self.record(EventBody::ToolFinished {
                        round,
                        id,
                        name,
                        output: output.text.into(),
                        is_error: output.is_error,
                        media: (!output.media.is_empty()).then(|| Kept::inline(output.media)),
                    });
                }
                if let Some(lane) = self.lanes.get_mut(&round) {
                    lane.done(&done);
                }
                self.pump(round);
            }
            Report::ToolSaid { round, id, name, report } => {
                if self.tools.contains_key(&(round, id.clone())) {
                    self.take_said(round, id, name, report);
                }
            }
        }
    }

    fn take_said(&mut self, round: RoundId, id: ToolCallId, name: String, report: ToolReport) {
        let body = match report {
            ToolReport::Output { text } => EventBody::ToolOutputStreamed { round, id, text },
            ToolReport::Notice { what } => EventBody::ToolNotice { agent: round.agent, what },
            ToolReport::PermissionAsked { what, reason } => {
                EventBody::PermissionAsked { round, id, name, what, reason }
            }
            ToolReport::PermissionDecided { allowed, by, reason } => {
                EventBody::PermissionDecided { round, id, name, allowed, by, reason }
            }
            ToolReport::Insight { text, file, evidence } => {
                EventBody::InsightShared { round, text, file, evidence }
            }
        };
        self.record(body);
    }

    fn permit(&mut self, round: RoundId, id: &ToolCallId, answer: PermissionAnswer) {
        // What became of it is told by the call that asked.
        if self.tools.contains_key(&(round, id.clone())) {
            self.seams.tools.permit(round, id, answer);
        }
    }

    /// The next try begins at nothing, but the one before was paid for.
    fn begins_anew(&mut self, call: CallId, kind: FailureKind) {
        let prices = self.prices(call);
        let Some(live) = self.calls.get_mut(&call) else { return };
        live.before = live.spent(&prices, kind);
        (live.text_bytes, live.tool_bytes) = (0, 0);
    }

    fn take_call(&mut self, call: CallId, report: CallReport) {
        // A call that was given up may still have reports under way.
        let Some(live) = self.calls.get_mut(&call) else { return };
        match report {
            CallReport::Text { channel, text } => {
                live.text_bytes += text.len() as u64;
                self.record(EventBody::TextStreamed { call, channel, text });
            }
            CallReport::ToolStreaming { name, bytes } => {
                live.tool_bytes = live.tool_bytes.max(bytes);
                self.record(EventBody::ToolCallStreaming { call, name, bytes });
            }
            CallReport::Retried { failure, after_ms, attempt } => {
                self.begins_anew(call, failure.kind);
                self.record(EventBody::CallRetried { call, failure, after_ms, attempt });
            }
            CallReport::RemoteToolStarted { id, name, input } => {
                let input = Kept::inline(input);
                self.record(EventBody::RemoteToolStarted { call, id, name, input });
            }
            CallReport::RemoteToolFinished { id, name, output, is_error } => {
                let output = Kept::inline(output);
                self.record(EventBody::RemoteToolFinished { call, id, name, output, is_error });
            }
            CallReport::Throttled { wait_ms } => {
                self.record(EventBody::CallThrottled { call, wait_ms });
            }
            CallReport::FellBack { failure, to } => {
                self.begins_anew(call, failure.kind);
                self.record(EventBody::CallFellBack { call, failure, to });
            }
            CallReport::Notice { what } => self.record(EventBody::ProviderNotice { call, what }),
            CallReport::Finished(turn) => {
                let Some(live) = self.calls.remove(&call) else { return };
                let spend = live.spent_on(&self.prices(call), &turn);
                self.record(EventBody::CallFinished { call, turn: Kept::inline(*turn), spend });
            }
            CallReport::Failed(failure) => {
                let Some(live) = self.calls.remove(&call) else { return };
                let spend = live.spent(&self.prices(call), failure.kind);
                self.record(EventBody::CallFailed { call, failure, spend });
            }
        }
    }

    fn prices(&self, call: CallId) -> Prices {
        self.engine.spec().agents[call.round.agent.at()].backend.prices
    }

    /// Reports the deadlines that have struck.
    fn strike(&mut self) {
        while let Some((at, deadline)) = self.engine.next_deadline() {
            if self.is_over || self.engine.is_finished() || at > self.now() {
                return;
            }
            self.record(EventBody::DeadlineReached { deadline });
        }
    }

    /// Logs a fact and all that follows from it.
    fn record(&mut self, body: EventBody) {
        self.append(body);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(body) = self.engine.next_record() {
            self.append(body);
        }
    }

    fn append(&mut self, body: EventBody) {
        let event = self.writer.append(self.now(), body);
        self.engine.apply(&event);
        self.unshown.push(Arc::new(event));
    }

    /// Makes sure of the log, shows what is in it, and does what was decided: `outgoing`
    /// first, which is held back until the log is sure to tell of it.
    fn settle(&mut self, mut outgoing: Vec<Outgoing>) {
        loop {
            self.writer.flush();
            if let Some(message) = self.writer.take_failure() {
                self.is_recorded = false;
                self.append(EventBody::RecordingFailed { message });
            }
            for event in self.unshown.drain(..) {
                self.fanout.show(event);
            }
            outgoing.extend(self.engine.take_outgoing());
            if outgoing.is_empty() {
                self.is_over |= self.engine.is_finished();
                return;
            }
            self.execute(std::mem::take(&mut outgoing));
        }
    }

    fn execute(&mut self, outgoing: Vec<Outgoing>) {
        // A call that was given up in the same breath is not even started.
        let cancelled: BTreeSet<CallId> = outgoing
            .iter()
            .filter_map(|what| match what {
                Outgoing::CancelCall(call) => Some(*call),
                Outgoing::StartCall(_)
                | Outgoing::RunTool { .. }
                | Outgoing::CancelTools(_)
                | Outgoing::TakeSnapshot(_) => None,
            })
            .collect();
        for what in outgoing {
            match what {
                Outgoing::StartCall(call) if cancelled.contains(&call) => {}
                Outgoing::StartCall(call) => self.start_call(call),
                Outgoing::CancelCall(call) => self.cancel_call(call),
                Outgoing::RunTool { round, call } => self.run_tool(round, call),
                Outgoing::CancelTools(round) => self.cancel_tools(round),
                Outgoing::TakeSnapshot(answer) => self.take_snapshot(answer),
            }
        }
    }

    fn start_call(&mut self, call: CallId) {
        let request = self.engine.model_call(call, &self.run.0);
        let backend = self.backends[call.round.agent.at()].clone();
        let view = self.files_view(call.round);
        let snapshots = self.seams.snapshots.clone();
        let (redactor, reports) = (self.redactor.clone(), self.reports.clone());
        let work = async move {
            if let Err(why) = work::prepare(snapshots, view).await {
                let what = format!("the others' files could not be laid out: {why}");
                let _ = reports.send(Report::Call(call, CallReport::Notice { what })).await;
            }
            call::run(call, backend, request, redactor, reports).await;
        };
        let live = LiveCall {
            abort: self.tasks.spawn(work),
            input_tokens: self.engine.input_tokens(call),
            text_bytes: 0,
            tool_bytes: 0,
            before: Spend::default(),
        };
        self.calls.insert(call, live);
    }

    fn cancel_call(&mut self, call: CallId) {
        if !self.engine.open_work().is_running(call) {
            // Its last report came first.
            return;
        }
        // Never started: nothing was spent.
        let mut spend = Spend::default();
        if let Some(live) = self.calls.remove(&call) {
            live.abort.abort();
            spend = live.spent(&self.prices(call), FailureKind::TimedOut);
        }
        self.record(EventBody::CallCancelled { call, spend });
    }

    /// What the round may see of the others' files; nothing where its agent has none.
    fn files_view(&self, round: RoundId) -> Option<FilesView> {
        let has_files = self.seams.snapshots.has_files(round.agent);
        has_files.then(|| self.engine.files_view(round))
    }

    fn run_tool(&mut self, round: RoundId, call: ToolCall) {
        let spec = self.engine.spec();
        let effect = spec.tool_effect(round.agent, &call.name);
        let room = spec.agents[round.agent.at()].tooling.concurrent_max;
        self.lanes.entry(round).or_insert_with(|| Lane::new(room)).push(call, effect);
        self.pump(round);
    }

    /// Starts what may start now of a round's tools.
    fn pump(&mut self, round: RoundId) {
        while let Some(call) = self.lanes.get_mut(&round).and_then(Lane::next) {
            self.start_tool(round, call);
        }
        if self.lanes.get(&round).is_some_and(Lane::is_empty) {
            self.lanes.remove(&round);
        }
    }

    fn start_tool(&mut self, round: RoundId, call: ToolCall) {
        let (id, name) = (call.id.clone(), call.name.clone());
        let kind = self.engine.round_kind(round);
        let tools = self.seams.tools.clone();
        let snapshots = self.seams.snapshots.clone();
        let view = self.files_view(round);
        let reports = self.reports.clone();
        let key = (round, id.clone());
        let tool = name.clone();
        let abort = self.tasks.spawn(async move {
            let (take, mut said) = work::listen();
            let work = async {
                if let Err(why) = work::prepare(snapshots, view).await {
                    let text = format!("the others' files could not be laid out: {why}");
                    return ToolOutput::error(text);
                }
                let request =
                    ToolRequest { agent: round.agent, round, kind, call, reports: take.clone() };
                work::tool(tools, request).await
            };
            let mut work = std::pin::pin!(work);
            let told = |report: ToolReport| {
                let (id, name) = (id.clone(), tool.clone());
                Report::ToolSaid { round, id, name, report }
            };
            let output = loop {
                tokio::select! {
                    biased;
                    Some(report) = said.next() => {
                        let _ = reports.send(told(report)).await;
                    }
                    output = &mut work => break output,
                }
            };
            while let Some(report) = said.now() {
                let _ = reports.send(told(report)).await;
            }
            let _ = reports.send(Report::Tool { round, id, name: tool, output }).await;
        });
        self.tools.insert(key, (name, abort));
    }

    fn cancel_tools(&mut self, round: RoundId) {
        let waiting: Vec<ToolCall> =
            self.lanes.remove(&round).into_iter().flat_map(Lane::into_waiting).collect();
        for call in waiting {
            self.record(EventBody::ToolFinished {
                round,
                id: call.id,
                name: call.name,
                output: "cancelled before it began: the round is over".into(),
                is_error: true,
                media: None,
            });
        }
        let open: Vec<_> = self.tools.keys().filter(|(of, _)| *of == round).cloned().collect();
        for key in open {
            if let Some((name, abort)) = self.tools.remove(&key) {
                abort.abort();
                self.record(EventBody::ToolFinished {
                    round,
                    id: key.1,
                    name,
                    output: "cancelled: the round is over".into(),
                    is_error: true,
                    media: None,
                });
            }
        }
    }

    fn take_snapshot(&mut self, answer: AnswerId) {
        let snapshots = self.seams.snapshots.clone();
        let reports = self.reports.clone();
        self.tasks.spawn(async move {
            let result = work::copy(snapshots, answer).await;
            let _ = reports.send(Report::Snapshot(answer, result)).await;
        });
    }

    async fn end(mut self) -> Finished {
        let bound = Duration::from_millis(LET_GO_MS_MAX);
        let _ = tokio::time::timeout(bound, self.tasks.shutdown()).await;
        let elapsed_ms = self.now().0;
        let is_recorded = self.is_recorded && self.writer.works();
        // What is left to say about a failure, nobody watches any more.
        let failure = self.writer.close();
        Finished {
            run: self.run,
            path: self.path,
            outcome: self.engine.outcome().cloned(),
            answer: self.engine.final_text(),
            spent: self.engine.spent(),
            elapsed_ms,
            is_recorded: is_recorded && failure.is_none(),
        }
    }

    fn now(&self) -> Millis {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Millis(ms.saturating_add(self.offset_ms))
    }

    fn instant_of(&self, at: Millis) -> Instant {
        self.started + Duration::from_millis(at.0.saturating_sub(self.offset_ms))
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
