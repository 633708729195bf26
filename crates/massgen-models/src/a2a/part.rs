//! The parts of a message or artifact → what they say.

use serde_json::Value;

/// What one part says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    Thought(String),
    /// The agent tells of a tool of its own.
    ToolStarted {
        id: String,
        name: String,
        input: String,
    },
    ToolFinished {
        id: String,
        name: String,
        output: String,
    },
}

/// Reads a part in either version's form. What is no text is told of in words, so that whoever
/// reads the answer knows of it.
pub(super) fn read(part: &Value) -> Said {
    let metadata = &part["metadata"];
    // The Agent Development Kit marks thoughts and its own tools so.
    let is_thought = metadata["adk_thought"].as_bool().unwrap_or(false);
    if let Some(text) = part["text"].as_str() {
        return match is_thought {
            true => Said::Thought(text.to_owned()),
            false => Said::Text(text.to_owned()),
        };
    }
    if let Some(data) = part.get("data") {
        // The plain HTTP of 0.3 wraps it once more.
        let data = match data.get("data") {
            Some(inner) if data.as_object().is_some_and(|data| data.len() == 1) => inner,
            Some(_) | None => data,
        };
        let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        return match metadata["adk_type"].as_str() {
            Some("function_call") => Said::ToolStarted {
                id: text("id"),
                name: text("name"),
                input: data["args"].to_string(),
            },
            Some("function_response") => Said::ToolFinished {
                id: text("id"),
                name: text("name"),
                output: data["response"].to_string(),
            },
            // In a block, where a call of one of our tools is found too.
            Some(_) | None => Said::Text(format!("\n```json\n{data}\n```\n")),
        };
    }
    let file = match part["file"].is_object() {
        true => &part["file"],
        false => part,
    };
    let word = |keys: &[&str]| keys.iter().find_map(|key| file[*key].as_str());
    let name = word(&["filename", "name"]).unwrap_or("without a name");
    let media_type = word(&["mediaType", "mimeType"]).unwrap_or("of unknown type");
    let what = format!("file {name} ({media_type})");
    if let Some(url) = word(&["url", "uri", "fileWithUri"]) {
        return Said::Text(format!("\n[{what}: {url}]\n"));
    }
    if let Some(base64) = word(&["raw", "bytes", "fileWithBytes"]) {
        return Said::Text(format!("\n[{what}, {} bytes, not shown]\n", base64.len() / 4 * 3));
    }
    Said::Text(String::new())
}

/// Returns the text of these parts; thoughts and tools left out.
pub(super) fn text(parts: &[Value]) -> String {
    let texts = parts.iter().map(read).filter_map(|said| match said {
        Said::Text(text) => Some(text),
        Said::Thought(_) | Said::ToolStarted { .. } | Said::ToolFinished { .. } => None,
    });
    texts.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_say_something_in_every_form() {
        let check = |part: Value, expected: &str| {
            assert_eq!(read(&part), Said::Text(expected.to_owned()), "{part}");
        };
        check(json!({"text": "x"}), "x");
        check(json!({"kind": "text", "text": "x"}), "x");
        check(
            json!({"data": {"a": 1}, "mediaType": "application/json"}),
            "\n```json\n{\"a\":1}\n```\n",
        );
        check(json!({"data": {"data": {"a": 1}}}), "\n```json\n{\"a\":1}\n```\n");
        check(
            json!({"kind": "file", "file": {"uri": "https://h/x.pdf", "mimeType": "application/pdf", "name": "x"}}),
            "\n[file x (application/pdf): https://h/x.pdf]\n",
        );
        check(
            json!({"raw": "AAAA", "mediaType": "image/png"}),
            "\n[file without a name (image/png), 3 bytes, not shown]\n",
        );
        check(
            json!({"file": {"fileWithUri": "https://h/x"}}),
            "\n[file without a name (of unknown type): https://h/x]\n",
        );
        for nothing in [json!({}), json!(null), json!({"kind": "dance"}), json!({"text": 3})] {
            check(nothing, "");
        }
        let thought = json!({"text": "hm", "metadata": {"adk_thought": true}});
        assert_eq!(read(&thought), Said::Thought("hm".to_owned()));
    }

    #[test]
    fn an_agents_own_tools_are_told_apart() {
        let (id, name) = ("c1".to_owned(), "search".to_owned());
        let call = json!({"data": {"id": "c1", "name": "search", "args": {"q": "x"}},
            "metadata": {"adk_type": "function_call"}});
        let input = r#"{"q":"x"}"#.to_owned();
        assert_eq!(read(&call), Said::ToolStarted { id: id.clone(), name: name.clone(), input });
        let response = json!({"data": {"id": "c1", "name": "search", "response": {"hits": 0}},
            "metadata": {"adk_type": "function_response"}});
        let output = r#"{"hits":0}"#.to_owned();
        assert_eq!(read(&response), Said::ToolFinished { id, name, output });
        assert_eq!(text(&[call, json!({"text": "So."}), response]), "So.");
    }
}
