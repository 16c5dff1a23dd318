//! What of a message's head goes on, and what the ingress writes itself.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::Uri;

const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The host that a request is for: of an absolute target, else of the one
/// `Host` header (RFC 9112, 3.2). The first is without port, for the lookup,
/// the second as it came.
pub(super) fn requested_host(parts: &Parts) -> Result<(String, HeaderValue), &'static str> {
    let mut named = parts.headers.get_all(header::HOST).iter();
    let value = match (parts.uri.authority(), named.next(), named.next()) {
        (_, _, Some(_)) => return Err("the request has more than one Host header"),
        // RFC 9113, 8.3.1. In HTTP/1.1 an absolute target goes before Host.
        (Some(authority), Some(host), None)
            if parts.version == http::Version::HTTP_2
                && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            return Err("the Host header is another than the request's authority");
        }
        (Some(authority), _, _) => HeaderValue::from_str(authority.as_str())
            .map_err(|_| "the request's target has no proper host")?,
        (None, Some(host), None) => host.clone(),
        (None, None, None) => return Err("the request has no Host header"),
    };
    let text = value.to_str().map_err(|_| "the Host header is not ASCII")?;
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    };
    // The root's dot is part of a name but of no route.
    let host = host.strip_suffix('.').unwrap_or(host);
    if !crate::routes::is_host_name(host) {
        return Err("the Host header is not a host name");
    }
    Ok((host.to_ascii_lowercase(), value))
}

/// The protocol that the client wants to change to, if any.
pub(super) fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = connection_tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| asks).cloned()
}

/// Removes what concerns one hop alone, `Connection`'s own list included.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Names that a message needs cannot be declared away.
    let protected = [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE];
    let listed: Vec<HeaderName> = connection_tokens(headers)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !protected.contains(name))
        .collect();
    for name in HOP_BY_HOP.into_iter().chain([KEEP_ALIVE, PROXY_CONNECTION]).chain(listed) {
        headers.remove(name);
    }
    headers.remove(header::UPGRADE);
}

fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Makes a client's request head into the one for the workload.
pub(super) fn rewrite_request(
    parts: &mut Parts,
    host: HeaderValue,
    client: IpAddr,
    scheme: &'static str,
) {
    let upgrade = wanted_upgrade(&parts.headers);
    strip_hop_by_hop(&mut parts.headers);
    if let Some(protocol) = upgrade {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, protocol);
    }
    // hyper says `100 Continue` by itself when the body is wanted.
    parts.headers.remove(header::EXPECT);
    // The ingress is the first hop that can be trusted: what a client says
    // of itself is replaced, not added to.
    parts.headers.remove(header::FORWARDED);
    if let Ok(address) = HeaderValue::from_str(&client.to_canonical().to_string()) {
        parts.headers.insert(FORWARDED_FOR, address.clone());
        parts.headers.insert(REAL_IP, address);
    }
    parts.headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    parts.headers.insert(FORWARDED_HOST, host.clone());
    parts.headers.insert(header::HOST, host);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = target.parse().unwrap_or_else(|_| Uri::from_static("/"));
    parts.version = http::Version::HTTP_11;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder().uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_host_is_found_and_cleaned() {
        let host = |uri, headers: &[(&str, &str)]| {
            requested_host(&parts(uri, headers)).map(|(host, _)| host)
        };
        assert_eq!(host("/", &[("host", "A.Example:8080")]).unwrap(), "a.example");
        assert_eq!(host("/", &[("host", "a.example.")]).unwrap(), "a.example");
        assert_eq!(host("http://b.example/x", &[("host", "a")]).unwrap(), "b.example");
        for bad in [&[][..], &[("host", "a"), ("host", "b")], &[("host", "a/b")], &[("host", "")]] {
            assert!(host("/", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_client_claims_is_replaced_and_hops_end_here() {
        let mut parts = parts(
            "http://a.example/path?q=1",
            &[
                ("host", "a.example"),
                ("connection", "keep-alive, x-secret, host"),
                ("x-secret", "1"),
                ("x-forwarded-for", "6.6.6.6"),
                ("forwarded", "for=6.6.6.6"),
                ("transfer-encoding", "chunked"),
                ("accept", "*/*"),
            ],
        );
        let client: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        rewrite_request(&mut parts, HeaderValue::from_static("a.example"), client, "http");
        let names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        for gone in ["connection", "x-secret", "forwarded", "transfer-encoding"] {
            assert!(!names.contains(&gone), "{gone} in {names:?}");
        }
        assert_eq!(parts.headers["x-forwarded-for"], "10.1.2.3");
        assert_eq!(parts.headers["x-forwarded-host"], "a.example");
        assert_eq!(parts.headers["host"], "a.example");
        assert_eq!(parts.headers["accept"], "*/*");
        assert_eq!(parts.uri, "/path?q=1");
    }

    #[test]
    fn an_upgrade_goes_on_only_where_connection_says_so() {
        let mut asked = parts("/", &[("connection", "Upgrade"), ("upgrade", "websocket")]);
        let mut unasked = parts("/", &[("upgrade", "h2c")]);
        let client: IpAddr = "10.1.2.3".parse().unwrap();
        for parts in [&mut asked, &mut unasked] {
            rewrite_request(parts, HeaderValue::from_static("a"), client, "http");
        }
        assert_eq!(asked.headers["upgrade"], "websocket");
        assert!(!unasked.headers.contains_key("upgrade"));
    }
}
