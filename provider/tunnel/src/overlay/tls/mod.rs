//! TLS 1.3 of tunnels. rustls does the handshakes and keeps the key schedule;
//! the records after it are sealed and opened here, in the very buffers that
//! the kernel fills, because copies are what a tunnel's throughput is spent on.

mod handshake;
mod record;
mod session;
mod verify;

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::ring::{self, cipher_suite, kx_group};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};

pub(super) use handshake::{connect, Hello};

pub(super) use session::{Incoming, Outgoing, Session, Slots, Source};
pub(super) use verify::{Expected, Facts};

use super::table::Credential;

/// The protocol that both sides must name.
pub const ALPN: &[u8] = b"stoa-tunnel/1";

/// What this side shows in a tunnel, and whom it lets in; made anew when the
/// table changes either.
pub(super) struct Material {
    pub(super) expected: Arc<Expected>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// Seconds since 1970.
    pub(super) not_after: i64,
    client: OnceLock<Arc<ClientConfig>>,
    server: OnceLock<Arc<ServerConfig>>,
}

impl Material {
    /// Reads a credential. Says what is wrong with it.
    pub(super) fn read(credential: &Credential, expected: Arc<Expected>) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(credential.chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| format!("own certificate: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(credential.key.as_bytes())
            .map_err(|error| format!("own key: {error}"))?;
        let leaf = chain.first().ok_or("own certificate: there is none")?;
        let facts =
            verify::Facts::read(leaf).map_err(|error| format!("own certificate: {error}"))?;
        facts.check_name(expected.name()).map_err(|error| format!("own certificate: {error}"))?;
        let not_after = facts.not_after;
        Ok(Self {
            expected,
            chain,
            key,
            not_after,
            client: OnceLock::new(),
            server: OnceLock::new(),
        })
    }

    /// For a handshake as the client.
    pub(super) fn client(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.client.get() {
            return Ok(Arc::clone(config));
        }
        let verifier = Arc::clone(&self.expected);
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A session of a tunnel that is gone must not come back.
        config.resumption = Resumption::disabled();
        config.enable_secret_extraction = true;
        Ok(Arc::clone(self.client.get_or_init(|| Arc::new(config))))
    }

    /// For a handshake as the server.
    pub(super) fn server(&self) -> io::Result<Arc<ServerConfig>> {
        if let Some(config) = self.server.get() {
            return Ok(Arc::clone(config));
        }
        let verifier = Arc::clone(&self.expected);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.enable_secret_extraction = true;
        Ok(Arc::clone(self.server.get_or_init(|| Arc::new(config))))
    }
}

/// AES-128-GCM first: the fastest here, and what a tunnel needs.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                cipher_suite::TLS13_AES_128_GCM_SHA256,
                cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
                cipher_suite::TLS13_AES_256_GCM_SHA384,
            ],
            kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
            ..ring::default_provider()
        })
    });
    Arc::clone(provider)
}
