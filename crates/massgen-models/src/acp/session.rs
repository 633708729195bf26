//! One agent's session: what the agent knows, and how it gets there after a restart.

use std::sync::Arc;

use agent_client_protocol::v1::schema::{
    AuthenticateRequest, EnvVariable, LoadSessionRequest, McpServer, McpServerStdio,
    NewSessionRequest, NewSessionResponse, PromptResponse, ResumeSessionRequest, SessionConfigKind,
    SessionConfigOption, SessionConfigOptionCategory, SessionConfigSelectOptions, SessionId,
    SessionModeState, SetSessionConfigOptionRequest, SetSessionModeRequest,
};
use agent_client_protocol::{Error, ErrorCode};
use massgen_protocol::{CallFailure, FailureKind, Message, ModelCall};
use tokio::sync::oneshot;

use super::Agent;
use super::bridge::TOKEN_VARIABLE;
use super::link::Link;
use super::prompt::session_of;
use super::tools::{SERVER_NAME, ToolServer};

/// As Claude Code, Gemini CLI and others name it.
const MODE_DEFAULT: &str = "default";

/// Of one agent, from its first call to the end of the run.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) link: Option<Link>,
    pub(super) tools: Option<ToolServer>,
    pub(super) session: Option<Session>,
}

/// A session of the agent's, which outlives its process where the agent keeps it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// What the agent was told, and what it said itself.
    pub(super) known: Vec<Arc<Message>>,
    /// Whether the running process has it open.
    is_open: bool,
    /// The answer to a prompt that was given up.
    pub(super) open_prompt: Option<OpenPrompt>,
    /// What it has cost by its own account, in millionths of a dollar.
    pub(super) cost_micros: u64,
}

pub(super) type OpenPrompt = oneshot::Receiver<Result<PromptResponse, Error>>;

/// What sessions offer to be set.
#[derive(Debug, Default)]
struct Offers {
    modes: Option<SessionModeState>,
    options: Vec<SessionConfigOption>,
}

impl State {
    /// Makes the session ready for the call, in the running agent.
    ///
    /// Returns notices. After it, all of the call's messages behind `session.known` are to be told.
    pub(super) async fn open_session(
        &mut self,
        agent: &Agent,
        call: &ModelCall,
    ) -> Result<Vec<String>, CallFailure> {
        let messages = call.messages.as_slice();
        let session = self.session.take();
        let is_known = session.as_ref().is_some_and(|session| begins(messages, &session.known));
        let (Some(link), Some(tools)) = (&mut self.link, &self.tools) else {
            return Err(agent.fails(FailureKind::Unavailable, "it is not running"));
        };
        if is_known && session.as_ref().is_some_and(|session| session.is_open) {
            self.session = session;
            return Ok(Vec::new());
        }
        let kept = match session {
            Some(session) if is_known => Some((session.id, session.known, session.cost_micros)),
            // Another conversation than the one this session knows.
            Some(_) => None,
            None => in_history(messages, &agent.format),
        };
        let server = tool_server(agent, tools);
        let mut opened = None;
        if let Some((id, known, cost_micros)) = kept
            && let Some(offers) = reopen(agent, link, &id, &server).await?
        {
            let session = Session { id, known, is_open: true, open_prompt: None, cost_micros };
            opened = Some((session, offers));
        }
        let (session, offers) = match opened {
            Some(opened) => opened,
            None => {
                let new = new_session(agent, link, server).await?;
                let session = Session {
                    id: new.session_id,
                    known: Vec::new(),
                    is_open: true,
                    open_prompt: None,
                    cost_micros: 0,
                };
                let options = new.config_options.unwrap_or_default();
                (session, Offers { modes: new.modes, options })
            }
        };
        let id = session.id.clone();
        self.session = Some(session);
        set_mode(agent, link, &id, offers.modes).await?;
        let mut notices = set_model(agent, link, &id, &offers.options).await?;
        if !call.tools.is_empty() && !tools.are_seen(agent.limits.tools).await {
            notices.push("it has not looked at the team's tools yet".to_owned());
        }
        Ok(notices)
    }

    /// Forgets the running process; the session may be opened again in the next.
    pub(super) fn close(&mut self) {
        self.link = None;
        if let Some(session) = &mut self.session {
            session.is_open = false;
            session.open_prompt = None;
        }
    }
}

fn begins(messages: &[Arc<Message>], known: &[Arc<Message>]) -> bool {
    let same = |(a, b): (&Arc<Message>, &Arc<Message>)| Arc::ptr_eq(a, b) || a == b;
    known.len() <= messages.len() && messages.iter().zip(known).all(same)
}

/// Returns the session a resumed run has noted with its turns, and what it knows.
fn in_history(
    messages: &[Arc<Message>],
    format: &str,
) -> Option<(SessionId, Vec<Arc<Message>>, u64)> {
    let (at, id) = messages
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, message)| Some((at, session_of(message, format)?)))?;
    Some((SessionId::new(id), messages[..=at].to_vec(), 0))
}

fn tool_server(agent: &Agent, tools: &ToolServer) -> McpServer {
    let mut args = agent.bridge.args.clone();
    args.push(tools.address.to_string());
    let token = EnvVariable::new(TOKEN_VARIABLE, tools.new_token());
    let server = McpServerStdio::new(SERVER_NAME, &agent.bridge.program).args(args);
    McpServer::Stdio(server.env(vec![token]))
}

/// Opens a session. An agent that wants to be told to use the key it was given is told so.
async fn new_session(
    agent: &Agent,
    link: &mut Link,
    server: McpServer,
) -> Result<NewSessionResponse, CallFailure> {
    let within = agent.limits.session;
    let request = NewSessionRequest::new(link.folder().path()).mcp_servers(vec![server]);
    let doing = "opening a session";
    let failure = match link.request(agent, request.clone(), within, doing).await {
        Err(failure) if failure.kind == FailureKind::Auth => failure,
        opened => return opened,
    };
    for &login in agent.launch.key_logins() {
        let login = AuthenticateRequest::new(login);
        if let Some(Ok(_)) = link.try_request(login, within).await {
            return link.request(agent, request, within, doing).await;
        }
    }
    Err(failure)
}

/// Opens a session of an earlier process; `None` if the agent cannot, or no longer has it.
async fn reopen(
    agent: &Agent,
    link: &mut Link,
    id: &SessionId,
    server: &McpServer,
) -> Result<Option<Offers>, CallFailure> {
    let within = agent.limits.session;
    let cwd = link.folder().path().to_owned();
    let servers = vec![server.clone()];
    // Resuming does not play the history back to us, as loading does.
    let answer = if link.capabilities.session_capabilities.resume.is_some() {
        let request = ResumeSessionRequest::new(id.clone(), cwd).mcp_servers(servers);
        let answer = link.try_request(request, within).await;
        answer.map(|answer| answer.map(|answer| (answer.modes, answer.config_options)))
    } else if link.capabilities.load_session {
        let request = LoadSessionRequest::new(id.clone(), cwd).mcp_servers(servers);
        let answer = link.try_request(request, within).await;
        answer.map(|answer| answer.map(|answer| (answer.modes, answer.config_options)))
    } else {
        return Ok(None);
    };
    match answer {
        Some(Ok((modes, options))) => {
            Ok(Some(Offers { modes, options: options.unwrap_or_default() }))
        }
        Some(Err(error)) if link.is_alive() && error.code != ErrorCode::AUTH_REQUIRED => Ok(None),
        Some(Err(error)) => Err(link.failure(agent, &error, "opening its session again").await),
        // Whatever it is busy with, a new session comes too late for this call.
        None => Err(agent.fails(FailureKind::TimedOut, "it does not open its session again")),
    }
}

/// Sets the mode, where the agent has one of this very name: by default the one that asks us,
/// which some agents do not begin in. The answers follow our own rule in any case.
async fn set_mode(
    agent: &Agent,
    link: &mut Link,
    id: &SessionId,
    modes: Option<SessionModeState>,
) -> Result<(), CallFailure> {
    let Some(modes) = modes else { return Ok(()) };
    let name = agent.mode_name.as_deref().unwrap_or(MODE_DEFAULT);
    let offered = modes.available_modes.iter().find(|mode| &*mode.id.0 == name);
    match offered {
        Some(mode) if mode.id != modes.current_mode_id => {
            let request = SetSessionModeRequest::new(id.clone(), mode.id.clone());
            link.request(agent, request, agent.limits.session, "setting its mode").await.map(drop)
        }
        Some(_) | None => Ok(()),
    }
}

/// Sets the model the user named, where the agent lets it be chosen.
async fn set_model(
    agent: &Agent,
    link: &mut Link,
    id: &SessionId,
    options: &[SessionConfigOption],
) -> Result<Vec<String>, CallFailure> {
    let Some(wished) = &agent.launch.model else { return Ok(Vec::new()) };
    let is_model =
        |option: &&SessionConfigOption| option.category == Some(SessionConfigOptionCategory::Model);
    let Some(option) = options.iter().find(is_model) else { return Ok(Vec::new()) };
    let SessionConfigKind::Select(select) = &option.kind else { return Ok(Vec::new()) };
    if &*select.current_value.0 == wished.as_str() {
        return Ok(Vec::new());
    }
    let offered = match &select.options {
        SessionConfigSelectOptions::Ungrouped(options) => options.clone(),
        SessionConfigSelectOptions::Grouped(groups) => {
            groups.iter().flat_map(|group| group.options.clone()).collect()
        }
        _ => Vec::new(),
    };
    let Some(value) = offered.iter().find(|offer| &*offer.value.0 == wished.as_str()) else {
        // It may have been told when it was started, and show it under another name.
        let now = &select.current_value.0;
        return Ok(vec![format!("it does not list model `{wished}`; its model is `{now}`")]);
    };
    let value = value.value.clone();
    let request = SetSessionConfigOptionRequest::new(id.clone(), option.id.clone(), value);
    link.request(agent, request, agent.limits.session, "setting its model").await?;
    Ok(Vec::new())
}
