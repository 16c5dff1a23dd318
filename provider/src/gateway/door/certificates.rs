//! The gateway's certificates, which renew themselves.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::super::providers::RawService;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::ServerConfig;
use stoa_client::gateway::GatewayAddress;
use stoa_client::tls::{leaf, server_config, Identity, TenantVerifier};

/// A certificate lives so long and is renewed well before it ends.
const LEAF_DAYS: u32 = 30;
const RENEW_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);
const RETRY: Duration = Duration::from_secs(60);

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

    /// TLS 1.3 alone, HTTP/2 or HTTP/1.1, or what providers speak. A client's certificate is asked
    /// for; a bad one is refused, and none leaves tokens.
    pub(super) fn tls(
        self: &Arc<Self>,
        raw: &[Arc<dyn RawService>],
    ) -> anyhow::Result<Arc<ServerConfig>> {
        let first = leaf(&self.root, &self.address, &self.hosts, LEAF_DAYS)?;
        let mut config = server_config(&first, TenantVerifier::new(false))?;
        config.cert_resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.alpn_protocols.extend(raw.iter().map(|service| service.alpn().to_vec()));
        Ok(Arc::new(config))
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
