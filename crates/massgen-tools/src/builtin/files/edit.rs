//! Changes of parts of a text. All of them, or none.

/// A part and what comes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub old: String,
    pub new: String,
    /// Everywhere it stands; else it has to stand in one place only.
    pub everywhere: bool,
}

/// Places of a text that are named where it is not clear which is meant.
const PLACES_MAX: usize = 8;

/// Makes all changes, one after the other.
///
/// # Errors
/// Which of them cannot be made, and what would help.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, String> {
    // Models write `\n`; files of other systems have `\r\n` on every line.
    let is_crlf =
        text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
    let mut new = if is_crlf { text.replace("\r\n", "\n") } else { text.to_owned() };
    for (nth, edit) in edits.iter().enumerate() {
        let edit = if is_crlf { edit.without_cr() } else { edit.clone() };
        let which = if edits.len() > 1 {
            format!("edit {} of {}: ", nth + 1, edits.len())
        } else {
            String::new()
        };
        new =
            one(&new, &edit).map_err(|problem| format!("{which}{problem}; nothing was changed"))?;
    }
    Ok(if is_crlf { new.replace('\n', "\r\n") } else { new })
}

impl Edit {
    fn without_cr(&self) -> Edit {
        Edit {
            old: self.old.replace("\r\n", "\n"),
            new: self.new.replace("\r\n", "\n"),
            everywhere: self.everywhere,
        }
    }
}

fn one(text: &str, edit: &Edit) -> Result<String, String> {
    if edit.old.is_empty() {
        return Err(
            "`oldText` is empty: give the text to replace, or write the whole file".to_owned()
        );
    }
    if edit.old == edit.new {
        return Err("`oldText` and `newText` are the same".to_owned());
    }
    let places: Vec<usize> =
        text.match_indices(&edit.old).map(|(at, _)| line_of(text, at)).collect();
    match places.len() {
        0 => Err(hint(text, &edit.old)),
        1 => Ok(text.replacen(&edit.old, &edit.new, 1)),
        _ if edit.everywhere => Ok(text.replace(&edit.old, &edit.new)),
        n => {
            let some: Vec<String> = places.iter().take(PLACES_MAX).map(usize::to_string).collect();
            let more = if n > PLACES_MAX { ", …" } else { "" };
            Err(format!(
                "`oldText` stands in {n} places (lines {}{more}): give more of the text around the one you mean, or `replaceAll`",
                some.join(", ")
            ))
        }
    }
}

/// What is said of a text that is not there as it was given.
fn hint(text: &str, old: &str) -> String {
    let wanted: Vec<&str> = old.lines().map(str::trim).collect();
    let lines: Vec<&str> = text.lines().collect();
    let same = |at: &usize| {
        lines[*at..].iter().map(|line| line.trim()).take(wanted.len()).eq(wanted.iter().copied())
    };
    let mut places = (0..(lines.len() + 1).saturating_sub(wanted.len())).filter(same);
    if let Some(at) = places.next()
        && wanted.iter().any(|line| !line.is_empty())
    {
        let there = lines[at..at + wanted.len()].join("\n");
        let to = at + wanted.len();
        return format!(
            "`oldText` is not there as given; but for white space it is at lines {} to {to}:\n{there}\n",
            at + 1
        );
    }
    let first = wanted.iter().find(|line| line.len() > 3);
    let near = first.and_then(|first| lines.iter().position(|line| line.contains(first)));
    match near {
        Some(at) => format!(
            "`oldText` is not in the file; its first line is at line {}, what follows differs",
            at + 1
        ),
        None => "`oldText` is not in the file: read it again".to_owned(),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(old: &str, new: &str) -> Edit {
        Edit { old: old.to_owned(), new: new.to_owned(), everywhere: false }
    }

    #[track_caller]
    fn check(text: &str, edits: &[Edit], expected: Result<&str, &str>) {
        match (apply(text, edits), expected) {
            (Ok(new), Ok(expected)) => assert_eq!(new, expected),
            (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn changes_one_place() {
        check("a b c", &[edit("b", "x")], Ok("a x c"));
        check("a b c", &[edit("b", "x"), edit("x c", "y")], Ok("a y"));
        check("a\r\nb\r\n", &[edit("a\nb", "c\nd")], Ok("c\r\nd\r\n"));
        check("a\r\nb\n", &[edit("b", "c")], Ok("a\r\nc\n"));
        check("x x", &[Edit { everywhere: true, ..edit("x", "y") }], Ok("y y"));
        check("a\n", &[edit("a", "")], Ok("\n"));
    }

    #[test]
    fn says_what_stands_in_the_way() {
        check("a\nx\nx\n", &[edit("x", "y")], Err("in 2 places (lines 2, 3)"));
        check("a", &[edit("", "y")], Err("is empty"));
        check("a", &[edit("a", "a")], Err("are the same"));
        check("a", &[edit("zzzz", "y")], Err("is not in the file"));
        check(
            "a b",
            &[edit("a", "x"), edit("q", "y")],
            Err("edit 2 of 2: `oldText` is not in the file"),
        );
        check(
            "if x:\n\treturn 1\n",
            &[edit("if x:\n    return 1", "")],
            Err("but for white space it is at lines 1 to 2:\nif x:\n\treturn 1"),
        );
        check("start\nother\n", &[edit("start\nend", "")], Err("its first line is at line 1"));
        check("\n\n", &[edit(" \n x", "")], Err("not in the file"));
    }

    #[test]
    fn any_texts_do() {
        let pieces = ["", "\n", "\r\n", "é", "a", " ", "aa", "\u{1F600}", "a\n", "\r"];
        for text in pieces.iter().flat_map(|a| pieces.iter().map(move |b| format!("{a}{b}{a}"))) {
            for old in pieces {
                for new in pieces {
                    let _ = apply(&text, &[edit(old, new)]);
                }
            }
        }
    }
}
