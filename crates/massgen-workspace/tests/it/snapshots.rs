//! Taking snapshots and putting them back.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use massgen_protocol::SnapshotId;
use massgen_workspace::{
    Ignored, Limits, Node, SkipReason, Stop, Store, StoreError, TakeOptions, Taken,
};
use tempfile::TempDir;

/// A store and a folder beside it.
pub struct World {
    pub dir: TempDir,
    pub store: Store,
}

impl World {
    pub fn new() -> World {
        World::with(Limits::default())
    }

    pub fn with(limits: Limits) -> World {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        let store = Store::open(&dir.path().join("snapshots"), limits).unwrap();
        World { dir, store }
    }

    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub fn put(&self, path: &str, content: &[u8]) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn take(&self) -> Taken {
        self.store.take(&self.work(), &TakeOptions::default()).unwrap()
    }

    pub fn paths(&self, id: &SnapshotId) -> Vec<String> {
        let tree = self.store.tree(id).unwrap();
        tree.entries().iter().map(|entry| entry.path.to_string_lossy().into_owned()).collect()
    }
}

/// Lets every file look as if it had been left alone for a while, but for its content's change
/// time, which waits for the clock.
pub fn settle(folder: &Path) {
    let begin = Instant::now();
    let probe = folder.join("probe");
    // The clock of files has to pass the last change by more than a tick.
    while begin.elapsed() < Duration::from_millis(25) {
        fs::write(&probe, "").unwrap();
    }
    fs::remove_file(probe).unwrap();
}

#[test]
fn nothing_is_the_empty_snapshot() {
    let world = World::new();
    let taken = world.take();
    assert_eq!(taken.id, SnapshotId::empty());
    assert!(world.store.contains(&taken.id));
    assert!(world.store.tree(&taken.id).unwrap().is_empty());
    world.store.restore_new(&taken.id, &world.dir.path().join("out"), &Stop::default()).unwrap();
    assert_eq!(fs::read_dir(world.dir.path().join("out")).unwrap().count(), 0);
}

#[test]
fn all_kinds_of_names_modes_links_and_times_come_back() {
    let world = World::new();
    let odd = OsStr::from_bytes(b"not-\xff-utf8\nand a line");
    world.put("a/deep/file.txt", b"content");
    world.put("run.sh", b"#!/bin/sh\n");
    world.put("empty", b"");
    fs::write(world.work().join(odd), "odd").unwrap();
    fs::create_dir_all(world.work().join("hollow/inner")).unwrap();
    fs::set_permissions(world.work().join("run.sh"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(world.work().join("hollow"), fs::Permissions::from_mode(0o500)).unwrap();
    symlink("a/deep/file.txt", world.work().join("link")).unwrap();
    symlink("nowhere", world.work().join("dangling")).unwrap();
    symlink("/etc/hostname", world.work().join("outside")).unwrap();
    let written = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    File::options().write(true).open(world.work().join("empty")).unwrap();
    File::open(world.work().join("empty")).unwrap().set_modified(written).unwrap();

    let taken = world.take();
    assert_eq!(taken.skipped, []);
    let out = world.dir.path().join("out");
    world.store.restore_new(&taken.id, &out, &Stop::default()).unwrap();
    assert_eq!(fs::read(out.join("a/deep/file.txt")).unwrap(), b"content");
    assert_eq!(fs::read(out.join(odd)).unwrap(), b"odd");
    assert_eq!(fs::metadata(out.join("run.sh")).unwrap().mode() & 0o7777, 0o751);
    assert_eq!(fs::metadata(out.join("hollow")).unwrap().mode() & 0o7777, 0o500);
    assert!(out.join("hollow/inner").is_dir());
    assert_eq!(fs::metadata(out.join("empty")).unwrap().modified().unwrap(), written);
    let target = |name| fs::read_link(out.join(name)).unwrap();
    assert_eq!(target("link"), Path::new("a/deep/file.txt"));
    assert_eq!(target("dangling"), Path::new("nowhere"));
    assert_eq!(target("outside"), Path::new("/etc/hostname"));
    let again = world.store.take(&out, &TakeOptions::default()).unwrap();
    assert_eq!(again.id, taken.id, "the same files have the same name wherever they are");
    assert_eq!(again.bytes_stored, 0);
}

#[test]
fn a_link_in_full_to_the_same_folder_leads_into_the_copy() {
    let world = World::new();
    world.put("data/x.csv", b"1");
    let work = world.work().canonicalize().unwrap();
    fs::create_dir(work.join("sub")).unwrap();
    symlink(work.join("data/x.csv"), work.join("sub/x.csv")).unwrap();
    symlink(&work, work.join("self")).unwrap();
    let id = world.take().id;
    let tree = world.store.tree(&id).unwrap();
    let target = |path: &str| match tree.get(Path::new(path)).unwrap() {
        Node::Link { target } => target.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(target("sub/x.csv"), Path::new("../data/x.csv"));
    assert_eq!(target("self"), Path::new("."));
}

#[test]
fn unchanged_files_are_neither_read_nor_stored_again() {
    let world = World::new();
    for n in 0..50 {
        world.put(&format!("dir{}/file{n}", n % 5), format!("content {n}").as_bytes());
    }
    settle(&world.work());
    let first = world.take();
    assert_eq!((first.files, first.files_read), (50, 50));
    assert!(first.bytes_stored > 0);
    let second = world.take();
    assert_eq!(
        (second.id.clone(), second.files_read, second.bytes_stored),
        (first.id.clone(), 0, 0)
    );

    world.put("dir1/file1", b"changed");
    fs::remove_file(world.work().join("dir2/file2")).unwrap();
    let third = world.take();
    assert_ne!(third.id, first.id);
    assert_eq!((third.files, third.files_read, third.bytes_stored), (49, 1, 7));
    // What the first holds is still what it held.
    let old = world.store.read_file(&first.id, Path::new("dir1/file1"), 100).unwrap();
    assert_eq!(old, b"content 1");
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    let world = World::new();
    world.put("file", b"before");
    let path = world.work().join("file");
    let first = world.take();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "after!").unwrap();
    File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    let second = world.take();
    assert_ne!(first.id, second.id);
    assert_eq!(world.store.read_file(&second.id, Path::new("file"), 9).unwrap(), b"after!");
}

#[test]
fn a_change_right_after_a_snapshot_is_seen_every_time() {
    let world = World::new();
    for n in 0..200_u32 {
        world.put("file", &n.to_le_bytes());
        let id = world.take().id;
        let kept = world.store.read_file(&id, Path::new("file"), 9).unwrap();
        assert_eq!(kept, n.to_le_bytes());
    }
}

#[test]
fn build_trees_and_special_files_are_left_out_and_told() {
    let world = World::new();
    for path in [
        "kept.txt",
        ".git/HEAD",
        "web/node_modules/x/index.js",
        "web/app.js",
        "lib/__pycache__/a.pyc",
        "rust/Cargo.toml",
        "rust/target/debug/bin",
        "shots/target/photo.png",
        "out/CACHEDIR.TAG",
        "ignored/big.bin",
        "ignored.csv",
        "kept-after-all/x",
    ] {
        world.put(path, b"x");
    }
    world.put("out/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n");
    world.put(".gitignore", b"ignored/\n*.csv\nkept-*/\n!kept-after-all/\n");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        world.work().join("pipe"),
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.work().join("socket")).unwrap();
    let taken = world.take();
    let skipped: Vec<(String, SkipReason)> = taken
        .skipped
        .iter()
        .map(|skipped| (skipped.path.to_string_lossy().into_owned(), skipped.why.clone()))
        .collect();
    let expected = [
        (".git", SkipReason::BuildTree),
        ("ignored", SkipReason::Ignored),
        ("lib/__pycache__", SkipReason::BuildTree),
        ("out", SkipReason::BuildTree),
        ("pipe", SkipReason::Special),
        ("rust/target", SkipReason::BuildTree),
        ("socket", SkipReason::Special),
        ("web/node_modules", SkipReason::BuildTree),
    ]
    .map(|(path, why)| (path.to_owned(), why));
    assert_eq!(skipped, expected);
    let paths = world.paths(&taken.id);
    for kept in ["ignored.csv", "shots/target/photo.png", "kept-after-all/x", ".gitignore"] {
        assert!(paths.iter().any(|path| path == kept), "{kept}");
    }
    let all = TakeOptions { ignored: Ignored::Keep, ..TakeOptions::default() };
    let all = world.store.take(&world.work(), &all).unwrap();
    assert!(world.paths(&all.id).iter().any(|path| path == "rust/target/debug/bin"));
    assert_eq!(all.skipped.len(), 2, "the pipe and the socket");
}

#[test]
fn a_part_of_a_folder_can_be_taken() {
    let world = World::new();
    for path in ["a/b/evidence.csv", "a/other", "c"] {
        world.put(path, path.as_bytes());
    }
    let whole = world.take();
    let only = Some(vec![PathBuf::from("a/b/evidence.csv")]);
    let options = TakeOptions { only, ..TakeOptions::default() };
    let part = world.store.take(&world.work(), &options).unwrap();
    assert_eq!(world.paths(&part.id), ["a", "a/b", "a/b/evidence.csv"]);
    assert_eq!(part.bytes_stored, 0);
    assert_eq!(world.take().id, whole.id);
}

#[test]
fn large_and_sparse_files_keep_their_holes() {
    let world = World::new();
    let path = world.work().join("sparse.bin");
    let sparse = File::create(&path).unwrap();
    sparse.set_len(300 << 20).unwrap();
    sparse.write_all_at(b"begin", 0).unwrap();
    sparse.write_all_at(b"middle", 150 << 20).unwrap();
    drop(sparse);
    let large: Vec<u8> = (0..9_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    world.put("large.bin", &large);
    let taken = world.take();
    let out = world.dir.path().join("out");
    world.store.restore_new(&taken.id, &out, &Stop::default()).unwrap();
    let restored = fs::metadata(out.join("sparse.bin")).unwrap();
    assert_eq!(restored.len(), 300 << 20);
    assert!(restored.blocks() * 512 < 2 << 20, "{} blocks", restored.blocks());
    let mut middle = [0; 6];
    File::open(out.join("sparse.bin")).unwrap().read_exact_at(&mut middle, 150 << 20).unwrap();
    assert_eq!(&middle, b"middle");
    assert_eq!(fs::read(out.join("large.bin")).unwrap(), large);
    assert_eq!(world.store.take(&out, &TakeOptions::default()).unwrap().id, taken.id);
}

#[test]
fn what_is_too_much_is_refused_with_the_limit() {
    let limits = Limits { files_max: 20, bytes_max: 1_000, file_bytes_max: 500, depth_max: 5 };
    let check = |fill: &dyn Fn(&World), expected: &str| {
        let world = World::with(limits);
        fill(&world);
        let error = world.store.take(&world.work(), &TakeOptions::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(world.store.snapshots().unwrap(), []);
        let unfinished = world.store.dir().join("unfinished");
        assert_eq!(fs::read_dir(unfinished).unwrap().count(), 0);
    };
    let many = |world: &World| (0..30).for_each(|n| world.put(&n.to_string(), b""));
    check(&many, "more than 20 files");
    let much = |world: &World| (0..5).for_each(|n| world.put(&n.to_string(), &[n; 300]));
    check(&much, "more than 1000 bytes");
    check(&|world| world.put("one", &[0; 501]), "`one` has 501 bytes");
    check(&|world| world.put("1/2/3/4/5/6/7", b""), "more than 5 folders deep");
}

#[test]
fn a_snapshot_can_be_called_off() {
    let world = World::new();
    for n in 0..200 {
        world.put(&n.to_string(), b"x");
    }
    let cancelled = Stop { cancelled: Some(Arc::new(AtomicBool::new(true))), deadline: None };
    let late = Stop { cancelled: None, deadline: Some(Instant::now()) };
    for (stop, expected) in [(cancelled, "called off"), (late, "longer than it may")] {
        let options = TakeOptions { stop, ..TakeOptions::default() };
        let error = world.store.take(&world.work(), &options).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(world.store.snapshots().unwrap(), []);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_torn() {
    let world = World::new();
    let path = world.work().join("busy");
    // Every version is one byte value all over; a mixture would be torn.
    const BYTES: usize = 2 << 20;
    fs::write(&path, vec![b'0'; BYTES]).unwrap();
    let stop = AtomicBool::new(false);
    let (mut settled, mut unsettled) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            let mut version = 0_u8;
            while !stop.load(Ordering::Relaxed) {
                version = version.wrapping_add(1);
                file.write_all_at(&vec![version; BYTES], 0).unwrap();
                // Now and then it stands still, as files do.
                if version.is_multiple_of(4) {
                    std::thread::park_timeout(Duration::from_millis(40));
                }
            }
        });
        for _ in 0..25 {
            let taken = world.take();
            let content = world.store.read_file(&taken.id, Path::new("busy"), 4 << 20).unwrap();
            if taken.unsettled.is_empty() {
                settled += 1;
                assert_eq!(content.len(), BYTES);
                assert!(content.iter().all(|byte| *byte == content[0]), "torn");
            } else {
                unsettled += 1;
                assert_eq!(taken.unsettled, [PathBuf::from("busy")]);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(settled > 0, "{settled} settled, {unsettled} not");
}

#[test]
fn a_folder_swapped_for_a_link_lets_nothing_of_the_users_in() {
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "secret").unwrap();
    world.put("folder/file", b"mine");
    symlink(&outside, world.work().join("trap")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    world.work().join("folder"),
                    rustix::fs::CWD,
                    world.work().join("trap"),
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        });
        for _ in 0..300 {
            let id = world.take().id;
            for path in ["folder/file", "trap/file"] {
                if let Ok(content) = world.store.read_file(&id, Path::new(path), 99) {
                    assert_eq!(content, b"mine");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
#[allow(clippy::print_stderr)]
fn what_cannot_be_read_is_named_and_the_rest_is_kept() {
    if rustix::process::geteuid().is_root() {
        eprintln!("not run: permissions do not hold root");
        return;
    }
    let world = World::new();
    world.put("open/file", b"kept");
    world.put("closed/file", b"lost");
    world.put("locked", b"lost");
    let mode = |path: &str, mode| {
        fs::set_permissions(world.work().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("closed", 0);
    mode("locked", 0);
    let taken = world.take();
    let unreadable: Vec<&Path> = taken.unreadable().map(|skipped| skipped.path.as_path()).collect();
    assert_eq!(unreadable, [Path::new("closed"), Path::new("locked")]);
    assert_eq!(world.paths(&taken.id), ["open", "open/file"]);
    mode("closed", 0o700);
}

#[test]
fn only_one_process_writes_and_others_may_look() {
    let world = World::new();
    world.put("a", b"1");
    let id = world.take().id;
    let dir = world.store.dir().to_path_buf();
    let second = Store::open(&dir, Limits::default()).err().unwrap();
    assert!(matches!(second, StoreError::InUse { .. }));
    let reader = Store::read_only(&dir).unwrap();
    assert_eq!(reader.read_file(&id, Path::new("a"), 9).unwrap(), b"1");
    let refused = reader.take(&world.work(), &TakeOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }));
    drop(world.store);
    Store::open(&dir, Limits::default()).unwrap();
}

#[test]
fn unknown_and_malformed_names_are_told() {
    let world = World::new();
    world.put("dir/a", b"1");
    let id = world.take().id;
    for name in ["", "../../etc", "zz", &"0".repeat(64), &"g".repeat(64)] {
        let unknown = SnapshotId(name.to_owned());
        assert!(!world.store.contains(&unknown));
        assert!(matches!(world.store.tree(&unknown), Err(StoreError::NoSnapshot { .. })), "{name}");
    }
    let read = |path| world.store.read_file(&id, Path::new(path), 9).unwrap_err();
    assert!(matches!(read("b"), StoreError::NoSuchPath { .. }));
    assert!(matches!(read("dir"), StoreError::NotFile { .. }));
}
