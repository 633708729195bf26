//! The names under which configs and habits know our tools.

/// Servers whose tools are ours now.
const SERVERS: &[&str] = &["filesystem", "workspace_tools", "command_line", "planning"];

/// Tools that have another name with us.
const RENAMED: &[(&str, &str)] = &[
    ("read_file", "read_text_file"),
    ("read_media_file", "read_media"),
    ("grep", "search_text"),
    ("fetch", "web_fetch"),
];

/// Returns the name a tool of ours has here, from the one it has as a tool of the servers that
/// configs name: `mcp__filesystem__write_file` is `write_file`, `mcp__planning_a__add_task` is
/// `add_task`. Any other name is returned as it is.
pub fn native(name: &str) -> &str {
    let bare = name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")).and_then(
        |(server, tool)| {
            let ours = SERVERS.contains(&server) || server.starts_with("planning_");
            ours.then_some(tool)
        },
    );
    let bare = bare.unwrap_or(name);
    RENAMED.iter().find(|(old, _)| *old == bare).map_or(bare, |(_, new)| new)
}

#[cfg(test)]
mod tests {
    use super::native;

    #[test]
    fn names_of_servers_are_ours() {
        for (name, expected) in [
            ("mcp__filesystem__write_file", "write_file"),
            ("mcp__filesystem__read_file", "read_text_file"),
            ("mcp__workspace_tools__delete_files_batch", "delete_files_batch"),
            ("mcp__command_line__execute_command", "execute_command"),
            ("mcp__planning_agent_a__add_task", "add_task"),
            ("write_file", "write_file"),
            ("mcp__github__read_file", "mcp__github__read_file"),
            ("mcp__weather", "mcp__weather"),
        ] {
            assert_eq!(native(name), expected);
        }
    }
}
