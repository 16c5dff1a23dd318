//! The calls of an agent: each is one of the runtime's, on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::StreamExt;
use serde::Serialize;
use stoa_client::proto::agent::v1::agent_server::Agent;
use stoa_client::proto::agent::v1::{
    CollectRequest, CollectResponse, Data, DialPiece, Document, ExecInput, ExecOutput, Files,
    FilesPiece, GreetRequest, GreetResponse, Image, ImageHead, ImagePiece, Instance, Lease,
    LogPiece, LogsRequest, Nothing, PullRequest,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tonic::{Request, Response, Status, Streaming};

use super::inside;
use super::links::Links;
use super::settings::{AgentDir, Settings};
use crate::fleet::wire::{self, RemoteCheck, Seen};
use crate::runtime::{
    Backend, DockerBackend, ImageBlob, LogRequest, RegistryCredentials, RuntimeError, WorkloadSpec,
};

/// Where tarballs lie until they are loaded.
const ARRIVING: &str = "arriving";

type Answer<T> = Result<Response<T>, Status>;

pub(super) struct AgentService {
    backend: Arc<DockerBackend>,
    settings: Settings,
    arriving: PathBuf,
    /// Something was changed: the relay's table may be old.
    changed: Arc<Notify>,
    links: Arc<Links>,
}

impl AgentService {
    pub(super) fn new(
        backend: Arc<DockerBackend>,
        settings: Settings,
        dir: AgentDir,
        changed: Arc<Notify>,
        links: Arc<Links>,
    ) -> std::io::Result<Self> {
        let arriving = dir.path(ARRIVING);
        // What a killed agent left half.
        let _ = std::fs::remove_dir_all(&arriving);
        std::fs::create_dir_all(&arriving)?;
        Ok(Self { backend, settings, arriving, changed, links })
    }

    fn done(&self, result: Result<(), RuntimeError>) -> Answer<Nothing> {
        self.changed.notify_one();
        result.map_err(|error| wire::status_of(&error))?;
        Ok(Response::new(Nothing {}))
    }

    /// Writes an arriving tarball, no longer than it says that it is.
    async fn receive(
        &self,
        head: &ImageHead,
        pieces: &mut Streaming<ImagePiece>,
    ) -> Result<tempfile::TempPath, Status> {
        let failed = |error: std::io::Error| Status::internal(format!("taking an image: {error}"));
        let file = tempfile::NamedTempFile::new_in(&self.arriving).map_err(failed)?;
        let (file, path) = file.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut left = head.bytes;
        while let Some(piece) = pieces.message().await? {
            left = left
                .checked_sub(piece.data.len() as u64)
                .ok_or_else(|| Status::invalid_argument("the image is longer than was said"))?;
            file.write_all(&piece.data).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        match left {
            0 => Ok(path),
            left => Err(Status::aborted(format!("{left} bytes of the image did not arrive"))),
        }
    }
}

fn answer<T: Serialize>(result: Result<T, RuntimeError>) -> Answer<Document> {
    let value = result.map_err(|error| wire::status_of(&error))?;
    Ok(Response::new(wire::document(&value)?))
}

#[tonic::async_trait]
impl Agent for AgentService {
    async fn greet(&self, _request: Request<GreetRequest>) -> Answer<GreetResponse> {
        Ok(Response::new(GreetResponse {
            name: self.settings.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: wire::PROTOCOL,
            provider: self.settings.provider.clone(),
        }))
    }

    async fn inventory(&self, _request: Request<Nothing>) -> Answer<Document> {
        answer(self.backend.inventory().await)
    }

    async fn checks(&self, _request: Request<Nothing>) -> Answer<Document> {
        let checks = self.backend.checks().await;
        answer(checks.map(|all| all.into_iter().map(RemoteCheck::new).collect::<Vec<_>>()))
    }

    async fn observe(&self, _request: Request<Nothing>) -> Answer<Document> {
        answer(self.backend.observe().await.map(Seen::from))
    }

    async fn observe_instance(&self, request: Request<Instance>) -> Answer<Document> {
        answer(self.backend.observe_instance(&wire::key(request.into_inner())).await)
    }

    async fn stats(&self, request: Request<Instance>) -> Answer<Document> {
        answer(self.backend.stats(&wire::key(request.into_inner())).await)
    }

    async fn storage(&self, _request: Request<Nothing>) -> Answer<Document> {
        answer(self.backend.storage().await)
    }

    async fn apply(&self, request: Request<Document>) -> Answer<Document> {
        let spec: WorkloadSpec =
            wire::read(request.get_ref()).map_err(|error| wire::status_of(&error))?;
        let backend = Arc::clone(&self.backend);
        // A daemon that gives up waiting does not stop half-way what it began.
        let applying = tokio::spawn(async move { backend.apply(&spec).await });
        let applied = applying.await.map_err(|error| Status::internal(error.to_string()))?;
        self.changed.notify_one();
        answer(applied)
    }

    async fn stop(&self, request: Request<Instance>) -> Answer<Nothing> {
        let key = wire::key(request.into_inner());
        self.done(self.backend.stop(&key).await)
    }

    async fn restart(&self, request: Request<Instance>) -> Answer<Nothing> {
        let key = wire::key(request.into_inner());
        self.done(self.backend.restart(&key).await)
    }

    async fn remove_instance(&self, request: Request<Instance>) -> Answer<Nothing> {
        let key = wire::key(request.into_inner());
        self.done(self.backend.remove_instance(&key).await)
    }

    async fn remove_lease(&self, request: Request<Lease>) -> Answer<Nothing> {
        self.done(self.backend.remove_lease(&request.get_ref().lease).await)
    }

    type LogsStream = BoxStream<'static, Result<LogPiece, Status>>;

    async fn logs(&self, request: Request<LogsRequest>) -> Answer<Self::LogsStream> {
        let request = request.into_inner();
        let key = wire::key(request.instance.unwrap_or_default());
        let wanted =
            LogRequest { follow: request.follow, tail: request.tail, since: request.since };
        let pieces = self.backend.logs(&key, wanted).map(|piece| match piece {
            Ok(piece) => Ok(LogPiece { stderr: piece.stderr, data: piece.bytes.to_vec() }),
            Err(error) => Err(wire::status_of(&error)),
        });
        Ok(Response::new(pieces.boxed()))
    }

    type EventsStream = BoxStream<'static, Result<Document, Status>>;

    async fn events(&self, _request: Request<Nothing>) -> Answer<Self::EventsStream> {
        let events = self.backend.events().map(|event| match event {
            Ok(event) => wire::document(&event),
            Err(error) => Err(wire::status_of(&error)),
        });
        Ok(Response::new(events.boxed()))
    }

    type ExecStream = inside::Stream<ExecOutput>;

    async fn exec(&self, request: Request<Streaming<ExecInput>>) -> Answer<Self::ExecStream> {
        inside::exec(&self.backend, request.into_inner()).await
    }

    type ReadFilesStream = inside::Stream<Data>;

    async fn read_files(&self, request: Request<Files>) -> Answer<Self::ReadFilesStream> {
        Ok(inside::read_files(&self.backend, request.into_inner()))
    }

    async fn write_files(&self, request: Request<Streaming<FilesPiece>>) -> Answer<Nothing> {
        inside::write_files(&self.backend, request.into_inner()).await?;
        Ok(Response::new(Nothing {}))
    }

    type DialStream = inside::Stream<Data>;

    async fn dial(&self, request: Request<Streaming<DialPiece>>) -> Answer<Self::DialStream> {
        inside::dial(&self.backend, request.into_inner()).await
    }

    async fn find_image(&self, request: Request<Image>) -> Answer<Document> {
        answer(self.backend.find_image(&request.get_ref().id).await)
    }

    async fn load_image(&self, request: Request<Streaming<ImagePiece>>) -> Answer<Document> {
        let mut pieces = request.into_inner();
        let first = pieces.message().await?.and_then(|piece| piece.head);
        let head = first.ok_or_else(|| Status::invalid_argument("the image's head is missing"))?;
        let known = match head.data {
            true => self.backend.find_data(&head.blake3).await,
            false => self.backend.find_blob_image(&head.blake3).await,
        };
        if let Some(image) = known.map_err(|error| wire::status_of(&error))? {
            return answer(Ok(image));
        }
        let path = self.receive(&head, &mut pieces).await?;
        let blob = ImageBlob { path: &path, blake3_hex: &head.blake3, bytes: head.bytes };
        answer(match head.data {
            true => self.backend.load_data(blob).await,
            false => self.backend.load_blob_image(blob).await,
        })
    }

    async fn pull_image(&self, request: Request<PullRequest>) -> Answer<Document> {
        let request = request.into_inner();
        let credentials = request.account.map(|account| RegistryCredentials {
            host: account.host,
            username: account.username,
            password: account.password,
        });
        answer(self.backend.pull_image(&request.reference, credentials.as_ref()).await)
    }

    async fn collect_images(&self, request: Request<CollectRequest>) -> Answer<CollectResponse> {
        let keep = request.into_inner().keep;
        let removed = self.backend.collect_images(keep.iter().map(String::as_str)).await;
        let removed = removed.map_err(|error| wire::status_of(&error))?;
        Ok(Response::new(CollectResponse { removed: removed as u64 }))
    }

    async fn set_overlay(&self, request: Request<Document>) -> Answer<Nothing> {
        // The reader's own words might quote a key.
        let table = serde_json::from_slice(&request.get_ref().json)
            .map_err(|_| Status::invalid_argument("the overlay's table cannot be read"))?;
        self.links.set(table).map_err(Status::failed_precondition)?;
        Ok(Response::new(Nothing {}))
    }

    async fn overlay_status(&self, _request: Request<Nothing>) -> Answer<Document> {
        answer(Ok(self.links.said().await))
    }
}
