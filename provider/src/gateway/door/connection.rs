//! One connection, from the handshake to its end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

use super::super::caller::Peer;
use super::super::providers::RawService;
use super::accept::Place;
use super::activity::Activity;
use super::dispatch::Hall;

/// Bytes of a request's header, all fields together.
const MAX_HEADER: u32 = 16 << 10;
const MAX_FIELDS: usize = 64;
/// Requests at a time on one connection (HTTP/2).
const MAX_STREAMS: u32 = 100;
/// What a client may send before it is read: of one request, of all.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// What waits for a slow reader, of one request.
const SEND_BUFFER: usize = 64 << 10;
/// Requests that the client cancels before they are looked at.
const MAX_RESET: usize = 32;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(15);
/// For calls under way, after a connection was asked to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub handshake: Duration,
    /// Until a request's header is there.
    pub header: Duration,
    /// Without a request.
    pub idle: Duration,
}

/// Serves it until it ends.
#[allow(clippy::too_many_arguments)]
pub(super) async fn serve(
    socket: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    hall: Arc<Hall>,
    activity: Arc<Activity>,
    place: Place,
    timing: Timing,
    ends: watch::Receiver<bool>,
) {
    let shaken = tokio::select! {
        shaken = acceptor.accept(socket) => shaken,
        () = activity.over(timing.handshake, timing.handshake) => {
            return tracing::debug!(%address, "a handshake took too long, or made room");
        }
    };
    let stream = match shaken {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%address, "handshake: {error}"),
    };
    let ended = carry(stream, address, hall, activity, place, timing, ends).await;
    if let Err(error) = ended {
        tracing::debug!(%address, "connection: {error}");
    }
}

async fn carry(
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
    hall: Arc<Hall>,
    activity: Arc<Activity>,
    place: Place,
    timing: Timing,
    ends: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let (_, session) = stream.get_ref();
    let shown = |at: usize| {
        let der = session.peer_certificates().and_then(|chain| chain.get(at));
        der.map(|der| Arc::from(der.as_ref()))
    };
    let peer = Peer { address, certificate: shown(0), root: shown(1) };
    if let Some(raw) = hall.raw(session.alpn_protocol()) {
        raw_connection(stream, peer, hall, raw, activity, place, ends).await;
        return Ok(());
    }
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let used = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = used.begin();
        let (hall, peer, place) = (Arc::clone(&hall), peer.clone(), Arc::clone(&place));
        async move {
            let response = hall.answer(request, peer, place).await;
            // In use until the answer's last byte is handed over.
            Ok::<_, std::convert::Infallible>(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _ = &busy;
                    frame
                }))
            }))
        }
    });
    let io = TokioIo::new(stream);
    if is_http2 {
        let connection = http2_settings().serve_connection(io, service);
        drive(pin!(connection), |c| c.graceful_shutdown(), &activity, timing, ends).await
    } else {
        let mut settings = http1::Builder::new();
        settings
            .timer(TokioTimer::new())
            .header_read_timeout(timing.header)
            .max_headers(MAX_FIELDS)
            .max_buf_size(MAX_HEADER as usize)
            .half_close(false);
        let connection = settings.serve_connection(io, service).with_upgrades();
        drive(pin!(connection), |c| c.graceful_shutdown(), &activity, timing, ends).await
    }
}

/// Another provider that speaks something else than HTTP.
async fn raw_connection(
    stream: TlsStream<TcpStream>,
    peer: Peer,
    hall: Arc<Hall>,
    raw: Arc<dyn RawService>,
    activity: Arc<Activity>,
    place: Place,
    mut ends: watch::Receiver<bool>,
) {
    let address = peer.address;
    let _busy = activity.begin();
    match hall.provider(&peer).await {
        Ok(caller) => tokio::select! {
            () = raw.serve(stream, caller, address, place) => {}
            _ = ends.wait_for(|end| *end) => {}
        },
        Err(status) => tracing::debug!(%address, "refused: {}", status.message()),
    }
}

fn http2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET)
        .max_local_error_reset_streams(MAX_RESET)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN);
    settings
}

/// Until it ends by itself, is idle too long, makes room, or all ends.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
    activity: &Activity,
    timing: Timing,
    mut ends: watch::Receiver<bool>,
) -> hyper::Result<()> {
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = activity.over(timing.header, timing.idle) => {}
        _ = ends.wait_for(|end| *end) => {}
    }
    end(connection.as_mut());
    tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
}

/// What an answer is.
pub(super) type Answer = Response<Body>;
