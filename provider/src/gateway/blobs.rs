//! Taking blobs, piece by piece.

use std::sync::Arc;
use std::time::Duration;

use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{BlobChunk, BlobStatusRequest, BlobStatusResponse};
use stoa_manifest::Blob;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::caller::Caller;
use super::leases::{live_leases, own_deployment};
use super::{quota, Context};
use crate::store::{self, BlobError, BlobState, BlobStore, Upload};

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
    let stored = context.manifests.get(&version).map_err(internal)?.ok_or_else(|| {
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
    quota::admit(context, &all, &blob)?;
    Ok(Named { blob, deployment: id.text(), tenant: caller.tenant.clone() })
}

/// How far a blob is. One that came whole just before a restart is verified
/// now.
pub(super) async fn status_of(context: &Context, blob: Blob) -> Result<BlobStatusResponse, Status> {
    let store = Arc::clone(&context.blobs);
    let state = blocking(move || settle(&store, blob)).await?;
    if state.complete {
        context.wake.notify_one();
    }
    Ok(response(&blob, state))
}

fn settle(store: &Arc<BlobStore>, blob: Blob) -> Result<BlobState, BlobError> {
    let state = store.state(&blob)?;
    if state.complete || state.have < blob.bytes {
        return Ok(state);
    }
    match store.begin(blob) {
        Ok(Some(upload)) => upload.finish(),
        Ok(None) => Ok(store.state(&blob)?),
        // Somebody else is at it, or its bytes were wrong and are gone.
        Err(BlobError::Busy(_)) => Ok(state),
        Err(error) => Err(error),
    }
}

/// Takes a stream of pieces. A stream that ends early leaves what came.
pub(super) async fn take(
    context: &Context,
    named: Named,
    first: BlobChunk,
    mut rest: Streaming<BlobChunk>,
) -> Result<BlobStatusResponse, Status> {
    let (store, blob) = (Arc::clone(&context.blobs), named.blob);
    let begun = {
        let store = Arc::clone(&store);
        blocking(move || store.begin(blob)).await?
    };
    let Some(upload) = begun else {
        return Ok(response(&blob, BlobState { have: blob.bytes, complete: true }));
    };
    let (pieces, waiting) = mpsc::channel(WAITING);
    let transfers = Arc::clone(context.board.transfers());
    let writer = tokio::task::spawn_blocking(move || {
        let state = write(upload, waiting, |have, more| {
            transfers.blob(&named.deployment, &blob, have, false);
            transfers.received(&named.deployment, &blob.root.to_hex(), &named.tenant, more);
        })?;
        transfers.blob(&named.deployment, &blob, state.have, state.complete);
        Ok(state)
    });
    let received = receive(first, &mut rest, &pieces).await;
    drop(pieces);
    let written = writer.await.map_err(internal)?;
    let state = written.map_err(refusal)?;
    received?;
    if state.complete {
        tracing::info!(blob = %blob.root.to_hex(), bytes = blob.bytes, "blob complete");
        context.wake.notify_one();
    }
    Ok(response(&blob, state))
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
    pieces: &mpsc::Sender<BlobChunk>,
) -> Result<(), Status> {
    // The first may carry the name alone.
    let mut next = (!first.data.is_empty()).then_some(first);
    loop {
        if let Some(piece) = next.take() {
            if pieces.send(piece).await.is_err() {
                // The writer has refused; it says why.
                return Ok(());
            }
        }
        next = match tokio::time::timeout(SILENCE, rest.message()).await {
            Ok(Ok(Some(piece))) => Some(piece),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(status)) => return Err(status),
            Err(_) => {
                let text = format!("no piece for {} s; go on later", SILENCE.as_secs());
                return Err(Status::deadline_exceeded(text));
            }
        };
    }
}

fn write(
    mut upload: Upload,
    mut pieces: mpsc::Receiver<BlobChunk>,
    told: impl Fn(u64, u64),
) -> Result<BlobState, BlobError> {
    while let Some(piece) = pieces.blocking_recv() {
        upload.push(piece.offset, &piece.data)?;
        told(upload.have(), piece.data.len() as u64);
    }
    upload.finish()
}

fn response(blob: &Blob, state: BlobState) -> BlobStatusResponse {
    BlobStatusResponse {
        blob: blob.root.to_hex().to_string(),
        size: blob.bytes,
        have: state.have,
        complete: state.complete,
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
        BlobError::Offset { .. } | BlobError::TooLong { .. } => Status::out_of_range(text),
        BlobError::Chunk(_) => Status::invalid_argument(text),
        BlobError::Busy(_) => Status::aborted(text),
        BlobError::Mismatch(..) => Status::data_loss(text),
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
