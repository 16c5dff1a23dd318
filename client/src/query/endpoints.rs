//! Which endpoint is asked, and what its refusals mean.

use std::{
    future::Future,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};

use tonic::{
    transport::{Channel, ClientTlsConfig, Endpoint},
    Code, Request, Response, Status,
};

use crate::{Error, Refusal, Result};

const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Of which height an answer is.
const HEIGHT_HEADER: &str = "x-cosmos-block-height";
/// The largest answer that is read.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// Queries to one or several nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct QueryClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoints: Vec<(String, Channel)>,
    /// The one that answered last.
    preferred: AtomicUsize,
}

impl QueryClient {
    /// `endpoints` such as `http://127.0.0.1:9090`, in order of preference.
    /// Connects at the first query. Needs a tokio runtime.
    pub fn new(endpoints: &[String]) -> Result<Self> {
        crate::install_crypto();
        if endpoints.is_empty() {
            return Err(Error::Invalid("no gRPC address is configured".into()));
        }
        let endpoints = endpoints.iter().map(|e| channel(e)).collect::<Result<Vec<_>>>()?;
        Ok(Self { inner: Arc::new(Inner { endpoints, preferred: AtomicUsize::new(0) }) })
    }

    /// Asks each endpoint until one answers. `ask` makes the typed client.
    pub async fn ask<Q, R, F, Fut>(&self, query: Q, ask: F) -> Result<R>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        self.respond(query, ask).await.map(Response::into_inner)
    }

    /// The same, with the height that the answer is of.
    pub async fn ask_at<Q, R, F, Fut>(&self, query: Q, ask: F) -> Result<(u64, R)>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let answer = self.respond(query, ask).await?;
        let height = answer.metadata().get(HEIGHT_HEADER);
        let height = height.and_then(|text| text.to_str().ok()?.parse().ok());
        let missing = || Error::BadAnswer("an answer without its height".into());
        Ok((height.ok_or_else(missing)?, answer.into_inner()))
    }

    async fn respond<Q, R, F, Fut>(&self, query: Q, ask: F) -> Result<Response<R>>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let count = self.inner.endpoints.len();
        let start = self.inner.preferred.load(Ordering::Relaxed);
        let mut last = String::from("no endpoint");
        for offset in 0..count {
            let index = (start + offset) % count;
            let Some((name, channel)) = self.inner.endpoints.get(index) else { continue };
            match ask(channel.clone(), request(query.clone())).await {
                Err(status) if is_connection(&status) => {
                    last = format!("{name}: {}", status.message());
                }
                answer => {
                    self.inner.preferred.store(index, Ordering::Relaxed);
                    return answer.map_err(|s| error_of(&s));
                }
            }
        }
        let names: Vec<&str> = self.inner.endpoints.iter().map(|(n, _)| n.as_str()).collect();
        Err(Error::Unreachable { what: names.join(", "), cause: last })
    }

    /// The endpoint that is asked at the `turn`th try, from the preferred one on.
    pub(super) fn endpoint(&self, turn: usize) -> Channel {
        let start = self.inner.preferred.load(Ordering::Relaxed);
        let count = self.inner.endpoints.len();
        let index = start.wrapping_add(turn) % count;
        self.inner.endpoints[index].1.clone()
    }
}

fn request<Q>(query: Q) -> Request<Q> {
    let mut request = Request::new(query);
    request.set_timeout(CALL_TIMEOUT);
    request
}

fn channel(address: &str) -> Result<(String, Channel)> {
    let bad = |cause: String| {
        Error::Invalid(format!(
            "gRPC address `{address}`: {cause}; right is such as http://127.0.0.1:9090"
        ))
    };
    let text = address.trim().trim_end_matches('/');
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let secure = url.starts_with("https://");
    if !secure && !url.starts_with("http://") {
        return Err(bad("neither http nor https".into()));
    }
    let mut endpoint = Endpoint::from_shared(url.clone())
        .map_err(|e| bad(e.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    if secure {
        let tls = ClientTlsConfig::new().with_webpki_roots();
        endpoint = endpoint.tls_config(tls).map_err(|e| bad(e.to_string()))?;
    }
    Ok((url, endpoint.connect_lazy()))
}

/// Whether another endpoint might do better.
pub(super) fn is_connection(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => true,
        // tonic's own for a connection that broke under way.
        Code::Unknown => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// The chain's refusal in a gRPC status, whose message ends with codespace and
/// code, such as `(market/7)`.
pub(super) fn error_of(status: &Status) -> Error {
    let (message, codespace, code) = split_code(status.message());
    match status.code() {
        Code::NotFound => Error::NotFound(message),
        Code::Unimplemented => Error::BadAnswer(format!(
            "the node does not serve this query ({message}); is it of an older version?"
        )),
        _ => Refusal { codespace, code, message, hash: None, height: None }.into(),
    }
}

/// `text (market/7) (stoa/7)` into `text`, `market`, 7. The outer pair only
/// says that the inner one is a module's own.
fn split_code(message: &str) -> (String, String, u32) {
    let Some((rest, space, code)) = strip_code(message) else {
        return (message.to_owned(), String::new(), 0);
    };
    let (rest, space, code) = match strip_code(rest) {
        Some(inner) if space == "stoa" => inner,
        _ => (rest, space, code),
    };
    (rest.to_owned(), space.to_owned(), code)
}

fn strip_code(message: &str) -> Option<(&str, &str, u32)> {
    let (rest, last) = message.strip_suffix(')')?.rsplit_once(" (")?;
    let (space, code) = last.split_once('/')?;
    let is_name = !space.is_empty() && space.bytes().all(|b| b.is_ascii_lowercase());
    is_name.then_some(())?;
    Some((rest, space, code.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codespace_and_code_are_taken_from_the_messages_end() {
        let split = |t: &str| split_code(t);
        let own = |a: &str, b: &str, c| (a.to_owned(), b.to_owned(), c);
        assert_eq!(
            split("too high (max 3) (market/7) (stoa/7)"),
            own("too high (max 3)", "market", 7)
        );
        assert_eq!(split("insufficient funds (sdk/5)"), own("insufficient funds", "sdk", 5));
        assert_eq!(split("boom (stoa/1)"), own("boom", "stoa", 1));
        assert_eq!(split("plain (a/b) text"), own("plain (a/b) text", "", 0));
        assert_eq!(split("see (5ustoa/s)"), own("see (5ustoa/s)", "", 0));
    }

    #[test]
    fn not_found_is_not_a_refusal() {
        let status = Status::not_found("account x: key not found (sdk/38)");
        assert!(matches!(error_of(&status), Error::NotFound(m) if m == "account x: key not found"));
        let status = Status::unknown("message index: 1: no (market/4) (stoa/4)");
        let error = error_of(&status);
        let refusal = error.refusal().unwrap();
        assert_eq!((refusal.codespace.as_str(), refusal.code), ("market", 4));
        assert_eq!(refusal.message_index(), Some(1));
    }
}
