//! The connection to one running agent: requests with deadlines, answers to its own
//! requests, and what its failures mean.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    AgentCapabilities, CancelNotification, ClientCapabilities, FileSystemCapabilities,
    Implementation, InitializeRequest, PromptRequest, PromptResponse, ReadTextFileRequest,
    ReadTextFileResponse, RequestPermissionOutcome, RequestPermissionRequest,
    RequestPermissionResponse, SessionId, WriteTextFileRequest, WriteTextFileResponse,
};
use agent_client_protocol::{
    Agent, Client, Error, ErrorCode, JsonRpcRequest, Lines, UntypedMessage,
    is_connection_terminated, is_incoming_transport_closed, on_receive_notification,
    on_receive_request,
};
use massgen_protocol::{CallFailure, FailureKind};
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Agent as AgentSpec;
use super::files::Folder;
use super::launch::Found;
use super::lines::{Intake, messages};
use super::permission::{self, Mode};
use super::process::Process;
use crate::provider::kind_of_status;

/// What an agent says while a turn runs.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The parameters of a `session/update`.
    Update(Value),
    Notice(String),
}

/// What an agent says in one turn. The turn ends with it.
#[derive(Debug)]
pub(super) struct Inbox {
    receiver: mpsc::UnboundedReceiver<Incoming>,
    desk: Arc<Desk>,
}

impl Inbox {
    /// Returns the next thing said; `None` once the agent is gone.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        let incoming = self.receiver.recv().await?;
        self.desk.intake.taken(1);
        Some(incoming)
    }

    /// Returns what was said already.
    pub(super) fn now(&mut self) -> Option<Incoming> {
        let incoming = self.receiver.try_recv().ok()?;
        self.desk.intake.taken(1);
        Some(incoming)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        *self.desk.turn() = None;
        self.receiver.close();
        while self.now().is_some() {}
    }
}

/// A running agent that has introduced itself. Dropping it ends the agent.
#[derive(Debug)]
pub(super) struct Link {
    connection: ConnectionTo<Agent>,
    desk: Arc<Desk>,
    process: Process,
    task: JoinHandle<()>,
    pub(super) capabilities: AgentCapabilities,
}

/// Answers what the agent asks.
#[derive(Debug)]
struct Desk {
    mode: Mode,
    folder: Folder,
    intake: Arc<Intake>,
    turn: Mutex<Option<Turn>>,
}

#[derive(Debug)]
struct Turn {
    inbox: mpsc::UnboundedSender<Incoming>,
    tools: Vec<String>,
}

impl Link {
    /// Starts the agent and greets it.
    pub(super) async fn open(agent: &AgentSpec, found: &Found) -> Result<Link, CallFailure> {
        let failed = |error: std::io::Error| {
            let program = found.program.display();
            let what = format!("failed to start `{program}`: {error}");
            agent.words.of(FailureKind::BadRequest, &what)
        };
        let (process, stdin, stdout) = Process::start(&agent.launch, found).map_err(failed)?;
        let folder = Folder::new(&agent.launch.cwd).map_err(failed)?;
        let desk = Arc::new(Desk {
            mode: agent.mode.unwrap_or(Mode::Inside),
            folder,
            intake: Arc::default(),
            turn: Mutex::default(),
        });
        let (tell, told) = oneshot::channel();
        let task = tokio::spawn(converse(stdin, stdout, desk.clone(), tell));
        let connection = told.await.map_err(|_| {
            agent.words.of(FailureKind::Unavailable, "the connection ended before it began")
        })?;
        let capabilities = AgentCapabilities::default();
        let mut link = Link { connection, desk, process, task, capabilities };
        let files = FileSystemCapabilities::new().read_text_file(true).write_text_file(true);
        let request = InitializeRequest::new(ProtocolVersion::V1)
            .client_capabilities(ClientCapabilities::new().fs(files))
            .client_info(Implementation::new("massgen", env!("CARGO_PKG_VERSION")));
        let within = if found.is_fetched { agent.limits.fetch } else { agent.limits.initialize };
        let greeting = link.request(agent, request, within, "starting").await;
        let greeting = greeting.map_err(|failure| match failure.kind {
            // Another version is refused on our side already. Whoever does not understand the
            // first message does not speak this protocol.
            FailureKind::BadRequest => CallFailure { kind: FailureKind::Garbled, ..failure },
            _ => failure,
        })?;
        link.capabilities = greeting.agent_capabilities;
        Ok(link)
    }

    /// Returns whether the agent can still be spoken to.
    pub(super) fn is_alive(&self) -> bool {
        !self.task.is_finished() && !self.connection.is_incoming_closed()
    }

    /// Returns the agent's folder as it has to be named to it.
    pub(super) fn folder(&self) -> &Folder {
        &self.desk.folder
    }

    /// Asks and waits; `doing` says for people what for.
    pub(super) async fn request<R>(
        &mut self,
        agent: &AgentSpec,
        request: R,
        within: Duration,
        doing: &str,
    ) -> Result<R::Response, CallFailure>
    where
        R: JsonRpcRequest,
        R::Response: Send,
    {
        match self.try_request(request, within).await {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => Err(self.failure(agent, &error, doing).await),
            None => {
                let stray = self.desk.intake.last_stray();
                let seconds = within.as_secs_f64();
                let (kind, what) = match stray {
                    Some(line) => (
                        FailureKind::Garbled,
                        format!("no answer while {doing}, only text: «{line}»"),
                    ),
                    None => (
                        FailureKind::TimedOut,
                        format!("no answer within {seconds} s while {doing}"),
                    ),
                };
                Err(agent.fails(kind, &self.with_stderr(&what)))
            }
        }
    }

    /// Asks and waits; `None` if no answer came in time.
    pub(super) async fn try_request<R>(
        &mut self,
        request: R,
        within: Duration,
    ) -> Option<Result<R::Response, Error>>
    where
        R: JsonRpcRequest,
        R::Response: Send,
    {
        timeout(within, self.connection.send_request(request).block_task()).await.ok()
    }

    /// Begins a turn of the agent, in which it is listened to.
    pub(super) fn begin_turn(&self, tools: Vec<String>) -> Inbox {
        let (inbox, receiver) = mpsc::unbounded_channel();
        *self.desk.turn() = Some(Turn { inbox, tools });
        Inbox { receiver, desk: self.desk.clone() }
    }

    /// Sends a prompt. Its answer comes after everything the agent said before it, and is kept
    /// for whoever waits, also if nobody does any more.
    pub(super) fn prompt(
        &self,
        request: PromptRequest,
    ) -> Result<oneshot::Receiver<Result<PromptResponse, Error>>, Error> {
        let (tell, told) = oneshot::channel();
        self.connection.prepare_request(request).on_receiving_result(async move |response| {
            // Nobody waits for the answer to a prompt that was given up.
            let _ = tell.send(response);
            Ok(())
        })?;
        Ok(told)
    }

    pub(super) fn cancel(&self, session: &SessionId) {
        // An agent that has gone has nothing left to cancel.
        let _ = self.connection.send_notification(CancelNotification::new(session.clone()));
    }

    /// Returns what an error means: the end of the agent, a fault of its output, or what it says.
    pub(super) async fn failure(
        &mut self,
        agent: &AgentSpec,
        error: &Error,
        doing: &str,
    ) -> CallFailure {
        if let Some(fault) = self.desk.intake.fault() {
            let what = format!("it does not speak the Agent Client Protocol: {fault}");
            return agent.fails(FailureKind::Garbled, &what);
        }
        if is_incoming_transport_closed(error)
            || is_connection_terminated(error)
            || !self.is_alive()
        {
            return self.ended(agent, doing).await;
        }
        let kind = match error.code {
            ErrorCode::AUTH_REQUIRED => {
                let what = format!("it asks for a login: {}", agent.launch.login());
                return agent.fails(FailureKind::Auth, &what);
            }
            // Made on our side, of an answer that is not of the protocol.
            ErrorCode::PARSE_ERROR => FailureKind::Garbled,
            ErrorCode::INVALID_REQUEST
            | ErrorCode::METHOD_NOT_FOUND
            | ErrorCode::INVALID_PARAMS => FailureKind::BadRequest,
            code => match u16::try_from(code.value()) {
                // Some agents pass on the status their model's server gave.
                Ok(status @ 400..=599) => kind_of_status(status),
                // An internal error, a session that is lost, or a code nobody defined.
                Ok(_) | Err(_) => FailureKind::Unavailable,
            },
        };
        let detail = error.data.as_ref().map(detail).filter(|detail| !detail.is_empty());
        let what = match detail {
            Some(detail) if detail.contains(&error.message) => detail,
            Some(detail) => format!("{}: {detail}", error.message),
            None => error.message.clone(),
        };
        agent.fails(kind, &format!("failed while {doing}: {what}"))
    }

    /// Returns the failure of an agent whose output has ended.
    pub(super) async fn ended(&mut self, agent: &AgentSpec, doing: &str) -> CallFailure {
        if let Some(fault) = self.desk.intake.fault() {
            let what = format!("it does not speak the Agent Client Protocol: {fault}");
            return agent.fails(FailureKind::Garbled, &what);
        }
        let how = match self.process.exit().await {
            Some(status) => format!("it ended ({status}) while {doing}"),
            None => format!("it closed its output while {doing}"),
        };
        agent.fails(FailureKind::Unavailable, &self.with_stderr(&how))
    }

    fn with_stderr(&self, what: &str) -> String {
        match self.process.stderr() {
            said if said.is_empty() => what.to_owned(),
            // The end of it: the last words are those that explain.
            said => format!("{what}; it said: {}", tail(&said)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Of stderr, what a message shows.
const SAID_BYTES_MAX: usize = 400;

fn tail(said: &str) -> &str {
    let from = said.len().saturating_sub(SAID_BYTES_MAX);
    &said[said.ceil_char_boundary(from)..]
}

/// Returns the words in an error's data, which has no fixed form.
fn detail(data: &Value) -> String {
    match data {
        Value::String(text) => text.clone(),
        Value::Object(object) => ["details", "message", "error", "reason"]
            .iter()
            .find_map(|key| object.get(*key)?.as_str())
            .map_or_else(|| data.to_string(), str::to_owned),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Desk {
    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what the agent says; between turns nobody wants to know.
    fn hear(&self, incoming: Incoming) {
        if let Some(turn) = &*self.turn() {
            self.intake.queued();
            if turn.inbox.send(incoming).is_err() {
                self.intake.taken(1);
            }
        }
    }

    fn permit(&self, request: &RequestPermissionRequest) -> RequestPermissionOutcome {
        let tools = match &*self.turn() {
            Some(turn) => turn.tools.clone(),
            None => return RequestPermissionOutcome::Cancelled,
        };
        let decision = permission::decide(self.mode, &self.folder, &tools, request);
        self.hear(Incoming::Notice(decision.notice));
        decision.outcome
    }

    fn read(&self, request: &ReadTextFileRequest) -> Result<ReadTextFileResponse, Error> {
        let text = self.folder.read(&request.path, request.line, request.limit);
        text.map(ReadTextFileResponse::new).map_err(|why| self.refuse(why))
    }

    fn write(&self, request: &WriteTextFileRequest) -> Result<WriteTextFileResponse, Error> {
        if !self.mode.may_write() {
            return Err(self.refuse("nothing is written in this mode".to_owned()));
        }
        let written = self.folder.write(&request.path, &request.content);
        written.map(|()| WriteTextFileResponse::new()).map_err(|why| self.refuse(why))
    }

    fn refuse(&self, why: String) -> Error {
        self.hear(Incoming::Notice(format!("file request refused: {why}")));
        Error::invalid_params().data(Value::String(why))
    }
}

/// Drives the connection until the agent's output ends or the task is stopped.
async fn converse(
    stdin: ChildStdin,
    stdout: ChildStdout,
    desk: Arc<Desk>,
    tell: oneshot::Sender<ConnectionTo<Agent>>,
) {
    let outgoing = futures::sink::unfold(stdin, async |mut stdin: ChildStdin, line: String| {
        stdin.write_all(line.as_bytes()).await?;
        stdin.write_all(b"\n").await?;
        stdin.flush().await?;
        Ok::<_, std::io::Error>(stdin)
    });
    let incoming = messages(BufReader::new(stdout), desk.intake.clone());
    let (for_updates, for_permits) = (desk.clone(), desk.clone());
    let (for_reads, for_writes) = (desk.clone(), desk);
    let ended = Client
        .v1()
        .name("massgen")
        .on_receive_notification(
            async move |message: UntypedMessage, _connection| {
                if message.method == "session/update" {
                    for_updates.hear(Incoming::Update(message.params));
                }
                Ok(())
            },
            on_receive_notification!(),
        )
        .on_receive_request(
            async move |request: RequestPermissionRequest, responder, _connection| {
                responder.respond(RequestPermissionResponse::new(for_permits.permit(&request)))
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |request: ReadTextFileRequest, responder, _connection| {
                responder.respond_with_result(for_reads.read(&request))
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |request: WriteTextFileRequest, responder, _connection| {
                responder.respond_with_result(for_writes.write(&request))
            },
            on_receive_request!(),
        )
        .connect_with(Lines::new(outgoing, incoming), async move |connection| {
            let _ = tell.send(connection);
            // The connection is used from outside and lasts until it is dropped or breaks.
            std::future::pending::<Result<(), Error>>().await
        })
        .await;
    // Why it ended is known to whoever waits for an answer.
    drop(ended);
}
