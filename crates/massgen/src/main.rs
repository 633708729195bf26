//! The massgen command.

mod approvals;
mod attachments;
mod cli;
mod command;
mod context;
mod demo;
mod equipment;
mod error;
mod output;
mod panic;
mod secrets;
mod settings;
mod team;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use cli::{Cli, Command};
use error::{CliError, Exit};

fn main() -> ExitCode {
    if let Some(exit) = command::bridge::run_if_asked() {
        return exit;
    }
    if let Some(exit) = command::sandbox::run_if_asked() {
        return exit;
    }
    panic::install();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version are no errors, and a reader that has gone away is none either.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    // A fault of ours ends under a documented code too; the hook has told of it.
    match catch_unwind(AssertUnwindSafe(|| dispatch(cli))) {
        Err(_fault) => Exit::Execution.into(),
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => {
            if error.kind != error::ErrorKind::BrokenPipe {
                let _ = writeln!(std::io::stderr(), "{error}");
            }
            error.exit().into()
        }
    }
}

/// Reads the command line; what the parser cannot know of is refused here in its words.
fn parse() -> Result<Cli, clap::Error> {
    let mut command = cli::command();
    let cli = Cli::from_arg_matches(&command.try_get_matches_from_mut(std::env::args_os())?)?;
    let mut usage = |message: String| command.error(ErrorKind::ArgumentConflict, message);
    if let (Some(command), Some(flag)) = (&cli.command, cli.run.misplaced()) {
        let name = command.name();
        return Err(usage(format!("`{flag}` is for a new question, not for `massgen {name}`")));
    }
    let is_run = matches!(cli.command, None | Some(Command::Demo(_) | Command::Resume(_)));
    if cli.global.automation && !is_run {
        return Err(usage("`--automation` is for a run, and this starts none".to_owned()));
    }
    let has_no_answer = match cli.command {
        None | Some(Command::Demo(_) | Command::Resume(_) | Command::Replay(_)) => false,
        Some(
            Command::Runs(_)
            | Command::Models(_)
            | Command::Doctor(_)
            | Command::Config(_)
            | Command::Completions(_)
            | Command::Man,
        ) => true,
    };
    if cli.global.quiet && has_no_answer {
        return Err(usage("`--quiet` leaves the answer alone, and this has none".to_owned()));
    }
    let is_meant = std::env::args_os().any(|argument| argument == "--");
    if let Some(name) = cli::misspelled_command(&cli.run.question).filter(|_| !is_meant) {
        let word = cli.run.question.join(" ");
        return Err(usage(format!(
            "there is no command `{word}`; did you mean `{name}`?\n\n  \
             To ask it as a question: massgen -- {word}"
        )));
    }
    Ok(cli)
}

fn dispatch(cli: Cli) -> Result<Exit, CliError> {
    let Cli { run, global, command } = cli;
    match command {
        None => command::run::run(run, &global),
        Some(Command::Demo(arguments)) => command::demo::run(&arguments, &global),
        Some(Command::Resume(arguments)) => command::resume::run(&arguments, &global),
        Some(Command::Replay(arguments)) => command::replay::run(&arguments, &global),
        Some(Command::Runs(arguments)) => command::runs::run(&arguments, &global),
        Some(Command::Models(arguments)) => command::models::run(&arguments, &global),
        Some(Command::Doctor(arguments)) => command::doctor::run(&arguments, &global),
        Some(Command::Config(arguments)) => command::config::run(&arguments, &global),
        Some(Command::Completions(arguments)) => command::shell::completions(arguments.shell),
        Some(Command::Man) => command::shell::man(),
    }
}
