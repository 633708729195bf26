//! How bad the worst of a call may be.
//!
//! What runs is confined to the agent's own folders, and these are kept with each answer, so
//! most of what a command does can be undone. What leaves the machine cannot.

use massgen_protocol::ToolEffect;

use super::shell::{Part, Script};

/// From harmless to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    Read,
    /// Changes files of the agent's own.
    Undoable,
    /// Reads from the network: what is asked for is seen there.
    Network,
    /// Changes something that nobody keeps a copy of.
    Irreversible,
}

impl Risk {
    pub fn name(self) -> &'static str {
        match self {
            Risk::Read => "read",
            Risk::Undoable => "undoable",
            Risk::Network => "network",
            Risk::Irreversible => "irreversible",
        }
    }

    /// Why somebody is asked.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Risk::Read => "it only reads",
            Risk::Undoable => "it changes files",
            Risk::Network => "it reaches the network",
            Risk::Irreversible => "it cannot be undone",
        }
    }
}

/// Of a tool that nothing is known of but its effect.
pub(super) fn of_effect(effect: ToolEffect) -> Risk {
    match effect {
        ToolEffect::Read => Risk::Read,
        ToolEffect::Write => Risk::Undoable,
        ToolEffect::Irreversible => Risk::Irreversible,
    }
}

/// Of a whole line. `is_confined`: a sandbox keeps it to the agent's own folders.
pub(super) fn of_script(script: &Script, is_confined: bool) -> Risk {
    let files = if script.writes.is_empty() { Risk::Read } else { Risk::Undoable };
    let parts = script.parts.iter().map(|part| of_part(part, is_confined));
    let opaque = if script.is_opaque { Risk::Irreversible } else { Risk::Read };
    parts.chain([files, opaque]).max().unwrap_or(Risk::Read)
}

/// Of one command.
pub(super) fn of_part(part: &Part, is_confined: bool) -> Risk {
    let unknown = if is_confined { Risk::Undoable } else { Risk::Irreversible };
    if part.name.is_none() || part.runs_input {
        return Risk::Irreversible;
    }
    let mut commands = part.commands().into_iter();
    let own = commands.next().map(|(name, arguments)| of_command(name, arguments));
    // Only what is known to be bad counts of what another command might run.
    let inner = commands.filter_map(|(name, arguments)| of_command(name, arguments)).max();
    let own = own.flatten().unwrap_or(unknown);
    inner.map_or(own, |inner| own.max(inner))
}

const READING: &[&str] = &[
    "[",
    "[[",
    "basename",
    "cal",
    "cat",
    "cd",
    "cmp",
    "column",
    "comm",
    "cut",
    "date",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "egrep",
    "expr",
    "false",
    "fgrep",
    "file",
    "fold",
    "grep",
    "head",
    "hexdump",
    "hostname",
    "id",
    "jq",
    "less",
    "ls",
    "md5sum",
    "more",
    "nl",
    "nproc",
    "od",
    "paste",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rev",
    "rg",
    "seq",
    "sha1sum",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "strings",
    "tac",
    "tail",
    "test",
    "tr",
    "tree",
    "true",
    "type",
    "uname",
    "uniq",
    "wc",
    "which",
    "whoami",
    "xxd",
    ":",
];

const SENDING: &[&str] = &[
    "aws",
    "az",
    "crontab",
    "dd",
    "doas",
    "fdisk",
    "ftp",
    "gcloud",
    "halt",
    "heroku",
    "mail",
    "mkfs",
    "mount",
    "mysql",
    "nc",
    "ncat",
    "netcat",
    "poweroff",
    "psql",
    "reboot",
    "sendmail",
    "sftp",
    "shutdown",
    "socat",
    "ssh",
    "su",
    "sudo",
    "systemctl",
    "telnet",
    "twine",
    "umount",
    "vercel",
    "scp",
];

const FETCHING: &[&str] = &[
    "apk",
    "apt",
    "apt-get",
    "bunx",
    "dig",
    "dnf",
    "host",
    "npx",
    "nslookup",
    "ping",
    "pipx",
    "pnpx",
    "traceroute",
    "uvx",
    "wget",
    "whois",
    "yum",
];

/// `None`: nothing is known of it.
fn of_command(name: &str, arguments: &[String]) -> Option<Risk> {
    if is_in(READING, name) {
        return Some(Risk::Read);
    }
    if is_in(SENDING, name) || name.starts_with("mkfs.") {
        return Some(Risk::Irreversible);
    }
    let has = |wanted: &[&str]| arguments.iter().any(|word| is_in(wanted, word));
    let begins = |wanted: &[&str]| {
        arguments.iter().any(|word| wanted.iter().any(|wanted| word.starts_with(wanted)))
    };
    let verb = arguments.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    let risk = match name {
        "git" => of_git(arguments),
        "curl" => of_curl(arguments),
        "wget" if begins(&["--post", "--method", "--body"]) => Risk::Irreversible,
        "http" | "https" | "xh" => Risk::Irreversible,
        "rsync" if arguments.iter().any(|word| word.contains(':')) => Risk::Irreversible,
        "rm" | "rmdir" | "shred" | "mv" | "chmod" | "chown" if reaches_out(arguments) => {
            Risk::Irreversible
        }
        "rm" | "rmdir" | "mv" | "cp" | "mkdir" | "touch" | "ln" | "tee" => Risk::Undoable,
        "find" if has(&["-delete", "-exec", "-execdir", "-ok", "-okdir", "-fprint"]) => {
            Risk::Undoable
        }
        "find" => Risk::Read,
        "sed" if begins(&["-i", "--in-place"]) => Risk::Undoable,
        "sed" => Risk::Read,
        "pip" | "pip3" | "uv" | "poetry" | "conda" if verb == "publish" => Risk::Irreversible,
        "pip" | "pip3" | "uv" | "poetry" | "conda"
            if has(&["install", "download", "add", "sync", "update", "lock", "tool"]) =>
        {
            Risk::Network
        }
        "npm" | "pnpm" | "yarn" | "bun"
            if has(&["publish", "unpublish", "deprecate", "dist-tag", "owner", "login"]) =>
        {
            Risk::Irreversible
        }
        "npm" | "pnpm" | "yarn" | "bun"
            if has(&["install", "i", "ci", "add", "update", "dlx", "exec", "create", "x"]) =>
        {
            Risk::Network
        }
        "cargo" if has(&["publish", "yank", "owner", "login"]) => Risk::Irreversible,
        "cargo" if has(&["install", "add", "fetch", "update", "search"]) => Risk::Network,
        "gem" if verb == "push" => Risk::Irreversible,
        "gem" | "bundle" | "brew" | "composer" if begins(&["install", "update"]) => Risk::Network,
        "go" if has(&["get", "install", "download"]) => Risk::Network,
        "docker" | "podman" if has(&["pull", "search"]) => Risk::Network,
        "docker" | "podman" if has(&["ps", "images", "logs", "inspect"]) => Risk::Read,
        "docker" | "podman" => Risk::Irreversible,
        "kubectl" | "helm" if matches!(verb, "get" | "describe" | "logs" | "list" | "status") => {
            Risk::Network
        }
        "terraform" | "tofu" if matches!(verb, "fmt" | "validate") => Risk::Undoable,
        "kubectl" | "helm" | "terraform" | "tofu" | "pulumi" | "ansible" | "ansible-playbook" => {
            Risk::Irreversible
        }
        "gh" | "glab" if has(&["view", "list", "status", "diff", "checks"]) => Risk::Network,
        "gh" | "glab" => Risk::Irreversible,
        _ if is_in(FETCHING, name) => Risk::Network,
        _ => return None,
    };
    Some(risk)
}

fn of_git(arguments: &[String]) -> Risk {
    let mut rest = arguments;
    while let Some(option) = rest.first().filter(|word| word.starts_with('-')) {
        let takes_word = matches!(option.as_str(), "-C" | "-c" | "--git-dir" | "--work-tree");
        rest = &rest[rest.len().min(1 + usize::from(takes_word))..];
    }
    let Some((verb, rest)) = rest.split_first() else { return Risk::Read };
    match verb.as_str() {
        "push" | "send-email" | "svn" => Risk::Irreversible,
        "clone" | "fetch" | "pull" | "ls-remote" | "submodule" => Risk::Network,
        "blame" | "cat-file" | "describe" | "diff" | "grep" | "log" | "ls-files" | "ls-tree"
        | "rev-list" | "rev-parse" | "shortlog" | "show" | "status" | "version" => Risk::Read,
        "branch" | "tag" | "remote" if rest.is_empty() => Risk::Read,
        _ => Risk::Undoable,
    }
}

fn of_curl(arguments: &[String]) -> Risk {
    let sends = |word: &String| {
        let is_short = |letters: &str| {
            word.starts_with('-')
                && !word.starts_with("--")
                && word.chars().skip(1).any(|c| letters.contains(c))
        };
        let is_long = ["--data", "--form", "--json", "--upload-file"]
            .iter()
            .any(|long| word.starts_with(long));
        is_long || is_short("dFT")
    };
    let methods = ["POST", "PUT", "PATCH", "DELETE"];
    let changes = |word: &String| methods.iter().any(|method| word.ends_with(method));
    if arguments.iter().any(sends) || arguments.iter().any(changes) {
        return Risk::Irreversible;
    }
    Risk::Network
}

/// Paths that lead out of the folder a command runs in.
fn reaches_out(arguments: &[String]) -> bool {
    let is_out = |word: &String| {
        let path = word.trim_end_matches('*');
        path.starts_with(['/', '~', '$'])
            || path.split('/').any(|piece| piece == "..")
            || matches!(path, "." | "./")
    };
    arguments.iter().filter(|word| !word.starts_with('-')).any(is_out)
}

fn is_in(list: &[&str], word: &str) -> bool {
    list.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::shell::split;

    #[test]
    fn a_line_is_as_bad_as_its_worst_command() {
        use Risk::{Irreversible, Network, Read, Undoable};
        for (line, expected) in [
            ("", Read),
            ("ls -la", Read),
            ("cat a | grep b | wc -l", Read),
            ("cd x && ls", Read),
            ("git status", Read),
            ("git -C x --no-pager log", Read),
            ("git branch", Read),
            ("git branch -D x", Undoable),
            ("git commit -m x", Undoable),
            ("git push", Irreversible),
            ("git -C x push origin", Irreversible),
            ("git pull", Network),
            ("find . -name x", Read),
            ("find . -delete", Undoable),
            ("sed s/a/b/ x", Read),
            ("sed -i s/a/b/ x", Undoable),
            ("echo x > f", Undoable),
            ("python analysis.py", Undoable),
            ("make test", Undoable),
            ("rm -rf build", Undoable),
            ("rm -rf /", Irreversible),
            ("rm -rf ~/x", Irreversible),
            ("rm -rf ../agent2", Irreversible),
            ("rm -rf $DIR", Irreversible),
            ("rm -rf .", Irreversible),
            ("curl https://a.example", Network),
            ("curl -d x=1 https://a.example", Irreversible),
            ("curl -sX POST https://a.example", Irreversible),
            ("curl --json '{}' https://a.example", Irreversible),
            ("wget https://a.example", Network),
            ("wget --post-data=x https://a.example", Irreversible),
            ("pip install pandas", Network),
            ("npm ci", Network),
            ("npm test", Undoable),
            ("npm publish", Irreversible),
            ("cargo publish", Irreversible),
            ("cargo build", Undoable),
            ("docker run x", Irreversible),
            ("kubectl get pods", Network),
            ("kubectl delete pod x", Irreversible),
            ("terraform apply", Irreversible),
            ("gh pr list", Network),
            ("gh pr merge 1", Irreversible),
            ("sudo ls", Irreversible),
            ("ssh host ls", Irreversible),
            ("timeout 5 git push", Irreversible),
            ("env A=1 ls", Undoable),
            ("xargs curl", Undoable.max(Network)),
            ("ls | sh", Irreversible),
            ("curl x | bash", Irreversible),
            ("bash -c 'git push'", Irreversible),
            ("ls; $X", Irreversible),
            ("echo 'unclosed", Irreversible),
            ("mkfs.ext4 /dev/sda", Irreversible),
        ] {
            assert_eq!(of_script(&split(line), true), expected, "{line}");
        }
    }

    #[test]
    fn what_nobody_confines_nobody_undoes() {
        assert_eq!(of_script(&split("python x.py"), true), Risk::Undoable);
        assert_eq!(of_script(&split("python x.py"), false), Risk::Irreversible);
        assert_eq!(of_script(&split("ls"), false), Risk::Read);
    }
}
