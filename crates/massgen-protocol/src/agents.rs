//! The agents of other makers that are programs: how each is started, and what its user has to do.
//!
//! All of them speak the Agent Client Protocol over their standard streams, so one backend
//! drives them all; a row says what differs.

/// How one agent is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentProgram {
    /// The `type` of a config.
    pub kind: &'static str,
    /// Found by `PATH`.
    pub command: &'static str,
    pub args: &'static [&'static str],
    /// Taken where `command` is not installed: the program is fetched, then started.
    pub fetched: Option<(&'static str, &'static [&'static str])>,
    /// Set unless the user has set it: what it needs to be one of a team.
    pub env: &'static [(&'static str, &'static str)],
    /// Environment variable it reads a key from.
    pub key: Option<&'static str>,
    /// Its ways to log in with that key, which it wants to be told; most read it unasked.
    pub key_logins: &'static [&'static str],
    /// For people: what installs it.
    pub install: &'static str,
    /// For people: what logs in, besides setting a key.
    pub login: &'static str,
    /// How it is told which model to use when it is started. Where it also offers models over the
    /// protocol it is told there.
    pub model: ModelWish,
}

/// How a program takes the model's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelWish {
    /// Over the protocol only.
    Protocol,
    /// After this flag.
    Flag(&'static str),
    /// As `prefix` with the name behind it, after this flag.
    Setting { flag: &'static str, prefix: &'static str },
    /// In this environment variable.
    Variable(&'static str),
}

/// The model of an agent that names none: its own choice.
pub const AGENT_MODEL_DEFAULT: &str = "default";

/// Returns every agent with a known program, in the order they are shown to people.
pub fn agent_programs() -> &'static [AgentProgram] {
    PROGRAMS
}

/// Returns how the agent of this backend type is started; `None` if the config must say it.
pub fn agent_program(kind: &str) -> Option<&'static AgentProgram> {
    PROGRAMS.iter().find(|program| program.kind == kind)
}

static PROGRAMS: &[AgentProgram] = &[
    AgentProgram {
        kind: "claude_code",
        command: "claude-agent-acp",
        args: &[],
        fetched: Some(("npx", &["-y", "@agentclientprotocol/claude-agent-acp"])),
        env: &[],
        key: Some("ANTHROPIC_API_KEY"),
        key_logins: &[],
        install: "npm install -g @agentclientprotocol/claude-agent-acp",
        login: "run `claude` once and log in",
        model: ModelWish::Variable("ANTHROPIC_MODEL"),
    },
    AgentProgram {
        kind: "codex",
        command: "codex-acp",
        args: &[],
        fetched: Some(("npx", &["-y", "@agentclientprotocol/codex-acp"])),
        env: &[],
        key: Some("OPENAI_API_KEY"),
        key_logins: &["api-key", "openai-api-key"],
        install: "npm install -g @agentclientprotocol/codex-acp",
        login: "run `codex login`",
        model: ModelWish::Setting { flag: "-c", prefix: "model=" },
    },
    AgentProgram {
        kind: "gemini_cli",
        command: "gemini",
        args: &["--acp"],
        fetched: Some(("npx", &["-y", "@google/gemini-cli", "--acp"])),
        // It starts no tool server in a folder nobody has called trusted.
        env: &[("GEMINI_CLI_TRUST_WORKSPACE", "true")],
        key: Some("GEMINI_API_KEY"),
        key_logins: &[],
        install: "npm install -g @google/gemini-cli",
        login: "run `gemini` once and log in",
        model: ModelWish::Flag("--model"),
    },
    AgentProgram {
        kind: "goose",
        command: "goose",
        args: &["acp"],
        fetched: None,
        env: &[],
        key: None,
        key_logins: &[],
        install: "see the installation page of Goose's documentation",
        login: "run `goose configure`",
        model: ModelWish::Variable("GOOSE_MODEL"),
    },
    AgentProgram {
        kind: "opencode",
        command: "opencode",
        args: &["acp"],
        fetched: Some(("npx", &["-y", "opencode-ai", "acp"])),
        env: &[],
        key: None,
        key_logins: &[],
        install: "npm install -g opencode-ai",
        login: "run `opencode auth login`",
        model: ModelWish::Protocol,
    },
    AgentProgram {
        kind: "copilot",
        command: "copilot",
        args: &["--acp"],
        fetched: Some(("npx", &["-y", "@github/copilot", "--acp"])),
        env: &[],
        key: Some("COPILOT_GITHUB_TOKEN"),
        key_logins: &[],
        install: "npm install -g @github/copilot",
        login: "run `copilot` once and log in",
        model: ModelWish::Flag("--model"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WireFormat, backend_type, backend_types};

    #[test]
    fn programs_and_backend_types_name_the_same_agents() {
        for program in PROGRAMS {
            let format = backend_type(program.kind).map(|backend| backend.format);
            assert_eq!(format, Some(WireFormat::Acp), "{}", program.kind);
        }
        for backend in backend_types().iter().filter(|backend| backend.format == WireFormat::Acp) {
            let is_generic = backend.name == "acp";
            assert!(is_generic != agent_program(backend.name).is_some(), "{}", backend.name);
        }
    }
}
