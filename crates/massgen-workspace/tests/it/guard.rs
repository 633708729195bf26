//! What a guard lets an agent do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use massgen_protocol::{Access, ContextPath};
use massgen_workspace::{
    Contents, Denial, Guard, GuardError, Kind, LaidView, Made, Overwrite, Places, Sharing,
    WalkOptions,
};
use tempfile::TempDir;

/// An agent's folders, a context path to read, one to write, and a forbidden run log.
pub struct World {
    pub dir: TempDir,
    pub guard: Guard,
}

impl World {
    pub fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["own/workspace", "own/temp", "own/scratch", "docs", "project/keep", "runs"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("docs/guide.md"), "guide").unwrap();
        fs::write(root.join("project/main.rs"), "fn main() {}").unwrap();
        fs::write(root.join("project/keep/plan.md"), "plan").unwrap();
        fs::write(root.join("runs/events.jsonl"), "log").unwrap();
        fs::write(root.join("outside.txt"), "outside").unwrap();
        let places = Places {
            workspace: root.join("own/workspace"),
            temp: root.join("own/temp"),
            scratch: root.join("own/scratch"),
        };
        let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
        let context = [
            ContextPath { path: path("docs"), access: Access::Read, protected: Vec::new() },
            ContextPath {
                path: path("project"),
                access: Access::Write,
                protected: vec![path("project/keep")],
            },
        ];
        let guard = Guard::new(&places, &context, &[root.join("runs")]).unwrap();
        World { dir, guard }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    pub fn text(&self, below: &str) -> String {
        self.path(below).to_str().unwrap().to_owned()
    }
}

fn denial(error: GuardError) -> Denial {
    match error {
        GuardError::Denied { denial, .. } => denial,
        other => panic!("not a denial: {other:?}"),
    }
}

#[test]
fn a_workspace_is_written_and_read_by_any_spelling() {
    let world = World::new();
    let written = world.guard.write("a/b/c.txt", b"text").unwrap();
    assert_eq!((written.made, written.bytes), (Made::New, 4));
    let spellings = [
        "a/b/c.txt".to_owned(),
        "./a//b/../b/c.txt".to_owned(),
        world.text("own/workspace/a/b/c.txt"),
    ];
    for spelling in spellings {
        assert_eq!(world.guard.read(&spelling, 10).unwrap(), b"text", "{spelling}");
    }
    assert_eq!(world.guard.write("a/b/c.txt", b"more").unwrap().made, Made::Replaced);
    assert!(matches!(world.guard.write_new("a/b/c.txt", b""), Err(GuardError::Exists { .. })));
    world.guard.append("a/b/c.txt", b"!").unwrap();
    assert_eq!(world.guard.read("a/b/c.txt", 10).unwrap(), b"more!");
    assert_eq!(world.guard.read_part("a/b/c.txt", 1, 3).unwrap(), (b"ore".to_vec(), 5));
    // Nothing unfinished is left.
    assert_eq!(fs::read_dir(world.path("own/workspace/a/b")).unwrap().count(), 1);
}

#[test]
fn a_replaced_file_keeps_its_permissions_and_leaves_its_other_names_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let script = world.path("own/workspace/run.sh");
    fs::write(&script, "old").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o750)).unwrap();
    fs::hard_link(&script, world.path("other-name")).unwrap();
    world.guard.write("run.sh", b"new").unwrap();
    assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(fs::read_to_string(world.path("other-name")).unwrap(), "old");
    fs::remove_file(world.path("other-name")).unwrap();
    fs::hard_link(&script, world.path("other-name")).unwrap();
    world.guard.append("run.sh", b"er").unwrap();
    assert_eq!(fs::read_to_string(&script).unwrap(), "newer");
    assert_eq!(fs::read_to_string(world.path("other-name")).unwrap(), "new");
}

#[test]
fn context_is_read_and_written_by_the_presenter_only() {
    let world = World::new();
    let guide = world.text("docs/guide.md");
    let main = world.text("project/main.rs");
    let plan = world.text("project/keep/plan.md");
    let env = world.text("project/.env");
    assert_eq!(world.guard.read(&guide, 10).unwrap(), b"guide");
    assert_eq!(denial(world.guard.write(&guide, b"").unwrap_err()), Denial::ReadOnly);
    assert_eq!(denial(world.guard.write(&main, b"").unwrap_err()), Denial::NotYet);
    world.guard.set_presenting(true);
    world.guard.write(&main, b"changed").unwrap();
    assert_eq!(fs::read_to_string(&main).unwrap(), "changed");
    assert_eq!(denial(world.guard.write(&guide, b"").unwrap_err()), Denial::ReadOnly);
    assert_eq!(denial(world.guard.write(&plan, b"").unwrap_err()), Denial::Protected);
    let excluded = denial(world.guard.write(&env, b"").unwrap_err());
    assert_eq!(excluded, Denial::Excluded(".env".to_owned()));
    let whole = world.text("project");
    let removal = world.guard.remove(&whole, Contents::Remove).unwrap_err();
    assert_eq!(denial(removal), Denial::Root);
    assert_eq!(fs::read_to_string(&plan).unwrap(), "plan");
}

#[test]
fn moving_out_of_what_is_only_read_is_refused_and_copying_is_not() {
    let world = World::new();
    let guide = world.text("docs/guide.md");
    assert_eq!(denial(world.guard.rename(&guide, "mine.md").unwrap_err()), Denial::ReadOnly);
    assert_eq!(world.guard.copy(&guide, "mine.md", Overwrite::Refuse).unwrap(), (1, 5));
    assert!(matches!(
        world.guard.copy(&guide, "mine.md", Overwrite::Refuse),
        Err(GuardError::Exists { .. })
    ));
    world.guard.rename("mine.md", "deep/er/yours.md").unwrap();
    assert_eq!(world.guard.read("deep/er/yours.md", 9).unwrap(), b"guide");
    world.guard.write("other.md", b"other").unwrap();
    let taken = world.guard.rename("other.md", "deep/er/yours.md").unwrap_err();
    assert!(matches!(taken, GuardError::Exists { .. }));
    world.guard.rename("deep", "shallow").unwrap();
    assert_eq!(world.guard.stat("shallow/er").unwrap().kind, Kind::Folder);
}

#[test]
fn folders_are_copied_listed_walked_and_removed() {
    let world = World::new();
    for (path, text) in [("src/a.py", "a"), ("src/sub/b.py", "bb"), ("src/.git/config", "c")] {
        world.guard.write(path, text.as_bytes()).unwrap();
    }
    assert_eq!(world.guard.copy("src", "copy", Overwrite::Refuse).unwrap(), (3, 4));
    let names = |path: &str| -> Vec<String> {
        world.guard.list(path, 100).unwrap().into_iter().map(|listed| listed.name).collect()
    };
    assert_eq!(names("copy"), [".git", "a.py", "sub"]);
    let walk = world.guard.walk("copy", &WalkOptions::default()).unwrap();
    let walked: Vec<&str> = walk.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(walked, [".git", "a.py", "sub", "sub/b.py"]);
    assert!(!walk.cut);
    let bounded = WalkOptions { entries_max: 2, ..WalkOptions::default() };
    let walk = world.guard.walk("copy", &bounded).unwrap();
    assert!(walk.cut && walk.entries.len() == 2);
    assert!(matches!(world.guard.list("copy", 2), Err(GuardError::TooMany { .. })));
    let error = world.guard.remove("copy", Contents::MustBeEmpty).unwrap_err();
    assert!(matches!(error, GuardError::NotEmpty { .. }), "{error:?}");
    world.guard.remove("copy", Contents::Remove).unwrap();
    assert!(matches!(world.guard.stat("copy"), Err(GuardError::Missing { .. })));
    let into_itself = world.guard.copy("src", "src/copy", Overwrite::Refuse).unwrap_err();
    assert!(matches!(into_itself, GuardError::Malformed { .. }));
}

#[test]
fn a_shared_view_is_read_by_its_short_name_and_copied_before_a_write() {
    let world = World::new();
    let shared = world.path("store/shared");
    fs::create_dir_all(&shared).unwrap();
    fs::write(shared.join("analysis.py"), "theirs").unwrap();
    let laid = |dir: &Path, sharing| LaidView {
        name: "agent2".to_owned(),
        dir: dir.to_path_buf(),
        sharing,
    };
    world.guard.set_views(&[laid(&shared, Sharing::Shared)]).unwrap();
    for path in ["agent2/analysis.py", "temp/agent2/analysis.py"] {
        assert_eq!(world.guard.read(path, 10).unwrap(), b"theirs");
    }
    // The system's own name of the place, as a program may print it.
    let real = shared.join("analysis.py").to_str().unwrap().to_owned();
    assert_eq!(world.guard.read(&real, 10).unwrap(), b"theirs");
    let walk = world.guard.walk(&world.text("own/temp"), &WalkOptions::default());
    assert_eq!(walk.unwrap().entries.len(), 0, "the view's name is not there yet");
    let refused = world.guard.write("agent2/analysis.py", b"mine").unwrap_err();
    assert!(refused.to_string().contains("others read the same copy"), "{refused}");

    let private = world.path("own/temp/agent2");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let view = laid(&private, Sharing::Private);
    let seen = asked.clone();
    world.guard.set_copy_up(Arc::new(move |name| {
        seen.lock().unwrap().push(name.to_owned());
        fs::create_dir_all(&private)?;
        fs::copy(shared.join("analysis.py"), private.join("analysis.py"))?;
        Ok(vec![view.clone()])
    }));
    world.guard.write("agent2/analysis.py", b"mine").unwrap();
    world.guard.write("agent2/second.py", b"mine").unwrap();
    assert_eq!(*asked.lock().unwrap(), ["agent2"]);
    assert_eq!(world.guard.read("agent2/analysis.py", 10).unwrap(), b"mine");
    assert_eq!(fs::read(world.path("store/shared/analysis.py")).unwrap(), b"theirs");
    let walk = world.guard.walk(&world.text("own/temp"), &WalkOptions::default()).unwrap();
    let paths: Vec<&str> = walk.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["agent2", "agent2/analysis.py", "agent2/second.py"]);
}

#[test]
fn a_context_path_is_worked_on_in_a_private_copy_under_its_own_name() {
    let world = World::new();
    let copy = world.path("own/project-copy");
    fs::create_dir_all(&copy).unwrap();
    fs::write(copy.join("main.rs"), "copy").unwrap();
    world.guard.set_stand_in(&world.path("project"), &copy).unwrap();
    world.guard.set_presenting(true);
    let main = world.text("project/main.rs");
    assert_eq!(world.guard.read(&main, 10).unwrap(), b"copy");
    world.guard.write(&main, b"mine").unwrap();
    assert_eq!(fs::read_to_string(copy.join("main.rs")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(&main).unwrap(), "fn main() {}");
}

#[test]
fn what_cannot_be_done_is_said_in_words_for_a_model() {
    let world = World::new();
    world.guard.write("file", b"12345").unwrap();
    world.guard.create_dir("folder").unwrap();
    let table = [
        (world.guard.read("file", 4).unwrap_err(), "`file` has 5 bytes, more than the 4"),
        (world.guard.read("folder", 4).unwrap_err(), "`folder` is a folder"),
        (world.guard.read("none", 4).unwrap_err(), "there is no `none`"),
        (world.guard.read("file/x", 4).unwrap_err(), "`file/x` is not a folder"),
        (world.guard.list("file", 4).unwrap_err(), "`file` is not a folder"),
        (world.guard.read("a\0b", 4).unwrap_err(), "zero byte"),
        (world.guard.read("~/x", 4).unwrap_err(), "`~` stands for nothing"),
        (world.guard.write("", b"").unwrap_err(), "is a folder"),
    ];
    for (error, expected) in table {
        assert!(error.to_string().contains(expected), "{error}");
    }
    let outside = world.guard.read("/etc/shadow", 4).unwrap_err().to_string();
    assert!(outside.contains(&world.text("own/workspace")), "{outside}");
    assert!(outside.contains(&world.text("docs")), "{outside}");
    let log = world.guard.read(&world.text("runs/events.jsonl"), 4).unwrap_err().to_string();
    assert!(!log.contains(&format!("`{}`,", world.text("runs"))), "{log}");
}
