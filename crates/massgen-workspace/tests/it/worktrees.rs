//! A git worktree for an agent.

use std::fs;
use std::path::Path;
use std::process::Command;

use massgen_workspace::{Stop, Worktree, WorktreeError};

use crate::snapshots::World;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
    let done = Command::new("git").arg("-C").arg(folder).args(who).args(arguments).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A repository with a commit, a change that is not committed, and a hook that would tell.
fn repository() -> World {
    let world = World::new();
    let work = world.work();
    git(&work, &["init", "-q"]);
    world.put("committed.txt", b"committed\n");
    world.put("changed.txt", b"old\n");
    world.put(".gitignore", b"build/\n");
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "first"]);
    world.put("changed.txt", b"not committed\n");
    world.put("new.txt", b"new\n");
    world.put("build/out", b"built\n");
    for hook in ["post-checkout", "reference-transaction"] {
        let hook = work.join(".git/hooks").join(hook);
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        let marker = world.dir.path().join("hook-ran");
        fs::write(&hook, format!("#!/bin/sh\ntouch '{}'\n", marker.display())).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&hook, mode).unwrap();
    }
    world
}

#[test]
fn a_worktree_has_the_users_files_and_leaves_theirs_alone() {
    let world = repository();
    let work = world.work();
    let status = git(&work, &["status", "--porcelain"]);
    let path = world.dir.path().join("agent/tree");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let tree = Worktree::add(&world.store, &work, &path, "run/w-1", &Stop::default()).unwrap();
    assert!(!world.dir.path().join("hook-ran").exists());
    let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
    assert_eq!(read("committed.txt"), "committed\n");
    assert_eq!(read("changed.txt"), "not committed\n");
    assert_eq!(read("new.txt"), "new\n");
    assert!(!path.join("build").exists());
    assert_eq!(git(&path, &["status", "--porcelain"]), status, "git sees what the user sees");
    fs::write(path.join("committed.txt"), "mine\n").unwrap();
    git(&path, &["commit", "-q", "-a", "-m", "mine"]);
    assert_eq!(fs::read_to_string(work.join("committed.txt")).unwrap(), "committed\n");
    assert_eq!(git(&work, &["status", "--porcelain"]), status);
    assert!(world.dir.path().join("hook-ran").exists(), "the user's own commands run it");
    tree.remove().unwrap();
    assert!(!path.exists());
    assert_eq!(git(&work, &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    assert_eq!(git(&work, &["branch", "--list", "massgen/*"]), "");
}

#[test]
fn worktrees_of_a_killed_run_are_removed_and_the_users_are_not() {
    let world = repository();
    let work = world.work();
    git(&work, &["worktree", "add", "-q", "-b", "theirs", "../theirs", "HEAD", "--no-checkout"]);
    let below = world.dir.path().join("ours");
    fs::create_dir(&below).unwrap();
    for name in ["one", "two"] {
        Worktree::add(&world.store, &work, &below.join(name), name, &Stop::default()).unwrap();
    }
    assert_eq!(Worktree::remove_orphans(&work, &below).unwrap(), 2);
    assert_eq!(Worktree::remove_orphans(&work, &below).unwrap(), 0);
    assert!(world.dir.path().join("theirs").exists());
    assert_eq!(fs::read_dir(&below).unwrap().count(), 0);
}

#[test]
fn what_is_no_repository_is_named() {
    let world = World::new();
    let work = world.work();
    let add = |repository: &Path| {
        let path = world.dir.path().join("tree");
        Worktree::add(&world.store, repository, &path, "x", &Stop::default()).unwrap_err()
    };
    assert!(matches!(add(&work), WorktreeError::NotRepository { .. }));
    assert!(matches!(add(&work.join("none")), WorktreeError::NotRepository { .. }));
    git(&work, &["init", "-q"]);
    assert!(matches!(add(&work), WorktreeError::NoCommit { .. }));
    world.put("sub/file", b"x");
    assert!(matches!(add(&work.join("sub")), WorktreeError::NotRepository { .. }));
    assert!(!world.dir.path().join("tree").exists());
}
