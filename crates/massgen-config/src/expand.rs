//! `${NAME}` and `${NAME:-default}` in texts.
//!
//! Only names of letters, digits and `_` are variables; every other `${` stands
//! for itself, and `$${NAME}` is the text `${NAME}`.

use std::borrow::Cow;

use massgen_protocol::Secret;

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

/// Expands a text of a kept spec once more: what its variables hold was not written down.
///
/// # Errors
/// The names of the variables that are not set.
pub fn expand_again(written: &str, env: &Environment) -> Result<Secret, Vec<String>> {
    expand(written, env, Use::Secret).map(Secret::new).map_err(|errors| {
        let name = |error| match error {
            ExpandError::NotSet { name } | ExpandError::Secret { name } => name,
        };
        errors.into_iter().map(name).collect()
    })
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
    for piece in pieces(text) {
        let variable = match piece {
            Piece::Text(text) => {
                expanded.push_str(text);
                continue;
            }
            Piece::Variable(variable) => variable,
        };
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
    if errors.is_empty() { Ok(Cow::Owned(expanded)) } else { Err(errors) }
}

/// Returns the variable's name if the whole text is one `${NAME}`.
pub(crate) fn sole_variable(text: &str) -> Option<&str> {
    let variable = variable(text)?;
    (variable.len == text.len() && variable.default.is_none()).then_some(variable.name)
}

/// Returns whether the text is another one in another environment.
pub(crate) fn has_variable(text: &str) -> bool {
    pieces(text).any(|piece| matches!(piece, Piece::Variable(_)))
}

/// Returns the names of the variables in a text.
pub(crate) fn variables(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Variable(variable) => Some(variable.name),
        Piece::Text(_) => None,
    })
}

/// Returns whether a variable of this name holds something to be kept secret.
pub(crate) fn is_secret_variable(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
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

/// A part of a text.
enum Piece<'t> {
    Text(&'t str),
    Variable(Variable<'t>),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(variable) = variable(rest) {
            rest = &rest[variable.len..];
            return Some(Piece::Variable(variable));
        }
        let (piece, after) = match rest.find("${") {
            None => (rest, ""),
            Some(0) => rest.split_at(2),
            // The dollar before says that this is no variable, and is not part of the text.
            Some(1) if rest.starts_with('$') => (&rest[1..3], &rest[3..]),
            Some(at) if rest[..at].ends_with('$') => rest.split_at(at - 1),
            Some(at) => rest.split_at(at),
        };
        rest = after;
        Some(Piece::Text(piece))
    })
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
        check("é$${HOST}é${HOST}$", "é${HOST}éh1$");
        check("${NONE:-é${HOST}}", "é${HOST}");
    }

    #[test]
    fn a_text_with_a_variable_is_told_from_one_without() {
        for with in ["${A}", "x ${A:-b} y", "$${A}${B}"] {
            assert!(has_variable(with), "{with}");
        }
        for without in ["", "$A", "$${A}", "${}", "${A", "${1}"] {
            assert!(!has_variable(without), "{without}");
        }
    }

    #[test]
    fn all_that_is_missing_is_told() {
        let missing = |name: &str| ExpandError::NotSet { name: name.to_owned() };
        let expanded = expand("${A}${HOST}${B}", &env(), Use::Recorded);
        assert_eq!(expanded, Err(vec![missing("A"), missing("B")]));
        assert_eq!(expand_again("${A}${HOST}${B}", &env()), Err(vec!["A".into(), "B".into()]));
    }

    #[test]
    fn secrets_go_into_requests_only() {
        let error = ExpandError::Secret { name: "MY_API_KEY".to_owned() };
        assert_eq!(expand("${MY_API_KEY}", &env(), Use::Recorded), Err(vec![error]));
        assert_eq!(expand("${MY_API_KEY}", &env(), Use::Secret), Ok(Cow::Borrowed("s3cret")));
        assert_eq!(expand_again("k=${MY_API_KEY}", &env()), Ok(Secret::new("k=s3cret")));
        assert_eq!(sole_variable("${MY_API_KEY}"), Some("MY_API_KEY"));
        assert_eq!(sole_variable("${MY_API_KEY}x"), None);
        assert_eq!(sole_variable("${MY_API_KEY:-x}"), None);
        assert_eq!(sole_variable("plain"), None);
    }
}
