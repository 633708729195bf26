//! The reference says what the command does.

use massgen_protocol::backend_types;

const ENVIRONMENT: &str = include_str!("../../../../docs/reference/environment.md");

#[test]
fn every_backend_that_takes_a_key_is_in_the_reference() {
    for kind in backend_types().iter().filter(|kind| kind.is_callable()) {
        if kind.key_env.is_empty() {
            continue;
        }
        let name = format!("`{}`", kind.name);
        let row = ENVIRONMENT
            .lines()
            .find(|line| line.split('|').nth(1).is_some_and(|cell| cell.contains(&name)))
            .unwrap_or_else(|| panic!("{name} has no row"));
        let quoted = row.split('`').skip(1).step_by(2);
        let keys: Vec<&str> = quoted.filter(|word| *word != kind.name).collect();
        assert_eq!(keys, kind.key_env, "{row}");
    }
}

/// What stands in the examples as an address or a key is made up; nothing is called.
#[test]
fn every_example_of_the_providers_page_is_a_config_that_loads() {
    let page = include_str!("../../../../docs/providers.md");
    let env = massgen_config::Environment::new(
        backend_types()
            .iter()
            .flat_map(|kind| kind.key_env.iter().copied())
            .chain(["MY_KEY"])
            .map(|name| (name.to_owned(), "made-up".to_owned())),
    );
    let overrides = massgen_config::Overrides {
        question: Some("?".to_owned()),
        ..massgen_config::Overrides::default()
    };
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 10, "{}", examples.len());
    for text in examples {
        let source = massgen_config::Source { name: "example", text };
        if let Err(problems) = massgen_config::load(&source, &env, &overrides).spec {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{text}\n{}", told.join("\n"));
        }
    }
}
