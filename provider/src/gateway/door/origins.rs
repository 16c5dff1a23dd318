//! Which web pages may speak to the gateway (CORS).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// Origins by the settings; `*` is any.
#[derive(Debug, Clone)]
pub(super) struct Origins(Vec<String>);

impl Origins {
    pub(super) fn new(allowed: &[String]) -> Self {
        Self(allowed.to_vec())
    }

    /// The origin of a request that a page makes. None where no page does.
    /// An error where the page may not: a browser sends its user's
    /// certificate with WebSockets and plain posts of any page.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, String> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(None) };
        let text = origin.to_str().unwrap_or_default();
        match self.0.iter().any(|allowed| allowed == "*" || allowed == text) {
            true => Ok(Some(origin.clone())),
            false => Err(format!(
                "pages of {text} may not use this gateway; its operator may add them to \
                 gateway.cors_origins"
            )),
        }
    }
}

/// What a browser wants to be told before it lets a page read an answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
}

/// And before it lets one ask.
pub(super) fn allow_asking(headers: &mut HeaderMap) {
    let text = HeaderValue::from_static;
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, text("GET, PUT, POST, OPTIONS"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, text("authorization, content-type, accept"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, text("600"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_origins_are_refused_and_programs_are_not_asked() {
        let origins = Origins::new(&["https://console.example".into()]);
        let from = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            origins.check(&headers)
        };
        assert_eq!(origins.check(&HeaderMap::new()).unwrap(), None);
        assert!(from("https://console.example").unwrap().is_some());
        for other in ["https://console.example.evil", "http://console.example", "null", ""] {
            assert!(from(other).is_err(), "{other}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_static("https://any"));
        assert!(Origins::new(&["*".into()]).check(&headers).unwrap().is_some());
    }
}
