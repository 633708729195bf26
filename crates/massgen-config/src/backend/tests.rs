//! Keys that only some types have, tried on those types whether or not this build calls them.

use massgen_protocol::{BackendType, HeaderText, backend_type};

use super::{address, headers, hosted_tools, key, kind, limits, program, reasoning};
use crate::Environment;
use crate::known::BACKEND;
use crate::parse::parse;
use crate::reader::Reader;
use crate::report::Report;
use crate::section::Section;

/// Reads a part of a backend; gives what was read, and all that was said.
fn read<T>(
    kind: &str,
    keys: &str,
    env: &[(&str, &str)],
    part: impl FnOnce(&mut Reader<'_>, &mut Section<'_>, Option<&BackendType>) -> T,
) -> (T, Vec<String>) {
    let env = Environment::new(env.iter().copied());
    let mut reader = Reader { env: &env, report: Report::new("t.yaml") };
    let root = parse(&format!("{{{keys}}}")).unwrap().root;
    let mut section = Section::open(&mut reader, &root, String::new(), &BACKEND).unwrap();
    let read = part(&mut reader, &mut section, backend_type(kind));
    let (errors, notices) = reader.report.finish();
    (read, errors.into_iter().chain(notices).map(|problem| problem.message).collect())
}

#[test]
fn azure_is_reached_at_its_root_or_at_one_deployment() {
    let check = |keys: &str, env: &[(&str, &str)], expected: &str| {
        let (found, said) = read("azure_openai", keys, env, |reader, section, kind| {
            address::address(reader, section, kind, Some("gpt-4o")).map(|address| address.url)
        });
        assert_eq!(found.as_deref(), Some(expected), "{keys} {said:?}");
    };
    let root = "https://r.openai.azure.com/openai/v1";
    check("azure_endpoint: 'https://r.openai.azure.com/'", &[], root);
    check("base_url: 'https://r.openai.azure.com/openai/v1/'", &[], root);
    check("", &[("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/")], root);
    check("base_url: 'https://r.openai.azure.com', api_version: v1", &[], root);
    check(
        "base_url: 'https://r.openai.azure.com', api_version: preview",
        &[],
        "https://r.openai.azure.com/openai/v1?api-version=preview",
    );
    check(
        "base_url: 'https://r.openai.azure.com/openai/deployments/d', api_version: 2024-06-01",
        &[],
        "https://r.openai.azure.com/openai/deployments/d?api-version=2024-06-01",
    );
    check(
        "base_url: 'https://r.openai.azure.com', api_version: 2024-10-21",
        &[],
        "https://r.openai.azure.com/openai/deployments/gpt-4o?api-version=2024-10-21",
    );
    check(
        "azure_deployment: mine",
        &[
            ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com"),
            ("AZURE_OPENAI_API_VERSION", "2025-01-01-preview"),
        ],
        "https://r.openai.azure.com/openai/deployments/mine?api-version=2025-01-01-preview",
    );
    let (found, said) = read(
        "azure_openai",
        "azure_endpoint: 'https://h', azure_deployment: '../x?y'",
        &[],
        |reader, section, kind| address::address(reader, section, kind, None).is_some(),
    );
    assert!(!found);
    assert_eq!(said, ["expected a name of letters, digits, `-`, `_` and `.`"]);
}

#[test]
fn an_address_comes_from_the_config_then_the_environment_then_the_type() {
    let check = |kind: &str, keys: &str, env: &[(&str, &str)], expected: Option<&str>| {
        let (found, said) = read(kind, keys, env, |reader, section, kind| {
            address::address(reader, section, kind, None).map(|address| address.url)
        });
        assert_eq!(found.as_deref(), expected, "{kind} {keys} {said:?}");
    };
    let openai = [("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")];
    check("openai", "base_url: 'http://h/v1'", &openai, Some("http://h/v1"));
    check("openai", "", &openai, Some("http://127.0.0.1:9/v1"));
    check("openai", "", &[("OPENAI_BASE_URL", " ")], Some("https://api.openai.com/v1"));
    // Whoever names another type does not mean OpenAI's address.
    check("chatcompletion", "", &openai, Some("https://api.openai.com/v1"));
    check("openai", "", &[("OPENAI_BASE_URL", "nowhere")], None);
    let claude = [("ANTHROPIC_BASE_URL", "http://gateway:8080")];
    check("claude", "", &claude, Some("http://gateway:8080"));
    check("a2a", "agent_url: 'http://h:1/agent'", &[], Some("http://h:1/agent"));
    check("a2a", "url: 'http://h:1/agent'", &[], Some("http://h:1/agent"));
    check("a2a", "", &[], None);
    check("acp", "", &[], Some(""));
}

#[test]
fn a_program_is_read_with_its_words_variables_and_folder() {
    let env = [("TOKEN", "t0ken-value"), ("HOME", "/home/user")];
    let keys = "command: 'npx -y \"my agent\"', args: [--acp, '${HOME}/x'], cwd: w1, \
                env: {API_TOKEN: '${TOKEN}', LEVEL: 3, OFF: }";
    let (program, said) = read("acp", keys, &env, |reader, section, kind| {
        program::program(reader, section, kind, "a b/c")
    });
    assert_eq!(said, [""; 0]);
    let program = program.unwrap().unwrap();
    assert_eq!(program.command, "npx");
    assert_eq!(program.args, ["-y", "my agent", "--acp", "/home/user/x"]);
    assert_eq!(program.cwd, ".massgen/workspaces/w1");
    assert_eq!(program.env["API_TOKEN"].expose(), "t0ken-value");
    assert!(
        matches!(&program.env["API_TOKEN"], HeaderText::Expanded { written, .. } if written == "${TOKEN}")
    );
    assert_eq!(program.env["LEVEL"].expose(), "3");
    assert_eq!(program.env["OFF"].expose(), "");
    assert!(!format!("{program:?}").contains("t0ken-value"));

    let preset = |keys: &str| {
        let (program, said) = read("claude_code", keys, &[], |reader, section, kind| {
            program::program(reader, section, kind, "../a b")
        });
        program.map(Option::unwrap).ok_or(said)
    };
    let bare = preset("").unwrap();
    assert_eq!((bare.command.as_str(), bare.args.len()), ("", 0));
    assert_eq!(bare.cwd, ".massgen/workspaces/_.._a_b");
    assert_eq!(preset("cwd: /srv/w").unwrap().cwd, "/srv/w");
    assert_eq!(preset("cwd: .massgen/w").unwrap().cwd, ".massgen/w");
    assert_eq!(preset("cwd: ./w").unwrap().cwd, ".massgen/workspaces/w");
    assert_eq!(preset("args: '--model x'").unwrap().args, ["--model", "x"]);
}

#[test]
fn what_cannot_be_started_is_told() {
    let check = |keys: &str, expected: &str| {
        let (program, said) = read("acp", keys, &[], |reader, section, kind| {
            program::program(reader, section, kind, "a").is_some()
        });
        assert!(!program, "{keys}");
        assert_eq!(said, [expected], "{keys}");
    };
    check("", "`acp` needs the program to start");
    check("command: [ ]", "`acp` needs the program to start");
    check("command: \"a 'b\"", "a quote in this command line is not closed");
    check("command: {a: b}", "expected a list of texts, found a map");
    check("command: a, cwd: x/../..", "this folder leads out of the workspaces");
    check("command: a, cwd: [x]", "expected a text, found a list");
    check("command: a, env: [x]", "expected a map of variables, found a list");
    check("command: a, env: {'x=y': 1}", "`x=y` is no name of a variable");
    check(
        "command: a, env: {MY_API_KEY: abcdef123}",
        "`MY_API_KEY` looks like a secret, and what is written here is written to the log",
    );
    check(
        &format!("command: a, args: [{}]", "x, ".repeat(300)),
        "300 arguments, at most 256 are taken",
    );
    let variables: String = (0..300).map(|n| format!("V{n}: 1, ")).collect();
    check(&format!("command: a, env: {{{variables}}}"), "300 variables, at most 256 are taken");
}

#[test]
fn keys_of_programs_mean_nothing_to_a_model() {
    let (program, said) = read("groq", "command: x, env: {A: 1}", &[], |reader, section, kind| {
        program::program(reader, section, kind, "a")
    });
    assert_eq!(program, Some(None));
    assert_eq!(
        said,
        [
            "`command` has an effect with types that are programs only",
            "`env` has an effect with types that are programs only",
        ]
    );
}

#[test]
fn tools_of_the_provider_go_to_those_who_have_them() {
    let check = |kind: &str, keys: &str, expected: Option<[bool; 3]>| {
        let (tools, said) = read(kind, keys, &[], |reader, section, kind| {
            hosted_tools::hosted_tools(reader, section, kind)
        });
        let found = tools.map(|tools| [tools.web_search, tools.code_execution, tools.x_search]);
        assert_eq!(found, expected, "{kind} {keys} {said:?}");
    };
    let all = "enable_web_search: true, enable_code_interpreter: yes, enable_x_search: true";
    check("grok", all, Some([true; 3]));
    check("openai", all, None);
    check(
        "openai",
        "enable_web_search: true, enable_code_execution: true",
        Some([true, true, false]),
    );
    check("claude", "enable_code_interpreter: true", Some([false, true, false]));
    check("openrouter", "enable_web_search: true", Some([true, false, false]));
    check("openrouter", "enable_code_execution: true", None);
    check("groq", "enable_web_search: true", None);
    check("groq", "enable_web_search: false, enable_x_search: no", Some([false; 3]));
    check("groq", "enable_web_search: maybe", None);
    check("claude_code", "enable_web_search: true", Some([true, false, false]));
}

#[test]
fn how_much_to_think_is_read_in_every_form() {
    let check = |kind: &str, keys: &str, effort: Option<&str>, budget: Option<u64>| {
        let (wish, said) = read(kind, keys, &[], |reader, section, kind| {
            reasoning::reasoning(reader, section, kind)
        });
        let reasoning = wish.map(|wish| wish.reasoning).unwrap_or_default();
        assert_eq!(
            (reasoning.effort.as_deref(), reasoning.budget_tokens),
            (effort, budget),
            "{keys} {said:?}"
        );
    };
    check("openai", "reasoning: {effort: HIGH, summary: auto}", Some("high"), None);
    check("openai", "reasoning: true", Some("medium"), None);
    check("openai", "reasoning: false", Some("none"), None);
    check("openai", "reasoning: minimal", Some("minimal"), None);
    check("openai", "reasoning_effort: low", Some("low"), None);
    check("openai", "reasoning_effort: low, reasoning: {effort: max}", Some("max"), None);
    check("codex", "model_reasoning_effort: xhigh", Some("xhigh"), None);
    check("openrouter", "reasoning: {max_tokens: 2_000}", None, Some(2_000));
    check("claude", "reasoning: {budget_tokens: 4096}", None, Some(4_096));
    check("claude_code", "max_thinking_tokens: 8000", None, Some(8_000));
    check(
        "gemini",
        "thinking_config: {thinking_budget: 512, include_thoughts: true}",
        None,
        Some(512),
    );
    check("gemini", "thinking_config: {thinkingLevel: low}", Some("low"), None);
    check("gemini", "thinking_config: {thinking_budget: -1}", None, None);
    check("gemini", "thinking_config: {thinking_budget: 0}", Some("none"), None);
    check("groq", "reasoning: {enabled: true}", Some("medium"), None);
    // A word of one server's own goes there as it is.
    check("groq", "reasoning_effort: default", None, None);
    for wrong in ["reasoning: 7", "reasoning: {effort: extreme}", "reasoning: {budget_tokens: 0}"] {
        let (wish, said) = read("groq", wrong, &[], |reader, section, kind| {
            reasoning::reasoning(reader, section, kind)
        });
        assert!(wish.is_none() && said.len() == 1, "{wrong} {said:?}");
    }
    let (wish, _) =
        read("openrouter", "reasoning: {effort: low, exclude: true}", &[], reasoning::reasoning);
    let field = wish.unwrap().field.unwrap();
    assert_eq!(field, serde_json::json!({"effort": "low", "exclude": true}));
}

#[test]
fn a_key_in_a_header_is_a_key() {
    let env = [("GATEWAY", "Bearer g1")];
    let keys = "base_url: 'https://llm.example.com/v1', headers: {Authorization: '${GATEWAY}'}";
    let (key, said) = read("groq", keys, &env, |reader, section, kind| {
        let address = address::address(reader, section, kind, None);
        let headers = headers::headers(reader, section, kind, address.as_ref());
        key::api_key(reader, section, kind, address.as_ref(), headers.as_ref())
    });
    assert_eq!((key, said), (Some(massgen_protocol::ApiKey::None), Vec::new()));
}

#[test]
fn a_program_and_a_remote_agent_may_do_without_a_key() {
    for (name, keys) in
        [("claude_code", ""), ("codex", ""), ("a2a", "url: 'https://a.example.com'")]
    {
        let (key, said) = read(name, keys, &[], |reader, section, kind| {
            let address = address::address(reader, section, kind, None);
            key::api_key(reader, section, kind, address.as_ref(), None)
        });
        assert_eq!(key, Some(massgen_protocol::ApiKey::None), "{name} {said:?}");
    }
}

#[test]
fn the_context_of_ollama_has_a_name_of_its_own() {
    let window = |kind: &str, keys: &str| read(kind, keys, &[], limits::context_window).0;
    assert_eq!(window("ollama", "num_ctx: 32768"), Some(32_768));
    assert_eq!(window("ollama", "num_ctx: 32768, context_window: 8192"), Some(8_192));
    assert_eq!(window("vllm", "num_ctx: 32768"), None);
    assert_eq!(window("vllm", "context_window: 32768"), Some(32_768));
}

#[test]
fn a_key_tells_its_type() {
    let told = |keys: &str| {
        let model = kind::Model { name: Some("gpt-5.4"), written: "gpt-5.4" };
        read("", keys, &[], |reader, section, _| kind::kind(reader, section, model)).0
    };
    assert_eq!(told("").map(|kind| kind.name), Some("openai"));
    assert_eq!(told("base_url: 'http://h'").map(|kind| kind.name), Some("chatcompletion"));
}
