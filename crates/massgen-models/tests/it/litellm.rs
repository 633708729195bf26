//! LiteLLM's proxy as a server of three formats, in front of a model of ours.
//!
//! `mock` is answered by the proxy itself, `told` is a model behind it that speaks Chat
//! Completions, so that the proxy translates from Messages and Responses and back.

use std::net::TcpListener;

use massgen_models::connect;
use massgen_protocol::{
    Arguments, BackendSpec, FailureKind, FinishReason, Message, ModelCall, Role, Usage,
};
use massgen_testkit::{Format, Reply, Server, script};
use serde_json::json;

use crate::peer::{self, Peer};
use crate::support::{Heard, call, listen, spec};

struct Proxy {
    _peer: Peer,
    address: String,
    _folder: tempfile::TempDir,
}

fn start(model: &Server) -> Option<Proxy> {
    let mut command = peer::python("litellm", "litellm/proxy")?;
    let config = json!({
        "model_list": [
            {"model_name": "mock", "litellm_params":
                {"model": "openai/m-1", "api_key": "none", "mock_response": "8 Gpc"}},
            {"model_name": "told", "litellm_params":
                {"model": "lm_studio/m-1", "api_key": "sk-of-the-proxy", "api_base": model.base_url()}},
        ],
        "litellm_settings": {"drop_params": true, "num_retries": 0},
        "router_settings": {"num_retries": 0, "disable_cooldowns": true},
        "general_settings": {"master_key": crate::support::KEY},
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    // JSON is YAML.
    std::fs::write(&path, config.to_string()).unwrap();
    // Free now, and nobody else asks for it in the moment until the proxy does.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command
        .args(["-c", "from litellm import run_server; run_server()", "--config"])
        .arg(&path)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        // Nothing of it leaves this machine.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("HOME", folder.path())
        .current_dir(folder.path());
    let peer = Peer::start(command);
    peer.until_said("Uvicorn running on");
    Some(Proxy { _peer: peer, address: format!("http://127.0.0.1:{port}"), _folder: folder })
}

impl Proxy {
    async fn ask(&self, kind: &str, model: &str, call: ModelCall) -> Heard {
        let base_url = match kind {
            "claude" => self.address.clone(),
            _ => format!("{}/v1", self.address),
        };
        let spec =
            BackendSpec { kind: kind.to_owned(), model: model.to_owned(), ..spec(&base_url) };
        listen(&connect(&spec).unwrap(), call).await
    }
}

fn asked(text: &str) -> ModelCall {
    call(vec![Message::text(Role::System, "Be brief."), Message::text(Role::User, text)])
}

/// A model that answers in words, calls a tool, or fails, as it is told.
fn model() -> Server {
    Server::start(script(|request| {
        assert_eq!(request.format(), Format::Chat, "the proxy translates");
        let last = request.messages().last().map(massgen_testkit::Request::text_of);
        match last.unwrap_or_default().as_str() {
            "Vote." => Reply::stream()
                .text("So.")
                .tool_call(0, "call_1", "vote", &json!({"content": "agent1"}))
                .finish("tool_calls"),
            "Fail." => return Reply::error(401, "invalid_api_key", "the model is locked"),
            _ => Reply::stream().texts(&["8 ", "Gpc"]).finish("stop"),
        }
        .usage(11, 3)
        .done()
    }))
}

#[tokio::test]
async fn litellm_is_understood_in_three_formats() {
    let model = model();
    let Some(proxy) = start(&model) else { return };
    let told = Usage { input_uncached: 11, output: 3, ..Usage::default() };
    for kind in ["chatcompletion", "claude", "openai"] {
        let heard = proxy.ask(kind, "told", asked("How far?")).await;
        let turn = heard.turn.unwrap_or_else(|| panic!("{kind}: {:?}", heard.failure));
        assert_eq!((heard.text.as_str(), turn.text().as_str()), ("8 Gpc", "8 Gpc"), "{kind}");
        assert_eq!((turn.finish, turn.usage), (FinishReason::Stop, told), "{kind}");

        let heard = proxy.ask(kind, "told", asked("Vote.")).await;
        let turn = heard.turn.unwrap_or_else(|| panic!("{kind}: {:?}", heard.failure));
        assert_eq!(turn.text(), "So.", "{kind}");
        let calls: Vec<_> = turn.tool_calls().collect();
        let content = json!({"content": "agent1"}).as_object().unwrap().clone();
        assert_eq!(calls.len(), 1, "{kind}: {calls:?}");
        assert_eq!(calls[0].name, "vote", "{kind}");
        assert_eq!(calls[0].arguments, Arguments::Object { value: content }, "{kind}");
        assert_eq!((turn.finish, turn.usage), (FinishReason::ToolCalls, told), "{kind}");

        let failure = proxy.ask(kind, "told", asked("Fail.")).await.failure.unwrap();
        assert_eq!(failure.kind, FailureKind::Auth, "{kind}: {failure:?}");
        assert!(failure.message.contains("the model is locked"), "{kind}: {failure:?}");

        let failure = proxy.ask(kind, "nobody", asked("How far?")).await.failure.unwrap();
        assert_eq!(failure.kind, FailureKind::BadRequest, "{kind}: {failure:?}");
    }
    // The proxy's own answers: streamed, whole though a stream was asked for, and none at all.
    let turn = proxy.ask("chatcompletion", "mock", asked("How far?")).await.turn.unwrap();
    assert_eq!((turn.text().as_str(), turn.finish), ("8 Gpc", FinishReason::Stop));
    assert!(turn.usage.input() > 0 && turn.usage.output > 0, "{:?}", turn.usage);
    let turn = proxy.ask("claude", "mock", asked("How far?")).await.turn.unwrap();
    assert_eq!((turn.text().as_str(), turn.finish), ("8 Gpc", FinishReason::Stop));
    assert_eq!((turn.usage.input(), turn.usage.output), (2095, 503));
    let failure = proxy.ask("openai", "mock", asked("How far?")).await.failure.unwrap();
    assert_eq!((failure.kind, failure.status), (FailureKind::Unavailable, Some(500)));

    let mut tools_offered = 0;
    for request in model.requests().iter() {
        assert!(request.body.to_string().contains("Be brief."), "{}", request.body);
        assert_eq!(request.key(), Some("sk-of-the-proxy"));
        tools_offered += usize::from(request.tool("vote").is_some());
    }
    assert_eq!((tools_offered, model.requests().len()), (9, 9), "and none of them twice");
}
