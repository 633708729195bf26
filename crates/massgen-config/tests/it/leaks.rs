//! What configures MassGen, or another provider, never reaches a provider.

use massgen_config::{Environment, Source, load};
use massgen_protocol::backend_types;

use crate::asked;

/// Keys of MassGen's own, each with a value as a config has it. Some of them are sent to
/// providers by the MassGen of Python, which refuse the request for it.
const OWN: &[(&str, &str)] = &[
    // The agent, its folder and its tools.
    ("agent_id", "a"),
    ("instance_id", "x"),
    ("session_id", "s"),
    ("cwd", "w"),
    ("context_paths", "[{path: src, permission: read}]"),
    ("agent_temporary_workspace", "t"),
    ("custom_tools", "[{name: [x], function: [x]}]"),
    ("mcp_servers", "[{name: x, type: stdio, command: y}]"),
    ("allowed_tools", "[read]"),
    ("exclude_tools", "[write]"),
    ("disallowed_tools", "[bash]"),
    ("permission_mode", "plan"),
    ("permissions", "{role: read-only}"),
    ("hooks", "{}"),
    ("enable_mcp_command_line", "true"),
    ("command_line_execution_mode", "docker"),
    ("command_line_docker_image", "i"),
    ("command_line_of_a_later_version", "1"),
    ("exclude_file_operation_mcps", "true"),
    ("enable_code_based_tools", "true"),
    ("auto_discover_custom_tools", "true"),
    ("shared_tools_directory", "d"),
    ("concurrent_tool_execution", "true"),
    ("max_concurrent_tools", "4"),
    ("enable_multimodal_tools", "true"),
    ("multimodal_config", "{image: {backend: openai}}"),
    ("enable_image_generation", "true"),
    ("image_generation_model", "m"),
    ("enable_computer_use", "true"),
    ("display_width", "100"),
    // Parts of MassGen that stand in a backend.
    ("voting_sensitivity", "strict"),
    ("fairness_enabled", "true"),
    ("subtask", "x"),
    ("write_mode", "auto"),
    ("coordination_mode", "parallel"),
    ("enable_rate_limit", "true"),
    ("rate_limits", "{rpm: 5}"),
    ("prices", "{input: 1}"),
    ("context_window", "9000"),
    ("tries_max", "2"),
    ("fallbacks", "[]"),
    ("llm_circuit_breaker_enabled", "true"),
    ("debug_delay_seconds", "1"),
    ("websocket_mode", "true"),
    ("_note_of_its_own", "1"),
    // Those that leak in Python.
    ("api_key", "k3y"),
    ("provider_name", "x"),
    ("api_version", "2024-10-21"),
    ("azure_endpoint", "'https://x.openai.azure.com'"),
    ("organization", "org"),
    ("max_mcp_message_history", "200"),
    ("media_max_file_size_mb", "64"),
    ("max_incomplete_response_retries", "5"),
    ("agent_config", "{}"),
    ("group_config", "{}"),
    ("enable_web_search", "false"),
    ("enable_x_search", "false"),
    ("enable_code_execution", "false"),
    ("enable_code_interpreter", "false"),
    ("previous_response_id", "r"),
    // Fields of nobody's requests, or set by us.
    ("messages", "[]"),
    ("stream", "false"),
    ("tools", "[]"),
    ("command", "x"),
    ("env", "{A: 1}"),
    ("num_ctx", "4096"),
];

/// Fields that one family of providers knows, and a type that is of another.
const FOREIGN: &[(&str, &str, &str)] = &[
    ("betas", "[x]", "openai"),
    ("betas", "[x]", "gemini"),
    ("top_k", "5", "openai"),
    ("text", "{verbosity: low}", "gemini"),
    ("chat_template_kwargs", "{}", "gemini"),
    ("plugins", "[]", "groq"),
    ("provider", "x", "groq"),
];

fn params(kind: &str, key: &str, value: &str) -> serde_json::Map<String, serde_json::Value> {
    let url = if kind == "ollama" { "" } else { "base_url: 'http://localhost:1/v1'," };
    let text = format!("agent: {{backend: {{type: {kind}, model: m, {url} {key}: {value}}}}}");
    let loaded = load(&Source { name: "t", text: &text }, &Environment::default(), &asked());
    match loaded.spec {
        Ok(mut spec) => spec.agents.remove(0).backend.params,
        Err(problems) => panic!("{kind} {key}: {}", crate::lines(&problems)),
    }
}

#[test]
fn no_key_of_massgens_own_is_sent() {
    let mut n_kinds = 0;
    let callable = backend_types().iter().filter(|kind| kind.is_callable());
    for kind in callable.filter(|kind| kind.base_url.is_some()) {
        for (key, value) in OWN {
            let params = params(kind.name, key, value);
            assert!(params.is_empty(), "{} sends `{key}`: {params:?}", kind.name);
        }
        n_kinds += 1;
    }
    assert!(n_kinds > 15, "{n_kinds}");
}

#[test]
fn fields_of_one_family_are_not_sent_to_another() {
    for (key, value, kind) in FOREIGN {
        assert!(params(kind, key, value).is_empty(), "{kind} {key}");
    }
    // And what nobody knows is the user's to say.
    assert_eq!(params("groq", "invented_yesterday", "1").len(), 1);
}
