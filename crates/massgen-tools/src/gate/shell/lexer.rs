//! Characters to words, words to commands.

use super::part::{self, Word};
use super::{Script, split_into};

/// Reads a whole line into the script.
pub(super) fn read(script: &mut Script, line: &str, depth: usize) {
    let mut lexer = Lexer { chars: line.chars().collect(), at: 0, depth, script };
    if lexer.list(None).is_none() {
        lexer.script.is_opaque = true;
    }
}

struct Lexer<'s> {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    script: &'s mut Script,
}

/// What the next word is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Word,
    Read,
    Write,
    ReadWrite,
    /// `<<<`
    HereString,
    /// `<<`, `<<-`
    HereDoc {
        strips_tabs: bool,
    },
}

struct HereDoc {
    delimiter: String,
    is_quoted: bool,
    strips_tabs: bool,
    /// Its body is a script.
    feeds_shell: bool,
}

/// A command that is being read.
#[derive(Default)]
struct Open {
    words: Vec<Word>,
    word: Option<Word>,
    next: Option<Next>,
    /// What it is fed by `<<<` and `<<`.
    fed: Vec<String>,
    docs: Vec<HereDoc>,
    /// How many `case` are open in this list: there `)` ends a pattern.
    case_depth: usize,
}

impl Lexer<'_> {
    /// Reads commands up to the closing character, or the end. `None` if it never comes.
    fn list(&mut self, close: Option<char>) -> Option<()> {
        let mut open = Open::default();
        // Bodies come after the line end, when the command they feed may be over.
        let mut docs: Vec<HereDoc> = Vec::new();
        loop {
            let Some(c) = self.take() else {
                self.end_command(&mut open, &mut docs)?;
                // A body that never came is one the shell makes up for with nothing.
                return (close.is_none() && docs.is_empty()).then_some(());
            };
            match c {
                '\n' => {
                    self.end_word(&mut open)?;
                    docs.append(&mut open.docs);
                    for doc in std::mem::take(&mut docs) {
                        let body = self.body(&doc)?;
                        if !doc.is_quoted {
                            self.substitutions(&body);
                        }
                        if doc.feeds_shell {
                            split_into(self.script, &body, self.depth + 1);
                        }
                        open.fed.push(body);
                    }
                    self.end_command(&mut open, &mut docs)?;
                }
                c if c.is_whitespace() => self.end_word(&mut open)?,
                '#' if open.word.is_none() => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                c if Some(c) == close => {
                    self.end_word(&mut open)?;
                    let is_pattern = open.case_depth > 0;
                    self.end_command(&mut open, &mut docs)?;
                    if !is_pattern {
                        return docs.is_empty().then_some(());
                    }
                }
                '&' if self.peek() == Some('>') => {
                    self.end_word(&mut open)?;
                    self.at += 1;
                    self.skip('>');
                    open.next = Some(Next::Write);
                }
                ';' | '&' | '|' | ')' => self.end_command(&mut open, &mut docs)?,
                '(' => {
                    self.end_command(&mut open, &mut docs)?;
                    self.nested(|lexer| lexer.list(Some(')')))?;
                }
                '<' | '>' => self.redirect(c, &mut open)?,
                c => self.piece(c, &mut open)?,
            }
        }
    }

    /// Reads one piece of a word.
    fn piece(&mut self, c: char, open: &mut Open) -> Option<()> {
        match c {
            '\\' => match self.take() {
                Some('\n') | None => {}
                Some(c) => {
                    open.word().is_quoted = true;
                    open.word().push(c);
                }
            },
            '\'' => {
                open.word().is_quoted = true;
                loop {
                    match self.take()? {
                        '\'' => break,
                        c => open.word().push(c),
                    }
                }
            }
            '"' => self.double_quoted(open)?,
            '$' if self.peek() == Some('\'') => {
                self.at += 1;
                let text = self.ansi_quoted()?;
                open.word().text.push_str(&text);
            }
            '$' if self.peek() == Some('"') => {
                self.at += 1;
                self.double_quoted(open)?;
            }
            '$' => self.dollar(open)?,
            '`' => self.backquoted(open)?,
            '*' | '?' | '[' => {
                open.word().push(c);
                open.word().is_computed = true;
            }
            '{' => {
                open.word().push(c);
                open.word().has_brace = true;
            }
            ',' | '.' if open.word.as_ref().is_some_and(|word| word.has_brace) => {
                open.word().push(c);
                open.word().is_computed = true;
            }
            c => open.word().push(c),
        }
        Some(())
    }

    fn double_quoted(&mut self, open: &mut Open) -> Option<()> {
        open.word().is_quoted = true;
        loop {
            match self.take()? {
                '"' => return Some(()),
                '\\' => match self.take()? {
                    '\n' => {}
                    c @ ('"' | '\\' | '$' | '`') => open.word().push(c),
                    c => {
                        open.word().push('\\');
                        open.word().push(c);
                    }
                },
                '$' => self.dollar(open)?,
                '`' => self.backquoted(open)?,
                c => open.word().push(c),
            }
        }
    }

    /// Reads what follows `$`, which stays in the word as it is written.
    fn dollar(&mut self, open: &mut Open) -> Option<()> {
        let start = self.at;
        match self.peek() {
            Some('(') => {
                self.at += 1;
                if self.peek() == Some('(')
                    && let Some(end) = self.arithmetic_end()
                {
                    let inner: String = self.chars[self.at + 1..end].iter().collect();
                    self.at = end + 2;
                    self.substitutions(&inner);
                } else {
                    self.nested(|lexer| lexer.list(Some(')')))?;
                }
            }
            Some('{') => {
                self.at += 1;
                let end = self.brace_end()?;
                let inner: String = self.chars[self.at..end].iter().collect();
                self.at = end + 1;
                self.substitutions(&inner);
            }
            Some(c) if c == '_' || c.is_ascii_alphabetic() => {
                while self.peek().is_some_and(|c| c == '_' || c.is_ascii_alphanumeric()) {
                    self.at += 1;
                }
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => self.at += 1,
            Some(_) | None => {
                open.word().push('$');
                return Some(());
            }
        }
        let written: String = self.chars[start..self.at].iter().collect();
        let word = open.word();
        word.push('$');
        word.text.push_str(&written);
        word.is_computed = true;
        Some(())
    }

    fn backquoted(&mut self, open: &mut Open) -> Option<()> {
        let mut inner = String::new();
        loop {
            match self.take()? {
                '`' => break,
                '\\' => match self.take()? {
                    c @ ('`' | '\\' | '$') => inner.push(c),
                    c => inner.extend(['\\', c]),
                },
                c => inner.push(c),
            }
        }
        split_into(self.script, &inner, self.depth + 1);
        let word = open.word();
        word.text.push('`');
        word.text.push_str(&inner);
        word.text.push('`');
        word.is_computed = true;
        Some(())
    }

    /// Reads `$'…'`.
    fn ansi_quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.take()? {
                '\'' => return Some(text),
                '\\' => match self.take()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'e' | 'E' => text.push('\u{1b}'),
                    'x' => text.push(self.code(16, 2)?),
                    'u' => text.push(self.code(16, 4)?),
                    'U' => text.push(self.code(16, 8)?),
                    '0'..='7' => {
                        self.at -= 1;
                        text.push(self.code(8, 3)?);
                    }
                    c => text.push(c),
                },
                c => text.push(c),
            }
        }
    }

    fn code(&mut self, radix: u32, digits_max: usize) -> Option<char> {
        let mut code = 0;
        let mut n = 0;
        while n < digits_max
            && let Some(digit) = self.peek().and_then(|c| c.to_digit(radix))
        {
            code = code * radix + digit;
            self.at += 1;
            n += 1;
        }
        char::from_u32(code).filter(|_| n > 0)
    }

    fn redirect(&mut self, c: char, open: &mut Open) -> Option<()> {
        // `2>` names a stream, `a>` ends a word.
        if open.word.as_ref().is_some_and(Word::is_number) {
            open.word = None;
        }
        self.end_word(open)?;
        if self.peek() == Some('(') {
            self.at += 1;
            self.nested(|lexer| lexer.list(Some(')')))?;
            open.word().text.push_str("<(…)");
            open.word().is_computed = true;
            return Some(());
        }
        open.next = Some(if c == '>' {
            if !self.skip('>') {
                self.skip('|');
            }
            self.stream_or(Next::Write)
        } else if self.skip('<') {
            if self.skip('<') {
                Next::HereString
            } else {
                Next::HereDoc { strips_tabs: self.skip('-') }
            }
        } else if self.skip('>') {
            Next::ReadWrite
        } else {
            self.stream_or(Next::Read)
        });
        Some(())
    }

    /// `>&2` names a stream, `>&file` a file.
    fn stream_or(&mut self, file: Next) -> Next {
        self.skip('&');
        file
    }

    fn end_word(&mut self, open: &mut Open) -> Option<()> {
        let Some(word) = open.word.take() else { return Some(()) };
        match open.next.take().unwrap_or(Next::Word) {
            Next::Word => {
                if part::is_head(&open.words) && !word.is_quoted {
                    match word.text.as_str() {
                        "case" => open.case_depth += 1,
                        "esac" => open.case_depth = open.case_depth.saturating_sub(1),
                        _ => {}
                    }
                }
                open.words.push(word);
            }
            Next::Read => self.file(&word, true, false),
            Next::Write => self.file(&word, false, true),
            Next::ReadWrite => self.file(&word, true, true),
            Next::HereString => open.fed.push(word.text),
            Next::HereDoc { strips_tabs } => open.docs.push(HereDoc {
                delimiter: word.text,
                is_quoted: word.is_quoted,
                strips_tabs,
                feeds_shell: false,
            }),
        }
        Some(())
    }

    fn file(&mut self, word: &Word, is_read: bool, is_written: bool) {
        let is_stream = word.is_number() || word.text == "-" || word.text == "/dev/null";
        if is_stream {
            return;
        }
        if is_read {
            self.script.reads.push(word.text.clone());
        }
        if is_written {
            self.script.writes.push(word.text.clone());
        }
    }

    /// Closes a command; its here-documents are read when the line ends.
    fn end_command(&mut self, open: &mut Open, docs: &mut Vec<HereDoc>) -> Option<()> {
        self.end_word(open)?;
        if open.next.take().is_some() {
            return None;
        }
        let feeds_shell = part::is_shell(&open.words);
        docs.extend(open.docs.drain(..).map(|doc| HereDoc { feeds_shell, ..doc }));
        let words = std::mem::take(&mut open.words);
        let fed = std::mem::take(&mut open.fed);
        part::push(self.script, words, &fed, self.depth);
        Some(())
    }

    /// Reads the lines up to the delimiter.
    fn body(&mut self, doc: &HereDoc) -> Option<String> {
        let mut body = String::new();
        while self.at < self.chars.len() {
            let mut line = String::new();
            while let Some(c) = self.take().filter(|c| *c != '\n') {
                line.push(c);
            }
            let bare = if doc.strips_tabs { line.trim_start_matches('\t') } else { &line };
            if bare == doc.delimiter {
                return Some(body);
            }
            body.push_str(bare);
            body.push('\n');
        }
        None
    }

    /// Finds the commands inside a text that is otherwise no command.
    fn substitutions(&mut self, text: &str) {
        let mut lexer = Lexer {
            chars: text.chars().collect(),
            at: 0,
            depth: self.depth + 1,
            script: &mut *self.script,
        };
        let is_too_deep = lexer.depth > super::DEPTH_MAX;
        let mut open = Open::default();
        let mut is_whole = !is_too_deep;
        while is_whole && let Some(c) = lexer.take() {
            let read = match c {
                '\\' => {
                    lexer.at += 1;
                    Some(())
                }
                '$' => lexer.dollar(&mut open),
                '`' => lexer.backquoted(&mut open),
                _ => Some(()),
            };
            is_whole = read.is_some();
        }
        self.script.is_opaque |= !is_whole;
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        if self.depth >= super::DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let done = read(self);
        self.depth -= 1;
        done
    }

    /// Returns where `))` closes `$((`, if what is between can be arithmetic.
    fn arithmetic_end(&self) -> Option<usize> {
        let mut depth = 0_usize;
        for n in self.at + 1..self.chars.len() {
            match self.chars[n] {
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                ')' => return (self.chars.get(n + 1) == Some(&')')).then_some(n),
                ';' | '\n' | '\'' | '"' => return None,
                _ => {}
            }
        }
        None
    }

    fn brace_end(&self) -> Option<usize> {
        let mut depth = 0_usize;
        let mut n = self.at;
        while n < self.chars.len() {
            match self.chars[n] {
                '\\' => n += 1,
                '{' => depth += 1,
                '}' if depth == 0 => return Some(n),
                '}' => depth -= 1,
                _ => {}
            }
            n += 1;
        }
        None
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += usize::from(is_next);
        is_next
    }
}

impl Open {
    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }
}
