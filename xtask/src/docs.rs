//! Pages of the reference that are made from the code, so that they cannot rot.
//!
//! `cargo xtask docs` says which are stale, `cargo xtask docs --write` writes
//! them; `cargo xtask tidy` holds them.

mod backends;

use std::process::ExitCode;

use crate::repo::{self, Repo};

/// A page, or the part of one between its marks.
pub struct Page {
    /// Relative to `docs/`.
    path: &'static str,
    /// Name of the part; `None` for a whole page.
    part: Option<&'static str>,
    make: fn() -> String,
}

const PAGES: &[Page] = &[
    Page { path: "reference/backends.md", part: None, make: backends::page },
    Page { path: "reference/environment.md", part: Some("keys"), make: backends::keys },
];

pub fn run(arguments: &[String]) -> ExitCode {
    let may_write = match arguments {
        [] => false,
        [flag] if flag == "--write" => true,
        _ => {
            repo::say("usage: cargo xtask docs [--write]");
            return ExitCode::from(2);
        }
    };
    match stale_pages(may_write) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) if may_write => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            repo::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn stale_pages(may_write: bool) -> Result<usize, String> {
    let repo = Repo::read()?;
    let mut n_stale = 0;
    for page in PAGES {
        let Some(made) = page.made(&repo)? else { continue };
        n_stale += 1;
        if may_write {
            repo::write_doc(page.path, &made)?;
        }
        let done = if may_write { "written" } else { "stale" };
        repo::say(&format!("docs/{}: {done}", page.path));
    }
    Ok(n_stale)
}

/// Returns every page that does not say what the code says, and why.
pub fn stale(repo: &Repo) -> Vec<(String, String)> {
    let told = |page: &Page| match page.made(repo) {
        Ok(None) => None,
        Ok(Some(_)) => Some("is stale; run `cargo xtask docs --write`".to_owned()),
        Err(error) => Some(error),
    };
    let path = |page: &Page| format!("docs/{}", page.path);
    PAGES.iter().filter_map(|page| told(page).map(|what| (path(page), what))).collect()
}

impl Page {
    /// Returns the page as it has to be, if it is not.
    fn made(&self, repo: &Repo) -> Result<Option<String>, String> {
        let file = repo.file(&format!("docs/{}", self.path));
        let now = file.map_or("", |file| file.text.as_str());
        let made = match self.part {
            None => (self.make)(),
            Some(part) => within(now, part, &(self.make)())
                .ok_or_else(|| format!("docs/{} has no part `{part}`", self.path))?,
        };
        Ok((made != now).then_some(made))
    }
}

/// Returns `page` with `text` between the marks of a part.
fn within(page: &str, part: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- made: {part} -->\n"), format!("<!-- end: {part} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_between_its_marks() {
        let page = "a\n<!-- made: x -->\nold\n<!-- end: x -->\nb\n";
        let new = "a\n<!-- made: x -->\nnew\n<!-- end: x -->\nb\n";
        assert_eq!(within(page, "x", "new\n").as_deref(), Some(new));
        assert_eq!(within(page, "y", "new\n"), None);
        assert_eq!(within("<!-- made: x -->\n", "x", "new\n"), None);
    }
}
