//! `massgen resume`: go on with a run that was killed or stopped.

use std::path::Path;

use massgen_log::RunStatus;
use massgen_runtime::Session;

use super::follow;
use super::run::{from_start, options};
use super::runs::find;
use crate::cli::{GlobalArgs, ResumeArgs};
use crate::equipment::{Equipped, For, equip};
use crate::error::{CliError, Exit};
use crate::{output, secrets, settings};

pub fn run(arguments: &ResumeArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let run = find(global, &arguments.name)?;
    let id = run.id().clone();
    match run.status() {
        RunStatus::Finished { .. } => {
            return Err(CliError::configuration(format!("run `{id}` has come to its end"))
                .hint(format!("show it again with `massgen replay {id}`")));
        }
        RunStatus::Interrupted { resumable: false } => {
            return Err(CliError::configuration(format!("run `{id}` cannot be resumed"))
                .because("its log is incomplete: the disk refused a write")
                .hint(format!("see what there is with `massgen replay {id}`")));
        }
        // The lock and the reader tell more than we could.
        RunStatus::Running | RunStatus::Unreadable { .. } | RunStatus::Interrupted { .. } => {}
    }
    let mut spec = run.manifest().spec.clone();
    let config_path = run.manifest().config_path.clone();
    secrets::restore(
        &mut spec,
        &settings::environment(global)?,
        config_path.as_deref().map(Path::new),
    )?;
    let mut options = options(&spec, global, config_path.map(Into::into))?;
    let mut output = output::choose(global, &run);
    follow::runtime()?.block_on(async {
        let equipped = equip(&mut spec, For::Resumed(&run), global).await?;
        let Equipped { seams, reserved: _, opening, held } = equipped;
        (options.seams, options.opening) = (seams, opening);
        let signals = follow::Signals::catch()?;
        let session = Session::resume(run, spec, options).map_err(from_start)?;
        follow::follow(session, signals, output.as_mut(), global, held).await
    })
}
