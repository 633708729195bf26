//! A command line to its words, as a POSIX shell splits it; nothing else of a shell is done.

/// Returns the words, or `None` if a quote is not closed.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    // `None` between words, so that `''` is one.
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_a_shell_does() {
        let check = |line: &str, expected: &[&str]| {
            let expected = Some(expected.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(words(line), expected, "{line}");
        };
        check("", &[]);
        check("  goose \t acp\n", &["goose", "acp"]);
        check("npx -y 'my agent' \"a \\\"b\\\" $x\"", &["npx", "-y", "my agent", "a \"b\" $x"]);
        check("a'b'\"c\"d '' \\ e", &["abcd", "", " e"]);
        check("\"C:\\dir\" é", &["C:\\dir", "é"]);
        for open in ["'", "\"", "a 'b", "\"\\\"", "a\\"] {
            assert_eq!(words(open), None, "{open}");
        }
    }
}
