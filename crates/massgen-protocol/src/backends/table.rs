//! The table itself, one block a type.

use super::{BackendType, Capabilities, Status, WireFormat};
use crate::AGENT_MODEL_DEFAULT;

/// What most hosted types share.
const HOSTED: BackendType = BackendType {
    name: "",
    title: "",
    format: WireFormat::OpenAiChat,
    base_url: None,
    key_env: &[],
    default_model: None,
    local: false,
    capabilities: Capabilities::CHAT,
    catalogue: None,
    status: Status::Ready,
};

/// What servers on the user's own machine share.
const LOCAL: BackendType = BackendType { local: true, ..HOSTED };

/// What agents that are programs share; they bring their own model and login, so that a key
/// is optional.
const AGENT: BackendType = BackendType {
    format: WireFormat::Acp,
    default_model: Some(AGENT_MODEL_DEFAULT),
    capabilities: Capabilities { files: true, ..Capabilities::AGENT },
    ..LOCAL
};

/// What agents share that this build cannot reach.
const OTHER_AGENT: BackendType = BackendType {
    capabilities: Capabilities::AGENT,
    status: Status::NotInBuild { instead: NO_AGENT_PROGRAMS },
    ..HOSTED
};

const NO_AGENT_PROGRAMS: &str = "use a backend that is a model, for example `type: openai` or \
                                 `type: chatcompletion` with `base_url`, or serve the agent over \
                                 Agent2Agent with `type: a2a`";
const BY_ITS_ACP_SERVER: &str = "use `type: acp` with `command: agy_acp_server` where that is \
                                 installed, or `type: gemini_cli`";

pub(super) static TYPES: &[BackendType] = &[
    BackendType {
        name: "openai",
        title: "OpenAI",
        format: WireFormat::OpenAiResponses,
        base_url: Some("https://api.openai.com/v1"),
        key_env: &["OPENAI_API_KEY"],
        default_model: Some("gpt-5.4"),
        capabilities: Capabilities {
            web_search: true,
            code_execution: true,
            files: true,
            ..Capabilities::CHAT
        },
        catalogue: Some("openai"),
        ..HOSTED
    },
    BackendType {
        name: "claude",
        title: "Claude",
        format: WireFormat::AnthropicMessages,
        base_url: Some("https://api.anthropic.com"),
        key_env: &["ANTHROPIC_API_KEY"],
        default_model: Some("claude-opus-4-6"),
        capabilities: Capabilities {
            web_search: true,
            code_execution: true,
            files: true,
            ..Capabilities::CHAT
        },
        catalogue: Some("claude"),
        ..HOSTED
    },
    BackendType {
        name: "gemini",
        title: "Gemini",
        format: WireFormat::GeminiGenerate,
        base_url: Some("https://generativelanguage.googleapis.com"),
        key_env: &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
        default_model: Some("gemini-3-flash-preview"),
        capabilities: Capabilities {
            web_search: true,
            code_execution: true,
            files: true,
            ..Capabilities::CHAT
        },
        catalogue: Some("gemini"),
        ..HOSTED
    },
    BackendType {
        name: "grok",
        title: "Grok",
        format: WireFormat::OpenAiResponses,
        base_url: Some("https://api.x.ai/v1"),
        key_env: &["XAI_API_KEY"],
        default_model: Some("grok-4.20-0309-reasoning"),
        capabilities: Capabilities {
            web_search: true,
            x_search: true,
            code_execution: true,
            ..Capabilities::CHAT
        },
        catalogue: Some("grok"),
        ..HOSTED
    },
    // Its resources are the user's own. Those whose address ends in `/openai/v1` speak
    // Responses, the older ones Chat Completions.
    BackendType {
        name: "azure_openai",
        title: "Azure OpenAI",
        format: WireFormat::OpenAiResponses,
        key_env: &["AZURE_OPENAI_API_KEY"],
        default_model: Some("gpt-4o"),
        capabilities: Capabilities {
            web_search: true,
            code_execution: true,
            files: true,
            ..Capabilities::CHAT
        },
        catalogue: Some("azure_openai"),
        ..HOSTED
    },
    BackendType {
        name: "chatcompletion",
        title: "any server with OpenAI Chat Completions",
        base_url: Some("https://api.openai.com/v1"),
        key_env: &["OPENAI_API_KEY"],
        ..HOSTED
    },
    BackendType {
        name: "openrouter",
        title: "OpenRouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        key_env: &["OPENROUTER_API_KEY"],
        default_model: Some("openrouter/auto"),
        capabilities: Capabilities { web_search: true, files: true, ..Capabilities::CHAT },
        catalogue: Some("openrouter"),
        ..HOSTED
    },
    BackendType {
        name: "groq",
        title: "Groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        key_env: &["GROQ_API_KEY"],
        default_model: Some("llama-3.3-70b-versatile"),
        catalogue: Some("groq"),
        ..HOSTED
    },
    BackendType {
        name: "together",
        title: "Together AI",
        base_url: Some("https://api.together.xyz/v1"),
        key_env: &["TOGETHER_API_KEY"],
        default_model: Some("Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8"),
        catalogue: Some("together"),
        ..HOSTED
    },
    BackendType {
        name: "fireworks",
        title: "Fireworks AI",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        key_env: &["FIREWORKS_API_KEY"],
        default_model: Some("accounts/fireworks/models/llama-v3p3-70b-instruct"),
        ..HOSTED
    },
    BackendType {
        name: "cerebras",
        title: "Cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        key_env: &["CEREBRAS_API_KEY"],
        default_model: Some("llama-3.3-70b"),
        ..HOSTED
    },
    BackendType {
        name: "nebius",
        title: "Nebius AI Studio",
        base_url: Some("https://api.studio.nebius.ai/v1"),
        key_env: &["NEBIUS_API_KEY"],
        default_model: Some("Qwen/Qwen3-4B-fast"),
        ..HOSTED
    },
    BackendType {
        name: "moonshot",
        title: "Moonshot AI",
        base_url: Some("https://api.moonshot.cn/v1"),
        key_env: &["MOONSHOT_API_KEY", "KIMI_API_KEY"],
        default_model: Some("moonshot-v1-128k"),
        catalogue: Some("moonshot"),
        ..HOSTED
    },
    BackendType {
        name: "kimi",
        title: "Kimi (Moonshot AI)",
        base_url: Some("https://api.moonshot.cn/v1"),
        key_env: &["KIMI_API_KEY", "MOONSHOT_API_KEY"],
        default_model: Some("moonshot-v1-128k"),
        catalogue: Some("moonshot"),
        ..HOSTED
    },
    BackendType {
        name: "zai",
        title: "Z.ai",
        base_url: Some("https://api.z.ai/api/paas/v4"),
        key_env: &["ZAI_API_KEY"],
        default_model: Some("glm-4.5"),
        catalogue: Some("zai"),
        ..HOSTED
    },
    BackendType {
        name: "qwen",
        title: "Qwen (Alibaba Cloud)",
        base_url: Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        key_env: &["QWEN_API_KEY"],
        default_model: Some("qwen-max"),
        ..HOSTED
    },
    BackendType {
        name: "poe",
        title: "Poe",
        base_url: Some("https://api.poe.com/v1"),
        key_env: &["POE_API_KEY"],
        ..HOSTED
    },
    BackendType {
        name: "deepseek",
        title: "DeepSeek",
        base_url: Some("https://api.deepseek.com/v1"),
        key_env: &["DEEPSEEK_API_KEY"],
        default_model: Some("deepseek-flash"),
        catalogue: Some("deepseek"),
        ..HOSTED
    },
    BackendType {
        name: "mistral",
        title: "Mistral AI",
        base_url: Some("https://api.mistral.ai/v1"),
        key_env: &["MISTRAL_API_KEY"],
        default_model: Some("mistral-large-latest"),
        catalogue: Some("mistral"),
        ..HOSTED
    },
    BackendType {
        name: "nvidia_nim",
        title: "NVIDIA NIM",
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        key_env: &["NGC_API_KEY"],
        default_model: Some("moonshotai/kimi-k2.5"),
        ..HOSTED
    },
    BackendType {
        name: "ollama",
        title: "Ollama",
        format: WireFormat::OllamaChat,
        base_url: Some("http://localhost:11434"),
        ..LOCAL
    },
    BackendType {
        name: "lmstudio",
        title: "LM Studio",
        base_url: Some("http://localhost:1234/v1"),
        ..LOCAL
    },
    BackendType {
        name: "vllm",
        title: "vLLM",
        base_url: Some("http://localhost:8000/v1"),
        key_env: &["VLLM_API_KEY"],
        ..LOCAL
    },
    BackendType {
        name: "llamacpp",
        title: "llama.cpp",
        base_url: Some("http://localhost:8080/v1"),
        ..LOCAL
    },
    BackendType {
        name: "sglang",
        title: "SGLang",
        base_url: Some("http://localhost:30000/v1"),
        key_env: &["SGLANG_API_KEY"],
        ..LOCAL
    },
    BackendType {
        name: "inference",
        title: "vLLM or SGLang",
        base_url: Some("http://localhost:8000/v1"),
        key_env: &["VLLM_API_KEY"],
        ..LOCAL
    },
    BackendType {
        name: "scripted",
        title: "scripted model",
        format: WireFormat::Scripted,
        default_model: Some("script"),
        capabilities: Capabilities::NONE,
        ..LOCAL
    },
    BackendType { name: "acp", title: "any agent with the Agent Client Protocol", ..AGENT },
    BackendType {
        name: "claude_code",
        title: "Claude Code",
        key_env: &["CLAUDE_CODE_API_KEY", "ANTHROPIC_API_KEY"],
        catalogue: Some("claude"),
        ..AGENT
    },
    BackendType {
        name: "codex",
        title: "Codex",
        key_env: &["OPENAI_API_KEY"],
        catalogue: Some("openai"),
        ..AGENT
    },
    BackendType {
        name: "gemini_cli",
        title: "Gemini CLI",
        key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        catalogue: Some("gemini"),
        ..AGENT
    },
    BackendType { name: "goose", title: "Goose", ..AGENT },
    BackendType { name: "opencode", title: "OpenCode", ..AGENT },
    BackendType {
        name: "a2a",
        title: "any remote agent with Agent2Agent",
        format: WireFormat::A2a,
        key_env: &["A2A_API_KEY"],
        default_model: Some("agent"),
        local: true,
        status: Status::Ready,
        capabilities: Capabilities { files: true, ..Capabilities::AGENT },
        ..AGENT
    },
    BackendType {
        name: "copilot",
        title: "GitHub Copilot",
        key_env: &["COPILOT_GITHUB_TOKEN"],
        ..AGENT
    },
    BackendType {
        name: "antigravity_cli",
        title: "Antigravity CLI",
        format: WireFormat::AgentCli,
        key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        status: Status::NotInBuild { instead: BY_ITS_ACP_SERVER },
        ..OTHER_AGENT
    },
    BackendType {
        name: "uitars",
        title: "UI-TARS",
        key_env: &["UI_TARS_API_KEY"],
        status: Status::NotInBuild {
            instead: "use `type: chatcompletion` with the `base_url` of the server that runs it",
        },
        ..HOSTED
    },
    BackendType { name: "ag2", title: "AG2", format: WireFormat::PythonFramework, ..OTHER_AGENT },
    BackendType {
        name: "autogen",
        title: "AutoGen",
        format: WireFormat::PythonFramework,
        ..OTHER_AGENT
    },
];
