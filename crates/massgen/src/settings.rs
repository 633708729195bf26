//! What a user has set for all runs: keys in `.env` files, and a config where it is looked for.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use massgen_config::Environment;

use crate::cli::GlobalArgs;
use crate::error::CliError;

/// A `.env` file is some lines of keys; one that is larger is something else.
const ENV_FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a config is looked for if none is named, in this order; the last is below the home.
const CONFIG_PLACES: [&str; 2] = ["massgen.yaml", ".massgen/config.yaml"];
const CONFIG_AT_HOME: &str = ".config/massgen/config.yaml";

/// Returns the environment as the config sees it: `--env-file`, then the process's own, then
/// `./.env`, then `~/.massgen/.env`. What comes first wins.
///
/// # Errors
/// If a file of these is there and cannot be read.
pub fn environment(global: &GlobalArgs) -> Result<Environment, CliError> {
    // What is no text cannot be a key.
    let own: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let home = home(std::env::var_os("HOME").as_deref());
    let mut vars = match &global.env_file {
        Some(path) => env_file(path)?.ok_or_else(|| {
            CliError::configuration(format!("there is no file `{}`", path.display()))
                .hint("give the path of a file of lines like `OPENAI_API_KEY=…`")
        })?,
        None => Vec::new(),
    };
    vars.extend(own);
    for path in [Some(PathBuf::from(".env")), home.map(|home| home.join(".massgen/.env"))] {
        let Some(path) = path else { continue };
        vars.extend(env_file(&path)?.unwrap_or_default());
    }
    // Of several of one name the last would win.
    vars.reverse();
    Ok(Environment::new(vars))
}

/// Returns the config that is used where none is named, if there is one.
pub fn config_found() -> Option<PathBuf> {
    let home = home(std::env::var_os("HOME").as_deref()).map(|home| home.join(CONFIG_AT_HOME));
    let places = CONFIG_PLACES.iter().map(PathBuf::from).chain(home);
    places.into_iter().find(|path| path.is_file())
}

fn home(home: Option<&OsStr>) -> Option<PathBuf> {
    home.filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Reads a file of `NAME=value` lines; `None` if there is none.
fn env_file(path: &Path) -> Result<Option<Vec<(String, String)>>, CliError> {
    let failed = |error: io::Error| {
        CliError::configuration(format!("failed to read `{}`", path.display())).because(error)
    };
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => return Ok(None),
        Ok(about) if about.len() > ENV_FILE_BYTES_MAX => {
            let too_long = format!("it has more than {ENV_FILE_BYTES_MAX} bytes");
            return Err(failed(io::Error::other(too_long)));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let bytes = fs::read(path).map_err(failed)?;
    let mut vars = Vec::new();
    for item in dotenvy::from_read_iter(bytes.as_slice()) {
        match item {
            Ok(pair) => vars.push(pair),
            // The message of the parser quotes the line, which may hold a key.
            Err(_) => {
                let line = vars.len() + 1;
                let message = format!("`{}` is not a file of variables", path.display());
                return Err(CliError::configuration(message)
                    .hint(format!("its {line}. variable is not of the form `NAME=value`")));
            }
        }
    }
    Ok(Some(vars))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_of_variables_is_read_and_a_broken_one_named_without_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        assert_eq!(env_file(&path).unwrap(), None);
        fs::write(&path, "# keys\nA=1\nexport B=\"two words\"\n\nC='$A'\n").unwrap();
        let pairs = env_file(&path).unwrap().unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "$A")];
        assert_eq!(pairs, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        for garbage in ["A=1\nsk-secret-key-without-name\n", "\u{0}\u{1}=\"", "A='unclosed sk-1"] {
            fs::write(&path, garbage).unwrap();
            let told = env_file(&path).unwrap_err().to_string();
            assert!(told.contains("not a file of variables") && !told.contains("sk-"), "{told}");
        }
        fs::write(&path, [0xff, 0xfe, b'=']).unwrap();
        assert!(env_file(&path).is_err());
    }
}
