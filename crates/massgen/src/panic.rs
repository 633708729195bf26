//! What a fault of our own looks like: what happened, and where the run is kept.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static RUN: OnceLock<PathBuf> = OnceLock::new();

/// Names the run of this process, for the message.
pub fn name_run(path: &Path) {
    // A process runs one run; a second name would be the first one's.
    let _ = RUN.set(path.to_owned());
}

/// Replaces the standard message by ours.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let mut stderr = io::stderr().lock();
        // Nothing better can be done where stderr is gone.
        let _ = stderr.write_all(report(info, RUN.get().map(PathBuf::as_path)).as_bytes());
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|wish| wish != "0") {
            let backtrace = std::backtrace::Backtrace::force_capture();
            let _ = writeln!(stderr, "\n{backtrace}");
        }
    }));
}

fn report(info: &PanicHookInfo<'_>, run: Option<&Path>) -> String {
    let what = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let mut report = format!("error: internal fault: {what}\n  at {place}\n");
    if let Some(run) = run {
        let run = run.display();
        report.push_str(&format!(
            "\nhint: the run is kept in `{run}`; please report this message with its events.jsonl\n"
        ));
    }
    report
}
