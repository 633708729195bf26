//! One call: the agent's turn from the prompt to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use agent_client_protocol::ErrorCode;
use agent_client_protocol::v1::schema::{PromptRequest, PromptResponse, SessionId, StopReason};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use massgen_protocol::{AssistantTurn, CallFailure, FailureKind, ModelCall, ModelEvent, ToolCall};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::Agent;
use super::heard::{Heard, usage};
use super::link::{Inbox, Incoming, Link};
use super::prompt::{Telling, session_note};
use super::session::{OpenPrompt, State};
use super::tools::ToolServer;
use crate::backend::{Beat, Beats};

/// Beats that wait to be taken; then the turn is not listened to further.
const BEATS_MAX: usize = 256;

type Ended = Result<Box<AssistantTurn>, CallFailure>;

/// Returns the beats of one call. Nothing happens before they are asked for.
pub(super) fn beats(agent: Arc<Agent>, state: Arc<Mutex<State>>, call: ModelCall) -> Beats {
    let (tell, told) = mpsc::channel(BEATS_MAX);
    let work = async move {
        let mut state = state.lock_owned().await;
        run(&agent, &mut state, &call, Tell(tell)).await
    };
    Box::pin(Calling { work: Some(work.boxed()), told, ended: None })
}

/// Work, and what it tells while it runs. Dropping it drops the work.
struct Calling {
    work: Option<BoxFuture<'static, Ended>>,
    told: mpsc::Receiver<Beat>,
    ended: Option<Ended>,
}

impl Stream for Calling {
    type Item = Result<Beat, CallFailure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let told = this.told.poll_recv(cx);
            if let Poll::Ready(Some(beat)) = told {
                return Poll::Ready(Some(Ok(beat)));
            }
            let Some(work) = &mut this.work else {
                // The runtime may hold back what is there, to let others have their turn.
                return told.map(|_| {
                    let ended = this.ended.take()?;
                    Some(ended.map(|turn| Beat::Event(ModelEvent::Finished(turn))))
                });
            };
            match work.as_mut().poll(cx) {
                Poll::Ready(ended) => {
                    this.work = None;
                    this.ended = Some(ended);
                }
                Poll::Pending => {
                    // What the work has told meanwhile is taken at once.
                    return this.told.poll_recv(cx).map(|beat| beat.map(Ok));
                }
            }
        }
    }
}

struct Tell(mpsc::Sender<Beat>);

impl Tell {
    async fn beat(&self, beat: Beat) {
        // The receiver lives as long as the work does.
        let _ = self.0.send(beat).await;
    }

    async fn events(&self, events: &mut Vec<ModelEvent>) {
        for event in events.drain(..) {
            self.beat(Beat::Event(event)).await;
        }
    }
}

/// Makes one call; whatever fails leaves a state from which the next call can go on.
async fn run(agent: &Agent, state: &mut State, call: &ModelCall, tell: Tell) -> Ended {
    if state.link.as_ref().is_some_and(|link| !link.is_alive()) {
        state.close();
    }
    settle(agent, state).await;
    let mut events = Vec::new();
    if state.link.is_none() {
        let found = agent
            .launch
            .find()
            .map_err(|missing| agent.words.of(FailureKind::BadRequest, &missing))?;
        if found.is_fetched {
            let what = format!("{} is not installed; it is fetched first", agent.launch.title);
            events.push(ModelEvent::Unknown { what });
            tell.events(&mut events).await;
        }
        state.link = Some(Link::open(agent, &found).await?);
    }
    if state.tools.is_none() {
        let failed = |error: std::io::Error| {
            agent.fails(FailureKind::Unavailable, &format!("no port for its tools: {error}"))
        };
        state.tools = Some(ToolServer::start().await.map_err(failed)?);
    }
    if let Some(tools) = &state.tools {
        // Before the session is opened, as agents look at the tools once, then.
        tools.offer(&call.tools).await;
    }
    let notices = match state.open_session(agent, call).await {
        Ok(notices) => notices,
        Err(failure) => {
            // Half a session is none: the next try begins with a new process.
            state.close();
            return Err(failure);
        }
    };
    events.extend(notices.into_iter().map(|what| ModelEvent::Unknown { what }));
    tell.events(&mut events).await;
    let ended = Prompting::begin(agent, state, call, &mut events)?.listen(tell, events).await;
    if ended.is_lost {
        state.close();
    }
    ended.result
}

/// Waits for the end of a turn that was given up, so that two never run at once.
async fn settle(agent: &Agent, state: &mut State) {
    let Some(open) = state.session.as_mut().and_then(|session| session.open_prompt.take()) else {
        return;
    };
    if timeout(agent.limits.cancel, open).await.is_err() {
        state.close();
    }
}

/// A turn of the agent. Dropping it before its end stops it.
struct Prompting<'a> {
    agent: &'a Agent,
    link: &'a mut Link,
    tools: &'a ToolServer,
    session: &'a mut super::session::Session,
    inbox: Inbox,
    calls: mpsc::UnboundedReceiver<ToolCall>,
    heard: Heard,
    phase: Phase,
    /// What the agent knew before; known again if it did not take the prompt.
    n_known: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Working,
    /// A call was recorded; the agent may end by itself until then.
    LastWords(Instant),
    /// It was told to stop.
    Stopping(Instant),
    Over,
}

struct TurnEnd {
    result: Ended,
    /// The process is of no use any more.
    is_lost: bool,
}

enum Next {
    Said(Option<Incoming>),
    Called(ToolCall),
    Answered(Option<Result<PromptResponse, agent_client_protocol::Error>>),
    TimeOver,
    Busy,
}

impl<'a> Prompting<'a> {
    /// Tells the agent what is new.
    fn begin(
        agent: &'a Agent,
        state: &'a mut State,
        call: &ModelCall,
        events: &mut Vec<ModelEvent>,
    ) -> Result<Prompting<'a>, CallFailure> {
        let (Some(link), Some(tools), Some(session)) =
            (&mut state.link, &state.tools, &mut state.session)
        else {
            return Err(agent.fails(FailureKind::Unavailable, "it has no session"));
        };
        let n_known = session.known.len();
        let takes = link.capabilities.prompt_capabilities.clone();
        let telling = Telling {
            format: &agent.format,
            session: &session.id.0,
            is_new: n_known == 0,
            messages: &call.messages[n_known..],
            tools: &call.tools,
            takes: &takes,
        };
        let (blocks, left_out) = telling.blocks();
        events.extend(left_out.into_iter().map(|what| ModelEvent::Unknown { what }));
        let names: Vec<String> = call.tools.iter().map(|tool| tool.name.clone()).collect();
        let inbox = link.begin_turn(names.clone());
        let calls = tools.begin_turn();
        let prompt = PromptRequest::new(session.id.clone(), blocks);
        let answer = link.prompt(prompt).map_err(|error| {
            agent.fails(FailureKind::Unavailable, &format!("it takes no prompt: {error}"))
        })?;
        session.open_prompt = Some(answer);
        session.known = call.messages.to_vec();
        let heard = Heard::new(names);
        let phase = Phase::Working;
        Ok(Prompting { agent, link, tools, session, inbox, calls, heard, phase, n_known })
    }

    async fn listen(mut self, tell: Tell, mut events: Vec<ModelEvent>) -> TurnEnd {
        let session = self.session.id.clone();
        loop {
            tell.events(&mut events).await;
            match self.next().await {
                Next::Said(Some(incoming)) => self.hear(incoming, &session, &mut events),
                Next::Said(None) => return self.lost().await,
                Next::Called(call) => {
                    self.heard.call(call, &mut events);
                    let until = Instant::now() + self.agent.limits.last_words;
                    if self.phase == Phase::Working {
                        self.phase = Phase::LastWords(until);
                    }
                }
                Next::Answered(answer) => {
                    while let Some(incoming) = self.inbox.now() {
                        self.hear(incoming, &session, &mut events);
                    }
                    while let Ok(call) = self.calls.try_recv() {
                        self.heard.call(call, &mut events);
                    }
                    return self.answered(answer, tell, events).await;
                }
                Next::TimeOver => match self.phase {
                    Phase::Working | Phase::LastWords(_) => self.stop(&session),
                    Phase::Stopping(_) | Phase::Over => {
                        // It does not stop. What it said counts, its process does not.
                        let result = Ok(self.turn(None, &session, &mut events));
                        tell.events(&mut events).await;
                        return TurnEnd { result, is_lost: true };
                    }
                },
                Next::Busy => tell.beat(Beat::Alive).await,
            }
            if self.heard.is_full() && self.phase == Phase::Working {
                self.stop(&session);
            }
        }
    }

    async fn next(&mut self) -> Next {
        let now = Instant::now();
        let until = match self.phase {
            Phase::LastWords(until) | Phase::Stopping(until) => Some(until),
            Phase::Working | Phase::Over => None,
        };
        let busy_beat = now + self.agent.limits.busy_beat;
        let is_busy = self.heard.is_busy();
        let answer = self.session.open_prompt.as_mut();
        tokio::select! {
            biased;
            incoming = self.inbox.next() => Next::Said(incoming),
            Some(call) = self.calls.recv() => Next::Called(call),
            answer = answered(answer) => Next::Answered(answer),
            () = sleep_until(until.unwrap_or(now)), if until.is_some() => Next::TimeOver,
            () = sleep_until(busy_beat), if is_busy => Next::Busy,
        }
    }

    fn hear(&mut self, incoming: Incoming, session: &SessionId, events: &mut Vec<ModelEvent>) {
        match incoming {
            Incoming::Update(params) => self.heard.update(&params, &session.0, events),
            Incoming::Notice(what) => self.heard.notice(what, events),
        }
    }

    fn stop(&mut self, session: &SessionId) {
        self.link.cancel(session);
        self.phase = Phase::Stopping(Instant::now() + self.agent.limits.cancel);
    }

    async fn answered(
        mut self,
        answer: Option<Result<PromptResponse, agent_client_protocol::Error>>,
        tell: Tell,
        mut events: Vec<ModelEvent>,
    ) -> TurnEnd {
        self.session.open_prompt = None;
        let session = self.session.id.clone();
        let is_decided = self.heard.has_calls() || self.heard.is_full();
        match answer {
            Some(Ok(response)) => {
                let turn = self.turn(Some(&response), &session, &mut events);
                tell.events(&mut events).await;
                TurnEnd { result: Ok(turn), is_lost: false }
            }
            // Some agents fail a turn that is cancelled; the call they made stands.
            Some(Err(_)) if is_decided && self.link.is_alive() => {
                let turn = self.turn(None, &session, &mut events);
                tell.events(&mut events).await;
                TurnEnd { result: Ok(turn), is_lost: false }
            }
            Some(Err(error)) => {
                self.phase = Phase::Over;
                let failure = self.link.failure(self.agent, &error, "working").await;
                self.session.known.truncate(self.n_known);
                let is_forgotten = error.code == ErrorCode::RESOURCE_NOT_FOUND;
                let is_lost = !self.link.is_alive() || is_forgotten;
                TurnEnd { result: Err(failure), is_lost }
            }
            None => self.lost().await,
        }
    }

    /// The agent is gone.
    async fn lost(mut self) -> TurnEnd {
        self.phase = Phase::Over;
        let failure = self.link.ended(self.agent, "working").await;
        self.session.known.truncate(self.n_known);
        TurnEnd { result: Err(failure), is_lost: true }
    }

    fn turn(
        &mut self,
        response: Option<&PromptResponse>,
        session: &SessionId,
        events: &mut Vec<ModelEvent>,
    ) -> Box<AssistantTurn> {
        self.phase = Phase::Over;
        let stop: Option<StopReason> = response.map(|response| response.stop_reason);
        let (said, finish) = self.heard.finish(stop, events);
        let mut parts = vec![session_note(&self.agent.format, &session.0)];
        parts.extend(said);
        let mut usage = response.map(usage).unwrap_or_default();
        if let Some(total) = self.heard.cost_micros {
            usage.cost_micros = Some(total.saturating_sub(self.session.cost_micros));
            self.session.cost_micros = total;
        }
        Box::new(AssistantTurn { parts, finish, usage, model: self.agent.launch.model.clone() })
    }
}

impl Drop for Prompting<'_> {
    fn drop(&mut self) {
        self.tools.end_turn();
        match self.phase {
            // Given up in the middle: its end is waited for before the next prompt.
            Phase::Working | Phase::LastWords(_) => self.link.cancel(&self.session.id),
            Phase::Stopping(_) | Phase::Over => {}
        }
    }
}

async fn answered(
    answer: Option<&mut OpenPrompt>,
) -> Option<Result<PromptResponse, agent_client_protocol::Error>> {
    match answer {
        Some(answer) => answer.await.ok(),
        None => None,
    }
}
