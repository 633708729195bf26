//! Paths as they were written to paths that mean the same everywhere.

use std::path::{Component, Path, PathBuf};

use massgen_protocol::{ContextPath, FilesSpec, McpTransport, RunSpec, Tooling};

/// Names in full what a config names from where MassGen was started, its `base`: context paths,
/// Python files, the folder of approvals, where servers run. A relative `cwd` of an agent stays:
/// it is a folder of the run.
pub fn place_paths(spec: &mut RunSpec, base: &Path) {
    let FilesSpec { context_paths, sandbox, approval, output_dir, .. } = &mut spec.files;
    for ContextPath { path, protected, .. } in context_paths {
        *path = placed(base, path);
        protected.iter_mut().for_each(|inner| *inner = placed(Path::new(path), inner));
    }
    sandbox.read_paths.iter_mut().for_each(|path| *path = placed(base, path));
    for path in approval.dir.iter_mut().chain(output_dir) {
        *path = placed(base, path);
    }
    for agent in &mut spec.agents {
        let Tooling { python_tools, hooks, mcp_servers, .. } = &mut agent.tooling;
        for tool in python_tools.iter_mut().filter(|tool| tool.path.ends_with(".py")) {
            tool.path = placed(base, &tool.path);
        }
        for server in mcp_servers {
            if let McpTransport::Stdio { cwd: Some(cwd), .. } = &mut server.transport {
                *cwd = placed(base, cwd);
            }
        }
        for hook in hooks {
            if let Some((file, function)) = hook.handler.rsplit_once(".py:") {
                hook.handler = format!("{}:{function}", placed(base, &format!("{file}.py")));
            }
        }
    }
}

/// Joins and takes out `.` and `..` as they are written; links are followed by nobody here.
fn placed(base: &Path, path: &str) -> String {
    let mut placed = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(placed.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                placed.push(component);
            }
        }
    }
    placed.to_string_lossy().into_owned()
}
