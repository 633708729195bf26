//! Types of backend by name: where each is reached, with which key, in which format.
//!
//! Data only, in one table, because both the config (which checks what a user
//! wrote) and the models (which make the calls) must agree on it. A type that
//! exists in MassGen but cannot be called by this build is in the table too, so
//! that it can be told apart from a misspelling.

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendType {
    /// The `type` of a config.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    pub format: WireFormat,
    /// Root of the API without a trailing slash; `None` if the config must give one.
    pub base_url: Option<&'static str>,
    /// Environment variables that may hold the key, the first that is set wins.
    /// On a `local` type a key is optional.
    pub key_env: &'static [&'static str],
    /// Model taken where the config names none; `None` if it must name one.
    pub default_model: Option<&'static str>,
    /// Runs on the user's own machine by default and asks for no key.
    pub local: bool,
    pub status: Status,
}

/// How a backend is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFormat {
    OpenAiChat,
    OpenAiResponses,
    AnthropicMessages,
    GeminiGenerate,
    /// Ollama's own API, in which the context size can be set.
    OllamaChat,
    /// An agent of another maker, run as a child process that speaks the Agent Client Protocol.
    Acp,
    /// An agent of another maker behind HTTP that speaks Agent2Agent.
    A2a,
    /// A command line program of another maker that speaks no protocol of ours.
    AgentCli,
    /// A framework that exists in Python only.
    PythonFramework,
    /// No network: replies come from a script file.
    Scripted,
}

/// Whether this build can call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ready,
    /// It can be called, with a difference its user should know.
    Interim {
        note: &'static str,
    },
    /// It is known and not in this build; `instead` says what works today.
    NotInBuild {
        instead: &'static str,
    },
}

impl BackendType {
    pub fn is_callable(&self) -> bool {
        match self.status {
            Status::Ready | Status::Interim { .. } => true,
            Status::NotInBuild { .. } => false,
        }
    }

    /// Returns whether a call is refused without a key.
    pub fn needs_key(&self) -> bool {
        !self.local && !self.key_env.is_empty()
    }
}

/// Returns every type, callable or not, in the order they are shown to people.
pub fn backend_types() -> &'static [BackendType] {
    TYPES
}

/// Returns the type of this exact name.
pub fn backend_type(name: &str) -> Option<&'static BackendType> {
    TYPES.iter().find(|backend| backend.name == name)
}

/// Returns the type that serves a model of this name, where the name tells.
///
/// Names with `:` or `/` (`deepseek-r1:7b`, `meta-llama/…`) belong to local
/// servers and resellers; they tell nothing. Neither do models with open
/// weights (`gpt-oss-120b`), which everybody serves.
pub fn infer_backend_type(model: &str) -> Option<&'static BackendType> {
    let model = model.to_ascii_lowercase();
    if model.contains([':', '/']) || model.starts_with("gpt-oss") {
        return None;
    }
    let reasoning_series = model
        .strip_prefix('o')
        .is_some_and(|rest| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit()));
    if reasoning_series {
        return backend_type("openai");
    }
    let (_, name) = PREFIXES.iter().find(|(prefix, _)| model.starts_with(prefix))?;
    backend_type(name)
}

/// Returns the hosted type whose servers this URL names, so that a
/// `chatcompletion` backend with only a `base_url` finds its key.
pub fn backend_type_of_url(base_url: &str) -> Option<&'static BackendType> {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let names = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    let (_, name) = HOSTS.iter().find(|(domain, _)| names(domain))?;
    backend_type(name)
}

const PREFIXES: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("claude-", "claude"),
    ("gemini-", "gemini"),
    ("grok-", "grok"),
    ("glm-", "zai"),
    ("deepseek-", "deepseek"),
    ("mistral-", "mistral"),
    ("magistral-", "mistral"),
    ("codestral-", "mistral"),
    ("ministral-", "mistral"),
    ("moonshot-", "moonshot"),
    ("kimi-", "moonshot"),
    ("qwen-", "qwen"),
];

const HOSTS: &[(&str, &str)] = &[
    ("openai.com", "openai"),
    ("openrouter.ai", "openrouter"),
    ("groq.com", "groq"),
    ("together.xyz", "together"),
    ("together.ai", "together"),
    ("fireworks.ai", "fireworks"),
    ("cerebras.ai", "cerebras"),
    ("nebius.ai", "nebius"),
    ("nebius.com", "nebius"),
    ("moonshot.ai", "moonshot"),
    ("moonshot.cn", "moonshot"),
    ("z.ai", "zai"),
    ("bigmodel.cn", "zai"),
    ("aliyuncs.com", "qwen"),
    ("poe.com", "poe"),
    ("deepseek.com", "deepseek"),
    ("mistral.ai", "mistral"),
    ("nvidia.com", "nvidia_nim"),
];

const fn hosted(
    name: &'static str,
    title: &'static str,
    base_url: &'static str,
    key_env: &'static [&'static str],
    default_model: Option<&'static str>,
) -> BackendType {
    BackendType {
        name,
        title,
        format: WireFormat::OpenAiChat,
        base_url: Some(base_url),
        key_env,
        default_model,
        local: false,
        status: Status::Ready,
    }
}

const fn on_this_machine(
    name: &'static str,
    title: &'static str,
    base_url: &'static str,
    key_env: &'static [&'static str],
) -> BackendType {
    BackendType {
        name,
        title,
        format: WireFormat::OpenAiChat,
        base_url: Some(base_url),
        key_env,
        default_model: None,
        local: true,
        status: Status::Ready,
    }
}

const fn not_in_build(
    name: &'static str,
    title: &'static str,
    format: WireFormat,
    key_env: &'static [&'static str],
    default_model: Option<&'static str>,
    instead: &'static str,
) -> BackendType {
    BackendType {
        name,
        title,
        format,
        base_url: None,
        key_env,
        default_model,
        local: false,
        status: Status::NotInBuild { instead },
    }
}

const BY_OPENROUTER: &str = "reach its models with `type: openrouter`, or through any server that \
                             speaks OpenAI Chat Completions with `type: chatcompletion` and \
                             `base_url`";
const NO_AGENT_PROGRAMS: &str = "use a backend that is a model, for example `type: openai` or \
                                 `type: chatcompletion` with `base_url`";

static TYPES: &[BackendType] = &[
    BackendType {
        name: "openai",
        title: "OpenAI",
        format: WireFormat::OpenAiChat,
        base_url: Some("https://api.openai.com/v1"),
        key_env: &["OPENAI_API_KEY"],
        default_model: Some("gpt-5.4"),
        local: false,
        status: Status::Interim {
            note: "called through Chat Completions; built-in tools of the Responses API are not \
                   in this build",
        },
    },
    BackendType {
        name: "chatcompletion",
        title: "any server with OpenAI Chat Completions",
        format: WireFormat::OpenAiChat,
        base_url: Some("https://api.openai.com/v1"),
        key_env: &["OPENAI_API_KEY"],
        default_model: None,
        local: false,
        status: Status::Ready,
    },
    hosted(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        &["OPENROUTER_API_KEY"],
        Some("openrouter/auto"),
    ),
    hosted(
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        &["GROQ_API_KEY"],
        Some("llama-3.3-70b-versatile"),
    ),
    hosted(
        "together",
        "Together AI",
        "https://api.together.xyz/v1",
        &["TOGETHER_API_KEY"],
        Some("Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8"),
    ),
    hosted(
        "fireworks",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY"],
        Some("accounts/fireworks/models/llama-v3p3-70b-instruct"),
    ),
    hosted(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        &["CEREBRAS_API_KEY"],
        Some("llama-3.3-70b"),
    ),
    hosted(
        "nebius",
        "Nebius AI Studio",
        "https://api.studio.nebius.ai/v1",
        &["NEBIUS_API_KEY"],
        Some("Qwen/Qwen3-4B-fast"),
    ),
    hosted(
        "moonshot",
        "Moonshot AI",
        "https://api.moonshot.cn/v1",
        &["MOONSHOT_API_KEY", "KIMI_API_KEY"],
        Some("moonshot-v1-128k"),
    ),
    hosted(
        "kimi",
        "Kimi (Moonshot AI)",
        "https://api.moonshot.cn/v1",
        &["KIMI_API_KEY", "MOONSHOT_API_KEY"],
        Some("moonshot-v1-128k"),
    ),
    hosted("zai", "Z.ai", "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"], Some("glm-4.5")),
    hosted(
        "qwen",
        "Qwen (Alibaba Cloud)",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["QWEN_API_KEY"],
        Some("qwen-max"),
    ),
    hosted("poe", "Poe", "https://api.poe.com/v1", &["POE_API_KEY"], None),
    hosted(
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com/v1",
        &["DEEPSEEK_API_KEY"],
        Some("deepseek-chat"),
    ),
    hosted(
        "mistral",
        "Mistral AI",
        "https://api.mistral.ai/v1",
        &["MISTRAL_API_KEY"],
        Some("mistral-large-latest"),
    ),
    hosted(
        "nvidia_nim",
        "NVIDIA NIM",
        "https://integrate.api.nvidia.com/v1",
        &["NGC_API_KEY"],
        Some("moonshotai/kimi-k2.5"),
    ),
    on_this_machine("ollama", "Ollama", "http://localhost:11434/v1", &[]),
    on_this_machine("lmstudio", "LM Studio", "http://localhost:1234/v1", &[]),
    on_this_machine("vllm", "vLLM", "http://localhost:8000/v1", &["VLLM_API_KEY"]),
    on_this_machine("llamacpp", "llama.cpp", "http://localhost:8080/v1", &[]),
    on_this_machine("sglang", "SGLang", "http://localhost:30000/v1", &["SGLANG_API_KEY"]),
    on_this_machine("inference", "vLLM or SGLang", "http://localhost:8000/v1", &["VLLM_API_KEY"]),
    BackendType {
        name: "scripted",
        title: "scripted model",
        format: WireFormat::Scripted,
        base_url: None,
        key_env: &[],
        default_model: Some("script"),
        local: true,
        status: Status::Ready,
    },
    not_in_build(
        "claude",
        "Claude",
        WireFormat::AnthropicMessages,
        &["ANTHROPIC_API_KEY"],
        Some("claude-opus-4-6"),
        BY_OPENROUTER,
    ),
    not_in_build(
        "gemini",
        "Gemini",
        WireFormat::GeminiGenerate,
        &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
        Some("gemini-3-flash-preview"),
        BY_OPENROUTER,
    ),
    not_in_build(
        "grok",
        "Grok",
        WireFormat::OpenAiResponses,
        &["XAI_API_KEY"],
        Some("grok-4.20-0309-reasoning"),
        BY_OPENROUTER,
    ),
    not_in_build(
        "azure_openai",
        "Azure OpenAI",
        WireFormat::OpenAiChat,
        &["AZURE_OPENAI_API_KEY"],
        Some("gpt-4o"),
        "use `type: chatcompletion` with the resource's `/openai/v1` address as `base_url`",
    ),
    not_in_build(
        "claude_code",
        "Claude Code",
        WireFormat::AgentCli,
        &["CLAUDE_CODE_API_KEY", "ANTHROPIC_API_KEY"],
        None,
        NO_AGENT_PROGRAMS,
    ),
    not_in_build(
        "codex",
        "Codex",
        WireFormat::AgentCli,
        &["OPENAI_API_KEY"],
        None,
        NO_AGENT_PROGRAMS,
    ),
    not_in_build(
        "gemini_cli",
        "Gemini CLI",
        WireFormat::AgentCli,
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        None,
        NO_AGENT_PROGRAMS,
    ),
    not_in_build(
        "antigravity_cli",
        "Antigravity CLI",
        WireFormat::AgentCli,
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        None,
        NO_AGENT_PROGRAMS,
    ),
    not_in_build("copilot", "GitHub Copilot", WireFormat::AgentCli, &[], None, NO_AGENT_PROGRAMS),
    not_in_build(
        "uitars",
        "UI-TARS",
        WireFormat::OpenAiChat,
        &["UI_TARS_API_KEY"],
        None,
        "use `type: chatcompletion` with the `base_url` of the server that runs it",
    ),
    not_in_build("ag2", "AG2", WireFormat::PythonFramework, &[], None, NO_AGENT_PROGRAMS),
    not_in_build("autogen", "AutoGen", WireFormat::PythonFramework, &[], None, NO_AGENT_PROGRAMS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_reference_resolves() {
        for (n, backend) in TYPES.iter().enumerate() {
            assert!(
                TYPES[..n].iter().all(|other| other.name != backend.name),
                "`{}` twice",
                backend.name
            );
            if let Some(url) = backend.base_url {
                assert!(!url.ends_with('/') && url.contains("://"), "{url}");
            }
        }
        for (_, name) in PREFIXES.iter().chain(HOSTS) {
            assert!(backend_type(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_model_name_tells_its_backend_where_it_can() {
        let check = |model: &str, expected: Option<&str>| {
            assert_eq!(infer_backend_type(model).map(|backend| backend.name), expected, "{model}");
        };
        check("gpt-5.4", Some("openai"));
        check("GPT-4o-mini", Some("openai"));
        check("o4-mini", Some("openai"));
        check("claude-opus-4-6", Some("claude"));
        check("gemini-2.5-flash", Some("gemini"));
        check("grok-4", Some("grok"));
        check("glm-4.5-air", Some("zai"));
        check("deepseek-chat", Some("deepseek"));
        check("kimi-k2", Some("moonshot"));
        check("deepseek-r1:7b", None);
        check("gpt-oss-120b", None);
        check("meta-llama/Llama-3.3-70B", None);
        check("olmo-2", None);
        check("o", None);
        check("", None);
        check("ö3", None);
    }

    #[test]
    fn a_url_tells_its_backend_by_whole_domain() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(backend_type_of_url(url).map(|backend| backend.name), expected, "{url}");
        };
        check("https://api.studio.nebius.ai/v1/", Some("nebius"));
        check("https://api.openai.com:443/v1", Some("openai"));
        check("https://api.z.ai/api/paas/v4", Some("zai"));
        check("https://xyz.ai/v1", None);
        check("https://notgroq.com/v1", None);
        check("http://localhost:8000/v1", None);
        check("https://evil.test/api.openai.com", None);
        check("https://api.openai.com@evil.test/", None);
        check("", None);
    }
}
