//! A shell line to the commands in it, so that a rule holds for each of them.
//!
//! Lists and pipes, subshells, `$(…)`, backquotes, `<(…)`, here-documents that a shell reads,
//! `sh -c` and `eval` are taken apart. What a line comes to in the end only a shell knows:
//! a command whose name is computed has no name here, and a line that cannot be read is
//! [`Script::is_opaque`]. Both have to be asked about. This decides who is asked; what holds a
//! command back is the sandbox.

mod lexer;
mod part;

pub(super) use part::Part;

/// Longest line that is taken apart, and deepest nesting of it. More is asked about.
const LINE_BYTES_MAX: usize = 64 << 10;
const DEPTH_MAX: usize = 12;
/// Most commands of one line.
const PARTS_MAX: usize = 1_000;

/// What a line runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub parts: Vec<Part>,
    /// Files that it is fed from, and writes to, by `<` and `>`.
    pub reads: Vec<String>,
    pub writes: Vec<String>,
    /// It could not be read to its end.
    pub is_opaque: bool,
}

/// Takes a line apart.
pub(super) fn split(line: &str) -> Script {
    let mut script = Script::default();
    split_into(&mut script, line, 0);
    script
}

fn split_into(script: &mut Script, line: &str, depth: usize) {
    if depth > DEPTH_MAX || line.len() > LINE_BYTES_MAX || script.parts.len() > PARTS_MAX {
        script.is_opaque = true;
        return;
    }
    lexer::read(script, line, depth);
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod bash;
#[cfg(test)]
mod tests;
