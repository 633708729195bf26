//! What a tool takes. One table is both the schema that models see and the check of what they
//! send: numbers may come as text and a single text where a list is wanted, and what is wrong
//! is said with what to send instead.

use massgen_protocol::{OfferedTool, ToolEffect, ToolSpec};
use serde_json::{Map, Value, json};

/// A tool of ours.
#[derive(Debug)]
pub(super) struct Tool {
    pub name: &'static str,
    pub does: &'static str,
    pub effect: ToolEffect,
    pub takes: &'static [Param],
}

#[derive(Debug)]
pub(super) struct Param {
    name: &'static str,
    what: &'static str,
    kind: Kind,
    required: bool,
    /// Other names that models use for it.
    also: &'static [&'static str],
}

#[derive(Debug)]
pub(super) enum Kind {
    Text,
    /// A whole number.
    Count {
        min: u64,
        max: u64,
    },
    Flag,
    Choice(&'static [&'static str]),
    Texts {
        max: usize,
    },
    /// A list of objects; a mere text stands for an object with its first parameter.
    Objects {
        of: &'static [Param],
        max: usize,
    },
}

impl Param {
    pub const fn need(name: &'static str, kind: Kind, what: &'static str) -> Param {
        Param { name, what, kind, required: true, also: &[] }
    }

    pub const fn may(name: &'static str, kind: Kind, what: &'static str) -> Param {
        Param { name, what, kind, required: false, also: &[] }
    }

    pub const fn or(self, also: &'static [&'static str]) -> Param {
        Param { also, ..self }
    }

    fn schema(&self) -> Value {
        let mut schema = match &self.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Count { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Choice(names) => json!({"type": "string", "enum": names}),
            Kind::Texts { max } => {
                json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": max})
            }
            Kind::Objects { of, max } => {
                json!({"type": "array", "items": schema(of), "minItems": 1, "maxItems": max})
            }
        };
        if let Value::Object(fields) = &mut schema {
            fields.insert("description".to_owned(), self.what.into());
        }
        schema
    }

    fn read(&self, value: Value) -> Result<Value, String> {
        match &self.kind {
            Kind::Text => text(value).ok_or_else(|| "must be a text".to_owned()),
            Kind::Count { min, max } => count(&value)
                .filter(|number| (min..=max).contains(&number))
                .map(Value::from)
                .ok_or_else(|| format!("must be a whole number from {min} to {max}")),
            Kind::Flag => flag(&value).ok_or_else(|| "must be true or false".to_owned()),
            Kind::Choice(names) => {
                let wanted =
                    value.as_str().map(|text| text.trim().to_lowercase().replace(['-', ' '], "_"));
                names
                    .iter()
                    .find(|name| wanted.as_deref() == Some(**name))
                    .map(|name| Value::from(*name))
                    .ok_or_else(|| format!("must be one of {}", quoted(names.iter().copied())))
            }
            Kind::Texts { max } => {
                let items = listed(value).into_iter().map(text).collect::<Option<Vec<Value>>>();
                bounded(items.ok_or_else(|| "must be a list of texts".to_owned())?, *max)
            }
            Kind::Objects { of, max } => {
                let items = listed(value)
                    .into_iter()
                    .map(|item| object(item, of))
                    .collect::<Result<Vec<_>, _>>()?;
                bounded(items, *max)
            }
        }
    }
}

impl Tool {
    pub fn offered(&self, effect: ToolEffect) -> OfferedTool {
        OfferedTool {
            spec: ToolSpec {
                name: self.name.to_owned(),
                description: self.does.to_owned(),
                parameters: schema(self.takes),
            },
            effect,
        }
    }

    /// Reads what a model sent.
    ///
    /// # Errors
    /// All that is wrong with it, in words for the model.
    pub fn read(&self, arguments: Map<String, Value>) -> Result<Given, String> {
        read(self.takes, arguments).map_err(|problems| {
            format!(
                "`{}` was not called: {}. It takes {}.",
                self.name,
                problems.join("; "),
                usage(self.takes)
            )
        })
    }
}

/// Checked arguments of one call. What is required is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Map<String, Value>);

impl Given {
    /// Returns a required text.
    pub fn text(&self, name: &str) -> &str {
        self.maybe(name).unwrap_or_default()
    }

    pub fn maybe(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub fn count(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        let items = self.0.get(name)?.as_array()?;
        Some(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
    }

    pub fn objects(&self, name: &str) -> Vec<Given> {
        let items = self.0.get(name).and_then(Value::as_array);
        let objects = items.into_iter().flatten().filter_map(Value::as_object);
        objects.map(|fields| Given(fields.clone())).collect()
    }
}

fn schema(takes: &[Param]) -> Value {
    let properties: Map<String, Value> =
        takes.iter().map(|param| (param.name.to_owned(), param.schema())).collect();
    let required: Vec<&str> =
        takes.iter().filter(|param| param.required).map(|param| param.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn read(takes: &[Param], mut arguments: Map<String, Value>) -> Result<Given, Vec<String>> {
    let (mut given, mut problems) = (Map::new(), Vec::new());
    for param in takes {
        let names = std::iter::once(&param.name).chain(param.also);
        let sent: Vec<Value> = names.filter_map(|name| arguments.remove(*name)).collect();
        match sent.into_iter().find(|value| !value.is_null()).map(|value| param.read(value)) {
            Some(Ok(value)) => {
                given.insert(param.name.to_owned(), value);
            }
            Some(Err(problem)) => problems.push(format!("`{}` {problem}", param.name)),
            None if param.required => problems.push(format!("`{}` is missing", param.name)),
            None => {}
        }
    }
    // Left out rather than refused: `null` for an argument that does not exist asks for nothing.
    let unknown = arguments.into_iter().filter(|(_, value)| !value.is_null());
    problems.extend(unknown.map(|(name, _)| format!("there is no argument `{}`", clipped(&name))));
    if problems.is_empty() { Ok(Given(given)) } else { Err(problems) }
}

fn usage(takes: &[Param]) -> String {
    if takes.is_empty() {
        return "no arguments".to_owned();
    }
    let said = takes.iter().map(|param| {
        let optional = if param.required { "" } else { ", optional" };
        format!("`{}` ({}{optional})", param.name, param.what.trim_end_matches('.'))
    });
    said.collect::<Vec<_>>().join(", ")
}

fn object(item: Value, of: &[Param]) -> Result<Value, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => {
                of.first().map(|param| (param.name.to_owned(), text.into())).into_iter().collect()
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(format!("must be a list of objects with {}", usage(of)));
        }
    };
    match read(of, fields) {
        Ok(given) => Ok(Value::Object(given.0)),
        Err(problems) => Err(format!("has a wrong item: {}", problems.join("; "))),
    }
}

/// Models send a list also as its JSON text, or the one item it would have.
fn listed(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Array(items)) => items,
            Ok(_) | Err(_) => vec![Value::String(text)],
        },
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => vec![other],
    }
}

fn bounded(items: Vec<Value>, max: usize) -> Result<Value, String> {
    match items.len() {
        0 => Err("must not be empty".to_owned()),
        n if n > max => Err(format!("has {n} items, at most {max} are taken in one call")),
        _ => Ok(Value::Array(items)),
    }
}

fn text(value: Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(flag) => Some(flag.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn count(value: &Value) -> Option<u64> {
    let whole = |number: f64| {
        (number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number))
            .then_some(number as u64)
    };
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn flag(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            Some(_) | None => None,
        },
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" | "" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
    .map(Value::Bool)
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What a model made up may be a page long.
fn clipped(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    static ITEM: &[Param] =
        &[Param::need("description", Kind::Text, "What"), Param::may("id", Kind::Text, "Name")];
    static TOOL: Tool = Tool {
        name: "try",
        does: "Tries.",
        effect: ToolEffect::Read,
        takes: &[
            Param::need("path", Kind::Text, "The file.").or(&["file_path"]),
            Param::may("head", Kind::Count { min: 1, max: 100 }, "Lines"),
            Param::may("dry_run", Kind::Flag, "Only look"),
            Param::may("mode", Kind::Choice(&["fast", "very_slow"]), "How"),
            Param::may("globs", Kind::Texts { max: 3 }, "Patterns"),
            Param::may("tasks", Kind::Objects { of: ITEM, max: 2 }, "Tasks"),
        ],
    };

    #[track_caller]
    fn check(sent: Value, expected: Result<Value, &str>) {
        let Value::Object(sent) = sent else { panic!("not an object") };
        match (TOOL.read(sent), expected) {
            (Ok(given), Ok(expected)) => assert_eq!(Value::Object(given.0), expected),
            (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn reads_what_models_mean() {
        check(json!({"path": "a"}), Ok(json!({"path": "a"})));
        check(json!({"file_path": 7, "x": null}), Ok(json!({"path": "7"})));
        check(json!({"path": "a", "head": "5"}), Ok(json!({"path": "a", "head": 5})));
        check(json!({"path": "a", "head": 5.0}), Ok(json!({"path": "a", "head": 5})));
        check(json!({"path": "a", "dry_run": "True"}), Ok(json!({"path": "a", "dry_run": true})));
        check(
            json!({"path": "a", "mode": "Very-Slow"}),
            Ok(json!({"path": "a", "mode": "very_slow"})),
        );
        check(json!({"path": "a", "globs": "*.rs"}), Ok(json!({"path": "a", "globs": ["*.rs"]})));
        check(
            json!({"path": "a", "globs": "[\"x\", 1]"}),
            Ok(json!({"path": "a", "globs": ["x", "1"]})),
        );
        check(
            json!({"path": "a", "tasks": ["one", {"description": "two", "id": 2}]}),
            Ok(
                json!({"path": "a", "tasks": [{"description": "one"}, {"description": "two", "id": "2"}]}),
            ),
        );
    }

    #[test]
    fn says_what_is_wrong() {
        check(json!({}), Err("`path` is missing"));
        check(json!({}), Err("It takes `path` (The file), `head` (Lines, optional)"));
        check(json!({"path": ["a"]}), Err("`path` must be a text"));
        check(json!({"path": "a", "head": 0}), Err("from 1 to 100"));
        check(json!({"path": "a", "head": -1}), Err("from 1 to 100"));
        check(json!({"path": "a", "head": 1e300}), Err("from 1 to 100"));
        check(json!({"path": "a", "head": 2.5}), Err("from 1 to 100"));
        check(json!({"path": "a", "dry_run": 3}), Err("must be true or false"));
        check(json!({"path": "a", "mode": "slow"}), Err("one of `fast`, `very_slow`"));
        check(json!({"path": "a", "globs": []}), Err("must not be empty"));
        check(json!({"path": "a", "globs": [1, 2, 3, 4]}), Err("has 4 items, at most 3"));
        check(json!({"path": "a", "globs": {"a": 1}}), Err("must be a list of texts"));
        check(json!({"path": "a", "tasks": [3]}), Err("must be a list of objects"));
        check(json!({"path": "a", "tasks": [{"id": "x"}]}), Err("`description` is missing"));
        check(json!({"path": "a", "lines": 3}), Err("there is no argument `lines`"));
    }

    #[test]
    fn the_schema_is_strict() {
        let schema = TOOL.offered(ToolEffect::Read).spec.parameters;
        assert_eq!(schema["required"], json!(["path"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["head"]["minimum"], json!(1));
        assert_eq!(schema["properties"]["tasks"]["items"]["required"], json!(["description"]));
    }
}
