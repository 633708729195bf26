//! The XML-like tags around what is said.

/// Names of our tags; `agent1`, `agent2`, … come on top.
pub(crate) const SECTIONS: &[&str] = &[
    "identity",
    "team",
    "work",
    "decide",
    "question",
    "previous_attempt",
    "current_answers",
    "final_answer",
    "objection",
    "instructions",
    "answer",
    "reasons",
    "reason",
    "update",
    "wrap_up",
    "rule",
    "present",
    "files",
    "insights",
    "insight",
    "review",
];

/// Returns whether `name`, in lower case, is one of our tags.
pub(crate) fn is_section_name(name: &str) -> bool {
    let digits = name.strip_prefix("agent");
    SECTIONS.contains(&name)
        || digits.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Wraps `body` in a tag of ours.
pub(crate) fn section(name: &str, body: &str) -> String {
    debug_assert!(is_section_name(name), "`{name}` is not among the names we defuse");
    format!("<{name}>\n{body}\n</{name}>")
}

/// Joins the texts that are not empty by an empty line.
pub(crate) fn join(texts: impl IntoIterator<Item = String>) -> String {
    present(texts).join("\n\n")
}

/// Joins the texts that are not empty, one below the other.
pub(crate) fn lines(texts: impl IntoIterator<Item = String>) -> String {
    present(texts).join("\n")
}

fn present(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}
