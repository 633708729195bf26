//! `mcp_servers`: a list, a map by name, or one server alone.

use std::collections::{BTreeMap, BTreeSet};

use massgen_protocol::{HeaderText, McpServerSpec, McpTransport};

use super::names::{is_name, wanted};
use super::with_cwd;
use crate::command_line::words;
use crate::expand::{has_variable, is_secret_variable, variables};
use crate::host::{UrlFault, check_base_url};
use crate::known::{MCP_SECURITY, MCP_SERVER};
use crate::node::{Entry, Kind, Node};
use crate::problem::shown;
use crate::reader::{Least, Reader};
use crate::section::{Field, Section};

/// Most servers of one agent, and most words and variables of one.
const SERVERS_MAX: usize = 64;
const ARGUMENTS_MAX: usize = 256;
const VARIABLES_MAX: usize = 256;

/// A server that is fetched first (`npx -y`, `uvx`) is not there before a minute is over.
const CONNECT_MS: u64 = 60_000;
/// As long as MassGen waits for a result.
const CALL_MS: u64 = 300_000;

/// Servers that keep nothing between two calls: one serves the whole team.
const STATELESS: &[&str] = &[
    "@brave/brave-search-mcp-server",
    "@enescinar/twitter-mcp",
    "@fak111/weather-mcp",
    "@modelcontextprotocol/server-brave-search",
    "@modelcontextprotocol/server-google-maps",
    "@openbnb/mcp-server-airbnb",
    "@upstash/context7-mcp",
    "exa-mcp-server",
    "mcp-server-fetch",
    "mcp-server-time",
    "tavily-mcp",
];

/// Words of a shell that mean nothing without one.
const SHELL_WORDS: [&str; 8] = ["&&", "||", "|", ";", "&", ">", ">>", "<"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Stdio,
    Http,
    Sse,
}

const WAYS: &[(&str, Way)] = &[
    ("stdio", Way::Stdio),
    ("streamable-http", Way::Http),
    ("http", Way::Http),
    ("sse", Way::Sse),
];

/// Reads the servers; what is wrong with one is told and leaves it out.
pub(super) fn servers(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<McpServerSpec> {
    let Some(field) = section.given("mcp_servers") else { return Vec::new() };
    // A server runs in the workspace, so the workspace is where it is.
    let node = with_cwd(field.node);
    let mut found: Vec<(Option<&Entry>, &Node, String)> = Vec::new();
    match &node.kind {
        Kind::List(items) => {
            let path = |n| format!("{}[{n}]", field.path);
            found.extend(items.iter().enumerate().map(|(n, item)| (None, item, path(n))));
        }
        Kind::Map(entries) if is_one(entries) => found.push((None, &node, field.path.clone())),
        Kind::Map(entries) => found.extend(entries.iter().map(|entry| {
            (Some(entry), &entry.value, format!("{}.{}", field.path, shown(&entry.key)))
        })),
        Kind::Scalar { .. } => {
            reader.mismatch(&field, "a list of servers, or a map of them by name");
        }
    }
    if found.len() > SERVERS_MAX {
        let message = format!("{} servers, at most {SERVERS_MAX} are taken", found.len());
        reader.error(field.key_at, &field.path, message, None);
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut servers = Vec::new();
    for (entry, node, path) in found {
        if let Some(server) = server(reader, entry, node, path, &mut names) {
            servers.push(server);
        }
    }
    servers
}

/// A map with these keys is a server, not servers by name.
fn is_one(entries: &[Entry]) -> bool {
    let has_text = |wanted: &str| {
        let mut found = entries.iter().filter(|entry| &*entry.key == wanted);
        found.any(|entry| matches!(entry.value.kind, Kind::Scalar { .. } | Kind::List(_)))
    };
    ["type", "command", "url"].into_iter().any(has_text)
}

fn server(
    reader: &mut Reader<'_>,
    entry: Option<&Entry>,
    node: &Node,
    path: String,
    names: &mut BTreeSet<String>,
) -> Option<McpServerSpec> {
    let n_errors = reader.report.n_errors();
    let mut section = Section::open(reader, node, path.clone(), &MCP_SERVER)?;
    let (r, s) = (reader, &mut section);
    let name = name(r, s, entry, names);
    let way = way(r, s, name.as_deref());
    let mut env = match s.given("env") {
        Some(field) => texts_by_name(r, &field, "a map of variables"),
        None => BTreeMap::new(),
    };
    let headers = s.given("headers");
    let (command, args) = command(r, s, &mut env);
    let cwd = s.given("cwd").and_then(|field| r.path(field, "the path of a folder"));
    let url = s.given("url");
    let allowed_tools = r.texts(s.given("allowed_tools"));
    let exclude_tools = r.texts(s.given("exclude_tools")).unwrap_or_default();
    let connect_ms = r.seconds(s.given("timeout"), Least::OneMilli).unwrap_or(CONNECT_MS);
    let read_ms = r.seconds(s.given("http_read_timeout"), Least::OneMilli);
    let call_ms = r.seconds(s.given("call_timeout"), Least::OneMilli);
    let call_ms = call_ms.or(read_ms).unwrap_or(CALL_MS);
    let trusted = r.flag(s.given("trusted")).unwrap_or(false);
    let shared = r.flag(s.given("shared"));
    security(r, s);
    let transport = match way? {
        Way::Sse => None,
        Way::Stdio => {
            if let Some(field) = url.as_ref().or(headers.as_ref()) {
                let message = format!("a server that is started has no `{}`", last(&field.path));
                let hint = "write `type: streamable-http` for one that is reached".to_owned();
                r.error(field.key_at, &field.path, message, Some(hint));
            }
            if command.is_none() && r.report.n_errors() == n_errors {
                let hint = "for example `command: npx`, `args: [-y, some-server]`".to_owned();
                let message = "this server has no `command`".to_owned();
                r.error(s.at, &s.path_of("command"), message, Some(hint));
            }
            command.map(|command| McpTransport::Stdio { command, args, env, cwd })
        }
        Way::Http => {
            let headers = headers.as_ref().map(|field| texts_by_name(r, field, "a map of headers"));
            let url = address(r, url, s.at, s.path_of("url"));
            url.map(|url| McpTransport::Http { url, headers: headers.unwrap_or_default() })
        }
    };
    let at = section.at;
    section.finish(r);
    if r.report.n_errors() > n_errors {
        return None;
    }
    let (name, transport) = (name?, transport?);
    if let Some(module) = of_package(&transport) {
        let message = format!(
            "server `{name}` is a part of MassGen's Python package (`{module}`), which is not \
             here: it is left out"
        );
        r.report.notice_once(at, &path, message);
        return None;
    }
    let shared = shared.unwrap_or_else(|| is_stateless(&transport));
    Some(McpServerSpec {
        name,
        transport,
        allowed_tools,
        exclude_tools,
        connect_ms,
        call_ms,
        trusted,
        shared,
    })
}

fn name(
    r: &mut Reader<'_>,
    s: &mut Section<'_>,
    entry: Option<&Entry>,
    names: &mut BTreeSet<String>,
) -> Option<String> {
    let field = s.given("name");
    let (at, path) = match (&field, entry) {
        (Some(field), _) => (field.node.at, field.path.clone()),
        (None, Some(entry)) => (entry.key_at, s.path_of("name")),
        (None, None) => (s.at, s.path_of("name")),
    };
    let n_errors = r.report.n_errors();
    let name = r.text(field).or_else(|| entry.map(|entry| entry.key.to_string()));
    if r.report.n_errors() > n_errors {
        return None;
    }
    let Some(name) = name else {
        let hint = "its tools are called `mcp__NAME__TOOL`".to_owned();
        r.error(at, &path, "this server has no `name`".to_owned(), Some(hint));
        return None;
    };
    let name = name.trim().to_owned();
    if !is_name(&name) {
        let message = format!("expected {}, found `{}`", wanted(), shown(&name));
        r.error(at, &path, message, None);
        return None;
    }
    if !names.insert(name.clone()) {
        let message = format!("two servers are called `{name}`");
        r.error(at, &path, message, Some("every server needs its own `name`".to_owned()));
        return None;
    }
    Some(name)
}

/// How it is reached; where that is not written, it is seen from what else is.
fn way(r: &mut Reader<'_>, s: &mut Section<'_>, name: Option<&str>) -> Option<Way> {
    let named = name.map_or("this server".to_owned(), |name| format!("server `{name}`"));
    let (has_command, has_url) = (s.has("command") || s.has("args"), s.has("url"));
    let field = s.given("type");
    let Some(field) = field else {
        let (kind, way) = match (has_command, has_url) {
            (true, false) => ("stdio", Way::Stdio),
            (false, true) => ("streamable-http", Way::Http),
            (true, true) | (false, false) => {
                let message = if has_url {
                    format!("{named} has both a `command` and a `url`")
                } else {
                    format!("{named} has neither a `command` nor a `url`")
                };
                let hint = "give it the `command` that starts it, or the `url` it is at".to_owned();
                r.error(s.at, &s.path, message, Some(hint));
                return None;
            }
        };
        let message = format!("{named} has no `type`: it is taken for `{kind}`");
        r.report.notice(s.at, &s.path, message, Some(format!("write `type: {kind}`")));
        return Some(way);
    };
    let (at, path) = (field.node.at, field.path.clone());
    let way = r.choice(Some(field), WAYS)?;
    if way == Way::Sse {
        let message = "the transport `sse` is gone from the protocol".to_owned();
        let hint = "write `type: streamable-http`; most servers of `sse` speak it too".to_owned();
        r.error(at, &path, message, Some(hint));
    }
    Some(way)
}

/// The program and its arguments; one text is split as a shell would.
fn command(
    r: &mut Reader<'_>,
    s: &mut Section<'_>,
    env: &mut BTreeMap<String, HeaderText>,
) -> (Option<String>, Vec<String>) {
    let written = s.given("command");
    let at = written.as_ref().map(|field| (field.node.at, field.path.clone()));
    let mut line = match written {
        None => Vec::new(),
        Some(field) if matches!(field.node.kind, Kind::Scalar { .. }) => {
            split(r, field, env).unwrap_or_default()
        }
        Some(field) => arguments(r, field, env).unwrap_or_default(),
    };
    if let (Some(word), Some((at, path))) =
        (line.iter().find(|word| SHELL_WORDS.contains(&word.as_str())), &at)
    {
        let message = format!("`{word}` is a word of a shell, and none reads this");
        let hint = "write `command: [bash, -c, '…']`".to_owned();
        r.error(*at, path, message, Some(hint));
    }
    if let Some(field) = s.given("args") {
        let (at, path) = (field.key_at, field.path.clone());
        line.extend(arguments(r, field, env).unwrap_or_default());
        if line.len() > ARGUMENTS_MAX {
            let message = format!("{} arguments, at most {ARGUMENTS_MAX} are taken", line.len());
            r.error(at, &path, message, None);
        }
    }
    if line.is_empty() {
        return (None, Vec::new());
    }
    let program = line.remove(0);
    (Some(program), line)
}

fn split(
    r: &mut Reader<'_>,
    field: Field<'_>,
    env: &mut BTreeMap<String, HeaderText>,
) -> Option<Vec<String>> {
    let (at, path) = (field.node.at, field.path.clone());
    let line = argument(r, field, env)?;
    let words = words(&line);
    if words.is_none() {
        let message = "a quote in this command line is not closed".to_owned();
        r.error(at, &path, message, Some("or write the words as a list".to_owned()));
    }
    words.filter(|words| !words.is_empty())
}

fn arguments(
    r: &mut Reader<'_>,
    field: Field<'_>,
    env: &mut BTreeMap<String, HeaderText>,
) -> Option<Vec<String>> {
    let nodes = match &field.node.kind {
        Kind::Scalar { .. } => std::slice::from_ref(field.node),
        Kind::List(items) => items.as_slice(),
        Kind::Map(_) => {
            r.mismatch(&field, "a list of texts");
            return None;
        }
    };
    let read = nodes.iter().enumerate().map(|(n, node)| {
        let path = format!("{}[{n}]", field.path);
        argument(r, Field { node, key_at: field.key_at, path }, env)
    });
    let read: Vec<Option<String>> = read.collect();
    read.into_iter().collect()
}

/// Reads one argument. A secret in it stays a name, which is put in when the server starts:
/// arguments are written down, its environment is not.
fn argument(
    r: &mut Reader<'_>,
    field: Field<'_>,
    env: &mut BTreeMap<String, HeaderText>,
) -> Option<String> {
    let Kind::Scalar { text, .. } = &field.node.kind else { return r.text(Some(field)) };
    let secrets: Vec<&str> =
        variables(text).filter(|variable| is_secret_variable(variable)).collect();
    if secrets.is_empty() || !has_variable(text) {
        return r.text(Some(field));
    }
    let text = text.to_string();
    for name in secrets {
        let node = Node::scalar(field.node.at, &format!("${{{name}}}"), false);
        let path = field.path.clone();
        let value = r.secret_text(name, &Field { node: &node, key_at: field.key_at, path })?;
        env.entry(name.to_owned()).or_insert(value);
    }
    Some(text)
}

/// Variables or headers. Nothing as a value is the empty text.
fn texts_by_name(
    r: &mut Reader<'_>,
    field: &Field<'_>,
    expected: &str,
) -> BTreeMap<String, HeaderText> {
    let mut texts = BTreeMap::new();
    let Kind::Map(entries) = &field.node.kind else {
        r.mismatch(field, expected);
        return texts;
    };
    if entries.len() > VARIABLES_MAX {
        let message = format!("{} values, at most {VARIABLES_MAX} are taken", entries.len());
        r.error(field.key_at, &field.path, message, None);
        return texts;
    }
    for entry in entries.iter() {
        let name = entry.key.trim();
        let path = format!("{}.{}", field.path, shown(name));
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || "=:".contains(c);
        if name.is_empty() || name.contains(is_odd) {
            r.error(entry.key_at, &path, format!("`{}` is no name here", shown(name)), None);
            continue;
        }
        if entry.value.is_null() {
            texts.insert(name.to_owned(), HeaderText::Plain { value: String::new() });
            continue;
        }
        let field = Field { node: &entry.value, key_at: entry.key_at, path };
        if let Some(text) = r.secret_text(name, &field) {
            if text.expose().contains(['\0', '\n', '\r']) {
                let message = format!("`{}` holds a line break", shown(name));
                r.error(entry.value.at, &field.path, message, None);
                continue;
            }
            texts.insert(name.to_owned(), text);
        }
    }
    texts
}

fn address(
    r: &mut Reader<'_>,
    field: Option<Field<'_>>,
    at: crate::problem::Place,
    path: String,
) -> Option<String> {
    let Some(field) = field else {
        let message = "this server has no `url`".to_owned();
        r.error(at, &path, message, Some("for example `http://localhost:8000/mcp`".to_owned()));
        return None;
    };
    let (at, path) = (field.node.at, field.path.clone());
    let url = r.text(Some(field))?;
    let url = url.trim().to_owned();
    let wrong = match check_base_url(&url) {
        // Some servers are told by it who calls.
        Ok(_) | Err(UrlFault::Query) => return Some(url),
        Err(UrlFault::Scheme) => "it begins with neither `http://` nor `https://`",
        Err(UrlFault::Credentials) => "it holds a name or a password: use `headers`",
        Err(UrlFault::NoHost) => "it names no host",
        Err(UrlFault::Blank) => "it holds a blank",
    };
    r.error(at, &path, format!("this is no address of a server: {wrong}"), None);
    None
}

/// What a server may do is held by the sandbox, whatever its `security` says.
fn security(r: &mut Reader<'_>, s: &mut Section<'_>) {
    let Some(field) = s.given("security") else { return };
    let (at, path) = (field.key_at, field.path.clone());
    let Some(mut inner) = Section::open(r, field.node, field.path, &MCP_SECURITY) else { return };
    for key in MCP_SECURITY.read {
        inner.take(key);
    }
    inner.finish(r);
    let message = "`security` of a server has no effect: what it may touch is held by `sandbox`";
    r.report.notice_once(at, &path, message.to_owned());
}

/// Returns the module if the server comes with MassGen's Python package.
fn of_package(transport: &McpTransport) -> Option<&str> {
    let McpTransport::Stdio { args, .. } = transport else { return None };
    args.iter().map(String::as_str).find(|word| word.starts_with("massgen."))
}

fn is_stateless(transport: &McpTransport) -> bool {
    let McpTransport::Stdio { command, args, .. } = transport else { return false };
    let words = std::iter::once(command).chain(args);
    // `exa-mcp-server@latest` is the same one.
    let package = |word: &str| match word.get(1..).and_then(|rest| rest.find('@')) {
        Some(at) => word[..=at].to_owned(),
        None => word.to_owned(),
    };
    let mut packages = words.map(|word| package(word.rsplit("/bin/").next().unwrap_or(word)));
    packages.any(|word| STATELESS.contains(&word.as_str()))
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
