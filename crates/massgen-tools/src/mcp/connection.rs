//! One live connection to a server.

use std::sync::{Arc, Mutex, PoisonError};

use massgen_protocol::McpTransport;
use rmcp::model::{
    ClientRequest, ListToolsRequest, PaginatedRequestParams, ProtocolVersion, ServerResult,
    SubscriptionFilter,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, Peer, RoleClient, RunningService,
    serve_client_with_lifecycle,
};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::catalogue::{self, Listed};
use super::child::{ChildTransport, LastWords};
use super::failure::{self, CallFailure, span};
use super::handler::{Handler, Reception};
use super::http;
use super::launch::Launch;
use super::limits::{LISTS_MAX, PAGES_MAX, SETTLE, SHUTDOWN, TOOLS_MAX};
use super::text;

pub(super) struct Connection {
    pub peer: Peer<RoleClient>,
    pub reception: Arc<Reception>,
    pub tools: Vec<Listed>,
    /// What is wrong with its tools, in words.
    pub problems: Vec<String>,
    /// Of the protocol, as agreed on.
    pub version: String,
    service: Mutex<Option<RunningService<RoleClient, Handler>>>,
    listening: Option<JoinHandle<()>>,
}

impl Connection {
    /// Starts or reaches a server, agrees on a version, and asks for its tools.
    pub(super) async fn open(launch: &Launch) -> Result<Connection, String> {
        let deadline = Instant::now() + launch.connect();
        let words = LastWords::new(launch.redactor());
        let opened = timeout_at(deadline, Connection::agree(launch, &words, deadline)).await;
        let why = match opened {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(why)) => why,
            Err(_) => format!("it did not answer within {}", span(launch.connect())),
        };
        let why = words.redactor().clean(&why);
        Err(match words.take().await {
            said if said.is_empty() => why,
            said => format!("{why}; it said last: {}", text::head(&tail(&said), 600)),
        })
    }

    async fn agree(
        launch: &Launch,
        words: &Arc<LastWords>,
        deadline: Instant,
    ) -> Result<Connection, String> {
        let newest = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let begun = Instant::now();
        // A web server that keeps an unknown question waiting has half of the time for it.
        let patience = match launch.spec.transport {
            McpTransport::Http { .. } => begun + (deadline - begun) / 2,
            McpTransport::Stdio { .. } => deadline,
        };
        let first = timeout_at(patience, begin(launch, words, newest)).await;
        let service = match first {
            Ok(Ok(service)) => service,
            Ok(Err(Failure::Handshake(error))) if !failure::may_be_old(&error) => {
                return Err(failure::of_start(&error));
            }
            Ok(Err(Failure::Start(why))) => return Err(why),
            Ok(Err(Failure::Handshake(_))) | Err(_) => {
                begin(launch, words, ClientLifecycleMode::Initialize).await.map_err(|failure| {
                    match failure {
                        Failure::Handshake(error) => failure::of_start(&error),
                        Failure::Start(why) => why,
                    }
                })?
            }
        };
        let peer = service.peer().clone();
        let info = peer.peer_info();
        let version = info.as_ref().map(|info| info.protocol_version.clone());
        let version = version.unwrap_or(ProtocolVersion::V_2025_11_25);
        let reception = service.service().reception.clone();
        let (mut tools, mut problems) = list(&peer).await?;
        let announces = info
            .as_ref()
            .and_then(|info| info.capabilities.tools.as_ref())
            .is_some_and(|tools| tools.list_changed == Some(true));
        let unasked = announces && version.has_initialize();
        for _ in 1..LISTS_MAX {
            if !unasked || timeout(SETTLE, reception.changes()).await.is_err() {
                break;
            }
            reception.take_changed();
            (tools, problems) = list(&peer).await?;
        }
        let listening =
            (announces && !unasked).then(|| tokio::spawn(listen(peer.clone(), reception.clone())));
        Ok(Connection {
            peer,
            reception,
            tools,
            problems,
            version: text::line(version.as_str(), 40),
            service: Mutex::new(Some(service)),
            listening,
        })
    }

    pub(super) fn is_live(&self) -> bool {
        !self.peer.is_transport_closed()
    }

    /// Ends the connection, and the process if there is one.
    pub(super) async fn close(&self) {
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(service) = service {
            // Whatever is left after that ends with the value.
            let _ = timeout(SHUTDOWN, service.cancel()).await;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

enum Failure {
    Start(String),
    Handshake(Box<ClientInitializeError>),
}

async fn begin(
    launch: &Launch,
    words: &Arc<LastWords>,
    mode: ClientLifecycleMode,
) -> Result<RunningService<RoleClient, Handler>, Failure> {
    let handler = Handler { reception: Reception::new(launch.roots()) };
    let begun = match &launch.spec.transport {
        McpTransport::Stdio { .. } => {
            let command = launch.command().map_err(Failure::Start)?;
            let transport = ChildTransport::spawn(command, words, launch.connect())
                .map_err(|error| Failure::Start(format!("it cannot be started: {error}")))?;
            serve_client_with_lifecycle(handler, transport, mode).await
        }
        McpTransport::Http { url, headers } => {
            let transport =
                http::transport(url, headers, launch.connect()).map_err(Failure::Start)?;
            serve_client_with_lifecycle(handler, transport, mode).await
        }
    };
    begun.map_err(|error| Failure::Handshake(Box::new(error)))
}

/// Asks for all tools, page by page.
async fn list(peer: &Peer<RoleClient>) -> Result<(Vec<Listed>, Vec<String>), String> {
    let mut tools: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    let mut endless = false;
    for page in 0.. {
        endless = page == PAGES_MAX;
        if endless || tools.len() > TOOLS_MAX {
            break;
        }
        let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let request = ListToolsRequest {
            method: Default::default(),
            params: Some(params),
            extensions: Default::default(),
        };
        let result = match peer.send_request(ClientRequest::ListToolsRequest(request)).await {
            Ok(result) => result,
            Err(error) => match CallFailure::of(&error) {
                // It has none, and says so in this way.
                CallFailure::Refused { words } if words.contains("(code -32601)") => break,
                CallFailure::Refused { words } => {
                    return Err(format!("it does not list its tools: {words}"));
                }
                CallFailure::Ended => return Err("it ended before it listed its tools".to_owned()),
                CallFailure::Unreachable { why } => return Err(why),
                CallFailure::TimedOut { .. } | CallFailure::Asks { .. } => {
                    return Err("it does not list its tools".to_owned());
                }
            },
        };
        // A list with one broken tool in it is no list to the protocol's types.
        let page = match result {
            ServerResult::ListToolsResult(result) => serde_json::to_value(result),
            ServerResult::CustomResult(result) => Ok(result.0),
            _ => Ok(Value::Null),
        }
        .unwrap_or_default();
        let Some(listed) = page.get("tools").and_then(Value::as_array) else {
            return Err("its list of tools cannot be read".to_owned());
        };
        tools.extend(listed.iter().cloned());
        let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        if next.is_none() || next == cursor {
            break;
        }
        cursor = next;
    }
    let (tools, mut problems) = catalogue::read(&tools);
    if endless {
        problems.push(format!("its list of tools does not end; {PAGES_MAX} pages count"));
    }
    Ok((tools, problems))
}

/// Waits for the news that there are other tools now.
async fn listen(peer: Peer<RoleClient>, reception: Arc<Reception>) {
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let Ok(mut news) = peer.listen(filter).await else { return };
    while let Ok(Some(_)) = news.next().await {
        reception.tools_changed();
    }
}

/// Returns the last lines, which say why.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(6)..].join(" | ")
}
