//! One try of one call to an agent: find it, send, hear, ask again where the stream broke off.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use massgen_protocol::{CallFailure, FailureKind, ModelCall, ModelEvent};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};

use super::card::{Card, Interface};
use super::message::{Known, Outgoing};
use super::refusal::{Cause, Refusal};
use super::reply::Reply;
use super::wire::{self, Operation, Prepared};
use super::{Agent, fetch};
use crate::backend::{Beat, Beats};
use crate::http;
use crate::provider::decode::{Asked, Decode, Finish, Out, Progress};
use crate::provider::events::EventStream;

/// First pause before a task is asked for; each is half as long again, as most tasks take either
/// a moment or minutes.
const POLL_PAUSE: Duration = Duration::from_millis(250);
const POLL_PAUSE_MAX: Duration = Duration::from_secs(5);
/// An answer to «how is the task?» takes no thinking.
const POLL_WAIT: Duration = Duration::from_secs(30);
/// Questions in a row that may fail before the task is given up.
const POLL_FAILURES_MAX: u32 = 3;
/// What a task that nobody waits for any more may cost us to cancel.
const CANCEL_WAIT: Duration = Duration::from_secs(5);
/// Other ways to send a message that was refused: whole instead of new, without streaming, to
/// another interface. A server that refuses more often means it.
const AMENDMENTS_MAX: u32 = 4;

/// Returns the events of one try.
pub(super) fn beats(agent: Arc<Agent>, call: ModelCall) -> Beats {
    let exchange = Exchange::new(agent, call);
    Box::pin(futures::stream::unfold(Some(exchange), |exchange| async move {
        let mut exchange = exchange?;
        match exchange.next().await {
            Ok(Some(beat)) => Some((Ok(beat), Some(exchange))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure), None)),
        }
    }))
}

struct Exchange {
    agent: Arc<Agent>,
    call: ModelCall,
    step: Step,
    decoder: EventStream<Reply>,
    out: Out,
    /// What the agent knows; forgotten where it has forgotten it.
    known: Option<Known>,
    outgoing: Outgoing,
    streams: bool,
    /// Whether a stream that broke off was taken up again.
    has_resumed: bool,
    amendments: u32,
    poll_pause: Duration,
    poll_failures: u32,
}

/// What is to be done next.
enum Step {
    FindCard,
    Ask(Question),
    Read(Question, Response),
    Pause,
    Over,
}

/// What was asked, and so what its answer means.
#[derive(Clone, Debug)]
enum Question {
    /// The message itself.
    Message,
    /// How the task is, as its stream broke off with this failure.
    AfterBreak(CallFailure),
    /// To go on telling, as its stream broke off with this failure.
    Subscribe(CallFailure),
    /// How the task is, as there is no stream.
    Poll,
}

type Next = Result<Step, CallFailure>;

impl Exchange {
    fn new(agent: Arc<Agent>, call: ModelCall) -> Exchange {
        let decoder = Exchange::decoder(&agent, &call);
        let known = Known::of(&call, &agent.format);
        Exchange {
            agent,
            call,
            step: Step::FindCard,
            decoder,
            out: VecDeque::new(),
            known,
            outgoing: Outgoing { pieces: Vec::new(), context: None, task: None },
            streams: false,
            has_resumed: false,
            amendments: 0,
            poll_pause: POLL_PAUSE,
            poll_failures: 0,
        }
    }

    fn decoder(agent: &Agent, call: &ModelCall) -> EventStream<Reply> {
        let failures = agent.failures.clone();
        let reply = Reply::new(Asked::of(call), failures.clone(), agent.format.clone());
        EventStream::new(reply, failures)
    }

    async fn next(&mut self) -> Result<Option<Beat>, CallFailure> {
        loop {
            if let Some(beat) = self.out.pop_front() {
                return Ok(Some(beat));
            }
            self.step = match std::mem::replace(&mut self.step, Step::Over) {
                Step::FindCard => self.find_card().await?,
                Step::Ask(question) => self.ask(question).await?,
                Step::Read(question, response) => self.read(question, response).await?,
                Step::Pause => {
                    tokio::time::sleep(self.poll_pause).await;
                    self.poll_pause = (self.poll_pause * 3 / 2).min(POLL_PAUSE_MAX);
                    Step::Ask(Question::Poll)
                }
                Step::Over => return Ok(None),
            };
        }
    }

    async fn find_card(&mut self) -> Next {
        let agent = self.agent.clone();
        let card = agent.card.get_or_try_init(|| fetch::card(&agent)).await?;
        if agent.tells_all.unwrap_or(card.is_forgetful) {
            self.known = None;
        }
        self.streams = card.streaming;
        self.write(card);
        Ok(Step::Ask(Question::Message))
    }

    fn write(&mut self, card: &Card) {
        self.outgoing = Outgoing::of(&self.call, self.known.as_ref(), card);
    }

    /// Returns the interface in use, and the card it is of.
    fn interface(&self) -> Result<(&Card, &Interface), CallFailure> {
        let chosen = self.agent.chosen.load(Ordering::Relaxed);
        let card = self.agent.card.get();
        let found = card.and_then(|card| Some((card, card.interfaces.get(chosen)?)));
        found.ok_or_else(|| self.failure(FailureKind::BadRequest, "the agent has no interface"))
    }

    fn prepared(&self, question: &Question) -> Result<(Prepared, bool), CallFailure> {
        let (_, interface) = self.interface()?;
        let task = self.decoder.format().task().unwrap_or_default();
        let operation = match question {
            Question::Message if self.streams => Operation::Stream(&self.outgoing),
            Question::Message => Operation::Send(&self.outgoing),
            Question::AfterBreak(_) | Question::Poll => Operation::Get(task),
            Question::Subscribe(_) => Operation::Subscribe(task),
        };
        let prepared = wire::prepare(interface, operation, &unique_id(), &self.agent.metadata);
        Ok((prepared, interface.is_home))
    }

    async fn ask(&mut self, question: Question) -> Next {
        let (prepared, is_home) = self.prepared(&question)?;
        let sent = send(&self.agent, &self.call.label, &prepared, is_home);
        let answer = match question {
            Question::Message => sent.await,
            Question::AfterBreak(_) | Question::Subscribe(_) | Question::Poll => {
                match tokio::time::timeout(POLL_WAIT, sent).await {
                    Ok(answer) => answer,
                    Err(_) => Err(self.failure(FailureKind::TimedOut, "no word of the task")),
                }
            }
        };
        let response = match answer {
            Ok(response) => response,
            Err(failure) => return self.unanswered(question, failure),
        };
        if response.status() == StatusCode::OK {
            let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if kind.is_some_and(|kind| kind.trim_start().starts_with("text/html")) {
                let message = "the reply is a web page, not an agent's";
                return Err(self.failure(FailureKind::BadRequest, message));
            }
            return Ok(Step::Read(question, response));
        }
        let mut refusal = fetch::refusal(&self.agent, &prepared.url, response).await;
        if !is_home && refusal.failure.kind == FailureKind::Auth {
            refusal.failure.message = self.agent.failures.clean(&format!(
                "{}; the key was not sent, as the agent's card names {}, another host than `base_url`",
                refusal.failure.message,
                http::server_of(&prepared.url)
            ));
        }
        self.refused(question, refusal)
    }

    /// Reads on once.
    async fn read(&mut self, question: Question, mut response: Response) -> Next {
        let lost = match response.chunk().await {
            Ok(Some(bytes)) => {
                if let Err(failure) = self.decoder.push(&bytes, &mut self.out) {
                    return self.broken(question, failure);
                }
                if self.has_lost_the_thread() {
                    return self.tell_all();
                }
                return Ok(match self.decoder.progress() {
                    Progress::Complete => self.finish(),
                    Progress::Open | Progress::Stopped => Step::Read(question, response),
                });
            }
            Ok(None) => None,
            Err(error) => Some(http::root_cause(&error)),
        };
        match self.decoder.end(lost.as_deref(), &mut self.out) {
            Ok(()) if self.has_lost_the_thread() => self.tell_all(),
            Ok(()) => Ok(self.finish()),
            Err(failure)
                if self.has_lost_the_thread() && failure.kind == FailureKind::Truncated =>
            {
                self.tell_all()
            }
            Err(failure) => self.broken(question, failure),
        }
    }

    /// Whether the agent began another conversation than the one it was to go on with: it does
    /// not know that one any more, and answers to half a question.
    fn has_lost_the_thread(&self) -> bool {
        let Some(known) = &self.known else { return false };
        let context = self.decoder.format().context();
        context.is_some_and(|context| context != known.context())
    }

    /// Sends the whole conversation instead of what is new.
    fn tell_all(&mut self) -> Next {
        self.cancel();
        self.known = None;
        self.out.clear();
        self.decoder = Exchange::decoder(&self.agent, &self.call);
        let agent = self.agent.clone();
        if let Some(card) = agent.card.get() {
            self.write(card);
        }
        Ok(Step::Ask(Question::Message))
    }

    fn finish(&mut self) -> Step {
        match self.decoder.finish(false, &mut self.out) {
            Finish::Turn(turn) => {
                self.out.push_back(Beat::Event(ModelEvent::Finished(turn)));
            }
            // Only where it may.
            Finish::Continue(_) => {}
        }
        Step::Over
    }

    /// Decides what follows an answer that is not the end.
    fn broken(&mut self, question: Question, failure: CallFailure) -> Next {
        if let Some(refusal) = self.decoder.format().refusal().cloned() {
            return self.refused(question, refusal);
        }
        let has_task = self.decoder.format().task().is_some();
        if failure.kind != FailureKind::Truncated || !has_task {
            return Err(failure);
        }
        // Makes the decoder ready for another answer about the same task.
        let _ = self.decoder.finish(true, &mut self.out);
        match question {
            Question::Message if self.streams => Ok(Step::Ask(Question::AfterBreak(failure))),
            Question::Message | Question::Poll => {
                self.poll_failures = 0;
                Ok(Step::Pause)
            }
            Question::AfterBreak(first) if self.has_resumed => Err(first),
            Question::AfterBreak(first) => {
                self.has_resumed = true;
                Ok(Step::Ask(Question::Subscribe(first)))
            }
            Question::Subscribe(first) => Ok(Step::Ask(Question::AfterBreak(first))),
        }
    }

    /// Decides what follows a question without any answer.
    fn unanswered(&mut self, question: Question, failure: CallFailure) -> Next {
        match question {
            Question::Message => Err(failure),
            Question::AfterBreak(first) | Question::Subscribe(first) => Err(first),
            Question::Poll => {
                self.poll_failures += 1;
                let goes_on = failure.kind.is_retryable() && self.poll_failures < POLL_FAILURES_MAX;
                if goes_on { Ok(Step::Pause) } else { Err(failure) }
            }
        }
    }

    /// Decides what follows a refusal: another way to ask, if there is one.
    fn refused(&mut self, question: Question, refusal: Refusal) -> Next {
        match question {
            Question::Message => {}
            Question::AfterBreak(_) | Question::Subscribe(_) | Question::Poll => {
                return self.unanswered(question, refusal.failure);
            }
        }
        if self.decoder.format().has_spoken() || self.amendments == AMENDMENTS_MAX {
            return Err(refusal.failure);
        }
        self.amendments += 1;
        let can_forget = self.known.is_some();
        match refusal.cause {
            Cause::Forgotten if can_forget => self.tell_all(),
            Cause::Unsupported if self.streams => {
                self.streams = false;
                self.ask_anew()
            }
            Cause::Unsupported if can_forget => {
                // It was not the streaming: it takes no more messages in this context.
                self.streams = self.agent.card.get().is_some_and(|card| card.streaming);
                self.tell_all()
            }
            Cause::WrongVersion | Cause::Unsupported if self.next_interface() => self.ask_anew(),
            Cause::Forgotten | Cause::Unsupported | Cause::WrongVersion | Cause::Other => {
                Err(refusal.failure)
            }
        }
    }

    fn ask_anew(&mut self) -> Next {
        self.out.clear();
        self.decoder = Exchange::decoder(&self.agent, &self.call);
        Ok(Step::Ask(Question::Message))
    }

    fn next_interface(&mut self) -> bool {
        let Some(card) = self.agent.card.get() else { return false };
        let next = self.agent.chosen.load(Ordering::Relaxed) + 1;
        let there_is = next < card.interfaces.len();
        if there_is {
            self.agent.chosen.store(next, Ordering::Relaxed);
            self.streams = card.streaming;
        }
        there_is
    }

    /// Tells the agent that nobody waits for its task any more; as well as that can be done.
    fn cancel(&mut self) {
        let Some(task) = self.decoder.format().task() else { return };
        let Ok((_, interface)) = self.interface() else { return };
        let cancel = Operation::Cancel(task);
        let prepared = wire::prepare(interface, cancel, &unique_id(), &self.agent.metadata);
        let is_home = interface.is_home;
        let (agent, label) = (self.agent.clone(), self.call.label.clone());
        // Outside of a runtime there is nobody to do it, and nobody who has called.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let canceled = send(&agent, &label, &prepared, is_home);
                let _ = tokio::time::timeout(CANCEL_WAIT, canceled).await;
            });
        }
    }

    fn failure(&self, kind: FailureKind, message: &str) -> CallFailure {
        self.agent.failures.of(kind, message)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.decoder.format().is_settled() {
            self.cancel();
        }
    }
}

/// Sends a request. `is_home` says whether it goes to the host that the user named.
async fn send(
    agent: &Agent,
    label: &str,
    prepared: &Prepared,
    is_home: bool,
) -> Result<Response, CallFailure> {
    let client = http::client(&prepared.url, agent.connect_ms)
        .map_err(|error| http::client_failure(&error, &agent.failures))?;
    let mut request = client
        .request(prepared.method.clone(), prepared.url.clone())
        .header(ACCEPT, prepared.accept)
        .header(HeaderName::from_static("a2a-version"), prepared.version);
    if let Ok(label) = HeaderValue::from_str(label) {
        request = request.header("x-client-request-id", label);
    }
    if let Some(body) = &prepared.body {
        request = request.header(CONTENT_TYPE, prepared.content_type).body(body.to_string());
    }
    if is_home {
        request = request.headers(agent.credentials.clone());
    }
    request.send().await.map_err(|error| {
        http::connection_failure(&error, &prepared.url, agent.connect_ms, &agent.failures)
    })
}

/// Returns an id that no other request has, of this process or another: agents keep messages by
/// theirs, also those of a run that was resumed.
fn unique_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("massgen-{:x}-{:x}-{count:x}", since.as_nanos(), std::process::id())
}
