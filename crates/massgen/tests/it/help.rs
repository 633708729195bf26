//! Every command explains itself, with an example.

use crate::binary::Place;

const COMMANDS: [&str; 6] = ["demo", "resume", "replay", "runs", "models", "doctor"];

#[test]
fn help_names_every_command_and_goes_to_stdout() {
    let help = Place::new().run(&["--help"]).expect(0);
    for command in COMMANDS {
        assert!(help.stdout.contains(&format!("  {command} ")), "{}", help.stdout);
    }
    assert!(help.stdout.contains("Examples:"));
    assert_eq!(help.stderr, "");
}

#[test]
fn help_is_no_question() {
    // Without a key it would be refused as one; with a key it would cost money.
    let place = Place::new();
    assert_eq!(place.run(&["help"]).expect(0).stdout, place.run(&["--help"]).expect(0).stdout);
    for command in COMMANDS {
        let help = place.run(&["help", command]).expect(0);
        assert!(help.stdout.contains(&format!("\n  massgen {command}")), "{}", help.stdout);
    }
}

#[test]
fn flags_of_a_run_are_in_the_help_of_what_runs() {
    let place = Place::new();
    let has = |arguments: &[&str], flag: &str| {
        place.run(&[arguments, &["--help"]].concat()).expect(0).stdout.contains(flag)
    };
    for command in [&[][..], &["demo"], &["resume"]] {
        assert!(has(command, "--automation") && has(command, "--quiet"), "{command:?}");
    }
    assert!(!has(&["replay"], "--automation") && has(&["replay"], "--quiet"));
    for command in [&["doctor"][..], &["runs"], &["runs", "show"]] {
        assert!(!has(command, "--automation") && !has(command, "--quiet"), "{command:?}");
        assert!(has(command, "--state-dir"), "{command:?}");
    }
}

#[test]
fn every_command_has_examples_that_begin_with_its_name() {
    for command in COMMANDS {
        let help = Place::new().run(&[command, "--help"]).expect(0);
        assert!(help.stdout.contains(&format!("\n  massgen {command}")), "{}", help.stdout);
    }
}

#[test]
fn examples_of_the_help_and_the_readme_can_be_parsed() {
    // An example that is refused as a command line ends with 2; here, for want of a
    // key, a file or a run, the others end with 1, or with 0 where they list nothing.
    let readme = include_str!("../../../../README.md");
    let help = Place::new().run(&["--help"]).expect(0).stdout;
    let mut n_examples = 0;
    for line in readme.lines().chain(help.lines()) {
        let line = line.trim_start();
        if !line.starts_with("massgen ") || line.contains(['|', '<', '>', '[']) {
            continue;
        }
        let arguments = words(line.split(" #").next().unwrap());
        let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        if arguments.first() == Some(&"demo") {
            continue;
        }
        let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off");
        let done = place.run(&arguments);
        assert!(matches!(done.code, 0 | 1), "{line}\n{}\n{}", done.stdout, done.stderr);
        n_examples += 1;
    }
    assert!(n_examples >= 8, "{n_examples}");
}

#[test]
fn the_version_is_told() {
    let version = Place::new().run(&["--version"]).expect(0);
    assert_eq!(version.stdout, format!("massgen {}\n", env!("CARGO_PKG_VERSION")));
}

/// Splits a command line at blanks outside of quotes; what stands two blanks after
/// is an explanation.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    let line = line.split_once("   ").map_or(line, |(line, _)| line);
    for c in line.trim_end().chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
