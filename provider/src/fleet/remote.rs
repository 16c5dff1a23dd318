//! Another machine's engine, through its agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use stoa_client::proto::agent::v1::agent_client::AgentClient;
use stoa_client::proto::agent::v1::{
    CollectRequest, Document, GreetRequest, GreetResponse, Image, ImageHead, ImagePiece, Lease,
    LogsRequest, Nothing, PullRequest, RegistryAccount,
};
use stoa_manifest::Blob;
use stoa_tunnel::hop::{check_pin, client_config, Material};
use stoa_tunnel::overlay::OverlayTable;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status, Streaming};

use super::host::HostEngine;
use super::inside;
use super::planes::OverlaySaid;
use super::wire::{self, RemoteCheck, Seen};
use crate::hosts::{host_certificate_name, HostEntry};
use crate::reconcile::ImageEngine;
use crate::runtime::{
    Applied, Backend, Check, Connection, Deadlines, EngineEvent, ExecRequest, ExecSession,
    InstanceKey, InstanceStats, Inventory, LoadedImage, LogPiece, LogRequest, Observation,
    ObservedInstance, RegistryCredentials, RuntimeError, StorageUse, WorkloadSpec,
};

const CONNECT: Duration = Duration::from_secs(5);
const GREET: Duration = Duration::from_secs(3);
/// What the way takes, beyond the agent's own deadlines.
const MARGIN: Duration = Duration::from_secs(10);
/// Several engine calls make one of these.
const CALLS: u32 = 8;
/// Pieces of an image under way at a time.
const PIECES_WAITING: usize = 4;

/// An agent, as this daemon uses it.
pub struct RemoteBackend {
    host: String,
    provider: String,
    client: AgentClient<Channel>,
    deadlines: Deadlines,
}

impl RemoteBackend {
    /// Connects when it is first used, and again whenever that broke.
    /// `identity` and `authority` are the daemon's files, PEM.
    pub fn new(
        host: &str,
        provider: &str,
        entry: &HostEntry,
        identity: &Path,
        authority: &Path,
    ) -> anyhow::Result<Self> {
        let material = Material::load(identity, authority)?;
        let tls = TlsConnector::from(client_config(&material, &[b"h2"])?);
        let name = ServerName::try_from(host_certificate_name(host))?;
        let (address, pin) = (entry.address, Arc::<str>::from(entry.fingerprint.as_str()));
        let connector = tower::service_fn(move |_: Uri| {
            let (tls, name, pin) = (tls.clone(), name.clone(), Arc::clone(&pin));
            async move {
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                let stream = tls.connect(name, socket).await?;
                check_pin(stream.get_ref().1.peer_certificates(), &pin)
                    .map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        // The scheme only keeps tonic from adding TLS of its own.
        let channel = Endpoint::from_static("http://agent")
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5))
            .connect_with_connector_lazy(connector);
        let client = AgentClient::new(channel)
            .max_decoding_message_size(wire::MAX_MESSAGE)
            .max_encoding_message_size(wire::MAX_MESSAGE);
        let deadlines = Deadlines::default();
        Ok(Self { host: host.into(), provider: provider.into(), client, deadlines })
    }

    /// Waits for an answer, at most until the deadline.
    async fn ask<T>(
        &self,
        deadline: Duration,
        call: impl std::future::Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, RuntimeError> {
        match tokio::time::timeout(deadline, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(wire::error_of(&status, &self.host)),
            Err(_) => Err(RuntimeError::Unknown {
                during: format!("asking the machine {}", self.host),
                cause: format!("no answer within {} s", deadline.as_secs()),
            }),
        }
    }

    async fn ask_document<T: DeserializeOwned>(
        &self,
        deadline: Duration,
        call: impl std::future::Future<Output = Result<Response<Document>, Status>>,
    ) -> Result<T, RuntimeError> {
        wire::read(&self.ask(deadline, call).await?)
    }

    /// Has the agent make an image of a tarball, or of an archive for volumes.
    async fn send(
        &self,
        path: PathBuf,
        blob: Blob,
        data: bool,
    ) -> Result<LoadedImage, RuntimeError> {
        let mut client = self.client.clone();
        let call = client.load_image(Request::new(pieces(path, blob, data)));
        self.ask_document(self.deadlines.image + MARGIN, call).await
    }

    fn query(&self) -> Duration {
        self.deadlines.query + MARGIN
    }

    fn change(&self) -> Duration {
        self.deadlines.change * CALLS + MARGIN
    }

    fn document<T: serde::Serialize>(&self, value: &T) -> Result<Document, RuntimeError> {
        wire::document(value).map_err(|status| wire::error_of(&status, &self.host))
    }
}

#[async_trait]
impl HostEngine for RemoteBackend {
    async fn greet(&self) -> Result<(), RuntimeError> {
        let mut client = self.client.clone();
        let answer: GreetResponse = self.ask(GREET, client.greet(GreetRequest {})).await?;
        let unfit = |cause: String| RuntimeError::Unknown {
            during: format!("greeting the machine {}", self.host),
            cause,
        };
        if answer.protocol != wire::PROTOCOL {
            return Err(unfit(format!(
                "its agent {} speaks protocol {}, this daemon {}; bring both up to date",
                answer.version,
                answer.protocol,
                wire::PROTOCOL
            )));
        }
        match answer.provider == self.provider {
            true => Ok(()),
            false => Err(unfit(format!("its agent serves the provider {}", answer.provider))),
        }
    }

    async fn set_overlay(&self, table: &OverlayTable) -> Result<(), RuntimeError> {
        let (mut client, table) = (self.client.clone(), self.document(table)?);
        self.ask(self.query(), client.set_overlay(table)).await.map(drop)
    }

    async fn overlay_said(&self) -> Result<OverlaySaid, RuntimeError> {
        let mut client = self.client.clone();
        self.ask_document(self.query(), client.overlay_status(Nothing {})).await
    }
}

#[async_trait]
impl Backend for RemoteBackend {
    async fn inventory(&self) -> Result<Inventory, RuntimeError> {
        let mut client = self.client.clone();
        self.ask_document(self.query(), client.inventory(Nothing {})).await
    }

    async fn apply(&self, spec: &WorkloadSpec) -> Result<Applied, RuntimeError> {
        // Volumes may have to be filled for it.
        let filling = if spec.has_data() { self.deadlines.image } else { Duration::ZERO };
        let (mut client, spec) = (self.client.clone(), self.document(spec)?);
        self.ask_document(self.change() + filling, client.apply(spec)).await
    }

    async fn stop(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        let mut client = self.client.clone();
        self.ask(self.change(), client.stop(wire::instance(key))).await.map(drop)
    }

    async fn restart(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        let mut client = self.client.clone();
        self.ask(self.change(), client.restart(wire::instance(key))).await.map(drop)
    }

    async fn remove_instance(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        let mut client = self.client.clone();
        self.ask(self.change(), client.remove_instance(wire::instance(key))).await.map(drop)
    }

    async fn remove_lease(&self, lease: &str) -> Result<(), RuntimeError> {
        let mut client = self.client.clone();
        let lease = Lease { lease: lease.into() };
        self.ask(self.change(), client.remove_lease(lease)).await.map(drop)
    }

    async fn observe(&self) -> Result<Observation, RuntimeError> {
        let mut client = self.client.clone();
        let seen: Seen = self.ask_document(self.query(), client.observe(Nothing {})).await?;
        Ok(seen.into())
    }

    async fn observe_instance(&self, key: &InstanceKey) -> Result<ObservedInstance, RuntimeError> {
        let mut client = self.client.clone();
        self.ask_document(self.query(), client.observe_instance(wire::instance(key))).await
    }

    fn logs(
        &self,
        key: &InstanceKey,
        request: LogRequest,
    ) -> BoxStream<'static, Result<LogPiece, RuntimeError>> {
        let request = LogsRequest {
            instance: Some(wire::instance(key)),
            follow: request.follow,
            tail: request.tail,
            since: request.since,
        };
        let mut client = self.client.clone();
        let call = async move { client.logs(request).await };
        stream(self.host.clone(), call, |piece| {
            Ok(LogPiece { stderr: piece.stderr, bytes: piece.data.into() })
        })
    }

    async fn exec(
        &self,
        key: &InstanceKey,
        request: ExecRequest,
    ) -> Result<ExecSession, RuntimeError> {
        inside::exec(self.client.clone(), self.host.clone(), key, request).await
    }

    fn read_files(
        &self,
        key: &InstanceKey,
        path: &str,
    ) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        let (mut client, files) = (self.client.clone(), inside::files(key, path));
        let call = async move { client.read_files(files).await };
        stream(self.host.clone(), call, |piece| Ok(piece.data.into()))
    }

    async fn write_files(
        &self,
        key: &InstanceKey,
        path: &str,
        tar: BoxStream<'static, Result<Bytes, std::io::Error>>,
    ) -> Result<(), RuntimeError> {
        let head = inside::files(key, path);
        inside::write_files(self.client.clone(), self.host.clone(), head, tar).await
    }

    async fn dial(
        &self,
        key: &InstanceKey,
        port: u16,
    ) -> Result<Box<dyn Connection>, RuntimeError> {
        let stream = inside::dial(self.client.clone(), self.host.clone(), key, port).await?;
        Ok(Box::new(stream))
    }

    async fn stats(&self, key: &InstanceKey) -> Result<InstanceStats, RuntimeError> {
        let mut client = self.client.clone();
        self.ask_document(self.query(), client.stats(wire::instance(key))).await
    }

    async fn storage(&self) -> Result<Vec<StorageUse>, RuntimeError> {
        let mut client = self.client.clone();
        let deadline = self.deadlines.measure + MARGIN;
        self.ask_document(deadline, client.storage(Nothing {})).await
    }

    fn events(&self) -> BoxStream<'static, Result<EngineEvent, RuntimeError>> {
        let mut client = self.client.clone();
        let call = async move { client.events(Nothing {}).await };
        stream(self.host.clone(), call, |event| wire::read(&event))
    }

    async fn checks(&self) -> Result<Vec<Check>, RuntimeError> {
        let mut client = self.client.clone();
        let checks: Vec<RemoteCheck> =
            self.ask_document(self.change(), client.checks(Nothing {})).await?;
        Ok(checks.into_iter().map(|check| check.of_host(&self.host)).collect())
    }
}

#[async_trait]
impl ImageEngine for RemoteBackend {
    async fn find(&self, _at: &InstanceKey, id: &str) -> Result<Option<LoadedImage>, RuntimeError> {
        let mut client = self.client.clone();
        let image = Image { id: id.into() };
        self.ask_document(self.query(), client.find_image(image)).await
    }

    async fn load(
        &self,
        _at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        self.send(path, blob, false).await
    }

    async fn load_data(
        &self,
        _at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        self.send(path, blob, true).await
    }

    async fn pull(
        &self,
        _at: &InstanceKey,
        reference: &str,
        credentials: Option<RegistryCredentials>,
    ) -> Result<LoadedImage, RuntimeError> {
        let mut client = self.client.clone();
        let account = credentials.map(|given| RegistryAccount {
            host: given.host,
            username: given.username,
            password: given.password,
        });
        let request = PullRequest { reference: reference.into(), account };
        self.ask_document(self.deadlines.image + MARGIN, client.pull_image(request)).await
    }

    async fn collect(&self, keep: Vec<String>) -> Result<usize, RuntimeError> {
        let mut client = self.client.clone();
        let answer =
            self.ask(self.change(), client.collect_images(CollectRequest { keep })).await?;
        Ok(usize::try_from(answer.removed).unwrap_or(usize::MAX))
    }
}

/// The head, then the file's bytes. An error on the way ends the stream early,
/// and the agent finds it too short.
fn pieces(path: PathBuf, blob: Blob, data: bool) -> ReceiverStream<ImagePiece> {
    let (out, pieces) = tokio::sync::mpsc::channel(PIECES_WAITING);
    let head = ImageHead { blake3: blob.root.to_hex().to_string(), bytes: blob.bytes, data };
    tokio::spawn(async move {
        let first = ImagePiece { head: Some(head), data: vec![] };
        if out.send(first).await.is_err() {
            return;
        }
        let mut file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            Err(error) => return tracing::warn!("{}: {error}", path.display()),
        };
        loop {
            let mut data = Vec::with_capacity(wire::PIECE_BYTES);
            let limit = wire::PIECE_BYTES as u64;
            match (&mut file).take(limit).read_to_end(&mut data).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return tracing::warn!("{}: {error}", path.display()),
            }
            if out.send(ImagePiece { head: None, data }).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(pieces)
}

/// A stream of the agent's, with the call that opens it.
fn stream<T: Send + 'static, U: Send + 'static>(
    host: String,
    call: impl std::future::Future<Output = Result<Response<Streaming<T>>, Status>> + Send + 'static,
    read: fn(T) -> Result<U, RuntimeError>,
) -> BoxStream<'static, Result<U, RuntimeError>> {
    let opened = call.map(move |opened| match opened {
        Ok(answer) => answer
            .into_inner()
            .map(move |item| match item {
                Ok(item) => read(item),
                Err(status) => Err(wire::error_of(&status, &host)),
            })
            .boxed(),
        Err(status) => {
            let error = wire::error_of(&status, &host);
            futures::stream::once(async move { Err(error) }).boxed()
        }
    });
    opened.flatten_stream().boxed()
}
