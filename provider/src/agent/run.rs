//! The agent's parts together: start, end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use stoa_client::proto::agent::v1::agent_server::AgentServer;
use stoa_client::tls::accept_loop;
use stoa_tunnel::hop::{check_name, server_config, Material};
use tokio::net::TcpListener;
use tokio::sync::{watch, Notify};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::transport::Server;
use tonic::{Request, Status};

use super::instances::keep_table;
use super::links::Links;
use super::relay::RelayProcess;
use super::service::AgentService;
use super::settings::{AgentDir, Settings};
use crate::daemon::end_signal;
use crate::fleet::wire::MAX_MESSAGE;
use crate::hosts::CONTROL;
use crate::runtime::DockerBackend;
use crate::store;

const RETRY: Duration = Duration::from_secs(3);
/// One daemon uses few; its restarts may overlap.
const MAX_CONNECTIONS: usize = 16;
const MAX_STREAMS: u32 = 1024;
/// There while the agent serves.
const READY: &str = "ready";

/// Serves until SIGTERM or SIGINT. Workloads go on without it.
pub async fn run(dir: &AgentDir) -> anyhow::Result<()> {
    let mut ended = std::pin::pin!(end_signal()?);
    let settings = dir.settings()?;
    anyhow::ensure!(
        !settings.provider.is_empty(),
        "this machine has not joined a provider yet; see `stoa-provider agent join --help`"
    );
    store::remove(&dir.path(READY))?;
    let material = Material::load(&dir.identity(), &dir.authority())?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("listen {}", settings.listen))?;
    let backend = tokio::select! {
        backend = connect_engine(&settings) => Arc::new(backend?),
        () = &mut ended => return Ok(()),
    };
    let changed = Arc::new(Notify::new());
    let links = Arc::new(Links::open(dir, settings.tunnel_binary.as_deref())?);
    let (observed, seen) = watch::channel(None);
    let keeping = keep_table(Arc::clone(&backend), dir.clone(), Arc::clone(&changed), observed);
    let parts = [
        tokio::spawn(Arc::clone(&backend).keep_egress()),
        tokio::spawn(keeping),
        tokio::spawn(RelayProcess::new(dir, &settings).keep()),
        tokio::spawn(Arc::clone(&links).keep(seen)),
    ];
    let service = AgentService::new(backend, settings.clone(), dir.clone(), changed, links)?;
    let service = AgentServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let service = tonic::service::interceptor::InterceptedService::new(service, only_control);
    let incoming = accept_loop(listener, server_config(&material, &[b"h2"])?, MAX_CONNECTIONS);
    store::write(&dir.path(READY), settings.listen.to_string().as_bytes())?;
    tracing::info!(name = %settings.name, listen = %settings.listen, "ready");
    let served = Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(service)
        .serve_with_incoming(ReceiverStream::new(incoming));
    let result = tokio::select! {
        served = served => served.map_err(Into::into),
        () = &mut ended => Ok(()),
    };
    tracing::info!("ending; workloads go on");
    let _ = store::remove(&dir.path(READY));
    parts.iter().for_each(tokio::task::JoinHandle::abort);
    result
}

/// The authority signs for every machine, and none of them may command
/// another.
fn only_control(request: Request<()>) -> Result<Request<()>, Status> {
    let info = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
    let certificates = info.and_then(TlsConnectInfo::peer_certs);
    let chain = certificates.as_ref().map(|chain| chain.as_slice());
    match check_name(chain, CONTROL) {
        Ok(()) => Ok(request),
        Err(error) => Err(Status::permission_denied(error.to_string())),
    }
}

/// Waits for an engine that is being started.
async fn connect_engine(settings: &Settings) -> anyhow::Result<DockerBackend> {
    loop {
        match DockerBackend::connect(settings.runtime()?).await {
            Ok(backend) => return Ok(backend),
            Err(error) if error.is_unknown() => {
                tracing::warn!("{error}; again in {} s", RETRY.as_secs());
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
