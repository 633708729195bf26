use std::path::{Path, PathBuf};

use massgen_protocol::{Access, ContextPath};
use massgen_workspace::{Denial, PathPolicy, Places, Zone};

fn policy() -> PathPolicy {
    let places = Places {
        workspace: PathBuf::from("/state/workspaces/r/agent1/workspace"),
        temp: PathBuf::from("/state/workspaces/r/agent1/temp"),
        scratch: PathBuf::from("/state/workspaces/r/agent1/scratch"),
    };
    let context = [
        ContextPath {
            path: "/home/u/project".to_owned(),
            access: Access::Write,
            protected: vec!["/home/u/project/secret".to_owned(), "plan.md".to_owned()],
        },
        ContextPath {
            path: "/home/u/docs".to_owned(),
            access: Access::Read,
            protected: Vec::new(),
        },
        ContextPath {
            path: "/home/u/notes/one.txt".to_owned(),
            access: Access::Write,
            protected: Vec::new(),
        },
    ];
    let mut policy = PathPolicy::new(&places, &context, &[PathBuf::from("/state")]);
    policy.add("/state/workspaces/r/agent1/temp/agent2", Zone::SharedView);
    policy.add("/state/workspaces/r/agent1/temp/agent3", Zone::PrivateView);
    policy
}

#[test]
fn the_deepest_folder_decides() {
    use Access::{Read, Write};
    let open: Result<(), Denial> = Ok(());
    let own = "/state/workspaces/r/agent1";
    // Path, access, outcome while coordinating, outcome while presenting.
    type Row = (String, Access, Result<(), Denial>, Result<(), Denial>);
    let table: Vec<Row> = vec![
        (format!("{own}/workspace"), Read, open.clone(), open.clone()),
        (format!("{own}/workspace/a/b"), Write, open.clone(), open.clone()),
        (format!("{own}/workspace/.env"), Write, open.clone(), open.clone()),
        (format!("{own}/workspace/.git/config"), Write, open.clone(), open.clone()),
        (format!("{own}/scratch/x"), Write, open.clone(), open.clone()),
        (format!("{own}/temp/notes"), Write, open.clone(), open.clone()),
        (format!("{own}/temp/agent2/a"), Read, open.clone(), open.clone()),
        (format!("{own}/temp/agent2/a"), Write, Err(Denial::SharedView), Err(Denial::SharedView)),
        (format!("{own}/temp/agent3/a"), Write, open.clone(), open.clone()),
        ("/home/u/project/src/a.rs".into(), Read, open.clone(), open.clone()),
        ("/home/u/project/src/a.rs".into(), Write, Err(Denial::NotYet), open.clone()),
        (
            "/home/u/project/secret/key".into(),
            Write,
            Err(Denial::Protected),
            Err(Denial::Protected),
        ),
        ("/home/u/project/plan.md".into(), Write, Err(Denial::Protected), Err(Denial::Protected)),
        ("/home/u/project/plan.md".into(), Read, open.clone(), open.clone()),
        (
            "/home/u/project/.git/config".into(),
            Write,
            Err(Denial::Excluded(".git".into())),
            Err(Denial::Excluded(".git".into())),
        ),
        (
            "/home/u/project/a/node_modules/b".into(),
            Write,
            Err(Denial::Excluded("node_modules".into())),
            Err(Denial::Excluded("node_modules".into())),
        ),
        ("/home/u/project/.env".into(), Read, open.clone(), open.clone()),
        ("/home/u/docs/a".into(), Read, open.clone(), open.clone()),
        ("/home/u/docs/a".into(), Write, Err(Denial::ReadOnly), Err(Denial::ReadOnly)),
        ("/home/u/notes/one.txt".into(), Write, Err(Denial::NotYet), open.clone()),
        ("/home/u/notes/two.txt".into(), Read, Err(Denial::Outside), Err(Denial::Outside)),
        ("/home/u/notes".into(), Read, Err(Denial::Outside), Err(Denial::Outside)),
        ("/home/u/projects".into(), Read, Err(Denial::Outside), Err(Denial::Outside)),
        ("/home/u".into(), Read, Err(Denial::Outside), Err(Denial::Outside)),
        ("/state/runs/r/events.jsonl".into(), Read, Err(Denial::Outside), Err(Denial::Outside)),
        (
            "/state/workspaces/r/agent2/workspace/a".into(),
            Read,
            Err(Denial::Outside),
            Err(Denial::Outside),
        ),
        ("/etc/passwd".into(), Read, Err(Denial::Outside), Err(Denial::Outside)),
        ("/".into(), Write, Err(Denial::Outside), Err(Denial::Outside)),
    ];
    let policy = policy();
    for (path, access, before, presenting) in table {
        assert_eq!(policy.decide(Path::new(&path), access, false), before, "{access:?} {path}");
        assert_eq!(policy.decide(Path::new(&path), access, true), presenting, "{access:?} {path}");
    }
}

#[test]
fn what_holds_something_else_stays() {
    let policy = policy();
    let table = [
        ("/home/u/project/src", Ok(())),
        ("/home/u/project/secret/key", Err(Denial::Protected)),
        ("/home/u/project", Err(Denial::Root)),
        ("/state/workspaces/r/agent1/workspace", Err(Denial::Root)),
        ("/state/workspaces/r/agent1/temp", Err(Denial::Root)),
        ("/state/workspaces/r/agent1/temp/agent3", Err(Denial::Root)),
        ("/state/workspaces/r/agent1/temp/agent3/a", Ok(())),
        ("/state/workspaces/r/agent1/workspace/a", Ok(())),
    ];
    for (path, expected) in table {
        assert_eq!(policy.decide_removal(Path::new(path), true), expected, "{path}");
    }
    let mut deeper = policy;
    deeper.add("/home/u/project/src/generated/key", Zone::Protected);
    let holding = deeper.decide_removal(Path::new("/home/u/project/src"), true);
    assert_eq!(holding, Err(Denial::HoldsOther));
}
