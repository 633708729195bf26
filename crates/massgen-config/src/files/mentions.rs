//! Paths that a question names: `@src/main.rs`, `@docs/:w`, `@"a file"`.

use massgen_protocol::Access;

/// Most paths of one question; what is behind them stays text.
const MENTIONS_MAX: usize = 64;

/// Takes the paths out of a question. `@path` may be read, `@path:w` written by the presenter;
/// with blanks it stands in quotes. Left as text: `\@`, what stands inside a word (an e-mail
/// address), and a bare word without a dot or a slash (`@agent1`). Whether a path exists is for
/// the caller to find out.
pub fn context_in_question(question: &str) -> (String, Vec<(String, Access)>) {
    let mut text = String::with_capacity(question.len());
    let mut paths: Vec<(String, Access)> = Vec::new();
    let mut rest = question;
    while let Some(at) = rest.find('@') {
        let (before, mention) = rest.split_at(at);
        let after = &mention[1..];
        if let Some(before) = before.strip_suffix('\\') {
            text.push_str(before);
            text.push('@');
            rest = after;
            continue;
        }
        text.push_str(before);
        let is_inside_word = text.chars().next_back().is_some_and(|c| {
            c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '/' | '@' | '`')
        });
        let found = if is_inside_word || paths.len() >= MENTIONS_MAX { None } else { path(after) };
        let Some((path, access, len)) = found else {
            text.push('@');
            rest = after;
            continue;
        };
        rest = &after[len..];
        // The blank before it goes with it, unless a word follows at once.
        if rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || ".,;:!?)".contains(c))
        {
            let kept = text.trim_end_matches(' ').len();
            text.truncate(kept);
        }
        match paths.iter_mut().find(|(known, _)| *known == path) {
            Some((_, known)) if access == Access::Write => *known = access,
            Some(_) => {}
            None => paths.push((path, access)),
        }
    }
    text.push_str(rest);
    if paths.is_empty() {
        return (text, paths);
    }
    (text.trim().to_owned(), paths)
}

/// Reads a path at the start of the text; gives how many bytes it takes.
fn path(text: &str) -> Option<(String, Access, usize)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let end = quoted.find(['"', '\n']).filter(|end| quoted[*end..].starts_with('"'))?;
        let path = &quoted[..end];
        let after = &quoted[end + 1..];
        let (access, len) = access(after);
        return (!path.trim().is_empty()).then(|| (path.to_owned(), access, 1 + end + 1 + len));
    }
    let is_end = |c: char| c.is_whitespace() || "\"'`<>|,;()[]{}@".contains(c);
    let word = &text[..text.find(is_end).unwrap_or(text.len())];
    // What ends a sentence is no part of the path; `..` and `dir/.` are.
    let word = word.trim_end_matches(['!', '?', ':']);
    let word = match word.strip_suffix('.') {
        Some(bare) if !bare.ends_with(['.', '/']) && !bare.is_empty() => bare,
        Some(_) | None => word,
    };
    let (path, access) = match word.strip_suffix(":w") {
        Some(path) => (path, Access::Write),
        None => (word.strip_suffix(":r").unwrap_or(word), Access::Read),
    };
    let is_path = path.contains(['/', '.']) || access == Access::Write;
    let is_text = path.contains("://") || path.contains('\0') || path.is_empty();
    (is_path && !is_text).then(|| (path.to_owned(), access, word.len()))
}

fn access(after: &str) -> (Access, usize) {
    let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    match (after.strip_prefix(":w"), after.strip_prefix(":r")) {
        (Some(rest), _) if is_end(rest) => (Access::Write, 2),
        (_, Some(rest)) if is_end(rest) => (Access::Read, 2),
        _ => (Access::Read, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, then the paths, `!` in front of those to write.
    fn read(question: &str) -> (String, Vec<String>) {
        let (text, paths) = context_in_question(question);
        let shown = |(path, access)| match access {
            Access::Read => path,
            Access::Write => format!("!{path}"),
        };
        (text, paths.into_iter().map(shown).collect())
    }

    #[test]
    fn paths_are_taken_out_of_a_question() {
        for (question, text, paths) in [
            ("Explain @src/main.rs please", "Explain please", &["src/main.rs"][..]),
            ("Explain @src/main.rs.", "Explain.", &["src/main.rs"]),
            ("Fix @src/:w, then test", "Fix, then test", &["!src/"]),
            ("@./a.py and @../b.py", "and", &["./a.py", "../b.py"]),
            ("Compare (@a.md) with @/etc/hosts!", "Compare () with!", &["a.md", "/etc/hosts"]),
            ("Read @\"my file.txt\":w now", "Read now", &["!my file.txt"]),
            ("Read @\"my dir/\" now", "Read now", &["my dir/"]),
            ("@a.md then @a.md:w", "then", &["!a.md"]),
            ("@a.md:w then @a.md", "then", &["!a.md"]),
            ("What is in @.?", "What is in?", &["."]),
            ("Look at @~/notes.md", "Look at", &["~/notes.md"]),
            ("Change @Makefile:w", "Change", &["!Makefile"]),
            ("Änderung in @datei_ä.txt…", "Änderung in", &["datei_ä.txt…"]),
        ] {
            let expected = (text.to_owned(), paths.iter().map(|p| (*p).to_owned()).collect());
            assert_eq!(read(question), expected, "{question}");
        }
    }

    #[test]
    fn other_signs_stay_text() {
        for question in [
            "no sign at all ",
            "Write to me@example.com",
            "Ask @agent1 and @everyone",
            "@",
            "a @ b",
            "@@src/main.rs",
            "`@app.route('/')`",
            "see https://x.example/@user/page",
            "@https://x.example/a.b",
            "@\"unclosed",
            "@\"\"",
            "foo@bar/baz.rs",
        ] {
            assert_eq!(read(question), (question.to_owned(), vec![]), "{question}");
        }
        assert_eq!(read("use \\@src/main.rs").0, "use @src/main.rs");
        assert_eq!(read("use \\@src/main.rs").1, [""; 0]);
    }

    #[test]
    fn a_question_of_signs_ends() {
        let (_, paths) = read(&"@a/b ".repeat(10_000));
        assert_eq!(paths, ["a/b"]);
        let many: String = (0..200).map(|n| format!("@a/{n} ")).collect();
        let (text, paths) = read(&many);
        assert_eq!(paths.len(), MENTIONS_MAX);
        assert!(text.contains("@a/199"));
    }
}
