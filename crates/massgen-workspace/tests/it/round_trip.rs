//! Any tree comes back as it was.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use massgen_workspace::{Stop, TakeOptions};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::snapshots::World;

#[derive(Clone, Debug)]
enum Made {
    File { content: Vec<u8>, mode: u32, modified: u32 },
    Folder,
    Link(PathBuf),
}

fn name() -> impl Strategy<Value = OsString> {
    // Few letters, so that names meet; any byte but the two that no name has.
    let byte = prop_oneof![Just(b'a'), Just(b'.'), Just(b'b'), 1_u8..=255];
    vec(byte.prop_map(|byte| if byte == b'/' { b'_' } else { byte }), 1..4)
        .prop_map(OsString::from_vec)
        .prop_filter("names of their own", |name| name != "." && name != "..")
}

fn path() -> impl Strategy<Value = PathBuf> {
    vec(name(), 1..4).prop_map(|names| names.iter().collect())
}

fn made() -> impl Strategy<Value = Made> {
    let content = prop_oneof![vec(any::<u8>(), 0..50), Just(vec![0; 70_000])];
    let mode = prop_oneof![Just(0o644), Just(0o755), Just(0o600), Just(0o444)];
    prop_oneof![
        4 => (content, mode, any::<u32>())
            .prop_map(|(content, mode, modified)| Made::File { content, mode, modified }),
        1 => Just(Made::Folder),
        1 => path().prop_map(Made::Link),
    ]
}

/// Makes what can be made; a name that is taken stays what it is.
fn make(root: &Path, tree: &[(PathBuf, Made)]) {
    for (path, made) in tree {
        let path = root.join(path);
        // Not through a link: what is meant is a tree below the root.
        let parents = path.ancestors().skip(1).take_while(|parent| *parent != root);
        if parents.into_iter().any(|parent| parent.is_symlink())
            || path.parent().is_none_or(|parent| fs::create_dir_all(parent).is_err())
            || fs::symlink_metadata(&path).is_ok()
        {
            continue;
        }
        match made {
            Made::File { content, mode, modified } => {
                fs::write(&path, content).unwrap();
                let time = SystemTime::UNIX_EPOCH
                    + Duration::new(u64::from(*modified), *modified % 1_000_000_000);
                fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Made::Folder => fs::create_dir(&path).unwrap(),
            Made::Link(target) => symlink(target, &path).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back(
        first in vec((path(), made()), 0..25),
        second in vec((path(), made()), 0..25),
    ) {
        let world = World::new();
        make(&world.work(), &first);
        let before = world.take();
        let other = world.dir.path().join("other");
        fs::create_dir(&other).unwrap();
        make(&other, &second);
        let after = world.store.take(&other, &TakeOptions::default()).unwrap();

        // As a new folder.
        let out = world.dir.path().join("out");
        world.store.restore_new(&before.id, &out, &Stop::default()).unwrap();
        let again = world.store.take(&out, &TakeOptions::default()).unwrap();
        prop_assert_eq!(&again.id, &before.id);
        prop_assert_eq!(again.bytes_stored, 0);

        // Over any other one, there and back.
        let to = world.store.restore(&after.id, &world.work(), &Stop::default()).unwrap();
        prop_assert_eq!(&to.before, &before.id);
        prop_assert_eq!(to.left.len(), 0);
        prop_assert_eq!(&world.take().id, &after.id);
        let back = world.store.restore(&before.id, &world.work(), &Stop::default()).unwrap();
        prop_assert_eq!(&back.before, &after.id);
        prop_assert_eq!(&world.take().id, &before.id);

        // And as the tree that all may read.
        let shared = world.store.shared(&before.id, &Stop::default()).unwrap();
        let tree = world.store.tree(&before.id).unwrap();
        for entry in tree.entries() {
            prop_assert!(fs::symlink_metadata(shared.join(&entry.path)).is_ok());
        }
    }
}
