//! A provider's gateway for tests, which takes one blob as a real one does,
//! breaks off, and dies.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
};

use futures::Stream;
use stoa_proto::gateway::v1::{
    gateway_server::{Gateway, GatewayServer},
    BlobChunk, BlobStatusRequest, BlobStatusResponse, LeaseStatusRequest, LeaseStatusResponse,
    LogLine, LogsRequest, ScreenRequest, ScreenResponse, StatusRequest, StatusResponse,
    SubmitManifestRequest, SubmitManifestResponse,
};
use stoa_swarm::{verify::HashCheck, Holding, Shape, PIECE};
use tokio::{net::TcpListener, runtime::Runtime, sync::Notify};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{transport::Channel, Request, Response, Status, Streaming};

/// What happens after so many bytes of content.
#[derive(Clone, Copy)]
pub enum Break {
    Never,
    /// The call ends with what is here, once.
    After(u64),
    /// Nothing is taken or said any more: it is about to be killed.
    DiesAfter(u64),
}

/// The gateway and its machine.
pub struct Mock {
    machine: Option<Runtime>,
    address: SocketAddr,
    pub taker: Arc<Taker>,
}

/// What it has.
pub struct Taker {
    pub holding: Holding,
    breaks: Break,
    broken: AtomicBool,
    /// Bytes that came, of content and of hashes.
    pub content: AtomicU64,
    pub hashes: AtomicU64,
    /// It has come to where it dies.
    pub dying: Notify,
}

impl Mock {
    /// Which is to get this blob.
    pub async fn of(bytes: &[u8], breaks: Break) -> Self {
        let shape = Shape::new(bytes.len() as u64).unwrap();
        let holding = Holding::in_memory(blake3::hash(bytes), shape).unwrap();
        let (broken, content, hashes, dying) = Default::default();
        let taker = Arc::new(Taker { holding, breaks, broken, content, hashes, dying });
        let machine = Runtime::new().unwrap();
        let served = Served(Arc::clone(&taker));
        let (told, address) = tokio::sync::oneshot::channel();
        machine.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let mut server = tonic::transport::Server::builder();
            let server = server.add_service(GatewayServer::new(served));
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { machine: Some(machine), address: address.await.unwrap(), taker }
    }

    pub async fn client(&self) -> crate::gateway::Gateway {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        crate::gateway::Gateway::new(endpoint.connect().await.unwrap())
    }

    /// As a machine dies: nobody says anything.
    pub fn kill(&mut self) {
        if let Some(machine) = self.machine.take() {
            machine.shutdown_background();
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Taker {
    pub fn came(&self) -> u64 {
        self.content.load(Ordering::SeqCst)
    }

    fn status(&self) -> BlobStatusResponse {
        let (have, size) = (self.holding.bytes(), self.holding.shape().size());
        BlobStatusResponse {
            blob: self.holding.root().to_hex().to_string(),
            size,
            have,
            complete: have == size,
            pieces: self.holding.have().to_bytes(),
            has_hashes: self.holding.has_tree(),
        }
    }

    async fn take(&self, mut chunks: Streaming<BlobChunk>) -> Result<(), Status> {
        let wrong = |error: stoa_swarm::store::AcceptError| Status::data_loss(error.to_string());
        let mut check = HashCheck::new(self.holding.root(), self.holding.shape());
        while let Some(chunk) = chunks.message().await? {
            self.hashes.fetch_add(chunk.hashes.len() as u64, Ordering::SeqCst);
            self.holding.accept_hashes(&mut check, &chunk.hashes).map_err(wrong)?;
            let first = u32::try_from(chunk.offset / PIECE).unwrap();
            if chunk.hashes.is_empty() {
                for (piece, data) in (first..).zip(chunk.data.chunks(PIECE as usize)) {
                    self.holding.accept_plain(piece, data).map_err(wrong)?;
                }
            }
            let came = chunk.data.len() as u64;
            let came = self.content.fetch_add(came, Ordering::SeqCst) + came;
            match self.breaks {
                Break::After(most) if came >= most && !self.broken.swap(true, Ordering::SeqCst) => {
                    return Ok(())
                }
                Break::DiesAfter(most) if came >= most => {
                    self.dying.notify_one();
                    std::future::pending::<()>().await;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

struct Served(Arc<Taker>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Gateway for Served {
    async fn blob_status(
        &self,
        _: Request<BlobStatusRequest>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        Ok(Response::new(self.0.status()))
    }

    async fn upload_blob(
        &self,
        request: Request<Streaming<BlobChunk>>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        self.0.take(request.into_inner()).await?;
        Ok(Response::new(self.0.status()))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Err(nothing_else())
    }

    async fn submit_manifest(
        &self,
        _: Request<SubmitManifestRequest>,
    ) -> Result<Response<SubmitManifestResponse>, Status> {
        Err(nothing_else())
    }

    async fn screen(&self, _: Request<ScreenRequest>) -> Result<Response<ScreenResponse>, Status> {
        Err(nothing_else())
    }

    async fn lease_status(
        &self,
        _: Request<LeaseStatusRequest>,
    ) -> Result<Response<LeaseStatusResponse>, Status> {
        Err(nothing_else())
    }

    type WatchLeaseStream = Answers<LeaseStatusResponse>;

    async fn watch_lease(
        &self,
        _: Request<LeaseStatusRequest>,
    ) -> Result<Response<Self::WatchLeaseStream>, Status> {
        Err(nothing_else())
    }

    type LogsStream = Answers<LogLine>;

    async fn logs(&self, _: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        Err(nothing_else())
    }
}

fn nothing_else() -> Status {
    Status::unimplemented("it takes blobs alone")
}
