use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use massgen_protocol::{AgentIndex, Approval, AskDefault, PermissionSpec, SandboxSpec};
use serde_json::{Map, Value, json};

use super::*;
use crate::Reports;

/// What a call said, as lines.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn reports(&self, mut on: impl FnMut(&ToolReport) + Send + 'static) -> Reports {
        let heard = self.clone();
        let on = Mutex::new(move |report: &ToolReport| on(report));
        Reports::new(move |report| {
            let line = match &report {
                ToolReport::PermissionAsked { what, reason } => format!("asked: {what} ({reason})"),
                ToolReport::PermissionDecided { allowed, by, reason } => {
                    let verdict = if *allowed { "allowed" } else { "denied" };
                    format!("{verdict} by {by}: {reason}").trim_end_matches([':', ' ']).to_owned()
                }
                ToolReport::Notice { what } => format!("notice: {what}"),
                ToolReport::Output { .. } | ToolReport::Insight { .. } => format!("{report:?}"),
            };
            heard.0.lock().unwrap().push(line);
            on.lock().unwrap()(&report);
        })
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn round(n: u32) -> RoundId {
    RoundId { agent: AgentIndex(0), n }
}

fn call(id: &str, command: &str, reports: Reports) -> Invocation {
    let Value::Object(arguments) = json!({ "command": command }) else { panic!() };
    Invocation {
        agent: AgentIndex(0),
        round: round(1),
        kind: RoundKind::Coordinate,
        id: ToolCallId(id.to_owned()),
        name: "execute_command".to_owned(),
        arguments,
        reports,
    }
}

fn files(approval: Approval) -> FilesSpec {
    FilesSpec { approval, ..FilesSpec::default() }
}

fn tooling(deny: &[&str], allow: &[&str], ask: &[&str]) -> Tooling {
    let own = |list: &[&str]| list.iter().map(|rule| (*rule).to_owned()).collect();
    let (deny, allow, ask) = (own(deny), own(allow), own(ask));
    let permissions = Some(PermissionSpec { deny, allow, ask, role: None });
    Tooling { permissions, ..Tooling::default() }
}

fn attended() -> Setting {
    Setting { is_attended: true, ..Setting::default() }
}

fn gate(tooling: &Tooling, files: &FilesSpec, setting: Setting) -> Arc<Gate> {
    Arc::new(Gate::new(tooling, files, setting).unwrap())
}

fn answer(allowed: bool, always: bool) -> PermissionAnswer {
    PermissionAnswer { allowed, always, by: "user".to_owned(), reason: String::new() }
}

/// Answers every question as soon as it is asked.
fn answering(heard: &Heard, gate: &Arc<Gate>, id: &str, given: PermissionAnswer) -> Reports {
    let (gate, id) = (gate.clone(), ToolCallId(id.to_owned()));
    heard.reports(move |report| {
        if matches!(report, ToolReport::PermissionAsked { .. }) {
            assert!(gate.permit(round(1), &id, given.clone()));
        }
    })
}

async fn before(gate: &Gate, invocation: &mut Invocation) -> Result<(), String> {
    gate.before(invocation, ToolEffect::Write).await.map_err(|output| {
        assert!(output.is_error);
        output.text
    })
}

#[tokio::test]
async fn without_permissions_nothing_is_decided() {
    let heard = Heard::default();
    let gate = gate(&Tooling::default(), &FilesSpec::default(), attended());
    let mut push = call("c1", "git push --force", heard.reports(|_| {}));
    assert_eq!(before(&gate, &mut push).await, Ok(()));
    assert_eq!(heard.lines(), [""; 0]);
}

#[tokio::test]
async fn decisions_are_told_and_mere_reading_is_none() {
    let heard = Heard::default();
    let tooling = tooling(&["command(git push*)"], &["command(npm publish)", "read_file(a)"], &[]);
    let gate = gate(&tooling, &FilesSpec::default(), attended());
    let run = async |command: &str| {
        let mut invocation = call("c1", command, heard.reports(|_| {}));
        let outcome = before(&gate, &mut invocation).await;
        (outcome.map_err(|text| text.contains("refused by rule command(git push*)")), heard.lines())
    };
    assert_eq!(run("ls").await, (Ok(()), vec![]));
    assert_eq!(run("python x.py").await, (Ok(()), vec![]));
    let by_rule = vec!["allowed by rule command(npm publish)".to_owned()];
    assert_eq!(run("npm publish").await, (Ok(()), by_rule));
    let denied = "denied by rule command(git push*): this is not allowed here: run `git push`";
    assert_eq!(run("git push").await, (Err(true), vec![denied.to_owned()]));
    let mut read = call("c2", "", heard.reports(|_| {}));
    read.name = "read_file".to_owned();
    read.arguments = Map::from_iter([("path".to_owned(), json!("a"))]);
    gate.before(&mut read, ToolEffect::Read).await.unwrap();
    assert_eq!(heard.lines(), ["allowed by rule read_file(a)"]);
}

#[tokio::test]
async fn an_answer_allows_or_denies_and_may_hold_for_good() {
    let heard = Heard::default();
    let gate = gate(&tooling(&[], &[], &[]), &FilesSpec::default(), attended());
    let run = async |id: &str, command: &str, given: PermissionAnswer| {
        let mut invocation = call(id, command, answering(&heard, &gate, id, given));
        (before(&gate, &mut invocation).await.is_ok(), heard.lines())
    };
    let asked = "asked: run `git push` (it cannot be undone)".to_owned();
    let denied = "denied by user: it cannot be undone: run `git push`".to_owned();
    let allowed = "allowed by user".to_owned();
    let once = run("c1", "git push", answer(true, false)).await;
    assert_eq!(once, (true, vec![asked.clone(), allowed.clone()]));
    let refused = run("c2", "git push", answer(false, false)).await;
    assert_eq!(refused, (false, vec![asked.clone(), denied]));
    let always = run("c3", "git push", answer(true, true)).await;
    assert_eq!(always, (true, vec![asked, allowed.clone()]));
    let not_asked = run("c4", "git push", answer(false, false)).await;
    assert_eq!(not_asked, (true, vec![allowed]));
    let other = run("c5", "git push -f", answer(false, false)).await;
    assert!(!other.0 && other.1.len() == 2, "{other:?}");
}

#[tokio::test]
async fn two_questions_are_answered_each_by_its_own() {
    let gate = gate(&tooling(&[], &[], &[]), &FilesSpec::default(), attended());
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let ask = |id: &'static str| {
        let (gate, sender) = (gate.clone(), sender.clone());
        let reports = Heard::default().reports(move |report| {
            if matches!(report, ToolReport::PermissionAsked { .. }) {
                sender.send(id).unwrap();
            }
        });
        tokio::spawn(async move {
            before(&gate, &mut call(id, &format!("git push {id}"), reports)).await.is_ok()
        })
    };
    let (first, second) = (ask("c1"), ask("c2"));
    asked.recv().await.unwrap();
    asked.recv().await.unwrap();
    // The same call again finds no second ear.
    let again = before(&gate, &mut call("c1", "git push c1", Reports::none())).await;
    assert!(again.unwrap_err().contains("is being asked about already"));
    assert!(!gate.permit(round(2), &ToolCallId("c1".into()), answer(true, false)));
    assert!(!gate.permit(round(1), &ToolCallId("c9".into()), answer(true, false)));
    assert!(gate.permit(round(1), &ToolCallId("c2".into()), answer(false, false)));
    assert!(gate.permit(round(1), &ToolCallId("c1".into()), answer(true, false)));
    assert!(!gate.permit(round(1), &ToolCallId("c1".into()), answer(true, false)));
    assert!(first.await.unwrap());
    assert!(!second.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn where_nobody_answers_the_policy_does() {
    let outcome = async |otherwise: AskDefault, command: &str, is_attended: bool| {
        let approval = Approval { otherwise, wait_ms: Some(5_000), ..Approval::default() };
        let tooling = tooling(&[], &[], &["command(make *)"]);
        let setting = Setting { is_attended, ..Setting::default() };
        let gate = gate(&tooling, &files(approval), setting);
        let heard = Heard::default();
        let start = tokio::time::Instant::now();
        let allowed = before(&gate, &mut call("c1", command, heard.reports(|_| {}))).await.is_ok();
        (allowed, start.elapsed().as_secs(), heard.lines().pop().unwrap())
    };
    for (otherwise, command, is_attended, allowed, told) in [
        (
            AskDefault::RiskBased,
            "git push",
            true,
            false,
            "denied by policy: nobody answered in time, and it cannot be undone: run `git push`",
        ),
        (
            AskDefault::RiskBased,
            "git push",
            false,
            false,
            "denied by policy: it cannot be undone: run `git push`",
        ),
        (
            AskDefault::RiskBased,
            "curl https://a.example",
            false,
            false,
            "denied by policy: it reaches the network: run `curl https://a.example`",
        ),
        (AskDefault::RiskBased, "make x", true, true, "allowed by policy: nobody answered in time"),
        (AskDefault::RiskBased, "make x", false, true, "allowed by policy"),
        (
            AskDefault::DenyAll,
            "make x",
            false,
            false,
            "denied by policy: it changes files: run `make x`",
        ),
        (AskDefault::AllowAll, "git push", false, true, "allowed by policy"),
        (
            AskDefault::AllowAll,
            "git push",
            true,
            true,
            "allowed by policy: nobody answered in time",
        ),
    ] {
        let seconds = if is_attended { 5 } else { 0 };
        let expected = (allowed, seconds, told.to_owned());
        assert_eq!(outcome(otherwise, command, is_attended).await, expected);
    }
}

#[tokio::test]
async fn a_question_nobody_waits_for_is_withdrawn() {
    let gate = gate(&tooling(&[], &[], &[]), &FilesSpec::default(), attended());
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let reports = Reports::new(move |_| sender.send(()).unwrap());
    let waiting = gate.clone();
    let task =
        tokio::spawn(async move { before(&waiting, &mut call("c1", "git push", reports)).await });
    asked.recv().await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(!gate.permit(round(1), &ToolCallId("c1".into()), answer(true, false)));
}

#[tokio::test]
async fn while_planning_nothing_irreversible_is_done() {
    let files = FilesSpec { planning_mode: true, ..FilesSpec::default() };
    let heard = Heard::default();
    let gate = gate(&Tooling::default(), &files, attended());
    let run = async |command: &str, kind: RoundKind| {
        let mut invocation = call("c1", command, heard.reports(|_| {}));
        invocation.kind = kind;
        (before(&gate, &mut invocation).await, heard.lines())
    };
    assert_eq!(run("python x.py", RoundKind::Coordinate).await, (Ok(()), vec![]));
    let (refused, told) = run("git push", RoundKind::Coordinate).await;
    assert!(refused.unwrap_err().contains("whoever presents does it"));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("denied by planning mode: the team only plans"), "{told:?}");
    assert!(run("git push", RoundKind::Review).await.0.is_err());
    assert_eq!(run("git push", RoundKind::Present).await, (Ok(()), vec![]));
}

#[tokio::test]
async fn what_is_not_confined_cannot_be_undone() {
    let sandbox = SandboxSpec { mode: SandboxMode::Off, ..SandboxSpec::default() };
    let files = FilesSpec { sandbox, ..FilesSpec::default() };
    let gate = gate(&tooling(&[], &[], &[]), &files, Setting::default());
    assert!(before(&gate, &mut call("c1", "python x.py", Reports::none())).await.is_err());
    assert_eq!(before(&gate, &mut call("c2", "ls", Reports::none())).await, Ok(()));
}

#[tokio::test]
async fn what_would_become_of_a_call_can_be_asked_without_making_it() {
    let files = FilesSpec { planning_mode: true, ..FilesSpec::default() };
    let gate = gate(&tooling(&["command(rm *)"], &["command(ls)"], &[]), &files, attended());
    let decide = async |command: &str, kind: RoundKind| {
        let heard = Heard::default();
        let mut invocation = call("c1", command, heard.reports(|_| {}));
        invocation.kind = kind;
        let verdict = gate.decide(&invocation, ToolEffect::Write).await;
        assert_eq!(heard.lines(), [""; 0]);
        verdict
    };
    let by = Some("rule command(ls)".to_owned());
    assert_eq!(decide("ls", RoundKind::Coordinate).await, Verdict::Allow { by });
    assert_eq!(decide("make", RoundKind::Coordinate).await, Verdict::Allow { by: None });
    let denied =
        |verdict: &Verdict, who: &str| matches!(verdict, Verdict::Deny { by, .. } if by == who);
    assert!(denied(&decide("rm x", RoundKind::Present).await, "rule command(rm *)"));
    assert!(denied(&decide("git push", RoundKind::Coordinate).await, "planning mode"));
    let asked = decide("git push", RoundKind::Present).await;
    assert!(matches!(asked, Verdict::Ask { what, .. } if what == "run `git push`"));
}

#[test]
fn a_rule_that_cannot_be_read_makes_no_gate() {
    let made = Gate::new(&tooling(&["comand(x)"], &[], &[]), &FilesSpec::default(), attended());
    let error = made.err().unwrap().to_string();
    assert_eq!(error, "the rule `comand(x)` cannot be read: `comand` is no action");
}

fn by_file(dir: &Path) -> FilesSpec {
    files(Approval {
        by: ApprovalBy::File,
        wait_ms: Some(20_000),
        dir: Some(dir.to_string_lossy().into_owned()),
        ..Approval::default()
    })
}

/// Waits until there is a request, and returns it.
async fn request(dir: &Path) -> Value {
    loop {
        let found = std::fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().ends_with(".request.json"));
        match found {
            // Whatever is there under that name is whole.
            Some(entry) => {
                return serde_json::from_slice(&std::fs::read(entry.path()).unwrap()).unwrap();
            }
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_question_is_asked_and_answered_by_files() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/approvals");
    let gate = gate(&tooling(&[], &[], &[]), &by_file(&dir), Setting::default());
    for (given, expected) in [
        (r#"{"allowed": true, "reason": "go\non"}"#, "allowed by file: go on"),
        (r#"{"allowed": false}"#, "denied by file: it cannot be undone: run `git push`"),
    ] {
        let heard = Heard::default();
        let (asking, reports) = (gate.clone(), heard.reports(|_| {}));
        let task = tokio::spawn(async move {
            let id = "toolu_../../x y";
            before(&asking, &mut call(id, "git push", reports)).await.is_ok()
        });
        let request = request(&dir).await;
        assert_eq!(request["tool"], "execute_command");
        assert_eq!(request["arguments"], json!({"command": "git push"}));
        assert_eq!(request["what"], "run `git push`");
        assert_eq!(request["risk"], "irreversible");
        assert_eq!(request["agent"], "agent1");
        let answer = dir.join(request["answer_file"].as_str().unwrap());
        assert_eq!(answer.parent(), Some(dir.as_path()), "{answer:?}");
        // Half an answer, then a link, are none yet.
        std::fs::write(&answer, "{\"allowed\": tr").unwrap();
        let notice = async || {
            while !heard.0.lock().unwrap().iter().any(|line| line.contains("is no answer yet")) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        notice().await;
        std::fs::write(&answer, given).unwrap();
        assert_eq!(task.await.unwrap(), expected.starts_with("allowed"));
        assert_eq!(heard.lines().pop().unwrap(), expected);
        assert_eq!(names(&dir), [""; 0], "both files are gone");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_answer_is_told_and_waited_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let gate = gate(&tooling(&[], &[], &[]), &by_file(dir), Setting::default());
    let heard = Heard::default();
    let (asking, reports) = (gate.clone(), heard.reports(|_| {}));
    let task =
        tokio::spawn(
            async move { before(&asking, &mut call("c1", "git push", reports)).await.is_ok() },
        );
    let request = request(dir).await;
    let answer = dir.join(request["answer_file"].as_str().unwrap());
    let notice = async |words: &str| {
        while !heard.0.lock().unwrap().iter().any(|line| line.contains(words)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    std::fs::create_dir(&answer).unwrap();
    notice("it is no plain file").await;
    std::fs::remove_dir(&answer).unwrap();
    std::fs::write(&answer, "[1]").unwrap();
    notice("invalid").await;
    std::fs::write(&answer, "{}").unwrap();
    notice("missing field `allowed`").await;
    std::fs::write(&answer, format!("{{\"allowed\": true, \"x\": \"{}\"}}", "x".repeat(70_000)))
        .unwrap();
    notice("it has more than 65536 bytes").await;
    // A link may lead to whatever an agent writes.
    let elsewhere = dir.join("elsewhere");
    std::fs::write(&elsewhere, r#"{"allowed": true}"#).unwrap();
    std::fs::remove_file(&answer).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &answer).unwrap();
    heard.lines();
    notice("it is no plain file").await;
    std::fs::remove_file(&answer).unwrap();
    std::fs::write(&answer, r#"{"allowed": false, "reason": "no"}"#).unwrap();
    assert!(!task.await.unwrap());
    assert_eq!(heard.lines().pop().unwrap(), "denied by file: no: run `git push`");
    assert_eq!(names(dir), ["elsewhere"]);
}

#[tokio::test]
async fn files_of_a_question_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = by_file(folder.path());
    files.approval.wait_ms = Some(300);
    let gate = gate(&tooling(&[], &[], &[]), &files, Setting::default());
    let heard = Heard::default();
    let reports = heard.reports(|_| {});
    assert!(before(&gate, &mut call("c1", "git push", reports)).await.is_err());
    let last = heard.lines().pop().unwrap();
    assert!(last.starts_with("denied by policy: nobody answered in time"), "{last}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let gate = gate(&tooling(&[], &[], &[]), &by_file(&file.join("dir")), Setting::default());
    let heard = Heard::default();
    let reports = heard.reports(|_| {});
    assert!(before(&gate, &mut call("c1", "git push", reports)).await.is_err());
    let told = heard.lines().join("\n");
    assert!(told.contains("cannot ask by file in") && told.contains("nobody could be asked"));
}
