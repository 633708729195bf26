//! Asks the user at the terminal whether a call may be made.

use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use massgen_protocol::{EventBody, Op, PermissionAnswer, RoundId, ToolCallId};
use massgen_runtime::Subscription;
use tokio::sync::mpsc;

use crate::cli::{Format, GlobalArgs};
use crate::output::{clean, one_line};

/// Of what is to be decided about, in one line.
const WHAT_CHARS: usize = 400;

/// Whether a question stands on the terminal, which there is one of.
static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// Returns whether the cursor stands behind a question now.
pub fn is_asking() -> bool {
    IS_ASKING.load(Ordering::SeqCst)
}

/// Returns whether there is somebody to ask: programs that call us must not wait for one.
pub fn is_somebody_there(global: &GlobalArgs) -> bool {
    let is_for_people = !global.automation && !global.quiet && global.output == Format::Plain;
    is_for_people && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// For the display to show what came before a question.
const SETTLE: Duration = Duration::from_millis(150);

/// One call that waits.
struct Asked {
    round: RoundId,
    id: ToolCallId,
    name: String,
    what: String,
    reason: String,
}

/// Asks about one call after the other until the run ends.
pub async fn ask(mut events: Subscription, ops: mpsc::Sender<Op>) {
    let mut lines = None;
    let mut waiting: VecDeque<Asked> = VecDeque::new();
    let mut is_shown = false;
    loop {
        if let (Some(asked), false) = (waiting.front(), is_shown) {
            IS_ASKING.store(true, Ordering::SeqCst);
            // The display has the same event to show, and is to show it above the question.
            tokio::time::sleep(SETTLE).await;
            show(asked);
            is_shown = true;
            // Only now, so that a run that asks nothing leaves what is typed to the shell.
            lines.get_or_insert_with(read_lines);
        }
        tokio::select! {
            event = events.next() => match event.as_deref().map(|event| &event.body) {
                None => return,
                Some(EventBody::PermissionAsked { round, id, name, what, reason }) => {
                    waiting.push_back(Asked {
                        round: *round,
                        id: id.clone(),
                        name: name.clone(),
                        what: what.clone(),
                        reason: reason.clone(),
                    });
                }
                // Decided by somebody else, or given up.
                Some(
                    EventBody::PermissionDecided { round, id, .. }
                    | EventBody::ToolFinished { round, id, .. },
                ) => {
                    let before = waiting.front().map(|asked| (asked.round, asked.id.clone()));
                    waiting.retain(|asked| (asked.round, &asked.id) != (*round, id));
                    let now = waiting.front().map(|asked| (asked.round, asked.id.clone()));
                    is_shown &= before == now;
                    IS_ASKING.store(is_shown, Ordering::SeqCst);
                }
                Some(_) => {}
            },
            line = next(&mut lines), if is_shown => {
                let Some(asked) = waiting.front() else { continue };
                let answer = match &line {
                    Some(line) => answer(line),
                    // The terminal is gone.
                    None => Some(refuse()),
                };
                let Some(answer) = answer else {
                    is_shown = false;
                    continue;
                };
                let op = Op::Permit { round: asked.round, id: asked.id.clone(), answer };
                if ops.send(op).await.is_err() {
                    return;
                }
                waiting.pop_front();
                is_shown = false;
                IS_ASKING.store(false, Ordering::SeqCst);
            }
        }
    }
}

async fn next(lines: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

/// Reads what is typed on a thread of its own, for a terminal cannot be waited for otherwise.
fn read_lines() -> mpsc::Receiver<String> {
    let (tell, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn show(asked: &Asked) {
    let alias = asked.round.agent.alias();
    let what = one_line(&asked.what, WHAT_CHARS);
    let why = one_line(&asked.reason, WHAT_CHARS);
    let text = format!(
        "{alias} wants to use `{}`: {what}\n  {why}\n  allow? [y]es, [a]lways in this run, [n]o: ",
        asked.name
    );
    let mut stderr = std::io::stderr().lock();
    // Over what stands in the line now. Whoever cannot be shown a question cannot answer it; the deadline decides then.
    let _ = write!(stderr, "\r\x1b[K\n{}", clean(&text)).and_then(|()| stderr.flush());
}

/// Reads an answer; `None` is none, and the question is put again.
fn answer(line: &str) -> Option<PermissionAnswer> {
    let by = || "user".to_owned();
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => {
            Some(PermissionAnswer { allowed: true, always: false, by: by(), reason: String::new() })
        }
        "a" | "always" => {
            Some(PermissionAnswer { allowed: true, always: true, by: by(), reason: String::new() })
        }
        "n" | "no" => Some(refuse()),
        _ => None,
    }
}

fn refuse() -> PermissionAnswer {
    PermissionAnswer { allowed: false, always: false, by: "user".to_owned(), reason: String::new() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_clear_answer_counts() {
        for (line, allowed, always) in
            [("y", true, false), (" YES ", true, false), ("a", true, true), ("no", false, false)]
        {
            let answer = answer(line).unwrap();
            assert_eq!((answer.allowed, answer.always), (allowed, always), "{line}");
            assert_eq!(answer.by, "user");
        }
        for line in ["", "maybe", "yes please", "\u{1b}[A"] {
            assert_eq!(answer(line), None, "{line:?}");
        }
    }
}
