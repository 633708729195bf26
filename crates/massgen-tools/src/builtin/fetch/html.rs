//! Readable text out of HTML: headings, lists, links and preformatted text are kept, the rest
//! is dropped. Takes any bytes of text; what is not well-formed is read as browsers would.

use super::entities;

/// Elements whose content is not for readers.
const SKIPPED: &[&str] =
    &["script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "select"];
/// Elements that begin and end a line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hr",
    "html",
    "main",
    "nav",
    "ol",
    "p",
    "section",
    "table",
    "tbody",
    "thead",
    "tr",
    "ul",
    "pre",
    "title",
    "caption",
    "details",
    "summary",
];
/// A page that nests deeper is read on without indentation.
const NESTING_MAX: usize = 12;

/// Returns the text of a page, with its title first.
pub fn to_text(html: &str) -> String {
    let mut page = Page::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        page.text(&rest[..at]);
        rest = page.markup(&rest[at..]);
    }
    page.text(rest);
    page.end()
}

#[derive(Default)]
struct Page {
    out: String,
    /// Addresses of links that are open, with where their text begins.
    links: Vec<(String, usize)>,
    lists: Vec<List>,
    n_pre: usize,
    /// A space is owed before the next word.
    gap: bool,
}

enum List {
    Bullets,
    Numbers(usize),
}

impl Page {
    fn text(&mut self, raw: &str) {
        if raw.is_empty() {
            return;
        }
        let text = entities::decode(raw);
        if self.n_pre > 0 {
            self.out.push_str(&text);
            return;
        }
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if !word.is_empty() {
                if self.gap && !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
                    self.out.push(' ');
                }
                self.out.push_str(word);
                self.gap = false;
            }
            self.gap |= word.len() < piece.len();
        }
    }

    /// Takes what begins with `<`; returns what is left after it.
    fn markup<'a>(&mut self, rest: &'a str) -> &'a str {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return comment.find("-->").map_or("", |end| &comment[end + 3..]);
        }
        let closing = rest.starts_with("</");
        let inner = &rest[if closing { 2 } else { 1 }..];
        if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
            self.text("<");
            return &rest[1..];
        }
        let end = end_of_tag(inner);
        let tag = &inner[..end];
        let after = inner.get(end + 1..).unwrap_or_default();
        let name: String = tag
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect::<String>()
            .to_ascii_lowercase();
        if closing {
            self.close(&name);
        } else if SKIPPED.contains(&name.as_str()) && !tag.ends_with('/') {
            return after_element(after, &name);
        } else {
            self.open(&name, tag);
        }
        after
    }

    fn open(&mut self, name: &str, tag: &str) {
        match name {
            "br" => self.out.push('\n'),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.paragraph();
                let level = name.as_bytes()[1] - b'0';
                self.out.push_str(&"#".repeat(level.into()));
                self.gap = true;
            }
            "ul" => self.lists.push(List::Bullets),
            "ol" => self.lists.push(List::Numbers(0)),
            "li" => self.item(),
            "td" | "th" => {
                if !self.out.ends_with('\n') && !self.out.is_empty() {
                    self.out.push_str(" | ");
                }
                self.gap = false;
            }
            "a" => {
                let address = attribute(tag, "href").unwrap_or_default();
                // The gap goes before the bracket, not into it.
                if self.gap && !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
                    self.out.push(' ');
                }
                self.gap = false;
                self.links.push((address, self.out.len()));
            }
            "img" => {
                if let Some(text) = attribute(tag, "alt").filter(|text| !text.trim().is_empty()) {
                    self.text(&format!(" [image: {}] ", text.trim()));
                }
            }
            "pre" => {
                self.paragraph();
                self.out.push_str("```\n");
                self.n_pre += 1;
            }
            _ if BLOCKS.contains(&name) => self.line(),
            _ => {}
        }
        if matches!(name, "p" | "table" | "blockquote") {
            self.paragraph();
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "ul" | "ol" => {
                self.lists.pop();
                self.line();
            }
            "a" => {
                if let Some((address, begin)) = self.links.pop() {
                    self.link(&address, begin);
                }
            }
            "pre" if self.n_pre > 0 => {
                self.n_pre -= 1;
                self.line();
                self.out.push_str("```\n");
            }
            "p" | "table" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "title" => self.paragraph(),
            _ if BLOCKS.contains(&name) => self.line(),
            _ => {}
        }
    }

    fn item(&mut self) {
        self.line();
        let depth = self.lists.len().saturating_sub(1).min(NESTING_MAX);
        self.out.push_str(&"  ".repeat(depth));
        match self.lists.last_mut() {
            Some(List::Numbers(n)) => {
                *n += 1;
                self.out.push_str(&format!("{n}. "));
            }
            Some(List::Bullets) | None => self.out.push_str("- "),
        }
    }

    fn link(&mut self, address: &str, begin: usize) {
        let address = address.trim();
        let followed = ["http://", "https://", "/"].iter().any(|start| address.starts_with(start));
        let label = self.out.get(begin..).unwrap_or_default();
        if !followed || label.trim().is_empty() || label.contains('\n') || label.trim() == address {
            return;
        }
        self.out.insert(begin, '[');
        self.out.push_str(&format!("]({address})"));
    }

    fn line(&mut self) {
        self.gap = false;
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn paragraph(&mut self) {
        self.line();
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn end(self) -> String {
        let (mut kept, mut n_empty) = (String::with_capacity(self.out.len()), 0);
        for line in self.out.lines().map(str::trim_end) {
            n_empty = if line.is_empty() { n_empty + 1 } else { 0 };
            if n_empty <= 1 {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept.trim().to_owned()
    }
}

/// Returns where a tag ends; `>` within quotes is part of a value.
fn end_of_tag(inner: &str) -> usize {
    let mut quote = None;
    let mut value_may_begin = false;
    for (at, byte) in inner.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') if value_may_begin => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (_, _) => {}
        }
        if !byte.is_ascii_whitespace() {
            value_may_begin = byte == b'=';
        }
    }
    // A quote that never ends hides a tag's end; then the first `>` is taken.
    inner.find('>').unwrap_or(inner.len())
}

fn after_element<'a>(rest: &'a str, name: &str) -> &'a str {
    let bytes = rest.as_bytes();
    let mut from = 0;
    while let Some(at) = rest[from..].find("</").map(|at| from + at) {
        let begin = at + 2;
        let matches = bytes
            .get(begin..begin + name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
        if matches {
            return rest[begin..].find('>').map_or("", |end| &rest[begin + end + 1..]);
        }
        from = begin;
    }
    ""
}

fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let mut rest = tag;
    while let Some(at) = rest.find('=') {
        let name = rest[..at]
            .trim_end()
            .rsplit(|c: char| c.is_whitespace() || c == '"' || c == '\'')
            .next()?;
        let value = rest[at + 1..].trim_start();
        let (value, after) = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            _ => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(entities::decode(value).into_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::to_text;

    #[track_caller]
    fn check(html: &str, expected: &str) {
        assert_eq!(to_text(html), expected, "{html}");
    }

    #[test]
    fn keeps_what_readers_see() {
        check("<p>Hello,\n  <b>big</b>   world!</p><p>Next</p>", "Hello, big world!\n\nNext");
        check("<h2>A &amp; B</h2>text", "## A & B\n\ntext");
        check("<ul><li>one<li>two<ol><li>x</li></ol></li></ul>", "- one\n- two\n  1. x");
        check(
            "see <a href=\"https://a.example/x?a=1&amp;b=2\">this page</a>.",
            "see [this page](https://a.example/x?a=1&b=2).",
        );
        check(
            "<a href='javascript:x()'>no</a> <a href=/y><img alt=Pic></a>",
            "no [[image: Pic]](/y)",
        );
        check("<pre>a\n  b</pre>", "```\na\n  b\n```");
        check("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "a | b\n1 | 2");
        check("a<br>b<!-- no --> c", "a\nb c");
        check("<title>T</title><script>if (a < b) {}</script><style>x</style>body", "T\n\nbody");
        check("1 < 2 and 3 > 2", "1 < 2 and 3 > 2");
        check("<a title='x > y' href=\"/z\">z</a>", "[z](/z)");
    }

    #[test]
    fn ends_on_anything() {
        for html in [
            "<",
            "</",
            "<a",
            "<a href",
            "<a href=",
            "<a href=\"",
            "<!--",
            "<!-- -",
            "<script>",
            "<script></scrip",
            "&",
            "&#",
            "&#x;",
            "&#99999999999;",
            "</p></ul></a></pre>",
            "<ü>",
            "<pre",
            "<a href=é é",
            "</script é>",
        ] {
            to_text(html);
        }
        let deep = "<ul><li>".repeat(5_000);
        assert!(to_text(&deep).lines().all(|line| line.len() < 40));
        // Every prefix of a page is a page.
        let page = "<p>é<a href='/ü'>ß</a><script>ö</script>&eacute;&#x1F600;<pre>\u{1F600}</pre>";
        for at in (0..page.len()).filter(|at| page.is_char_boundary(*at)) {
            to_text(&page[..at]);
            to_text(&page[at..]);
        }
    }
}
