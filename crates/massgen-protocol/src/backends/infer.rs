//! Which type is meant where a config names none: told by a model's name or an address.

use super::{BackendType, backend_type};

/// Returns the type that serves a model of this name, where the name tells.
///
/// Names with `:` or `/` (`deepseek-r1:7b`, `meta-llama/…`) belong to local
/// servers and resellers; they tell nothing. Neither do models with open
/// weights (`gpt-oss-120b`), which everybody serves.
pub fn infer_backend_type(model: &str) -> Option<&'static BackendType> {
    let model = model.to_ascii_lowercase();
    if model.contains([':', '/']) || model.starts_with("gpt-oss") {
        return None;
    }
    let reasoning_series = model
        .strip_prefix('o')
        .is_some_and(|rest| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit()));
    if reasoning_series {
        return backend_type("openai");
    }
    let (_, name) = PREFIXES.iter().find(|(prefix, _)| model.starts_with(prefix))?;
    backend_type(name)
}

/// Returns the hosted type whose servers this URL names, so that a
/// `chatcompletion` backend with only a `base_url` finds its key.
pub fn backend_type_of_url(base_url: &str) -> Option<&'static BackendType> {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let names = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    let (_, name) = HOSTS.iter().find(|(domain, _)| names(domain))?;
    backend_type(name)
}

const PREFIXES: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("claude-", "claude"),
    ("gemini-", "gemini"),
    ("grok-", "grok"),
    ("glm-", "zai"),
    ("deepseek-", "deepseek"),
    ("mistral-", "mistral"),
    ("magistral-", "mistral"),
    ("codestral-", "mistral"),
    ("ministral-", "mistral"),
    ("moonshot-", "moonshot"),
    ("kimi-", "moonshot"),
    ("qwen-", "qwen"),
];

const HOSTS: &[(&str, &str)] = &[
    ("openai.com", "openai"),
    ("azure.com", "azure_openai"),
    ("anthropic.com", "claude"),
    ("googleapis.com", "gemini"),
    ("x.ai", "grok"),
    ("openrouter.ai", "openrouter"),
    ("groq.com", "groq"),
    ("together.xyz", "together"),
    ("together.ai", "together"),
    ("fireworks.ai", "fireworks"),
    ("cerebras.ai", "cerebras"),
    ("nebius.ai", "nebius"),
    ("nebius.com", "nebius"),
    ("moonshot.ai", "moonshot"),
    ("moonshot.cn", "moonshot"),
    ("z.ai", "zai"),
    ("bigmodel.cn", "zai"),
    ("aliyuncs.com", "qwen"),
    ("poe.com", "poe"),
    ("deepseek.com", "deepseek"),
    ("mistral.ai", "mistral"),
    ("nvidia.com", "nvidia_nim"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_resolves() {
        for (_, name) in PREFIXES.iter().chain(HOSTS) {
            assert!(backend_type(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_model_name_tells_its_backend_where_it_can() {
        let check = |model: &str, expected: Option<&str>| {
            assert_eq!(infer_backend_type(model).map(|backend| backend.name), expected, "{model}");
        };
        check("gpt-5.4", Some("openai"));
        check("GPT-4o-mini", Some("openai"));
        check("o4-mini", Some("openai"));
        check("claude-opus-4-6", Some("claude"));
        check("gemini-2.5-flash", Some("gemini"));
        check("grok-4", Some("grok"));
        check("glm-4.5-air", Some("zai"));
        check("deepseek-chat", Some("deepseek"));
        check("kimi-k2", Some("moonshot"));
        check("deepseek-r1:7b", None);
        check("gpt-oss-120b", None);
        check("meta-llama/Llama-3.3-70B", None);
        check("olmo-2", None);
        check("o", None);
        check("", None);
        check("ö3", None);
    }

    #[test]
    fn a_url_tells_its_backend_by_whole_domain() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(backend_type_of_url(url).map(|backend| backend.name), expected, "{url}");
        };
        check("https://api.studio.nebius.ai/v1/", Some("nebius"));
        check("https://api.openai.com:443/v1", Some("openai"));
        check("https://api.z.ai/api/paas/v4", Some("zai"));
        check("https://me.openai.azure.com/openai/v1", Some("azure_openai"));
        check("https://api.x.ai/v1", Some("grok"));
        check("https://xyz.ai/v1", None);
        check("https://notgroq.com/v1", None);
        check("http://localhost:8000/v1", None);
        check("https://evil.test/api.openai.com", None);
        check("https://api.openai.com@evil.test/", None);
        check("", None);
    }
}
