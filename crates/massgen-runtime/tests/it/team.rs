//! A team on a loopback server, and what became of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use massgen_log::{Reader, RunDir};
use massgen_protocol::{
    AgentSpec, BackendSpec, Basis, CallTimeouts, Event, EventBody, Outcome, Policy, Prices, RunSpec,
};
use massgen_runtime::{Finished, Seams, Session, SessionOptions, check};
use massgen_testkit::{Script, Server};

/// No run here takes longer; a hang is a failure, not a wait.
const RUN_MAX: Duration = Duration::from_secs(60);

/// A finished run, with all that a test may ask of it.
pub struct Ran {
    pub finished: Finished,
    pub events: Vec<Event>,
    _dir: tempfile::TempDir,
}

pub fn backend(base_url: &str) -> BackendSpec {
    BackendSpec {
        prices: Prices { input_micros: 1_000_000, output_micros: 2_000_000, ..Prices::default() },
        timeouts: CallTimeouts {
            connect_ms: 2_000,
            first_byte_ms: 2_000,
            idle_ms: 2_000,
            total_ms: 10_000,
        },
        ..BackendSpec::new("chatcompletion", "m", base_url)
    }
}

/// One agent for each server, in order.
pub fn spec(servers: &[&Server], policy: Policy) -> RunSpec {
    let agents = servers
        .iter()
        .enumerate()
        .map(|(at, server)| AgentSpec::new(format!("a{at}"), backend(&server.base_url())));
    RunSpec { seed: 7, ..RunSpec::new("How much is two and two?", agents.collect(), policy) }
}

pub fn options(state_dir: &Path) -> SessionOptions {
    SessionOptions {
        state_dir: state_dir.to_owned(),
        config_path: None,
        build: "test".to_owned(),
        connect: Arc::new(|agent| massgen_models::connect(&agent.backend)),
        seams: Seams::default(),
        reserved: None,
        opening: Vec::new(),
        prompts: BTreeMap::new(),
        crash_after: None,
    }
}

pub fn policy() -> Policy {
    Policy { backoff_ms: 10, backoff_ms_max: 50, ..Policy::default() }
}

/// Runs a team to its end.
pub async fn run(spec: RunSpec) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(spec, options(dir.path())).unwrap();
    finish(session, dir).await
}

/// A team of `n` on one server.
pub async fn run_on(script: Script, n: usize, policy: Policy) -> Ran {
    let server = Server::start(script);
    run(spec(&vec![&server; n], policy)).await
}

pub async fn finish(session: Session, dir: tempfile::TempDir) -> Ran {
    let finished = tokio::time::timeout(RUN_MAX, session.join()).await.expect("the run hangs");
    let events = events(&finished.path);
    let ran = Ran { finished, events, _dir: dir };
    ran.must_hold();
    ran
}

pub fn events(path: &Path) -> Vec<Event> {
    let run = RunDir::open(path).unwrap();
    Reader::open(&run).unwrap().map(|event| event.unwrap()).collect()
}

impl Ran {
    /// What holds for every run: its log is whole and replays to itself.
    pub fn must_hold(&self) {
        assert!(self.finished.is_recorded);
        for (at, event) in self.events.iter().enumerate() {
            assert_eq!(event.seq, at as u64, "events are numbered without gaps");
        }
        let report = check(&RunDir::open(&self.finished.path).unwrap()).unwrap();
        assert_eq!(report.divergence, None);
        assert_eq!(report.is_finished, self.finished.outcome.is_some());
        if report.is_finished {
            let last = self.events.last().map(|event| &event.body);
            assert!(matches!(last, Some(EventBody::TurnFinished { .. })), "ends with {last:?}");
        }
    }

    pub fn count(&self, wanted: impl Fn(&EventBody) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(&event.body)).count()
    }

    pub fn answer(&self) -> &str {
        self.finished.answer.as_deref().map_or("", String::as_str)
    }

    pub fn basis(&self) -> &Basis {
        match self.finished.outcome.as_ref().unwrap() {
            Outcome::Answered { basis, .. } => basis,
            Outcome::Failed { reason } => panic!("failed: {reason:?}"),
        }
    }

    /// Returns whether the winner wrote the final text.
    pub fn is_presented(&self) -> bool {
        match &self.finished.outcome {
            Some(Outcome::Answered { presented, .. }) => *presented,
            Some(Outcome::Failed { .. }) | None => false,
        }
    }

    #[track_caller]
    pub fn reached_consensus(&self, voters: u32) {
        match self.basis() {
            Basis::Votes { voters: found, .. } => assert_eq!(*found, voters),
            other => panic!("no consensus: {other:?}"),
        }
        assert!(!self.answer().is_empty());
    }

    /// Aliases of the agents that retired.
    pub fn retired(&self) -> Vec<String> {
        let retired = self.events.iter().filter_map(|event| match &event.body {
            EventBody::AgentRetired { agent, .. } => Some(agent.alias().to_string()),
            _ => None,
        });
        retired.collect()
    }
}
