//! The fake agent as a team member: its driver, what it was told, what came of a call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use massgen_models::{BridgeCommand, Connector, Driver};
use massgen_protocol::{
    ApiKey, AssistantTurn, BackendSpec, Message, ModelCall, Part, Program, Role, Secret,
    ToolCallId, ToolResult,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{self, Heard, KEY, listen};

pub struct Fake {
    pub driver: Arc<Driver>,
    /// Where it works.
    pub cwd: PathBuf,
    log: PathBuf,
    pub spec: BackendSpec,
    _folder: TempDir,
}

pub fn bridge() -> BridgeCommand {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_massgen-bridge"));
    BridgeCommand { program, args: Vec::new() }
}

pub fn connect(spec: &BackendSpec) -> Arc<Driver> {
    Connector { bridge: Some(bridge()) }.connect(spec).unwrap()
}

impl Fake {
    pub fn new(options: &[&str]) -> Fake {
        Fake::with(options, |_| {})
    }

    pub fn with(options: &[&str], change: impl FnOnce(&mut BackendSpec)) -> Fake {
        let folder = tempfile::tempdir().unwrap();
        // Made by the backend, as a run's folder is.
        let cwd = folder.path().join("made").join("work");
        let (log, store) = (folder.path().join("log"), folder.path().join("store"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/acp/agent.py");
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let mut args = vec![path(&script), "--log".into(), path(&log)];
        args.extend(["--store".into(), path(&store)]);
        args.extend(options.iter().map(|&option| option.to_owned()));
        let program =
            Program { command: "python3".to_owned(), args, env: BTreeMap::new(), cwd: path(&cwd) };
        let mut spec = BackendSpec {
            program: Some(program),
            api_key: ApiKey::Given { value: Secret::new(KEY) },
            tries_max: 1,
            ..BackendSpec::new("claude_code", "default", "")
        };
        change(&mut spec);
        Fake { driver: connect(&spec), cwd, log, spec, _folder: folder }
    }

    /// The same agent in a new process of ours, as after a resume.
    pub fn again(&self) -> Arc<Driver> {
        connect(&self.spec)
    }

    /// All it was sent with this method, or said over MCP with `mcp`.
    pub fn got(&self, method: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|message| message["method"] == method)
            .map(|mut message| message["params"].take())
            .collect()
    }

    /// The text of each prompt.
    pub fn prompts(&self) -> Vec<String> {
        let texts = |params: Value| {
            let blocks = params["prompt"].as_array().unwrap().clone();
            let text = |block: &Value| block["text"].as_str().unwrap_or_default().to_owned();
            blocks.iter().map(text).collect::<String>()
        };
        self.got("session/prompt").into_iter().map(texts).collect()
    }

    pub async fn ask(&self, text: &str) -> Heard {
        listen(&self.driver, question(text)).await
    }
}

pub fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

pub fn question(text: &str) -> ModelCall {
    support::call(vec![Message::text(Role::System, "Be brief."), user(text)])
}

/// The conversation after this turn, with a result for each of its calls and then `text`.
pub fn after(call: &ModelCall, turn: &AssistantTurn, text: Option<&str>) -> ModelCall {
    let mut messages = call.messages.to_vec();
    messages.push(Arc::new(Message { role: Role::Assistant, parts: turn.parts.clone() }));
    let result = |id: &ToolCallId, name: &str| {
        let (id, name) = (id.clone(), name.to_owned());
        Part::ToolResult(ToolResult { id, name, text: "counted".to_owned(), is_error: false })
    };
    let results: Vec<Part> = turn.tool_calls().map(|call| result(&call.id, &call.name)).collect();
    if !results.is_empty() {
        messages.push(Arc::new(Message { role: Role::Tool, parts: results }));
    }
    messages.extend(text.map(|text| Arc::new(user(text))));
    ModelCall { messages: Arc::new(messages), ..call.clone() }
}
