//! The listener for monitoring: `/metrics`, `/status.json`, `/health`, `/`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::facts::{Facts, Sources};
use super::{gauges, page};

/// Connections at a time; the next waits.
const MAX_CONNECTIONS: usize = 32;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection lives no longer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// A block older than this is no good health, in seconds.
const MAX_BLOCK_AGE: u64 = 60;

/// Serves until the listener fails.
pub async fn serve(listener: TcpListener, sources: Arc<Sources>) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!("metrics: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let sources = Arc::clone(&sources);
        tokio::spawn(async move {
            let _slot = slot;
            let service = service_fn(move |request| {
                let sources = Arc::clone(&sources);
                async move { Ok::<_, Infallible>(answer(&request, &sources)) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(socket), service);
            // Whoever breaks off has what it wanted.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
        });
    }
}

fn answer(request: &Request<Incoming>, sources: &Sources) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is served\n".into());
    }
    route(request.uri().path(), &sources.facts())
}

fn route(path: &str, facts: &Facts) -> Response<Full<Bytes>> {
    let failed = |error: &dyn std::fmt::Display| {
        reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", format!("{error}\n"))
    };
    match path {
        "/metrics" => match gauges::exposition(facts) {
            Ok(text) => reply(StatusCode::OK, "text/plain; version=0.0.4", text),
            Err(error) => failed(&error),
        },
        "/status.json" => match serde_json::to_string_pretty(facts) {
            Ok(text) => reply(StatusCode::OK, "application/json", text),
            Err(error) => failed(&error),
        },
        "/health" => {
            let well = facts.height > 0 && facts.block_age <= MAX_BLOCK_AGE;
            let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let words = serde_json::json!({
                "healthy": well, "height": facts.height, "block_age": facts.block_age,
            });
            reply(status, "application/json", words.to_string())
        }
        "/" => reply(StatusCode::OK, "text/html; charset=utf-8", page::html(facts)),
        _ => reply(
            StatusCode::NOT_FOUND,
            "text/plain",
            "/metrics, /status.json, /health, /\n".into(),
        ),
    }
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_answers_and_health_is_that_of_the_newest_block() {
        let old = Facts { height: 5, block_age: 61, ..Facts::default() };
        let fresh = Facts { block_age: 60, ..old.clone() };
        assert_eq!(route("/health", &Facts::default()).status(), 503, "nothing was seen yet");
        assert_eq!(route("/health", &old).status(), 503);
        assert_eq!(route("/health", &fresh).status(), 200);
        for path in ["/", "/metrics", "/status.json"] {
            assert_eq!(route(path, &fresh).status(), 200, "{path}");
        }
        assert_eq!(route("/secrets", &fresh).status(), 404);
    }

    #[tokio::test]
    async fn monitoring_reads_the_counters_over_http() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        use tokio::sync::watch;
        let dir = tempfile::tempdir().unwrap();
        let earned = [("ustoa".to_string(), 23)].into();
        let books = crate::money::Books { earned, ..Default::default() };
        let mut config = crate::tests_support::config();
        config.data_dir = dir.path().into();
        let sources = Sources {
            config: Arc::new(config.clone()),
            provider: "stoa1me".into(),
            views: watch::channel(Some(Arc::new(crate::tests_support::view()))).1,
            capacity: watch::channel(None).1,
            bids: watch::channel(Default::default()).1,
            books: watch::channel(books).1,
            purse: watch::channel(Default::default()).1,
            leases: Arc::new(crate::store::LeaseStore::open(&dir.path().join("leases")).unwrap()),
            board: Arc::default(),
            overlay: crate::tests_support::overlay(&config, Arc::default()),
            machines: Box::new(Vec::new),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, Arc::new(sources)));
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        socket.write_all(request).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.contains("stoa_provider_height 10"), "{text}");
        let earned = r#"stoa_provider_earned_units{denom="ustoa"} 23"#;
        assert!(text.contains(earned), "{text}");
        server.abort();
    }
}
