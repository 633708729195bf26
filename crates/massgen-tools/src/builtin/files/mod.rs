//! Tools for files. Where an agent may read and write is the [`Guard`]'s to decide; what is
//! added here is care: nothing is overwritten or deleted that the agent has not seen.

mod compare;
mod edit;
mod find;
mod list;
mod read;
mod seen;
mod text;
mod write;

use std::sync::Arc;

use futures::future::BoxFuture;
use massgen_protocol::ToolOutput;
use massgen_workspace::{Guard, GuardError, Kind, Walk, WalkOptions, Walked};

use self::seen::Seen;
use super::params::{Given, Tool};
use super::{Invocation, Stop, Toolbox, stoppable};

/// What a file tool says, or what went wrong, in words for the model.
type Said = Result<String, String>;

pub(super) struct Files {
    guard: Arc<Guard>,
    seen: Seen,
}

impl Files {
    pub fn new(guard: Arc<Guard>) -> Files {
        Files { seen: Seen::new(guard.clone()), guard }
    }

    fn run(&self, tool: &Tool, given: &Given, stop: &Stop) -> Said {
        match tool.name {
            "read_text_file" => self.read_text_file(given, stop),
            "read_multiple_files" => self.read_multiple_files(given, stop),
            "get_file_info" => self.get_file_info(given),
            "list_allowed_directories" => Ok(self.list_allowed_directories()),
            "list_directory" => self.list_directory(given),
            "list_directory_with_sizes" => self.list_directory_with_sizes(given),
            "directory_tree" => self.directory_tree(given),
            "search_files" => self.search_files(given),
            "search_text" => self.search_text(given, stop),
            "write_file" => self.write_file(given),
            "edit_file" => self.edit_file(given),
            "create_directory" => self.create_directory(given),
            "move_file" => self.move_file(given),
            "copy_file" => self.copy_file(given),
            "copy_files_batch" => self.copy_files_batch(given, stop),
            "delete_file" => self.delete_file(given),
            "delete_files_batch" => self.delete_files_batch(given, stop),
            "compare_files" => self.compare_files(given),
            "compare_directories" => self.compare_directories(given, stop),
            other => Err(format!("there is no tool `{other}`")),
        }
    }

    /// Walks a folder, or stands for the one file that a path names.
    fn walk(&self, path: &str, options: &WalkOptions) -> Result<Walk, String> {
        let stat = self.guard.stat(path).map_err(|error| said(&error))?;
        match stat.kind {
            Kind::Folder => self.guard.walk(path, options).map_err(|error| said(&error)),
            Kind::File | Kind::Link | Kind::Special => {
                Ok(Walk { entries: vec![Walked { path: String::new(), stat }], cut: false })
            }
        }
    }
}

impl Toolbox for Files {
    fn tools(&self) -> Vec<&'static Tool> {
        [read::TOOLS, list::TOOLS, find::TOOLS, write::TOOLS, compare::TOOLS].concat()
    }

    fn call(
        self: Arc<Self>,
        tool: &'static Tool,
        given: Given,
        _call: Invocation,
    ) -> BoxFuture<'static, ToolOutput> {
        stoppable(move |stop| match self.run(tool, &given, stop) {
            Ok(text) => ToolOutput::text(text),
            Err(problem) => ToolOutput::error(problem),
        })
    }
}

fn said(error: &GuardError) -> String {
    error.full_text()
}

/// The path of something below a folder, as the agent would write it.
fn below(folder: &str, path: &str) -> String {
    match (folder.trim_end_matches('/'), path) {
        (folder, "") => {
            if folder.is_empty() {
                "/".to_owned()
            } else {
                folder.to_owned()
            }
        }
        (".", path) => path.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

#[cfg(test)]
mod tests;
