//! The processes of one call.

use std::collections::BTreeSet;

/// Ends a command made by [`Sandbox::command`](crate::Sandbox::command), with all it started,
/// when it is dropped.
pub struct Tree {
    #[cfg(target_os = "linux")]
    supervisor: Option<std::os::fd::OwnedFd>,
    #[cfg(not(target_os = "linux"))]
    group: Option<u32>,
}

#[cfg(target_os = "linux")]
impl Tree {
    /// Takes hold of what was just spawned.
    pub fn of(child: &tokio::process::Child) -> Tree {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        // By descriptor: a number may mean another process once the child has been waited for.
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Tree { supervisor: pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) }
    }

    /// Asks the program to end; it is made to a moment later.
    pub fn ask(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Ends all processes at once.
    pub fn end(&self) {
        self.signal(rustix::process::Signal::USR1);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(supervisor) = &self.supervisor {
            // An error means that it has ended, and with it all the others.
            let _ = rustix::process::pidfd_send_signal(supervisor, signal);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Tree {
    /// Takes hold of what was just spawned.
    pub fn of(child: &tokio::process::Child) -> Tree {
        Tree { group: child.id() }
    }

    /// Asks the program to end.
    pub fn ask(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Ends all processes of its group.
    pub fn end(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let group = self.group.and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns every process below `root`, with how far below, parents before children.
pub(crate) fn descendants(root: i32) -> Vec<(i32, usize)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut parents = Parents::Unread;
    let mut next = vec![(root, 0)];
    while let Some((pid, depth)) = next.pop() {
        for child in children(pid, &mut parents) {
            if seen.insert(child) {
                found.push((child, depth + 1));
                next.push((child, depth + 1));
            }
        }
    }
    found
}

/// Who is whose child, for kernels that do not list the children of a process.
enum Parents {
    Unread,
    Read(Vec<(i32, i32)>),
}

fn children(pid: i32, parents: &mut Parents) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for task in tasks.flatten() {
        match std::fs::read_to_string(task.path().join("children")) {
            Ok(list) => found
                .extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            // A thread that has just ended also has none; then the scan finds nothing new.
            Err(_) => return scanned(pid, parents),
        }
    }
    found
}

fn scanned(pid: i32, parents: &mut Parents) -> Vec<i32> {
    if let Parents::Unread = parents {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        *parents = Parents::Read(pids.filter_map(|pid| Some((pid, parent(pid)?))).collect());
    }
    match parents {
        Parents::Unread => Vec::new(),
        Parents::Read(pairs) => {
            pairs.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child).collect()
        }
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may hold anything, also brackets: what follows the last one counts.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn grandchildren_are_found_below_their_parents() {
        let mut child = Command::new("sh")
            .args(["-c", "sh -c 'echo ready; read _' & read _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let root = i32::try_from(child.id()).unwrap();
        let below: Vec<usize> = descendants(root).into_iter().map(|(_, depth)| depth).collect();
        assert_eq!(below, [1]);
        assert!(descendants(own).contains(&(root, 1)));
        let mut parents = Parents::Unread;
        assert!(scanned(own, &mut parents).contains(&root));
        assert_eq!(scanned(root, &mut parents).len(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
