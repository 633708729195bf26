//! What a server says it can do, made fit to be offered to a model.
//!
//! Lists are read one tool at a time: one that is broken does not hide the others.

use std::collections::BTreeSet;

use massgen_protocol::{McpServerSpec, ToolEffect};
use serde_json::{Map, Value, json};

use super::limits::{DESCRIPTION_MAX, SCHEMA_MAX, TOOLS_MAX};
use super::names;
use super::text;

/// Levels of a schema. Deeper ones are taken for anything at all.
const DEPTH_MAX: usize = 48;

/// A tool as its server lists it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    /// What the server calls it.
    pub name: String,
    pub description: String,
    pub parameters: Value,
    pub effect: ToolEffect,
}

/// Returns the tools of a list, and what is wrong with it in words.
pub(super) fn read(tools: &[Value]) -> (Vec<Listed>, Vec<String>) {
    let mut listed: Vec<Listed> = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut nameless, mut twice) = (0, BTreeSet::new());
    for tool in tools.iter().take(TOOLS_MAX) {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            nameless += 1;
        } else if !seen.insert(name.to_owned()) {
            twice.insert(text::line(name, 80));
        } else {
            listed.push(read_one(name, tool));
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    let mut problems = Vec::new();
    if nameless > 0 {
        problems.push(format!("{nameless} of its tools have no name and are left out"));
    }
    if !twice.is_empty() {
        let names: Vec<String> = twice.iter().map(|name| format!("`{name}`")).collect();
        problems.push(format!("it lists {} more than once; the first counts", names.join(", ")));
    }
    if tools.len() > TOOLS_MAX {
        problems.push(format!("it lists {} tools; the first {TOOLS_MAX} count", tools.len()));
    }
    (listed, problems)
}

fn read_one(name: &str, tool: &Value) -> Listed {
    let said = |key: &str| tool.get(key).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let hint = |key: &str| tool.pointer(&format!("/annotations/{key}")).and_then(Value::as_bool);
    let mut description = text::clean(said("description"));
    if description.is_empty() {
        description = text::line(said("title"), DESCRIPTION_MAX);
    }
    let mut description = text::head(&description, DESCRIPTION_MAX);
    let parameters = parameters(tool.get("inputSchema"), &mut description);
    // Hints come from whom they are about, so none makes a tool more harmless than what is
    // asked of it: a tool that says nothing is taken for one that changes something.
    let effect = match (hint("readOnlyHint"), hint("destructiveHint")) {
        (Some(true), _) => ToolEffect::Read,
        (_, Some(true)) => ToolEffect::Irreversible,
        _ => ToolEffect::Write,
    };
    Listed { name: name.to_owned(), description, parameters, effect }
}

/// Returns the schema of a tool's arguments, which is an object's whatever the server said.
fn parameters(schema: Option<&Value>, description: &mut String) -> Value {
    let open = || json!({ "type": "object", "properties": {} });
    let Some(Value::Object(written)) = schema else { return open() };
    let is_object = match written.get("type") {
        None => true,
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) => false,
    };
    if !is_object {
        return open();
    }
    let mut schema = written.clone();
    schema.remove("$schema");
    schema.insert("type".to_owned(), json!("object"));
    if !schema.get("properties").is_some_and(Value::is_object) {
        schema.insert("properties".to_owned(), json!({}));
    }
    let mut tidy = Value::Object(schema);
    walk(&mut tidy, 0, &mut |schema| {
        for key in ["description", "title"] {
            if let Some(Value::String(text)) = schema.get_mut(key) {
                *text = text::clean(text);
            }
        }
    });
    if size(&tidy) > SCHEMA_MAX {
        walk(&mut tidy, 0, &mut |schema| {
            for key in ["description", "title", "examples", "$comment"] {
                schema.remove(key);
            }
        });
    }
    if size(&tidy) > SCHEMA_MAX {
        description.push_str("\n(The schema of its arguments is too large to be shown.)");
        return open();
    }
    tidy
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Calls `change` on each schema within a schema, and cuts what is nested too deep. Values that
/// only look like schemas (`default`, `enum`, `const`) are let alone.
fn walk(schema: &mut Value, depth: usize, change: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(fields) = schema else { return };
    if depth > DEPTH_MAX {
        fields.clear();
        return;
    }
    change(fields);
    for (key, value) in fields.iter_mut() {
        match (key.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(named),
            ) => {
                for (_, schema) in named.iter_mut() {
                    walk(schema, depth + 1, change);
                }
            }
            ("default" | "enum" | "const" | "examples" | "required", _) => {}
            (_, Value::Array(schemas)) => {
                for schema in schemas {
                    walk(schema, depth + 1, change);
                }
            }
            (_, value) => walk(value, depth + 1, change),
        }
    }
}

/// Which tools of a server an agent gets.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    allowed: Option<Vec<String>>,
    excluded: Vec<String>,
    /// The server's own list is about nothing but its tools, so what it names has to be there.
    strict: bool,
}

impl Filter {
    /// The server's list of allowed tools replaces the agent's; excluded is what either says.
    pub(super) fn new(
        server: &McpServerSpec,
        allowed: Option<&[String]>,
        excluded: &[String],
    ) -> Filter {
        Filter {
            allowed: server.allowed_tools.clone().or_else(|| allowed.map(<[String]>::to_vec)),
            excluded: excluded.iter().chain(&server.exclude_tools).cloned().collect(),
            strict: server.allowed_tools.is_some(),
        }
    }

    pub(super) fn takes(&self, server: &str, tool: &str) -> bool {
        let named = |list: &[String]| {
            list.iter().any(|name| {
                name == tool || name.strip_prefix(&names::prefix(server)).is_some_and(|n| n == tool)
            })
        };
        self.allowed.as_deref().is_none_or(named) && !named(&self.excluded)
    }

    /// Returns the tools that are asked for by name and not there.
    pub(super) fn unknown(&self, server: &str, tools: &[Listed]) -> Vec<String> {
        let Some(allowed) = self.allowed.as_ref().filter(|_| self.strict) else {
            return Vec::new();
        };
        let prefix = names::prefix(server);
        let is_there = |name: &str| tools.iter().any(|tool| tool.name == name);
        let plain = |name: &String| name.strip_prefix(&prefix).unwrap_or(name).to_owned();
        allowed.iter().map(plain).filter(|name| !is_there(name)).collect()
    }
}

#[cfg(test)]
mod tests;
