//! What is around a sandbox: files, listeners and processes that it must leave alone.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::world::World;

/// In every file that is not to be read.
pub const SECRET: &str = "s3cret-0f-s0meb0dy-else";

pub struct Outside {
    pub world: World,
    number: u32,
    victim: std::sync::Mutex<Child>,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    datagrams: UnixDatagram,
    abstract_unix: UnixListener,
    files: BTreeMap<String, String>,
    _open: File,
}

impl Outside {
    pub fn new() -> Outside {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let world = World::new();
        for name in [
            "agent2/secret.txt",
            "home/.ssh/id_ed25519",
            "home/.ssh/authorized_keys",
            "home/.env",
            "home/.bashrc",
            "run/state/events.jsonl",
        ] {
            fs::write(world.path(name), SECRET).unwrap();
        }
        fs::write(world.path("temp/agent2/report.txt"), "a report").unwrap();
        let victim = Command::new("sleep").arg("120").env("OUTSIDE_TOKEN", SECRET).spawn().unwrap();
        let name = SocketAddr::from_abstract_name(token(number)).unwrap();
        let outside = Outside {
            number,
            victim: std::sync::Mutex::new(victim),
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            unix: UnixListener::bind(world.path("home/socket")).unwrap(),
            datagrams: UnixDatagram::bind(world.path("home/datagrams")).unwrap(),
            abstract_unix: UnixListener::bind_addr(&name).unwrap(),
            files: files(&world),
            _open: File::open(world.path("agent2/secret.txt")).unwrap(),
            world,
        };
        outside.tcp.set_nonblocking(true).unwrap();
        outside.udp.set_nonblocking(true).unwrap();
        outside.unix.set_nonblocking(true).unwrap();
        outside.datagrams.set_nonblocking(true).unwrap();
        outside.abstract_unix.set_nonblocking(true).unwrap();
        outside
    }

    /// What attempts are told of where to go.
    pub fn told(&self) -> BTreeMap<String, String> {
        let victim = self.victim.lock().unwrap().id();
        [
            ("ROOT", self.world.path("").display().to_string().trim_end_matches('/').to_owned()),
            ("PARENT", std::process::id().to_string()),
            ("VICTIM", victim.to_string()),
            ("TOKEN", token(self.number)),
            ("MARK", mark(self.number)),
            ("IPC_NUMBER", key(self.number).to_string()),
            ("TCP", self.tcp.local_addr().unwrap().port().to_string()),
            ("UDP", self.udp.local_addr().unwrap().port().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Returns what is not as it was.
    pub fn changes(&self) -> Option<String> {
        let now = files(&self.world);
        if now != self.files {
            let differs =
                |(name, facts): &(&String, &String)| self.files.get(*name) != Some(*facts);
            let new: Vec<_> = now.iter().filter(differs).collect();
            let gone: Vec<_> = self.files.keys().filter(|name| !now.contains_key(*name)).collect();
            return Some(format!("files outside changed: {new:?}, gone: {gone:?}"));
        }
        let reached = [
            (self.tcp.accept().map(|_| ()), "TCP"),
            (self.udp.recv(&mut [0; 16]).map(|_| ()), "UDP"),
            (self.unix.accept().map(|_| ()), "the Unix socket"),
            (self.datagrams.recv(&mut [0; 16]).map(|_| ()), "the datagram socket"),
            (self.abstract_unix.accept().map(|_| ()), "the abstract socket"),
        ];
        for (result, what) in reached {
            match result {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return Some(format!("{what} was reached")),
            }
        }
        if let Some(status) = self.victim.lock().unwrap().try_wait().unwrap() {
            return Some(format!("another process ended: {status}"));
        }
        if let Some(process) = survivor(&format!("300.{}", mark(self.number))) {
            return Some(format!("process {process} is left"));
        }
        let shared = Path::new("/dev/shm").join(token(self.number));
        if fs::remove_file(shared).is_ok() {
            return Some("a file is left in /dev/shm".to_owned());
        }
        let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
        let own = key(self.number).to_string();
        if segments.lines().any(|line| line.split_ascii_whitespace().next() == Some(&own)) {
            let removed = Command::new("ipcrm").args(["-M", &own]).status();
            return Some(format!("shared memory is left; removed: {removed:?}"));
        }
        None
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let mut victim = self.victim.lock().unwrap();
        let _ = victim.kill();
        let _ = victim.wait();
    }
}

fn token(number: u32) -> String {
    format!("massgen-test-{}-{number}", std::process::id())
}

/// Digits, so that `sleep` takes them as part of a second.
fn mark(number: u32) -> String {
    format!("{}{number:04}", std::process::id())
}

fn key(number: u32) -> u32 {
    0x4d00_0000 + (std::process::id() % 4_096) * 1_000 + number % 1_000
}

/// Every file outside of what the agent may write, with all there is to know of it.
fn files(world: &World) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![world.path("")];
    let n_seen = Cell::new(0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            n_seen.set(n_seen.get() + 1);
            assert!(n_seen.get() < 10_000);
            let path = entry.path();
            let facts = entry.metadata().unwrap();
            let content =
                if facts.is_file() { fs::read(&path).unwrap_or_default() } else { vec![] };
            let told = format!(
                "{:o} {}:{} {} links, {:?}, {}",
                facts.mode(),
                facts.uid(),
                facts.gid(),
                if facts.is_dir() { 0 } else { facts.nlink() },
                fs::read_link(&path).ok(),
                String::from_utf8_lossy(&content),
            );
            let own = [world.path("agent1"), world.path("scratch")].contains(&path);
            found.insert(path.display().to_string(), told);
            if facts.is_dir() && !own {
                folders.push(path);
            }
        }
    }
    found
}

/// Returns a process with `word` among its arguments.
pub fn survivor(word: &str) -> Option<String> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let mut args = line.split(|byte| *byte == 0);
        args.any(|arg| arg == word.as_bytes()).then(|| entry.file_name().display().to_string())
    })
}
