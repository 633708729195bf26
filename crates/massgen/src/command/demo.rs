//! `massgen demo`: the whole main job without key or network.

use massgen_runtime::Session;

use super::follow;
use super::run::{from_start, options};
use crate::cli::{DemoArgs, Format, GlobalArgs};
use crate::demo::{self, Pace};
use crate::error::{CliError, Exit};
use crate::output::{self, tell};

const BEFORE: &str = "\
The four agents are scripted: their texts follow a published case study. The engine, the votes and
the log are real, and the calculation that settles the question is carried out now.
";

const AFTER: &str = "
next:  massgen replay latest           watch it again
       massgen replay --check latest   recompute every decision
       massgen runs show latest        who answered, who voted for whom
       massgen doctor                  what a team of your own needs
       massgen \"your question\"         once a key is set or a local server runs";

pub fn run(arguments: &DemoArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let pace = if arguments.fast { Pace::Fast } else { Pace::Streamed };
    let is_for_people = !global.quiet && !global.automation && global.output == Format::Plain;
    let say = |text: &str| {
        if is_for_people {
            tell(text);
        }
    };
    say(BEFORE);
    let spec = demo::spec(pace);
    let options = options(&spec, global, None)?;
    let (run, exit) = follow::runtime()?.block_on(async {
        let signals = follow::Signals::catch()?;
        let session = Session::start(spec, options).map_err(from_start)?;
        let run = session.run().clone();
        let mut output = output::choose(global, &run);
        Ok((run, follow::follow(session, signals, output.as_mut(), global, None).await?))
    })?;
    if is_for_people && exit == Exit::Success {
        say(&format!("\n{}", super::replay::votes(&run)?.trim_end()));
        say(AFTER);
    }
    Ok(exit)
}
