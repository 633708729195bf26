//! A server behind an address.

use std::collections::{BTreeMap, HashMap};
use std::sync::Once;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use massgen_protocol::HeaderText;
use reqwest::{Client, Url};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use super::limits::{ERROR_BODY_MAX, MESSAGE_MAX};
use super::text;

/// Returns messages to and from the server at this address.
pub(super) fn transport(
    url: &str,
    headers: &BTreeMap<String, HeaderText>,
    connect: Duration,
) -> Result<StreamableHttpClientTransport<Client>, String> {
    let url = Url::parse(url).map_err(|error| format!("its `url` cannot be read: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("its `url` has to begin with http or https, not {}", url.scheme()));
    }
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
        .custom_headers(custom(headers)?)
        .max_sse_event_size(MESSAGE_MAX)
        .max_json_response_size(MESSAGE_MAX)
        .max_error_response_size(ERROR_BODY_MAX)
        .reinit_on_expired_session(true);
    config.allow_stateless = true;
    let client = client(&url, connect).map_err(|error| {
        format!("no client can be made: {}", text::line(&error.to_string(), 200))
    })?;
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

fn custom(
    headers: &BTreeMap<String, HeaderText>,
) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let mut custom = HashMap::new();
    for (name, text) in headers {
        let shown = text::line(name, 100);
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("`{shown}` is no name of a header"))?;
        let mut value = HeaderValue::try_from(text.expose())
            .map_err(|_| format!("header `{shown}` holds what a header cannot"))?;
        value.set_sensitive(true);
        custom.insert(name, value);
    }
    Ok(custom)
}

fn client(url: &Url, connect: Duration) -> Result<Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    // Fails only if there is one already, and then that one is used.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = Client::builder()
        .user_agent(concat!("massgen/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        // A key goes where it was meant to go, not where a server points.
        .redirect(reqwest::redirect::Policy::none());
    if url.scheme() == "http" {
        // Reading the system's root certificates takes longer than the handshake.
        builder = builder.tls_certs_only([]).http1_only();
    }
    if is_loopback(url) {
        // A proxy cannot reach this machine's own servers.
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
