//! Where output cannot go: what is lost is the least that can be.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::binary::{Done, Place};

/// Runs the command with files of at most so many blocks (of half a kB or a whole one,
/// by shell), as on a disk that is full. Writes beyond fail instead of killing the
/// process, as they do there.
fn on_a_small_disk(place: &Place, n_blocks: u32, arguments: &[&str]) -> Done {
    let command = place.command(arguments);
    let mut shell = Command::new("/bin/sh");
    let script = format!("trap '' XFSZ; ulimit -f {n_blocks}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(place.path()).env_clear().stdin(Stdio::null());
    let output = shell.output().unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A team of one with an answer that is longer than the disk takes.
fn long_winded() -> Place {
    let place = Place::new();
    let answer = "all of it is said ".repeat(1_000);
    place.file(
        "script.yaml",
        &format!("agents:\n  a:\n    replies:\n      - {{new_answer: \"It is 42, {answer}.\"}}\n"),
    );
    place.file(
        "team.yaml",
        "agents:\n  - {id: a, backend: {type: scripted, script: script.yaml, model: a}}\n",
    );
    place
}

#[test]
fn a_run_goes_on_without_its_progress() {
    let place = Place::new();
    let mut child = place
        .command(&["demo", "--fast"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("A) 8 Gpc"));
    place.run(&["replay", "--check", "latest"]).expect(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_goes_on_with_its_progress_on_a_full_disk() {
    let place = Place::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [&["demo", "--fast"][..], &["replay", "latest", "--no-wait"]] {
        let output = place.command(arguments).stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("A) 8 Gpc"));
    }
    let refused = place.command(&["demo", "--fast"]).stdout(full()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "an answer that is lost is no success");
}

#[test]
fn an_answer_that_the_disk_refuses_is_told_and_the_lines_still_end() {
    let place = long_winded();
    let arguments = ["--config", "team.yaml", "--automation", "6 x 7?"];
    let done = on_a_small_disk(&place, 8, &arguments).expect(2);
    let names: Vec<&str> =
        done.stdout.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        ["LOG_DIR", "STATUS", "QUESTION", "WINNER", "DURATION", "ANSWER_PREVIEW", "FAILED"]
    );
    assert!(done.stdout.contains("ANSWER_PREVIEW: It is 42, all of it is said"));
    let whole = "all of it is said ".repeat(1_000);
    assert!(done.stderr.contains(whole.trim_end()), "the answer is not lost");
    let error = done.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("answer.txt"), "{error}");
    let status = done.stdout.lines().find_map(|line| line.strip_prefix("STATUS: ")).unwrap();
    let status: Value = serde_json::from_str(&std::fs::read_to_string(status).unwrap()).unwrap();
    assert_eq!(status["is_complete"], false);
    assert_eq!(status["finish_reason"], "error");
}

#[test]
fn whoever_cannot_resume_a_run_is_told_so() {
    for flags in [&["--quiet"][..], &[]] {
        let done =
            on_a_small_disk(&Place::new(), 16, &[&["demo", "--fast"], flags].concat()).expect(0);
        assert!(done.stdout.contains("A) 8 Gpc"), "{}", done.stdout);
        let told = "warning: recording failed; this run cannot be resumed or replayed in full";
        assert!(done.stderr.lines().any(|line| line == told), "{}", done.stderr);
    }
}
