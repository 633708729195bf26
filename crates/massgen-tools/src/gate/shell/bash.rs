//! What a real shell runs of a line is found in it: lines are made at random, run by bash with
//! a command that writes down how it was called, and compared.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::split;

/// Numbers that look random and are the same every time (an LCG).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Makes lines in which every command is `mark` with a number of its own.
struct Lines {
    dice: Dice,
    next: usize,
}

impl Lines {
    fn mark(&mut self) -> String {
        self.next += 1;
        let n = self.next;
        let name = [
            "mark",
            "'mark'",
            "\"mark\"",
            "ma\\rk",
            "m''ark",
            "$'\\x6dark'",
            "$'\\155ark'",
            "./mark",
        ];
        let end = [
            "",
            " x",
            " > /dev/null",
            " 2>&1",
            " 'a; mark 0'",
            " \"b && mark 0\"",
            " \\; mark 0",
            " {a,b}",
        ];
        let (name, end) = (name[self.dice.roll(name.len())], end[self.dice.roll(end.len())]);
        format!("{name} {n}{end}")
    }

    fn command(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.mark();
        }
        let kind = self.dice.roll(24);
        let mut inner = self.list(depth - 1);
        // Backquotes and double quotes nest only with more backslashes than anybody writes.
        let plain = |text: &str| !text.contains(['\\', '`', '"', '$', '\n']);
        let own = self.mark();
        match kind {
            0 => format!("{own} $({inner})"),
            1 => format!("{own} \"a $({inner}) b\""),
            2 if plain(&inner) => format!("{own} `{inner}`"),
            3 => format!("{own} <({inner})"),
            4 => format!("({inner})"),
            5 => format!("{{ {inner}\n}}"),
            6 => format!("if true; then {inner}\nfi"),
            7 => format!("for i in 1; do {inner}\ndone"),
            8 => format!("case x in x) {inner}\n;; esac"),
            9 => format!("! {own}"),
            10 => format!("A=1 B='2 3' {own}"),
            11 => format!("X=$({inner})"),
            12 => format!("true ${{NOT_SET:-$({inner})}}"),
            13 => format!("true $((1 + $({inner}\n) 1))"),
            14 => format!("bash -c {}", quoted(&inner)),
            15 => format!("eval {}", quoted(&inner)),
            16 => format!("bash <<< {}", quoted(&inner)),
            17 => format!("bash <<'END{depth}'\n{inner}\nEND{depth}\n"),
            18 => format!("cat <<END{depth}\n$({inner})\nEND{depth}\n"),
            19 => format!("env A=1 {own}"),
            20 => format!("{own} # mark 0\n"),
            21 => format!("f{depth}() {{ {inner}\n}}; f{depth}"),
            22 => format!("sh -ec {}", quoted(&own)),
            _ => {
                inner.push('\n');
                inner.push_str(&own);
                inner
            }
        }
    }

    fn list(&mut self, depth: usize) -> String {
        let mut list = self.command(depth);
        for _ in 0..self.dice.roll(2) {
            let between = ["; ", " && ", " || ", " | ", "\n", " & "];
            // What follows a here-document stands on its own line.
            let between =
                if list.ends_with('\n') { "" } else { between[self.dice.roll(between.len())] };
            list = format!("{list}{between}{}", self.command(depth));
        }
        list
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Runs a line, and returns the numbers of the marks it came to.
fn run(line: &str, folder: &Path, n: usize) -> BTreeSet<usize> {
    // Of each line its own: nobody waits for what `<(…)` runs.
    let log = folder.join(format!("log{n}"));
    std::fs::write(&log, "").unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let status = Command::new("timeout")
        .args(["20", "bash", "-c", &format!("{line}\nwait")])
        .env_clear()
        .env("PATH", path)
        .env("LOG", &log)
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().code() != Some(124), "hangs: {line}");
    let log = std::fs::read_to_string(&log).unwrap();
    log.lines().filter_map(|line| line.parse().ok()).collect()
}

fn found(line: &str) -> Option<BTreeSet<usize>> {
    let script = split(line);
    let commands = script.parts.iter().flat_map(super::Part::commands);
    let marks = commands.filter(|(name, _)| *name == "mark");
    let numbers = marks.filter_map(|(_, arguments)| arguments.first()?.parse().ok()).collect();
    (!script.is_opaque).then_some(numbers)
}

#[test]
fn whatever_bash_runs_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    std::fs::write(&mark, "#!/bin/sh\necho \"$1\" >> \"$LOG\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&mark, mode).unwrap();
    let mut lines = Lines { dice: Dice(7), next: 0 };
    let (mut n_run, mut n_opaque) = (0, 0);
    for n in 0..150 {
        let line = lines.list(3);
        let ran = run(&line, folder.path(), n);
        assert!(!ran.contains(&0), "what is quoted is no command, not even to bash: {line}");
        n_run += ran.len();
        match found(&line) {
            Some(found) => {
                let missed: Vec<&usize> = ran.difference(&found).collect();
                assert!(missed.is_empty(), "bash runs {missed:?} of:\n{line}");
            }
            None => n_opaque += 1,
        }
    }
    assert!(n_run > 300, "only {n_run} commands ran");
    // To call everything opaque would be right, and of no use.
    assert_eq!(n_opaque, 0, "lines that could not be read");
}
