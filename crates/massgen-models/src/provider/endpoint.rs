//! Where requests go, and with which key.

use massgen_protocol::Secret;
use reqwest::Url;
use reqwest::header::HeaderValue;

/// Why an address or a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("it is not an http:// or https:// address")]
    NoUrl,
    #[error("the key holds characters that no key has")]
    Key,
}

/// Returns the address of an API: its root as the user gave it, then `path`
/// (`/chat/completions`), which may be there already. A server's root alone
/// stands for its `version` (`/v1`).
pub(crate) fn address(base_url: &str, version: &str, path: &str) -> Result<Url, EndpointError> {
    let mut url = Url::parse(base_url.trim()).map_err(|_| EndpointError::NoUrl)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(EndpointError::NoUrl);
    }
    let given = url.path().trim_end_matches('/');
    let root = match given.strip_suffix(path).unwrap_or(given) {
        "" => version,
        root => root,
    };
    let whole = format!("{root}{path}");
    url.set_path(&whole);
    Ok(url)
}

/// Returns the value of a header that holds `prefix` and the key; `None` without a key.
pub(crate) fn key_header(
    prefix: &str,
    key: Option<&Secret>,
) -> Result<Option<HeaderValue>, EndpointError> {
    let key = key.map(Secret::expose).map(str::trim).filter(|key| !key.is_empty());
    let Some(key) = key else { return Ok(None) };
    let mut value =
        HeaderValue::from_str(&format!("{prefix}{key}")).map_err(|_| EndpointError::Key)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_an_api_is_found_however_it_is_written() {
        let check = |base_url: &str, expected: &str| {
            let url = address(base_url, "/v1", "/chat/completions").unwrap();
            assert_eq!(url.as_str(), expected);
        };
        check("http://localhost:8000", "http://localhost:8000/v1/chat/completions");
        check("http://localhost:8000/", "http://localhost:8000/v1/chat/completions");
        check("http://localhost:8000/v1", "http://localhost:8000/v1/chat/completions");
        check(" http://h/v1/ ", "http://h/v1/chat/completions");
        check("https://h/api/paas/v4/", "https://h/api/paas/v4/chat/completions");
        check("https://h/v1/chat/completions", "https://h/v1/chat/completions");
        check("https://h/v1?version=2", "https://h/v1/chat/completions?version=2");
        for wrong in ["", "localhost:8000", "ftp://h/v1", "http://", "/v1", "h/v1"] {
            assert_eq!(address(wrong, "/v1", "/x").unwrap_err(), EndpointError::NoUrl, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_trimmed_checked_and_never_shown() {
        let value = key_header("Bearer ", Some(&Secret::new(" sk-1\n"))).unwrap().unwrap();
        assert_eq!(value, "Bearer sk-1");
        assert!(!format!("{value:?}").contains("sk-1"));
        let broken = Secret::new("sk\n1");
        assert_eq!(key_header("", Some(&broken)).unwrap_err(), EndpointError::Key);
        assert!(key_header("", Some(&Secret::new("  "))).unwrap().is_none());
    }
}
