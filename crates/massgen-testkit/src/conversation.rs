//! What a request says, whichever format it is written in.

use serde_json::{Value, json};

use crate::Format;

/// Everything a model would read, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// All system texts, one after the other.
    pub system: String,
    pub said: Vec<Said>,
    pub tools: Vec<Tool>,
}

/// One message, or one item where a format has items instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub by: Speaker,
    pub text: String,
    pub calls: Vec<Call>,
    pub results: Vec<ToolOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

/// A tool call of the model, as it was played back.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Empty where the format has none.
    pub id: String,
    pub name: String,
    /// `null` where they are no JSON.
    pub arguments: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolOutput {
    /// Id of its call, or the tool's name where the format has no ids.
    pub id: String,
    pub text: String,
}

/// A function the model may call; tools of the provider's own are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub name: String,
    /// JSON schema of its arguments.
    pub parameters: Value,
}

impl Conversation {
    pub(crate) fn of(format: Format, body: &Value) -> Conversation {
        match format {
            Format::Chat | Format::Ollama => of_chat(body),
            Format::Responses => of_responses(body),
            Format::Messages => of_messages(body),
            Format::Gemini => of_gemini(body),
        }
    }

    /// Returns the offered tool of this name. An agent that reaches tools through a
    /// server of its own shows them as `mcp__server__vote` or `server_vote`.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| is_named(&tool.name, name))
    }

    /// Counts the calls of this tool the model made earlier.
    pub fn earlier_calls(&self, tool: &str) -> usize {
        self.said
            .iter()
            .flat_map(|said| &said.calls)
            .filter(|call| is_named(&call.name, tool))
            .count()
    }

    fn push(&mut self, by: Speaker, text: String) {
        if by == Speaker::System {
            self.system.push_str(&text);
        }
        self.said.push(Said { by, text, calls: Vec::new(), results: Vec::new() });
    }
}

fn is_named(full: &str, name: &str) -> bool {
    full.strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with(['_', '.', '-', ':', '/']))
}

fn of_chat(body: &Value) -> Conversation {
    let mut heard = Conversation { tools: chat_tools(body), ..Conversation::default() };
    for message in list(&body["messages"]) {
        let text = text_of(&message["content"]);
        let by = speaker(&message["role"]);
        if by == Speaker::Tool {
            let id = first_text(&[&message["tool_call_id"], &message["tool_name"]]);
            heard.said.push(result(id, text));
            continue;
        }
        heard.push(by, text);
        if let Some(said) = heard.said.last_mut() {
            said.calls = list(&message["tool_calls"])
                .map(|call| Call {
                    id: owned(&call["id"]),
                    name: owned(&call["function"]["name"]),
                    arguments: parsed(&call["function"]["arguments"]),
                })
                .collect();
        }
    }
    heard
}

fn chat_tools(body: &Value) -> Vec<Tool> {
    let functions = list(&body["tools"]).map(|tool| &tool["function"]);
    functions
        .filter(|function| function["name"].is_string())
        .map(|function| Tool {
            name: owned(&function["name"]),
            parameters: function["parameters"].clone(),
        })
        .collect()
}

fn of_responses(body: &Value) -> Conversation {
    let tools = list(&body["tools"])
        .filter(|tool| tool["type"] == "function")
        .map(|tool| Tool { name: owned(&tool["name"]), parameters: tool["parameters"].clone() })
        .collect();
    let mut heard = Conversation { tools, ..Conversation::default() };
    if let Some(text) = body["instructions"].as_str() {
        heard.push(Speaker::System, text.to_owned());
    }
    if let Some(text) = body["input"].as_str() {
        heard.push(Speaker::User, text.to_owned());
    }
    for item in list(&body["input"]) {
        match item["type"].as_str() {
            None | Some("message") => {
                heard.push(speaker(&item["role"]), text_of(&item["content"]));
            }
            Some("function_call") => heard.said.push(Said {
                by: Speaker::Assistant,
                text: String::new(),
                calls: vec![Call {
                    id: owned(&item["call_id"]),
                    name: owned(&item["name"]),
                    arguments: parsed(&item["arguments"]),
                }],
                results: Vec::new(),
            }),
            Some("function_call_output") => {
                heard.said.push(result(owned(&item["call_id"]), text_of(&item["output"])));
            }
            // Reasoning and the provider's own tools say nothing a script reads.
            Some(_) => {}
        }
    }
    heard
}

fn of_messages(body: &Value) -> Conversation {
    let tools = list(&body["tools"])
        .filter(|tool| !tool["input_schema"].is_null())
        .map(|tool| Tool { name: owned(&tool["name"]), parameters: tool["input_schema"].clone() })
        .collect();
    let mut heard = Conversation { tools, ..Conversation::default() };
    if !body["system"].is_null() {
        heard.push(Speaker::System, text_of(&body["system"]));
    }
    for message in list(&body["messages"]) {
        heard.push(speaker(&message["role"]), text_of(&message["content"]));
        let Some(said) = heard.said.last_mut() else { continue };
        for block in list(&message["content"]) {
            match block["type"].as_str() {
                Some("tool_use") => said.calls.push(Call {
                    id: owned(&block["id"]),
                    name: owned(&block["name"]),
                    arguments: block["input"].clone(),
                }),
                Some("tool_result") => said.results.push(ToolOutput {
                    id: owned(&block["tool_use_id"]),
                    text: text_of(&block["content"]),
                }),
                _ => {}
            }
        }
    }
    heard
}

fn of_gemini(body: &Value) -> Conversation {
    let mut heard = Conversation::default();
    for declaration in list(&body["tools"]).flat_map(|tool| {
        list(&tool["functionDeclarations"]).chain(list(&tool["function_declarations"]))
    }) {
        // The provider takes either spelling of its names; its SDK mixes them.
        let schemas = ["parametersJsonSchema", "parameters_json_schema", "parameters"]
            .map(|key| &declaration[key]);
        let schema = schemas.into_iter().find(|schema| !schema.is_null());
        heard.tools.push(Tool {
            name: owned(&declaration["name"]),
            parameters: schema.cloned().unwrap_or_else(|| json!({})),
        });
    }
    for system in [&body["systemInstruction"], &body["system_instruction"]] {
        if !system.is_null() {
            heard.push(Speaker::System, text_of(&system["parts"]));
        }
    }
    for content in list(&body["contents"]) {
        let shown = list(&content["parts"]).filter(|part| part["thought"] != true);
        let text = shown.filter_map(|part| part["text"].as_str()).collect();
        heard.push(speaker(&content["role"]), text);
        let Some(said) = heard.said.last_mut() else { continue };
        for part in list(&content["parts"]) {
            if part["functionCall"].is_object() {
                let call = &part["functionCall"];
                said.calls.push(Call {
                    id: owned(&call["id"]),
                    name: owned(&call["name"]),
                    arguments: call["args"].clone(),
                });
            }
            if part["functionResponse"].is_object() {
                let response = &part["functionResponse"];
                said.results.push(ToolOutput {
                    id: first_text(&[&response["id"], &response["name"]]),
                    text: response["response"].to_string(),
                });
            }
        }
    }
    heard
}

/// Returns the text of content, whichever of its shapes it has.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn speaker(role: &Value) -> Speaker {
    match role.as_str() {
        Some("system" | "developer") => Speaker::System,
        Some("assistant" | "model") => Speaker::Assistant,
        Some("tool" | "function") => Speaker::Tool,
        _ => Speaker::User,
    }
}

fn result(id: String, text: String) -> Said {
    let results = vec![ToolOutput { id, text }];
    Said { by: Speaker::Tool, text: String::new(), calls: Vec::new(), results }
}

fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn owned(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn first_text(values: &[&Value]) -> String {
    values.iter().find_map(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// Arguments are an object in some formats and the text of one in others.
fn parsed(arguments: &Value) -> Value {
    match arguments.as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        None => arguments.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, body: &Value) {
        let heard = Conversation::of(format, body);
        assert_eq!(heard.system, "be brief", "{format:?}");
        let said: Vec<(Speaker, &str)> = heard
            .said
            .iter()
            .filter(|said| !said.text.is_empty())
            .map(|said| (said.by, said.text.as_str()))
            .collect();
        let expected =
            [(Speaker::System, "be brief"), (Speaker::User, "why?"), (Speaker::Assistant, "so")];
        assert_eq!(said, expected, "{format:?}");
        assert_eq!(heard.earlier_calls("vote"), 1, "{format:?}");
        let call = heard.said.iter().flat_map(|said| &said.calls).next();
        assert_eq!(call.map(|call| &call.arguments), Some(&json!({"a": 1})), "{format:?}");
        let result = heard.said.iter().flat_map(|said| &said.results).next();
        assert!(result.is_some_and(|result| result.text.contains("done")), "{format:?}");
        assert_eq!(heard.tool("vote").map(|tool| &tool.parameters["type"]), Some(&json!("object")));
        assert!(heard.tool("ote").is_none() && heard.tool("new_answer").is_none());
    }

    #[test]
    fn every_format_is_read_the_same() {
        let schema = json!({"type": "object"});
        check(
            Format::Chat,
            &json!({"messages": [
                {"role": "system", "content": "be brief"}, {"role": "user", "content": "why?"},
                {"role": "assistant", "content": [{"type": "text", "text": "so"}], "tool_calls": [
                    {"id": "c1", "function": {"name": "vote", "arguments": "{\"a\": 1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "done"}],
                "tools": [{"type": "function", "function": {"name": "mcp__x__vote", "parameters": schema}}]}),
        );
        check(
            Format::Ollama,
            &json!({"messages": [
                {"role": "system", "content": "be brief"}, {"role": "user", "content": "why?"},
                {"role": "assistant", "content": "so", "tool_calls": [
                    {"function": {"name": "vote", "arguments": {"a": 1}}}]},
                {"role": "tool", "tool_name": "vote", "content": "done"}],
                "tools": [{"type": "function", "function": {"name": "vote", "parameters": schema}}]}),
        );
        check(
            Format::Responses,
            &json!({"instructions": "be brief", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "why?"}]},
                {"type": "reasoning", "summary": [], "encrypted_content": "x"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
                {"type": "function_call", "call_id": "c1", "name": "vote", "arguments": "{\"a\": 1}"},
                {"type": "function_call_output", "call_id": "c1", "output": "done"}],
                "tools": [{"type": "web_search"}, {"type": "function", "name": "vote", "parameters": schema}]}),
        );
        check(
            Format::Messages,
            &json!({"system": [{"type": "text", "text": "be brief"}], "messages": [
                {"role": "user", "content": "why?"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "so"},
                    {"type": "tool_use", "id": "c1", "name": "vote", "input": {"a": 1}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "done"}]}]}],
                "tools": [{"type": "web_search_20250305", "name": "web_search"}, {"name": "vote", "input_schema": schema}]}),
        );
        check(
            Format::Gemini,
            &json!({"systemInstruction": {"parts": [{"text": "be brief"}]}, "contents": [
                {"role": "user", "parts": [{"text": "why?"}]},
                {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": "so"},
                    {"functionCall": {"name": "vote", "args": {"a": 1}}, "thoughtSignature": "s"}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "vote", "response": {"output": "done"}}}]}],
                "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "vote", "parametersJsonSchema": schema}]}]}),
        );
    }

    #[test]
    fn a_body_that_is_no_request_says_nothing() {
        for format in Format::ALL {
            for body in [json!(null), json!([]), json!({"messages": 3, "input": {}, "tools": "x"})]
            {
                assert_eq!(Conversation::of(format, &body), Conversation::default());
            }
        }
    }
}
