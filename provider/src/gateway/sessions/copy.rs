//! Files into and out of instances.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::StreamExt;
use stoa_client::proto::gateway::v1::EventKind;
use tonic::Status;

use super::super::logs::engine_error;
use super::super::Context;
use super::tar_check::TarCheck;
use crate::runtime::{InstanceKey, MAX_PATH};

/// Bytes of one message of a tar stream.
pub(in super::super) const MAX_COPY_PIECE: usize = 1 << 20;

/// A file or directory of an instance as a tar stream. A path that is not
/// there is an error at once, not in the stream.
pub(in super::super) async fn copy_out(
    context: &Context,
    key: &InstanceKey,
    path: &str,
) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
    check_path(path)?;
    let mut pieces = context.backend.read_files(key, path);
    let first = match pieces.next().await {
        Some(first) => first.map_err(engine_error)?,
        None => return Err(Status::not_found(format!("there is no {path}"))),
    };
    let rest = pieces.map(|piece| piece.map_err(engine_error));
    Ok(futures::stream::once(async { Ok(first) }).chain(rest).boxed())
}

/// Unpacks a tar stream into a directory of an instance; how many bytes it
/// had. Devices, sparse files and packed streams are refused.
pub(in super::super) async fn copy_in(
    context: &Context,
    key: &InstanceKey,
    path: &str,
    tar: BoxStream<'static, Result<Bytes, Status>>,
) -> Result<u64, Status> {
    check_path(path)?;
    let refusal: Arc<Mutex<Option<Status>>> = Arc::default();
    let taken = Arc::new(AtomicU64::new(0));
    let checked = {
        let (refusal, taken) = (Arc::clone(&refusal), Arc::clone(&taken));
        let mut check = TarCheck::default();
        tar.map(move |piece| {
            let checked = piece.and_then(|piece| match check.push(&piece) {
                Ok(()) => Ok(piece),
                Err(why) => Err(Status::invalid_argument(format!("the tar stream: {why}"))),
            });
            match checked {
                Ok(piece) => {
                    taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    Ok(piece)
                }
                Err(status) => {
                    let text = status.message().to_string();
                    *refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                    Err(std::io::Error::other(text))
                }
            }
        })
    };
    let done = context.backend.write_files(key, path, checked.boxed()).await;
    if let Some(status) = refusal.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(status);
    }
    done.map_err(engine_error)?;
    let bytes = taken.load(Ordering::Relaxed);
    let words = format!("files were copied to {path} ({bytes} bytes)");
    context.board.events().note_instance(key, EventKind::Tenant, &words);
    Ok(bytes)
}

fn check_path(path: &str) -> Result<(), Status> {
    if !path.starts_with('/') || path.len() > MAX_PATH || path.contains('\0') {
        return Err(Status::invalid_argument(format!(
            "a path in an instance begins with / and has at most {MAX_PATH} bytes"
        )));
    }
    Ok(())
}
