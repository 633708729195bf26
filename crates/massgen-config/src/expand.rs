//! `${NAME}` and `${NAME:-default}` in texts.
//!
//! Only names of letters, digits and `_` are variables; every other `${` stands
//! for itself, and `$${NAME}` is the text `${NAME}`.

use std::borrow::Cow;

use crate::Environment;

/// Why a text cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpandError {
    NotSet {
        name: String,
    },
    /// The text would be kept in the run's files, where no secret may be.
    Secret {
        name: String,
    },
}

/// Where the text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Into the spec of the run, which is written to disk.
    Recorded,
    /// Nowhere but into requests.
    Secret,
}

/// Returns `text` with the variables put in, or all that is wrong with it.
pub(crate) fn expand<'t>(
    text: &'t str,
    env: &Environment,
    used: Use,
) -> Result<Cow<'t, str>, Vec<ExpandError>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.push_str(before);
        let Some(variable) = variable(from) else {
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        };
        rest = &from[variable.len..];
        let error = |e: fn(String) -> ExpandError| e(variable.name.to_owned());
        if used == Use::Recorded && is_secret_variable(variable.name) {
            errors.push(error(|name| ExpandError::Secret { name }));
            continue;
        }
        match (env.vars.get(variable.name), variable.default) {
            // As in a shell, a default also stands in for an empty value.
            (Some(value), Some(default)) if value.is_empty() => expanded.push_str(default),
            (Some(value), _) => expanded.push_str(value),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => errors.push(error(|name| ExpandError::NotSet { name })),
        }
    }
    expanded.push_str(rest);
    if errors.is_empty() { Ok(Cow::Owned(expanded)) } else { Err(errors) }
}

/// Returns the variable's name if the whole text is one `${NAME}`.
pub(crate) fn sole_variable(text: &str) -> Option<&str> {
    let variable = variable(text)?;
    (variable.len == text.len() && variable.default.is_none()).then_some(variable.name)
}

/// Returns whether a variable of this name holds something to be kept secret.
fn is_secret_variable(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["_key", "_token", "_secret", "_password", "_passwd", "_credentials"];
    ends.iter().any(|end| name.ends_with(end)) || looks_secret(&name)
}

/// Returns whether a field of this name holds something to be kept secret.
/// Narrow, because `prompt_cache_key` and `max_completion_tokens` do not.
pub(crate) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let parts =
        ["api_key", "apikey", "secret", "password", "authorization", "access_token", "auth_token"];
    parts.iter().any(|part| name.contains(part))
}

struct Variable<'t> {
    name: &'t str,
    default: Option<&'t str>,
    len: usize,
}

/// Reads a variable at the start of `text`, which begins with `${` if it does.
fn variable(text: &str) -> Option<Variable<'_>> {
    let inner = text.strip_prefix("${")?;
    let name_len = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (name, after) = inner.split_at(name_len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if after.starts_with('}') {
        return Some(Variable { name, default: None, len: 2 + name_len + 1 });
    }
    let default = after.strip_prefix(":-")?;
    let (default, _) = default.split_once('}')?;
    Some(Variable { name, default: Some(default), len: 2 + name_len + 2 + default.len() + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Environment {
        Environment::new([("HOST", "h1"), ("EMPTY", ""), ("MY_API_KEY", "s3cret")])
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(expand(text, &env(), Use::Recorded), Ok(Cow::Borrowed(expected)), "{text}");
    }

    #[test]
    fn variables_are_put_in() {
        check("http://${HOST}:80/${HOST}", "http://h1:80/h1");
        check("${NONE:-x}${EMPTY:-y}${EMPTY}${HOST:-z}${NONE:-}", "xyh1");
        check("$HOST $ {HOST} ${} ${1} ${a.b} ${HOST", "$HOST $ {HOST} ${} ${1} ${a.b} ${HOST");
        check("$${HOST} $$${HOST}", "${HOST} $${HOST}");
        check("${NONE:-é${HOST}}", "é${HOST}");
    }

    #[test]
    fn all_that_is_missing_is_told() {
        let missing = |name: &str| ExpandError::NotSet { name: name.to_owned() };
        let expanded = expand("${A}${HOST}${B}", &env(), Use::Recorded);
        assert_eq!(expanded, Err(vec![missing("A"), missing("B")]));
    }

    #[test]
    fn secrets_go_into_requests_only() {
        let error = ExpandError::Secret { name: "MY_API_KEY".to_owned() };
        assert_eq!(expand("${MY_API_KEY}", &env(), Use::Recorded), Err(vec![error]));
        assert_eq!(expand("${MY_API_KEY}", &env(), Use::Secret), Ok(Cow::Borrowed("s3cret")));
        assert_eq!(sole_variable("${MY_API_KEY}"), Some("MY_API_KEY"));
        assert_eq!(sole_variable("${MY_API_KEY}x"), None);
        assert_eq!(sole_variable("${MY_API_KEY:-x}"), None);
        assert_eq!(sole_variable("plain"), None);
    }
}
