//! The gateway by HTTP and JSON, for browsers and for programs without gRPC.

mod answer;
mod duplex;
mod json;
mod query;
mod route;
mod socket;
mod streams;

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use http::Request;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{json as object, Value};
use stoa_client::proto::gateway::v1::{
    EventsRequest, LogsRequest, ScreenRequest, ShellStart, SubmitManifestRequest, TerminalSize,
};
use stoa_client::token::Scope;
use stoa_manifest::MAX_CANONICAL_BYTES;
use tonic::Status;

use super::caller::{nobody, Caller};
use super::door::Place as ConnectionPlace;
use super::service::{answers, GatewayService, StreamSlot};
use super::{connections, events, logs, manifests, screen, sessions};
use crate::runtime::InstanceKey;
use answer::Answer;
use streams::Form;

pub(super) use answer::refusal;
pub use route::{Lease, LogsWanted, Place, Route};

/// A body that stands still so long is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// How long an answer may take to begin; files into an instance have as long
/// as they go on coming.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_COPY: Duration = Duration::from_secs(24 * 3600);

/// The interface.
pub struct Rest {
    service: GatewayService,
}

/// One request with who makes it.
struct Ask {
    caller: Caller,
    request: Request<Incoming>,
    place: ConnectionPlace,
}

impl Rest {
    pub(super) fn new(service: GatewayService) -> Self {
        Self { service }
    }

    /// Answers a request whose way was read.
    pub(super) async fn answer(
        &self,
        route: Route,
        caller: Option<Caller>,
        request: Request<Incoming>,
        place: ConnectionPlace,
    ) -> Answer {
        let patience = match route {
            Route::PutFiles { .. } => MAX_COPY,
            _ => PATIENCE,
        };
        let answering = Box::pin(self.try_answer(route, caller, request, place));
        match tokio::time::timeout(patience, answering).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(status)) => refusal(&status),
            Err(_) => refusal(&Status::deadline_exceeded("the call took too long")),
        }
    }

    async fn try_answer(
        &self,
        route: Route,
        caller: Option<Caller>,
        request: Request<Incoming>,
        place: ConnectionPlace,
    ) -> Result<Answer, Status> {
        let route = match route {
            Route::Status => return Ok(answer::json(&json::of(&self.service.provider_status())?)),
            Route::Version => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(answer::json(&object!({ "version": version, "api": "v1" })));
            }
            route => route,
        };
        let ask = Ask { caller: caller.ok_or_else(nobody)?, request, place };
        match route {
            Route::Status | Route::Version => Err(Status::internal("answered above")),
            Route::Screen { order } => {
                ask.caller.may(Scope::Status)?;
                let wanted = ScreenRequest { order: Some(order) };
                let said = screen::answer(&self.service.context, wanted).await?;
                Ok(answer::json(&json::of(&said)?))
            }
            Route::LeaseStatus { lease, follow } => self.lease_status(lease, follow, ask).await,
            Route::Logs { lease, wanted } => self.logs(lease, wanted, ask).await,
            Route::Events { lease, follow, after } => self.events(lease, follow, after, ask).await,
            Route::GetManifest { lease } => self.get_manifest(lease, &ask.caller).await,
            Route::PutManifest { deployment } => {
                ask.caller.may(Scope::SendManifest)?;
                let body = Limited::new(ask.request.into_body(), MAX_CANONICAL_BYTES).collect();
                let manifest = body.await.map_err(bad_body)?.to_bytes().to_vec();
                let wanted = SubmitManifestRequest { deployment: Some(deployment), manifest };
                let done = manifests::submit(&self.service.context, &ask.caller, wanted).await?;
                Ok(answer::json(&json::of(&done)?))
            }
            Route::Connections { deployment } => {
                ask.caller.may(Scope::Status)?;
                let context = &self.service.context;
                let told = connections::of(context, &ask.caller, Some(deployment)).await?;
                Ok(answer::json(&json::of(&told)?))
            }
            Route::Restart { lease, service, instance } => {
                ask.caller.may(Scope::Restart)?;
                let _slot = self.service.stream_slot(&ask.caller)?;
                let lease = self.lease(&lease, &ask.caller).await?;
                let context = &self.service.context;
                let done = sessions::restart(context, &lease, &service, instance).await?;
                Ok(answer::json(&object!({ "instances": done })))
            }
            Route::Shell { place, command, tty, rows, columns } => {
                let size = Some(TerminalSize { rows, columns });
                let term = if tty { "xterm-256color".into() } else { String::new() };
                let start = ShellStart { instance: None, command, tty, size, term, stdin: true };
                self.shell(&place, start, ask).await
            }
            Route::Port { place, port } => self.port(&place, port, ask).await,
            Route::GetFiles { place, path } => {
                let (key, slot) = self.instance(&place, &ask.caller).await?;
                let files = sessions::copy_out(&self.service.context, &key, &path).await?;
                Ok(streams::bytes("application/x-tar", holding(files, slot)))
            }
            Route::PutFiles { place, path } => {
                let (key, _slot) = self.instance(&place, &ask.caller).await?;
                let tar = body_pieces(ask.request.into_body());
                let bytes = sessions::copy_in(&self.service.context, &key, &path, tar).await?;
                Ok(answer::json(&object!({ "bytes": bytes.to_string() })))
            }
        }
    }

    async fn lease(
        &self,
        lease: &Lease,
        caller: &Caller,
    ) -> Result<stoa_client::proto::types::v1::BidId, Status> {
        let id = lease.id(&self.service.context.provider);
        self.service.lease(Some(id), caller).await
    }

    /// An instance to go into, and a place for it.
    async fn instance(
        &self,
        place: &Place,
        caller: &Caller,
    ) -> Result<(InstanceKey, StreamSlot), Status> {
        caller.may(Scope::Shell)?;
        let slot = self.service.stream_slot(caller)?;
        let lease = self.lease(&place.lease, caller).await?;
        let context = &self.service.context;
        let key = sessions::find(context, &lease, &place.service, place.instance).await?;
        Ok((key, slot))
    }

    async fn lease_status(&self, lease: Lease, follow: bool, ask: Ask) -> Result<Answer, Status> {
        ask.caller.may(Scope::Status)?;
        let lease = self.lease(&lease, &ask.caller).await?;
        if !follow && !socket::is_asked(ask.request.headers()) {
            return Ok(answer::json(&json::of(&self.service.lease_status_of(&lease).await?)?));
        }
        let slot = self.service.stream_slot(&ask.caller)?;
        let statuses = answers(self.service.watch(&lease).await?, slot);
        told(ask, statuses.map(|status| json::of(&status?)))
    }

    async fn logs(&self, lease: Lease, wanted: LogsWanted, ask: Ask) -> Result<Answer, Status> {
        ask.caller.may(Scope::Logs)?;
        let slot = self.service.stream_slot(&ask.caller)?;
        let lease = self.lease(&lease, &ask.caller).await?;
        let wanted = LogsRequest {
            lease: None,
            service: wanted.service,
            follow: wanted.follow,
            tail: wanted.tail,
            since: wanted.since,
            instance: wanted.instance,
        };
        let lines = answers(logs::stream(&self.service.context, lease, wanted)?, slot);
        told(ask, lines.map(|line| line.map(|line| json::log_line(&line))))
    }

    async fn events(
        &self,
        lease: Lease,
        follow: bool,
        after: u64,
        ask: Ask,
    ) -> Result<Answer, Status> {
        ask.caller.may(Scope::Events)?;
        let slot = self.service.stream_slot(&ask.caller)?;
        let lease = self.lease(&lease, &ask.caller).await?;
        let wanted = EventsRequest { lease: None, follow, after };
        let events = answers(events::stream(&self.service.context, &lease, &wanted), slot);
        told(ask, events.map(|event| json::event(&event?)))
    }

    async fn get_manifest(&self, lease: Lease, caller: &Caller) -> Result<Answer, Status> {
        caller.may(Scope::GetManifest)?;
        let lease = self.lease(&lease, caller).await?;
        let found = manifests::get(&self.service.context, &lease).await?;
        Ok(answer::bytes("application/json", found.manifest.into()))
    }

    async fn shell(&self, place: &Place, start: ShellStart, ask: Ask) -> Result<Answer, Status> {
        asked_for_a_socket(&ask)?;
        let (key, slot) = self.instance(place, &ask.caller).await?;
        let session = sessions::begin(&self.service.context, &key, &start).await?;
        socket::open(ask.request, ask.place, |socket| async move {
            let _slot = slot;
            duplex::shell(socket, session).await;
        })
    }

    async fn port(&self, place: &Place, port: u32, ask: Ask) -> Result<Answer, Status> {
        asked_for_a_socket(&ask)?;
        let (key, slot) = self.instance(place, &ask.caller).await?;
        // Dialled first: the answer says whether it stands.
        let (input, pieces) = tokio::sync::oneshot::channel();
        let later = futures::stream::once(async move {
            pieces.await.unwrap_or_else(|_| futures::stream::empty().boxed())
        });
        let later = later.flatten().boxed();
        let output = sessions::forward(&self.service.context, &key, port, later).await?;
        socket::open(ask.request, ask.place, |socket| async move {
            let _slot = slot;
            let (to, from) = socket.split();
            let _ = input.send(duplex::port_input(from));
            duplex::port_output(to, output).await;
        })
    }
}

/// Before anything is begun in an instance.
fn asked_for_a_socket(ask: &Ask) -> Result<(), Status> {
    match socket::is_asked(ask.request.headers()) {
        true => Ok(()),
        false => Err(Status::failed_precondition("this path is a WebSocket, over HTTP/1.1")),
    }
}

/// A stream, in the way that was asked for.
fn told(
    ask: Ask,
    values: impl Stream<Item = Result<Value, Status>> + Send + 'static,
) -> Result<Answer, Status> {
    let values: BoxStream<'static, Result<Value, Status>> = values.boxed();
    if socket::is_asked(ask.request.headers()) {
        return socket::open(ask.request, ask.place, |socket| socket::tell(socket, values));
    }
    Ok(streams::answer(Form::of(ask.request.headers()), values))
}

fn holding(
    pieces: BoxStream<'static, Result<Bytes, Status>>,
    slot: StreamSlot,
) -> BoxStream<'static, Result<Bytes, Status>> {
    let slot = std::sync::Arc::new(slot);
    pieces
        .map(move |piece| {
            let _ = &slot;
            piece
        })
        .boxed()
}

/// A request's body, piece by piece; silence ends it.
fn body_pieces(body: Incoming) -> BoxStream<'static, Result<Bytes, Status>> {
    futures::stream::unfold(Some(body), |body| async {
        let mut body = body?;
        loop {
            let frame = match tokio::time::timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(bad_body(error.into())), None)),
                Err(_) => {
                    let text = format!("nothing came for {} s", SILENCE.as_secs());
                    return Some((Err(Status::deadline_exceeded(text)), None));
                }
            };
            // Trailers mean nothing here.
            if let Ok(data) = frame.into_data() {
                return Some((Ok(data), Some(body)));
            }
        }
    })
    .boxed()
}

fn bad_body(error: Box<dyn std::error::Error + Send + Sync>) -> Status {
    Status::invalid_argument(format!("the body could not be read: {error}"))
}
