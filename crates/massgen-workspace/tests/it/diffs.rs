//! What is told of a difference.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use massgen_workspace::{ChangeKind, DiffOptions, TakeOptions};

use crate::snapshots::World;

#[test]
fn differences_are_told_by_path_and_in_lines() {
    let world = World::new();
    world.put("same.txt", b"same\n");
    world.put("changed.txt", b"one\ntwo\nthree\n");
    world.put("gone.txt", b"gone\n");
    world.put("picture.png", b"\x89PNG\0\x01");
    world.put("script.sh", b"run\n");
    world.put("kind", b"file\n");
    let script = world.work().join("script.sh");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let before = world.take().id;
    world.put("same.txt", b"same\n");
    world.put("changed.txt", b"one\n2\nthree\n");
    world.put("new/file.txt", b"new\n");
    world.put("picture.png", b"\x89PNG\0\x02\x03");
    fs::remove_file(world.work().join("gone.txt")).unwrap();
    fs::remove_file(world.work().join("kind")).unwrap();
    symlink("same.txt", world.work().join("kind")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let options = TakeOptions::default();
    let diff = world.store.diff_folder(&before, &world.work(), &options).unwrap();
    let told: Vec<(String, ChangeKind)> = diff
        .changes
        .iter()
        .map(|change| (change.path.to_string_lossy().into_owned(), change.kind()))
        .collect();
    let expected = [
        ("changed.txt", ChangeKind::Changed),
        ("gone.txt", ChangeKind::Removed),
        ("kind", ChangeKind::Changed),
        ("new", ChangeKind::Added),
        ("new/file.txt", ChangeKind::Added),
        ("picture.png", ChangeKind::Changed),
        ("script.sh", ChangeKind::Mode),
    ];
    assert_eq!(told, expected.map(|(path, kind)| (path.to_owned(), kind)));
    let text = world.store.unified(&diff, &DiffOptions::default()).unwrap();
    let expected = "\
--- a/changed.txt
+++ b/changed.txt
@@ -1,3 +1,3 @@
 one
-two
+2
 three
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-gone
--- a/kind
+++ b/kind
text → a link to same.txt
new folder new/
--- /dev/null
+++ b/new/file.txt
@@ -0,0 +1 @@
+new
--- a/picture.png
+++ b/picture.png
6 bytes, not text → 7 bytes, not text
permissions of script.sh: 644 → 755
";
    assert_eq!(text, expected);
}

#[test]
fn a_long_difference_is_cut_and_says_so() {
    let world = World::new();
    let before = world.take().id;
    for n in 0..100 {
        world.put(&format!("{n:03}.txt"), "line\n".repeat(20).as_bytes());
    }
    world.put("big.txt", "é\n".repeat(5_000).as_bytes());
    let after = world.take().id;
    let diff = world.store.diff(&before, &after).unwrap();
    let options = DiffOptions { context: 3, file_bytes_max: 10_000, bytes_max: 1_000 };
    let text = world.store.unified(&diff, &options).unwrap();
    assert!(text.len() < 1_100, "{}", text.len());
    assert!(text.contains("changes is not shown"), "{text}");
    let all = DiffOptions { bytes_max: 1 << 20, ..options };
    let text = world.store.unified(&diff, &all).unwrap();
    assert!(text.contains("15000 bytes, too many to show"));
    assert!(world.store.diff(&after, &after).unwrap().is_empty());
}
