//! `docs/security.md` has the same table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use massgen_sandbox::forbidden;

use super::table::PARTS;

/// `UPDATE_DOCS=1` writes the tables into the page.
const UPDATE: &str = "UPDATE_DOCS";

fn attempts() -> String {
    let mut text = String::new();
    let mut number = 0;
    for (title, part) in PARTS {
        write!(
            text,
            "### {title}\n\n| | attempt | under bubblewrap | under Landlock |\n|---|---|---|---|\n"
        )
        .unwrap();
        for attempt in part {
            number += 1;
            let [bwrap, landlock] = attempt.held;
            writeln!(text, "| {number} | {} | {bwrap} | {landlock} |", attempt.what).unwrap();
        }
        text.push('\n');
    }
    text
}

fn calls() -> String {
    let mut text = "| system call | what it would be good for |\n|---|---|\n".to_owned();
    for entry in forbidden() {
        writeln!(text, "| `{}` | {} |", entry.call, entry.why).unwrap();
    }
    text.push('\n');
    text
}

/// Returns `page` with `content` between the marks called `name`.
fn with(page: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let at = page.find(&begin).expect("the page has the mark") + begin.len();
    let to = page.find(&end).expect("the page has the end mark");
    format!("{}\n{content}{}", &page[..at], &page[to..])
}

#[test]
fn the_page_has_the_tables_of_the_tests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut expected = with(&page, "attempts", &attempts());
    // The list differs by machine; the page has that of the common one.
    if cfg!(target_arch = "x86_64") {
        expected = with(&expected, "calls", &calls());
    }
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(page, expected, "run the test with {UPDATE}=1 to write the tables anew");
    }
}

#[test]
fn attempts_have_names_of_their_own_and_are_many() {
    let names: Vec<&str> =
        PARTS.iter().flat_map(|(_, part)| part.iter().map(|attempt| attempt.name)).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len());
    assert!(names.len() >= 60, "{}", names.len());
}
