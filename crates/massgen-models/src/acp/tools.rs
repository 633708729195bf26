//! The team's tools as an MCP server on loopback, which the agent reaches by the bridge.

use std::borrow::Cow;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use massgen_protocol::{Arguments, ToolCall, ToolCallId, ToolSpec};
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    JsonObject, ListToolsResult, MetaObject, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::{Peer, RequestContext, RoleServer, ServiceExt};
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Name of our server, which agents put before the names of its tools.
pub(super) const SERVER_NAME: &str = "massgen";
/// From being connected to the token.
const TOKEN_WAIT: Duration = Duration::from_secs(5);
const TOKEN_BYTES_MAX: u64 = 128;
/// An agent needs one connection, and one more when it starts its servers anew.
const CONNECTIONS_MAX: usize = 16;
/// Arguments of one call; what is longer would make the conversation unusable.
const ARGUMENT_BYTES_MAX: usize = 1024 * 1024;
/// One message of an agent to us: arguments, escaped, and what is around them.
const MESSAGE_BYTES_MAX: usize = 4 * ARGUMENT_BYTES_MAX;
/// Calls in one turn; an agent that makes more does not listen to what it is told.
const CALLS_MAX: usize = 128;

/// Claude Code hides the tools of servers until it searches for them, but for those that say this.
const ALWAYS_LOAD: &str = "anthropic/alwaysLoad";

const INSTRUCTIONS: &str = "Tools of the team you work in. A call is recorded and ends your turn: \
                            after it, stop and wait for the next message.";

/// The server. Dropping it ends its connections.
#[derive(Debug)]
pub(super) struct ToolServer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told once for each list that was asked for.
    seen: Notify,
}

#[derive(Debug, Default)]
struct State {
    offered: Arc<Vec<ToolSpec>>,
    /// Of the session that is served now; no connection is let in without.
    token: Option<String>,
    /// Where the calls of the running turn go.
    turn: Option<Turn>,
    peers: Vec<Peer<RoleServer>>,
}

#[derive(Debug)]
struct Turn {
    calls: mpsc::UnboundedSender<ToolCall>,
    n_calls: usize,
}

impl ToolServer {
    pub(super) async fn start() -> io::Result<ToolServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(ToolServer { address, shared, task })
    }

    /// Returns a token for a new session; those of earlier ones are void.
    pub(super) fn new_token(&self) -> String {
        let token = uuid::Uuid::new_v4().simple().to_string();
        // Of an earlier session.
        let _ = self.shared.seen.notified().now_or_never();
        self.shared.state().token = Some(token.clone());
        token
    }

    /// Sets what is offered from now on. Agents that are connected are told if it differs.
    pub(super) async fn offer(&self, tools: &Arc<Vec<ToolSpec>>) {
        let peers = {
            let mut state = self.shared.state();
            if *state.offered == **tools {
                return;
            }
            state.offered = tools.clone();
            state.peers.retain(|peer| !peer.is_transport_closed());
            state.peers.clone()
        };
        for peer in peers {
            // One that has gone needs no news.
            let _ = timeout(TOKEN_WAIT, peer.notify_tool_list_changed()).await;
        }
    }

    /// Waits until the agent has looked at the tools since it was given its token. Some open a
    /// session first and their tool servers after, and would answer without.
    pub(super) async fn are_seen(&self, within: Duration) -> bool {
        timeout(within, self.shared.seen.notified()).await.is_ok()
    }

    /// Begins a turn: calls come to the receiver until it is dropped.
    pub(super) fn begin_turn(&self) -> mpsc::UnboundedReceiver<ToolCall> {
        let (calls, receiver) = mpsc::unbounded_channel();
        self.shared.state().turn = Some(Turn { calls, n_calls: 0 });
        receiver
    }

    /// Ends the turn: no further call is recorded.
    pub(super) fn end_turn(&self) {
        self.shared.state().turn = None;
    }
}

impl Drop for ToolServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a call; returns what the agent is told.
    fn record(&self, name: &str, arguments: JsonObject) -> Result<String, String> {
        let mut state = self.state();
        if !state.offered.iter().any(|tool| tool.name == name) {
            let names: Vec<&str> = state.offered.iter().map(|tool| tool.name.as_str()).collect();
            return Err(format!("there is no tool `{name}` now; there are: {}", names.join(", ")));
        }
        let Some(turn) = &mut state.turn else {
            return Err("your turn is over; wait for the next message".to_owned());
        };
        if turn.n_calls == CALLS_MAX {
            return Err("too many calls in one turn; end it now".to_owned());
        }
        let bytes: usize = arguments.values().map(|value| value.to_string().len()).sum();
        if bytes > ARGUMENT_BYTES_MAX {
            return Err(format!("the arguments are longer than {ARGUMENT_BYTES_MAX} bytes"));
        }
        turn.n_calls += 1;
        let call = ToolCall {
            id: ToolCallId(format!("call_{}", uuid::Uuid::new_v4().simple())),
            name: name.to_owned(),
            arguments: Arguments::Object { value: arguments },
        };
        if turn.calls.send(call).is_err() {
            return Err("your turn is over; wait for the next message".to_owned());
        }
        Ok(format!(
            "`{name}` is recorded. End your turn now: its result comes with the next message."
        ))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and its connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) if connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(serve(socket, shared.clone()));
                }
                // Closed at once, or lost before it came.
                Ok(_) | Err(_) => {}
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(socket: TcpStream, shared: Arc<Shared>) {
    let _ = socket.set_nodelay(true);
    let (reading, writing) = socket.into_split();
    let mut reading = BufReader::new(reading);
    let mut line = String::new();
    let mut first = (&mut reading).take(TOKEN_BYTES_MAX);
    let read = timeout(TOKEN_WAIT, first.read_line(&mut line)).await;
    let expected = shared.state().token.clone();
    if !matches!(read, Ok(Ok(_))) || expected.as_deref() != Some(line.trim_end()) {
        return;
    }
    let transport = AsyncRwTransport::new(reading, writing).with_max_line_length(MESSAGE_BYTES_MAX);
    let handler = Handler { shared };
    if let Ok(running) = handler.serve(transport).await {
        running.service().shared.state().peers.push(running.peer().clone());
        let _ = running.waiting().await;
    }
}

struct Handler {
    shared: Arc<Shared>,
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(SERVER_NAME, env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, rmcp::ErrorData> {
        let offered = self.shared.state().offered.clone();
        self.shared.seen.notify_one();
        Ok(ListToolsResult::with_all_items(offered.iter().map(tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, rmcp::ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        Ok(match self.shared.record(&request.name, arguments) {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            // For the model to read, not a fault of the protocol.
            Err(text) => CallToolResult::error(vec![ContentBlock::text(text)]),
        }
        .into())
    }
}

fn tool(spec: &ToolSpec) -> Tool {
    let schema = match &spec.parameters {
        serde_json::Value::Object(schema) => schema.clone(),
        _ => JsonObject::new(),
    };
    let (name, description) = (spec.name.clone(), spec.description.clone());
    let always = JsonObject::from_iter([(ALWAYS_LOAD.to_owned(), serde_json::Value::Bool(true))]);
    Tool::new(Cow::Owned(name), Cow::Owned(description), Arc::new(schema))
        .with_meta(MetaObject(always))
}
