//! Every key by section: those that are read here, and those that MassGen knows
//! and this version does nothing with. Data only, so that a key is found in one place.

mod ignored;
mod tools;

use crate::suggest::nearest;
use ignored::{
    AGENT_IGNORED, BACKEND_IGNORED, COORDINATION_IGNORED, ORCHESTRATOR_IGNORED, TOP_IGNORED,
};

pub(crate) use tools::{
    CONTEXT_PATH, CUSTOM_TOOL, HOOK, HOOK_EVENTS, HOOK_LIST, MCP_SECURITY, MCP_SERVER,
    PERMISSION_RULES, PERMISSIONS, SANDBOX, SANDBOX_LIMITS, SANDBOX_OF_AGENT,
};

/// The keys of one section.
#[derive(Debug)]
pub(crate) struct SectionKeys {
    /// Where it stands, for people.
    pub name: &'static str,
    /// Keys that have an effect.
    pub read: &'static [&'static str],
    /// Keys that MassGen knows and that have none here.
    pub ignored: &'static [&'static str],
}

pub(crate) static TOP: SectionKeys = SectionKeys {
    name: "the top level",
    read: &["agents", "agent", "orchestrator", "timeout_settings", "prompt", "rate_limits"],
    ignored: TOP_IGNORED,
};

pub(crate) static AGENT: SectionKeys = SectionKeys {
    name: "an agent",
    read: &["id", "backend", "system_message", "voting_sensitivity"],
    ignored: AGENT_IGNORED,
};

pub(crate) static BACKEND: SectionKeys = SectionKeys {
    name: "`backend`",
    read: &[
        "type",
        "model",
        "base_url",
        "azure_endpoint",
        "api_version",
        "azure_deployment",
        "agent_url",
        "url",
        "api_key",
        "organization",
        "headers",
        "default_headers",
        "extra_headers",
        "max_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "context_window",
        "num_ctx",
        "prices",
        "rate_limits",
        "tries_max",
        "fallbacks",
        "fallback_models",
        "script",
        "command",
        "args",
        "env",
        "cwd",
        "reasoning",
        "reasoning_effort",
        "model_reasoning_effort",
        "max_thinking_tokens",
        "thinking_config",
        "text",
        "enable_web_search",
        "enable_code_execution",
        "enable_code_interpreter",
        "enable_x_search",
        "engine",
        "max_results",
        "search_prompt",
        "search_context_size",
        "upload_files",
        "media_max_file_size_mb",
        "extra_body",
        // What its agent works with.
        "exclude_file_operation_mcps",
        "mcp_servers",
        "allowed_tools",
        "exclude_tools",
        "custom_tools",
        "enable_mcp_command_line",
        "command_line_allowed_commands",
        "command_line_blocked_commands",
        "command_line_execution_mode",
        "command_line_timeout_seconds",
        "command_line_docker_image",
        "command_line_docker_memory_limit",
        "command_line_docker_cpu_limit",
        "command_line_docker_network_mode",
        "command_line_docker_enable_sudo",
        "sandbox",
        "permissions",
        "hooks",
        "enable_multimodal_tools",
        "enable_image_generation",
        "enable_audio_generation",
        "enable_video_generation",
        "enable_file_generation",
        "enable_web_fetch",
        "concurrent_tool_execution",
        "max_concurrent_tools",
        "context_paths",
        "enforce_read_before_delete",
        // Refused with a word on where they belong.
        "system_message",
        "system_prompt",
        "append_system_prompt",
    ],
    ignored: BACKEND_IGNORED,
};

pub(crate) static PRICES: SectionKeys = SectionKeys {
    name: "`backend.prices`",
    read: &["input", "output", "cache_read", "cache_write"],
    ignored: &[],
};

pub(crate) static REASONING: SectionKeys = SectionKeys {
    name: "`backend.reasoning`",
    read: &["effort", "enabled", "summary", "budget_tokens", "max_tokens"],
    ignored: &[],
};

pub(crate) static THINKING: SectionKeys = SectionKeys {
    name: "`backend.thinking_config`",
    read: &["thinking_budget", "thinkingBudget", "thinking_level", "thinkingLevel"],
    ignored: &["include_thoughts", "includeThoughts"],
};

pub(crate) static RATE_LIMITS: SectionKeys = SectionKeys {
    name: "`rate_limits`",
    read: &["requests_per_minute", "rpm", "tokens_per_minute", "tpm", "requests_per_day", "rpd"],
    ignored: &[],
};

pub(crate) static UPLOAD: SectionKeys = SectionKeys {
    name: "`backend.upload_files`",
    read: &["image_path", "audio_path", "video_path", "file_path"],
    ignored: &[],
};

pub(crate) static ORCHESTRATOR: SectionKeys = SectionKeys {
    name: "`orchestrator`",
    read: &[
        "voting_sensitivity",
        "answer_novelty_requirement",
        "max_new_answers_per_agent",
        "max_new_answers_global",
        "on_new_answer",
        "tie_break",
        "self_vote",
        "defer_voting_until_all_answered",
        "skip_final_presentation",
        "final_answer_strategy",
        "coordination",
        "budget",
        "failures_max",
        "exhausted_rounds_max",
        "violations_max",
        "turns_max",
        "backoff_seconds",
        "backoff_max_seconds",
        "salvage_text",
        "sole_agent_votes",
        "seed",
        "prompts_dir",
        "sandbox",
        "context_paths",
        "enable_multimodal_tools",
        "snapshot_storage",
        "agent_temporary_workspace",
    ],
    ignored: ORCHESTRATOR_IGNORED,
};

pub(crate) static COORDINATION: SectionKeys = SectionKeys {
    name: "`orchestrator.coordination`",
    read: &[
        "max_orchestration_restarts",
        "enable_agent_task_planning",
        "task_planning_filesystem_mode",
        "enable_planning_mode",
        "planning_mode_instruction",
        "write_mode",
        "drift_conflict_policy",
    ],
    ignored: COORDINATION_IGNORED,
};

pub(crate) static BUDGET: SectionKeys = SectionKeys {
    name: "`orchestrator.budget`",
    read: &["max_calls", "max_tokens", "max_cost_usd", "max_seconds", "soft_percent"],
    ignored: &[],
};

pub(crate) static TIMEOUTS: SectionKeys = SectionKeys {
    name: "`timeout_settings`",
    read: &[
        "orchestrator_timeout_seconds",
        "initial_round_timeout_seconds",
        "subsequent_round_timeout_seconds",
        "round_timeout_grace_seconds",
        "presentation_timeout_seconds",
        "review_timeout_seconds",
        "wrap_up_lead_seconds",
        "connect_timeout_seconds",
        "first_byte_timeout_seconds",
        "idle_timeout_seconds",
        "call_timeout_seconds",
    ],
    ignored: &[],
};

static SECTIONS: &[&SectionKeys] = &[
    &TOP,
    &AGENT,
    &BACKEND,
    &PRICES,
    &REASONING,
    &THINKING,
    &RATE_LIMITS,
    &UPLOAD,
    &ORCHESTRATOR,
    &COORDINATION,
    &BUDGET,
    &TIMEOUTS,
    &SANDBOX,
];

/// Any of these at the top level marks a config of a MassGen that is long gone.
pub(crate) const V1_MARKERS: &[&str] = &[
    "models",
    "model_configs",
    "num_agents",
    "max_rounds",
    "consensus_threshold",
    "voting_enabled",
    "enable_voting",
];

impl SectionKeys {
    /// Returns whether MassGen knows the key in this section and we do nothing with it.
    pub fn ignores(&self, key: &str) -> bool {
        let by_prefix = std::ptr::eq(self, &BACKEND)
            && IGNORED_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        self.ignored.contains(&key) || by_prefix
    }

    /// Returns what a reader should try instead of a key that nobody knows here.
    pub fn remedy(&self, key: &str) -> Option<String> {
        let elsewhere = SECTIONS.iter().find(|section| section.read.contains(&key));
        if let Some(section) = elsewhere {
            return Some(format!("`{key}` belongs under {}", section.name));
        }
        let known = self.read.iter().chain(self.ignored);
        nearest(key, known.copied()).map(|near| format!("did you mean `{near}`?"))
    }
}

/// Returns whether providers know this field of a request, so that it is passed on without a word.
pub(crate) fn is_request_field(key: &str) -> bool {
    // What is read and still left is a field too: a word of one server's own.
    REQUEST_FIELDS.contains(&key) || BACKEND.read.contains(&key)
}

/// Returns the field of a request or the key of a backend that is closest to `key`.
pub(crate) fn nearest_backend_key(key: &str) -> Option<&'static str> {
    let known = BACKEND.read.iter().chain(BACKEND.ignored).chain(REQUEST_FIELDS);
    nearest(key, known.copied())
}

/// Fields that every request sets itself; written by a user they would break the conversation.
pub(crate) const OWN_FIELDS: &[&str] =
    &["messages", "tools", "functions", "stream", "stream_options", "n", "input"];

/// Wishes to an agent that is a program; models have no use for them.
pub(crate) const AGENT_OPTIONS: &[&str] = &[
    "allowed_tools",
    "approval_mode",
    "dangerously_skip_permissions",
    "disallowed_tools",
    "permission_mode",
    "permission_policy",
    "setting_sources",
];

/// Families of keys that a backend of MassGen knows.
const IGNORED_PREFIXES: &[&str] = &[
    // What MassGen notes for itself.
    "_",
    "command_line_",
    "llm_circuit_breaker_",
    "gemini_backoff_",
    "video_generation_",
    "audio_generation_",
];

/// Fields of requests, as providers and local servers know them.
const REQUEST_FIELDS: &[&str] = &[
    "betas",
    "cachedContent",
    "chat_template_kwargs",
    "container",
    "context_management",
    "enable_thinking",
    "format",
    "frequency_penalty",
    "generationConfig",
    "include",
    "keep_alive",
    "logit_bias",
    "logprobs",
    "max_tool_calls",
    "metadata",
    "min_p",
    "modalities",
    "models",
    "options",
    "output_config",
    "parallel_tool_calls",
    "plugins",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "provider",
    "repetition_penalty",
    "response_format",
    "route",
    "safetySettings",
    "safety_identifier",
    "seed",
    "separate_reasoning",
    "service_tier",
    "stop",
    "stop_sequences",
    "store",
    "temperature",
    "think",
    "thinking",
    "toolConfig",
    "tool_choice",
    "top_k",
    "top_logprobs",
    "top_p",
    "transforms",
    "truncation",
    "usage",
    "user",
    "verbosity",
    "web_search_options",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_meaning_in_its_section() {
        for section in SECTIONS {
            for key in section.read {
                assert!(!section.ignored.contains(key), "`{key}` of {}", section.name);
            }
        }
        for key in REQUEST_FIELDS {
            assert!(!BACKEND.ignores(key) && !BACKEND.read.contains(key), "`{key}`");
        }
    }

    #[test]
    fn a_remedy_names_the_right_place_or_the_nearest_key() {
        let remedy = |section: &SectionKeys, key| section.remedy(key).unwrap_or_default();
        assert_eq!(remedy(&TOP, "tie_break"), "`tie_break` belongs under `orchestrator`");
        assert_eq!(remedy(&TOP, "agnets"), "did you mean `agents`?");
        assert_eq!(
            remedy(&ORCHESTRATOR, "voting_sensitivty"),
            "did you mean `voting_sensitivity`?"
        );
        assert_eq!(
            remedy(&TIMEOUTS, "orchestrator_timeout"),
            "did you mean `orchestrator_timeout_seconds`?"
        );
        assert_eq!(remedy(&ORCHESTRATOR, "zzzz"), "");
    }

    #[test]
    fn the_keys_of_tools_are_described() {
        let page = include_str!("../../../docs/reference/tool-keys.md");
        let permissions = include_str!("../../../docs/tools/permissions.md");
        let told = |key: &str| page.contains(&format!("`{key}`"));
        for section in [&MCP_SERVER, &CUSTOM_TOOL, &SANDBOX, &SANDBOX_LIMITS] {
            for key in section.read.iter().filter(|key| **key != "category") {
                assert!(told(key), "`{key}` of {}", section.name);
            }
        }
        for key in BACKEND.read.iter().filter(|key| key.starts_with("command_line_")) {
            assert!(told(key), "`{key}`");
        }
        for key in PERMISSIONS.read.iter().chain(HOOK.read).chain(PERMISSION_RULES.read) {
            let is_plain = ["enabled", "audit", "type"].contains(key);
            assert!(is_plain || permissions.contains(key), "`{key}` of permissions or hooks");
        }
    }
}
