//! The gateway's calls, by gRPC. What they do stands in functions that the
//! REST interface uses too.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::gateway_server::Gateway;
use stoa_client::proto::gateway::v1::{
    BlobChunk, BlobStatusRequest, BlobStatusResponse, LeasePhase, LeaseStatusRequest,
    LeaseStatusResponse, LogLine, LogsRequest, Resources, ScreenRequest, ScreenResponse,
    StatusRequest, StatusResponse, SubmitManifestRequest, SubmitManifestResponse,
};
use stoa_client::proto::market::v1::LeaseState;
use stoa_client::proto::types::v1::BidId;
use stoa_client::token::Scope;
use tokio::sync::{mpsc, OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status, Streaming};

use super::auth::Tenants;
use super::caller::{caller, Caller};
use super::door::{Full, Slot, Slots};
use super::leases::{own_lease, unobservable};
use super::{blobs, logs, manifests, screen, Context};
use crate::bidding::Resources as Amounts;

/// Streams and sessions at a time: of all tenants, of one.
const MAX_STREAMS: usize = 512;
const MAX_OWN_STREAMS: usize = 64;
/// Statuses that wait for a slow reader.
const WAITING: usize = 8;

/// One provider's gateway.
#[derive(Clone)]
pub struct GatewayService {
    pub(super) context: Arc<Context>,
    pub(super) tenants: Arc<Tenants>,
    uploads: Arc<Semaphore>,
    streams: Arc<Slots<String>>,
}

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;
/// A place among the streams.
pub(super) type StreamSlot = Slot<String>;

impl GatewayService {
    pub fn new(context: Arc<Context>) -> Self {
        let uploads = Arc::new(Semaphore::new(context.config.gateway.max_uploads.max(1)));
        let tenants = Arc::new(Tenants::new(Arc::clone(&context.reads), &context.provider));
        let streams = Slots::new(MAX_STREAMS, MAX_OWN_STREAMS);
        Self { context, tenants, uploads, streams }
    }

    fn upload_slot(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted("too many uploads at this provider; try again soon")
        })
    }

    /// A place for a stream or a session of a tenant's.
    pub(super) fn stream_slot(&self, caller: &Caller) -> Result<StreamSlot, Status> {
        self.streams.take(&caller.tenant).map_err(|full| {
            Status::resource_exhausted(match full {
                Full::Own => {
                    format!("{} has {MAX_OWN_STREAMS} streams open here; end some", caller.tenant)
                }
                Full::All => "too many streams at this provider; try again soon".into(),
            })
        })
    }

    /// The caller's lease here, alive or closed, as the chain has it.
    pub(super) async fn lease(&self, id: Option<BidId>, caller: &Caller) -> Result<BidId, Status> {
        let id = own_lease(id, caller, &self.context)?;
        let known = self
            .context
            .views
            .borrow()
            .as_ref()
            .is_some_and(|view| view.leases.contains_key(&id.text()));
        if !known {
            self.context.reads.lease(&id).await.map_err(unobservable)?;
        }
        Ok(id)
    }

    /// What the provider has and knows, for anybody.
    pub(super) fn provider_status(&self) -> StatusResponse {
        let context = &self.context;
        let view = context.views.borrow().clone();
        let capacity = context.capacity.borrow().clone();
        let total = capacity.as_ref().map(|capacity| capacity.total).unwrap_or_default();
        let leased = view.as_ref().map(|view| leased(view)).unwrap_or_default();
        StatusResponse {
            provider: context.provider.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            chain_id: context.config.chain.id.clone(),
            height: view.as_ref().map_or(0, |view| view.height),
            leases: view.as_ref().map_or(0, |view| view.leases.len() as u64),
            available: Some(shown(total.minus(leased))),
            total: Some(shown(total)),
        }
    }

    pub(super) async fn lease_status_of(&self, id: &BidId) -> Result<LeaseStatusResponse, Status> {
        if let Some(status) = self.context.board.get(&id.text()) {
            return Ok(status);
        }
        let lease = self.context.reads.lease(id).await.map_err(unobservable)?;
        let closed = lease.state() == LeaseState::Closed;
        let (phase, message) = match closed {
            true => (LeasePhase::Closing, "the lease is closed"),
            false => (LeasePhase::AwaitingManifest, "the provider has not looked at it yet"),
        };
        Ok(LeaseStatusResponse {
            lease: Some(id.clone()),
            phase: phase.into(),
            message: message.into(),
            ..LeaseStatusResponse::default()
        })
    }

    /// The status now and after each change, until nothing of the lease is
    /// left.
    pub(super) async fn watch(
        &self,
        lease: &BidId,
    ) -> Result<mpsc::Receiver<Result<LeaseStatusResponse, Status>>, Status> {
        let mut changes = self.context.board.changes();
        let mut last = self.lease_status_of(lease).await?;
        let (out, answers) = mpsc::channel(WAITING);
        let (context, name) = (Arc::clone(&self.context), lease.text());
        tokio::spawn(async move {
            if out.send(Ok(last.clone())).await.is_err() {
                return;
            }
            loop {
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = out.closed() => return,
                }
                match context.board.get(&name) {
                    Some(status) if status != last => {
                        last = status.clone();
                        if out.send(Ok(status)).await.is_err() {
                            return;
                        }
                    }
                    Some(_) => {}
                    // Nothing of the lease is left.
                    None if last.phase() == LeasePhase::Closing => return,
                    None => {}
                }
            }
        });
        Ok(answers)
    }
}

/// A stream that has its place as long as it lasts.
pub(super) fn answers<T: Send + 'static>(
    mut from: mpsc::Receiver<Result<T, Status>>,
    slot: StreamSlot,
) -> Answers<T> {
    Box::pin(futures::stream::poll_fn(move |context| {
        let _ = &slot;
        from.poll_recv(context)
    }))
}

/// The first message of a stream; whoever opens one says soon what for.
pub(super) async fn first_of<T>(stream: &mut Streaming<T>, within: Duration) -> Result<T, Status> {
    match tokio::time::timeout(within, stream.message()).await {
        Ok(Ok(Some(first))) => Ok(first),
        Ok(Ok(None)) => Err(Status::invalid_argument("a stream without messages")),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(Status::deadline_exceeded("the stream's first message did not come")),
    }
}

#[tonic::async_trait]
impl Gateway for GatewayService {
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.provider_status()))
    }

    async fn submit_manifest(
        &self,
        request: Request<SubmitManifestRequest>,
    ) -> Result<Response<SubmitManifestResponse>, Status> {
        let caller = caller(&request, Scope::SendManifest)?;
        manifests::submit(&self.context, &caller, request.into_inner()).await.map(Response::new)
    }

    async fn screen(
        &self,
        request: Request<ScreenRequest>,
    ) -> Result<Response<ScreenResponse>, Status> {
        caller(&request, Scope::Status)?;
        screen::answer(&self.context, request.into_inner()).await.map(Response::new)
    }

    async fn blob_status(
        &self,
        request: Request<BlobStatusRequest>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        let caller = caller(&request, Scope::SendManifest)?;
        let named = blobs::find(&self.context, &caller, request.into_inner()).await?;
        blobs::whole_status_of(&self.context, named.blob).await.map(Response::new)
    }

    async fn upload_blob(
        &self,
        request: Request<Streaming<BlobChunk>>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        let caller = caller(&request, Scope::SendManifest)?;
        let _own = self.stream_slot(&caller)?;
        let _slot = self.upload_slot()?;
        let mut pieces = request.into_inner();
        let mut first = first_of(&mut pieces, super::sessions::FIRST_MESSAGE).await?;
        let named = first.blob.take();
        let named = named.ok_or_else(|| {
            Status::invalid_argument("the first piece must name the deployment and the blob")
        })?;
        let named = blobs::find(&self.context, &caller, named).await?;
        blobs::take(&self.context, named, first, pieces).await.map(Response::new)
    }

    async fn lease_status(
        &self,
        request: Request<LeaseStatusRequest>,
    ) -> Result<Response<LeaseStatusResponse>, Status> {
        let caller = caller(&request, Scope::Status)?;
        let lease = self.lease(request.into_inner().lease, &caller).await?;
        self.lease_status_of(&lease).await.map(Response::new)
    }

    type WatchLeaseStream = Answers<LeaseStatusResponse>;

    async fn watch_lease(
        &self,
        request: Request<LeaseStatusRequest>,
    ) -> Result<Response<Self::WatchLeaseStream>, Status> {
        let caller = caller(&request, Scope::Status)?;
        let slot = self.stream_slot(&caller)?;
        let lease = self.lease(request.into_inner().lease, &caller).await?;
        Ok(Response::new(answers(self.watch(&lease).await?, slot)))
    }

    type LogsStream = Answers<LogLine>;

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let caller = caller(&request, Scope::Logs)?;
        let slot = self.stream_slot(&caller)?;
        let mut request = request.into_inner();
        let lease = self.lease(request.lease.take(), &caller).await?;
        Ok(Response::new(answers(logs::stream(&self.context, lease, request)?, slot)))
    }
}

fn leased(view: &crate::chain::View) -> Amounts {
    let specs = view.leases.values().map(|lease| Amounts::of_group(&lease.spec));
    let known = specs.filter_map(Result::ok);
    known.fold(Amounts::default(), |sum, one| sum.plus(one).unwrap_or(sum))
}

fn shown(amounts: Amounts) -> Resources {
    Resources {
        cpu: amounts.cpu,
        memory: amounts.memory,
        storage: amounts.storage,
        gpu: amounts.gpu,
    }
}
