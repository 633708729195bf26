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
        let keys: Vec<&str> = row.split('`').filter(|word| word.ends_with("_API_KEY")).collect();
        assert_eq!(keys, kind.key_env, "{row}");
    }
}
