//! Answers of the ingress itself: plain words, never a page of a tenant's.

use http::{header, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;

/// The body of an answer, from a workload or from here.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, BodyError>;
/// Why a body stopped.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// An answer in one line of text. The words may repeat what the client sent,
/// so no browser may take them for HTML.
pub(super) fn text(status: StatusCode, words: impl Into<String>) -> Response<AnswerBody> {
    let line = format!("{}\n", words.into());
    let body = Full::new(Bytes::from(line)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
