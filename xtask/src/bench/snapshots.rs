//! What copies of workspaces cost, as the workspace crate measures it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

/// Begins the section in `docs/benchmarks.md`.
pub const HEADING: &str = "## Snapshots";

/// Runs the measurement and returns its section.
pub fn section(root: &Path) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "-q", "--release", "-p", "massgen-workspace", "--example", "snapshot_speed"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`snapshot_speed` failed: {said}{errors}"));
    }
    let mut section = format!(
        "{HEADING}\n\n\
         Printed by `cargo xtask bench snapshots --write` \
         (`crates/massgen-workspace/examples/snapshot_speed.rs`): medians of three, `cp -a` of the \
         same files in the same minute, everything on the local disk and synced where a run \
         would sync. *Stall*: the longest time that another thread, which wakes every \
         millisecond as an event loop does, was kept waiting.\n\n\
         | what | target | here |\n|---|---|---|\n"
    );
    for line in said.lines() {
        let value: Map<String, Value> = serde_json::from_str(line)
            .map_err(|error| format!("`snapshot_speed` printed `{line}`: {error}"))?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let measured: Vec<String> = value
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "figure" | "target"))
            .map(|(key, value)| format!("{} {value}", key.replace('_', " ")))
            .collect();
        let (figure, target) = (text("figure"), text("target"));
        let _ = writeln!(section, "| {figure} | {target} | {} |", measured.join(", "));
    }
    Ok(section)
}

/// Returns the page with its section replaced, or added at the end.
pub fn replaced(page: &str, section: &str) -> String {
    let Some(start) = page.find(HEADING) else {
        return format!("{}\n\n{section}", page.trim_end());
    };
    let rest = &page[start + HEADING.len()..];
    let end = rest.find("\n## ").map_or(page.len(), |at| start + HEADING.len() + at + 1);
    format!("{}{section}{}", &page[..start], &page[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_section_is_replaced() {
        let page = "# B\n\n## Snapshots\n\nold\n\n## Other\n\nkept\n";
        assert_eq!(
            replaced(page, "## Snapshots\n\nnew\n"),
            "# B\n\n## Snapshots\n\nnew\n## Other\n\nkept\n"
        );
        assert_eq!(replaced("# B\n", "## Snapshots\n\nnew\n"), "# B\n\n## Snapshots\n\nnew\n");
    }
}
