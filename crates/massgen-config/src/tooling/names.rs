//! Names of tools: what one may look like, and which of a server's are offered.

use massgen_protocol::McpServerSpec;

use crate::reader::Reader;
use crate::section::Section;

/// Longest name of a server or a tool: with its prefix it has to fit into what providers take.
const CHARS_MAX: usize = 100;

/// How the names of servers' tools begin for a model.
const PREFIX: &str = "mcp__";

/// Returns whether providers take it as a part of a tool's name.
pub(super) fn is_name(name: &str) -> bool {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !name.is_empty() && name.chars().count() <= CHARS_MAX && name.chars().all(is_taken)
}

pub(super) fn wanted() -> String {
    format!("a name of 1 to {CHARS_MAX} letters, digits, `_` and `-`")
}

/// Reads `allowed_tools` and `exclude_tools` of a backend. A name with the prefix of a server
/// that is there concerns this server alone.
pub(super) fn filters(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    servers: &mut [McpServerSpec],
) -> (Option<Vec<String>>, Vec<String>) {
    let allowed = reader.texts(section.given("allowed_tools"));
    let excluded = reader.texts(section.given("exclude_tools")).unwrap_or_default();
    let allowed = allowed.map(|names| names.iter().map(|name| bare(name)).collect());
    let mut rest = Vec::new();
    for name in excluded {
        let of_server = name.strip_prefix(PREFIX).and_then(|name| name.split_once("__"));
        let server = of_server.and_then(|(server, tool)| {
            servers.iter_mut().find(|known| known.name == server).map(|known| (known, tool))
        });
        match server {
            Some((server, tool)) => server.exclude_tools.push(tool.to_owned()),
            None => rest.push(bare(&name)),
        }
    }
    (allowed, rest)
}

fn bare(name: &str) -> String {
    let tool = name.strip_prefix(PREFIX).and_then(|name| name.split_once("__"));
    tool.map_or(name, |(_, tool)| tool).to_owned()
}
