//! Commands that run on between calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use massgen_sandbox::{Confinement, Run, Sandbox, Stream};
use tokio::task::JoinHandle;

use super::ending;
use super::ring::Ring;
use crate::builtin::clock;

/// Commands that run at the same time.
const RUNNING_MAX: usize = 10;
/// Commands that are remembered, with those that have ended.
const KEPT_MAX: usize = 50;
/// Kept of what one printed and nobody asked for yet.
const RING_BYTES: usize = 128 << 10;
/// After this long one is taken for forgotten.
pub(super) const TIME: Duration = Duration::from_secs(4 * 3_600);
/// Characters of a command that are shown in lists.
const SHOWN_MAX: usize = 120;

/// The background commands of one agent. They end when it is dropped.
#[derive(Default)]
pub(super) struct Shells(Mutex<Table>);

#[derive(Default)]
struct Table {
    // By number, so that the oldest comes first.
    shells: BTreeMap<u64, Shell>,
    n_started: u64,
}

struct Shell {
    command: String,
    begun: Instant,
    output: Arc<Mutex<Ring>>,
    /// How it ended; none while it runs.
    ended: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Shells {
    pub fn start(
        &self,
        command: &str,
        sandbox: Arc<Sandbox>,
        confinement: Confinement,
        run: Run,
    ) -> Result<String, String> {
        let mut table = self.lock();
        let running: Vec<String> =
            table.shells.iter().filter(|(_, shell)| shell.runs()).map(|(n, _)| name(*n)).collect();
        if running.len() >= RUNNING_MAX {
            return Err(format!(
                "{RUNNING_MAX} background commands run already ({}): end one with kill_background_shell",
                running.join(", ")
            ));
        }
        let gone = table.shells.iter().find(|(_, shell)| !shell.runs()).map(|(n, _)| *n);
        if let Some(gone) = gone.filter(|_| table.shells.len() >= KEPT_MAX) {
            table.shells.remove(&gone);
        }
        table.n_started += 1;
        let number = table.n_started;
        let output = Arc::new(Mutex::new(Ring::new(RING_BYTES)));
        let ended = Arc::new(Mutex::new(None));
        let task = {
            let (output, ended) = (output.clone(), ended.clone());
            tokio::spawn(async move {
                let keep = |_: Stream, text: &str| held(&output).push(text);
                let outcome = sandbox.run(&confinement, run, keep).await;
                *held(&ended) = Some(ending(&outcome, TIME, &confinement));
            })
        };
        let shell =
            Shell { command: command.to_owned(), begun: Instant::now(), output, ended, task };
        table.shells.insert(number, shell);
        Ok(format!(
            "Started {}. Ask with get_background_shell_output for what it prints.",
            name(number)
        ))
    }

    pub fn output(&self, id: &str) -> Result<String, String> {
        let table = self.lock();
        let (id, shell) = table.find(id)?;
        // How it stands comes first: what is printed after is not lost, only later.
        let stands = shell.stands();
        let (news, n_lost) = held(&shell.output).news();
        let lost =
            if n_lost > 0 { format!("\n[{n_lost} bytes before are lost]") } else { String::new() };
        let news = if news.trim().is_empty() { "(nothing new)" } else { news.trim_end() };
        Ok(format!("{id}: {stands}{lost}\n\n{news}"))
    }

    pub fn status(&self, id: &str) -> Result<String, String> {
        let table = self.lock();
        let (id, shell) = table.find(id)?;
        Ok(format!(
            "{id}: {}\ncommand: {}\nnew output: {} bytes",
            shell.stands(),
            short(&shell.command),
            held(&shell.output).n_new()
        ))
    }

    pub async fn kill(&self, id: &str) -> Result<String, String> {
        let (id, task) = {
            let mut table = self.lock();
            let (id, shell) = table.find(id)?;
            if !shell.runs() {
                return Ok(format!("{id} has ended already. {}", shell.stands()));
            }
            shell.task.abort();
            *held(&shell.ended) =
                Some(format!("Ended on demand after {}.", clock(shell.begun.elapsed())));
            let number = table.number(&id)?;
            let ended = tokio::spawn(async {});
            (
                id,
                table
                    .shells
                    .get_mut(&number)
                    .map(|shell| std::mem::replace(&mut shell.task, ended)),
            )
        };
        // Dropping the run ends its processes; it is dropped when the task is.
        if let Some(task) = task {
            let _ = task.await;
        }
        Ok(format!("{id} has been ended."))
    }

    pub fn list(&self) -> String {
        let table = self.lock();
        let lines: Vec<String> = table
            .shells
            .iter()
            .map(|(number, shell)| {
                format!("{}: {} · {}", name(*number), shell.stands(), short(&shell.command))
            })
            .collect();
        if lines.is_empty() {
            "There are no background commands.".to_owned()
        } else {
            lines.join("\n")
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        held(&self.0)
    }
}

impl Drop for Shells {
    fn drop(&mut self) {
        for shell in self.lock().shells.values() {
            shell.task.abort();
        }
    }
}

impl Table {
    fn find(&self, id: &str) -> Result<(String, &Shell), String> {
        let number = self.number(id)?;
        self.shells.get(&number).map(|shell| (name(number), shell)).ok_or_else(|| self.unknown(id))
    }

    fn number(&self, id: &str) -> Result<u64, String> {
        let digits = id.trim().trim_start_matches("shell_");
        let number = digits.parse().map_err(|_| self.unknown(id))?;
        if self.shells.contains_key(&number) { Ok(number) } else { Err(self.unknown(id)) }
    }

    fn unknown(&self, id: &str) -> String {
        let known: Vec<String> = self.shells.keys().map(|number| name(*number)).collect();
        let known = if known.is_empty() {
            "none was started".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        format!("there is no background command `{}`; {known}", short(id))
    }
}

impl Shell {
    fn runs(&self) -> bool {
        held(&self.ended).is_none()
    }

    fn stands(&self) -> String {
        held(&self.ended)
            .clone()
            .unwrap_or_else(|| format!("running for {}", clock(self.begun.elapsed())))
    }
}

fn name(number: u64) -> String {
    format!("shell_{number}")
}

fn short(command: &str) -> String {
    let line = command.lines().next().unwrap_or_default();
    let cut = line.chars().count() > SHOWN_MAX || command.lines().count() > 1;
    let shown: String = line.chars().take(SHOWN_MAX).collect();
    if cut { format!("{shown}…") } else { shown }
}

fn held<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // None of what is kept here can be left half done.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
