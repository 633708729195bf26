//! An agent's card: where it is found, and what it says of how to speak to the agent.

use std::net::IpAddr;

use massgen_protocol::{Media, MediaKind};
use reqwest::Url;
use serde_json::Value;

/// Where agents publish their card, and where they did before 0.3.
const WELL_KNOWN: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];
/// Extensions by which an agent says that it remembers nothing between two messages: its
/// clients send the conversation along, in a form of its own. AG2's.
const FORGETFUL: [&str; 1] = ["urn:ag2:client-tools:v1"];

/// What of a card matters to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// What we can speak, the best first; never empty.
    pub(super) interfaces: Vec<Interface>,
    pub(super) streaming: bool,
    /// Media types it takes; empty if it does not say.
    input_modes: Vec<String>,
    /// Each message must hold the whole conversation.
    pub(super) is_forgetful: bool,
}

/// One address of an agent and how it is spoken to there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) url: Url,
    pub(super) binding: Binding,
    pub(super) version: Version,
    pub(super) tenant: Option<String>,
    /// It is on the host that the user named, so the key may go there.
    pub(super) is_home: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    JsonRpc,
    HttpJson,
}

/// Of the protocol. Later minor versions of 1 change nothing we use, and 0.2 differs from 0.3 in
/// nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V1,
    V03,
}

/// Returns where the card of the agent at this address may be, the likeliest first.
pub(super) fn addresses(base: &Url) -> Vec<Url> {
    let path = base.path().trim_end_matches('/').to_owned();
    if path.ends_with(".json") {
        return vec![base.clone()];
    }
    let at = |path: &str| {
        let mut url = base.clone();
        url.set_path(path);
        url
    };
    let mut urls: Vec<Url> = WELL_KNOWN.iter().map(|name| at(&format!("{path}{name}"))).collect();
    if !path.is_empty() {
        // By the book a card stands at the root of its host, wherever the agent does.
        urls.push(at(WELL_KNOWN[0]));
        urls.push(base.clone());
    }
    urls
}

impl Card {
    /// Reads a card that was found for `base`.
    ///
    /// # Errors
    ///
    /// Says in words why it is no card, or names no way to speak to the agent.
    pub(super) fn read(document: &Value, base: &Url) -> Result<Card, String> {
        let Value::Object(card) = document else { return Err("it is no object".to_owned()) };
        let stated = card.get("supportedInterfaces").and_then(Value::as_array);
        let mut others = Vec::new();
        let mut interfaces = Vec::new();
        let mut note = |url: &Value, binding: &str, version: &str, tenant: &Value| {
            let Some(url) = url.as_str().and_then(|url| at_home(base, url)) else { return };
            let binding = match binding.to_ascii_uppercase().as_str() {
                "JSONRPC" => Binding::JsonRpc,
                "HTTP+JSON" => Binding::HttpJson,
                _ => return others.push(binding.to_owned()),
            };
            let version = match version.split('.').next().unwrap_or_default() {
                "1" | "" => Version::V1,
                "0" => Version::V03,
                _ => return others.push(format!("A2A {version}")),
            };
            let tenant = tenant.as_str().filter(|tenant| !tenant.is_empty()).map(str::to_owned);
            let is_home = is_home(base, &url);
            let interface = Interface { url, binding, version, tenant, is_home };
            if !interfaces.contains(&interface) {
                interfaces.push(interface);
            }
        };
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        for stated in stated.into_iter().flatten() {
            let (binding, version) =
                (text(stated, "protocolBinding"), text(stated, "protocolVersion"));
            note(&stated["url"], &binding, &version, &stated["tenant"]);
        }
        // The form of 0.3, which a card may have beside that of 1.0.
        let version = match text(document, "protocolVersion") {
            version if version.starts_with('0') || (stated.is_none() && !version.is_empty()) => {
                version
            }
            _ => "0.3".to_owned(),
        };
        let preferred = match text(document, "preferredTransport") {
            unsaid if unsaid.is_empty() => "JSONRPC".to_owned(),
            preferred => preferred,
        };
        note(&document["url"], &preferred, &version, &Value::Null);
        for other in document["additionalInterfaces"].as_array().into_iter().flatten() {
            note(&other["url"], &text(other, "transport"), &version, &Value::Null);
        }
        interfaces.sort_by_key(|interface| (interface.binding, interface.version));
        if interfaces.is_empty() {
            return Err(match others.is_empty() {
                true => "it names no address of an agent".to_owned(),
                false => format!(
                    "the agent speaks {} only; JSON-RPC or HTTP+JSON is needed",
                    others.join(", ")
                ),
            });
        }
        let capabilities = &document["capabilities"];
        let extensions = capabilities["extensions"].as_array();
        let is_forgetful = extensions
            .into_iter()
            .flatten()
            .any(|extension| extension["uri"].as_str().is_some_and(|uri| FORGETFUL.contains(&uri)));
        let modes = document["defaultInputModes"].as_array();
        Ok(Card {
            interfaces,
            streaming: capabilities["streaming"].as_bool().unwrap_or(false),
            input_modes: modes
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_ascii_lowercase)
                .collect(),
            is_forgetful,
        })
    }

    /// Returns whether the agent takes this as input, as far as it says.
    pub(super) fn takes(&self, media: &Media) -> bool {
        let media_type = media.media_type.to_ascii_lowercase();
        let family = media_type.split('/').next().unwrap_or_default().to_owned();
        let word = match media.kind {
            MediaKind::Image => "image",
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::File => "file",
        };
        self.input_modes.is_empty()
            || self.input_modes.iter().any(|mode| {
                *mode == media_type
                    || mode == "*/*"
                    || mode == "*"
                    || mode == word
                    || mode.strip_suffix("/*").is_some_and(|mode| mode == family)
            })
    }
}

/// Returns an address of a card as it is reached from here. Many cards name the address that
/// their server listens on (`http://0.0.0.0:8000/`), which no one else can call.
fn at_home(base: &Url, url: &str) -> Option<Url> {
    let mut url = base.join(url.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let is_any = ip_of(&url).is_some_and(|ip| ip.is_unspecified());
    if is_loopback(base) {
        if is_any {
            url.set_host(base.host_str()).ok()?;
        }
    } else if is_any || is_loopback(&url) {
        url.set_scheme(base.scheme()).ok()?;
        url.set_host(base.host_str()).ok()?;
        url.set_port(base.port()).ok()?;
    }
    Some(url)
}

/// Returns whether what is for the one host may go to the other.
pub(super) fn is_home(base: &Url, url: &Url) -> bool {
    const HERE: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
    let is_here = |url: &Url| url.host_str().is_some_and(|host| HERE.contains(&host));
    let is_same = url.host_str() == base.host_str() || (is_here(base) && is_here(url));
    is_same && (url.scheme() == "https" || url.scheme() == base.scheme())
}

fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || ip_of(url).is_some_and(|ip| ip.is_loopback())
}

fn ip_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::MediaSource;
    use serde_json::json;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[track_caller]
    fn check(base: &str, card: Value, expected: &[(&str, Binding, Version, bool)]) {
        let read = Card::read(&card, &url(base)).unwrap();
        let read: Vec<_> = read
            .interfaces
            .iter()
            .map(|found| (found.url.as_str(), found.binding, found.version, found.is_home))
            .collect();
        assert_eq!(read, expected, "{card}");
    }

    #[test]
    fn a_card_is_looked_for_where_it_may_be() {
        let check = |base: &str, expected: &[&str]| {
            let found: Vec<String> = addresses(&url(base)).iter().map(Url::to_string).collect();
            assert_eq!(found, expected);
        };
        check(
            "http://h:1/",
            &["http://h:1/.well-known/agent-card.json", "http://h:1/.well-known/agent.json"],
        );
        check(
            "https://h/a2a/app/?k=1",
            &[
                "https://h/a2a/app/.well-known/agent-card.json?k=1",
                "https://h/a2a/app/.well-known/agent.json?k=1",
                "https://h/.well-known/agent-card.json?k=1",
                "https://h/a2a/app/?k=1",
            ],
        );
        check("https://h/cards/one.json", &["https://h/cards/one.json"]);
    }

    #[test]
    fn the_best_interface_comes_first() {
        use Binding::*;
        use Version::*;
        let interface = |url: &str, binding: &str, version: &str| json!({"url": url, "protocolBinding": binding, "protocolVersion": version});
        let card = json!({"name": "a", "supportedInterfaces": [
            interface("grpc://h", "GRPC", "1.0"),
            interface("http://h/rest", "HTTP+JSON", "1.0"),
            interface("http://h/old", "JSONRPC", "0.3"),
            interface("http://h/rpc", "JSONRPC", "1.1"),
            interface("http://h/new", "JSONRPC", "2.0"),
        ]});
        check(
            "http://h",
            card,
            &[
                ("http://h/rpc", JsonRpc, V1, true),
                ("http://h/old", JsonRpc, V03, true),
                ("http://h/rest", HttpJson, V1, true),
            ],
        );
        let card = json!({
            "name": "a", "url": "http://h/", "protocolVersion": "0.3.0", "preferredTransport": "HTTP+JSON",
            "additionalInterfaces": [{"url": "http://h/rpc", "transport": "JSONRPC"}, {"url": "http://h/", "transport": "HTTP+JSON"}],
        });
        check(
            "http://h",
            card,
            &[("http://h/rpc", JsonRpc, V03, true), ("http://h/", HttpJson, V03, true)],
        );
        check(
            "http://h",
            json!({"url": "rpc", "version": "1.0.0"}),
            &[("http://h/rpc", JsonRpc, V03, true)],
        );
    }

    #[test]
    fn an_address_is_one_that_can_be_reached_and_trusted() {
        use Binding::JsonRpc;
        use Version::V03;
        let at = |base: &str, given: &str, expected: &str, is_home: bool| {
            check(base, json!({"url": given}), &[(expected, JsonRpc, V03, is_home)]);
        };
        at("https://agent.test/x", "http://0.0.0.0:8000/rpc", "https://agent.test/rpc", true);
        at("https://agent.test", "http://localhost:8000/", "https://agent.test/", true);
        at("http://127.0.0.1:9", "http://127.0.0.1:10/", "http://127.0.0.1:10/", true);
        at("http://localhost:9", "http://127.0.0.1:10/", "http://127.0.0.1:10/", true);
        at("http://localhost:9", "http://0.0.0.0:10/", "http://localhost:10/", true);
        at("http://127.0.0.1:9", "http://127.0.0.2:9/", "http://127.0.0.2:9/", false);
        at("https://agent.test", "https://other.test/", "https://other.test/", false);
        at("https://agent.test", "http://agent.test/", "http://agent.test/", false);
    }

    #[test]
    fn what_is_no_card_says_why() {
        let check = |card: Value, expected: &str| {
            assert_eq!(Card::read(&card, &url("http://h")).unwrap_err(), expected);
        };
        check(json!([]), "it is no object");
        check(json!({"name": "a"}), "it names no address of an agent");
        check(json!({"url": "ftp://h"}), "it names no address of an agent");
        check(
            json!({"url": 3, "supportedInterfaces": {}, "capabilities": []}),
            "it names no address of an agent",
        );
        let card = json!({"supportedInterfaces": [{"url": "http://h", "protocolBinding": "GRPC"}]});
        check(card, "the agent speaks GRPC only; JSON-RPC or HTTP+JSON is needed");
    }

    #[test]
    fn what_it_can_is_read() {
        let card = |more: Value| {
            let mut card = json!({"url": "http://h"});
            card.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Card::read(&card, &url("http://h")).unwrap()
        };
        let ag2 = json!({"capabilities": {"streaming": true, "extensions": [{"uri": "urn:ag2:client-tools:v1"}]}});
        assert!(card(ag2.clone()).streaming && card(ag2).is_forgetful);
        assert!(!card(json!({})).streaming && !card(json!({})).is_forgetful);
        let image = Media {
            kind: MediaKind::Image,
            media_type: "image/png".to_owned(),
            name: None,
            source: MediaSource::Url { url: "https://h/x.png".to_owned() },
        };
        let takes = |modes: Value| card(json!({"defaultInputModes": modes})).takes(&image);
        for modes in [
            json!([]),
            json!(["image/*"]),
            json!(["text", "image/PNG"]),
            json!(["*/*"]),
            json!(["image"]),
        ] {
            assert!(takes(modes.clone()), "{modes}");
        }
        assert!(!takes(json!(["text/plain", "image/jpeg"])));
    }
}
