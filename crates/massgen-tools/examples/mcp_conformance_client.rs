//! Our client as the official conformance suite of the Model Context Protocol starts it: with
//! the address of a server that plays a scenario. It lists the tools and calls each of them.
//!
//! ```text
//! conformance client --command target/debug/examples/mcp_conformance_client --scenario …
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use massgen_protocol::{
    AgentIndex, McpServerSpec, McpTransport, NetworkPolicy, RoundId, RoundKind, SandboxLimits,
    SandboxMode, SandboxSpec, ToolCallId, ToolReport,
};
use massgen_sandbox::{Confinement, Helper, Sandbox};
use massgen_tools::mcp::{Outcome, Rooms, Servers, Wanted};
use massgen_tools::{Invocation, Reports};
use serde_json::{Map, Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = std::env::args().next_back().expect("the address of a server");
    let dir = tempfile::tempdir().unwrap();
    let server = McpServerSpec {
        name: "s".to_owned(),
        transport: McpTransport::Http { url, headers: BTreeMap::new() },
        allowed_tools: None,
        exclude_tools: Vec::new(),
        connect_ms: 10_000,
        call_ms: 15_000,
        trusted: true,
        shared: false,
    };
    // Nothing is started, so there is nothing to confine.
    let off = SandboxSpec { mode: SandboxMode::Off, ..SandboxSpec::default() };
    let helper = Helper { program: std::env::current_exe().unwrap(), args: Vec::new() };
    let confinement = Confinement {
        cwd: dir.path().to_owned(),
        write: Vec::new(),
        read: Vec::new(),
        hidden: Vec::new(),
        scratch: None,
        network: NetworkPolicy::On,
        limits: SandboxLimits::default(),
    };
    let specs = [server];
    let wanted = [Wanted {
        agent: AgentIndex(0),
        servers: &specs,
        allowed_tools: None,
        exclude_tools: &[],
        sandbox: Arc::new(Sandbox::probe(&off, helper).unwrap()),
        confinement,
        workspace: None,
    }];
    let rooms = Rooms { scratch: dir.path().join("scratch"), cache: dir.path().join("cache") };
    let servers = Servers::start(&wanted, &rooms).await;
    if let Outcome::Missing { why } = &servers.started()[0].outcome {
        println!("missing: {why}");
        return ExitCode::FAILURE;
    }
    let source = servers.source(AgentIndex(0)).source;
    let tools = source.tools();
    let wished = wished();
    let first = tools.first().map(|tool| tool.spec.parameters.clone()).unwrap_or_default();
    for (n, tool) in tools.into_iter().enumerate() {
        let name = tool.spec.name.strip_prefix("mcp__s__").unwrap_or(&tool.spec.name);
        let wish = wished.iter().find(|call| call["name"] == name);
        let call = Invocation {
            agent: AgentIndex(0),
            round: RoundId { agent: AgentIndex(0), n: 1 },
            kind: RoundKind::Coordinate,
            id: ToolCallId(format!("c{n}")),
            name: tool.spec.name.clone(),
            arguments: match wish.and_then(|call| call["arguments"].as_object()) {
                Some(arguments) => arguments.clone(),
                None => arguments(&tool.spec.parameters, &first),
            },
            reports: Reports::new(|report| {
                if let ToolReport::Notice { what } = report {
                    println!("notice: {what}");
                }
            }),
        };
        let output = source.call(call).await;
        println!("{}: {}", tool.spec.name, output.text);
    }
    servers.close().await;
    ExitCode::SUCCESS
}

/// The calls that a scenario asks for.
fn wished() -> Vec<Value> {
    let context = std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or_default();
    context["toolCalls"].as_array().cloned().unwrap_or_default()
}

/// Makes up arguments that a schema takes; an object is the schema of the first tool, as a
/// scenario wants to see it back.
fn arguments(schema: &Value, first: &Value) -> Map<String, Value> {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let made = properties.into_iter().map(|(name, property)| {
        let value = match property["type"].as_str() {
            Some("number" | "integer") => json!(5),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => first.clone(),
            _ => json!("us-west1"),
        };
        (name, value)
    });
    made.collect()
}
