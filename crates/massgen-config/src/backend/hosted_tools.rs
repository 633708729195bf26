//! Tools that run at the provider: switched on here, if the type has them.

use massgen_protocol::{BackendType, Capabilities, HostedTools, backend_types};

use crate::reader::Reader;
use crate::section::Section;

/// One tool: its keys, its name for people, who offers it, and where it is switched on.
struct Tool {
    keys: &'static [&'static str],
    title: &'static str,
    offered: fn(&Capabilities) -> bool,
    slot: fn(&mut HostedTools) -> &mut bool,
}

const TOOLS: [Tool; 3] = [
    Tool {
        keys: &["enable_web_search"],
        title: "web search of its own",
        offered: |capabilities| capabilities.web_search,
        slot: |tools| &mut tools.web_search,
    },
    Tool {
        keys: &["enable_code_execution", "enable_code_interpreter"],
        title: "code execution of its own",
        offered: |capabilities| capabilities.code_execution,
        slot: |tools| &mut tools.code_execution,
    },
    Tool {
        keys: &["enable_x_search"],
        title: "search in posts of X",
        offered: |capabilities| capabilities.x_search,
        slot: |tools| &mut tools.x_search,
    },
];

/// Reads the switches; `None` comes with at least one error.
pub(super) fn hosted_tools(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
) -> Option<HostedTools> {
    let n_errors = reader.report.n_errors();
    let mut tools = HostedTools::default();
    for tool in &TOOLS {
        for key in tool.keys {
            let Some(field) = section.given(key) else { continue };
            let (at, path) = (field.key_at, field.path.clone());
            if reader.flag(Some(field)) != Some(true) {
                continue;
            }
            let Some(kind) = kind else { continue };
            if offers(kind, tool) {
                *(tool.slot)(&mut tools) = true;
                continue;
            }
            let message = format!("`{}` has no {}", kind.name, tool.title);
            let hint = match types_with(tool) {
                types if types.is_empty() => format!("leave `{key}` out"),
                types => format!("leave `{key}` out, or take a `type` that has: {types}"),
            };
            reader.error(at, &path, message, Some(hint));
        }
    }
    (reader.report.n_errors() == n_errors).then_some(tools)
}

fn types_with(tool: &Tool) -> String {
    let can = |kind: &&BackendType| (tool.offered)(&kind.capabilities) && kind.is_callable();
    let names: Vec<String> =
        backend_types().iter().filter(can).map(|kind| format!("`{}`", kind.name)).collect();
    names.join(", ")
}

fn offers(kind: &BackendType, tool: &Tool) -> bool {
    // An agent of another maker brings its own, if it is allowed to use them.
    (tool.offered)(&kind.capabilities) || kind.capabilities.own_tools
}
