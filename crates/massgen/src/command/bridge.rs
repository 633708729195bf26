//! The bridge by which agents that are programs reach the team's tools. Agents start it, not
//! people, so no help speaks of it.

use std::io::Write;
use std::process::ExitCode;

use massgen_models::{BridgeCommand, run_bridge};

/// Is the bridge, if that is what this process was started as.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let is_bridge = arguments.next().is_some_and(|name| name == BridgeCommand::SUBCOMMAND);
    if !is_bridge {
        return None;
    }
    let address = arguments.next().unwrap_or_default();
    Some(match run_bridge(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // For the log of the agent that started it; stdout belongs to the protocol.
            let _ = writeln!(std::io::stderr(), "massgen: no way to the team's tools: {error}");
            ExitCode::FAILURE
        }
    })
}
