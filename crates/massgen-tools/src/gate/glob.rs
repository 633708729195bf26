//! Patterns of rules: `*` is any text, `?` one character, `[…]` one of several.

/// Returns whether the whole text fits the pattern. Takes time in proportion to the product of
/// both lengths at most, whatever the pattern.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match step(&pattern, p, text[t]) {
            Some(next) => (p, t) = (next, t + 1),
            None if pattern.get(p) == Some(&'*') => {
                star = Some((p, t));
                p += 1;
            }
            None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Returns where the pattern goes on if its next piece takes the character.
fn step(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match *pattern.get(p)? {
        '*' => None,
        '?' => Some(p + 1),
        '[' => match set(pattern, p) {
            Some((end, is_in)) => is_in(c).then_some(end),
            // A bracket without its end is a bracket.
            None => (c == '[').then_some(p + 1),
        },
        literal => (literal == c).then_some(p + 1),
    }
}

/// Reads `[abc]`, `[a-z]`, `[!…]`; gives where it ends and what is in it.
fn set(pattern: &[char], at: usize) -> Option<(usize, impl Fn(char) -> bool + '_)> {
    let mut start = at + 1;
    let is_negated = pattern.get(start) == Some(&'!');
    start += usize::from(is_negated);
    // The first one may be the bracket itself.
    let end = (start + 1..pattern.len()).find(|n| pattern[*n] == ']')?;
    let members = &pattern[start..end];
    let is_in = move |c: char| {
        let mut n = 0;
        let mut found = false;
        while n < members.len() {
            if n + 2 < members.len() && members[n + 1] == '-' {
                found |= (members[n]..=members[n + 2]).contains(&c);
                n += 3;
            } else {
                found |= members[n] == c;
                n += 1;
            }
        }
        found != is_negated
    };
    Some((end + 1, is_in))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_pattern_fits_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b\nc", true),
            ("git push*", "git push --force", true),
            ("git push*", "git pull", false),
            ("/etc/**", "/etc/ssh/key", true),
            ("*/x/*", "a/x/b", true),
            ("*/x/*", "ax/b", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[!a-c]1", "d1", true),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("é*", "éa", true),
            ("A", "a", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        let pattern = "*a".repeat(400);
        assert!(!fits(&pattern, &"a".repeat(399)));
        assert!(fits(&pattern, &"a".repeat(4_000)));
    }
}
