//! What a shell and `man` know of the command.

use std::io::{self, Write};

use clap_complete::Shell;

use crate::cli;
use crate::error::{CliError, Exit};

/// Prints what completes commands and flags.
pub fn completions(shell: Shell) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "massgen", &mut script);
    print(&script)
}

/// Prints the manual page, all commands in it.
pub fn man() -> Result<Exit, CliError> {
    let mut page = Vec::new();
    let failed = |error| CliError::execution("failed to make the manual page").because(error);
    let mut command = cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        if sub.get_name() == "help" {
            continue;
        }
        writeln!(page, ".SH \"MASSGEN {}\"", sub.get_name().to_uppercase()).map_err(failed)?;
        let man = clap_mangen::Man::new(sub.clone());
        man.render_synopsis_section(&mut page).map_err(failed)?;
        man.render_description_section(&mut page).map_err(failed)?;
        man.render_options_section(&mut page).map_err(failed)?;
    }
    print(&page)
}

fn print(bytes: &[u8]) -> Result<Exit, CliError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(CliError::output)?;
    Ok(Exit::Success)
}
