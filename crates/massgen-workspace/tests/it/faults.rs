//! Kills, full disks and damage: what is there is whole, what failed is not there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use massgen_protocol::SnapshotId;
use massgen_workspace::{Limits, Node, Stop, Store, StoreError, TakeOptions};

use crate::snapshots::World;

/// Says to the test binary that it is the child, and where to work.
const CHILD: &str = "MASSGEN_TEST_CRASH_DIR";

/// Kills at as many moments.
const KILLS: u64 = 40;

/// Reads every file of every snapshot; the store holds each against its hash.
fn all_whole(store: &Store) -> usize {
    assert_eq!(store.problems(), [] as [String; 0]);
    let ids = store.snapshots().unwrap();
    for id in &ids {
        let tree = store.tree(id).unwrap();
        assert_eq!(tree.id(), *id);
        for entry in tree.entries() {
            if let Node::File { bytes, .. } = &entry.node {
                let content = store.read_file(id, &entry.path, u64::MAX).unwrap();
                assert_eq!(u64::try_from(content.len()).unwrap(), *bytes);
            }
        }
    }
    ids.len()
}

/// Not a test of its own: the process that is killed. It takes snapshots for as long as it
/// lives and says the name of each once it is there.
#[test]
#[allow(clippy::print_stdout)]
fn child_that_takes_snapshots() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let dir = Path::new(&dir);
    let store = Store::open(&dir.join("snapshots"), Limits::default()).unwrap();
    let work = dir.join("work");
    for n in 0_u64.. {
        for file in 0..20 {
            fs::write(work.join(file.to_string()), format!("{n} {file} ").repeat(500)).unwrap();
        }
        // A large one now and then, which takes another way.
        if n.is_multiple_of(5) {
            let byte = u8::try_from(n % 251).unwrap();
            fs::write(work.join("large"), vec![byte; 9 << 20]).unwrap();
        }
        let taken = store.take(&work, &TakeOptions::default()).unwrap();
        println!("\ntaken {}", taken.id.0);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_whole_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("work")).unwrap();
    let mut said: Vec<SnapshotId> = Vec::new();
    let mut leftovers = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::child_that_takes_snapshots", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = out.lines();
        let name = |line: &str| line.strip_prefix("taken ").map(|id| SnapshotId(id.to_owned()));
        let first = lines.by_ref().find_map(|line| name(&line.unwrap())).expect("a snapshot");
        said.push(first);
        // The moment of the kill goes through the work of the next snapshots.
        let moment = Instant::now() + Duration::from_micros(kill * 911);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.map_while(Result::ok).filter_map(|line| name(&line)));

        let unfinished = dir.path().join("snapshots/unfinished");
        leftovers += fs::read_dir(&unfinished).unwrap().count();
        let store = Store::open(&dir.path().join("snapshots"), Limits::default()).unwrap();
        assert_eq!(fs::read_dir(&unfinished).unwrap().count(), 0);
        for id in &said {
            assert!(store.contains(id), "{} was said to be there", id.0);
        }
        // Kept small, so that all can be read each time.
        if kill % 8 == 7 {
            assert!(all_whole(&store) >= 8);
            let last = said.pop().unwrap();
            store.gc(std::slice::from_ref(&last)).unwrap();
            said = vec![last];
            assert_eq!(all_whole(&store), 1);
        }
    }
    assert!(leftovers > 0, "no kill came in the middle of a snapshot");
}

#[test]
#[allow(clippy::print_stderr)]
fn a_full_disk_is_told_and_nothing_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(&small)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("not run: a small disk cannot be mounted here");
        return;
    }
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    let outcome = std::panic::catch_unwind(|| {
        let store = Store::open(&small.join("snapshots"), Limits::default()).unwrap();
        fs::write(work.join("small"), "fits").unwrap();
        let first = store.take(&work, &TakeOptions::default()).unwrap().id;
        for bytes in [5 << 20, 20 << 20] {
            let content: Vec<u8> = (0..bytes).map(|n: u32| n.to_le_bytes()[0]).collect();
            fs::write(work.join("large"), content).unwrap();
            let error = store.take(&work, &TakeOptions::default()).unwrap_err();
            assert!(error.is_full_disk(), "{}", error.full_text());
            assert!(error.to_string().starts_with("no space is left on the disk"), "{error}");
            assert_eq!(fs::read_dir(store.dir().join("unfinished")).unwrap().count(), 0);
            assert_eq!(store.snapshots().unwrap(), std::slice::from_ref(&first));
        }
        // The disk has room again, and the run goes on.
        fs::write(work.join("large"), "small now").unwrap();
        let second = store.take(&work, &TakeOptions::default()).unwrap().id;
        assert_eq!(all_whole(&store), 2);
        let out = small.join("out");
        store.restore_new(&second, &out, &Stop::default()).unwrap();
        assert_eq!(fs::read(out.join("large")).unwrap(), b"small now");
    });
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn damage_is_told_and_never_handed_out() {
    let world = World::new();
    world.put("file", &[7; 5_000]);
    let id = world.take().id;
    let dir = world.store.dir().to_path_buf();
    let pack = fs::read_dir(dir.join("packs")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&pack).unwrap();
    drop(world.store);
    let reopened = |bytes: &[u8]| {
        fs::write(&pack, bytes).unwrap();
        Store::open(&dir, Limits::default()).unwrap()
    };
    let mut changed = whole.clone();
    changed[100] ^= 1;
    let store = reopened(&changed);
    let read = |store: &Store| store.read_file(&id, Path::new("file"), 9_999);
    assert!(matches!(read(&store), Err(StoreError::Damaged { .. })));
    let out = world.dir.path().join("out");
    assert!(store.restore_new(&id, &out, &Stop::default()).is_err());
    assert!(!out.exists(), "half a folder is none");
    drop(store);
    let store = reopened(&whole[..whole.len() / 2]);
    assert_eq!(store.problems().len(), 1);
    assert!(matches!(read(&store), Err(StoreError::Damaged { .. })));
    drop(store);
    assert_eq!(read(&reopened(&whole)).unwrap(), [7; 5_000]);
}

#[test]
fn what_is_kept_stays_whole_and_the_rest_goes() {
    let world = World::new();
    let mut ids = Vec::new();
    for n in 0..40 {
        world.put("own", format!("{n}").repeat(3_000).as_bytes());
        world.put("all", b"the same in all");
        for file in 0..60 {
            world.put(&format!("many/{file}"), format!("{file}").as_bytes());
        }
        ids.push(world.take().id);
    }
    world.put("large", &vec![1; 9 << 20]);
    let large = world.take().id;
    let shared = world.store.shared(&ids[0], &Stop::default()).unwrap();
    let keep = [ids[3].clone(), ids[39].clone(), SnapshotId::empty()];
    let freed = world.store.gc(&keep).unwrap();
    assert_eq!(freed.snapshots, 39);
    assert!(freed.bytes > 9 << 20, "{freed:?}");
    assert!(!shared.exists());
    assert!(!world.store.contains(&large));
    assert_eq!(all_whole(&world.store), 2);
    // And after a start anew, and with new snapshots on top.
    let dir = world.store.dir().to_path_buf();
    drop(world.store);
    let store = Store::open(&dir, Limits::default()).unwrap();
    assert_eq!(all_whole(&store), 2);
    let again = store.take(&world.dir.path().join("work"), &TakeOptions::default()).unwrap();
    assert_eq!(again.id, large);
    assert_eq!(all_whole(&store), 3);
}
