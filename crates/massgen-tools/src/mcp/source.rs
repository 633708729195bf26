//! The tools of an agent's servers, as the host takes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use massgen_protocol::{OfferedTool, ToolOutput, ToolSpec};

use super::catalogue::{Filter, Listed};
use super::names::{self, Origin};
use super::server::Server;
use crate::{Invocation, ToolSource};

/// A server of an agent, with which of its tools the agent gets.
pub(super) struct Member {
    pub server: Arc<Server>,
    pub filter: Filter,
    /// Empty until it is there.
    pub tools: Vec<Listed>,
}

#[derive(Clone)]
pub(super) struct Source {
    tools: Vec<OfferedTool>,
    state: Arc<Mutex<State>>,
}

struct State {
    members: Vec<Member>,
    routes: BTreeMap<String, Origin>,
}

impl Source {
    pub(super) fn new(members: Vec<Member>) -> Source {
        let routes = routes(&members);
        let listed = |origin: &Origin| {
            let member = members.iter().find(|member| member.server.name() == origin.server)?;
            member.tools.iter().find(|tool| tool.name == origin.tool)
        };
        let offered = |(name, origin): (&String, &Origin)| {
            let tool = listed(origin)?;
            let spec = ToolSpec {
                name: name.clone(),
                description: tool.description.clone(),
                parameters: tool.parameters.clone(),
            };
            Some(OfferedTool { spec, effect: tool.effect })
        };
        let tools = routes.iter().filter_map(offered).collect();
        Source { tools, state: Arc::new(Mutex::new(State { members, routes })) }
    }

    /// Returns the server and its name for the tool, as they were when the run began.
    fn route(&self, name: &str) -> Option<(Arc<Server>, String)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = state.routes.get(name)?;
        let server = state.members.iter().find(|m| m.server.name() == origin.server)?;
        Some((server.server.clone(), origin.tool.clone()))
    }

    /// Returns a server that was not there and whose tool this may be: a run that goes on knows
    /// its tools from its beginning.
    fn absent(&self, name: &str) -> Option<Arc<Server>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut absent = state.members.iter().filter(|member| member.tools.is_empty());
        let its = absent.find(|member| name.starts_with(&names::prefix(member.server.name())))?;
        Some(its.server.clone())
    }

    fn learn(&self, server: &Arc<Server>, tools: Vec<Listed>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for member in state.members.iter_mut().filter(|m| Arc::ptr_eq(&m.server, server)) {
            member.tools = tools.clone();
        }
        state.routes = routes(&state.members);
    }

    async fn make(self, call: Invocation) -> ToolOutput {
        let mut route = self.route(&call.name);
        if route.is_none()
            && let Some(server) = self.absent(&call.name)
        {
            match server.connection(&call.reports).await {
                Ok(connection) => self.learn(&server, connection.tools.clone()),
                Err(why) => {
                    let name = server.name();
                    return ToolOutput::error(format!("The server {name} is not there: {why}."));
                }
            }
            route = self.route(&call.name);
        }
        match route {
            Some((server, tool)) => server.call(&tool, call.arguments, &call.reports).await,
            None => ToolOutput::error(format!("There is no tool `{}`.", call.name)),
        }
    }
}

impl ToolSource for Source {
    fn tools(&self) -> Vec<OfferedTool> {
        self.tools.clone()
    }

    fn call(&self, call: Invocation) -> BoxFuture<'static, ToolOutput> {
        Box::pin(self.clone().make(call))
    }
}

fn routes(members: &[Member]) -> BTreeMap<String, Origin> {
    let origins: Vec<Origin> = members
        .iter()
        .flat_map(|member| {
            let server = member.server.name();
            let taken = member.tools.iter().filter(move |t| member.filter.takes(server, &t.name));
            taken.map(move |t| Origin { server: server.to_owned(), tool: t.name.clone() })
        })
        .collect();
    names::named(&origins)
}
