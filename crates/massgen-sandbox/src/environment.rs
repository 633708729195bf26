//! What programs find in their environment: little, and nothing of ours.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Confinement;

/// Marks the variables of the program while they pass the stages. Under their own names some,
/// like `LD_PRELOAD`, would make a stage do what the program wants, before it is confined.
pub(crate) const CARRIED: &str = "MASSGEN_SANDBOXED_";

/// Returns the environment of a program; `runtimes` says where to find others.
pub(crate) fn environment(
    confinement: &Confinement,
    runtimes: BTreeMap<String, String>,
    home: Option<&Path>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let scratch = confinement.scratch.as_deref().unwrap_or(&confinement.cwd);
    let mut env = BTreeMap::from([
        ("HOME".to_owned(), home.unwrap_or(scratch).display().to_string()),
        ("TMPDIR".to_owned(), scratch.display().to_string()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("TERM".to_owned(), "dumb".to_owned()),
    ]);
    env.extend(runtimes);
    env.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    env
}

/// Returns why `name` cannot be the name of a variable.
pub(crate) fn fault(name: &str, value: &str) -> Option<&'static str> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Some("is no name of an environment variable");
    }
    value.contains('\0').then_some("has a value with a NUL in it")
}

/// Takes the program's variables out of those of a stage.
#[cfg(target_os = "linux")]
pub(crate) fn carried(
    all: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    all.filter_map(|(name, value)| {
        let name = name.as_bytes().strip_prefix(CARRIED.as_bytes())?;
        Some((std::ffi::OsString::from_vec(name.to_vec()), value))
    })
    .collect()
}
