//! A control group of its own for a call, where this user may make one: the kernel then holds
//! processes and memory of all together.

use std::fs;
use std::path::{Path, PathBuf};

use massgen_protocol::SandboxLimits;

/// Processes and memory of the stages, on top of the program's own.
const STAGES: u64 = 8;
const STAGES_BYTES: u64 = 64 << 20;

/// The groups of one call; removed at its end.
pub(crate) struct Cgroup {
    groups: Vec<Group>,
}

struct Group {
    folder: PathBuf,
    /// Where this process came from and goes back to.
    home: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Both, in one hierarchy.
    Unified,
    Pids,
    Memory,
}

impl Cgroup {
    /// Makes the groups that can be made and moves this process into them.
    pub(crate) fn join(limits: &SandboxLimits) -> Cgroup {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let groups = homes(&own, &mounts)
            .into_iter()
            .filter_map(|(kind, homes)| {
                homes.into_iter().find_map(|beside| Group::make(kind, &beside, limits))
            })
            .collect();
        Cgroup { groups }
    }

    /// Returns whether the kernel counts the memory of all together.
    pub(crate) fn holds_memory(&self) -> bool {
        self.groups.iter().any(|group| matches!(group.kind, Kind::Unified | Kind::Memory))
    }

    /// Returns whether the kernel counts the processes of all together.
    pub(crate) fn holds_processes(&self) -> bool {
        self.groups.iter().any(|group| matches!(group.kind, Kind::Unified | Kind::Pids))
    }

    /// Returns whether a process had to end because the memory was used up.
    pub(crate) fn killed_for_memory(&self) -> bool {
        self.groups.iter().any(|group| {
            let file = match group.kind {
                Kind::Unified => "memory.events",
                Kind::Memory => "memory.oom_control",
                Kind::Pids => return false,
            };
            let text = fs::read_to_string(group.folder.join(file)).unwrap_or_default();
            let killed = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            killed.is_some_and(|count| count.trim() != "0")
        })
    }

    /// Returns every process in the groups but this one.
    pub(crate) fn others(&self) -> Vec<i32> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let Some(group) = self.groups.first() else { return Vec::new() };
        let listed = fs::read_to_string(group.folder.join("cgroup.procs")).unwrap_or_default();
        listed.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid != own).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for group in &self.groups {
            // A group with a process in it cannot be removed.
            let _ = fs::write(group.home.join("cgroup.procs"), "0");
            let _ = fs::remove_dir(&group.folder);
        }
    }
}

impl Group {
    fn make(kind: Kind, beside: &Path, limits: &SandboxLimits) -> Option<Group> {
        let folder = beside.join(format!("massgen-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let group = Group { folder, home: beside.to_owned(), kind };
        if group.bound(limits).is_some()
            && fs::write(group.folder.join("cgroup.procs"), "0").is_ok()
        {
            return Some(group);
        }
        let _ = fs::remove_dir(&group.folder);
        None
    }

    fn bound(&self, limits: &SandboxLimits) -> Option<()> {
        let processes = limits.processes.saturating_add(STAGES).to_string();
        let memory = limits.memory_bytes.saturating_add(STAGES_BYTES).to_string();
        let set = |file: &str, value: &str| fs::write(self.folder.join(file), value).ok();
        match self.kind {
            Kind::Unified => {
                set("pids.max", &processes)?;
                set("memory.max", &memory)?;
                // Not there without swap.
                let _ = set("memory.swap.max", "0");
            }
            Kind::Pids => set("pids.max", &processes)?,
            Kind::Memory => {
                set("memory.limit_in_bytes", &memory)?;
                let _ = set("memory.memsw.limit_in_bytes", &memory);
            }
        }
        Some(())
    }
}

/// Returns for each kind the folders below which a group may be made, best first.
fn homes(own: &str, mounts: &str) -> Vec<(Kind, Vec<PathBuf>)> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let kind = match controllers {
            "" => Kind::Unified,
            list if list.split(',').any(|name| name == "pids") => Kind::Pids,
            list if list.split(',').any(|name| name == "memory") => Kind::Memory,
            _ => continue,
        };
        let Some(mount) = mounted(mounts, controllers) else { continue };
        let home = mount.join(path.trim_start_matches('/'));
        let mut homes = vec![home.clone()];
        // A group with processes in it can hold no others with controllers; its parent can.
        if kind == Kind::Unified && home != mount {
            homes.extend(home.parent().map(Path::to_owned));
        }
        found.push((kind, homes));
    }
    // The old hierarchies hold nothing apart that the new one already holds together.
    found.sort_by_key(|(kind, _)| match kind {
        Kind::Unified => 2,
        Kind::Pids | Kind::Memory => 1,
    });
    found
}

fn mounted(mounts: &str, controllers: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, folder, kind, options) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let holds = match controllers {
            "" => kind == "cgroup2",
            list => {
                kind == "cgroup"
                    && list.split(',').all(|name| options.split(',').any(|option| option == name))
            }
        };
        holds.then(|| PathBuf::from(folder))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_found_in_both_kinds_of_hierarchy() {
        let own = "8:pids:/a\n4:cpu,cpuacct:/\n3:memory:/b c\n0::/user.slice/one.scope\n";
        let mounts = "cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let expected = [
            (Kind::Pids, vec!["/sys/fs/cgroup/pids/a"]),
            (Kind::Memory, vec!["/sys/fs/cgroup/memory/b c"]),
            (
                Kind::Unified,
                vec![
                    "/sys/fs/cgroup/unified/user.slice/one.scope",
                    "/sys/fs/cgroup/unified/user.slice",
                ],
            ),
        ]
        .map(|(kind, homes)| (kind, homes.into_iter().map(PathBuf::from).collect::<Vec<_>>()));
        assert_eq!(homes(own, mounts), expected);
        assert_eq!(homes("garbage\n:::\n", "x\n"), []);
    }
}
