//! «Did you mean».

/// Longest name compared: the effort grows with the square, and no key of ours is longer.
const NAME_CHARS_MAX: usize = 64;

/// Shortest name that is taken for the beginning of a longer one.
const STEM_CHARS_MIN: usize = 4;

/// Returns the candidate closest to `name`, if one is close enough to be meant.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if name.len() > NAME_CHARS_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase();
    // One slip in three letters; at least one, so that short names are helped too.
    let allowed = (name.chars().count() / 3).max(1);
    let is_stem = |candidate: &str| {
        name.len() >= STEM_CHARS_MIN
            && candidate.len() >= STEM_CHARS_MIN
            && (candidate.starts_with(&name) || name.starts_with(candidate))
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::damerau_levenshtein(&name, candidate);
        let is_near = distance <= allowed && distance < candidate.chars().count();
        let is_best = best.is_none_or(|(least, _)| distance < least);
        if is_best && (is_near || is_stem(candidate)) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let nearest = |name| nearest(name, ["openai", "ollama", "groq", "id"]);
        assert_eq!(nearest("opnai"), Some("openai"));
        assert_eq!(nearest("OpenAI"), Some("openai"));
        assert_eq!(nearest("grok"), Some("groq"));
        assert_eq!(nearest("anthropic"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest("xy"), None);
        assert_eq!(nearest(&"openai".repeat(100)), None);
    }
}
