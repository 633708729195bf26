//! What a tool that ran at the provider came to, as a text for people.

use serde_json::Value;

/// Of one result as it is shown and logged. The model has the whole.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// Output, and whether it is a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) output: String,
    pub(super) is_error: bool,
}

/// Reads the `content` of a result block.
pub(super) fn outcome(block: &Value) -> Outcome {
    let content = &block["content"];
    let mut is_error = block["is_error"] == true;
    let mut output = match content {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(item).collect::<Vec<_>>().join("\n"),
        Value::Object(_) => {
            let code = content["return_code"].as_i64();
            is_error |= code.is_some_and(|code| code != 0) || content["error_code"].is_string();
            object(content)
        }
        _ => String::new(),
    };
    if output.len() > OUTPUT_BYTES_MAX {
        output.truncate(output.floor_char_boundary(OUTPUT_BYTES_MAX));
        output.push('…');
    }
    Outcome { output, is_error }
}

fn item(item: &Value) -> Option<String> {
    let text = |key: &str| item[key].as_str().filter(|text| !text.is_empty());
    match (text("title"), text("url"), text("text")) {
        (Some(title), Some(url), _) => Some(format!("{title}: {url}")),
        (None, Some(url), _) => Some(url.to_owned()),
        (_, None, Some(said)) => Some(said.to_owned()),
        (_, None, None) => None,
    }
}

fn object(content: &Value) -> String {
    let text = |key: &str| content[key].as_str().filter(|text| !text.is_empty());
    if let Some(code) = text("error_code") {
        return code.to_owned();
    }
    let mut parts: Vec<String> = ["stdout", "stderr", "content", "url"]
        .into_iter()
        .filter_map(text)
        .map(str::to_owned)
        .collect();
    if let Some(lines) = content["lines"].as_array() {
        parts.extend(lines.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    match content["return_code"].as_i64() {
        Some(code) if code != 0 => parts.push(format!("exit status {code}")),
        _ => {}
    }
    let ends_line = |part: String| part.trim_end_matches('\n').to_owned();
    parts.into_iter().map(ends_line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_of_every_tool_are_shown() {
        let check = |block: Value, output: &str, is_error: bool| {
            let expected = Outcome { output: output.to_owned(), is_error };
            assert_eq!(outcome(&block), expected, "{block}");
        };
        let found = json!({"type": "web_search_result", "title": "Gpc", "url": "https://h",
            "encrypted_content": "E"});
        check(
            json!({"content": [found, {"url": "https://i"}]}),
            "Gpc: https://h\nhttps://i",
            false,
        );
        let refused =
            json!({"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"});
        check(json!({"content": refused}), "max_uses_exceeded", true);
        let ran = |code: i64| {
            json!({"content": {"type": "bash_code_execution_result",
            "stdout": "8\n", "stderr": "hm\n", "return_code": code, "content": []}})
        };
        check(ran(0), "8\nhm", false);
        check(ran(2), "8\nhm\nexit status 2", true);
        let viewed = json!({"content": {"type": "text_editor_code_execution_view_result",
            "file_type": "text", "content": "{}", "num_lines": 1}});
        check(viewed, "{}", false);
        let edited = json!({"content": {"type": "text_editor_code_execution_str_replace_result",
            "lines": ["-1", "+2"]}});
        check(edited, "-1\n+2", false);
        let said = json!({"is_error": true, "content": [{"type": "text", "text": "no"}]});
        check(said, "no", true);
        check(json!({}), "", false);
        check(json!({"content": 3}), "", false);
    }

    #[test]
    fn a_long_output_is_cut() {
        let output = outcome(&json!({"content": "ü".repeat(OUTPUT_BYTES_MAX)})).output;
        assert!(output.len() <= OUTPUT_BYTES_MAX + '…'.len_utf8() && output.ends_with('…'));
    }
}
