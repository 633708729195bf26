//! The user's own files that agents may see: named by the config, by a flag, or in the question.

use std::path::{Path, PathBuf};

use massgen_config::context_in_question;
use massgen_protocol::{Access, ContextPath, RunSpec};

use crate::error::CliError;

/// At the end of a path: whoever presents may change it.
const WRITE: &str = ":w";

/// Adds what the command line and the question name to what the config has, and makes sure
/// that all of it is there.
///
/// # Errors
/// Every path that is not there, at once.
pub fn add(spec: &mut RunSpec, named: &[String]) -> Result<(), CliError> {
    let mut wanted: Vec<(String, Access)> = named
        .iter()
        .map(|path| match path.strip_suffix(WRITE) {
            Some(path) => (path.to_owned(), Access::Write),
            None => (path.clone(), Access::Read),
        })
        .collect();
    let (_, mentioned) = context_in_question(&spec.question.text);
    let (text, mentioned) = if mentioned.iter().all(|(path, _)| Path::new(path).exists()) {
        (context_in_question(&spec.question.text).0, mentioned)
    } else {
        // Most likely no path at all: `@alice`, `user@host`, a decorator.
        (spec.question.text.clone(), Vec::new())
    };
    spec.question.text = text;
    wanted.extend(mentioned);
    for (path, access) in wanted {
        let path = absolute(Path::new(&path)).to_string_lossy().into_owned();
        let known = spec.files.context_paths.iter_mut().find(|known| known.path == path);
        match known {
            Some(known) if access == Access::Write => known.access = access,
            Some(_) => {}
            None => {
                let protected = Vec::new();
                spec.files.context_paths.push(ContextPath { path, access, protected });
            }
        }
    }
    let mut missing = Vec::new();
    for context in &mut spec.files.context_paths {
        let path = absolute(Path::new(&context.path));
        if !path.exists() {
            missing.push(format!("`{}`", context.path));
        }
        context.path = path.to_string_lossy().into_owned();
        for protected in &mut context.protected {
            *protected = path.join(&*protected).to_string_lossy().into_owned();
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let s = if missing.len() == 1 { "is" } else { "are" };
    Err(CliError::configuration(format!("{} {s} not there", missing.join(", ")))
        .hint("context paths have to exist when the run starts; relative ones begin here"))
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.canonicalize().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use massgen_protocol::Policy;

    use super::*;

    fn spec(question: &str) -> RunSpec {
        RunSpec::new(question, Vec::new(), Policy::default())
    }

    #[test]
    fn paths_are_whole_and_there_and_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().to_str().unwrap().to_owned();
        let mut one = spec("Why?");
        add(&mut one, &[path.clone(), format!("{path}:w"), format!("{path}/.")]).unwrap();
        let expected = ContextPath { path, access: Access::Write, protected: Vec::new() };
        assert_eq!(one.files.context_paths, [expected]);
        let error = add(&mut spec("Why?"), &["/no/such".into(), "nor-this".into()]).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("`/no/such`") && told.contains("are not there"), "{told}");
    }

    #[test]
    fn a_question_names_files_and_people() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().to_str().unwrap().to_owned();
        let mut asked = spec(&format!("What is in @{path}?"));
        add(&mut asked, &[]).unwrap();
        assert_eq!(asked.files.context_paths.len(), 1, "{asked:?}");
        let mut people = spec("What did @alice tell bob@example.org?");
        add(&mut people, &[]).unwrap();
        assert!(people.files.context_paths.is_empty());
        assert_eq!(people.question.text, "What did @alice tell bob@example.org?");
    }
}
