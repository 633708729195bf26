//! The stages that confine what an agent runs. The program starts itself as them; people do
//! not, so no help speaks of it.

use std::ffi::OsStr;
use std::process::ExitCode;

use massgen_sandbox::Helper;

use crate::error::CliError;

/// What comes before the stage's own arguments.
const SUBCOMMAND: &str = "__sandbox";

/// Is a stage, if that is what this process was started as.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let is_stage = arguments.next().is_some_and(|name| name == OsStr::new(SUBCOMMAND));
    is_stage.then(|| massgen_sandbox::helper(arguments))
}

/// Returns how this program is started as a stage.
///
/// # Errors
/// If it does not find itself.
pub fn helper() -> Result<Helper, CliError> {
    let program = std::env::current_exe().map_err(|error| {
        CliError::execution("failed to find this program, which confines commands").because(error)
    })?;
    Ok(Helper { program, args: vec![SUBCOMMAND.to_owned()] })
}
