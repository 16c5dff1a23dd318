//! The gateway's calls.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::gateway_server::Gateway;
use stoa_client::proto::gateway::v1::{
    BlobChunk, BlobStatusRequest, BlobStatusResponse, LeasePhase, LeaseStatusRequest,
    LeaseStatusResponse, LogLine, LogsRequest, Resources, StatusRequest, StatusResponse,
    SubmitManifestRequest, SubmitManifestResponse,
};
use stoa_client::proto::market::v1::LeaseState;
use stoa_client::proto::types::v1::BidId;
use tokio::sync::{mpsc, OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::auth::Tenants;
use super::leases::{own_lease, unobservable};
use super::{blobs, logs, manifests, Context};
use crate::bidding::Resources as Amounts;

/// Streams of status and logs at a time.
const MAX_STREAMS: usize = 256;
/// Statuses that wait for a slow reader.
const WAITING: usize = 8;

/// One provider's gateway.
pub struct GatewayService {
    context: Arc<Context>,
    tenants: Tenants,
    uploads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl GatewayService {
    pub fn new(context: Arc<Context>) -> Self {
        let uploads = Arc::new(Semaphore::new(context.config.gateway.max_uploads.max(1)));
        let tenants = Tenants::new(Arc::clone(&context.reads));
        Self { context, tenants, uploads, streams: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }

    fn slot(of: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(of).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!("too many {what} at this provider; try again soon"))
        })
    }

    /// The caller's lease here, alive or closed, as the chain has it.
    async fn lease(&self, id: Option<BidId>, caller: &str) -> Result<BidId, Status> {
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

    async fn lease_status_of(&self, id: &BidId) -> Result<LeaseStatusResponse, Status> {
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
}

#[tonic::async_trait]
impl Gateway for GatewayService {
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let context = &self.context;
        let view = context.views.borrow().clone();
        let capacity = context.capacity.borrow().clone();
        let total = capacity.as_ref().map(|capacity| capacity.total).unwrap_or_default();
        let leased = view.as_ref().map(|view| leased(view)).unwrap_or_default();
        Ok(Response::new(StatusResponse {
            provider: context.provider.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            chain_id: context.config.chain.id.clone(),
            height: view.as_ref().map_or(0, |view| view.height),
            leases: view.as_ref().map_or(0, |view| view.leases.len() as u64),
            available: Some(shown(total.minus(leased))),
            total: Some(shown(total)),
        }))
    }

    async fn submit_manifest(
        &self,
        request: Request<SubmitManifestRequest>,
    ) -> Result<Response<SubmitManifestResponse>, Status> {
        let caller = self.tenants.caller(&request).await?;
        manifests::submit(&self.context, &caller, request.into_inner()).await.map(Response::new)
    }

    async fn blob_status(
        &self,
        request: Request<BlobStatusRequest>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        let caller = self.tenants.caller(&request).await?;
        let blob = blobs::find(&self.context, &caller, request.into_inner()).await?;
        blobs::status_of(&self.context, blob).await.map(Response::new)
    }

    async fn upload_blob(
        &self,
        request: Request<Streaming<BlobChunk>>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        let caller = self.tenants.caller(&request).await?;
        let _slot = Self::slot(&self.uploads, "uploads")?;
        let mut pieces = request.into_inner();
        let first = pieces.message().await?;
        let mut first =
            first.ok_or_else(|| Status::invalid_argument("an upload without pieces"))?;
        let named = first.blob.take();
        let named = named.ok_or_else(|| {
            Status::invalid_argument("the first piece must name the deployment and the blob")
        })?;
        let blob = blobs::find(&self.context, &caller, named).await?;
        blobs::take(&self.context, blob, first, pieces).await.map(Response::new)
    }

    async fn lease_status(
        &self,
        request: Request<LeaseStatusRequest>,
    ) -> Result<Response<LeaseStatusResponse>, Status> {
        let caller = self.tenants.caller(&request).await?;
        let lease = self.lease(request.into_inner().lease, &caller).await?;
        self.lease_status_of(&lease).await.map(Response::new)
    }

    type WatchLeaseStream = Answers<LeaseStatusResponse>;

    async fn watch_lease(
        &self,
        request: Request<LeaseStatusRequest>,
    ) -> Result<Response<Self::WatchLeaseStream>, Status> {
        let caller = self.tenants.caller(&request).await?;
        let slot = Self::slot(&self.streams, "streams")?;
        let lease = self.lease(request.into_inner().lease, &caller).await?;
        let mut changes = self.context.board.changes();
        let mut last = self.lease_status_of(&lease).await?;
        let (out, answers) = mpsc::channel(WAITING);
        let (context, name) = (Arc::clone(&self.context), lease.text());
        tokio::spawn(async move {
            let _slot = slot;
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
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    type LogsStream = Answers<LogLine>;

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let caller = self.tenants.caller(&request).await?;
        let slot = Self::slot(&self.streams, "streams")?;
        let mut request = request.into_inner();
        let lease = self.lease(request.lease.take(), &caller).await?;
        let mut lines = logs::stream(&self.context, lease, request).await?;
        let stream = futures::stream::poll_fn(move |context| {
            let _ = &slot;
            lines.poll_recv(context)
        });
        Ok(Response::new(Box::pin(stream)))
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
