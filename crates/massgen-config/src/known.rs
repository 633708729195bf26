//! Every key by section: those that are read here, and those that MassGen knows
//! and this version does nothing with. Data only, so that a key is found in one place.

use crate::suggest::nearest;

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

pub(crate) static MCP_SERVER: SectionKeys = SectionKeys {
    name: "a server of `mcp_servers`",
    read: &[
        "type",
        "name",
        "command",
        "args",
        "env",
        "cwd",
        "url",
        "headers",
        "timeout",
        "http_read_timeout",
        "call_timeout",
        "allowed_tools",
        "exclude_tools",
        "trusted",
        "shared",
        "security",
    ],
    ignored: &["defer_loading", "strict", "description"],
};

pub(crate) static MCP_SECURITY: SectionKeys = SectionKeys {
    name: "`security` of a server",
    read: &[
        "level",
        "allow_localhost",
        "allow_private_ips",
        "allowed_executables",
        "allowed_hostnames",
        "resolve_dns",
        "env",
    ],
    ignored: &[],
};

pub(crate) static CUSTOM_TOOL: SectionKeys = SectionKeys {
    name: "a tool of `custom_tools`",
    read: &["function", "func", "name", "path", "category", "description", "preset_args"],
    ignored: &["default_params", "defer_loading", "strict"],
};

pub(crate) static HOOK_EVENTS: SectionKeys =
    SectionKeys { name: "`backend.hooks`", read: &["PreToolUse", "PostToolUse"], ignored: &[] };

pub(crate) static HOOK_LIST: SectionKeys =
    SectionKeys { name: "hooks of an event", read: &["override", "hooks"], ignored: &[] };

pub(crate) static HOOK: SectionKeys = SectionKeys {
    name: "a hook",
    read: &["handler", "type", "matcher", "timeout", "fail_closed"],
    ignored: &["name", "description"],
};

pub(crate) static PERMISSIONS: SectionKeys = SectionKeys {
    name: "`backend.permissions`",
    read: &[
        "enabled",
        "role",
        "rules",
        "automation_default",
        "approval_mode",
        "approval_dir",
        "approval_timeout_seconds",
        "audit",
    ],
    ignored: &["persist_approvals", "settings_path", "max_consecutive_auto"],
};

pub(crate) static PERMISSION_RULES: SectionKeys = SectionKeys {
    name: "`backend.permissions.rules`",
    read: &["deny", "allow", "ask"],
    ignored: &[],
};

pub(crate) static SANDBOX: SectionKeys = SectionKeys {
    name: "`orchestrator.sandbox`",
    read: &["mode", "require", "network", "limits", "read_paths"],
    ignored: &[],
};

pub(crate) static SANDBOX_OF_AGENT: SectionKeys =
    SectionKeys { name: "`backend.sandbox`", read: &["mode", "network"], ignored: &[] };

pub(crate) static SANDBOX_LIMITS: SectionKeys = SectionKeys {
    name: "`orchestrator.sandbox.limits`",
    read: &[
        "processes",
        "memory",
        "cpu_seconds",
        "file_size",
        "open_files",
        "output",
        "time_seconds",
    ],
    ignored: &[],
};

pub(crate) static CONTEXT_PATH: SectionKeys = SectionKeys {
    name: "an entry of `context_paths`",
    read: &["path", "permission", "protected_paths"],
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

const TOP_IGNORED: &[&str] =
    &["checkpoint", "display", "hooks", "memory", "nlip", "session_id", "task", "timeout", "ui"];

const AGENT_IGNORED: &[&str] = &[
    "append_system_prompt",
    "enable_nlip",
    "main_agent",
    "memory",
    "nlip",
    "subagent_agents",
    "subtask",
];

/// Keys of a backend that are not fields of a request: they configure parts of
/// MassGen, or providers that this version does not call.
const BACKEND_IGNORED: &[&str] = &[
    "agent_config",
    "agent_id",
    "agent_temporary_workspace",
    "agent_temporary_workspace_parent",
    "allow_midstream_peer_updates_before_checklist_submit",
    "approval_mode",
    "audio_generation_backend",
    "audio_generation_model",
    "auto_discover_custom_tools",
    "bootstrap_max_per_agent_per_round",
    "bootstrap_max_total",
    "checklist_first_answer",
    "checklist_require_gap_report",
    "checkpoint_enabled",
    "checkpoint_gated_patterns",
    "checkpoint_guidance",
    "checkpoint_mode",
    "command_line_docker_credentials",
    "command_line_docker_packages",
    "command_line_srt_allow_read",
    "command_line_srt_allow_unix_sockets",
    "command_line_srt_deny_read",
    "command_line_srt_network_allowed_domains",
    "command_line_srt_read_mode",
    "computer_environment",
    "context_write_access_enabled",
    "coordination_mode",
    "copilot_permission_policy",
    "copilot_system_message_mode",
    "criteria_mode",
    "custom_tools_path",
    "dangerously_skip_permissions",
    "debug_delay_after_n_tools",
    "debug_delay_seconds",
    "defer_peer_updates_until_restart",
    "direct_mcp_servers",
    "disable_auto_update",
    "disable_final_only_round_capture_fallback",
    "disable_parallel_tool_use",
    "disallowed_tools",
    "display_height",
    "display_width",
    "drift_conflict_policy",
    "enable_code_based_tools",
    "enable_computer_use",
    "enable_execution_trace_analyzer",
    "enable_interrupt_resume",
    "enable_nlip",
    "enable_novelty_on_iteration",
    "enable_programmatic_flow",
    "enable_quality_rethink_on_iteration",
    "enable_rate_limit",
    "enable_strict_tool_use",
    "enable_tool_search",
    "exclude_custom_tools",
    "extra_query",
    "fairness_enabled",
    "fairness_lead_cap_answers",
    "filesystem_session_id",
    "final_answer_strategy",
    "function_calling_mode",
    "gap_report_mode",
    "group_config",
    "image_generation_backend",
    "image_generation_model",
    "improvements",
    "include_thoughts",
    "instance_id",
    "interrupt_poll_seconds",
    "learning_capture_mode",
    "main_agent",
    "max_checklist_calls_per_round",
    "max_incomplete_response_retries",
    "max_interrupts_per_turn",
    "max_mcp_message_history",
    "max_midstream_injections_per_round",
    "memory",
    "multimodal_config",
    "nlip",
    "nlip_config",
    "novelty_injection",
    "orchestrator_managed_round_evaluator",
    "output_schema",
    "permission_mode",
    "permission_policy",
    "plan_depth",
    "plan_target_chunks",
    "plan_target_steps",
    "plan_thoroughness",
    "presenter_agent",
    "previous_response_id",
    "provider_name",
    "round_evaluator_before_checklist",
    "round_evaluator_refine",
    "round_evaluator_skip_synthesis",
    "round_evaluator_transformation_pressure",
    "session_id",
    "session_send_timeout_seconds",
    "session_storage_base",
    "setting_sources",
    "shared_tools_directory",
    "skip_health_check",
    "standalone_checkpoint_enabled",
    "standalone_checkpoint_include_workspace_context",
    "standalone_checkpoint_mode",
    "standalone_checkpoint_single",
    "standalone_checkpoint_team_config",
    "subagent_types",
    "subtask",
    "system_message_mode",
    "tool_search_variant",
    "use_default_prompt",
    "use_mcpwrapped_for_tool_filtering",
    "use_no_roots_wrapper",
    "use_two_tier_workspace",
    "video_generation_backend",
    "video_generation_model",
    "vote_only",
    "voting_sensitivity",
    "voting_threshold",
    "websocket_mode",
    "write_mode",
];

const ORCHESTRATOR_IGNORED: &[&str] = &[
    "allow_midstream_peer_updates_before_checklist_submit",
    "audio_generation_backend",
    "audio_generation_model",
    "checklist_first_answer",
    "checklist_require_gap_report",
    "coordination_mode",
    "debug_final_answer",
    "defer_peer_updates_until_restart",
    "disable_injection",
    "docker",
    "dspy",
    "enable_nlip",
    "fairness_enabled",
    "fairness_lead_cap_answers",
    "gap_report_mode",
    "image_generation_backend",
    "image_generation_model",
    "interactive_mode",
    "max_checklist_calls_per_round",
    "max_midstream_injections_per_round",
    "max_turns",
    "multimodal_config",
    "nlip",
    "nlip_config",
    "presenter_agent",
    "session_storage",
    "skills_directory",
    "skip_coordination_rounds",
    "skip_voting",
    "timeout",
    "type",
    "video_generation_backend",
    "video_generation_model",
    "voting_threshold",
];

const COORDINATION_IGNORED: &[&str] = &[
    "auto_trace_analysis",
    "background_subagents",
    "bootstrap_max_per_agent_per_round",
    "bootstrap_max_total",
    "broadcast",
    "broadcast_sensitivity",
    "broadcast_timeout",
    "broadcast_wait_by_default",
    "checklist_criteria_inline",
    "checklist_criteria_preset",
    "checkpoint_enabled",
    "checkpoint_gated_patterns",
    "checkpoint_guidance",
    "checkpoint_mode",
    "compression_target_ratio",
    "criteria_mode",
    "disable_final_only_round_capture_fallback",
    "enable_changedoc",
    "enable_evaluator_personas",
    "enable_execution_trace_analyzer",
    "enable_memory_filesystem_mode",
    "enable_novelty_on_iteration",
    "enable_quality_rethink_on_iteration",
    "enable_subagents",
    "evaluation_criteria_generator",
    "evolving_criteria",
    "evolving_criteria_max_evolutions",
    "evolving_criteria_min_high_score_count",
    "evolving_criteria_score_threshold",
    "evolving_criteria_timeout",
    "fast_iteration_mode",
    "improvements",
    "learning_capture_mode",
    "load_previous_session_skills",
    "massgen_skills",
    "max_broadcasts_per_agent",
    "max_internal_fix_loops",
    "max_tasks_per_plan",
    "max_verifications_per_round",
    "novelty_injection",
    "orchestrator_managed_round_evaluator",
    "persona_generator",
    "plan_depth",
    "plan_target_chunks",
    "plan_target_steps",
    "plan_thoroughness",
    "pre_collab_voting_threshold",
    "prompt_improver",
    "response_depth",
    "resume_from_log",
    "round_evaluator_before_checklist",
    "round_evaluator_refine",
    "round_evaluator_skip_synthesis",
    "round_evaluator_transformation_pressure",
    "skills_directory",
    "skip_redundant_scaffolding",
    "standalone_checkpoint",
    "subagent_default_timeout",
    "subagent_host_launch_prefix",
    "subagent_max_concurrent",
    "subagent_max_timeout",
    "subagent_min_timeout",
    "subagent_orchestrator",
    "subagent_round_timeouts",
    "subagent_runtime_fallback_mode",
    "subagent_runtime_mode",
    "subagent_types",
    "task_decomposer",
    "use_skills",
    "use_two_tier_workspace",
    "web_review",
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
}
