//! How a server is started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use massgen_protocol::{HeaderText, McpServerSpec, McpTransport, NetworkPolicy};
use massgen_sandbox::{Confinement, Sandbox};
use tokio::process::Command;

use super::failure::Redactor;
use super::reach;
use super::text;

/// Set for every server, as far as we have it ourselves: what programs need to find others, to
/// print in the user's language, and to get through to the network here.
const PASSED_ON: [&str; 26] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "USER",
    "LOGNAME",
    "SHELL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "npm_config_registry",
    "PIP_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "PYENV_VERSION",
    "PYENV_ROOT",
    "NVM_DIR",
];

/// For servers that are not confined.
const PASSED_ON_TO_TRUSTED: [&str; 5] =
    ["HOME", "TMPDIR", "XDG_RUNTIME_DIR", "DOCKER_HOST", "SSH_AUTH_SOCK"];

/// Computing time a server may use up in its life: a run is long, a loop is longer.
const CPU_SECONDS: u64 = 24 * 3_600;

/// A command, ready to be spawned.
pub(super) struct Prepared {
    pub command: Command,
    /// The sandbox's supervisor is started, and ends what it starts.
    pub supervised: bool,
}

/// One server and where it is to run.
#[derive(Clone)]
pub(super) struct Launch {
    pub spec: McpServerSpec,
    pub seat: Seat,
}

/// The place a server has: an agent's, or one of its own where all share it.
#[derive(Clone)]
pub(super) struct Seat {
    pub sandbox: Arc<Sandbox>,
    pub confinement: Confinement,
    pub workspace: Option<PathBuf>,
    /// For its home directory and its temporary files, of this server alone.
    pub scratch: PathBuf,
    /// Where launchers keep what they fetched, from run to run.
    pub cache: PathBuf,
}

impl Launch {
    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(super) fn connect(&self) -> Duration {
        Duration::from_millis(self.spec.connect_ms)
    }

    pub(super) fn redactor(&self) -> Redactor {
        Redactor::of(&self.spec.transport)
    }

    /// Returns by what servers have to take turns at starting: launchers that fetch the same
    /// thing into the same folder at the same time break it.
    pub(super) fn turn(&self) -> Option<String> {
        let McpTransport::Stdio { command, args, .. } = &self.spec.transport else { return None };
        fetches(command, args).then(|| format!("{command} {}", args.join(" ")))
    }

    /// Returns the folders that the server is told to work with.
    pub(super) fn roots(&self) -> Vec<String> {
        let McpTransport::Stdio { args, .. } = &self.spec.transport else { return Vec::new() };
        let folders = self.seat.workspace.iter().cloned().chain(reach::folders(args));
        let urls = folders.filter_map(|folder| reqwest::Url::from_file_path(folder).ok());
        let mut roots: Vec<String> = urls.map(String::from).collect();
        roots.dedup();
        roots
    }

    /// Returns the command of a server that is a child process. Makes its folders.
    pub(super) fn command(&self) -> Result<Prepared, String> {
        let McpTransport::Stdio { command, args, env, cwd } = &self.spec.transport else {
            return Err("it has an address, not a command".to_owned());
        };
        let args = &filled_in(args, env);
        let mut environment = self.environment(env);
        let path = environment.get("PATH").map(OsString::from).unwrap_or_default();
        let program = reach::find(command, &path).ok_or_else(|| {
            format!(
                "there is no program `{}`: is it installed, and on PATH?",
                text::line(command, 200)
            )
        })?;
        let cwd = match cwd {
            Some(cwd) => std::path::absolute(cwd)
                .ok()
                .filter(|cwd| cwd.is_dir())
                .ok_or_else(|| format!("its `cwd` is no folder: `{}`", text::line(cwd, 200)))?,
            None => self.seat.workspace.clone().unwrap_or_else(|| self.seat.scratch.clone()),
        };
        make(&self.seat.scratch)?;
        if self.spec.trusted {
            let mut made = Command::new(&program);
            made.args(args).env_clear().envs(&environment).current_dir(&cwd);
            return Ok(Prepared { command: made, supervised: false });
        }
        let fetches = fetches(command, args);
        if fetches {
            self.keep_what_is_fetched(args, &mut environment)?;
        }
        let confinement = self.confinement(&program, args, &path, cwd, fetches);
        let program = program.to_str().ok_or("the path of its program is no UTF-8")?;
        let command = self
            .seat
            .sandbox
            .command(&confinement, program, args, &environment)
            .map_err(|error| format!("it cannot be confined: {error}"))?;
        Ok(Prepared { command, supervised: true })
    }

    fn environment(&self, given: &BTreeMap<String, HeaderText>) -> BTreeMap<String, String> {
        let passed_on: &[&str] = if self.spec.trusted { &PASSED_ON_TO_TRUSTED } else { &[] };
        let mut environment: BTreeMap<String, String> = PASSED_ON
            .iter()
            .chain(passed_on)
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        environment
            .extend(given.iter().map(|(name, text)| (name.clone(), text.expose().to_owned())));
        environment
    }

    /// Gives launchers a folder of their own, one for each thing they fetch: the user's may be
    /// run without any confinement later, so nothing confined writes to it.
    fn keep_what_is_fetched(
        &self,
        args: &[String],
        environment: &mut BTreeMap<String, String>,
    ) -> Result<(), String> {
        let kept = self.cache(args);
        make(&kept)?;
        let kept = |name: &str| kept.join(name).to_string_lossy().into_owned();
        for (name, folder) in [
            ("npm_config_cache", "npm"),
            ("BUN_INSTALL_CACHE_DIR", "bun"),
            ("UV_CACHE_DIR", "uv"),
            ("UV_TOOL_DIR", "uv-tools"),
            ("UV_PYTHON_INSTALL_DIR", "python"),
            ("PIPX_HOME", "pipx"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_DATA_HOME", "data"),
        ] {
            environment.entry(name.to_owned()).or_insert_with(|| kept(folder));
        }
        environment.entry("npm_config_update_notifier".to_owned()).or_insert("false".to_owned());
        Ok(())
    }

    fn cache(&self, args: &[String]) -> PathBuf {
        // FNV-1a: the same in every build, so that a cache outlives one.
        let hash = args
            .iter()
            .flat_map(|arg| arg.bytes().chain([0]))
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        self.seat.cache.join(format!("{hash:016x}"))
    }

    fn confinement(
        &self,
        program: &Path,
        args: &[String],
        path: &std::ffi::OsStr,
        cwd: PathBuf,
        fetches: bool,
    ) -> Confinement {
        let mut confinement = self.seat.confinement.clone();
        let home = std::env::var_os("HOME").map(PathBuf::from);
        if fetches {
            confinement.write.push(self.cache(args));
        }
        let mut read = reach::needed(program, args, path, home.as_deref());
        read.push(cwd.clone());
        // What may be written may be read; listed twice, it may only be read.
        read.retain(|path| !confinement.write.iter().any(|above| path.starts_with(above)));
        confinement.read.extend(read);
        // Its home directory, and where its temporary files go.
        confinement.scratch = Some(self.seat.scratch.clone());
        confinement.cwd = cwd;
        if fetches || self.has_keys() {
            confinement.network = NetworkPolicy::On;
        }
        confinement.limits.cpu_seconds = confinement.limits.cpu_seconds.max(CPU_SECONDS);
        confinement
    }

    /// Returns whether the config hands it something from the environment: a key to a service,
    /// which it cannot use without a network.
    fn has_keys(&self) -> bool {
        let McpTransport::Stdio { env, .. } = &self.spec.transport else { return false };
        env.values().any(|text| matches!(text, HeaderText::Expanded { .. }))
    }
}

/// Returns whether a program fetches what it runs.
fn fetches(command: &str, args: &[String]) -> bool {
    let name = Path::new(command).file_name().and_then(std::ffi::OsStr::to_str).unwrap_or(command);
    let first = args.iter().find(|arg| !arg.starts_with('-')).map(String::as_str);
    match name {
        "npx" | "bunx" | "pnpx" | "uvx" => true,
        "npm" => matches!(first, Some("exec" | "x")),
        "pnpm" | "yarn" => first == Some("dlx"),
        "bun" => first == Some("x"),
        "uv" => matches!(first, Some("run" | "tool")),
        "pipx" => first == Some("run"),
        _ => false,
    }
}

fn make(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("its folder `{}` cannot be made: {error}", folder.display()))
}

/// Puts secrets into the arguments that name them: the config keeps them in the environment
/// of the server alone, because arguments are written down.
fn filled_in(args: &[String], env: &BTreeMap<String, HeaderText>) -> Vec<String> {
    let fill = |arg: &String| {
        env.iter().filter(|_| arg.contains("${")).fold(arg.clone(), |arg, (name, text)| {
            arg.replace(&format!("${{{name}}}"), text.expose())
        })
    };
    args.iter().map(fill).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_known_by_what_they_do() {
        let check = |line: &str, expected: bool| {
            let mut words = line.split(' ').map(str::to_owned);
            let command = words.next().unwrap();
            let args: Vec<String> = words.collect();
            assert_eq!(fetches(&command, &args), expected, "{line}");
        };
        check("npx -y @x/server", true);
        check("/usr/bin/npx @x/server", true);
        check("uvx mcp-server-time", true);
        check("npm exec @x/server", true);
        check("npm run server", false);
        check("uv run server.py", true);
        check("uv --directory /x tool run server", false);
        check("node server.js", false);
        check("python3 -m server", false);
    }

    #[test]
    fn secrets_stand_in_arguments_by_name() {
        let env = BTreeMap::from([
            ("TOKEN".to_owned(), HeaderText::Plain { value: "t0k".to_owned() }),
            ("OTHER".to_owned(), HeaderText::Plain { value: "o".to_owned() }),
        ]);
        let args = ["--token=${TOKEN}", "${NOT_GIVEN}", "$TOKEN", "${TOKEN}${OTHER}"];
        let args: Vec<String> = args.map(str::to_owned).to_vec();
        assert_eq!(filled_in(&args, &env), ["--token=t0k", "${NOT_GIVEN}", "$TOKEN", "t0ko"]);
    }
}
