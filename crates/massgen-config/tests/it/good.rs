use massgen_config::{Environment, Overrides, Source, decode, load};
use massgen_protocol::{
    AnswerNovelty, ApiKey, CallTimeouts, FilesSpec, FinalPresentation, OnNewAnswer, Policy,
    SelfVote, TieBreak, Tooling, VotingSensitivity,
};
use serde_json::json;

use crate::{asked, env, loaded, problems, spec, with_backend, with_team};

#[test]
fn a_small_config_takes_the_defaults() {
    let text = "agents:\n  - backend: {model: gpt-5.4}\n  - backend: {type: lmstudio, model: m}\n";
    let spec = spec(text);
    assert_eq!(spec.policy, Policy::default());
    assert_eq!(spec.agents[0].id.0, "agent1");
    assert_eq!(spec.agents[1].id.0, "agent2");
    let [hosted, local] = [&spec.agents[0].backend, &spec.agents[1].backend];
    assert_eq!(hosted.kind, "openai");
    assert_eq!(hosted.base_url, "https://api.openai.com/v1");
    assert!(matches!(&hosted.api_key, ApiKey::Env { name, .. } if name == "OPENAI_API_KEY"));
    assert_eq!(hosted.timeouts, CallTimeouts::default());
    assert_eq!(local.api_key, ApiKey::None);
    assert_eq!(local.base_url, "http://localhost:1234/v1");
    assert_eq!(spec.question.text, "Why?");
    assert_eq!(spec.seed, crate::spec(text).seed);
}

const FULL: &str = "\
prompt: How far is the quasar?
agents:
  - id: astronomer
    system_message: |
      You are an astronomer.
    voting_sensitivity: strict
    backend:
      type: chatcompletion
      model: ${MODEL}
      base_url: http://${HOST}:8000/v1/
      api_key: ${GROQ_API_KEY}
      max_tokens: 4_096
      temperature: 0.5
      top_p: 1
      stop: [END, '7', yes]
      chat_template_kwargs: {enable_thinking: off}
      extra_body: {min_p: 0.1}
      prices: {input: 1.25, output: 10, cache_read: 0.125}
      tries_max: 5
  - id: '42'
    backend: {type: GROQ, prices: {input: 1}}
  - id: worker
    backend:
      type: lmstudio
      model: m
      prices: {input: 1}
      cwd: workspace1
      enable_mcp_command_line: true
      command_line_allowed_commands: ['^git ']
      command_line_blocked_commands: ['push']
      command_line_timeout_seconds: 30
      command_line_docker_image: image:1
      command_line_docker_memory_limit: 2g
      command_line_docker_cpu_limit: 2
      sandbox: {mode: container, network: on}
      enable_web_fetch: true
      max_concurrent_tools: 4
      allowed_tools: [get_time]
      exclude_tools: [mcp__time__convert, other]
      mcp_servers:
        - {name: time, type: stdio, command: uvx, args: [mcp-server-time], env: {TZ: '${HOST}'}, timeout: 9}
        - {name: far, type: streamable-http, url: 'https://x.example/mcp', headers: {X-A: b}, call_timeout: 8, trusted: true, shared: true}
      custom_tools:
        - {name: add, function: add_numbers, path: tools/math.py, description: Adds, preset_args: {unit: kg}}
      permissions:
        role: read-write
        rules: {deny: ['command(git push*)'], allow: ['mcp(time/*)'], ask: [read_url]}
        automation_default: deny-all
        approval_mode: file
        approval_dir: approvals
        approval_timeout_seconds: 7
      hooks:
        PreToolUse: [{handler: 'h.py:check', matcher: 'write_*', timeout: 5, fail_closed: true}]
        PostToolUse: [{handler: my.module.seen}]
orchestrator:
  sandbox: {mode: os, require: true, network: on, read_paths: [/opt/data], limits: {processes: 9, memory: 1g, cpu_seconds: 8, file_size: 2m, open_files: 32, output: 4k, time_seconds: 6}}
  context_paths: [{path: src, permission: write, protected_paths: [a]}, docs]
  enable_multimodal_tools: true
  voting_sensitivity: balanced
  answer_novelty_requirement: strict
  max_new_answers_per_agent: 2
  max_new_answers_global: 7
  on_new_answer: interrupt
  tie_break: seeded
  self_vote: forbid
  defer_voting_until_all_answered: yes
  final_answer_strategy: winner_reuse
  coordination: {max_orchestration_restarts: 2, enable_agent_task_planning: true, enable_planning_mode: true, write_mode: isolated, drift_conflict_policy: fail}
  failures_max: 4
  exhausted_rounds_max: 6
  violations_max: 5
  turns_max: 9
  backoff_seconds: 0.25
  backoff_max_seconds: 8
  salvage_text: false
  sole_agent_votes: true
  seed: 12345678901234567890
  prompts_dir: prompts
  budget:
    max_calls: 100
    max_tokens: 1e6
    max_cost_usd: 2.50
    max_seconds: 600
    soft_percent: 70
timeout_settings:
  orchestrator_timeout_seconds: 600
  initial_round_timeout_seconds: 90.5
  subsequent_round_timeout_seconds: null
  round_timeout_grace_seconds: 0
  presentation_timeout_seconds: 20
  review_timeout_seconds: 30
  wrap_up_lead_seconds: 45
  connect_timeout_seconds: 1.5
  first_byte_timeout_seconds: 2
  idle_timeout_seconds: 3
  call_timeout_seconds: 4
";

#[test]
fn every_key_arrives() {
    let loaded = load(&Source { name: "full.yaml", text: FULL }, &env(), &Overrides::default());
    let spec = loaded.spec.unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).unwrap());
    let [notice] = &loaded.notices[..] else { panic!("{:?}", loaded.notices) };
    assert!(notice.message.starts_with("`enable_multimodal_tools` brings `read_media`"));
    let key = spec.agents[0].backend.api_key.secret().unwrap();
    assert_eq!(key.expose(), "gsk-groq");
}

/// The table of keys and the code that reads them are two lists; this holds them together.
#[test]
fn no_key_of_the_full_config_keeps_its_default() {
    let source = Source { name: "", text: FULL };
    let loaded = load(&source, &env(), &Overrides::default()).spec.unwrap();
    let (full, default) = (json!(loaded.policy), json!(Policy::default()));
    for (key, value) in full.as_object().unwrap() {
        assert_ne!(value, &default[key], "`{key}`");
    }
    let worker = json!(loaded.agents[2].tooling);
    let files = json!(loaded.files);
    let defaults = [json!(Tooling::default()), json!(FilesSpec::default())];
    for (given, default) in [worker, files].iter().zip(&defaults) {
        for (key, value) in given.as_object().unwrap() {
            // These are for the command line to say.
            let elsewhere = ["confirm", "output_dir"].contains(&key.as_str());
            assert!(elsewhere || value != &default[key], "`{key}`");
        }
    }
}

#[test]
fn json_is_read_as_well() {
    let text = r#"{
	"agents": [{"id":"a","backend":{"type":"lmstudio","model":"m","stop":["\u00e9\/\n"]}}],
	"orchestrator": {"tie_break": "earliest", "seed": 7}
}"#;
    let spec = spec(text);
    assert_eq!(spec.policy.tie_break, TieBreak::Earliest);
    assert_eq!(spec.seed, 7);
    assert_eq!(spec.agents[0].backend.params["stop"], json!(["é/\n"]));
}

#[test]
fn values_may_be_quoted_and_booleans_be_of_yaml_1_1() {
    let spec = spec(&with_team(
        "orchestrator: {max_new_answers_per_agent: '3', skip_final_presentation: 'Yes', \
         defer_voting_until_all_answered: On, salvage_text: FALSE, tie_break: Earliest, \
         on_new_answer: WAIT, self_vote: discount, answer_novelty_requirement: balanced}",
    ));
    assert_eq!(spec.policy.answers_per_agent_max, 3);
    assert_eq!(spec.policy.final_presentation, FinalPresentation::Reuse);
    assert!(spec.policy.defer_voting && !spec.policy.salvage_text);
    assert_eq!(spec.policy.tie_break, TieBreak::Earliest);
    assert_eq!(spec.policy.on_new_answer, OnNewAnswer::Wait);
    assert_eq!(spec.policy.self_vote, SelfVote::Discount);
    assert_eq!(spec.policy.answer_novelty, AnswerNovelty::Balanced);
}

#[test]
fn anchors_merges_and_duplicates_mean_what_they_mean_in_massgen() {
    let text = "\
base: &base {type: lmstudio, model: m, temperature: 0.1}
agents:
  - id: a
    backend: {<<: *base, temperature: 0.2}
  - id: b
    backend: {<<: [{model: n}, *base], seed: 1}
  - id: c
    backend: *base
  - id: d
    backend: {type: lmstudio, model: x, model: y}
";
    let spec = spec(text);
    let models: Vec<&str> = spec.agents.iter().map(|agent| &*agent.backend.model).collect();
    assert_eq!(models, ["m", "n", "m", "y"]);
    let temperatures: Vec<&serde_json::Value> =
        spec.agents[..3].iter().map(|agent| &agent.backend.params["temperature"]).collect();
    assert_eq!(temperatures, [&json!(0.2), &json!(0.1), &json!(0.1)]);
    insta::assert_snapshot!(problems(text), @r"
    warning: unknown key `base` in the top level
      at team.yaml:1:1 (base)
    warning: `model` is written twice: the value in line 10 is not used
      at team.yaml:10:41
    ");
}

#[test]
fn sensitivities_of_later_versions_become_the_nearest() {
    for (written, expected) in [
        ("roi_aggressive", VotingSensitivity::Balanced),
        ("diversity", VotingSensitivity::Balanced),
        ("adversarial", VotingSensitivity::Strict),
        ("checklist_gated", VotingSensitivity::Strict),
    ] {
        let text = with_team(&format!("orchestrator: {{voting_sensitivity: {written}}}"));
        assert_eq!(spec(&text).policy.voting_sensitivity, expected, "{written}");
        assert_eq!(loaded(&text).notices.len(), 1);
    }
}

#[test]
fn fields_of_requests_pass_and_those_of_other_apis_are_translated() {
    let backend = |keys: &str| spec(&with_backend(keys)).agents[0].backend.params.clone();
    let params = backend(
        "seed: 7, n: 3, custom: {a: [null, 1.5, ~]}, reasoning: {effort: high, summary: auto}, \
         text: {verbosity: low}, extra_body: {top_k: 5}, top_p: null, provider: x, cwd: w",
    );
    let expected = json!({
        "verbosity": "low", "top_k": 5, "seed": 7, "custom": {"a": [null, 1.5, null]},
    });
    assert_eq!(json!(params), expected);
    let text = "agent: {backend: {type: openrouter, api_key: k, provider: {order: [groq]}}}";
    let params = &spec(text).agents[0].backend.params;
    assert_eq!(json!(params), json!({"provider": {"order": ["groq"]}}));
}

#[test]
fn keys_are_found_where_they_belong() {
    let key = |backend: &str| match &spec(&format!("agent: {{backend: {{{backend}}}}}")).agents[0]
        .backend
        .api_key
    {
        ApiKey::None => "none".to_owned(),
        ApiKey::Env { name, value } => format!("{name}={}", value.expose()),
        ApiKey::Given { value } => value.expose().to_owned(),
    };
    assert_eq!(key("type: groq"), "GROQ_API_KEY=gsk-groq");
    assert_eq!(key("type: groq, api_key: mine"), "mine");
    assert_eq!(key("type: groq, api_key: '${OPENAI_API_KEY}'"), "OPENAI_API_KEY=sk-openai");
    assert_eq!(key("type: groq, api_key: 'Bearer-${EMPTY}x'"), "Bearer-x");
    assert_eq!(key("type: groq, api_key: '${EMPTY}'"), "GROQ_API_KEY=gsk-groq");
    assert_eq!(key("type: groq, api_key: ''"), "GROQ_API_KEY=gsk-groq");
    // The address tells whose key it is, and never gets another provider's.
    let groq = "model: m, base_url: 'https://api.groq.com/openai/v1'";
    assert_eq!(key(&format!("type: chatcompletion, {groq}")), "GROQ_API_KEY=gsk-groq");
    assert_eq!(key(groq), "GROQ_API_KEY=gsk-groq");
    assert_eq!(key("type: moonshot, model: m, base_url: 'http://127.0.0.1:9'"), "none");
    assert_eq!(key("type: vllm, model: m, base_url: 'https://gpu.example.com/v1'"), "none");
    assert_eq!(key("type: scripted, script: demo.yaml"), "none");
}

#[test]
fn a_deadline_scales_its_wrap_up_and_can_be_switched_off() {
    let deadlines =
        |times: &str| spec(&with_team(&format!("timeout_settings: {{{times}}}"))).policy.deadlines;
    let short = deadlines("orchestrator_timeout_seconds: 60");
    assert_eq!((short.attempt_ms, short.wrap_up_lead_ms), (Some(60_000), 6_000));
    let long = deadlines("orchestrator_timeout_seconds: 7200");
    assert_eq!(long.wrap_up_lead_ms, 180_000);
    let off = deadlines("orchestrator_timeout_seconds: null, initial_round_timeout_seconds: ~");
    assert_eq!((off.attempt_ms, off.first_round_ms), (None, None));
    assert_eq!(deadlines("wrap_up_lead_seconds: 0").wrap_up_lead_ms, 0);
}

#[test]
fn a_long_first_pause_raises_the_longest() {
    let spec = spec(&with_team("orchestrator: {backoff_seconds: 90}"));
    assert_eq!((spec.policy.backoff_ms, spec.policy.backoff_ms_max), (90_000, 90_000));
}

#[test]
fn the_command_line_wins() {
    let text = with_team("prompt: old\norchestrator: {seed: 1, prompts_dir: a}");
    let overrides = Overrides {
        question: Some("new".to_owned()),
        system_message: Some("Be brief.".to_owned()),
        orchestrator_timeout_s: Some(30),
        seed: Some(2),
        prompts_dir: Some("b".to_owned()),
        rate_limits: None,
    };
    let spec = load(&Source { name: "t", text: &text }, &env(), &overrides).spec.unwrap();
    assert_eq!(spec.question.text, "new");
    assert_eq!(spec.agents[0].system_message.as_deref(), Some("Be brief."));
    assert_eq!(spec.policy.deadlines.attempt_ms, Some(30_000));
    assert_eq!(spec.policy.deadlines.wrap_up_lead_ms, 3_000);
    assert_eq!(spec.seed, 2);
    assert_eq!(spec.prompts_dir.as_deref(), Some("b"));

    let absurd = Overrides { orchestrator_timeout_s: Some(0), ..asked() };
    let loaded = load(&Source { name: "t", text: &text }, &env(), &absurd);
    assert_eq!(loaded.spec.unwrap_err().len(), 1);
}

#[test]
fn without_a_question_nothing_runs() {
    for text in [with_team(""), with_team("prompt: ' '"), with_team("prompt:")] {
        let loaded = load(
            &Source { name: "t", text: &text },
            &Environment::default(),
            &Overrides::default(),
        );
        assert_eq!(loaded.spec.unwrap_err()[0].message, "there is no question");
    }
}

#[test]
fn bytes_become_text_or_a_problem_with_its_place() {
    assert_eq!(decode("t.yaml", "\u{feff}é".as_bytes()).unwrap(), "é");
    insta::assert_snapshot!(decode("t.yaml", b"a: 1\nb: \xc3\xa9 \xe9\n").unwrap_err(), @r"
    error: the config is not UTF-8: byte 0xe9
      at t.yaml:2:6
      hint: save it as UTF-8
    ");
    let utf16: Vec<u8> = "\u{feff}agents:".encode_utf16().flat_map(u16::to_le_bytes).collect();
    insta::assert_snapshot!(decode("t.yaml", &utf16).unwrap_err(), @r"
    error: the config is not UTF-8: byte 0xff
      at t.yaml:1:1
      hint: it looks like UTF-16: save it as UTF-8
    ");
}
