//! `massgen "question"`: a new run from its flags to its answer.

use std::path::PathBuf;
use std::sync::Arc;

use massgen_protocol::RunSpec;
use massgen_runtime::{Seams, Session, SessionOptions, StartError};

use super::follow;
use crate::cli::{GlobalArgs, RunArgs};
use crate::equipment::{Equipped, For, equip};
use crate::error::{CliError, Exit};
use crate::team::{self, Team};
use crate::{demo, output, settings};

/// The program and its version, as logs name it.
pub const BUILD: &str = concat!("massgen ", env!("CARGO_PKG_VERSION"));

pub fn run(arguments: RunArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let runtime = follow::runtime()?;
    let servers = || runtime.block_on(massgen_models::local_servers());
    let team = team::build(&arguments, &settings::environment(global)?, servers)?;
    let Team { spec, config_path, notices } = team;
    if !global.quiet {
        team::print_notices(&notices);
    }
    let options = options(&spec, global, config_path)?;
    runtime.block_on(start(spec, options, global))
}

/// Starts a session and shows it to its end.
async fn start(
    mut spec: RunSpec,
    mut options: SessionOptions,
    global: &GlobalArgs,
) -> Result<Exit, CliError> {
    let Equipped { seams, reserved, opening, held } = equip(&mut spec, For::New, global).await?;
    (options.seams, options.reserved, options.opening) = (seams, reserved, opening);
    let signals = follow::Signals::catch()?;
    let session = Session::start(spec, options).map_err(from_start)?;
    let mut output = output::choose(global, session.run());
    follow::follow(session, signals, output.as_mut(), global, held).await
}

/// Returns what a session needs besides its spec.
pub fn options(
    spec: &RunSpec,
    global: &GlobalArgs,
    config_path: Option<PathBuf>,
) -> Result<SessionOptions, CliError> {
    Ok(SessionOptions {
        state_dir: global.state_dir.clone(),
        config_path,
        build: BUILD.to_owned(),
        connect: Arc::new(demo::connect),
        seams: Seams::default(),
        reserved: None,
        opening: Vec::new(),
        prompts: team::prompt_texts(spec)?,
        crash_after: planted_crash(),
    })
}

/// For tests of resuming: `MASSGEN_CRASH_AFTER_SEQ=n` has the process kill itself as
/// soon as event `n` is in the log.
fn planted_crash() -> Option<u64> {
    std::env::var("MASSGEN_CRASH_AFTER_SEQ").ok()?.parse().ok()
}

/// A run that does not start is the user's to correct.
pub fn from_start(error: StartError) -> CliError {
    let hint = match &error {
        StartError::Log(error) => error.hint(),
        StartError::Read(error) => Some(error.hint()),
        StartError::Diverges(_) => {
            Some("see where with `massgen replay --check`; the rules have changed since".to_owned())
        }
        StartError::Finished => Some("show it again with `massgen replay`".to_owned()),
        StartError::Connect { .. } | StartError::Prompts(_) => None,
    };
    let mut told = CliError::configuration(error.to_string());
    if let Some(source) = std::error::Error::source(&error) {
        told = told.because(chain(source));
    }
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// Causes in one text: a borrowed cause cannot be kept.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}
