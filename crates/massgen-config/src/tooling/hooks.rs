//! `hooks`: Python functions that see calls before and after they are made.

use massgen_protocol::{HookEvent, HookSpec};

use crate::known::{HOOK, HOOK_EVENTS, HOOK_LIST};
use crate::node::{Kind, Node};
use crate::problem::shown;
use crate::reader::{Least, Reader};
use crate::section::{Field, Section};

/// Most hooks of one agent: each of them is asked about every call that it matches.
const HOOKS_MAX: usize = 64;
/// Seconds that a hook may take where nothing is written.
const TIMEOUT_MS: u64 = 30_000;

const EVENTS: [(&str, HookEvent); 2] =
    [("PreToolUse", HookEvent::PreToolUse), ("PostToolUse", HookEvent::PostToolUse)];

pub(super) fn hooks(reader: &mut Reader<'_>, field: Option<Field<'_>>) -> Vec<HookSpec> {
    let mut hooks = Vec::new();
    let Some(field) = field else { return hooks };
    let Some(mut events) = Section::open(reader, field.node, field.path, &HOOK_EVENTS) else {
        return hooks;
    };
    for (name, event) in EVENTS {
        let Some(field) = events.given(name) else { continue };
        let (at, path) = (field.key_at, field.path.clone());
        for (node, path) in written(reader, field) {
            hooks.extend(hook(reader, &node, path, event));
        }
        if hooks.len() > HOOKS_MAX {
            let message = format!("{} hooks, at most {HOOKS_MAX} are taken", hooks.len());
            reader.error(at, &path, message, None);
        }
    }
    events.finish(reader);
    hooks
}

/// A list of hooks, or a map with the list in it.
fn written(reader: &mut Reader<'_>, field: Field<'_>) -> Vec<(Node, String)> {
    let numbered = |items: &[Node], path: &str| {
        let items = items.iter().enumerate();
        items.map(|(n, item)| (item.clone(), format!("{path}[{n}]"))).collect()
    };
    match &field.node.kind {
        Kind::List(items) => numbered(items, &field.path),
        Kind::Map(_) => {
            let opened = Section::open(reader, field.node, field.path.clone(), &HOOK_LIST);
            let Some(mut section) = opened else { return Vec::new() };
            // There are no hooks of the whole team that it could stand for.
            reader.flag(section.given("override"));
            let list = section.given("hooks");
            section.finish(reader);
            match list {
                Some(list) => match &list.node.kind {
                    Kind::List(items) => numbered(items, &list.path),
                    Kind::Scalar { .. } | Kind::Map(_) => {
                        reader.mismatch(&list, "a list of hooks");
                        Vec::new()
                    }
                },
                None => Vec::new(),
            }
        }
        Kind::Scalar { .. } => {
            reader.mismatch(&field, "a list of hooks");
            Vec::new()
        }
    }
}

fn hook(reader: &mut Reader<'_>, node: &Node, path: String, event: HookEvent) -> Option<HookSpec> {
    let mut section = Section::open(reader, node, path, &HOOK)?;
    let (r, s) = (reader, &mut section);
    let n_errors = r.report.n_errors();
    r.choice(s.given("type"), &[("python", ())]);
    let handler = match s.given("handler") {
        Some(field) => handler(r, field),
        None => {
            let message = "this hook has no `handler`".to_owned();
            let hint = "write `handler: path/to/file.py:function`".to_owned();
            r.error(s.at, &s.path_of("handler"), message, Some(hint));
            None
        }
    };
    let matcher = r.text(s.given("matcher")).filter(|text| !text.trim().is_empty());
    let timeout_ms = r.seconds(s.given("timeout"), Least::OneMilli).unwrap_or(TIMEOUT_MS);
    let fail_closed = r.flag(s.given("fail_closed")).unwrap_or(false);
    section.finish(r);
    if r.report.n_errors() > n_errors {
        return None;
    }
    let matcher = matcher.unwrap_or_else(|| "*".to_owned());
    Some(HookSpec { event, matcher, handler: handler?, timeout_ms, fail_closed })
}

/// `path/to/file.py:function`, or `module.function`.
fn handler(r: &mut Reader<'_>, field: Field<'_>) -> Option<String> {
    let (at, path) = (field.node.at, field.path.clone());
    let handler = r.path(field, "a Python function")?;
    let is_identifier = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c == '_' || c.is_alphanumeric())
    };
    let is_whole = match handler.rsplit_once(".py:") {
        Some((file, function)) => !file.is_empty() && is_identifier(function),
        None => {
            handler.contains('.')
                && handler.split('.').all(is_identifier)
                && !handler.ends_with(".py")
        }
    };
    if !is_whole {
        let message = format!("`{}` names no Python function", shown(&handler));
        let hint = "write `path/to/file.py:function` or `module.function`".to_owned();
        r.error(at, &path, message, Some(hint));
        return None;
    }
    Some(handler)
}
