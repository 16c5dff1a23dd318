//! Streams over plain HTTP: as server-sent events to who asks for them, else
//! as one JSON object a line.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::StreamExt;
use http::header::ACCEPT;
use http::{HeaderMap, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{json, Value};
use tonic::body::Body;
use tonic::Status;

use super::answer::{describe, Answer};

/// What keeps a silent stream from being taken for a dead one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// How a stream's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/event-stream`.
    Events,
    /// `application/x-ndjson`.
    Lines,
}

impl Form {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut kinds = accepted.flat_map(|value| value.split(','));
        match kinds.any(|kind| kind.trim().starts_with("text/event-stream")) {
            true => Self::Events,
            false => Self::Lines,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    fn write(self, value: &Result<Value, Status>) -> Bytes {
        let (name, value) = match value {
            Ok(value) => ("", value.clone()),
            Err(status) => ("event: error\n", json!({ "error": status.message() })),
        };
        match self {
            // JSON has no line breaks of its own.
            Self::Events => format!("{name}data: {value}\n\n").into(),
            Self::Lines => format!("{value}\n").into(),
        }
    }

    fn sign_of_life(self) -> Bytes {
        match self {
            Self::Events => Bytes::from_static(b": \n\n"),
            Self::Lines => Bytes::from_static(b"\n"),
        }
    }
}

/// An answer that goes on as long as the stream.
pub(super) fn answer(form: Form, values: BoxStream<'static, Result<Value, Status>>) -> Answer {
    let pieces = futures::stream::unfold(values, move |mut values| async move {
        let piece = match tokio::time::timeout(SIGN_OF_LIFE, values.next()).await {
            Ok(Some(value)) => form.write(&value),
            Ok(None) => return None,
            Err(_) => form.sign_of_life(),
        };
        Some((piece, values))
    });
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let mut answer = Response::new(Body::new(StreamBody::new(frames)));
    describe(&mut answer, form.kind());
    answer
}

/// An answer of bytes. One that breaks off ends the connection, so that it
/// is not taken for whole.
pub(super) fn bytes(
    kind: &'static str,
    pieces: BoxStream<'static, Result<Bytes, Status>>,
) -> Answer {
    let frames = pieces.map(|piece| piece.map(Frame::data));
    let mut answer = Response::new(Body::new(StreamBody::new(frames)));
    describe(&mut answer, kind);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_the_client_accepts() {
        let accepting = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, http::HeaderValue::from_static(text));
            Form::of(&headers)
        };
        assert_eq!(accepting("text/html, text/event-stream;q=0.9"), Form::Events);
        assert_eq!(accepting("*/*"), Form::Lines);
        assert_eq!(Form::Events.write(&Ok(json!({"a": "x\ny"}))), "data: {\"a\":\"x\\ny\"}\n\n");
        let error = Form::Events.write(&Err(Status::aborted("gone")));
        assert_eq!(error, "event: error\ndata: {\"error\":\"gone\"}\n\n");
    }
}
