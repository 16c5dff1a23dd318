//! Answers: JSON, and errors as JSON.

use bytes::Bytes;
use http::header::{
    HeaderName, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{json, Value};
use tonic::body::Body;
use tonic::{Code, Status};

pub(super) type Answer = Response<Body>;

/// 200 with JSON.
pub(super) fn json(value: &Value) -> Answer {
    with_body(StatusCode::OK, "application/json", value.to_string().into())
}

/// 200 with bytes of a kind.
pub(super) fn bytes(kind: &'static str, bytes: Bytes) -> Answer {
    with_body(StatusCode::OK, kind, bytes)
}

/// An error: `{"error": …, "code": …}`, the code by gRPC's name.
pub(in super::super) fn refusal(status: &Status) -> Answer {
    let body = json!({ "error": status.message(), "code": format!("{:?}", status.code()) });
    let mut answer = with_body(code_of(status), "application/json", body.to_string().into());
    let text = HeaderValue::from_static;
    match status.code() {
        Code::Unauthenticated => {
            answer.headers_mut().insert(WWW_AUTHENTICATE, text("Bearer"));
        }
        Code::ResourceExhausted | Code::Unavailable => {
            answer.headers_mut().insert(RETRY_AFTER, text("1"));
        }
        _ => {}
    }
    answer
}

fn with_body(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Body::new(Full::new(body)));
    *answer.status_mut() = status;
    describe(&mut answer, kind);
    answer
}

/// What it is; not to be kept, not to be taken for something else.
pub(super) fn describe(answer: &mut Answer, kind: &'static str) {
    let fields: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ];
    for (name, value) in fields {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

fn code_of(status: &Status) -> StatusCode {
    match status.code() {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unimplemented => StatusCode::METHOD_NOT_ALLOWED,
        Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
