use std::fs;

use massgen_protocol::{AgentIndex, Alias, RunId};
use massgen_workspace::{PlacesError, RunPlaces};

fn run() -> RunId {
    RunId("run-1".to_owned())
}

#[test]
fn each_agent_with_a_cwd_has_folders_that_do_not_tell_who_it_is() {
    let state = tempfile::tempdir().unwrap();
    let agents = [(Alias(1), Some("workspace1".to_owned())), (Alias(2), None)];
    let places = RunPlaces::create(state.path(), &run(), &agents).unwrap();
    let first = places.of(AgentIndex(0)).unwrap();
    let own = first.workspace.parent().unwrap();
    assert_eq!(
        own.parent().unwrap(),
        state.path().canonicalize().unwrap().join("workspaces/run-1")
    );
    let name = own.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("w-") && !name.contains("agent"), "{name}");
    let expected = own;
    assert_eq!(first.workspace, expected.join("workspace"));
    assert_eq!(first.temp, expected.join("temp"));
    assert_eq!(first.scratch, expected.join("scratch"));
    assert!(first.workspace.is_dir() && first.temp.is_dir() && first.scratch.is_dir());
    assert_eq!(places.of(AgentIndex(1)), None);
}

#[test]
fn what_is_there_stays_when_a_run_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let agents = [(Alias(1), Some("w".to_owned()))];
    let before = RunPlaces::create(state.path(), &run(), &agents).unwrap();
    let file = before.of(AgentIndex(0)).unwrap().workspace.join("kept.txt");
    fs::write(&file, "kept").unwrap();
    let after = RunPlaces::create(state.path(), &run(), &agents).unwrap();
    assert_eq!(before, after);
    assert_eq!(fs::read_to_string(file).unwrap(), "kept");
}

#[test]
fn an_absolute_cwd_is_the_workspace_itself_and_nobody_elses() {
    let state = tempfile::tempdir().unwrap();
    let project = tempfile::tempdir().unwrap();
    let cwd = Some(project.path().to_str().unwrap().to_owned());
    let one = [(Alias(1), cwd.clone())];
    let places = RunPlaces::create(state.path(), &run(), &one).unwrap();
    let expected = project.path().canonicalize().unwrap();
    assert_eq!(places.of(AgentIndex(0)).unwrap().workspace, expected);

    let inside = Some(project.path().join("sub").to_str().unwrap().to_owned());
    for other in [cwd.clone(), inside] {
        let two = [(Alias(1), cwd.clone()), (Alias(2), other)];
        let error = RunPlaces::create(state.path(), &run(), &two).unwrap_err();
        assert!(matches!(error, PlacesError::Shared { first: Alias(1), second: Alias(2), .. }));
    }
}

#[test]
fn a_file_is_no_workspace() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("file");
    fs::write(&file, "").unwrap();
    let agents = [(Alias(1), Some(file.to_str().unwrap().to_owned()))];
    let error = RunPlaces::create(state.path(), &run(), &agents).unwrap_err();
    assert!(matches!(error, PlacesError::NotFolder { agent: Alias(1), .. }));
}
