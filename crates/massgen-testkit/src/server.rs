//! The server: one thread, one runtime, one task a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::encode::Counts;
use crate::format::{Endpoint, Format};
use crate::http::{Reader, write_chunk, write_end, write_head};
use crate::prefix_cache::{Kept, PrefixCache};
use crate::render::{Rendered, Sent, render};
use crate::{Reply, Request, Script, listing};

/// Requests kept for inspection; later ones are counted only, so that a
/// benchmark with a hundred thousand requests does not measure this list.
const RECORDS_MAX: usize = 10_000;

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub connections: usize,
    /// Requests for completions.
    pub requests: usize,
    /// Completions that were answered to the end.
    pub answered: usize,
    /// Clients that left before their answer was complete.
    pub disconnects: usize,
    /// When the first completion was asked for.
    pub first_request: Option<Instant>,
}

/// How a server is set up besides its script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// 0 for a free one.
    pub port: u16,
    /// Counts tokens and cache hits itself and reports them as usage.
    pub prefix_cache: Option<PrefixCache>,
}

/// A running server; dropping it stops it.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct State {
    script: Script,
    stats: watch::Sender<Stats>,
    records: Mutex<Vec<Arc<Request>>>,
    prefix_cache: Option<PrefixCache>,
    kept: Mutex<Kept>,
    /// What was counted for each of `records`.
    counted: Mutex<Vec<Counts>>,
}

impl Server {
    /// Starts a server on a free loopback port.
    ///
    /// # Panics
    ///
    /// If the machine has no free loopback port: no test can go on without.
    pub fn start(script: Script) -> Server {
        Server::start_with(Setup::default(), script)
    }

    /// Starts a server as set up.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub fn start_with(setup: Setup, script: Script) -> Server {
        match Server::try_start(setup, script) {
            Ok(server) => server,
            Err(error) => panic!("cannot listen on loopback: {error}"),
        }
    }

    /// Starts a server as set up.
    ///
    /// # Errors
    ///
    /// If the port cannot be listened on or the thread not started.
    pub fn try_start(setup: Setup, script: Script) -> io::Result<Server> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", setup.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            script,
            stats: watch::Sender::new(Stats::default()),
            records: Mutex::new(Vec::new()),
            prefix_cache: setup.prefix_cache,
            kept: Mutex::default(),
            counted: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("loopback-server".to_owned()).spawn({
            let state = state.clone();
            move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, state) => {}
                        _ = stopped => {}
                    }
                });
            }
        })?;
        Ok(Server { address, state, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the root of the Chat Completions API, without a trailing slash.
    pub fn base_url(&self) -> String {
        self.base_url_of(Format::Chat)
    }

    /// Returns the root of a format's API, as the `base_url` of a backend: with the
    /// version, without a trailing slash.
    pub fn base_url_of(&self, format: Format) -> String {
        format!("{}{}", self.url(), format.root_path())
    }

    /// Returns the server's address alone, which is what some SDKs want.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn stats(&self) -> Stats {
        *self.state.stats.borrow()
    }

    /// Waits until the counters fulfil a condition.
    pub async fn until(&self, condition: impl FnMut(&Stats) -> bool) -> Stats {
        let mut stats = self.state.stats.subscribe();
        match stats.wait_for(condition).await {
            Ok(stats) => *stats,
            // The sender lives in `self`, so it cannot be gone.
            Err(_) => self.stats(),
        }
    }

    /// Returns the completions asked for so far, in order.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        lock(&self.state.records).clone()
    }

    /// Returns what a server with a prefix cache counted for each of `requests`, whether
    /// or not its format has a way to say so.
    pub fn counted(&self) -> Vec<Counts> {
        lock(&self.state.counted).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in a script has shown itself already.
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Counts and records a request, and gives it its number.
    fn admit(&self, mut request: Request) -> (Arc<Request>, Result<Option<Counts>, &'static str>) {
        let mut records = lock(&self.records);
        self.stats.send_modify(|stats| {
            request.n = stats.requests;
            stats.requests += 1;
            stats.first_request.get_or_insert_with(Instant::now);
        });
        let request = Arc::new(request);
        let counts = match self.prefix_cache {
            Some(cache) => lock(&self.kept).count(cache, &request).map(Some),
            None => Ok(None),
        };
        if records.len() < RECORDS_MAX {
            records.push(request.clone());
            lock(&self.counted).push(counts.unwrap_or_default().unwrap_or_default());
        }
        (request, counts)
    }

    /// Returns what a request gets, and whether it is a completion.
    fn answer(&self, request: Request) -> (Option<Rendered>, bool) {
        let (request, reply, counts) = match request.endpoint() {
            Endpoint::Completion(_) => {
                let (request, counts) = self.admit(request);
                let (reply, counts) = match counts {
                    Ok(counts) => ((self.script)(&request), counts),
                    Err(refusal) => (Reply::error(400, "invalid_request_error", refusal), None),
                };
                let rendered = (!reply.refuse).then(|| render(&reply, &request, counts));
                return (rendered, true);
            }
            Endpoint::CountTokens(format) => {
                let reply = listing::token_count(format, &request);
                (request, reply, None)
            }
            Endpoint::Models(format) => {
                let reply = listing::models(format, &request);
                (request, reply, None)
            }
            Endpoint::OllamaVersion => (request, listing::ollama_version(), None),
            Endpoint::OllamaShow => (request, listing::ollama_show(), None),
            Endpoint::Unknown => (request, Reply::error(404, "not_found", "no such path"), None),
        };
        (Some(render(&reply, &request, counts)), false)
    }
}

async fn accept(listener: std::net::TcpListener, state: Arc<State>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error here is one connection's (or file descriptors have run
                // out for the moment); the others go on.
                if let Ok((stream, _)) = accepted {
                    state.stats.send_modify(|stats| stats.connections += 1);
                    connections.spawn(serve(stream, state.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    // Without it a byte-by-byte reply takes 40 ms a byte.
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut reader = Reader::new(read);
    while let Ok(Some(request)) = reader.next().await {
        let (Some(rendered), completion) = state.answer(request) else { return };
        let sent = async {
            // The head goes out with the first bytes, so that a pause before
            // them holds it back too.
            let mut head_sent = false;
            for piece in &rendered.sent {
                let (bytes, times) = match piece {
                    Sent::Bytes(bytes) => (bytes, 1),
                    Sent::Again(bytes, times) => (bytes, *times),
                    Sent::Delay(pause) => {
                        tokio::time::sleep(*pause).await;
                        continue;
                    }
                    Sent::Gate(gate) => {
                        gate.pass().await;
                        continue;
                    }
                    Sent::Stall => std::future::pending().await,
                    Sent::Drop => return Ok(false),
                };
                if !head_sent {
                    write_head(&mut write, rendered.status, &rendered.headers).await?;
                    head_sent = true;
                }
                for _ in 0..times {
                    write_chunk(&mut write, bytes).await?;
                }
            }
            if !head_sent {
                write_head(&mut write, rendered.status, &rendered.headers).await?;
            }
            write_end(&mut write).await?;
            io::Result::Ok(true)
        };
        let sent = tokio::select! {
            sent = sent => sent,
            () = reader.closed() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match sent {
            Ok(true) => {
                if completion {
                    state.stats.send_modify(|stats| stats.answered += 1);
                }
            }
            Ok(false) => return,
            Err(_) => {
                state.stats.send_modify(|stats| stats.disconnects += 1);
                return;
            }
        }
    }
}
