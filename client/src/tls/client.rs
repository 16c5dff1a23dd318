//! The tenant's end: is this the provider that the chain names?

use std::sync::Arc;

use rustls::{
    client::{
        danger::{ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{ring, CryptoProvider},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    CertificateError, ClientConfig, RootCertStore,
};

use super::{handshake::handshake_signatures, x509, Identity};
use crate::{Error, Result};

/// Trusts what chains to the given roots and bears the provider's address, or
/// the host that was dialled; nothing else.
#[derive(Debug)]
pub struct ProviderVerifier {
    roots: RootCertStore,
    /// Each root's DER: rustls does not look at their validity.
    root_ders: Vec<Vec<u8>>,
    /// As a name in certificates.
    address: ServerName<'static>,
    provider: Arc<CryptoProvider>,
}

impl ProviderVerifier {
    /// `roots` in DER as read from the chain (the present one, and the earlier
    /// one while it is valid); `address` the provider's.
    pub fn new(address: &str, roots: &[Vec<u8>]) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for root in roots.iter().filter(|r| !r.is_empty()) {
            store
                .add(CertificateDer::from(root.clone()))
                .map_err(|e| Error::Tls(format!("the root certificate of {address}: {e}")))?;
        }
        if store.is_empty() {
            return Err(Error::Tls(format!("the chain names no root certificate of {address}")));
        }
        let name = ServerName::try_from(address.to_owned())
            .map_err(|_| Error::Tls(format!("`{address}` is no provider's address")))?;
        Ok(Self {
            roots: store,
            root_ders: roots.to_vec(),
            address: name,
            provider: Arc::new(ring::default_provider()),
        })
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let valid = |der: &Vec<u8>| {
            x509::validity(der).is_ok_and(|validity| validity.refusal(seconds).is_none())
        };
        // Only roots that are themselves valid now may vouch.
        let mut roots = self.roots.clone();
        let mut ders = self.root_ders.iter().filter(|d| !d.is_empty());
        roots.roots.retain(|_| ders.next().is_some_and(valid));
        let certificate = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &roots,
            intermediates,
            now,
            algorithms,
        )?;
        // A certificate without the extension could be for anything.
        let may_serve = x509::allows(leaf, |usage| usage.server_auth);
        if !may_serve.map_err(|e| rustls::Error::General(e.to_string()))? {
            return Err(CertificateError::InvalidPurpose.into());
        }
        verify_server_name(&certificate, &self.address)
            .or_else(|_| verify_server_name(&certificate, host))
    }
}

impl ServerCertVerifier for ProviderVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, server_name, now)?;
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

/// Which of some roots vouches for a certificate now, as of one that serves
/// under the first of its own names.
pub fn vouching_root<'a>(der: &[u8], roots: &'a [Vec<u8>]) -> Option<&'a [u8]> {
    let name = x509::dns_names(der).ok()?.into_iter().next()?;
    let leaf = CertificateDer::from(der);
    let host = ServerName::try_from(name.clone()).ok()?;
    let vouches = |root: &&Vec<u8>| {
        let verifier = ProviderVerifier::new(&name, std::slice::from_ref(*root));
        verifier.is_ok_and(|v| v.check(&leaf, &[], &host, UnixTime::now()).is_ok())
    };
    roots.iter().find(vouches).map(Vec::as_slice)
}

/// TLS 1.3 to a provider's gateway, HTTP/2, with the tenant's certificate
/// where there is one.
pub fn client_config(
    verifier: ProviderVerifier,
    tenant: Option<&Identity>,
) -> Result<ClientConfig> {
    let tls = |e: rustls::Error| Error::Tls(e.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match tenant {
        Some(identity) => builder
            .with_client_auth_cert(identity.rustls_chain(), identity.rustls_key())
            .map_err(tls)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        tls::{leaf, provider_root, tenant},
        Address,
    };

    fn now() -> u64 {
        UnixTime::now().as_secs()
    }

    fn verdict(
        verifier: &ProviderVerifier,
        shown: &Identity,
        host: &str,
        at: u64,
    ) -> Result<(), rustls::Error> {
        let host = ServerName::try_from(host.to_owned()).unwrap();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
        let der = CertificateDer::from(shown.certificate().to_vec());
        verifier.verify_server_cert(&der, &[], &host, &[], at).map(|_| ())
    }

    #[test]
    fn the_table_of_verdicts() {
        let address = Address::from([1; 20]).to_string();
        let other = Address::from([2; 20]).to_string();
        let root = provider_root(&address, 365).unwrap();
        let hosts = ["gate.example.org".to_owned(), "127.0.0.1".to_owned()];
        let good = leaf(&root, &address, &hosts, 30).unwrap();
        let foreign_root = provider_root(&address, 365).unwrap();
        let verifier = ProviderVerifier::new(&address, &[root.certificate().to_vec()]).unwrap();

        // Its address suffices, whatever was dialled.
        verdict(&verifier, &good, "10.1.2.3", now()).unwrap();
        verdict(&verifier, &good, "gate.example.org", now()).unwrap();
        // Another root of the same name.
        let foreign = leaf(&foreign_root, &address, &hosts, 30).unwrap();
        assert!(verdict(&verifier, &foreign, "gate.example.org", now()).is_err());
        // Self-signed.
        let alone = tenant(&address, 30).unwrap();
        assert!(verdict(&verifier, &alone, "gate.example.org", now()).is_err());
        // Too early, too late.
        assert!(verdict(&verifier, &good, "gate.example.org", now() - 3_600).is_err());
        assert!(verdict(&verifier, &good, "gate.example.org", now() + 31 * 86_400).is_err());
        // Neither the address nor the host.
        let stranger = leaf(&root, &other, &["else.example.org".into()], 30).unwrap();
        assert!(verdict(&verifier, &stranger, "gate.example.org", now()).is_err());
        verdict(&verifier, &stranger, "else.example.org", now()).unwrap();
        // The root itself, as if it were a leaf.
        assert!(verdict(&verifier, &root, "gate.example.org", now()).is_err());
    }

    #[test]
    fn an_expired_root_vouches_for_nothing() {
        let address = Address::from([1; 20]).to_string();
        let old = provider_root(&address, 1).unwrap();
        let shown = leaf(&old, &address, &[], 30).unwrap();
        let roots = [old.certificate().to_vec()];
        let verifier = ProviderVerifier::new(&address, &roots).unwrap();
        verdict(&verifier, &shown, "a.example", now()).unwrap();
        assert!(verdict(&verifier, &shown, "a.example", now() + 2 * 86_400).is_err());
        // Beside a newer one it still does not.
        let new = provider_root(&address, 365).unwrap();
        let roots = [old.certificate().to_vec(), new.certificate().to_vec()];
        let verifier = ProviderVerifier::new(&address, &roots).unwrap();
        assert!(verdict(&verifier, &shown, "a.example", now() + 2 * 86_400).is_err());
        let fresh = leaf(&new, &address, &[], 30).unwrap();
        verdict(&verifier, &fresh, "a.example", now() + 2 * 86_400).unwrap();
    }

    #[test]
    fn a_leaf_without_server_auth_is_refused() {
        let address = Address::from([1; 20]).to_string();
        let root = provider_root(&address, 365).unwrap();
        let key = rcgen::KeyPair::try_from(root.rustls_key().secret_der()).unwrap();
        let mut of_root = rcgen::CertificateParams::new(vec![]).unwrap();
        of_root.distinguished_name = rcgen::DistinguishedName::new();
        of_root.distinguished_name.push(rcgen::DnType::CommonName, address.as_str());
        let issuer = rcgen::Issuer::new(of_root, key);
        let mut params = rcgen::CertificateParams::new(vec![address.clone()]).unwrap();
        let verifier = ProviderVerifier::new(&address, &[root.certificate().to_vec()]).unwrap();
        for purposes in [vec![], vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]] {
            params.extended_key_usages = purposes;
            let own = rcgen::KeyPair::generate().unwrap();
            let made = params.signed_by(&own, &issuer).unwrap();
            let host = ServerName::try_from(address.clone()).unwrap();
            let result = verifier.verify_server_cert(made.der(), &[], &host, &[], UnixTime::now());
            assert!(result.is_err());
        }
    }

    #[test]
    fn no_root_is_an_error_at_once() {
        let address = Address::from([1; 20]).to_string();
        assert!(ProviderVerifier::new(&address, &[vec![]]).is_err());
        assert!(ProviderVerifier::new(&address, &[vec![1, 2, 3]]).is_err());
    }
}
