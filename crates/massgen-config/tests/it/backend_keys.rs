//! What the keys of a backend come to.

use massgen_config::{Environment, Overrides, RateTable, Source, expand_again, load};
use massgen_protocol::{
    ApiKey, BackendSpec, HeaderText, MediaKind, MediaSource, Prices, RateLimits,
};
use serde_json::json;

use crate::{asked, env, lines, loaded, problems, spec, with_backend};

#[track_caller]
fn backend(keys: &str) -> BackendSpec {
    spec(&format!("agent: {{backend: {{{keys}}}}}")).agents.remove(0).backend
}

#[test]
fn headers_are_kept_by_where_they_came_from() {
    let backend = backend(
        "type: groq, organization: org-1, default_headers: {X-Team: blue, x-trace: off}, \
         headers: {X-Trace: on, X-Gateway-Token: 'v1 ${GROQ_API_KEY}', X-Host: '${HOST}'}",
    );
    let shown: Vec<(&str, &str)> =
        backend.headers.iter().map(|(name, text)| (name.as_str(), text.expose())).collect();
    let expected = [
        ("OpenAI-Organization", "org-1"),
        ("X-Gateway-Token", "v1 gsk-groq"),
        ("X-Host", "gpu.local"),
        ("X-Team", "blue"),
        ("X-Trace", "on"),
    ];
    assert_eq!(shown, expected);
    let written = serde_json::to_string(&backend).unwrap();
    assert!(!written.contains("gsk-groq") && !format!("{backend:?}").contains("gsk-groq"));
    assert!(written.contains("v1 ${GROQ_API_KEY}"), "{written}");
    let HeaderText::Expanded { written, value } = &backend.headers["X-Gateway-Token"] else {
        panic!("{:?}", backend.headers)
    };
    assert_eq!(expand_again(written, &env()).as_ref(), Ok(value));
    let missing = expand_again(written, &Environment::default());
    assert_eq!(missing, Err(vec!["GROQ_API_KEY".to_owned()]));
}

#[test]
fn openai_is_told_whose_organisation_it_is_by_its_own_variables() {
    let env = Environment::new([
        ("OPENAI_API_KEY", "sk-1"),
        ("OPENAI_ORG_ID", "org-7"),
        ("GROQ_API_KEY", "k"),
    ]);
    let headers = |keys: &str| {
        let text = format!("agent: {{backend: {{{keys}}}}}");
        let loaded = load(&Source { name: "t", text: &text }, &env, &asked());
        loaded.spec.unwrap().agents.remove(0).backend.headers.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(headers("type: openai"), ["OpenAI-Organization"]);
    assert_eq!(headers("type: openai, base_url: 'http://localhost:1/v1'"), [""; 0]);
    assert_eq!(headers("type: groq"), [""; 0]);
}

#[test]
fn limits_of_a_key_are_those_of_the_backend_then_of_the_command_line_then_of_the_table() {
    let limits = |requests, tokens, a_day| RateLimits {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        requests_per_day: a_day,
    };
    let text = "\
rate_limits:
  lmstudio:
    m: {rpm: 9, tpm: 240_000, rpd: 245}
    default: {requests_per_minute: 1}
  groq: {tokens_per_minute: 5000}
agents:
  - backend: {type: lmstudio, model: M}
  - backend: {type: lmstudio, model: other, fallbacks: [m]}
  - backend: {type: groq}
  - backend: {type: groq, rate_limits: {requests_per_day: 7}}
  - backend: {type: openai}
";
    let found: Vec<RateLimits> =
        spec(text).agents.iter().map(|agent| agent.backend.rate_limits).collect();
    let expected = [
        limits(Some(9), Some(240_000), Some(245)),
        limits(Some(1), None, None),
        limits(None, Some(5_000), None),
        limits(None, None, Some(7)),
        RateLimits::default(),
    ];
    assert_eq!(found, expected);
    let fallback = &spec(text).agents[1].backend.fallbacks[0];
    assert_eq!(fallback.rate_limits, expected[0], "a model's own limits");

    let file = "groq:\n  default:\n    rpm: 3\n";
    let table = RateTable::load(&Source { name: "r.yaml", text: file }, &env()).unwrap();
    let overrides = Overrides { rate_limits: Some(table), ..asked() };
    let spec = load(&Source { name: "t", text }, &env(), &overrides).spec.unwrap();
    assert_eq!(spec.agents[2].backend.rate_limits, limits(Some(3), None, None));
    assert_eq!(spec.agents[3].backend.rate_limits, expected[3]);
    assert_eq!(spec.agents[0].backend.rate_limits, expected[0]);

    let built_in = Overrides { rate_limits: Some(RateTable::built_in()), ..asked() };
    let text = "agent: {backend: {type: gemini, model: gemini-9, api_key: k}}";
    let spec = load(&Source { name: "t", text }, &env(), &built_in).spec.unwrap();
    assert_eq!(spec.agents[0].backend.rate_limits, limits(Some(7), Some(100_000), Some(100)));
}

#[test]
fn a_broken_file_of_limits_is_told_with_its_places() {
    let text = "gemni: {default: {rpm: 1}}\ngroq:\n  m: {rpm: 0}\n  n: {rpm: x}\nopenai: [1]\n";
    let errors = RateTable::load(&Source { name: "r.yaml", text }, &env()).unwrap_err();
    insta::assert_snapshot!(lines(&errors), @r"
    error: unknown backend type `gemni`
      at r.yaml:1:1 (gemni)
      hint: did you mean `gemini`?
    error: expected a whole number from 1 to 1000000000, found `0`
      at r.yaml:3:12 (groq.m.rpm)
    error: expected a whole number from 1 to 1000000000, found `x`
      at r.yaml:4:12 (groq.n.rpm)
    error: expected a map of limits by type and model, found a list
      at r.yaml:5:9 (openai)
    ");
}

#[test]
fn fallbacks_are_models_of_the_same_backend_or_whole_backends() {
    let main = backend(
        "type: openai, model: gpt-5.4, temperature: 0.5, max_tokens: 9, prices: {input: 1}, \
         context_window: 1000, fallbacks: [gpt-4o-mini, {type: groq, model: m}]",
    );
    assert_eq!((main.prices.input_micros, main.context_window), (1_000_000, Some(1_000)));
    let [same, other] = main.fallbacks.as_slice() else { panic!("{:?}", main.fallbacks) };
    assert_eq!((same.kind.as_str(), same.model.as_str()), ("openai", "gpt-4o-mini"));
    assert_eq!((same.params["temperature"].clone(), same.max_output_tokens), (json!(0.5), Some(9)));
    assert_eq!(same.api_key, main.api_key);
    assert_ne!(same.prices.input_micros, 1_000_000, "prices are of the other model");
    assert_ne!(same.context_window, Some(1_000));
    assert_eq!((other.kind.as_str(), other.model.as_str()), ("groq", "m"));
    assert_eq!((other.params.len(), other.max_output_tokens), (0, None));
    assert!(matches!(&other.api_key, ApiKey::Env { name, .. } if name == "GROQ_API_KEY"));
    assert_eq!(other.timeouts, main.timeouts);
    let one = backend("type: lmstudio, model: m, fallback_models: n");
    assert_eq!(one.fallbacks[0].model, "n");
}

#[test]
fn what_is_known_of_a_model_stands_in_for_what_is_not_written() {
    let known = backend("type: openai, model: gpt-4o-mini");
    assert!(known.prices != Prices::default() && known.context_window.is_some());
    let written =
        backend("type: openai, model: gpt-4o-mini, prices: {input: 7}, context_window: 9");
    assert_eq!((written.prices.input_micros, written.context_window), (7_000_000, Some(9)));
    // Whoever serves it decides what it takes and costs.
    let local = backend("type: vllm, model: gpt-4o-mini");
    assert_eq!((local.prices, local.context_window), (Prices::default(), None));
}

#[test]
fn the_output_has_one_bound_under_three_names() {
    for key in ["max_tokens", "max_output_tokens", "max_completion_tokens"] {
        let backend = backend(&format!("type: openai, {key}: 77"));
        assert_eq!(backend.max_output_tokens, Some(77), "{key}");
        assert!(backend.params.is_empty());
    }
}

#[test]
fn files_are_told_by_their_names() {
    let text = "agent: {backend: {type: openai, upload_files: [{image_path: a/b.PNG}, \
                {file_path: 'https://h.example/x/paper.pdf?dl=1'}, {audio_path: s.mp3}, \
                {video_path: 'https://h.example/watch'}, {file_path: notes.md}, \
                {file_path: photo.jpg}]}}";
    let media = spec(text).agents.remove(0).media;
    let told: Vec<(MediaKind, &str, Option<&str>)> = media
        .iter()
        .map(|media| (media.kind, media.media_type.as_str(), media.name.as_deref()))
        .collect();
    let expected = [
        (MediaKind::Image, "image/png", Some("b.PNG")),
        (MediaKind::File, "application/pdf", Some("paper.pdf")),
        (MediaKind::Audio, "audio/mpeg", Some("s.mp3")),
        (MediaKind::Video, "video/mp4", Some("watch")),
        (MediaKind::File, "text/markdown", Some("notes.md")),
        (MediaKind::Image, "image/jpeg", Some("photo.jpg")),
    ];
    assert_eq!(told, expected);
    assert_eq!(media[0].source, MediaSource::File { path: "a/b.PNG".to_owned() });
    let url = "https://h.example/x/paper.pdf?dl=1".to_owned();
    assert_eq!(media[1].source, MediaSource::Url { url });
    let sized = "agent: {id: a, backend: {type: openai, media_max_file_size_mb: 2}}";
    let most: Vec<u64> = loaded(sized).media_bytes_max.into_values().collect();
    assert_eq!(most, [2 << 20]);
}

#[test]
fn a_word_of_one_servers_own_goes_there() {
    let groq = backend("type: groq, reasoning_effort: default");
    assert_eq!(json!(groq.params), json!({"reasoning_effort": "default"}));
    assert_eq!(groq.reasoning.effort, None);
    assert_eq!(problems(&with_backend("reasoning_effort: default")), "no problems");
}

#[test]
fn openrouter_searches_as_it_is_told() {
    let backend = backend(
        "type: openrouter, api_key: k, enable_web_search: true, engine: exa, max_results: 3, \
         search_context_size: low",
    );
    assert!(backend.hosted_tools.web_search);
    let expected = json!({
        "plugins": [{"engine": "exa", "max_results": 3, "id": "web"}],
        "web_search_options": {"search_context_size": "low"},
    });
    assert_eq!(json!(backend.params), expected);
}

#[test]
fn types_are_listed() {
    let hint = |text: &str| {
        let errors = loaded(text).spec.unwrap_err();
        errors[0].hint.clone().unwrap()
    };
    let all = hint("agent: {backend: {type: wombat, model: m}}");
    for kind in massgen_protocol::backend_types() {
        let is_listed = all.split([' ', ',']).any(|word| word == kind.name);
        assert_eq!(is_listed, kind.is_callable(), "{} {all}", kind.name);
    }
    let searching = hint(&with_backend("enable_web_search: true"));
    assert!(searching.contains("`openai`") && !searching.contains("`groq`"), "{searching}");
}

#[test]
fn what_is_wrong_with_them_is_told() {
    let cases = [
        "enable_web_search: true",
        "enable_code_interpreter: maybe",
        "headers: [x]",
        "headers: {'a b': x, Content-Type: text/plain, X-Api-Key: abcdefgh, A: \"x\\ny\"}",
        "headers: {X-Note: 'sk-abcdefghijkl', X-Other: '${NOT_SET}'}",
        "fallbacks: [{type: lmstudio, model: n, fallbacks: [o]}, [p], '']",
        "fallbacks: [a, b, c, d, e, f, g, h, i]",
        "rate_limits: {rpm: 0, requests_per_hour: 3}",
        "upload_files: {image_path: x}",
        "upload_files: [{image_path: a.png, file_path: b}, {}, {path: a.png}]",
        "upload_files: [{image_path: a.pdf}, {file_path: b.xyz}, {file_path: 'https://u:p@h/x.pdf'}]",
        "reasoning: {effort: extreme}",
        "context_window: 0, num_ctx: 5",
        "azure_endpoint: 'https://x', agent_url: 'http://y'",
        "betas: [x], plugins: []",
        "engine: exa, max_results: 3",
    ];
    let mut shown = String::new();
    for case in cases {
        shown.push_str(&format!("| {case}\n{}\n\n", problems(&with_backend(case))));
    }
    insta::assert_snapshot!(shown);
}
