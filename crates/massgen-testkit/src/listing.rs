//! What is asked besides replies: models, tokens, versions.

use serde_json::json;

use crate::{Format, Reply, Request};

/// Lists the one model there is, or shows it where the path names one.
pub(crate) fn models(format: Format, request: &Request) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    let named = path.rsplit_once("/models/").map(|(_, name)| name).filter(|name| !name.is_empty());
    let name = named.unwrap_or("loopback");
    let (model, list) = match format {
        Format::Gemini => {
            let model = json!({
                "name": format!("models/{name}"), "version": "1", "displayName": "Loopback",
                "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            });
            (model.clone(), json!({ "models": [model] }))
        }
        Format::Ollama => {
            let model = json!({
                "name": name, "model": name, "modified_at": "2025-01-01T00:00:00Z", "size": 1,
                "digest": "0", "details": {"format": "gguf", "family": "loopback"},
            });
            (model.clone(), json!({ "models": [model] }))
        }
        Format::Chat | Format::Responses | Format::Messages
            if request.header("anthropic-version").is_some() =>
        {
            let model = json!({
                "type": "model", "id": name, "display_name": "Loopback",
                "created_at": "2025-01-01T00:00:00Z",
            });
            let list = json!({
                "data": [model], "has_more": false, "first_id": name, "last_id": name,
            });
            (model, list)
        }
        Format::Chat | Format::Responses | Format::Messages => {
            let model = json!({
                "id": name, "object": "model", "created": 1_700_000_000, "owned_by": "testkit",
            });
            (model.clone(), json!({"object": "list", "data": [model]}))
        }
    };
    Reply::json(200, if named.is_some() { &model } else { &list })
}

pub(crate) fn token_count(format: Format, request: &Request) -> Reply {
    let n_tokens = request.body.to_string().len() / 4;
    let field = match format {
        Format::Gemini => "totalTokens",
        Format::Chat | Format::Responses | Format::Messages | Format::Ollama => "input_tokens",
    };
    Reply::json(200, &json!({ field: n_tokens }))
}

pub(crate) fn ollama_version() -> Reply {
    Reply::json(200, &json!({"version": "0.12.0"}))
}

pub(crate) fn ollama_show() -> Reply {
    Reply::json(
        200,
        &json!({
            "modelfile": "", "parameters": "", "template": "",
            "details": {"format": "gguf", "family": "loopback"},
            "model_info": {"general.architecture": "loopback", "loopback.context_length": 131_072},
            "capabilities": ["completion", "tools", "thinking"],
        }),
    )
}
