//! Uploading an image: its hashes, then the pieces that the provider lacks. It
//! verifies each when it comes, and passes it on to other providers at once.

use std::{
    fs::File,
    io::BufReader,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use stoa_client::{gateway::error_of, Error};
use stoa_proto::{
    gateway::v1::{BlobStatusRequest, BlobStatusResponse},
    types::v1::DeploymentId,
};
use stoa_swarm::{bits::Bits, verify, Hash, Shape};

use crate::gateway::Gateway;

mod chunks;
#[cfg(test)]
mod tests;

/// Rounds in which nothing more arrived before it is given up.
const FRUITLESS: u32 = 3;
/// Between signs of progress.
const TOLD: Duration = Duration::from_millis(250);
/// Between questions what has arrived, also from other providers.
const LOOK: Duration = Duration::from_secs(2);
/// A provider that takes nothing for so long is given up for now.
const STALLED: Duration = Duration::from_secs(60);
/// Read at a time to hash a file.
const READ: usize = 1 << 20;

/// How far an upload is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// At the provider, as it said last.
    pub there: u64,
    /// At the provider or on the way.
    pub sent: u64,
}

/// Uploads what is missing of a blob of `size` bytes, by its root in hex.
///
/// # Errors
/// Where the file is not the blob any more, or the provider does not take it.
pub async fn blob(
    gateway: &Gateway,
    deployment: &DeploymentId,
    blob: &str,
    size: u64,
    path: &Path,
    told: impl Fn(Progress),
) -> Result<(), Error> {
    let mut gateway = gateway.clone();
    let image = Image::open(blob, size, path)?;
    let request = BlobStatusRequest { deployment: Some(deployment.clone()), blob: blob.to_owned() };
    let status = gateway.blob_status(request.clone()).await.map_err(|s| error_of(&s))?;
    let mut status = status.into_inner();
    let mut hashes = None;
    let mut fruitless = 0;
    while !status.complete && fruitless < FRUITLESS {
        if !status.has_hashes && hashes.is_none() {
            hashes = Some(image.hashes().await?);
        }
        let before = status.have;
        let hashes = hashes.as_ref().filter(|_| !status.has_hashes);
        status = image.round(&mut gateway, &request, &status, hashes, &told).await?;
        fruitless = if status.have > before { 0 } else { fruitless + 1 };
    }
    if status.complete {
        told(Progress { there: size, sent: size });
        return Ok(());
    }
    Err(Error::Timeout(format!(
        "image {blob} ({}): the provider has {} of {size} bytes and takes no more",
        path.display(),
        status.have
    )))
}

/// A file that is to be the blob.
struct Image<'a> {
    root: Hash,
    shape: Shape,
    path: &'a Path,
}

impl<'a> Image<'a> {
    fn open(blob: &str, size: u64, path: &'a Path) -> Result<Self, Error> {
        let io = |cause| Error::Io { what: path.display().to_string(), cause };
        let length = std::fs::metadata(path).map_err(io)?.len();
        if length != size {
            return Err(Error::Invalid(format!(
                "{} has {length} bytes and was deployed with {size}; put the old file back, or \
                 `stoa update` the deployment",
                path.display()
            )));
        }
        let bad = |what: &str| Error::BadAnswer(format!("the provider asks for image {what}"));
        let root = Hash::from_hex(blob).map_err(|_| bad(blob))?;
        let shape = Shape::new(size).ok_or_else(|| bad(&format!("{blob} of {size} bytes")))?;
        Ok(Self { root, shape, path })
    }

    /// The hashes above its groups, in a file without a name. Tells where the
    /// file is another one by now.
    async fn hashes(&self) -> Result<File, Error> {
        let io = |path: &Path| {
            let what = path.display().to_string();
            move |cause| Error::Io { what, cause }
        };
        let (root, shape, path) = (self.root, self.shape, self.path.to_owned());
        let hashing = tokio::task::spawn_blocking(move || {
            let hashes = tempfile::tempfile().map_err(io(&std::env::temp_dir()))?;
            let into = hashes.try_clone().map_err(io(&std::env::temp_dir()))?;
            let content = File::open(&path).map_err(io(&path))?;
            let content = BufReader::with_capacity(READ, content);
            let found = verify::outboard(shape, content, into).map_err(io(&path))?;
            match found == root {
                true => Ok(hashes),
                false => Err(Error::Invalid(format!(
                    "{} is not the image that was deployed: its BLAKE3 hash is {}, and was {}; put \
                     the old file back, or `stoa update` the deployment",
                    path.display(),
                    found.to_hex(),
                    root.to_hex()
                ))),
            }
        });
        hashing.await.unwrap_or_else(|panic| {
            Err(Error::Io { what: "hashing".into(), cause: std::io::Error::other(panic) })
        })
    }

    /// One call: what `status` says is missing. The provider's last word.
    async fn round(
        &self,
        gateway: &mut Gateway,
        request: &BlobStatusRequest,
        status: &BlobStatusResponse,
        hashes: Option<&File>,
        told: &impl Fn(Progress),
    ) -> Result<BlobStatusResponse, Error> {
        let shared = Arc::new(Shared::new(self.shape, status));
        let chunks =
            chunks::of(self.path, hashes, request.clone(), self.shape, Arc::clone(&shared))
                .map_err(|cause| Error::Io { what: self.path.display().to_string(), cause })?;
        let mut asking = gateway.clone();
        let answer = tokio::select! {
            answer = gateway.upload_blob(chunks) => answer,
            stalled = follow(&mut asking, request, &shared, told) => return Err(stalled),
        };
        let failure = shared.state().failure.take();
        match failure {
            Some(cause) => Err(Error::Io { what: self.path.display().to_string(), cause }),
            None => answer.map(tonic::Response::into_inner).map_err(|status| error_of(&status)),
        }
    }
}

/// Tells how far it is, and learns what the provider has meanwhile, also from
/// others: that is not sent. Ends where nothing moves.
async fn follow(
    gateway: &mut Gateway,
    request: &BlobStatusRequest,
    shared: &Shared,
    told: &impl Fn(Progress),
) -> Error {
    let (mut asked, mut moved) = (Instant::now(), Instant::now());
    let mut last = shared.moves();
    loop {
        told(shared.progress());
        tokio::time::sleep(TOLD).await;
        if asked.elapsed() >= LOOK {
            let status = tokio::time::timeout(STALLED, gateway.blob_status(request.clone())).await;
            // Where that fails, the upload tells why.
            if let Ok(Ok(status)) = status {
                shared.learn(status.get_ref());
            }
            asked = Instant::now();
        }
        let now = shared.moves();
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        if moved.elapsed() >= STALLED {
            let text = format!("the provider took nothing for {} s", STALLED.as_secs());
            return Error::Timeout(text);
        }
    }
}

/// What the two sides of a round know.
#[derive(Debug)]
struct Shared {
    shape: Shape,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Pieces that are at the provider, or on the way.
    done: Bits,
    /// Bytes of those.
    sent: u64,
    /// Bytes that are at the provider.
    there: u64,
    /// Bytes that were handed on, with hashes.
    handed: u64,
    /// Why the file could not be read on.
    failure: Option<std::io::Error>,
}

impl Shared {
    fn new(shape: Shape, status: &BlobStatusResponse) -> Self {
        let done = Bits::none(shape.pieces());
        let state = State { done, sent: 0, there: 0, handed: 0, failure: None };
        let shared = Self { shape, state: Mutex::new(state) };
        shared.learn(status);
        shared
    }

    /// What the provider says that it has.
    fn learn(&self, status: &BlobStatusResponse) {
        let pieces = self.shape.pieces();
        let here = match status.complete {
            true => Some(Bits::all(pieces)),
            false => Bits::from_bytes(pieces, &status.pieces),
        };
        let mut state = self.state();
        state.there = status.have.max(state.there);
        here.iter().flat_map(|here| here.iter()).for_each(|piece| state.note(self.shape, piece));
    }

    /// The next pieces to send, at most so many in a row, from one on; the
    /// first of them and how many.
    fn next(&self, from: u32, most: u32) -> Option<(u32, u32)> {
        let mut state = self.state();
        let first = (from..self.shape.pieces()).find(|piece| !state.done.get(*piece))?;
        let row = (first..self.shape.pieces()).take(most as usize);
        let row: Vec<u32> = row.take_while(|piece| !state.done.get(*piece)).collect();
        row.iter().for_each(|piece| state.note(self.shape, *piece));
        Some((first, u32::try_from(row.len()).unwrap_or(most)))
    }

    fn note_handed(&self, bytes: usize) {
        let mut state = self.state();
        state.handed = state.handed.saturating_add(bytes as u64);
    }

    /// There is nothing more to send.
    fn note_failure<T>(&self, error: std::io::Error) -> Option<T> {
        self.state().failure = Some(error);
        None
    }

    fn progress(&self) -> Progress {
        let state = self.state();
        Progress { there: state.there, sent: state.sent }
    }

    /// Changes while anything goes on.
    fn moves(&self) -> (u64, u64) {
        let state = self.state();
        (state.there, state.handed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, shape: Shape, piece: u32) {
        if self.done.set(piece) {
            self.sent = self.sent.saturating_add(shape.piece_bytes(piece).unwrap_or(0));
        }
    }
}
