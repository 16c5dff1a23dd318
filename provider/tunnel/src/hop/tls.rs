//! TLS between a provider's machines: 1.3 alone, both sides with certificates
//! of the provider's own authority.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

/// Why a peer, or one's own files, will not do.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("{0}: {1}")]
    File(String, String),
    #[error("TLS between machines: {0}")]
    Tls(#[from] rustls::Error),
    #[error("TLS between machines: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("the peer shows a certificate of another name than {0}")]
    Name(String),
    #[error("the peer shows another certificate than the one that was recorded for it")]
    Pin,
}

/// One's own certificates and key, and the authority that peers must be of.
pub struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority: RootCertStore,
}

impl Material {
    /// Reads the identity (certificates, then their key) and the authority's
    /// certificate; all PEM.
    pub fn load(identity: &Path, authority: &Path) -> Result<Self, PeerError> {
        let bad = |path: &Path, cause: String| PeerError::File(path.display().to_string(), cause);
        let read = |path: &Path| std::fs::read(path).map_err(|e| bad(path, e.to_string()));
        let text = read(identity)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|e| bad(identity, e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|e| bad(identity, e.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&read(authority)?) {
            let certificate = certificate.map_err(|e| bad(authority, e.to_string()))?;
            roots.add(certificate).map_err(|e| bad(authority, e.to_string()))?;
        }
        if chain.is_empty() || roots.is_empty() {
            return Err(bad(identity, "a certificate is missing, here or at the authority".into()));
        }
        Ok(Self { chain, key, authority: roots })
    }
}

/// Lets in whoever has a certificate of the authority; see [`check_name`].
pub fn server_config(material: &Material, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, PeerError> {
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(material.authority.clone());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(material.chain.clone(), material.key.clone_key())?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Connects to who has a certificate of the authority with the name asked
/// for; see [`check_pin`].
pub fn client_config(material: &Material, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, PeerError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(material.authority.clone())
        .with_client_auth_cert(material.chain.clone(), material.key.clone_key())?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// SHA-256 of a certificate in DER, in hex.
pub fn fingerprint(certificate: &[u8]) -> String {
    hex::encode(Sha256::digest(certificate))
}

/// The authority signs for every machine; this one may only be talked to by
/// one of this name.
pub fn check_name(peer: Option<&[CertificateDer<'_>]>, name: &str) -> Result<(), PeerError> {
    let wrong = || PeerError::Name(name.into());
    let leaf = peer.and_then(|chain| chain.first()).ok_or_else(wrong)?;
    let expected = ServerName::try_from(name).map_err(|_| wrong())?;
    let parsed = ParsedCertificate::try_from(leaf)?;
    rustls::client::verify_server_name(&parsed, &expected).map_err(|_| wrong())
}

/// The very certificate that was recorded, so that one that was removed from
/// the record is no longer talked to.
pub fn check_pin(peer: Option<&[CertificateDer<'_>]>, pinned: &str) -> Result<(), PeerError> {
    let leaf = peer.and_then(|chain| chain.first()).ok_or(PeerError::Pin)?;
    match !pinned.is_empty() && fingerprint(leaf) == pinned {
        true => Ok(()),
        false => Err(PeerError::Pin),
    }
}
