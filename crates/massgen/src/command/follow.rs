//! Watches a session to its end, and passes on what the user wants.

use std::time::{Duration, Instant};

use massgen_protocol::{Millis, Op};
use massgen_runtime::{Finished, Session, Subscription};
use massgen_view::CutShort;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::approvals;
use crate::cli::GlobalArgs;
use crate::equipment::Held;
use crate::error::{CliError, Exit};
use crate::output::{Ending, Output};

/// How often a status line is redrawn and held-back output is flushed.
const TICK: Duration = Duration::from_millis(250);

/// Threads that carry the run. The main thread is left to the output, which may
/// block on a slow reader without holding up an agent.
const WORKERS: usize = 2;

/// Makes what a session runs on.
///
/// # Errors
/// If the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| CliError::execution("failed to start threads").because(error))
}

/// Shows the session's events until it ends, then what came of it. `signals` are
/// caught since before the session began: from its first event on it ends in order.
///
/// # Errors
/// If the output fails; the session is then stopped and can be resumed.
pub async fn follow(
    session: Session,
    signals: Signals,
    output: &mut dyn Output,
    global: &GlobalArgs,
    held: Option<Held>,
) -> Result<Exit, CliError> {
    crate::panic::name_run(session.path());
    let ops = session.ops();
    let signals = tokio::spawn(pass_on(signals, ops.clone()));
    let asking = approvals::is_somebody_there(global)
        .then(|| tokio::spawn(approvals::ask(session.subscribe(), ops.clone())));
    let events = session.subscribe();
    let showing = async {
        let shown = show(events, output).await;
        if shown.is_err() {
            // Nobody reads any more: go no further, but leave a run that can go on.
            // A session that has ended by then needs no telling.
            drop(ops.send(Op::Stop).await);
        }
        shown
    };
    // Side by side: the events end when the session does.
    let (shown, finished) = tokio::join!(showing, session.join());
    signals.abort();
    if let Some(asking) = asking {
        asking.abort();
    }
    let path = finished.path.clone();
    let delivered = match &held {
        Some(held) => held.deliver(finished.outcome.as_ref(), &path, global).await,
        None => Ok(None),
    };
    if let Some(held) = held {
        held.close().await;
    }
    let interrupted = shown?;
    let ending = ending(finished, interrupted);
    output.end(&ending)?;
    if let Some(delivered) = delivered? {
        delivered.tell(global);
    }
    Ok(ending.exit())
}

/// Shows all events; returns whether the user cut the run short.
async fn show(mut events: Subscription, output: &mut dyn Output) -> Result<bool, CliError> {
    let mut cut_short = CutShort::default();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = (Millis(0), Instant::now());
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { return Ok(cut_short.is_cut()) };
                cut_short.apply(&event);
                heard = (event.at, Instant::now());
                output.event(&event)?;
            }
            _ = ticks.tick() => {
                let (at, when) = heard;
                let since = u64::try_from(when.elapsed().as_millis()).unwrap_or(u64::MAX);
                output.tick(at.plus(since))?;
            }
        }
    }
}

/// Ctrl-C once wraps up, twice stops; asking to terminate stops. Who asks a third
/// time does not get an orderly end any more.
async fn pass_on(mut signals: Signals, ops: mpsc::Sender<Op>) {
    let mut n_asked = 0;
    loop {
        n_asked += signals.next().await;
        match n_asked {
            1 => drop(ops.send(Op::Interrupt).await),
            2 | 3 => drop(ops.send(Op::Stop).await),
            _ => std::process::exit(i32::from(Exit::Interrupted.code())),
        }
    }
}

/// Catches what asks the process to end. Made before a session starts: what arrives
/// in between waits, and does not kill a run half begun.
#[cfg(unix)]
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// # Errors
    /// If the system takes no handlers.
    pub fn catch() -> Result<Signals, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let caught = |kind| {
            signal(kind)
                .map_err(|error| CliError::execution("failed to catch signals").because(error))
        };
        Ok(Signals {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal; returns how many Ctrl-C it counts for.
    async fn next(&mut self) -> u32 {
        tokio::select! {
            _ = self.interrupt.recv() => 1,
            _ = self.terminate.recv() => 2,
        }
    }
}

#[cfg(not(unix))]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// # Errors
    /// Never, as yet.
    pub fn catch() -> Result<Signals, CliError> {
        Ok(Signals)
    }

    async fn next(&mut self) -> u32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        1
    }
}

fn ending(finished: Finished, interrupted: bool) -> Ending {
    let Finished { run, path: _, outcome, answer, spent, elapsed_ms, is_recorded } = finished;
    Ending { run, outcome, answer, spent, elapsed_ms, is_recorded, interrupted }
}
