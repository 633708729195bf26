//! Finding runs.

use massgen_log::{LogError, NewRun, RunDir, RunStatus, Writer, WriterOptions, list, resolve};
use massgen_protocol::{AgentId, AgentIndex, AnswerId, Basis, EventBody, Outcome};

use crate::fixture::{create, new_run, redactor, write_all};
use crate::samples::one_of_each;

const START: u64 = 1_795_471_261_042;

fn create_at(state: &std::path::Path, started_ms: u64) -> RunDir {
    RunDir::create(state, new_run("why?", started_ms), &redactor()).unwrap()
}

#[test]
fn starts_of_one_millisecond_get_runs_of_their_own() {
    let state = tempfile::tempdir().unwrap();
    let created: Vec<String> = std::thread::scope(|scope| {
        let create = || (0..25).map(|_| create(state.path()).id().0.clone()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut unique = created.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((created.len(), unique.len()), (100, 100));
    assert!(created.iter().all(|id| id.starts_with("20261123-220101-")), "{created:?}");
}

#[test]
fn the_manifest_is_read_back_without_the_keys() {
    let state = tempfile::tempdir().unwrap();
    let created = create(state.path());
    let opened = RunDir::open(created.path()).unwrap();
    assert_eq!(opened, created);
    let NewRun { spec, cwd, .. } = new_run("What is 6 × 7?", START);
    assert_eq!(opened.manifest().started_at, "2026-11-23T22:01:01.042Z");
    assert_eq!(opened.manifest().cwd, cwd);
    assert_eq!(opened.manifest().spec.question, spec.question);
    assert_eq!(opened.manifest().spec.policy, spec.policy);
    assert!(opened.manifest().spec.agents[0].backend.api_key.secret().unwrap().is_empty());
}

#[test]
fn runs_are_listed_newest_first_with_where_they_stand() {
    let state = tempfile::tempdir().unwrap();
    assert_eq!(list(state.path()).unwrap(), []);

    let finished = create_at(state.path(), START);
    let winner = AnswerId { agent: AgentIndex(0), n: 1 };
    let outcome = Outcome::Answered { winner, basis: Basis::SoleAgent, presented: true };
    let end = EventBody::TurnFinished { outcome: outcome.clone() };
    let mut writer = Writer::create(&finished, redactor(), WriterOptions::default()).unwrap();
    let question = EventBody::ProviderNotice {
        call: "agent1#1.1".parse().unwrap(),
        what: "it says \"turn_finished\"".to_owned(),
    };
    write_all(&mut writer, [question.clone(), end]);
    drop(writer);

    let interrupted = create_at(state.path(), START + 1_000);
    let mut writer = Writer::create(&interrupted, redactor(), WriterOptions::default()).unwrap();
    write_all(&mut writer, [question]);
    drop(writer);

    let running = create_at(state.path(), START + 2_000);
    let writer = Writer::create(&running, redactor(), WriterOptions::default()).unwrap();

    let broken = create_at(state.path(), START + 3_000);
    std::fs::write(broken.path().join("manifest.json"), "{").unwrap();
    std::fs::create_dir(state.path().join("runs/20261123-killed-at-once")).unwrap();

    let runs = list(state.path()).unwrap();
    let stands: Vec<(&str, &RunStatus)> =
        runs.iter().map(|run| (run.id.0.as_str(), &run.status)).collect();
    let resumable = RunStatus::Interrupted { resumable: true };
    assert_eq!(
        stands[..3],
        [
            (running.id().0.as_str(), &RunStatus::Running),
            (interrupted.id().0.as_str(), &resumable),
            (finished.id().0.as_str(), &RunStatus::Finished { outcome }),
        ]
    );
    assert_eq!(stands[3].0, broken.id().0);
    assert!(matches!(stands[3].1, RunStatus::Unreadable { why } if why.contains("manifest.json")));
    assert_eq!(runs.len(), 4);
    assert_eq!(runs[0].question, "why?");
    assert_eq!(runs[0].agents, ["ada", "bob", "eve"].map(|id| AgentId(id.to_owned())));
    drop(writer);
}

#[test]
fn a_long_log_is_known_by_its_end() {
    let state = tempfile::tempdir().unwrap();
    let dir = create_at(state.path(), START);
    let mut writer = Writer::create(&dir, redactor(), WriterOptions::default()).unwrap();
    for _ in 0..20 {
        write_all(&mut writer, one_of_each(&"long ".repeat(300)));
    }
    let outcome = Outcome::Failed { reason: massgen_protocol::FailReason::Budget };
    write_all(&mut writer, [EventBody::TurnFinished { outcome: outcome.clone() }]);
    drop(writer);
    assert!(std::fs::metadata(dir.events_path()).unwrap().len() > 200_000);
    assert_eq!(dir.status(), RunStatus::Finished { outcome });
}

#[test]
fn a_run_is_found_by_its_name_by_a_beginning_and_as_the_latest() {
    let state = tempfile::tempdir().unwrap();
    let missing = resolve(state.path(), "latest").unwrap_err();
    assert!(matches!(missing, LogError::NoRuns { .. }), "{missing}");

    let first = create_at(state.path(), START);
    let second = create_at(state.path(), START + 1);
    let later = create_at(state.path(), START + 86_400_000);
    let found = |name: &str| resolve(state.path(), name).unwrap().id().clone();
    assert_eq!(&found(&first.id().0), first.id());
    assert_eq!(&found("20261124"), later.id());
    assert_eq!(&found("latest"), later.id());

    let ambiguous = resolve(state.path(), "20261123").unwrap_err();
    let said = ambiguous.to_string();
    assert!(said.contains(&first.id().0) && said.contains(&second.id().0), "{said}");
    let missing = resolve(state.path(), "../..").unwrap_err();
    assert!(matches!(missing, LogError::NoSuchRun { .. }), "{missing}");

    std::fs::remove_dir_all(later.path()).unwrap();
    assert_eq!(&found("latest"), second.id());
}

#[test]
fn questions_are_listed_on_one_short_line() {
    let state = tempfile::tempdir().unwrap();
    let question = format!("first line\n\n  second {}", "é".repeat(200));
    RunDir::create(state.path(), new_run(&question, START), &redactor()).unwrap();
    let runs = list(state.path()).unwrap();
    assert!(runs[0].question.starts_with("first line second é"));
    assert_eq!(runs[0].question.chars().count(), 81);
}

#[test]
fn results_are_written_beside_the_log() {
    let state = tempfile::tempdir().unwrap();
    let dir = create(state.path());
    let path = dir.write_result(&serde_json::json!({ "answer": 42 })).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(result, serde_json::json!({ "answer": 42 }));
}

#[test]
fn a_run_whose_manifest_is_gone_is_still_shown_and_named() {
    let state = tempfile::tempdir().unwrap();
    let run = create_at(state.path(), START);
    drop(Writer::create(&run, redactor(), WriterOptions::default()).unwrap());
    for damage in ["no JSON", ""] {
        let manifest = run.path().join("manifest.json");
        match damage {
            "" => std::fs::remove_file(&manifest).unwrap(),
            text => std::fs::write(&manifest, text).unwrap(),
        }
        let listed = list(state.path()).unwrap();
        assert!(matches!(listed[0].status, RunStatus::Unreadable { .. }), "{listed:?}");
        let error = resolve(state.path(), "latest").unwrap_err().to_string();
        assert!(error.contains(&run.id().0), "the damaged run is named: {error}");
    }
}

#[test]
fn an_empty_folder_that_a_copy_lost_is_made_again() {
    let state = tempfile::tempdir().unwrap();
    let run = create_at(state.path(), START);
    drop(Writer::create(&run, redactor(), WriterOptions::default()).unwrap());
    std::fs::remove_dir(run.payloads_path()).unwrap();
    let resumed = Writer::resume(&run, redactor(), WriterOptions::default()).unwrap();
    assert!(run.payloads_path().is_dir());
    assert_eq!(resumed.events, []);
}
