//! Ways out of what is open to an agent; none of them leads anywhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use massgen_workspace::{Contents, GuardError, Overwrite};

use crate::guard::World;

fn is_denied<T: std::fmt::Debug>(outcome: Result<T, GuardError>) -> bool {
    matches!(outcome, Err(GuardError::Denied { .. }))
}

#[test]
fn paths_that_lead_outside_are_refused() {
    let world = World::new();
    world.guard.write("inside.txt", b"mine").unwrap();
    let links = [
        ("absolute", world.path("outside.txt")),
        ("relative", "../../outside.txt".into()),
        ("folder", world.root()),
        ("root", "/".into()),
        ("proc", "/proc/self/root".into()),
        ("cwd", "/proc/self/cwd".into()),
        ("log", world.path("runs")),
        ("chain", "absolute".into()),
    ];
    for (name, target) in &links {
        symlink(target, world.path("own/workspace").join(name)).unwrap();
    }
    let outside = world.text("outside.txt");
    let deep = format!("/proc/self/root{outside}");
    let paths = [
        outside.as_str(),
        "../../outside.txt",
        "x/../../../outside.txt",
        "/etc/passwd",
        "/proc/self/root/etc/passwd",
        "/proc/self/environ",
        deep.as_str(),
        "absolute",
        "relative",
        "chain",
        "folder/outside.txt",
        "root/etc/passwd",
        "proc/etc/passwd",
        "cwd/Cargo.toml",
        "log/events.jsonl",
        "../../runs/events.jsonl",
        "//etc/passwd",
        "/dev/mem",
    ];
    for path in paths {
        let guard = &world.guard;
        assert!(is_denied(guard.read(path, 1 << 20)), "read {path}");
        assert!(is_denied(guard.open(path)), "open {path}");
        assert!(is_denied(guard.stat(path)), "stat {path}");
        assert!(is_denied(guard.real_path(path)), "real path {path}");
        assert!(is_denied(guard.write(path, b"broken")), "write {path}");
        assert!(is_denied(guard.append(path, b"broken")), "append {path}");
        assert!(is_denied(guard.copy(path, "copied", Overwrite::Replace)), "copy from {path}");
        assert!(is_denied(guard.copy("inside.txt", path, Overwrite::Replace)), "copy to {path}");
        assert!(is_denied(guard.create_dir(&format!("{path}/new"))), "create in {path}");
    }
    for path in [outside.as_str(), "folder/outside.txt", "log/events.jsonl", "../../outside.txt"] {
        assert!(is_denied(world.guard.rename(path, "stolen")), "move from {path}");
        assert!(is_denied(world.guard.rename("inside.txt", path)), "move to {path}");
        assert!(is_denied(world.guard.remove(path, Contents::Remove)), "remove {path}");
    }
    assert_eq!(fs::read_to_string(world.path("outside.txt")).unwrap(), "outside");
    assert_eq!(fs::read_to_string(world.path("runs/events.jsonl")).unwrap(), "log");
    assert_eq!(world.guard.read("inside.txt", 10).unwrap(), b"mine");
}

#[test]
fn removing_a_link_removes_the_link() {
    let world = World::new();
    symlink(world.path("docs"), world.path("own/workspace/docs")).unwrap();
    assert_eq!(world.guard.read("docs/guide.md", 10).unwrap(), b"guide", "an open path is open");
    assert!(is_denied(world.guard.write("docs/guide.md", b"broken")));
    assert!(is_denied(world.guard.remove("docs/guide.md", Contents::Remove)));
    world.guard.remove("docs", Contents::Remove).unwrap();
    assert_eq!(fs::read_to_string(world.path("docs/guide.md")).unwrap(), "guide");
}

#[test]
fn a_link_to_what_is_protected_is_as_good_as_its_name() {
    let world = World::new();
    symlink("keep/plan.md", world.path("project/alias.md")).unwrap();
    symlink("keep", world.path("project/alias")).unwrap();
    world.guard.set_presenting(true);
    for path in ["project/alias.md", "project/alias/plan.md"] {
        assert!(is_denied(world.guard.write(&world.text(path), b"broken")), "{path}");
    }
    assert_eq!(fs::read_to_string(world.path("project/keep/plan.md")).unwrap(), "plan");
}

#[test]
fn circles_of_links_end() {
    let world = World::new();
    symlink("b", world.path("own/workspace/a")).unwrap();
    symlink("a", world.path("own/workspace/b")).unwrap();
    assert!(matches!(world.guard.read("a", 10), Err(GuardError::Malformed { .. })));
    assert!(matches!(world.guard.write("a/c", b""), Err(GuardError::Malformed { .. })));
}

#[test]
fn pipes_and_devices_are_no_files() {
    let world = World::new();
    let pipe = world.path("own/workspace/pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    assert!(matches!(world.guard.read("pipe", 10), Err(GuardError::Special { .. })));
    assert!(matches!(world.guard.write("pipe", b""), Err(GuardError::Special { .. })));
    assert!(world.guard.append("pipe", b"x").is_err());
}

/// A folder of the workspace is a link to the outside half of the time, for as long as the
/// guard is busy with it. Whatever the moment, nothing outside is read or written.
#[test]
fn a_link_swapped_in_between_check_and_use_leads_nowhere() {
    let world = World::new();
    fs::create_dir_all(world.path("outer")).unwrap();
    fs::write(world.path("outer/file"), "secret").unwrap();
    let workspace = world.path("own/workspace");
    fs::create_dir(workspace.join("real")).unwrap();
    fs::write(workspace.join("real/file"), "mine").unwrap();
    symlink(world.path("outer"), workspace.join("trap")).unwrap();
    symlink(world.path("outer/file"), workspace.join("file-trap")).unwrap();
    fs::write(workspace.join("file-real"), "mine").unwrap();
    let stop = AtomicBool::new(false);
    let (mut reads, mut writes) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let exchange = |a: &str, b: &str| {
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    workspace.join(a),
                    rustix::fs::CWD,
                    workspace.join(b),
                    rustix::fs::RenameFlags::EXCHANGE,
                )
            };
            while !stop.load(Ordering::Relaxed) {
                // The guard replaces what it writes, so a name may be gone for a moment.
                let _ = exchange("real", "trap");
                let _ = exchange("file-real", "file-trap");
            }
        });
        for _ in 0..3_000 {
            for path in ["real/file", "trap/file", "file-real", "file-trap"] {
                if let Ok(content) = world.guard.read(path, 100) {
                    assert_ne!(content, b"secret", "read {path}");
                    reads += 1;
                }
                writes += usize::from(world.guard.write(path, b"mine").is_ok());
            }
            let copied = world.guard.copy("real", "copy", Overwrite::Replace);
            if copied.is_ok() {
                assert_eq!(world.guard.read("copy/file", 100).unwrap(), b"mine");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(world.path("outer/file")).unwrap(), "secret");
    assert_eq!(fs::read_dir(world.path("outer")).unwrap().count(), 1);
    assert!(reads > 0 && writes > 0, "the guard was never let through: {reads} {writes}");
}
