//! Azure OpenAI: one address a deployment, and a version in the query.
//!
//! The newer addresses of the same resources (`…/openai/v1`) speak Responses and are not
//! reached from here.

use massgen_protocol::{BackendSpec, BackendType};
use reqwest::Url;
use serde_json::{Map, Value};

use super::PATH;
use crate::provider::endpoint::{EndpointError, address};

/// The version that is out of preview.
const API_VERSION: &str = "2024-10-21";
/// Field of the config with another one.
const API_VERSION_FIELD: &str = "api_version";

/// Whether a backend is reached from here: Azure's, and not at a newer address.
pub(in crate::provider) fn is_deployment(spec: &BackendSpec, backend_type: &BackendType) -> bool {
    is_azure(backend_type) && !spec.base_url.contains("/openai/v1")
}

pub(super) fn is_azure(backend_type: &BackendType) -> bool {
    backend_type.name == "azure_openai"
}

/// Returns the address of a deployment, which may be in the address of the resource
/// already, and takes the version out of the fields of the request.
pub(super) fn deployment(
    base_url: &str,
    model: &str,
    params: &mut Map<String, Value>,
) -> Result<Url, EndpointError> {
    let version = match params.shift_remove(API_VERSION_FIELD) {
        Some(Value::String(version)) if !version.trim().is_empty() => version,
        Some(_) | None => API_VERSION.to_owned(),
    };
    let mut url = address(base_url, "", PATH)?;
    let path = url.path().to_owned();
    if !path.contains("/openai/deployments/") {
        let root = path.strip_suffix(PATH).unwrap_or(&path).trim_end_matches('/');
        let root = root.strip_suffix("/openai").unwrap_or(root).to_owned();
        url.set_path(&root);
        if let Ok(mut segments) = url.path_segments_mut() {
            // A name with a slash in it stays one name.
            segments.pop_if_empty().extend(["openai", "deployments", model, "chat", "completions"]);
        }
    }
    if !url.query_pairs().any(|(name, _)| name == "api-version") {
        url.query_pairs_mut().append_pair("api-version", &version);
    }
    Ok(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_found_however_its_resource_is_written() {
        let check = |base_url: &str, version: Value, expected: &str| {
            let mut params = Map::from_iter([("api_version".to_owned(), version)]);
            let url = deployment(base_url, "my gpt", &mut params).unwrap();
            assert_eq!(url.as_str(), expected);
            assert!(params.is_empty());
        };
        let whole =
            "https://r.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=";
        let newest = format!("{whole}2024-10-21");
        for base_url in [
            "https://r.openai.azure.com",
            "https://r.openai.azure.com/",
            "https://r.openai.azure.com/openai",
            "https://r.openai.azure.com/openai/",
            "https://r.openai.azure.com/openai/deployments/my%20gpt",
            "https://r.openai.azure.com/openai/deployments/my%20gpt/chat/completions",
        ] {
            check(base_url, Value::Null, &newest);
        }
        check(
            "https://r.openai.azure.com",
            json!("2025-01-01-preview"),
            &format!("{whole}2025-01-01-preview"),
        );
        check(&format!("{whole}2024-06-01"), json!("2025-01-01"), &format!("{whole}2024-06-01"));
        assert!(deployment("", "m", &mut Map::new()).is_err());
    }
}
