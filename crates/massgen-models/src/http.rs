//! HTTP clients, shared by all backends of the process, and why a connection failed.
//!
//! One client serves all plain connections and one all encrypted ones (per
//! connect bound), so that they share connections. The encrypted one is built
//! when it is first needed: loading the system's root certificates takes longer
//! than everything else before a first request.

use std::error::Error;
use std::io;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime};

use massgen_protocol::{CallFailure, FailureKind};
use reqwest::header::HeaderMap;
use reqwest::{Client, Url};

use crate::failure::Failures;

/// Idle connections kept open to a server, more than any team has agents at
/// work between two calls.
const IDLE_CONNECTIONS_MAX: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    encrypted: bool,
    /// A proxy cannot reach this machine's own servers.
    loopback: bool,
    connect_ms: u64,
}

/// Returns the client for this address.
pub(crate) fn client(url: &Url, connect_ms: u64) -> Result<Client, reqwest::Error> {
    static CLIENTS: Mutex<Vec<(Kind, Client)>> = Mutex::new(Vec::new());
    let kind = Kind { encrypted: url.scheme() == "https", loopback: is_loopback(url), connect_ms };
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, client)) = clients.iter().find(|(other, _)| *other == kind) {
        return Ok(client.clone());
    }
    let client = build(kind)?;
    clients.push((kind, client.clone()));
    Ok(client)
}

fn build(kind: Kind) -> Result<Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    // Fails only if there is one already, and then that one is used.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = Client::builder()
        .user_agent(concat!("massgen/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_millis(kind.connect_ms))
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        // A key goes where it was meant to go, not where a server points.
        .redirect(reqwest::redirect::Policy::none());
    if !kind.encrypted {
        builder = builder.tls_certs_only([]).http1_only();
    }
    if kind.loopback {
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns why there was no answer at all.
pub(crate) fn connection_failure(
    error: &reqwest::Error,
    url: &Url,
    connect_ms: u64,
    failures: &Failures,
) -> CallFailure {
    let server = server_of(url);
    if let Some(problem) = tls_problem(error) {
        let message = tls_message(problem, &server);
        return failures.of(FailureKind::Tls, &message);
    }
    if error.is_connect() && error.is_timeout() {
        let message =
            format!("no connection to {server} within {:.1} s", connect_ms as f64 / 1_000.0);
        return failures.of(FailureKind::TimedOut, &message);
    }
    let cause = root_cause(error);
    if error.is_connect() {
        let message = format!("cannot connect to {server}: {cause}");
        return failures.of(FailureKind::Unavailable, &message);
    }
    if error.is_builder() {
        return failures.of(FailureKind::BadRequest, &format!("cannot build the request: {cause}"));
    }
    failures.of(FailureKind::Unavailable, &format!("no answer from {server}: {cause}"))
}

/// Returns the failure of a client that could not be built.
pub(crate) fn client_failure(error: &reqwest::Error, failures: &Failures) -> CallFailure {
    let message = format!(
        "cannot load root certificates: {}; install the system's CA certificates, or set \
         SSL_CERT_FILE to a PEM file with them",
        root_cause(error)
    );
    failures.of(FailureKind::Tls, &message)
}

/// Returns scheme, host and port, which is all of a URL a message may show.
pub(crate) fn server_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// Returns the innermost cause, which names the problem rather than the layer.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn tls_problem<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(problem) = error.downcast_ref::<rustls::Error>() {
        return Some(problem);
    }
    // An io::Error hides what it wraps from `source()`, which goes one step further.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let wrapped = wrapped.and_then(|wrapped| tls_problem(wrapped));
    wrapped.or_else(|| error.source().and_then(tls_problem))
}

fn tls_message(problem: &rustls::Error, server: &str) -> String {
    use rustls::CertificateError as Certificate;
    const OWN_AUTHORITY: &str = "if your own authority has issued it, set SSL_CERT_FILE to a PEM \
                                 file with that authority's certificate";
    match problem {
        rustls::Error::InvalidCertificate(certificate) => {
            let (what, remedy) = match certificate {
                // A bad signature is an issuer that only has the name of a trusted one.
                Certificate::UnknownIssuer | Certificate::BadSignature => {
                    ("its issuer is not trusted", OWN_AUTHORITY)
                }
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => (
                    "it was issued for another name",
                    "check the host in `base_url`, or have the certificate issued for it",
                ),
                Certificate::Expired | Certificate::ExpiredContext { .. } => {
                    ("it has expired", "renew it, and check this machine's clock")
                }
                Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                    ("it is not valid yet", "check this machine's clock")
                }
                // What `openssl req -x509` makes by default. The type is not ours to name.
                Certificate::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                    (
                        "it is an authority's own certificate, not a server's",
                        "make one for the server with `basicConstraints=CA:FALSE`, and set \
                     SSL_CERT_FILE to a PEM file with it",
                    )
                }
                _ => ("it cannot be verified", OWN_AUTHORITY),
            };
            format!("the certificate of {server} is refused: {what} ({problem}); {remedy}")
        }
        rustls::Error::InvalidMessage(_) => format!(
            "{server} does not speak TLS ({problem}); if it is meant to be unencrypted, write \
             `http://` in `base_url`"
        ),
        _ => format!("no encrypted connection to {server}: {problem}"),
    }
}

/// Returns how long a server asks to wait, by any of the headers in use.
pub(crate) fn retry_after_ms(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(positive) {
        return Some(ms as u64);
    }
    let wish = text("retry-after")?;
    if let Some(seconds) = positive(wish) {
        return Some((seconds * 1_000.0) as u64);
    }
    // A moment by the server's clock: its own idea of now is the one to compare with.
    let at = http_date(wish)?;
    let now = text("date").and_then(http_date).unwrap_or_else(|| {
        now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    });
    Some(at.saturating_sub(now).saturating_mul(1_000))
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970, the one form
/// HTTP still allows servers to send.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let rest = text.split_once(", ")?.1.strip_suffix(" GMT")?;
    let mut words = rest.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01, counting years from March so that a leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: Option<u64>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())
            })
            .collect();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(retry_after_ms(&headers, now), expected);
    }

    #[test]
    fn a_servers_wish_to_wait_is_read_in_every_form() {
        check(&[], None);
        check(&[("retry-after", "7")], Some(7_000));
        check(&[("retry-after", "0.25")], Some(250));
        check(&[("retry-after", "7"), ("retry-after-ms", "120")], Some(120));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(7_000));
        check(
            &[
                ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("date", "Sun, 06 Nov 1994 08:49:36 GMT"),
            ],
            Some(1_000),
        );
        check(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0));
        for garbage in ["soon", "-3", "NaN", "Sun, 99 Nov 1994 08:49:37 GMT", ", GMT", ""] {
            check(&[("retry-after", garbage)], None);
        }
    }

    #[test]
    fn dates_are_counted_right() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(http_date("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200));
        assert_eq!(http_date("Fri, 31 Dec 1999 23:59:59 GMT"), Some(946_684_799));
    }

    #[test]
    fn clients_are_shared_by_kind() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(is_loopback(&url("http://localhost:1/v1")) && is_loopback(&url("http://[::1]/")));
        assert!(!is_loopback(&url("http://localhost.evil.test/")));
        assert!(client(&url("http://127.0.0.1:1/v1"), 10).is_ok());
        assert_eq!(server_of(&url("https://me:pw@host:8443/v1?x=1")), "https://host:8443");
    }
}
