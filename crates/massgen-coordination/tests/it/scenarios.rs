//! Plays `scenarios/*.md`: each block is a script with what must follow from each line.
//!
//! `UPDATE_SCENARIOS=1 cargo test -p massgen-coordination` writes what follows; read it.

use crate::script::play;

macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {$(
        #[test]
        fn $name() {
            let path = concat!("scenarios/", stringify!($name), ".md");
            check(path, include_str!(concat!("scenarios/", stringify!($name), ".md")));
        }
    )+};
}

scenarios!(answers, votes, failures, deadlines, budget, presentation, restarts, out_of_place);

#[expect(clippy::disallowed_methods, reason = "asks whether to write anew")]
fn check(path: &str, text: &str) {
    let mut played = String::new();
    let mut script: Option<String> = None;
    let mut n_scripts = 0;
    for line in text.lines() {
        match &mut script {
            None => {
                played.push_str(line);
                played.push('\n');
                if line == "```text" {
                    script = Some(String::new());
                }
            }
            Some(lines) if line == "```" => {
                played.push_str(&play(lines));
                played.push_str("```\n");
                n_scripts += 1;
                script = None;
            }
            Some(lines) => {
                lines.push_str(line);
                lines.push('\n');
            }
        }
    }
    assert!(n_scripts > 0 && script.is_none(), "{path} has no script, or one without end");
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        return update(path, &played);
    }
    let differing = text.lines().zip(played.lines()).enumerate().find(|(_, (old, new))| old != new);
    if let Some((at, (old, new))) = differing {
        panic!("{path}:{}\nexpected: {old}\n   found: {new}", at + 1);
    }
    assert_eq!(text.lines().count(), played.lines().count(), "{path} is of another length");
}

#[expect(clippy::disallowed_methods, reason = "only on request, to be read before it is kept")]
fn update(path: &str, played: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/").to_owned() + path;
    std::fs::write(path, played).unwrap();
}
