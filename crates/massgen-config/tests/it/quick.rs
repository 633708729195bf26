use massgen_config::{Environment, QuickModel, quick_team, team_from_env};

use crate::{asked, env, lines};

fn model(model: &str) -> QuickModel {
    QuickModel { model: model.to_owned(), ..QuickModel::default() }
}

#[test]
fn models_find_their_types() {
    let at = |url: &str, name: &str| QuickModel { base_url: Some(url.to_owned()), ..model(name) };
    let models = [
        model("gpt-5.4"),
        model("groq/llama-3.3-70b-versatile"),
        model("gpt-5.4"),
        at("http://localhost:8000/v1", "openai/gpt-oss-120b"),
        QuickModel { kind: Some("ollama".to_owned()), ..model("qwen3") },
    ];
    let spec = quick_team(&models, &env(), &asked()).unwrap();
    let team: Vec<String> = spec
        .agents
        .iter()
        .map(|agent| format!("{} {} {}", agent.id, agent.backend.kind, agent.backend.model))
        .collect();
    insta::assert_snapshot!(team.join("\n"), @r"
    agent1 openai gpt-5.4
    agent2 groq llama-3.3-70b-versatile
    agent3 openai gpt-5.4
    agent4 chatcompletion openai/gpt-oss-120b
    agent5 ollama qwen3
    ");
}

#[test]
fn all_that_is_wrong_is_told() {
    let models = [
        model("mystery-7b"),
        model("claude-opus-4-6"),
        model("deepseek-chat"),
        QuickModel { base_url: Some("nowhere".to_owned()), ..model("m") },
    ];
    insta::assert_snapshot!(lines(&quick_team(&models, &env(), &asked()).unwrap_err()));
    insta::assert_snapshot!(lines(&quick_team(&[], &env(), &asked()).unwrap_err()), @r"
    error: the team has no agents
      at command line (agents)
      hint: list at least one under `agents:`, each with a `backend`
    ");
}

#[test]
fn a_team_comes_from_the_keys_that_are_there() {
    let kinds = |env: &Environment| -> Vec<String> {
        team_from_env(env).into_iter().filter_map(|model| model.kind).collect()
    };
    assert_eq!(kinds(&env()), ["openai", "groq"]);
    assert_eq!(kinds(&Environment::default()), [""; 0]);
    // One key for two types is one agent; keys of types that cannot be called are none.
    let env = Environment::new([
        ("MOONSHOT_API_KEY", "k"),
        ("KIMI_API_KEY", "  "),
        ("ANTHROPIC_API_KEY", "k"),
        ("UI_TARS_API_KEY", "k"),
        ("VLLM_API_KEY", "k"),
    ]);
    assert_eq!(kinds(&env), ["claude", "moonshot"]);
    assert!(quick_team(&team_from_env(&env), &env, &asked()).is_ok());
}
