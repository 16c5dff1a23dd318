//! WebSockets (RFC 6455) on HTTP/1.1, for what goes both ways and for
//! browsers.

use std::future::Future;

use futures::{SinkExt, StreamExt};
use http::header::{
    HeaderName, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::WebSocketStream;
use tonic::body::Body;
use tonic::Status;

use super::super::door::Place;
use super::answer::Answer;

/// The protocol that we speak within it.
pub(super) const PROTOCOL: &str = "stoa.v1";
/// Bytes of a message and of what waits on either side.
const MAX_MESSAGE: usize = 64 << 10;
const BUFFER: usize = 16 << 10;

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request asks for one.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    has(headers, &UPGRADE, "websocket") && has(headers, &CONNECTION, "upgrade")
}

fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split(','));
    words.any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// Answers with the change of protocol and hands the socket on. The place
/// among the connections is kept as long as it is used.
pub(super) fn open<F, Fut>(
    request: Request<Incoming>,
    place: Place,
    with: F,
) -> Result<Answer, Status>
where
    F: FnOnce(Socket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let headers = request.headers();
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let right = request.version() == Version::HTTP_11
        && is_asked(headers)
        && headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let (true, Some(key)) = (right, key) else {
        return Err(Status::failed_precondition(
            "this path is a WebSocket: ask with Upgrade: websocket, version 13, over HTTP/1.1",
        ));
    };
    let accept = derive_accept_key(key.as_bytes());
    let names_ours = has(headers, &SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    // In use also between the answer and the change of protocol.
    let busy = place.busy();
    tokio::spawn(async move {
        let _used = (busy, place);
        let upgraded = match hyper::upgrade::on(request).await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!("a WebSocket: {error}"),
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(4 * MAX_MESSAGE)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let io = TokioIo::new(upgraded);
        with(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await).await;
    });
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = answer.headers_mut();
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = HeaderValue::from_str(&accept).map_err(|e| Status::internal(e.to_string()))?;
    fields.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if names_ours {
        fields.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    Ok(answer)
}

/// Sends values as text, one a message, until they end or the client goes.
pub(super) async fn tell(
    mut socket: Socket,
    mut values: futures::stream::BoxStream<'static, Result<Value, Status>>,
) {
    loop {
        tokio::select! {
            value = values.next() => match value {
                Some(Ok(value)) => {
                    if socket.send(Message::text(value.to_string())).await.is_err() {
                        return;
                    }
                }
                Some(Err(status)) => return close(&mut socket, Some(&status)).await,
                None => return close(&mut socket, None).await,
            },
            // Nothing is expected; pings are answered by reading.
            message = socket.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

/// Says how it ends.
pub(super) async fn close(socket: &mut Socket, status: Option<&Status>) {
    let frame = match status {
        None => CloseFrame { code: CloseCode::Normal, reason: "".into() },
        Some(status) => {
            // A close frame has room for 123 bytes.
            let mut reason: String = status.message().chars().take(120).collect();
            while reason.len() > 120 {
                reason.pop();
            }
            CloseFrame { code: CloseCode::Error, reason: reason.into() }
        }
    };
    let _ = socket.close(Some(frame)).await;
}
