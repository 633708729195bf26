//! Agents of other makers as they are, with their model behind a loopback server.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use massgen_protocol::{
    ApiKey, Arguments, BackendSpec, FinishReason, HeaderText, Program, Secret, Usage,
};
use massgen_testkit::{Format, Reply, Request, Script, Server, behaviour, script};
use tempfile::TempDir;

use super::fake::{after, connect, question};
use crate::peer;
use crate::support::listen;

const KEY: &str = "sk-test-of-a-real-agent";

/// An agent with a home of its own, whose model is the server.
struct Real {
    spec: BackendSpec,
    _home: TempDir,
}

/// How the agents differ: their program, their model, and what leads them to the server.
struct Kind {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    model: &'static str,
    env: fn(&Server) -> Vec<(&'static str, String)>,
}

const GEMINI: Kind = Kind {
    name: "gemini_cli",
    program: "gemini",
    args: &["--acp", "--model", "gemini-2.5-flash"],
    model: "gemini-2.5-flash",
    env: |server| vec![("GOOGLE_GEMINI_BASE_URL", server.url())],
};

const CLAUDE: Kind = Kind {
    name: "claude_code",
    program: "claude-agent-acp",
    args: &[],
    model: "default",
    env: |server| {
        vec![
            ("ANTHROPIC_BASE_URL", server.url()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            // It refuses some of its modes to root unless it is told that nothing can break.
            ("IS_SANDBOX", "1".to_owned()),
        ]
    },
};

const OPENCODE: Kind = Kind {
    name: "opencode",
    program: "opencode",
    args: &["acp"],
    model: "loopback/m",
    env: |server| {
        let config = serde_json::json!({
            "autoupdate": false,
            "share": "disabled",
            "provider": {"loopback": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": server.base_url_of(Format::Chat), "apiKey": KEY},
                "models": {"m": {"name": "m", "tool_call": true}},
            }},
            "model": "loopback/m",
            "small_model": "loopback/m",
        });
        vec![
            ("OPENCODE_CONFIG_CONTENT", config.to_string()),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1".to_owned()),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1".to_owned()),
        ]
    },
};

impl Kind {
    /// Returns the agent, if it is installed.
    fn with_model(&self, server: &Server) -> Option<Real> {
        let program = peer::npm_program(self.program)?;
        let home = tempfile::tempdir().unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut env = vec![
            ("HOME", text(home.path())),
            ("XDG_CONFIG_HOME", text(&home.path().join("config"))),
            ("XDG_DATA_HOME", text(&home.path().join("data"))),
            ("XDG_STATE_HOME", text(&home.path().join("state"))),
            ("XDG_CACHE_HOME", text(&home.path().join("cache"))),
            // Whatever it would tell the world, nobody is there.
            ("HTTP_PROXY", "http://127.0.0.1:9".to_owned()),
            ("HTTPS_PROXY", "http://127.0.0.1:9".to_owned()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ];
        env.extend((self.env)(server));
        let plain = |value: String| HeaderText::Plain { value };
        let spec = BackendSpec {
            program: Some(Program {
                command: text(&program),
                args: self.args.iter().map(|&arg| arg.to_owned()).collect(),
                env: env
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), plain(value)))
                    .collect::<BTreeMap<_, _>>(),
                cwd: text(&home.path().join("work")),
            }),
            api_key: ApiKey::Given { value: Secret::new(KEY) },
            tries_max: 1,
            ..BackendSpec::new(self.name, self.model, "")
        };
        Some(Real { spec, _home: home })
    }
}

/// Votes once for each message of the user's, then says that it is done. The agent's own
/// errands (a title for the conversation) have no tools and get words.
fn votes() -> Script {
    script(|request: &Request| {
        let said = &request.conversation().said;
        let last = said.iter().rev().find(|said| !said.text.is_empty() || !said.results.is_empty());
        let has_results = last.is_some_and(|said| !said.results.is_empty());
        let asked = request.last_user_has("cast your vote");
        match request.conversation().tool("vote") {
            Some(tool) if asked && !has_results => {
                let arguments = behaviour::arguments(&tool.parameters, "agent1", "it is right");
                Reply::stream()
                    .text("I choose. ")
                    .tool_call(0, &format!("call_{}", request.n), &tool.name, &arguments)
                    .finish("tool_calls")
                    .usage(100, 20)
                    .done()
            }
            _ => Reply::stream().text("Done.").finish("stop").usage(100, 10).done(),
        }
    })
}

/// Question, vote over MCP, its result in the same session, and once more after a resume.
async fn is_a_team_member(kind: &Kind, test: &str) {
    let server = Server::start(votes());
    let Some(real) = kind.with_model(&server) else { return };
    let driver = connect(&real.spec);
    let first = question("Please cast your vote.");
    let heard = listen(&driver, first.clone()).await;
    let turn = heard.turn.unwrap_or_else(|| panic!("{test}: {:?}", heard.failure));
    assert_eq!(turn.finish, FinishReason::ToolCalls, "{test}: {turn:?}");
    let calls: Vec<_> = turn.tool_calls().collect();
    assert_eq!(calls.len(), 1, "{test}: {calls:?}");
    assert_eq!(calls[0].name, "vote");
    let Arguments::Object { value } = &calls[0].arguments else { panic!("{calls:?}") };
    assert_eq!(value["content"], "it is right");
    assert!(heard.text.contains("I choose."), "{test}: {}", heard.text);
    assert!(turn.text().contains("I choose."));

    let second = after(&first, &turn, Some("Now say that you are done."));
    let heard = listen(&driver, second.clone()).await;
    let turn = heard.turn.unwrap_or_else(|| panic!("{test}: {:?}", heard.failure));
    assert_eq!((turn.text().as_str(), turn.finish), ("Done.", FinishReason::Stop), "{test}");
    assert!(remembers(&server, &["cast your vote", "result of vote: counted"]), "{test}");
    drop(driver);

    let third = after(&second, &turn, Some("Say it once more."));
    let heard = listen(&connect(&real.spec), third).await;
    let turn = heard.turn.unwrap_or_else(|| panic!("{test}: {:?}", heard.failure));
    assert!(turn.text().contains("Done."), "{test}: {turn:?}");
    let texts = ["cast your vote", "Now say that", "once more"];
    assert!(remembers(&server, &texts), "{test}: {:?}", holding(&server, &texts));
    let keys: Vec<Arc<Request>> = server.requests();
    assert!(keys.iter().filter_map(|request| request.key()).all(|key| key == KEY), "{test}");
    assert_ne!(turn.usage, Usage::default(), "{test}: the agent tells its tokens");
}

/// Returns whether a request holds all of these texts. Not just the newest: an agent's own
/// errands, such as a title for the conversation, come at any time and hold a part.
fn remembers(server: &Server, texts: &[&str]) -> bool {
    let requests = server.requests();
    let mut bodies = requests.iter().map(|request| request.body.to_string());
    bodies.any(|body| texts.iter().all(|text| body.contains(text)))
}

/// Returns which of these texts each request holds, to see what an agent forgot.
fn holding<'a>(server: &Server, texts: &[&'a str]) -> Vec<Vec<&'a str>> {
    let bodies = server.requests().into_iter().map(|request| request.body.to_string());
    bodies.map(|body| texts.iter().copied().filter(|text| body.contains(text)).collect()).collect()
}

#[tokio::test]
async fn gemini_cli_votes_goes_on_and_is_resumed() {
    is_a_team_member(&GEMINI, "gemini_cli_votes_goes_on_and_is_resumed").await;
}

#[tokio::test]
async fn claude_code_votes_goes_on_and_is_resumed() {
    is_a_team_member(&CLAUDE, "claude_code_votes_goes_on_and_is_resumed").await;
}

#[tokio::test]
async fn opencode_votes_goes_on_and_is_resumed() {
    is_a_team_member(&OPENCODE, "opencode_votes_goes_on_and_is_resumed").await;
}
