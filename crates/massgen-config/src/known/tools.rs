//! Keys of what agents work with.

use super::SectionKeys;

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
