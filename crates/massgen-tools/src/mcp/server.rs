//! A server during a run: started, called, started again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use massgen_protocol::{ToolOutput, ToolReport};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::failure::{CallFailure, span};
use super::launch::Launch;
use super::limits::{BACKOFF_MAX, BACKOFF_MIN, FAILURES_MAX, LEFT_ALONE, PATIENCE};
use super::result;
use crate::Reports;

pub(super) struct Server {
    launch: Launch,
    health: Mutex<Health>,
    /// One start at a time; who comes meanwhile finds its outcome.
    starting: tokio::sync::Mutex<()>,
    closed: AtomicBool,
}

#[derive(Default)]
struct Health {
    connection: Option<Arc<Connection>>,
    /// In a row, without a call that came through between.
    failures: u32,
    /// Not to be started, or asked, before.
    not_before: Option<Instant>,
    /// Of the last failure, a clause about «it».
    why: String,
}

impl Server {
    pub(super) fn new(launch: Launch) -> Server {
        Server {
            launch,
            health: Mutex::default(),
            starting: tokio::sync::Mutex::new(()),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.launch.name()
    }

    pub(super) fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Starts it for the first time.
    pub(super) async fn start(&self) -> Result<Arc<Connection>, String> {
        let _turn = self.starting.lock().await;
        self.open().await
    }

    /// Calls a tool, on a connection that is made anew if it has to be.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        reports: &Reports,
    ) -> ToolOutput {
        let name = self.name();
        let connection = match self.connection(reports).await {
            Ok(connection) => connection,
            Err(why) => {
                return ToolOutput::error(format!("The server {name} is not there: {why}."));
            }
        };
        if connection.reception.take_changed() {
            let what = format!(
                "the server {name} has other tools now; agents keep those of the run's beginning"
            );
            reports.say(ToolReport::Notice { what });
        }
        let bound = Duration::from_millis(self.launch.spec.call_ms);
        match connection.call(tool, arguments, reports, bound).await {
            Ok(answer) => {
                self.came_through();
                result::output(name, &answer)
            }
            Err(failure) => self.failed_call(&connection, failure),
        }
    }

    /// Returns the connection, after a restart if that is what it takes.
    pub(super) async fn connection(&self, reports: &Reports) -> Result<Arc<Connection>, String> {
        if let Some(live) = self.live() {
            return Ok(live);
        }
        let _turn = self.starting.lock().await;
        if let Some(live) = self.live() {
            return Ok(live);
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err("the run is over".to_owned());
        }
        let gone = self.health().connection.take();
        if gone.is_some() {
            // Unnoticed, between two calls.
            self.failed("it ended".to_owned());
        }
        let not_before = self.health().not_before;
        if let Some(not_before) = not_before {
            let now = Instant::now();
            if not_before > now + PATIENCE {
                let why = self.health().why.clone();
                let rest = Duration::from_secs((not_before - now).as_secs() + 1);
                return Err(format!("{why}; it is tried again in {} at the earliest", span(rest)));
            }
            sleep_until(not_before).await;
        }
        let name = self.name();
        let what = format!("the server {name} is started again, because {}", self.health().why);
        reports.say(ToolReport::Notice { what });
        let opened = self.open().await;
        let what = match &opened {
            Ok(_) => format!("the server {name} is there again"),
            Err(why) => format!("the server {name} could not be started again: {why}"),
        };
        reports.say(ToolReport::Notice { what });
        opened
    }

    /// Ends it for good.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let connection = self.health().connection.take();
        if let Some(connection) = connection {
            connection.close().await;
        }
    }

    async fn open(&self) -> Result<Arc<Connection>, String> {
        match Connection::open(&self.launch).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                self.health().connection = Some(connection.clone());
                // It was let go while it started.
                if self.closed.load(Ordering::Relaxed) {
                    self.close().await;
                    return Err("the run is over".to_owned());
                }
                Ok(connection)
            }
            Err(why) => {
                self.failed(why.clone());
                Err(why)
            }
        }
    }

    fn live(&self) -> Option<Arc<Connection>> {
        let health = self.health();
        let waits = health.not_before.is_some_and(|not_before| not_before > Instant::now());
        let live = health.connection.as_ref().filter(|connection| connection.is_live());
        live.filter(|_| !waits).cloned()
    }

    fn failed_call(&self, connection: &Arc<Connection>, failure: CallFailure) -> ToolOutput {
        let name = self.name();
        match failure {
            CallFailure::Refused { words } => {
                self.came_through();
                result::refusal(name, &words)
            }
            CallFailure::Asks { what } => {
                self.came_through();
                ToolOutput::error(format!(
                    "The server {name} wants {what} before it goes on, which is not offered here."
                ))
            }
            CallFailure::TimedOut { after } => {
                self.failed(format!("it did not answer {FAILURES_MAX} calls in a row"));
                ToolOutput::error(format!(
                    "The server {name} was silent for {}. The call is given up; whether it had \
                     its effect is not known.",
                    span(after)
                ))
            }
            CallFailure::Ended => {
                self.let_go(connection);
                ToolOutput::error(format!(
                    "The server {name} ended during the call; whether the call had its effect is \
                     not known. The next call starts the server again, without what it had in \
                     memory."
                ))
            }
            CallFailure::Unreachable { why } => {
                let why = self.launch.redactor().clean(&why);
                self.failed(why.clone());
                ToolOutput::error(format!("The server {name} could not be asked: {why}."))
            }
        }
    }

    /// Forgets a connection that broke, once, however many calls were on it.
    fn let_go(&self, broken: &Arc<Connection>) {
        let mut health = self.health();
        let is_it = health.connection.as_ref().is_some_and(|held| Arc::ptr_eq(held, broken));
        if is_it {
            health.connection = None;
            health.fail("it ended during a call".to_owned());
        }
    }

    fn came_through(&self) {
        let mut health = self.health();
        health.failures = 0;
        health.not_before = None;
    }

    fn failed(&self, why: String) {
        let mut health = self.health();
        // A live connection is given up only after many failures: one is the tool's, not its.
        let was_live = health.connection.as_ref().is_some_and(|held| held.is_live());
        health.fail(why);
        if health.failures < FAILURES_MAX {
            if was_live {
                health.not_before = None;
            }
        } else {
            health.connection = None;
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Health {
    fn fail(&mut self, why: String) {
        self.failures += 1;
        self.why = why;
        let rest = if self.failures >= FAILURES_MAX {
            LEFT_ALONE
        } else {
            BACKOFF_MIN.saturating_mul(1 << (self.failures - 1).min(16)).min(BACKOFF_MAX)
        };
        self.not_before = Some(Instant::now() + rest);
    }
}
