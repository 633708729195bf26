//! Runs a command in a container of Docker or Podman.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use massgen_protocol::{ContainerSpec, SandboxLimits};

/// Where none is configured.
pub(crate) const IMAGE: &str = "massgen/mcp-runtime:latest";

/// By which the clients of the engines find their settings and their server.
#[cfg(target_os = "linux")]
pub(crate) const CLIENT_ENV: [&str; 7] = [
    "PATH",
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "XDG_RUNTIME_DIR",
    "CONTAINER_HOST",
];

/// Of the container's `/tmp`.
const TEMPORARY: &str = "/tmp:rw,nosuid,nodev,size=268435456";

/// One container for one call.
pub(crate) struct Container<'a> {
    pub(crate) tool: &'a Path,
    pub(crate) spec: &'a ContainerSpec,
    pub(crate) cwd: &'a Path,
    pub(crate) write: &'a [PathBuf],
    pub(crate) read: &'a [PathBuf],
    pub(crate) hidden: &'a [PathBuf],
    pub(crate) network: bool,
    pub(crate) limits: &'a SandboxLimits,
}

impl Container<'_> {
    /// Returns the command that runs `inner`, and the one that removes the container.
    pub(crate) fn command(
        &self,
        env: &BTreeMap<String, String>,
        inner: Vec<String>,
    ) -> (Vec<String>, Vec<String>) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("massgen-{}-{number}", std::process::id());
        let tool = self.tool.display().to_string();

        let mut args = vec![tool.clone(), "run".to_owned()];
        for flag in ["--rm", "--interactive", "--init", "--read-only", "--pull=never"] {
            args.push(flag.to_owned());
        }
        let mut pair = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
        pair("--name", name.clone());
        pair("--network", if self.network { "bridge" } else { "none" }.to_owned());
        pair("--cap-drop", "ALL".to_owned());
        pair("--security-opt", "no-new-privileges".to_owned());
        pair("--pids-limit", self.limits.processes.to_string());
        let memory = self.spec.memory.clone().unwrap_or(self.limits.memory_bytes.to_string());
        pair("--memory", memory.clone());
        // Otherwise as much again may be swapped.
        pair("--memory-swap", memory);
        if let Some(cpus) = &self.spec.cpus {
            pair("--cpus", cpus.clone());
        }
        for (name, value) in [
            ("fsize", self.limits.file_bytes),
            ("cpu", self.limits.cpu_seconds),
            ("nofile", self.limits.open_files),
            ("core", 0),
        ] {
            pair("--ulimit", format!("{name}={value}:{value}"));
        }
        let user = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        pair("--user", format!("{}:{}", user.0, user.1));
        pair("--tmpfs", TEMPORARY.to_owned());

        let mut mounts: Vec<(&PathBuf, &str)> = Vec::new();
        mounts.extend(self.read.iter().map(|path| (path, ":ro")));
        mounts.extend(self.write.iter().map(|path| (path, "")));
        mounts.sort_by_key(|(path, _)| path.components().count());
        for (path, mode) in mounts {
            pair("--volume", format!("{0}:{0}{mode}", path.display()));
        }
        for path in self.hidden {
            if path.is_dir() {
                pair("--tmpfs", format!("{}:ro,size=4096", path.display()));
            } else {
                pair("--volume", format!("/dev/null:{}:ro", path.display()));
            }
        }
        pair("--workdir", self.cwd.display().to_string());
        for (name, value) in env {
            // From the environment of the client, since arguments can be read by all; but what
            // would change the client itself goes past it.
            pair("--env", if is_clients(name) { format!("{name}={value}") } else { name.clone() });
        }
        args.push(match self.spec.image.as_str() {
            "" => IMAGE.to_owned(),
            image => image.to_owned(),
        });
        args.extend(inner);
        (args, vec![tool, "rm".to_owned(), "--force".to_owned(), name])
    }
}

/// Returns whether a variable means something to the engine's client or to the loader of it.
pub(crate) fn is_clients(name: &str) -> bool {
    const PREFIXES: [&str; 5] = ["LD_", "DOCKER_", "CONTAINER", "BUILD", "GO"];
    matches!(name, "PATH" | "HOME" | "TMPDIR" | "XDG_RUNTIME_DIR")
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.to_ascii_lowercase().ends_with("_proxy")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_container_gets_its_folders_its_bounds_and_no_more() {
        let spec = ContainerSpec { image: "team/tools:2".to_owned(), ..ContainerSpec::default() };
        let container = Container {
            tool: Path::new("/usr/bin/docker"),
            spec: &spec,
            cwd: Path::new("/w"),
            write: &[PathBuf::from("/w")],
            read: &[PathBuf::from("/w/kept"), PathBuf::from("/data")],
            hidden: &[PathBuf::from("/data/.env")],
            network: false,
            limits: &SandboxLimits::default(),
        };
        let env = BTreeMap::from([
            ("LD_PRELOAD".to_owned(), "/w/evil.so".to_owned()),
            ("TOKEN".to_owned(), "secret".to_owned()),
        ]);
        let (args, cleanup) = container.command(&env, vec!["true".to_owned()]);
        let line = args.join(" ");
        for part in [
            "--network none",
            "--cap-drop ALL",
            "--read-only",
            "--pids-limit 512",
            "--volume /data:/data:ro --volume /w:/w --volume /w/kept:/w/kept:ro",
            "--volume /dev/null:/data/.env:ro",
            "--workdir /w",
            "--env LD_PRELOAD=/w/evil.so --env TOKEN team/tools:2 true",
        ] {
            assert!(line.contains(part), "`{part}` is not in: {line}");
        }
        assert!(!line.contains("secret"));
        assert_eq!(cleanup[..3], ["/usr/bin/docker", "rm", "--force"]);
        assert!(line.contains(&format!("--name {}", cleanup[3])));
    }
}
