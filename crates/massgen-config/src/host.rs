//! Addresses of servers: is one well-formed, and is it near?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address cannot be used. The address itself is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlFault {
    Scheme,
    Credentials,
    NoHost,
    Blank,
    Query,
}

/// Returns the address without a trailing slash.
pub(crate) fn check_base_url(url: &str) -> Result<String, UrlFault> {
    let url = url.trim();
    let lower = url.to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return Err(UrlFault::Scheme);
    }
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UrlFault::Blank);
    }
    if url.contains(['?', '#']) {
        return Err(UrlFault::Query);
    }
    if authority(url).contains('@') {
        return Err(UrlFault::Credentials);
    }
    if host(url).is_empty() {
        return Err(UrlFault::NoHost);
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Checks the address of one file, which may have a query.
pub(crate) fn check_file_url(url: &str) -> Result<(), UrlFault> {
    let before_query = url.split(['?', '#']).next().unwrap_or(url);
    check_base_url(before_query)?;
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UrlFault::Blank);
    }
    Ok(())
}

/// Returns whether the server is on this machine or in a private network, where a
/// key is rarely asked for.
pub(crate) fn is_near(url: &str) -> bool {
    let host = host(url).to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(v4) => is_near_v4(v4),
            IpAddr::V6(v6) => is_near_v6(v6),
        };
    }
    // A name without a dot is known to the local network or to the container engine only.
    let near = [".localhost", ".local", ".lan", ".internal", ".home.arpa"];
    !host.is_empty() && (!host.contains('.') || near.iter().any(|end| host.ends_with(end)))
}

/// Returns the host of an address, without port and brackets.
pub(crate) fn host(url: &str) -> &str {
    let authority = authority(url);
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(v6) = host_port.strip_prefix('[') {
        return v6.split_once(']').map_or("", |(host, _)| host);
    }
    host_port.split_once(':').map_or(host_port, |(host, _)| host)
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\']).next().unwrap_or_default()
}

fn is_near_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    // 100.64.0.0/10 is what private overlay networks use.
    v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_unspecified()
        || (a == 100 && (64..128).contains(&b))
}

fn is_near_v6(v6: Ipv6Addr) -> bool {
    let first = v6.segments()[0];
    let is_unique_local = first & 0xfe00 == 0xfc00;
    let is_link_local = first & 0xffc0 == 0xfe80;
    v6.is_loopback()
        || v6.is_unspecified()
        || is_unique_local
        || is_link_local
        || v6.to_ipv4_mapped().is_some_and(is_near_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_hosts_are_told_from_far_ones() {
        for near in [
            "http://localhost:8000/v1",
            "http://127.0.0.1",
            "http://[::1]:80/v1",
            "http://10.1.2.3/",
            "http://172.31.0.1",
            "http://192.168.0.2:1234",
            "http://100.100.1.1",
            "http://vllm:8000/v1",
            "http://gpu.local/v1",
            "HTTP://LOCALHOST/v1",
            "http://[fd00::1]/v1",
            "http://[::ffff:127.0.0.1]/v1",
            "http://0.0.0.0:8000",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in [
            "https://api.openai.com/v1",
            "http://172.32.0.1",
            "http://8.8.8.8",
            "http://[2001:db8::1]/",
            "https://localhost.evil.test",
            "https://localhost@evil.test",
            "https://evil.test\\@localhost",
            "",
        ] {
            assert!(!is_near(far), "{far}");
        }
    }

    #[test]
    fn only_plain_http_addresses_pass() {
        assert_eq!(check_base_url(" http://h/v1// "), Ok("http://h/v1".to_owned()));
        assert_eq!(check_base_url("h:80/v1"), Err(UrlFault::Scheme));
        assert_eq!(check_base_url("ftp://h"), Err(UrlFault::Scheme));
        assert_eq!(check_base_url("https://u:p@h/v1"), Err(UrlFault::Credentials));
        assert_eq!(check_base_url("https://"), Err(UrlFault::NoHost));
        assert_eq!(check_base_url("https://:80"), Err(UrlFault::NoHost));
        assert_eq!(check_base_url("https://a b"), Err(UrlFault::Blank));
        assert_eq!(check_base_url("https://h/v1?key=x"), Err(UrlFault::Query));
        assert_eq!(check_file_url("https://h/a.png?size=2#x"), Ok(()));
        assert_eq!(check_file_url("https://h/a.png?size= 2"), Err(UrlFault::Blank));
        assert_eq!(check_file_url("https://u:p@h/a.png"), Err(UrlFault::Credentials));
        assert_eq!(check_file_url("a.png"), Err(UrlFault::Scheme));
    }
}
