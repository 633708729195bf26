//! The loop: one thing from outside at a time, logged, decided, logged, shown, done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use massgen_log::{Redactor, Writer};
use massgen_protocol::{
    AnswerId, CallId, Event, EventBody, FailureKind, Kept, Millis, Op, Prices, RoundId, RunId,
    SnapshotId, Spend, ToolCall, ToolCallId, ToolEffect, Usage,
};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::call::{self, CallReport};
use crate::conversation::tokens_of;
use crate::engine::{Engine, Outgoing};
use crate::fanout::Fanout;
use crate::{Finished, Seams, ToolOutput, work};

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
}

impl From<(CallId, CallReport)> for Report {
    fn from((call, report): (CallId, CallReport)) -> Report {
        Report::Call(call, report)
    }
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
    streamed_bytes: u64,
}

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "the parts of a session, each once")]
    pub(crate) fn new(
        run: RunId,
        path: PathBuf,
        writer: Writer,
        engine: Engine,
        backends: Vec<Arc<massgen_models::Driver>>,
        redactor: Arc<Redactor>,
        seams: Seams,
        fanout: Fanout,
        offset_ms: u64,
    ) -> Driver {
        let (reports, inbox) = mpsc::channel(REPORTS_MAX);
        Driver {
            run,
            path,
            writer,
            engine,
            backends,
            redactor,
            seams,
            fanout,
            unshown: Vec::new(),
            calls: BTreeMap::new(),
            tools: BTreeMap::new(),
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
        self.take_up();
        self.settle();
        let mut batch = Vec::with_capacity(REPORTS_PER_BATCH);
        let mut has_user = true;
        while !self.is_over {
            let due = self.engine.next_deadline().map(|(at, _)| self.instant_of(at));
            let mut wish = None;
            tokio::select! {
                biased;
                op = wishes.recv(), if has_user => {
                    has_user = op.is_some();
                    wish = op;
                }
                _n = inbox.recv_many(&mut batch, REPORTS_PER_BATCH) => {}
                () = sleep_until(due) => {}
            }
            match wish {
                Some(Op::Interrupt) => self.record(EventBody::InterruptRequested),
                Some(Op::Stop) => {
                    self.record(EventBody::StopRequested);
                    self.is_over = true;
                }
                None => {}
            }
            for report in batch.drain(..) {
                self.take(report);
            }
            self.strike();
            self.settle();
            while self.tasks.try_join_next().is_some() {}
        }
        self.end().await
    }

    /// Takes up what a run that is continued had under way.
    fn take_up(&mut self) {
        let open = self.engine.open_work();
        let calls: Vec<CallId> = open.calls().collect();
        let snapshots: Vec<AnswerId> = open.snapshots().collect();
        let tools: Vec<(RoundId, ToolCall)> =
            open.tools().map(|(round, call)| (round, call.clone())).collect();
        // Asked for while the log was drained, and part of the open work.
        let fresh = self.engine.take_outgoing();
        for call in calls {
            if fresh.contains(&Outgoing::StartCall(call)) {
                continue;
            }
            if self.engine.awaits(call) {
                self.start_call(call);
            } else {
                // Given up before the crash, but not settled.
                self.record(EventBody::CallCancelled { call, spend: Spend::default() });
            }
        }
        for answer in snapshots {
            if !fresh.contains(&Outgoing::TakeSnapshot(answer)) {
                self.take_snapshot(answer);
            }
        }
        for (round, call) in tools {
            if fresh.contains(&Outgoing::RunTool { round, call: call.clone() }) {
                continue;
            }
            // A receipt without an end: what only reads is run again, anything
            // else may have happened, and the model is told so.
            match self.seams.tools.effect(round.agent, &call.name) {
                ToolEffect::Read => self.run_tool(round, call),
                ToolEffect::Write | ToolEffect::Irreversible => {
                    let text = "interrupted while it ran: it may or may not have taken effect; \
                                check before you repeat it";
                    self.record(EventBody::ToolFinished {
                        round,
                        id: call.id,
                        name: call.name,
                        output: text.into(),
                        is_error: true,
                    });
                }
            }
        }
        self.execute(fresh);
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
                if self.tools.remove(&(round, id.clone())).is_some() {
                    self.record(EventBody::ToolFinished {
                        round,
                        id,
                        name,
                        output: output.text.into(),
                        is_error: output.is_error,
                    });
                }
            }
        }
    }

    fn take_call(&mut self, call: CallId, report: CallReport) {
        // A call that was given up may still have reports under way.
        let Some(live) = self.calls.get_mut(&call) else { return };
        match report {
            CallReport::Text { channel, text } => {
                live.streamed_bytes += text.len() as u64;
                self.record(EventBody::TextStreamed { call, channel, text });
            }
            CallReport::ToolStreaming { name, bytes } => {
                self.record(EventBody::ToolCallStreaming { call, name, bytes });
            }
            CallReport::Retried { failure, after_ms, attempt } => {
                self.record(EventBody::CallRetried { call, failure, after_ms, attempt });
            }
            CallReport::Notice { what } => self.record(EventBody::ProviderNotice { call, what }),
            CallReport::Finished(turn) => {
                let live = self.calls.remove(&call);
                let spend = self.spend_of_turn(call, &turn.usage, live.as_ref());
                self.record(EventBody::CallFinished { call, turn: Kept::inline(*turn), spend });
            }
            CallReport::Failed(failure) => {
                let live = self.calls.remove(&call);
                let spend = match failure.kind {
                    // Refused before a model saw it.
                    FailureKind::RateLimited
                    | FailureKind::Quota
                    | FailureKind::ContextTooLong
                    | FailureKind::BadRequest
                    | FailureKind::Auth
                    | FailureKind::Tls
                    | FailureKind::CircuitOpen => Spend { calls: 1, ..Spend::default() },
                    FailureKind::Overloaded
                    | FailureKind::Unavailable
                    | FailureKind::Truncated
                    | FailureKind::Garbled
                    | FailureKind::TimedOut => self.spend_so_far(call, live.as_ref()),
                };
                self.record(EventBody::CallFailed { call, failure, spend });
            }
        }
    }

    fn prices(&self, call: CallId) -> Prices {
        self.engine.spec().agents[call.round.agent.at()].backend.prices
    }

    fn spend_of_turn(&self, call: CallId, usage: &Usage, live: Option<&LiveCall>) -> Spend {
        if usage.input() == 0 && usage.generated() == 0 && usage.cost_micros.is_none() {
            return self.spend_so_far(call, live);
        }
        Spend {
            calls: 1,
            tokens: usage.input().saturating_add(usage.generated()),
            money_micros: massgen_models::cost_micros(usage, &self.prices(call)),
        }
    }

    /// Estimates what a call without figures of its own has cost.
    fn spend_so_far(&self, call: CallId, live: Option<&LiveCall>) -> Spend {
        let Some(live) = live.filter(|live| live.streamed_bytes > 0) else {
            return Spend { calls: 1, ..Spend::default() };
        };
        let usage = Usage {
            input_uncached: live.input_tokens,
            output: tokens_of(live.streamed_bytes),
            ..Usage::default()
        };
        Spend {
            calls: 1,
            tokens: usage.input().saturating_add(usage.generated()),
            money_micros: massgen_models::cost_micros(&usage, &self.prices(call)),
        }
    }

    /// Reports the deadlines that have struck.
    fn strike(&mut self) {
        while let Some((at, deadline)) = self.engine.next_deadline() {
            if self.is_over || at > self.now() {
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

    /// Makes sure of the log, shows what is in it, and does what was decided.
    fn settle(&mut self) {
        loop {
            self.writer.flush();
            if let Some(message) = self.writer.take_failure() {
                self.is_recorded = false;
                self.append(EventBody::RecordingFailed { message });
            }
            for event in self.unshown.drain(..) {
                self.fanout.show(event);
            }
            let outgoing = self.engine.take_outgoing();
            if outgoing.is_empty() {
                self.is_over |= self.engine.is_finished();
                return;
            }
            self.execute(outgoing);
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
        let work = call::run(call, backend, request, self.redactor.clone(), self.reports.clone());
        let live = LiveCall {
            abort: self.tasks.spawn(work),
            input_tokens: self.engine.input_tokens(call),
            streamed_bytes: 0,
        };
        self.calls.insert(call, live);
    }

    fn cancel_call(&mut self, call: CallId) {
        if !self.engine.open_work().is_running(call) {
            // Its last report came first.
            return;
        }
        let live = self.calls.remove(&call);
        if let Some(live) = &live {
            live.abort.abort();
        }
        // Never started: nothing was spent.
        let spend = match &live {
            Some(_) => self.spend_so_far(call, live.as_ref()),
            None => Spend::default(),
        };
        self.record(EventBody::CallCancelled { call, spend });
    }

    fn run_tool(&mut self, round: RoundId, call: ToolCall) {
        let (id, name) = (call.id.clone(), call.name.clone());
        let tools = self.seams.tools.clone();
        let reports = self.reports.clone();
        let key = (round, id.clone());
        let tool = name.clone();
        let abort = self.tasks.spawn(async move {
            let output = work::tool(tools, round.agent, call).await;
            let _ = reports.send(Report::Tool { round, id, name: tool, output }).await;
        });
        self.tools.insert(key, (name, abort));
    }

    fn cancel_tools(&mut self, round: RoundId) {
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
