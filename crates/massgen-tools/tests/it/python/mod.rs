//! Functions in Python files of the user, called through the source, in the sandbox.

mod calls;
mod faults;
mod schemas;

use std::sync::Arc;

use massgen_protocol::PythonToolSpec;
use massgen_tools::{Sourced, ToolSource, python};
use serde_json::{Map, Value};

use crate::desk::Desk;

fn spec(path: &str, function: &str) -> PythonToolSpec {
    PythonToolSpec {
        name: function.to_owned(),
        path: path.to_owned(),
        function: function.to_owned(),
        description: None,
        preset_args: Map::new(),
    }
}

/// All functions of one file.
async fn load(desk: &Desk, content: &str, functions: &[&str]) -> Sourced {
    let path = desk.tool_file("tools.py", content);
    let specs: Vec<PythonToolSpec> = functions.iter().map(|name| spec(&path, name)).collect();
    python::source(&specs, &desk.equipment).await
}

async fn loaded(desk: &Desk, content: &str, functions: &[&str]) -> Arc<dyn ToolSource> {
    let sourced = load(desk, content, functions).await;
    assert_eq!(sourced.missing, Vec::<String>::new());
    sourced.source
}

fn parameters(source: &Arc<dyn ToolSource>, function: &str) -> Value {
    let name = format!("{}{function}", python::PREFIX);
    source.tools().into_iter().find(|tool| tool.spec.name == name).unwrap().spec.parameters
}
