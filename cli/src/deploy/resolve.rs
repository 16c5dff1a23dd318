//! Where an address leads from here.

use std::time::Duration;

use tonic::codegen::http::Uri;

/// A resolver that is slower says nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// The addresses that a URI's host resolves to, as text; empty where there are
/// none from here.
pub async fn addresses(uri: &str) -> Vec<String> {
    let Ok(parsed) = uri.parse::<Uri>() else { return vec![] };
    let Some(host) = parsed.host() else { return vec![] };
    let port =
        parsed.port_u16().unwrap_or(if parsed.scheme_str() == Some("https") { 443 } else { 80 });
    let looked_up = tokio::net::lookup_host((host.to_owned(), port));
    let Ok(Ok(found)) = tokio::time::timeout(PATIENCE, looked_up).await else { return vec![] };
    let mut all: Vec<String> = found.map(|a| a.ip().to_string()).collect();
    all.dedup();
    all
}

/// The same in words, for beside the URI.
pub async fn words(uri: &str) -> String {
    let found = addresses(uri).await;
    if found.is_empty() && is_local(uri) {
        return "this machine (browsers know .localhost; others need a Host header)".into();
    }
    if found.is_empty() {
        return "its name does not resolve from here: send it as the Host header to the \
                provider's ingress"
            .into();
    }
    found.join(", ")
}

/// Names below .localhost are this machine's (RFC 6761), known to browsers if
/// not to the system's resolver.
fn is_local(uri: &str) -> bool {
    let host = uri.parse::<Uri>().ok().and_then(|u| u.host().map(str::to_owned));
    host.is_some_and(|h| h.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literal_addresses_resolve_and_nonsense_does_not() {
        assert_eq!(addresses("http://127.0.0.1:8080/x").await, ["127.0.0.1"]);
        assert!(addresses("not a uri").await.is_empty());
        assert!(addresses("http://nowhere.invalid/").await.is_empty());
        assert!(is_local("http://web.p0.localhost:8080") && !is_local("http://localhost.org"));
    }
}
