//! Whatever is wrong, no message shows a key.

use massgen_config::{Environment, Source, load};

use crate::{asked, lines};

const SECRET: &str = "sk-do-not-show-me";

#[test]
fn no_message_and_no_debug_output_shows_a_key() {
    let env = Environment::new([("OPENAI_API_KEY", SECRET), ("SOME_URL", SECRET)]);
    let backends = [
        format!("{{type: openai, model: m, api_key: {SECRET}, max_tokens: x}}"),
        format!("{{type: openai, model: m, apikey: {SECRET}}}"),
        format!("{{type: openai, model: m, api-key: {SECRET}}}"),
        format!("{{type: openai, model: m, API_KEY: {SECRET}}}"),
        format!("{{type: openai, model: m, api_key: [{SECRET}]}}"),
        format!("{{type: openai, model: m, api_key: {{value: {SECRET}}}}}"),
        format!("{{type: openai, model: m, api_key: '${{NOT_SET}}{SECRET}'}}"),
        format!("{{type: openai, model: m, base_url: 'https://u:{SECRET}@example.com'}}"),
        format!("{{type: openai, model: m, base_url: '{SECRET}'}}"),
        format!("{{type: openai, model: m, extra_body: {{authorization: {SECRET}}}}}"),
        "{type: openai, model: '${OPENAI_API_KEY}'}".to_owned(),
        "{type: openai, model: m, stop: '${OPENAI_API_KEY}'}".to_owned(),
        "{type: '${SOME_URL}', model: m}".to_owned(),
        "{type: openai, model: m, base_url: '${SOME_URL}'}".to_owned(),
        "{type: openai, model: m, max_tokens: '${SOME_URL}'}".to_owned(),
    ];
    for backend in backends {
        let text = format!("agents:\n  - id: a\n    backend: {backend}\n");
        let loaded = load(&Source { name: "t.yaml", text: &text }, &env, &asked());
        assert!(loaded.spec.is_err(), "{backend}");
        let debug = format!("{loaded:?} {env:?}");
        assert!(!debug.contains(SECRET), "{backend}: {debug}");
        let shown = lines(&loaded.spec.unwrap_err()) + &lines(&loaded.notices);
        assert!(!shown.contains(SECRET), "{backend}: {shown}");
    }
}

#[test]
fn a_given_key_is_in_the_spec_but_never_written_or_shown() {
    let text = format!("agent: {{backend: {{type: openai, model: m, api_key: {SECRET}}}}}");
    let loaded = load(&Source { name: "t", text: &text }, &Environment::default(), &asked());
    let spec = loaded.spec.unwrap();
    assert_eq!(spec.agents[0].backend.api_key.secret().unwrap().expose(), SECRET);
    assert!(!format!("{spec:?}").contains(SECRET));
    assert!(!serde_json::to_string(&spec).unwrap().contains(SECRET));
}
