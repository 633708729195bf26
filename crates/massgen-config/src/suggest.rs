//! «Did you mean».

/// Longest name compared: the effort grows with the square, and no key of ours is longer.
const NAME_CHARS_MAX: usize = 64;

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
    let distances = candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate));
    let (distance, candidate) = distances.min_by_key(|&(distance, _)| distance)?;
    (distance <= allowed && distance < candidate.chars().count()).then_some(candidate)
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
