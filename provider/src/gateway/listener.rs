//! TLS: certificates that renew themselves, and the gateway's bounds.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::ServerConfig;
use stoa_client::gateway::GatewayAddress;
use stoa_client::proto::gateway::v1::gateway_server::GatewayServer;
use stoa_client::tls::{accept_loop, leaf, server_config, Identity, TenantVerifier};
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use super::service::GatewayService;
use crate::store::MAX_CHUNK;

/// A certificate lives so long and is renewed well before it ends.
const LEAF_DAYS: u32 = 30;
const RENEW_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);
const RETRY: Duration = Duration::from_secs(60);
/// A piece of a blob with what is around it.
const MAX_MESSAGE: usize = MAX_CHUNK + (64 << 10);
const MAX_HEADERS: u32 = 16 << 10;
const MAX_STREAMS: u32 = 32;

/// The gateway's certificates, made by the provider's root.
#[derive(Debug)]
pub struct Certificates {
    root: Identity,
    address: String,
    hosts: Vec<String>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Issues the first for the host of the address on chain.
    pub fn issue(root: Identity, address: &str, host_uri: &str) -> anyhow::Result<Arc<Self>> {
        let hosts = vec![GatewayAddress::parse(host_uri)?.host];
        let current = RwLock::new(certified(&root, address, &hosts)?);
        Ok(Arc::new(Self { root, address: address.into(), hosts, current }))
    }

    /// Makes new ones for ever; connections that stand keep theirs.
    pub async fn renew(self: Arc<Self>) {
        let mut pause = RENEW_EVERY;
        loop {
            tokio::time::sleep(pause).await;
            match certified(&self.root, &self.address, &self.hosts) {
                Ok(key) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = key;
                    tracing::info!("the gateway has a new certificate");
                    pause = RENEW_EVERY;
                }
                Err(error) => {
                    tracing::error!("renewing the gateway's certificate: {error:#}");
                    pause = RETRY;
                }
            }
        }
    }
}

fn certified(
    root: &Identity,
    address: &str,
    hosts: &[String],
) -> anyhow::Result<Arc<CertifiedKey>> {
    let leaf = leaf(root, address, hosts, LEAF_DAYS)?;
    let key = ring::sign::any_supported_type(&leaf.rustls_key())?;
    Ok(Arc::new(CertifiedKey::new(leaf.rustls_chain(), key)))
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// TLS 1.3 alone; a client's certificate is asked for, and needed by all
/// calls but `Status`.
fn tls(certificates: &Arc<Certificates>) -> anyhow::Result<Arc<ServerConfig>> {
    let first = leaf(&certificates.root, &certificates.address, &certificates.hosts, LEAF_DAYS)?;
    let mut config = server_config(&first, TenantVerifier::new(false))?;
    config.cert_resolver = Arc::clone(certificates) as Arc<dyn ResolvesServerCert>;
    Ok(Arc::new(config))
}

/// Serves until `ending` resolves, then lets calls under way finish.
pub async fn serve(
    listener: TcpListener,
    certificates: Arc<Certificates>,
    service: GatewayService,
    max_connections: usize,
    ending: impl std::future::Future<Output = ()>,
) -> anyhow::Result<()> {
    let config = tls(&certificates)?;
    let renewing = tokio::spawn(Arc::clone(&certificates).renew());
    let incoming = accept_loop(listener, config, max_connections);
    let service = GatewayServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let served = Server::builder()
        .http2_max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(15)))
        .add_service(service)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), ending)
        .await;
    renewing.abort();
    Ok(served?)
}
