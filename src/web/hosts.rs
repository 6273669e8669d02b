//! Who may ask, and who sees what.
//!
//! A page that a browser has loaded from elsewhere must not read this one, nor give orders through it: a stranger's name
//! may be made to lead here, so names count only when they are known; nobody may frame the page or load anything into
//! it. Whoever has not signed in sees numbers, which `/metrics` has as well, and more only from this very machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Web;

/// What browsers are told with every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Signs of somebody in between: whoever asks is not who connects.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// The names under which the page may be asked for.
#[derive(Debug)]
pub(super) struct Hosts(BTreeSet<String>);

impl Hosts {
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        Hosts(names.map(|name| name.to_ascii_lowercase()).collect())
    }

    /// True for an address, this machine, and names that are known.
    fn knows(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        name == "localhost" || address(&name).is_some() || self.0.contains(&name)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

fn address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// True when somebody on this very machine asks for a page that is for this machine.
pub(super) fn is_near(listen: SocketAddr, from: SocketAddr, headers: &HeaderMap) -> bool {
    let host = without_port(text(headers, "host").unwrap_or_default());
    let is_own = host.eq_ignore_ascii_case("localhost")
        || address(host).is_some_and(|address| address.is_loopback());
    let is_direct = !FORWARDED.iter().any(|name| headers.contains_key(*name));
    listen.ip().is_loopback() && from.ip().to_canonical().is_loopback() && is_own && is_direct
}

/// True when a request that changes something comes from the page itself.
fn is_own_request(headers: &HeaderMap) -> bool {
    let is_own = text(headers, "origin").is_none_or(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == text(headers, "host")
    });
    let is_json =
        text(headers, "content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let site = text(headers, "sec-fetch-site");
    is_own && is_json && site.is_none_or(|site| site == "same-origin")
}

/// Turns away who may not ask, and tells browsers what they must not do.
pub(super) async fn guard(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refused = if !text(headers, "host").is_some_and(|host| web.hosts.knows(host)) {
        Some((
            StatusCode::MISDIRECTED_REQUEST,
            "unknown host name: add it to page_hosts in [http]\n",
        ))
    } else if request.method() == Method::POST && !is_own_request(headers) {
        Some((StatusCode::FORBIDDEN, "only the page itself may ask for this\n"))
    } else {
        None
    };
    let mut response = match refused {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Who asks.
pub(super) type From = ConnectInfo<SocketAddr>;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn strangers_names_are_not_known() {
        let hosts = Hosts::new(["Pool.example.org".to_owned()].into_iter());
        for known in
            ["127.0.0.1:9127", "[::1]:9127", "localhost", "10.1.2.3", "pool.EXAMPLE.org:80"]
        {
            assert!(hosts.knows(known), "{known}");
        }
        for unknown in ["evil.example", "evil.example:9127", "127.0.0.1.evil.example", ""] {
            assert!(!hosts.knows(unknown), "{unknown}");
        }
    }

    #[test]
    fn near_is_only_this_machine_without_anybody_in_between() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (own, open) = (at("127.0.0.1:9127"), at("0.0.0.0:9127"));
        let direct = headers(&[("host", "localhost:9127")]);
        assert!(is_near(own, at("127.0.0.1:5"), &direct));
        assert!(is_near(at("[::1]:9127"), at("[::1]:5"), &headers(&[("host", "[::1]:9127")])));
        assert!(!is_near(open, at("127.0.0.1:5"), &direct));
        assert!(!is_near(own, at("127.0.0.1:5"), &headers(&[("host", "pool.example.org")])));
        let proxied = headers(&[("host", "127.0.0.1"), ("x-forwarded-for", "10.0.0.1")]);
        assert!(!is_near(own, at("127.0.0.1:5"), &proxied));
    }

    #[test]
    fn other_sites_cannot_change_anything() {
        let json = ("content-type", "application/json");
        assert!(is_own_request(&headers(&[("host", "h:1"), ("origin", "http://h:1"), json])));
        assert!(is_own_request(&headers(&[("host", "h:1"), json])), "no browser");
        assert!(!is_own_request(&headers(&[("host", "h:1"), ("origin", "http://evil:1"), json])));
        assert!(!is_own_request(&headers(&[("host", "h:1"), ("origin", "null"), json])));
        assert!(!is_own_request(&headers(&[("host", "h:1"), ("content-type", "text/plain")])));
        assert!(!is_own_request(&headers(&[
            ("host", "h:1"),
            ("sec-fetch-site", "cross-site"),
            json
        ])));
    }
}
