//! Handing files to the user, and working on the user's own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use massgen_protocol::{Access, ContextPath};
use massgen_workspace::{
    ApplyError, ContextCopy, Delivered, DiffOptions, OnConflict, PathPolicy, Places, Restored, Stop,
};

use crate::snapshots::World;

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn what_is_in_the_way_of_a_delivery_is_moved_aside_and_told() {
    let world = World::new();
    for path in ["report.md", "same.txt", "data/a.csv", "folder/x"] {
        world.put(path, path.as_bytes());
    }
    let id = world.take().id;
    let out = world.dir.path().join("out");
    let deliver = || world.store.deliver(&id, &out, &Stop::default()).unwrap();
    let first = deliver();
    assert_eq!(first.written.len(), 4);
    assert_eq!((first.replaced.len(), first.backup), (0, None));
    let again = deliver();
    let nothing_new = Delivered { unchanged: 4, ..Delivered::default() };
    assert_eq!(again, nothing_new);

    fs::write(out.join("report.md"), "the user's").unwrap();
    fs::write(out.join("theirs.txt"), "the user's").unwrap();
    fs::remove_dir_all(out.join("folder")).unwrap();
    let elsewhere = world.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, out.join("folder")).unwrap();
    let third = deliver();
    let backup = world.dir.path().canonicalize().unwrap().join("out.before-1");
    assert_eq!(third.backup.as_deref(), Some(backup.as_path()));
    assert_eq!(third.replaced, [PathBuf::from("folder"), PathBuf::from("report.md")]);
    assert_eq!(read(out.join("report.md")), "report.md");
    assert_eq!(read(backup.join("report.md")), "the user's");
    assert_eq!(read(out.join("theirs.txt")), "the user's");
    assert_eq!(read(out.join("folder/x")), "folder/x");
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[test]
fn a_restored_folder_is_equal_and_nothing_is_lost_that_was_not_kept() {
    let world = World::new();
    for path in ["same", "changed", "sub/gone", "kind/inner", "lib/Cargo.toml"] {
        world.put(path, b"before");
    }
    let wanted = world.take().id;
    world.put("changed", b"after");
    world.put("new/deep/file", b"after");
    world.put("lib/target/debug/bin", b"built");
    world.put("newlib/node_modules/x", b"installed");
    fs::remove_dir_all(world.work().join("sub")).unwrap();
    fs::remove_dir_all(world.work().join("kind")).unwrap();
    world.put("kind", b"a file now");
    let restored: Restored = world.store.restore(&wanted, &world.work(), &Stop::default()).unwrap();
    assert_eq!(world.take().id, world_id_without_newlib(&world, &wanted));
    assert_eq!(read(world.work().join("changed")), "before");
    assert_eq!(read(world.work().join("kind/inner")), "before");
    assert!(!world.work().join("new").exists());
    // Build trees are in no snapshot, so they stay.
    assert_eq!(read(world.work().join("lib/target/debug/bin")), "built");
    assert_eq!(read(world.work().join("newlib/node_modules/x")), "installed");
    assert_eq!(restored.left, [PathBuf::from("newlib")]);
    // And what was there before can be had back.
    let back = world.store.read_file(&restored.before, Path::new("new/deep/file"), 9).unwrap();
    assert_eq!(back, b"after");
    fs::remove_dir_all(world.work().join("newlib")).unwrap();
    assert_eq!(world.take().id, wanted);
}

/// The folder that could not go is the only difference.
fn world_id_without_newlib(
    world: &World,
    wanted: &massgen_protocol::SnapshotId,
) -> massgen_protocol::SnapshotId {
    let now = world.take().id;
    let diff = world.store.diff(wanted, &now).unwrap();
    let paths: Vec<&Path> = diff.changes.iter().map(|change| change.path.as_path()).collect();
    assert_eq!(paths, [Path::new("newlib")]);
    now
}

struct Project {
    world: World,
    original: PathBuf,
    policy: PathPolicy,
    copy: ContextCopy,
}

fn project(is_file: bool) -> Project {
    let world = World::new();
    let root = world.dir.path().canonicalize().unwrap();
    let project = root.join("project");
    for path in ["main.rs", "lib.rs", "keep/plan.md", ".env", "old/gone.rs"] {
        let path = project.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "before\n").unwrap();
    }
    let original = if is_file { project.join("main.rs") } else { project.clone() };
    let context = ContextPath {
        path: original.to_str().unwrap().to_owned(),
        access: Access::Write,
        protected: vec![project.join("keep").to_str().unwrap().to_owned()],
    };
    let own = root.join("own");
    let places = Places {
        workspace: own.join("workspace"),
        temp: own.join("temp"),
        scratch: own.join("scratch"),
    };
    let policy = PathPolicy::new(&places, &[context], &[]);
    let room = root.join("room");
    let copy = ContextCopy::make(&world.store, &original, &room, &Stop::default()).unwrap();
    Project { world, original, policy, copy }
}

#[test]
fn changes_of_a_copy_are_shown_then_brought_back() {
    let project = project(false);
    let Project { world, original, policy, copy } = &project;
    fs::write(copy.copy.join("main.rs"), "after\n").unwrap();
    fs::write(copy.copy.join(".env"), "stolen\n").unwrap();
    fs::write(copy.copy.join("keep/plan.md"), "broken\n").unwrap();
    fs::create_dir(copy.copy.join("new")).unwrap();
    fs::write(copy.copy.join("new/file.rs"), "new\n").unwrap();
    fs::remove_dir_all(copy.copy.join("old")).unwrap();
    let proposed = copy.proposed(&world.store, policy, &Stop::default()).unwrap();
    assert_eq!(proposed.refused, [PathBuf::from(".env"), PathBuf::from("keep/plan.md")]);
    assert_eq!(proposed.conflicts, [] as [PathBuf; 0]);
    let text = world.store.unified(&proposed.diff, &DiffOptions::default()).unwrap();
    assert!(text.contains("-before\n+after\n") && text.contains("new/file.rs"), "{text}");
    assert_eq!(read(original.join("main.rs")), "before\n", "nothing is done yet");

    let applied = copy.apply(&world.store, &proposed, OnConflict::Fail, &Stop::default()).unwrap();
    assert_eq!(read(original.join("main.rs")), "after\n");
    assert_eq!(read(original.join("new/file.rs")), "new\n");
    assert!(!original.join("old").exists());
    assert_eq!(read(original.join(".env")), "before\n");
    assert_eq!(read(original.join("keep/plan.md")), "before\n");
    assert_eq!(applied.left, [] as [PathBuf; 0]);
    let before = world.store.read_file(&applied.before, Path::new("main.rs"), 99).unwrap();
    assert_eq!(before, b"before\n");
    project.copy.clone().discard().unwrap();
    assert!(!copy.copy.exists());
}

#[test]
fn what_the_user_changed_meanwhile_is_decided_by_rule() {
    for rule in [OnConflict::Skip, OnConflict::PreferPresenter, OnConflict::Fail] {
        let Project { world, original, policy, copy } = project(false);
        fs::write(copy.copy.join("main.rs"), "presenter's\n").unwrap();
        fs::write(copy.copy.join("lib.rs"), "presenter's\n").unwrap();
        let proposed = copy.proposed(&world.store, &policy, &Stop::default()).unwrap();
        // After the proposal, so the last look is what counts.
        fs::write(original.join("main.rs"), "user's\n").unwrap();
        fs::write(original.join("other.rs"), "user's\n").unwrap();
        let applied = copy.apply(&world.store, &proposed, rule, &Stop::default());
        let both = (read(original.join("main.rs")), read(original.join("lib.rs")));
        let expected = match rule {
            OnConflict::Skip => ("user's\n", "presenter's\n"),
            OnConflict::PreferPresenter => ("presenter's\n", "presenter's\n"),
            OnConflict::Fail => ("user's\n", "before\n"),
        };
        assert_eq!((both.0.as_str(), both.1.as_str()), expected, "{rule:?}");
        assert_eq!(read(original.join("other.rs")), "user's\n");
        let conflicts = match applied {
            Ok(applied) => applied.conflicts,
            Err(ApplyError::Conflicts { conflicts }) => conflicts,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(conflicts, [PathBuf::from("main.rs")]);
    }
}

#[test]
fn a_single_file_is_worked_on_without_its_neighbours() {
    let Project { world, original, policy, copy } = project(true);
    let names = fs::read_dir(copy.copy.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1);
    fs::write(&copy.copy, "after\n").unwrap();
    fs::write(copy.copy.with_file_name("stray"), "x").unwrap();
    let proposed = copy.proposed(&world.store, &policy, &Stop::default()).unwrap();
    let applied = copy.apply(&world.store, &proposed, OnConflict::Fail, &Stop::default());
    assert_eq!(applied.unwrap().applied, [PathBuf::from("main.rs")]);
    assert_eq!(read(&original), "after\n");
    assert!(!original.with_file_name("stray").exists());
    assert_eq!(read(original.with_file_name("lib.rs")), "before\n");
}
