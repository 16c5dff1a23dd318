//! Taking blobs from tenants, piece by piece, and telling peers at once.

use std::sync::Arc;
use std::time::Duration;

use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{BlobChunk, BlobStatusRequest, BlobStatusResponse};
use stoa_manifest::Blob;
use stoa_swarm::Swarm;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::caller::Caller;
use super::leases::{live_leases, own_deployment};
use super::{quota, Context};
use crate::store::{self, BlobError, BlobState, Upload};
use crate::transfers::Transfers;

/// A client that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// Pieces that wait for the disk.
const WAITING: usize = 4;

/// A blob of the caller's deployment.
pub(super) struct Named {
    pub blob: Blob,
    /// As text.
    pub deployment: String,
    /// Who sends it.
    pub tenant: String,
}

/// The blob that a request names, where the caller's manifest has it: in any
/// group, for blobs of groups elsewhere are passed on to their providers.
pub(super) async fn find(
    context: &Context,
    caller: &Caller,
    request: BlobStatusRequest,
) -> Result<Named, Status> {
    let id = own_deployment(request.deployment, caller)?;
    let (deployment, leases) = live_leases(context, &id).await?;
    let version = hex::encode(&deployment.version);
    let stored =
        context.manifests.get(&id.text(), &version).map_err(internal)?.ok_or_else(|| {
            Status::failed_precondition(format!(
                "send the manifest of deployment {} (version {version}) before its blobs",
                id.text()
            ))
        })?;
    let all = quota::ordered(&stored.manifest, &leases);
    let found = all.iter().find(|blob| blob.root.to_hex().as_str() == request.blob);
    let blob = *found.ok_or_else(|| {
        Status::not_found(format!(
            "blob {} is not in the manifest of deployment {}",
            request.blob.chars().take(64).collect::<String>(),
            id.text()
        ))
    })?;
    quota::admit(context, &id.text(), &all, &blob)?;
    Ok(Named { blob, deployment: id.text(), tenant: caller.tenant.clone() })
}

/// How far a blob is, without which pieces. One that came whole just before a
/// restart gets its name now.
pub(super) async fn status_of(context: &Context, blob: Blob) -> Result<BlobStatusResponse, Status> {
    let store = Arc::clone(&context.blobs);
    let state = blocking(move || store.settle(&blob)).await?;
    if state.complete {
        context.wake.notify_one();
    }
    Ok(BlobStatusResponse {
        blob: blob.root.to_hex().to_string(),
        size: blob.bytes,
        have: state.have,
        complete: state.complete,
        ..BlobStatusResponse::default()
    })
}

/// The same with what is missing.
pub(super) async fn whole_status_of(
    context: &Context,
    blob: Blob,
) -> Result<BlobStatusResponse, Status> {
    let status = status_of(context, blob).await?;
    if status.complete {
        return Ok(status);
    }
    let store = Arc::clone(&context.blobs);
    let (pieces, has_hashes) = blocking(move || Ok(store.pieces(&blob)?)).await?;
    Ok(BlobStatusResponse { pieces: pieces.to_bytes(), has_hashes, ..status })
}

/// Takes a stream of hashes and pieces. A stream that ends early leaves what
/// came.
pub(super) async fn take(
    context: &Context,
    named: Named,
    first: BlobChunk,
    mut rest: Streaming<BlobChunk>,
) -> Result<BlobStatusResponse, Status> {
    let (store, blob) = (Arc::clone(&context.blobs), named.blob);
    let deployment = named.deployment.clone();
    let begun = blocking(move || store.begin(&blob, &deployment)).await?;
    let Some(upload) = begun else { return status_of(context, blob).await };
    let (chunks, waiting) = mpsc::channel(WAITING);
    let taker = Taker {
        upload,
        named,
        transfers: Arc::clone(context.board.transfers()),
        swarm: context.swarm.clone(),
    };
    let taking = tokio::task::spawn_blocking(move || taker.run(waiting));
    let received = receive(first, &mut rest, &chunks).await;
    drop(chunks);
    let taken = taking.await.map_err(internal)?;
    let state = taken.map_err(refusal)?;
    received?;
    if state.complete {
        tracing::info!(blob = %blob.root.to_hex(), bytes = blob.bytes, "blob complete");
    }
    whole_status_of(context, blob).await
}

/// Keeps what comes, and tells of it.
struct Taker {
    upload: Upload,
    named: Named,
    transfers: Arc<Transfers>,
    /// Peers are told of each piece.
    swarm: Swarm,
}

impl Taker {
    fn run(mut self, mut chunks: mpsc::Receiver<BlobChunk>) -> Result<BlobState, BlobError> {
        self.tell(0);
        while let Some(chunk) = chunks.blocking_recv() {
            if !chunk.hashes.is_empty() {
                self.upload.hashes(chunk.offset, &chunk.hashes)?;
                continue;
            }
            let before = self.upload.holding().bytes();
            let pushed = self.upload.push(chunk.offset, &chunk.data);
            // What was right before a wrong piece is here all the same.
            let more = self.upload.holding().bytes().saturating_sub(before);
            self.tell(*pushed.as_ref().unwrap_or(&more));
            pushed?;
            if self.upload.is_complete() {
                break;
            }
        }
        let Self { upload, named, transfers, swarm } = self;
        let holding = Arc::clone(upload.holding());
        let state = upload.finish()?;
        transfers.blob(&named.deployment, &named.blob, state.have, state.complete);
        swarm.offer(&named.deployment, &holding);
        Ok(state)
    }

    /// So many bytes are new.
    fn tell(&self, new: u64) {
        let Named { blob, deployment, tenant } = &self.named;
        let holding = self.upload.holding();
        self.transfers.blob(deployment, blob, holding.bytes(), false);
        if new > 0 {
            self.transfers.received(deployment, &blob.root.to_hex(), tenant, new);
        }
        self.swarm.offer(deployment, holding);
    }
}

/// A client's stream that ends with an error where nothing comes for a while.
pub(super) fn without_silence<T: Send + 'static>(
    stream: Streaming<T>,
) -> impl futures::Stream<Item = Result<T, Status>> + Send + 'static {
    futures::stream::unfold(Some(stream), |stream| async {
        let mut stream = stream?;
        match tokio::time::timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(message))) => Some((Ok(message), Some(stream))),
            Ok(Ok(None)) => None,
            Ok(Err(status)) => Some((Err(status), None)),
            Err(_) => {
                let text = format!("nothing came for {} s", SILENCE.as_secs());
                Some((Err(Status::deadline_exceeded(text)), None))
            }
        }
    })
}

async fn receive(
    first: BlobChunk,
    rest: &mut Streaming<BlobChunk>,
    chunks: &mpsc::Sender<BlobChunk>,
) -> Result<(), Status> {
    // The first may carry the name alone.
    let mut next = (!first.data.is_empty() || !first.hashes.is_empty()).then_some(first);
    loop {
        if let Some(chunk) = next.take() {
            if !chunk.data.is_empty() && !chunk.hashes.is_empty() {
                let text = "hashes and data in one message; send them in two";
                return Err(Status::invalid_argument(text));
            }
            if chunks.send(chunk).await.is_err() {
                // The taker has refused, and says why, or has it all.
                return Ok(());
            }
        }
        next = match tokio::time::timeout(SILENCE, rest.message()).await {
            Ok(Ok(Some(chunk))) => Some(chunk),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(status)) => return Err(status),
            Err(_) => {
                let text = format!("no piece for {} s; go on later", SILENCE.as_secs());
                return Err(Status::deadline_exceeded(text));
            }
        };
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(internal)?.map_err(refusal)
}

fn refusal(error: BlobError) -> Status {
    let text = error.to_string();
    match error {
        BlobError::Pieces { .. } | BlobError::TooLong { .. } | BlobError::HashesOffset { .. } => {
            Status::out_of_range(text)
        }
        BlobError::Chunk(_) => Status::invalid_argument(text),
        BlobError::NoHashes => Status::failed_precondition(text),
        BlobError::Wrong { .. } | BlobError::WrongHashes { .. } => Status::data_loss(text),
        BlobError::Quota(_) => Status::resource_exhausted(text),
        BlobError::Io(ref error) if store::is_full(error) => {
            tracing::error!("the data directory's disk is full: {text}");
            Status::resource_exhausted("the provider's disk is full; what came is kept: try later")
        }
        BlobError::Io(_) => internal(text),
    }
}

fn internal(error: impl std::fmt::Display) -> Status {
    tracing::error!("gateway: {error}");
    Status::internal("the provider failed; its log says why")
}
