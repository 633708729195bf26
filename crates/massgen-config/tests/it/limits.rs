//! Inputs that try to take all memory or all time.
#![expect(clippy::disallowed_methods, reason = "the test measures time, the crate does not")]

use std::time::{Duration, Instant};

use massgen_config::{PROBLEMS_MAX, QUESTION_BYTES_MAX, SOURCE_BYTES_MAX};

use crate::{loaded, problems, with_team};

/// What any input may take, on a busy machine and without optimisation.
const TIME_MAX: Duration = Duration::from_secs(10);

#[track_caller]
fn refused(text: &str) -> String {
    let started = Instant::now();
    let errors = loaded(text).spec.unwrap_err();
    let took = started.elapsed();
    assert!(took < TIME_MAX, "{took:?}");
    errors[0].message.clone()
}

#[test]
fn a_file_that_is_too_large_is_not_even_read() {
    let started = Instant::now();
    let message = refused(&"a: 1\n".repeat(2_000_000));
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(message, "the config is too large: 10000000 bytes, at most 2097152 are read");
}

#[test]
fn deep_nesting_is_refused() {
    for (open, name) in [("[", "flow list"), ("{a: ", "flow map"), ("- ", "list"), ("? ", "key")] {
        let message = refused(&open.repeat(100_000));
        let expected = ["more than 64 levels of lists and maps", "a list or a map cannot be a key"];
        assert!(expected.contains(&&*message), "{name}: {message}");
    }
    let mut block = String::new();
    for depth in 0..1_000 {
        block.push_str(&format!("{}a:\n", " ".repeat(depth)));
    }
    assert_eq!(refused(&block), "more than 64 levels of lists and maps");
    let at_the_limit = format!("agents: {}{}", "[".repeat(63), "]".repeat(63));
    assert_eq!(refused(&at_the_limit), "expected a map of keys, found a list");
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let alias = format!("*a{}, ", n - 1);
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", alias.repeat(9)));
    }
    assert_eq!(refused(&bomb), "aliases make this config too large");

    let long = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), "*a, ".repeat(100_000));
    assert_eq!(refused(&long), "aliases make this config too large");

    let keys: String = (0..50_000).map(|n| format!("k{n}: 1, ")).collect();
    let merges = format!("a: &a {{{keys}}}\nb: {{<<: [{}]}}", "*a, ".repeat(1_000));
    assert_eq!(refused(&merges), "aliases make this config too large");

    let mut chain = "a0: &a0 [x]\n".to_owned();
    for n in 1..1_000 {
        chain.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    assert_eq!(refused(&chain), "more than 64 levels of lists and maps");
}

#[test]
fn large_files_of_one_kind_take_little_time() {
    // An eighth of the bound is enough to show effort that grows with the square.
    let fill = |piece: &str| piece.repeat(SOURCE_BYTES_MAX / 8 / piece.len());
    for piece in [
        "a", "a\n", "a: 1\n", "- a\n", "[],", "\"", "'", "# x\n", "&a ", "*a ", "!", "\n", " ",
        "\t", "---\n", "%x\n", "|\n", ": ", "- - ", "\\", "{a: 1}, ", "é", "\u{85}", "\u{0}",
    ] {
        for text in
            [fill(piece), format!("a: [{}]", fill(piece)), format!("a: \"{}\"", fill(piece))]
        {
            let started = Instant::now();
            let _ = loaded(&text);
            let took = started.elapsed();
            assert!(took < TIME_MAX, "{took:?} for {piece:?}");
        }
    }
}

#[test]
fn a_team_of_a_thousand_is_read_and_one_of_ten_thousand_is_not() {
    let team = |n| "- {backend: {type: lmstudio, model: m}}\n".repeat(n);
    let started = Instant::now();
    let spec = crate::spec(&format!("agents:\n{}", team(1_000)));
    assert_eq!(spec.agents.len(), 1_000);
    assert!(started.elapsed() < TIME_MAX);
    assert_eq!(
        refused(&format!("agents:\n{}", team(10_000))),
        "10000 agents, at most 5000 are taken"
    );
}

#[test]
fn problems_are_told_up_to_a_number() {
    let team = "- {backend: {type: wombat, foo: 1}}\n".repeat(1_000);
    let loaded = loaded(&format!("agents:\n{team}"));
    let errors = loaded.spec.unwrap_err();
    assert_eq!(errors.len(), PROBLEMS_MAX + 1);
    assert_eq!(errors[PROBLEMS_MAX].message, "900 more errors");
    assert_eq!(loaded.notices.len(), PROBLEMS_MAX);
}

#[test]
fn a_question_has_a_bound() {
    let prompt = |n| with_team(&format!("prompt: {}", "x".repeat(n)));
    let overrides = massgen_config::Overrides::default();
    let load = |text: &str| {
        massgen_config::load(&massgen_config::Source { name: "t", text }, &crate::env(), &overrides)
    };
    assert!(load(&prompt(QUESTION_BYTES_MAX)).spec.is_ok());
    let errors = load(&prompt(QUESTION_BYTES_MAX + 1)).spec.unwrap_err();
    assert_eq!(errors[0].message, "the question is too long: 1048577 bytes, at most 1048576");
}

#[test]
fn nothing_in_a_message_steers_a_terminal() {
    let shown = problems("\"\\e[2Jagents\": 1\nagent: {backend: {type: \"\\e[31mred\"}}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    assert!(shown.contains("\\u{1b}[31mred"), "{shown}");
}
