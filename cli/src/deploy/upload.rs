//! Uploading an image: from where the provider has it on, piece by piece.

use std::{
    io::SeekFrom,
    path::Path,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

use futures::stream;
use stoa_client::{gateway::error_of, Error};
use stoa_proto::{
    gateway::v1::{BlobChunk, BlobStatusRequest, BlobStatusResponse},
    types::v1::DeploymentId,
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::gateway::Gateway;

/// Under the gateway's limit of 1 MiB a piece.
const PIECE: usize = 512 * 1024;
/// Rounds in which nothing more arrived before it is given up.
const FRUITLESS: u32 = 3;
const TOLD: std::time::Duration = std::time::Duration::from_millis(250);

/// Uploads what is missing of a blob. `told` gets the bytes sent and the size.
pub async fn blob(
    gateway: &mut Gateway,
    deployment: &DeploymentId,
    missing: &BlobStatusResponse,
    path: &Path,
    told: impl Fn(u64, u64),
) -> Result<(), Error> {
    let request =
        BlobStatusRequest { deployment: Some(deployment.clone()), blob: missing.blob.clone() };
    let mut have = missing.have;
    let mut fruitless = 0;
    while fruitless < FRUITLESS {
        let status = round(gateway, &request, missing.size, have, path, &told).await?;
        if status.complete {
            told(status.size, status.size);
            return Ok(());
        }
        fruitless = if status.have > have { 0 } else { fruitless + 1 };
        have = status.have;
    }
    Err(Error::Invalid(format!(
        "image {} ({}): the provider took {have} bytes of {} and says it is not the image; was \
         the file changed since it was deployed?",
        missing.blob,
        path.display(),
        missing.size
    )))
}

async fn round(
    gateway: &mut Gateway,
    request: &BlobStatusRequest,
    size: u64,
    from: u64,
    path: &Path,
    told: &impl Fn(u64, u64),
) -> Result<BlobStatusResponse, Error> {
    let io = |cause| Error::Io { what: path.display().to_string(), cause };
    let mut file = tokio::fs::File::open(path).await.map_err(io)?;
    let length = file.metadata().await.map_err(io)?.len();
    if length != size {
        return Err(Error::Invalid(format!(
            "{} has {length} bytes and was deployed with {size}; put the old file back, or \
             `stoa update` the deployment",
            path.display()
        )));
    }
    file.seek(SeekFrom::Start(from)).await.map_err(io)?;
    let sent = Arc::new(AtomicU64::new(from));
    let pieces = pieces(file, request.clone(), from, sent.clone());
    let upload = gateway.upload_blob(pieces);
    tokio::pin!(upload);
    loop {
        tokio::select! {
            answer = &mut upload => {
                return answer.map(tonic::Response::into_inner).map_err(|s| error_of(&s));
            }
            () = tokio::time::sleep(TOLD) => told(sent.load(Ordering::Relaxed), size),
        }
    }
}

/// The file from an offset on; the first piece names the blob. A file that
/// cannot be read on ends the stream: the provider then says how far it is.
fn pieces(
    file: tokio::fs::File,
    request: BlobStatusRequest,
    from: u64,
    sent: Arc<AtomicU64>,
) -> impl stream::Stream<Item = BlobChunk> + Send + 'static {
    stream::unfold((file, Some(request), from), move |(mut file, first, offset)| {
        let sent = sent.clone();
        async move {
            let mut data = vec![0; PIECE];
            let n = file.read(&mut data).await.ok()?;
            data.truncate(n);
            // Even an empty rest is said once, so that a whole blob is checked.
            if n == 0 && first.is_none() {
                return None;
            }
            let next = offset + n as u64;
            sent.store(next, Ordering::Relaxed);
            let piece = BlobChunk { blob: first, offset, data };
            Some((piece, (file, None, next)))
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn pieces_go_on_from_an_offset_and_name_the_blob_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.tar");
        let content: Vec<u8> = (0..PIECE + 1000).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        for from in [0, 700, content.len()] {
            let mut file = tokio::fs::File::open(&path).await.unwrap();
            file.seek(SeekFrom::Start(from as u64)).await.unwrap();
            let sent = Arc::new(AtomicU64::new(0));
            let request = BlobStatusRequest { blob: "b".into(), ..Default::default() };
            let all: Vec<BlobChunk> =
                pieces(file, request, from as u64, sent.clone()).collect().await;
            assert_eq!(all.iter().filter(|c| c.blob.is_some()).count(), 1);
            let mut offset = from as u64;
            let mut joined = vec![];
            for chunk in &all {
                assert_eq!(chunk.offset, offset);
                assert!(chunk.data.len() <= PIECE);
                offset += chunk.data.len() as u64;
                joined.extend_from_slice(&chunk.data);
            }
            assert_eq!(joined, content[from..]);
            assert_eq!(sent.load(Ordering::Relaxed), content.len() as u64);
        }
    }
}
