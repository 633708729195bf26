//! JSON as people and models write it: single quotes, names without quotes, a comma too many,
//! Python's words, line breaks inside strings, escapes that JSON does not have.
//!
//! It is read only where strict JSON has failed, and only where it can mean one thing.

use serde_json::{Map, Number, Value};

/// Objects in objects; what is deeper is no tool's arguments.
const DEPTH_MAX: usize = 64;

/// Returns the object this text is, if it is one and nothing else.
pub(crate) fn object(text: &str) -> Option<Map<String, Value>> {
    let (value, end) = value_at(text, 0)?;
    let Value::Object(object) = value else { return None };
    text[end..].trim().is_empty().then_some(object)
}

/// Returns the value that begins at this place (or after blanks) and where it ends.
pub(crate) fn value_at(text: &str, at: usize) -> Option<(Value, usize)> {
    let mut reader = Reader { text, at };
    let value = reader.value(0)?;
    Some((value, reader.at))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.skip_blanks();
        match self.peek()? {
            '{' => self.object(depth),
            '[' => self.array(depth),
            quote @ ('"' | '\'') => self.string(quote).map(Value::String),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number(),
            _ => match self.word() {
                "true" | "True" => Some(Value::Bool(true)),
                "false" | "False" => Some(Value::Bool(false)),
                "null" | "None" => Some(Value::Null),
                _ => None,
            },
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut object = Map::new();
        self.take();
        loop {
            self.skip_blanks();
            if self.take_if('}') {
                return Some(Value::Object(object));
            }
            let name = match self.peek()? {
                quote @ ('"' | '\'') => self.string(quote)?,
                _ => Some(self.word()).filter(|word| !word.is_empty())?.to_owned(),
            };
            self.skip_blanks();
            if !self.take_if(':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            object.insert(name, value);
            self.skip_blanks();
            if !self.take_if(',') && self.peek()? != '}' {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.take();
        loop {
            self.skip_blanks();
            if self.take_if(']') {
                return Some(Value::Array(items));
            }
            items.push(self.value(depth + 1)?);
            self.skip_blanks();
            if !self.take_if(',') && self.peek()? != ']' {
                return None;
            }
        }
    }

    fn string(&mut self, quote: char) -> Option<String> {
        let mut out = String::new();
        self.take();
        let mut before = quote;
        loop {
            let next = self.take()?;
            match next {
                '\\' => self.escape(&mut out)?,
                // The apostrophe of a word ends no string.
                '\'' if quote == '\''
                    && before.is_alphanumeric()
                    && self.peek().is_some_and(char::is_alphanumeric) =>
                {
                    out.push(next);
                }
                _ if next == quote => return Some(out),
                _ => out.push(next),
            }
            before = next;
        }
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        match self.take()? {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'u' => {
                let unit = self.hex()?;
                let is_pair =
                    (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u");
                let code = if is_pair {
                    self.at += 2;
                    0x10000 + ((unit - 0xd800) << 10) + (self.hex()?.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    unit
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            c @ ('"' | '\'' | '\\' | '/') => out.push(c),
            // No escape of JSON's: `\(` of a formula, `\d` of a pattern. Both signs were meant.
            c => out.extend(['\\', c]),
        }
        Some(())
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let unit = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(unit)
    }

    fn number(&mut self) -> Option<Value> {
        let digits = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
        serde_json::from_str::<Number>(digits).ok().map(Value::Number)
    }

    fn word(&mut self) -> &str {
        self.run(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Value) {
        assert_eq!(object(text).map(Value::Object).as_ref(), Some(expected), "{text}");
    }

    #[test]
    fn what_models_write_instead_of_json_is_read() {
        check(r#"{"a": [1, -2.5e3, true, null]}"#, &json!({"a": [1, -2.5e3, true, null]}));
        check("{'tool': 'vote', 'n': 3,}", &json!({"tool": "vote", "n": 3}));
        check(
            "{tool: 'vote', agent-id: [True, False, None,]}",
            &json!({"tool": "vote", "agent-id": [true, false, null]}),
        );
        check("{'a': 'It's the agent's answer'}", &json!({"a": "It's the agent's answer"}));
        check("{'a': \"It's 'so'\"}", &json!({"a": "It's 'so'"}));
        check("{\"a\": \"two\nlines\"}", &json!({"a": "two\nlines"}));
        check(
            r#"{"a": "\(x\) \d \" \u00e9 \ud83d\ude00 \n"}"#,
            &json!({"a": "\\(x\\) \\d \" é 😀 \n"}),
        );
        check(" { } ", &json!({}));
    }

    #[test]
    fn what_could_mean_two_things_is_not() {
        let deep = "{'a':".repeat(100_000);
        let open = format!("{{'a': '{}", "x".repeat(10_000));
        for text in [
            "",
            "{",
            "{'a'",
            "{'a':",
            "{'a': 1",
            "{'a': agent1}",
            "{'a' 1}",
            "{'a': 1 'b': 2}",
            "{: 1}",
            "{'a': 1}{'a': 2}",
            "[1]",
            "1",
            "{'a': 1..2}",
            r"{'a': '\u12'}",
            r"{'a': '\uzzzz'}",
            "{'a': 'says 'yes', then leaves'}",
            &deep,
            &open,
        ] {
            assert_eq!(object(text), None, "{}", &text[..text.len().min(80)]);
        }
    }

    #[test]
    fn a_value_is_found_inside_a_text() {
        let text = "x {'a': 1} y";
        assert_eq!(value_at(text, 2), Some((json!({"a": 1}), 10)));
        assert_eq!(value_at(text, 10), None);
    }
}
