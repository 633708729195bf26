//! Model servers that run on this machine.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Url;
use serde_json::Value;

use crate::http;

/// A server on this machine that does not answer by then is not idle; it is
/// not there, or busy with something else.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
/// A list of models is never longer.
const LIST_BYTES_MAX: usize = 1024 * 1024;

/// A server that answered, and what it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    /// Name of the backend type.
    pub kind: &'static str,
    /// Root of its API.
    pub base_url: String,
    /// As the server lists them; never empty.
    pub models: Vec<String>,
}

/// Where servers are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub ollama: u16,
    pub lmstudio: u16,
    pub vllm: u16,
    pub llamacpp: u16,
    pub sglang: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { ollama: 11434, lmstudio: 1234, vllm: 8000, llamacpp: 8080, sglang: 30000 }
    }
}

/// Returns the model servers on the usual ports of this machine.
pub async fn local_servers() -> Vec<LocalServer> {
    local_servers_at(Ports::default()).await
}

/// Returns the model servers on these ports of this machine, asked all at once.
/// Only what answers with a list of models counts: many things listen on 8000.
pub async fn local_servers_at(ports: Ports) -> Vec<LocalServer> {
    let probes = [
        ("ollama", ports.ollama),
        ("lmstudio", ports.lmstudio),
        ("vllm", ports.vllm),
        ("llamacpp", ports.llamacpp),
        ("sglang", ports.sglang),
    ];
    let probes = probes.map(|(kind, port)| async move {
        let base_url = format!("http://127.0.0.1:{port}/v1");
        let models = tokio::time::timeout(PROBE_TIMEOUT, models(&base_url)).await.ok()??;
        Some(LocalServer { kind, base_url, models })
    });
    join_all(probes).await.into_iter().flatten().collect()
}

async fn models(base_url: &str) -> Option<Vec<String>> {
    let url = Url::parse(&format!("{base_url}/models")).ok()?;
    let client = http::client(&url, PROBE_TIMEOUT.as_millis() as u64).ok()?;
    let mut response = client.get(url).send().await.ok()?.error_for_status().ok()?;
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.ok()? {
        body.extend_from_slice(&bytes);
        if body.len() > LIST_BYTES_MAX {
            return None;
        }
    }
    let list: Value = serde_json::from_slice(&body).ok()?;
    let models = list.get("data")?.as_array()?.iter();
    let models: Vec<String> =
        models.filter_map(|model| model.get("id")?.as_str()).map(str::to_owned).collect();
    Some(models).filter(|models| !models.is_empty())
}
