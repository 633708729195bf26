//! Programs of other makers, as `scripts/peers` installs them, run for one test.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// To start, or to say the next thing. Python takes seconds, and more on a busy machine.
const WAIT: Duration = Duration::from_secs(240);

/// A running program; dropping it ends it.
pub struct Peer {
    child: Child,
    lines: Receiver<String>,
    errors: Arc<(Mutex<String>, Condvar)>,
}

/// Returns a command of the Python environment `name`, if `package` (a folder in it) is installed
/// there. Otherwise says loudly what was not run: a test that cannot run does not pass in silence.
pub fn python(name: &str, package: &str) -> Option<Command> {
    let root = root();
    let python = root.join(name).join("bin/python");
    let libraries = std::fs::read_dir(root.join(name).join("lib")).into_iter().flatten().flatten();
    let mut libraries = libraries.map(|entry| entry.path().join("site-packages").join(package));
    if python.is_file() && libraries.any(|library| library.exists()) {
        let mut command = Command::new(python);
        // What a user has set is not for our peers, least of all a proxy or a key.
        command.env_clear().env("HOME", std::env::temp_dir()).env("PATH", "/usr/bin:/bin");
        return Some(command);
    }
    not_run(package, &python);
    None
}

/// Returns the program that an npm package brings, if it is installed and can be started here.
pub fn npm_program(name: &str) -> Option<PathBuf> {
    let program = root().join("node_modules/.bin").join(name);
    if program.is_file() {
        return Some(program);
    }
    not_run(name, &program);
    None
}

fn root() -> PathBuf {
    let root = std::env::var_os("MASSGEN_PEERS").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"))
}

fn not_run(what: &str, missing: &Path) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let message = format!(
        "not run: {test}: `{what}` is not in {}; scripts/peers installs it\n",
        missing.display()
    );
    // Not through the test's own output, which is shown for failures only.
    std::io::stderr().write_all(message.as_bytes()).unwrap();
}

/// Returns the path of one of our scripts for peers.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

impl Peer {
    pub fn start(mut command: Command) -> Peer {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn({
            let errors = errors.clone();
            move || {
                let mut bytes = [0; 4096];
                while let Ok(n @ 1..) = stderr.read(&mut bytes) {
                    errors.0.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
                    errors.1.notify_all();
                }
            }
        });
        Peer { child, lines, errors }
    }

    /// Returns the next line it prints.
    pub fn line(&self) -> String {
        match self.lines.recv_timeout(WAIT) {
            Ok(line) => line,
            Err(error @ (RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) => {
                panic!("{error}; it has said:\n{}", self.errors.0.lock().unwrap())
            }
        }
    }

    /// Waits until it has said this on stderr, where servers say that they are ready.
    pub fn until_said(&self, words: &str) {
        let (errors, changed) = &*self.errors;
        let is_missing = |said: &mut String| !said.contains(words);
        let waited = changed.wait_timeout_while(errors.lock().unwrap(), WAIT, is_missing);
        let (said, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "not a word of `{words}`; it has said:\n{said}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
