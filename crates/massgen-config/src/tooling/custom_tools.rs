//! `custom_tools`: functions in Python files.

use std::collections::BTreeSet;

use massgen_protocol::PythonToolSpec;
use serde_json::{Map, Value};

use super::names::{is_name, wanted};
use super::with_cwd;
use crate::known::CUSTOM_TOOL;
use crate::node::{Kind, Node};
use crate::problem::{Place, shown};
use crate::reader::Reader;
use crate::section::{Field, Section};

/// Most functions of one agent.
const TOOLS_MAX: usize = 256;

/// What the Python package keeps its own tools in.
const PACKAGE: &str = "massgen/";
/// Its one tool that comes with us too, for first configs; the module that has it.
const SUM: &str = "two_num_tool";
const SUM_MODULE: &str = "massgen.tool._basic._two_num_tool";
/// Its tool that looks at images, for which there is one of ours.
const SEES_IMAGES: &str = "understand_image";

#[derive(Debug, Default)]
pub(super) struct CustomTools {
    pub tools: Vec<PythonToolSpec>,
    /// A tool of the package that looks at images is asked for.
    pub sees_images: bool,
}

pub(super) fn custom_tools(reader: &mut Reader<'_>, section: &mut Section<'_>) -> CustomTools {
    let mut custom = CustomTools::default();
    let Some(field) = section.given("custom_tools") else { return custom };
    let node = with_cwd(field.node);
    let Kind::List(items) = &node.kind else {
        reader.mismatch(&field, "a list of tools");
        return custom;
    };
    let mut names = BTreeSet::new();
    for (n, item) in items.iter().enumerate() {
        entry(reader, item, format!("{}[{n}]", field.path), &mut names, &mut custom);
        if custom.tools.len() > TOOLS_MAX {
            let message = format!("more than {TOOLS_MAX} tools");
            reader.error(field.key_at, &field.path, message, None);
            break;
        }
    }
    custom
}

fn entry(
    reader: &mut Reader<'_>,
    node: &Node,
    path: String,
    names: &mut BTreeSet<String>,
    custom: &mut CustomTools,
) {
    let Some(mut section) = Section::open(reader, node, path, &CUSTOM_TOOL) else { return };
    let (r, s) = (reader, &mut section);
    let n_errors = r.report.n_errors();
    let (function, func) = (s.given("function"), s.given("func"));
    let Some(function) = function.or(func) else {
        let message = "this tool names no `function`".to_owned();
        r.error(s.at, &s.path_of("function"), message, None);
        return;
    };
    let functions_at = (function.node.at, function.path.clone());
    let functions = r.texts(Some(function));
    let names_field = s.given("name");
    let names_at = names_field.as_ref().map(|field| (field.node.at, field.path.clone()));
    let own_names = r.texts(names_field);
    let described = descriptions(r, s.given("description"));
    let presets = presets(r, s.given("preset_args"));
    let file = s.given("path");
    let (file_at, file_path) = match &file {
        Some(field) => (field.node.at, field.path.clone()),
        None => (s.at, s.path_of("path")),
    };
    let file = file.map(|field| r.path(field, "the path of a Python file"));
    // Groups of tools, which only MassGen's own lists show.
    s.take("category");
    section.finish(r);
    if r.report.n_errors() > n_errors {
        return;
    }
    let functions = functions.unwrap_or_default();
    let own_names = own_names.unwrap_or_else(|| functions.clone());
    let (functions_at, functions_path) = functions_at;
    let (names_at, names_path) = names_at.unwrap_or_else(|| (functions_at, functions_path.clone()));
    if own_names.len() != functions.len() {
        let message = format!("{} names for {} functions", own_names.len(), functions.len());
        let hint = "give every function one name".to_owned();
        r.error(names_at, &names_path, message, Some(hint));
        return;
    }
    let is_sum = functions.iter().all(|function| function == SUM);
    let file = match file.flatten() {
        Some(file) if !is_of_package(&file) => Some(file),
        Some(_) | None => is_sum.then(|| SUM_MODULE.to_owned()),
    };
    let Some(file) = file else {
        return left_out(r, &functions, file_at, &file_path, custom);
    };
    if !is_python(&file) {
        let message = format!("expected a `.py` file or a module, found `{}`", shown(&file));
        r.error(file_at, &file_path, message, None);
        return;
    }
    for (n, (name, function)) in own_names.iter().zip(&functions).enumerate() {
        let (name, function) = (name.trim(), function.trim());
        if !is_identifier(function) {
            let message = format!("`{}` is no name of a function", shown(function));
            r.error(functions_at, &functions_path, message, None);
            continue;
        }
        if !is_name(name) {
            let message = format!("expected {}, found `{}`", wanted(), shown(name));
            r.error(names_at, &names_path, message, None);
            continue;
        }
        if !names.insert(name.to_owned()) {
            let message = format!("two tools are called `{name}`");
            r.error(names_at, &names_path, message, None);
            continue;
        }
        custom.tools.push(PythonToolSpec {
            name: name.to_owned(),
            path: file.clone(),
            function: function.to_owned(),
            description: described.get(n).or(described.last()).cloned(),
            preset_args: presets.get(n).or(presets.last()).cloned().unwrap_or_default(),
        });
    }
}

/// Says which tools of the Python package are missed, and what there is instead.
fn left_out(
    r: &mut Reader<'_>,
    functions: &[String],
    at: Place,
    path: &str,
    custom: &mut CustomTools,
) {
    for function in functions {
        let name = shown(function);
        if function == SEES_IMAGES {
            custom.sees_images = true;
            let message = format!("`read_media`, which is built in, takes the place of `{name}`");
            r.report.notice_once(at, path, message);
            continue;
        }
        let message = format!(
            "`{name}` is a tool of MassGen's Python package, which is not here: it is left out"
        );
        if r.report.has_room_for_notices() {
            r.report.notice_once(at, path, message);
        }
    }
}

/// One text for all, or one for each.
fn descriptions(r: &mut Reader<'_>, field: Option<Field<'_>>) -> Vec<String> {
    let texts = r.texts(field).unwrap_or_default();
    texts.into_iter().filter(|text| !text.trim().is_empty()).collect()
}

/// One map for all, or one for each.
fn presets(r: &mut Reader<'_>, field: Option<Field<'_>>) -> Vec<Map<String, Value>> {
    let Some(field) = field else { return Vec::new() };
    let nodes = match &field.node.kind {
        Kind::Map(_) => std::slice::from_ref(field.node),
        Kind::List(items) => items.as_slice(),
        Kind::Scalar { .. } => {
            r.mismatch(&field, "a map of arguments, or one for each function");
            return Vec::new();
        }
    };
    let mut presets = Vec::new();
    for (n, node) in nodes.iter().enumerate() {
        let path = format!("{}[{n}]", field.path);
        match r.json(node, &path) {
            Some(Value::Object(arguments)) => presets.push(arguments),
            Some(Value::Null) => presets.push(Map::new()),
            Some(_) => {
                let field = Field { node, key_at: field.key_at, path };
                r.mismatch(&field, "a map of arguments");
            }
            None => {}
        }
    }
    presets
}

fn is_of_package(file: &str) -> bool {
    file.starts_with(PACKAGE) || file.starts_with("massgen.")
}

fn is_python(file: &str) -> bool {
    file.ends_with(".py") || (!file.contains('/') && file.split('.').all(is_identifier))
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}
