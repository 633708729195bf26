//! The server: one thread, one runtime, one task a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::http::{Reader, write_chunk, write_end, write_head};
use crate::reply::Piece;
use crate::{Reply, Request, Script};

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
}

impl Server {
    /// Starts a server on a free loopback port.
    ///
    /// # Panics
    ///
    /// If the machine has no free loopback port: no test can go on without.
    pub fn start(script: Script) -> Server {
        match Server::start_on(0, script) {
            Ok(server) => server,
            Err(error) => panic!("cannot listen on loopback: {error}"),
        }
    }

    /// Starts a server on this port, 0 for a free one.
    ///
    /// # Errors
    ///
    /// If the port cannot be listened on or the thread not started.
    pub fn start_on(port: u16, script: Script) -> io::Result<Server> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            script,
            stats: watch::Sender::new(Stats::default()),
            records: Mutex::new(Vec::new()),
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

    /// Returns the root of the API, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
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
        self.state.records().clone()
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

impl State {
    fn records(&self) -> MutexGuard<'_, Vec<Arc<Request>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts and records a request, and gives it its number.
    fn admit(&self, mut request: Request) -> Arc<Request> {
        let mut records = self.records();
        self.stats.send_modify(|stats| {
            request.n = stats.requests;
            stats.requests += 1;
            stats.first_request.get_or_insert_with(Instant::now);
        });
        let request = Arc::new(request);
        if records.len() < RECORDS_MAX {
            records.push(request.clone());
        }
        request
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
        let completion = request.method == "POST" && request.path.ends_with("/chat/completions");
        let reply = if completion {
            let request = state.admit(request);
            (state.script)(&request)
        } else if request.method == "GET" && request.path.ends_with("/models") {
            let model = json!({"id": "loopback", "object": "model", "owned_by": "testkit"});
            Reply::json(200, &json!({"object": "list", "data": [model]}))
        } else {
            Reply::error(404, "not_found", "no such path")
        };
        if reply.refuse {
            return;
        }
        let sent = async {
            // The head goes out with the first bytes, so that a pause before
            // them holds it back too.
            let mut head_sent = false;
            for piece in &reply.pieces {
                match piece {
                    Piece::Bytes(bytes) => {
                        if !head_sent {
                            write_head(&mut write, reply.status, &reply.headers).await?;
                            head_sent = true;
                        }
                        write_chunk(&mut write, bytes).await?;
                    }
                    Piece::Delay(pause) => tokio::time::sleep(*pause).await,
                    Piece::Gate(gate) => gate.pass().await,
                    Piece::Stall => std::future::pending().await,
                    Piece::Drop => return Ok(false),
                }
            }
            if !head_sent {
                write_head(&mut write, reply.status, &reply.headers).await?;
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
