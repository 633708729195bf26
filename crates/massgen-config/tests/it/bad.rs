//! What users write wrongly, and what they are told. Each case is a config and all
//! that is said of it.

use crate::{problems, with_backend, with_team};

/// Renders cases one below the other, the config first.
fn cases(cases: &[&str]) -> String {
    let mut shown = String::new();
    for case in cases {
        let config: String = case.trim_end().lines().map(|line| format!("| {line}\n")).collect();
        shown.push_str(&format!("{config}{}\n\n", problems(case)));
    }
    shown
}

fn owned_cases(configs: &[String]) -> String {
    cases(&configs.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn yaml() {
    insta::assert_snapshot!(cases(&[
        "",
        "# only a comment\n",
        "just text",
        "- a\n- list",
        "42",
        "agents: [",
        "agents:\n\t- id: a",
        "agents:\n  - id: a\n   backend: x",
        "agents: *team",
        "agents: &a [*a]",
        "a: 1\n---\nb: 2",
        "? [a, b]\n: 1",
        "agents: !!python/object:os.system [x]",
        "agents: \"unterminated",
        "<<: 5\nagents: []",
        "agent: {id: \"\\x41\\q\"}",
    ]));
}

#[test]
fn teams() {
    insta::assert_snapshot!(cases(&[
        "agents: []",
        "agents:",
        "orchestrator: {}",
        "agents: {id: a}",
        "agents: researcher",
        "agent: [1]",
        "agents: [5, {}]",
        "agent:\n  backend: {type: lmstudio, model: m}\nagents:\n  - backend: {type: lmstudio, model: m}",
        "agents:\n  - id: a\n    backend: {type: lmstudio, model: m}\n  - {id: a, backend: {type: lmstudio, model: m}}\n  - {id: agent4, backend: {type: lmstudio, model: m}}\n  - {backend: {type: lmstudio, model: m}}",
        "agents:\n  - {id: '', backend: {type: lmstudio, model: m}}\n  - {id: \"a\\nb\", backend: {type: lmstudio, model: m}}\n  - {id: [x], backend: {type: lmstudio, model: m}}",
        "models: [gpt-4]\nagents: []",
        "num_agents: 3",
        "gemini:\n  default: {rpm: 5}",
    ]));
}

#[test]
fn backends() {
    insta::assert_snapshot!(cases(&[
        "agent: {id: a}",
        "agent: {id: a, backend: openai}",
        "agent: {backend: {}}",
        "agent: {backend: {model: gpt-5.4-mini-turbo/x}}",
        "agent: {backend: {type: opnai, model: gpt-5.4}}",
        "agent: {backend: {type: wombat, model: m}}",
        "agent: {backend: {type: [openai], model: m}}",
        "agent: {backend: {model: gemini-2.5-flash}}",
        "agent: {backend: {type: ag2}}",
        "agent: {backend: {type: lmstudio}}",
        "agent: {backend: {type: chatcompletion, base_url: 'http://localhost:1'}}",
        "agent: {backend: {type: lmstudio, model: {name: m}}}",
        "agent: {backend: {type: openrouter}}",
        "agent: {backend: {type: moonshot, model: kimi-k2}}",
        "agent: {backend: {type: chatcompletion, model: m, base_url: 'https://api.z.ai/api/paas/v4'}}",
        "agent: {backend: {type: chatcompletion, model: m, base_url: 'https://llm.example.com/v1'}}",
        "agent: {backend: {type: scripted}}",
        "agent: {backend: {type: lmstudio, model: m, script: x.yaml}}",
    ]));
}

#[test]
fn values_of_a_backend() {
    insta::assert_snapshot!(owned_cases(
        &[
            "max_tokens: 0",
            "max_tokens: -5",
            "max_tokens: 1.5",
            "max_tokens: lots",
            "max_tokens: .nan",
            "max_tokens: 99999999999999999999999",
            "tries_max: 0",
            "temperature: .inf",
            "stop: [a, .nan]",
            "base_url: localhost:8000",
            "base_url: 'https://me:hunter2@example.com/v1'",
            "base_url: ''",
            "base_url: {}",
            "api_key: [x]",
            "api_key: '${NO_SUCH_VARIABLE}'",
            "apikey: sk-1",
            "extra_body: {headers: {Authorization: Bearer x}}",
            "extra_body: 5",
            "system_message: You are",
            "system_prompt: You are, append_system_prompt: x",
            "prices: {input: -1, output: 1e9, cash_read: 1}",
            "prices: 5",
            "temprature: 0.5",
            "stream: false, n: 4, messages: []",
            "cwd: w, mcp_servers: [], command_line_made_up: 1",
            "reasoning: high",
        ]
        .map(with_backend)
    ));
}

#[test]
fn variables() {
    insta::assert_snapshot!(cases(&[
        "agent:\n  system_message: |\n    Work in ${NO_SUCH_DIR}\n    and ${NOR_THIS}.\n  backend: {type: lmstudio, model: '${MODEL_X}'}",
        "agent:\n  system_message: key ${OPENAI_API_KEY}\n  backend: {type: lmstudio, model: m, stop: ['${GROQ_API_KEY}']}",
    ]));
}

#[test]
fn rules_of_coordination() {
    insta::assert_snapshot!(owned_cases(
        &[
            "orchestrator: [x]",
            "orchestrator: {voting_sensitivity: harsh}",
            "orchestrator: {voting_sensitivity: [strict]}",
            "orchestrator: {voting_sensitivity: checklist_gated}",
            "orchestrator: {answer_novelty_requirement: roi}",
            "orchestrator: {on_new_answer: later, tie_break: coin, self_vote: maybe}",
            "orchestrator: {max_new_answers_per_agent: 0}",
            "orchestrator: {max_new_answers_per_agent: -1, max_new_answers_global: three}",
            "orchestrator: {defer_voting_until_all_answered: maybe, skip_final_presentation: 2}",
            "orchestrator: {final_answer_strategy: best}",
            "orchestrator: {final_answer_strategy: synthesize, skip_final_presentation: true}",
            "orchestrator: {coordination: {max_orchestration_restarts: -1}}",
            "orchestrator: {max_orchestration_restarts: 2}",
            "orchestrator: {coordination: {max_orchestration_restart: 2}}",
            "orchestrator: {fairness_enabled: true, fairness_lead_cap_answers: 2, snapshot_storage: s}",
            "orchestrator: {voting_sensitivty: strict}",
            "orchestrator: {seed: -1}",
            "orchestrator: {seed: 1.5}",
            "orchestrator: {backoff_seconds: 90, backoff_max_seconds: 5}",
            "orchestrator: {budget: {max_calls: 0, max_tokens: none, max_cost_usd: 0, max_seconds: -1, soft_percent: 101}}",
            "orchestrator: {budget: {max_cost_usd: 5}}",
            "orchestrator: {budget: {max_cost: 5}}",
            "tie_break: seeded",
            "ui: {display_type: simple}\ntask: x\nagnets: []",
        ]
        .map(with_team)
    ));
}

#[test]
fn times() {
    insta::assert_snapshot!(owned_cases(
        &[
            "timeout_settings: {orchestrator_timeout_seconds: 0}",
            "timeout_settings: {orchestrator_timeout_seconds: -1.5}",
            "timeout_settings: {orchestrator_timeout_seconds: .nan}",
            "timeout_settings: {orchestrator_timeout_seconds: 1e99}",
            "timeout_settings: {orchestrator_timeout_seconds: 30m}",
            "timeout_settings: {orchestrator_timeout_seconds: true}",
            "timeout_settings: {orchestrator_timeout_seconds: 0.0001}",
            "timeout_settings: {orchestrator_timeout_seconds: 60, wrap_up_lead_seconds: 60}",
            "timeout_settings: {connect_timeout_seconds: null, call_timeout_seconds: []}",
            "timeout_settings: {orchestrator_timeout: 60}",
            "timeout_settings: 60",
            "timeout_settings: {connect_timeout_seconds: 5, connect_timeout_seconds: 6}",
        ]
        .map(with_team)
    ));
}

#[test]
fn everything_at_once_and_in_the_order_of_the_file() {
    insta::assert_snapshot!(cases(&["\
timeout_settings:
  orchestrator_timeout_seconds: never
agents:
  - id: writer
    backend: {type: opnai, model: gpt-5.4, temprature: 1}
  - id: writer
    sytem_message: You write.
    backend:
      type: moonshot
      cwd: w
  - backend: {type: lmstudio, cwd: v}
orchestrator:
  tie_break: coin
"]));
}
