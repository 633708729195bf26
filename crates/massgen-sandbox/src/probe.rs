//! Finds what the machine offers, by really trying it.

use std::io::Read;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use massgen_protocol::{NetworkPolicy, SandboxLimits, SandboxMode, SandboxSpec};
use thiserror::Error;

use crate::plan::Report;
use crate::sandbox::{Helper, Sandbox};
use crate::stage::{Canary, Testimony};
use crate::{Confinement, Rung};

/// For one rung to run one small program. A machine under load takes a second.
const PROBE: Duration = Duration::from_secs(10);

/// The protection that was required is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no sandbox of the kind `{wanted}` works on this machine: {}", .reasons.join("; "))]
pub struct Refused {
    pub wanted: &'static str,
    /// What was tried, and what came of it.
    pub reasons: Vec<String>,
    /// What helps.
    pub remedy: String,
}

impl Sandbox {
    /// Finds the best that works here of what `spec` asks for. Starts programs and waits for
    /// them: not for async code.
    ///
    /// # Errors
    /// If the protection is required and not to be had.
    pub fn probe(spec: &SandboxSpec, helper: Helper) -> Result<Sandbox, Refused> {
        let (wanted, ladder) = match spec.mode {
            SandboxMode::Os => ("os", &[Rung::Bubblewrap, Rung::Landlock, Rung::Container][..]),
            SandboxMode::Container => {
                ("container", &[Rung::Container, Rung::Bubblewrap, Rung::Landlock][..])
            }
            SandboxMode::Off => return Ok(Sandbox::off(spec, helper)),
        };
        let mut reasons = Vec::new();
        for rung in ladder {
            // A container engine may fetch, and needs an image: only where one is named.
            let unasked = *rung == Rung::Container
                && spec.mode == SandboxMode::Os
                && spec.container.image.is_empty();
            if unasked {
                continue;
            }
            if spec.require && !fits(spec.mode, *rung) {
                continue;
            }
            match Sandbox::at(*rung, spec, helper.clone()) {
                Ok(mut sandbox) => {
                    sandbox.tried = reasons;
                    if !fits(spec.mode, *rung) {
                        let told = format!("`{wanted}` is asked for, `{rung}` is what works here");
                        sandbox.missing.insert(0, told);
                    }
                    return Ok(sandbox);
                }
                Err(reason) => reasons.push(format!("{rung}: {reason}")),
            }
        }
        if spec.require {
            return Err(Refused { wanted, reasons, remedy: remedy(spec.mode) });
        }
        let mut sandbox = Sandbox::off(spec, helper);
        sandbox.missing.push(remedy(spec.mode));
        sandbox.tried = reasons;
        Ok(sandbox)
    }

    /// Takes one rung of the ladder, whether or not a better one works.
    ///
    /// # Errors
    /// Why it does not work here.
    pub fn at(rung: Rung, spec: &SandboxSpec, helper: Helper) -> Result<Sandbox, String> {
        match rung {
            Rung::Bubblewrap => {
                let tool = found("bwrap").ok_or("`bwrap` is not installed")?;
                let sandbox = Sandbox::new(rung, spec, helper, tool);
                tried(sandbox)
            }
            Rung::Landlock => Sandbox::landlock(spec, helper.clone(), true).or_else(|apart| {
                let mut sandbox = Sandbox::landlock(spec, helper, false)?;
                sandbox.tried.push(format!("namespaces: {apart}"));
                Ok(sandbox)
            }),
            Rung::Container => {
                let tool = ["docker", "podman"].into_iter().find_map(found);
                let tool = tool.ok_or("neither `docker` nor `podman` is installed")?;
                let sandbox = Sandbox::new(rung, spec, helper, tool);
                container(&sandbox)?;
                Ok(sandbox)
            }
            Rung::Off => Ok(Sandbox::off(spec, helper)),
        }
    }

    /// Landlock alone, or with namespaces of our own below it.
    ///
    /// # Errors
    /// Why it does not work here.
    pub fn landlock(
        spec: &SandboxSpec,
        helper: Helper,
        namespaces: bool,
    ) -> Result<Sandbox, String> {
        let mut sandbox = Sandbox::new(Rung::Landlock, spec, helper, PathBuf::new());
        sandbox.namespaces = namespaces;
        tried(sandbox)
    }

    fn off(spec: &SandboxSpec, helper: Helper) -> Sandbox {
        let mut sandbox = Sandbox::new(Rung::Off, spec, helper, PathBuf::new());
        sandbox.missing = vec![
            "nothing confines what agents run: it may read, write and reach all that you may"
                .to_owned(),
        ];
        sandbox
    }
}

fn fits(mode: SandboxMode, rung: Rung) -> bool {
    match mode {
        SandboxMode::Os => matches!(rung, Rung::Bubblewrap | Rung::Landlock),
        SandboxMode::Container => rung == Rung::Container,
        SandboxMode::Off => true,
    }
}

fn remedy(mode: SandboxMode) -> String {
    match mode {
        SandboxMode::Os => {
            "install `bubblewrap` (Debian, Fedora, Arch: package `bubblewrap`), allow user \
             namespaces, or use a kernel with Landlock (Linux 6.2 or newer)"
        }
        SandboxMode::Container => {
            "start Docker or Podman and fetch the image (`command_line_docker_image`), or use \
             `sandbox: os`"
        }
        SandboxMode::Off => "ask for `sandbox: os`",
    }
    .to_owned()
}

/// Returns where a program of the system is. Not in the folders of the user's on `PATH`:
/// whoever can write there could confine nothing in our name.
fn found(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/usr/local/bin", "/bin", "/run/current-system/sw/bin"];
    folders.into_iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// Returns the sandbox if what it runs is held back by it, with what it does not hold back.
fn tried(mut sandbox: Sandbox) -> Result<Sandbox, String> {
    let (testimony, arrived, report) = testify(&sandbox)?;
    let held = [
        (testimony.wrote_inside, "a program could not write where it may"),
        (!testimony.read_outside, "a program could read what is outside"),
        (!testimony.wrote_outside, "a program could write outside"),
        (testimony.filtered, "system calls are not filtered"),
        (!arrived, "a program could reach the network"),
    ];
    if let Some((_, what)) = held.iter().find(|(held, _)| !held) {
        return Err((*what).to_owned());
    }
    let mut missing = |what: &str| sandbox.missing.push(what.to_owned());
    if sandbox.rung == Rung::Landlock {
        missing("names, sizes and dates of files outside can be seen, their content cannot");
        if !sandbox.namespaces {
            missing("modes of files cannot be changed; dates can be, also of files outside");
            missing("the command lines of all processes can be seen");
            missing("what an agent runs outlives MassGen if its supervisor is killed by force");
        }
        if !sandbox.namespaces && testimony.landlock < 6 {
            missing("processes of the same user can be sent signals");
        }
    }
    if testimony.landlock < 6 && sandbox.rung == Rung::Bubblewrap {
        missing("with the network on, abstract sockets of this machine can be reached");
    }
    if rustix::process::geteuid().is_root() && !report.holds_processes {
        missing("the kernel does not count root's processes: they are counted by MassGen");
    }
    sandbox.landlock = testimony.landlock;
    sandbox.holds_memory = report.holds_memory;
    sandbox.holds_processes = report.holds_processes || !rustix::process::geteuid().is_root();
    Ok(sandbox)
}

/// Runs a witness in the sandbox.
fn testify(sandbox: &Sandbox) -> Result<(Testimony, bool, Report), String> {
    let failed = |error: std::io::Error| format!("cannot be tried: {error}");
    let folder = sandbox.trial().ok_or("there is no folder to try it in")?;
    let (inside, outside) = (folder.join("inside"), folder.join("outside"));
    for made in [&inside, &outside] {
        std::fs::create_dir_all(made).map_err(failed)?;
    }
    std::fs::write(outside.join("kept"), "kept").map_err(failed)?;
    let listener = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let canary = Canary {
        file: outside.join("kept"),
        inside: inside.join("made"),
        udp_port: listener.local_addr().map_err(failed)?.port(),
        process: std::process::id(),
    };
    let told = serde_json::to_string(&canary).map_err(|error| error.to_string())?;
    let (program, mut args) = sandbox.own_inside();
    args.extend(["witness".to_owned(), told]);
    let confinement = Confinement {
        cwd: inside.clone(),
        write: vec![inside.clone()],
        read: sandbox.own_folders(),
        hidden: Vec::new(),
        scratch: None,
        network: NetworkPolicy::Off,
        limits: SandboxLimits::default(),
    };
    let file = sandbox.new_report();
    let output = finish(sandbox, &confinement, &program, &args, file.path().map(Path::to_owned))?;
    let testimony = serde_json::from_str(output.trim())
        .map_err(|_| format!("said nothing of use: {:?}", output.trim()))?;
    let arrived = listener.recv(&mut [0; 16]).is_ok();
    let _ = std::fs::remove_dir_all(&folder);
    Ok((testimony, arrived, file.read().unwrap_or_default()))
}

fn container(sandbox: &Sandbox) -> Result<(), String> {
    let folder = sandbox.trial().ok_or("there is no folder to try it in")?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot be tried: {error}"))?;
    let confinement = Confinement {
        cwd: folder.clone(),
        write: vec![folder.clone()],
        read: Vec::new(),
        hidden: Vec::new(),
        scratch: None,
        network: NetworkPolicy::Off,
        limits: SandboxLimits::default(),
    };
    let said = finish(sandbox, &confinement, "echo", &["here".to_owned()], None);
    let _ = std::fs::remove_dir_all(&folder);
    match said?.trim() {
        "here" => Ok(()),
        said => Err(format!("said nothing of use: {said:?}")),
    }
}

/// Runs a program to its end and returns what it printed; what it complained of is the error.
fn finish(
    sandbox: &Sandbox,
    confinement: &Confinement,
    program: &str,
    args: &[String],
    report: Option<PathBuf>,
) -> Result<String, String> {
    let made = sandbox.make(confinement, program, args, &Default::default(), report);
    let mut command = made.map_err(|error| error.to_string())?;
    let command = command.as_std_mut();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let (said, complained) = (read(child.stdout.take()), read(child.stderr.take()));
    let said = said.recv_timeout(PROBE);
    let complained = complained.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
    let status = end(&mut child, said.is_err());
    match (said, status) {
        (Err(_), _) => Err(format!("did not end within {} s", PROBE.as_secs())),
        (Ok(said), Some(0)) => Ok(said),
        (Ok(_), _) => Err(complained.lines().last().unwrap_or("failed without a word").to_owned()),
    }
}

fn end(child: &mut Child, hangs: bool) -> Option<i32> {
    if hangs {
        let _ = child.kill();
    }
    child.wait().ok()?.code()
}

/// Reads on a thread of its own: this one waits only so long.
fn read<R: Read + Send + 'static>(pipe: Option<R>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(pipe) = pipe {
            // Of what is longer than any testimony the beginning is enough.
            let _ = pipe.take(64 << 10).read_to_end(&mut text);
        }
        let _ = send.send(String::from_utf8_lossy(&text).into_owned());
    });
    receive
}
