//! Runs to try things on.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use massgen_log::{NewRun, Reader, Redactor, RunDir, Writer, WriterOptions};
use massgen_protocol::{
    AgentSpec, ApiKey, BackendSpec, Event, EventBody, Millis, Policy, RunSpec, Secret,
};
use tempfile::TempDir;

/// The key of every agent in these tests.
pub const KEY: &str = "hush-7f\"quoted\\3a91";

/// A state folder with one run in it, removed at the end of the test.
pub struct Fixture {
    pub state: TempDir,
    pub dir: RunDir,
}

impl Fixture {
    pub fn new() -> Fixture {
        let state = tempfile::tempdir().unwrap();
        let dir = create(state.path());
        Fixture { state, dir }
    }

    /// Returns a run whose log holds these events.
    pub fn with(bodies: impl IntoIterator<Item = EventBody>) -> (Fixture, Vec<Event>) {
        let fixture = Fixture::new();
        let events = write_all(&mut fixture.writer(), bodies);
        (fixture, events)
    }

    pub fn writer(&self) -> Writer {
        Writer::create(&self.dir, redactor(), WriterOptions::default()).unwrap()
    }

    pub fn resume(&self) -> massgen_log::Resumed {
        Writer::resume(&self.dir, redactor(), WriterOptions::default()).unwrap()
    }

    pub fn read(&self) -> Vec<Event> {
        Reader::open(&self.dir).unwrap().collect::<Result<_, _>>().unwrap()
    }

    pub fn log(&self) -> Vec<u8> {
        std::fs::read(self.dir.events_path()).unwrap()
    }

    pub fn set_log(&self, bytes: &[u8]) {
        std::fs::write(self.dir.events_path(), bytes).unwrap();
    }

    /// Changes the manifest on disk as another build would have written it.
    pub fn edit_manifest(&mut self, edit: impl FnOnce(&mut serde_json::Value)) {
        let path = self.dir.path().join("manifest.json");
        let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        edit(&mut manifest);
        std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
        if let Ok(dir) = RunDir::open(self.dir.path()) {
            self.dir = dir;
        }
    }
}

/// Appends and flushes the events, a second apart.
pub fn write_all(writer: &mut Writer, bodies: impl IntoIterator<Item = EventBody>) -> Vec<Event> {
    let mut events = Vec::new();
    for body in bodies {
        let at = Millis(writer.next_seq() * 1_000);
        events.push(writer.append(at, body));
    }
    writer.flush();
    events
}

pub fn redactor() -> Arc<Redactor> {
    Arc::new(Redactor::new([KEY]).unwrap())
}

pub fn create(state_dir: &Path) -> RunDir {
    RunDir::create(state_dir, new_run("What is 6 × 7?", 1_795_471_261_042), &redactor()).unwrap()
}

pub fn new_run(question: &str, started_ms: u64) -> NewRun {
    NewRun {
        started_at: UNIX_EPOCH + Duration::from_millis(started_ms),
        build: "massgen 0.1.0".to_owned(),
        config_path: Some("team.yaml".to_owned()),
        cwd: "/home/ada".to_owned(),
        spec: spec(question),
    }
}

pub fn spec(question: &str) -> RunSpec {
    let backend = BackendSpec {
        api_key: ApiKey::Given { value: Secret::new(KEY) },
        ..BackendSpec::new("chatcompletion", "some-model", "http://127.0.0.1:8000/v1")
    };
    let agents = ["ada", "bob", "eve"].map(|id| AgentSpec::new(id, backend.clone()));
    RunSpec { seed: 7, ..RunSpec::new(question, agents.into(), Policy::default()) }
}
