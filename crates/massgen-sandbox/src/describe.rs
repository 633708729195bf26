//! What a sandbox holds back, in words for `massgen doctor`.

use crate::{Rung, Sandbox};

impl Sandbox {
    /// Returns what confines commands here, a line each.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = vec![match self.rung {
            Rung::Bubblewrap => {
                "bubblewrap: only the system's folders and the agent's own can be seen".to_owned()
            }
            Rung::Landlock if self.namespaces => {
                format!("landlock {} with namespaces of processes and network", self.landlock)
            }
            Rung::Landlock => format!("landlock {} without namespaces", self.landlock),
            Rung::Container => format!("containers of {}", self.tool.display()),
            Rung::Off => "off".to_owned(),
        }];
        match self.rung {
            Rung::Bubblewrap | Rung::Landlock => {
                let by = |kernel| if kernel { "the kernel" } else { "a count 20 times a second" };
                lines.push(format!(
                    "processes of a call are bounded by {}, their memory together by {}",
                    by(self.holds_processes),
                    by(self.holds_memory),
                ));
                lines.push("system calls that escapes need are refused".to_owned());
            }
            Rung::Container | Rung::Off => {}
        }
        if !self.runtimes.folders.is_empty() {
            let folders: Vec<String> =
                self.runtimes.folders.iter().map(|folder| folder.display().to_string()).collect();
            lines.push(format!("readable besides the system: {}", folders.join(", ")));
        }
        lines.extend(self.missing.iter().map(|what| format!("not protected: {what}")));
        lines.extend(self.tried.iter().map(|what| format!("not used: {what}")));
        lines
    }
}
