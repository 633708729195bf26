//! What an agent sees of the others' work.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use massgen_protocol::SnapshotId;
use massgen_workspace::{Changes, Guard, Places, Sharing, Stop, View, ViewMode, Views};

use crate::snapshots::World;

fn places(world: &World, agent: &str) -> Places {
    let own = world.dir.path().canonicalize().unwrap().join(agent);
    let places = Places {
        workspace: own.join("workspace"),
        temp: own.join("temp"),
        scratch: own.join("scratch"),
    };
    for dir in [&places.workspace, &places.temp, &places.scratch] {
        fs::create_dir_all(dir).unwrap();
    }
    places
}

fn view(name: &str, snapshot: &SnapshotId) -> View {
    View { name: name.to_owned(), snapshot: snapshot.clone() }
}

fn snapshot(world: &World, text: &str) -> SnapshotId {
    world.put("analysis.py", text.as_bytes());
    world.put("data/results.csv", b"1,2\n");
    world.take().id
}

fn names(temp: &Path) -> Vec<String> {
    let entries = fs::read_dir(temp).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_copy_is_changed_without_harm_and_fresh_again_in_the_next_round() {
    let world = World::new();
    let first = snapshot(&world, "first");
    let own = places(&world, "own");
    let views = Views::new(world.store.clone(), own.clone());
    let prepare = |changes| {
        let wanted = [view("agent1", &first), view("agent2", &SnapshotId::empty())];
        views.prepare(&wanted, ViewMode::Copied, changes, &Stop::default()).unwrap()
    };
    let laid = prepare(Changes::Drop);
    assert!(laid.iter().all(|view| view.sharing == Sharing::Private));
    assert_eq!(names(&own.temp), ["agent1", "agent2"]);
    let file = own.temp.join("agent1/analysis.py");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let made = inode(&file);
    prepare(Changes::Drop);
    assert_eq!(inode(&file), made, "an untouched copy is left alone");

    fs::write(&file, "mine").unwrap();
    fs::write(own.temp.join("note"), "mine").unwrap();
    prepare(Changes::Keep);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(names(&own.temp), ["agent1", "agent2", "note"]);
    prepare(Changes::Drop);
    assert_eq!(fs::read_to_string(&file).unwrap(), "first");
    assert_eq!(names(&own.temp), ["agent1", "agent2"]);
    let kept = world.store.read_file(&first, Path::new("analysis.py"), 99).unwrap();
    assert_eq!(kept, b"first");
}

#[test]
fn links_to_one_tree_serve_all_and_follow_new_answers() {
    let world = World::new();
    let first = snapshot(&world, "first");
    let second = snapshot(&world, "second");
    let agents = ["one", "two", "three"].map(|agent| {
        let own = places(&world, agent);
        (Views::new(world.store.clone(), own.clone()), own)
    });
    for (views, own) in &agents {
        let prepare = |snapshot| {
            let wanted = [view("agent1", snapshot)];
            views.prepare(&wanted, ViewMode::Linked, Changes::Drop, &Stop::default()).unwrap()
        };
        let laid = prepare(&first);
        assert_eq!(laid[0].sharing, Sharing::Shared);
        assert_eq!(fs::read_to_string(own.temp.join("agent1/analysis.py")).unwrap(), "first");
        prepare(&second);
        assert_eq!(fs::read_to_string(own.temp.join("agent1/analysis.py")).unwrap(), "second");
        assert_eq!(fs::read_link(own.temp.join("agent1")).unwrap(), views.laid()[0].dir);
    }
    // The file that both snapshots hold is one file.
    let inode = |id: &SnapshotId| {
        let tree = world.store.shared(id, &Stop::default()).unwrap();
        let stat = fs::metadata(tree.join("data/results.csv")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&stat) & 0o777, 0o444);
        (std::os::unix::fs::MetadataExt::ino(&stat), std::os::unix::fs::MetadataExt::nlink(&stat))
    };
    // Written twice with the same content, at two times: only files of one time are linked.
    world.put("other", b"x");
    let third = world.take().id;
    assert_eq!(inode(&second).0, inode(&third).0);
    assert_eq!(inode(&third).1, 2);
}

#[test]
fn what_the_agent_put_in_the_place_of_a_view_leads_nowhere() {
    let world = World::new();
    let first = snapshot(&world, "first");
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("keep"), "kept").unwrap();
    for mode in [ViewMode::Linked, ViewMode::Copied] {
        let own = places(&world, &format!("{mode:?}"));
        std::os::unix::fs::symlink(&outside, own.temp.join("agent1")).unwrap();
        std::os::unix::fs::symlink(&outside, own.temp.join("agent9")).unwrap();
        fs::create_dir(own.temp.join("agent2")).unwrap();
        let views = Views::new(world.store.clone(), own.clone());
        let wanted = [view("agent1", &first), view("agent2", &first)];
        views.prepare(&wanted, mode, Changes::Drop, &Stop::default()).unwrap();
        assert_eq!(fs::read_to_string(own.temp.join("agent1/analysis.py")).unwrap(), "first");
        assert_eq!(names(&own.temp), ["agent1", "agent2"]);
    }
    assert_eq!(names(&outside), ["keep"]);
    let own = places(&world, "names");
    let views = Views::new(world.store.clone(), own);
    for name in ["", "..", "a/b", ".hidden", "/etc"] {
        let wanted = [view(name, &first)];
        let prepared = views.prepare(&wanted, ViewMode::Linked, Changes::Drop, &Stop::default());
        assert!(prepared.is_err(), "{name}");
    }
}

#[test]
fn small_views_are_copies_and_large_ones_links() {
    let world = World::new();
    let small = snapshot(&world, "small");
    world.put("big.bin", &vec![7; 65 << 20]);
    let large = world.take().id;
    let views = Views::new(world.store.clone(), places(&world, "own"));
    let sharing = |snapshot: &SnapshotId| {
        let wanted = [view("agent1", snapshot)];
        let laid = views.prepare(&wanted, ViewMode::Auto, Changes::Drop, &Stop::default());
        laid.unwrap()[0].sharing
    };
    assert_eq!(sharing(&small), Sharing::Private);
    assert_eq!(sharing(&large), Sharing::Shared);
    assert_eq!(sharing(&small), Sharing::Private);
}

#[test]
fn a_guard_copies_a_shared_view_before_it_writes() {
    let world = World::new();
    let first = snapshot(&world, "theirs");
    let own = places(&world, "own");
    let views = Arc::new(Views::new(world.store.clone(), own.clone()));
    let guard = Guard::new(&own, &[], &[world.store.dir().to_path_buf()]).unwrap();
    let copier = views.clone();
    guard.set_copy_up(Arc::new(move |name| {
        copier.copy_up(name, &Stop::default()).map_err(std::io::Error::other)
    }));
    let wanted = [view("agent1", &first), view("agent2", &first)];
    let laid = views.prepare(&wanted, ViewMode::Linked, Changes::Drop, &Stop::default());
    guard.set_views(&laid.unwrap()).unwrap();
    assert_eq!(guard.read("agent1/analysis.py", 99).unwrap(), b"theirs");
    guard.write("agent1/analysis.py", b"mine").unwrap();
    assert_eq!(guard.read("agent1/analysis.py", 99).unwrap(), b"mine");
    assert_eq!(guard.read("agent2/analysis.py", 99).unwrap(), b"theirs");
    let sharing: Vec<Sharing> = views.laid().iter().map(|view| view.sharing).collect();
    assert_eq!(sharing, [Sharing::Private, Sharing::Shared]);
    let tree = world.store.shared(&first, &Stop::default()).unwrap();
    assert_eq!(fs::read_to_string(tree.join("analysis.py")).unwrap(), "theirs");
    // The store itself is not open, by whatever name.
    let pack = world.store.dir().join("packs");
    assert!(guard.list(pack.to_str().unwrap(), 10).is_err());
}
