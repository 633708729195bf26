//! Puts the stages in front of a program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use massgen_protocol::NetworkPolicy;
use serde::Serialize;
use tokio::process::Command;

use crate::container::Container;
use crate::environment::{self, CARRIED};
use crate::plan::{Cover, Files, Plan, Policy, Sockets};
use crate::reading::{SETTINGS, SYSTEM, parts};
use crate::run::Unstartable;
use crate::{Confinement, Rung, Sandbox};

/// Where bubblewrap shows this program to its last stage.
const HELPER_INSIDE: &str = "/run/massgen/helper";

/// Of each file system in memory that a program gets: `TMPDIR` is on disk, this is for those
/// that write to `/tmp` and `/dev/shm` whatever they are told.
const MEMORY_FILES_BYTES: u64 = 256 << 20;

/// Devices that hold nothing.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// In `/proc`, not of a process.
const SETTINGS_OF_THE_KERNEL: [&str; 5] =
    ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"];

/// The folders of one call: absolute, there, and without links in them.
struct Places {
    write: Vec<PathBuf>,
    /// Runtimes and what the config and the call name.
    read: Vec<PathBuf>,
    /// Of those to read, what lies below one to write.
    protected: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
}

impl Sandbox {
    pub(crate) fn make(
        &self,
        confinement: &Confinement,
        program: &str,
        args: &[String],
        given: &BTreeMap<String, String>,
        report: Option<PathBuf>,
    ) -> Result<Command, Unstartable> {
        if [program]
            .into_iter()
            .chain(args.iter().map(String::as_str))
            .any(|arg| arg.contains('\0'))
        {
            return Err(Unstartable::Nul);
        }
        if let Some((name, fault)) =
            given.iter().find_map(|(name, value)| Some((name, environment::fault(name, value)?)))
        {
            return Err(Unstartable::Environment { name: name.clone(), fault });
        }
        let places = self.places(confinement)?;
        let (mut runtimes, home) = match self.rung {
            Rung::Off => (BTreeMap::new(), self.home.as_deref()),
            Rung::Bubblewrap | Rung::Landlock => (self.runtimes.env.clone(), None),
            // What the image has, it knows itself.
            Rung::Container => (BTreeMap::new(), None),
        };
        match self.rung {
            Rung::Off => {
                runtimes.insert("PATH".to_owned(), std::env::var("PATH").unwrap_or_default());
            }
            Rung::Bubblewrap | Rung::Landlock => {
                runtimes.insert("PATH".to_owned(), self.runtimes.path.clone());
            }
            Rung::Container => {}
        }
        let env = environment::environment(confinement, runtimes, home, given);
        let mut inner = vec![program.to_owned()];
        inner.extend(args.iter().cloned());

        let network = confinement.network == NetworkPolicy::On;
        let mut plan = Plan {
            parent: std::process::id(),
            report,
            namespaces: false,
            network,
            stages: 0,
            limits: Some(confinement.limits),
            write: places.write.clone(),
            client: false,
            cleanup: Vec::new(),
        };
        let mut policy = Policy {
            cwd: confinement.cwd.clone(),
            limits: Some(confinement.limits),
            files: None,
            files_needed: false,
            scoped: true,
            sockets: Sockets::Network { local: true },
            shared: false,
            unfiltered: false,
        };
        let chain = match self.rung {
            Rung::Bubblewrap => {
                plan.stages = 2;
                policy.files = Some(second_lock(&places));
                let mut chain = self.bubblewrap(&places, network);
                chain.push(HELPER_INSIDE.to_owned());
                chain.extend(self.helper.args.iter().cloned());
                chain.extend(stage("confine", &policy, inner)?);
                chain
            }
            Rung::Landlock => {
                policy.files = Some(self.files(&places));
                policy.files_needed = true;
                policy.shared = !self.namespaces;
                policy.sockets = match network {
                    false => Sockets::Pairs,
                    true => Sockets::Network { local: false },
                };
                let mut chain = self.own(stage("confine", &policy, inner)?);
                if self.namespaces {
                    plan.stages = 1;
                    plan.namespaces = true;
                    let cover = Cover {
                        write: places.write.clone(),
                        hidden: places.hidden.clone(),
                        protected: places.protected.clone(),
                        fresh: vec![PathBuf::from("/dev/shm")],
                        fresh_bytes: MEMORY_FILES_BYTES,
                    };
                    chain = self.own(stage("init", &cover, chain)?);
                }
                chain
            }
            Rung::Container => {
                let container = Container {
                    tool: &self.tool,
                    spec: &self.container,
                    cwd: &confinement.cwd,
                    write: &places.write,
                    read: &places.read,
                    hidden: &places.hidden,
                    network,
                    limits: &confinement.limits,
                };
                let (chain, cleanup) = container.command(&env, inner);
                plan.client = true;
                plan.cleanup = cleanup;
                // The engine's own processes are not the call's: it holds the limits itself.
                plan.limits = None;
                chain
            }
            Rung::Off => {
                policy.limits = None;
                policy.scoped = false;
                policy.unfiltered = true;
                self.own(stage("confine", &policy, inner)?)
            }
        };
        self.supervised(&plan, chain, &env)
    }

    #[cfg(target_os = "linux")]
    fn supervised(
        &self,
        plan: &Plan,
        chain: Vec<String>,
        env: &BTreeMap<String, String>,
    ) -> Result<Command, Unstartable> {
        let mut command = Command::new(&self.helper.program);
        command.args(&self.helper.args).args(stage("supervise", plan, chain)?).env_clear();
        match self.rung {
            Rung::Container => {
                // The engine's client finds its settings and its server by them.
                for name in crate::container::CLIENT_ENV {
                    command.envs(std::env::var_os(name).map(|value| (name, value)));
                }
            }
            Rung::Bubblewrap | Rung::Landlock | Rung::Off => {}
        }
        let carried = |name: &String| OsString::from(format!("{CARRIED}{name}"));
        command.envs(env.iter().map(|(name, value)| (carried(name), value)));
        Ok(command)
    }

    /// Without a supervisor the group of processes is all there is to hold.
    #[cfg(not(target_os = "linux"))]
    fn supervised(
        &self,
        _plan: &Plan,
        chain: Vec<String>,
        env: &BTreeMap<String, String>,
    ) -> Result<Command, Unstartable> {
        let chain = match self.rung {
            Rung::Container => chain,
            Rung::Bubblewrap | Rung::Landlock | Rung::Off => {
                chain.into_iter().skip_while(|arg| arg != "--").skip(1).collect()
            }
        };
        let mut command = Command::new(&chain[0]);
        command.args(&chain[1..]).env_clear().envs(env).process_group(0);
        Ok(command)
    }

    /// Returns the start of this program as a stage.
    fn own(&self, stage: Vec<String>) -> Vec<String> {
        let mut chain = vec![self.helper.program.display().to_string()];
        chain.extend(self.helper.args.iter().cloned());
        chain.extend(stage);
        chain
    }

    /// Returns this program as a confined one finds it.
    pub(crate) fn own_inside(&self) -> (String, Vec<String>) {
        let program = match self.rung {
            Rung::Bubblewrap => HELPER_INSIDE.to_owned(),
            Rung::Landlock | Rung::Container | Rung::Off => {
                self.helper.program.display().to_string()
            }
        };
        (program, self.helper.args.clone())
    }

    /// Returns what has to be readable for that.
    pub(crate) fn own_folders(&self) -> Vec<PathBuf> {
        vec![self.helper.program.clone()]
    }

    fn places(&self, confinement: &Confinement) -> Result<Places, Unstartable> {
        if !confinement.cwd.is_dir() {
            return Err(Unstartable::NoFolder(confinement.cwd.display().to_string()));
        }
        checked(&confinement.cwd)?;
        let writable = confinement.write.iter().chain(&confinement.scratch);
        let write = real(writable)?;
        let listed = self.runtimes.folders.iter().chain(&self.read_paths).chain(&confinement.read);
        let mut read = real(listed)?;
        read.retain(|path| !write.contains(path));
        let hidden = real(confinement.hidden.iter())?;
        let is_protected = |path: &&PathBuf| write.iter().any(|above| path.starts_with(above));
        let protected = read.iter().filter(is_protected).cloned().collect();
        Ok(Places { write, read, protected, hidden })
    }

    /// Returns bubblewrap with an empty world and what is let into it.
    fn bubblewrap(&self, places: &Places, network: bool) -> Vec<String> {
        let mut args = Args(vec![self.tool.display().to_string()]);
        args.flag("--unshare-user-try").flag("--unshare-pid").flag("--unshare-ipc");
        args.flag("--unshare-uts").flag("--unshare-cgroup-try").flag("--die-with-parent");
        args.flag("--new-session").pair("--cap-drop", "ALL");
        if !network {
            args.flag("--unshare-net");
        }
        for folder in SYSTEM.iter().chain([&SETTINGS]).map(Path::new) {
            match std::fs::read_link(folder) {
                Ok(target) => args.two("--symlink", &target, folder),
                Err(_) if folder.exists() => args.two("--ro-bind", folder, folder),
                Err(_) => &mut args,
            };
        }
        for private in &self.private_settings {
            args.cover(private);
        }
        args.pair("--proc", "/proc").pair("--dev", "/dev");
        // Root's numeric id alone is enough to change settings of the kernel.
        for path in SETTINGS_OF_THE_KERNEL.map(Path::new).into_iter().filter(|path| path.exists()) {
            args.two("--ro-bind", path, path);
        }
        let size = MEMORY_FILES_BYTES.to_string();
        for folder in ["/dev/shm", "/tmp"] {
            args.pair("--perms", "1777").pair("--size", &size).pair("--tmpfs", folder);
        }
        args.two("--symlink", Path::new("/tmp"), Path::new("/var/tmp"));
        if network {
            // Names of hosts are looked up by what this often is a link to, in `/run`.
            if let Ok(target) = std::fs::canonicalize("/etc/resolv.conf")
                && !target.starts_with(SETTINGS)
            {
                args.two("--ro-bind", &target, &target);
            }
        }
        // The outer ones first: a mount covers all that is below it.
        let mut mounts: Vec<(&PathBuf, &str)> = Vec::new();
        mounts.extend(places.read.iter().map(|path| (path, "--ro-bind")));
        mounts.extend(places.write.iter().map(|path| (path, "--bind")));
        mounts.extend(places.hidden.iter().map(|path| (path, "")));
        mounts.sort_by_key(|(path, how)| (path.components().count(), how.is_empty()));
        for (path, how) in mounts {
            match how {
                "" => args.cover(path),
                _ => args.two(how, path, path),
            };
        }
        args.two("--ro-bind", &self.helper.program, Path::new(HELPER_INSIDE));
        // Nothing can be written but what was let in.
        args.pair("--remount-ro", "/dev").pair("--remount-ro", "/");
        args.flag("--");
        args.0
    }

    /// Returns what Landlock lets through: all it does not name is closed.
    fn files(&self, places: &Places) -> Files {
        let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        read.extend(parts(Path::new(SETTINGS), &self.private_settings));
        read.extend(["/proc", "/sys/devices/system/cpu"].map(PathBuf::from));
        read.retain(|path| path.exists());
        read.extend(places.read.iter().flat_map(|path| parts(path, &places.hidden)));
        let mut write = places.write.clone();
        let mut devices: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
        if self.namespaces {
            write.push(PathBuf::from("/dev/shm"));
        } else {
            // Rights are given with all below, so what is an exception is left out in pieces.
            let mut closed = places.hidden.clone();
            closed.extend(places.protected.iter().cloned());
            write = write.iter().flat_map(|path| parts(path, &closed)).collect();
        }
        devices.retain(|path| path.exists());
        Files { write, read, devices }
    }
}

/// Returns what Landlock lets through where the mounts already hold the rest back: should one
/// of them be wrong, it cannot be written to.
fn second_lock(places: &Places) -> Files {
    let mut write = places.write.clone();
    write.extend(["/dev", "/tmp"].map(PathBuf::from));
    Files { write, read: vec![PathBuf::from("/")], devices: Vec::new() }
}

/// Arguments of bubblewrap.
struct Args(Vec<String>);

impl Args {
    fn flag(&mut self, flag: &str) -> &mut Args {
        self.0.push(flag.to_owned());
        self
    }

    fn pair(&mut self, flag: &str, value: &str) -> &mut Args {
        self.flag(flag).flag(value)
    }

    fn two(&mut self, flag: &str, from: &Path, to: &Path) -> &mut Args {
        self.pair(flag, &from.display().to_string()).flag(&to.display().to_string())
    }

    /// Puts nothing over what is there.
    fn cover(&mut self, path: &Path) -> &mut Args {
        if path.is_dir() {
            let path = path.display().to_string();
            self.pair("--perms", "0555").pair("--tmpfs", &path).pair("--remount-ro", &path)
        } else {
            self.two("--ro-bind", Path::new("/dev/null"), path)
        }
    }
}

/// Returns the arguments that make this program a stage with `next` behind it.
fn stage(name: &str, told: &impl Serialize, next: Vec<String>) -> Result<Vec<String>, Unstartable> {
    let told =
        serde_json::to_string(told).map_err(|error| Unstartable::NotText(error.to_string()))?;
    let mut args = vec![name.to_owned(), told, "--".to_owned()];
    args.extend(next);
    Ok(args)
}

fn checked(path: &Path) -> Result<(), Unstartable> {
    if !path.is_absolute() {
        return Err(Unstartable::Relative(path.display().to_string()));
    }
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(Unstartable::NotText(path.display().to_string())),
    }
}

/// Returns what of `paths` is there, without links, each once. What is not there needs no
/// mount, and one for it would make it.
fn real<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>, Unstartable> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        checked(path)?;
        let Ok(path) = std::fs::canonicalize(path) else { continue };
        checked(&path)?;
        if !found.contains(&path) {
            found.push(path);
        }
    }
    Ok(found)
}
