//! The provider's end: certificates of clients, to be looked up on the chain by
//! the daemon.

use std::sync::Arc;

use rustls::{
    crypto::{ring, CryptoProvider},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    CertificateError, DistinguishedName, RootCertStore, ServerConfig,
};

use super::{handshake::handshake_signatures, x509, Identity};
use crate::{Address, Error, Result};

/// Accepts a tenant's self-signed certificate that is valid now and whose common
/// name is an address, or a provider's under a root of the same name that it
/// shows with it ([`super::under_root`]). **That is not yet authentication**: the
/// daemon must find the same DER among the owner's valid certificates on chain
/// (`QueryClient::is_valid_certificate`), or the root in the provider's record.
#[derive(Debug)]
pub struct TenantVerifier {
    provider: Arc<CryptoProvider>,
    mandatory: bool,
}

impl TenantVerifier {
    /// `mandatory`: a client without a certificate gets no connection.
    pub fn new(mandatory: bool) -> Self {
        Self { provider: Arc::new(ring::default_provider()), mandatory }
    }

    /// A tenant's certificate is its own and only trust anchor, a provider's
    /// has the root that is shown beside it.
    fn check(
        &self,
        der: &CertificateDer<'_>,
        anchor: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let general = |e: Error| rustls::Error::General(e.to_string());
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        for shown in [der, anchor] {
            // rustls does not look at an anchor's validity.
            if let Some(why) = x509::validity(shown).map_err(general)?.refusal(seconds) {
                return Err(rustls::Error::General(format!("the client's certificate {why}")));
            }
        }
        let name = x509::common_name(der).map_err(general)?;
        name.parse::<Address>().map_err(|e| rustls::Error::General(e.to_string()))?;
        if x509::common_name(anchor).map_err(general)? != name {
            return Err(CertificateError::UnknownIssuer.into());
        }
        if !x509::allows(der, |usage| usage.client_auth).map_err(general)? {
            return Err(CertificateError::InvalidPurpose.into());
        }
        let mut anchors = RootCertStore::empty();
        anchors.add(anchor.clone().into_owned())?;
        verify_under(der, anchors, now, self.provider.clone())
    }
}

fn verify_under(
    der: &CertificateDer<'_>,
    anchors: RootCertStore,
    now: UnixTime,
    provider: Arc<CryptoProvider>,
) -> Result<(), rustls::Error> {
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider)
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
    verifier.verify_client_cert(der, &[], now).map(|_| ())
}

impl ClientCertVerifier for TenantVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match intermediates {
            [] => self.check(end_entity, end_entity, now)?,
            [root] => self.check(end_entity, root, now)?,
            _ => return Err(CertificateError::UnknownIssuer.into()),
        }
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

/// TLS 1.3 for a gateway, HTTP/2, asking for a tenant's certificate.
pub fn server_config(identity: &Identity, verifier: TenantVerifier) -> Result<ServerConfig> {
    let tls = |e: rustls::Error| Error::Tls(e.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(identity.rustls_chain(), identity.rustls_key())
        .map_err(tls)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tls::{leaf, provider_root, tenant, under_root};

    fn verdict(identity: &Identity, at: u64) -> Result<(), rustls::Error> {
        let der = CertificateDer::from(identity.certificate().to_vec());
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        TenantVerifier::new(true).verify_client_cert(&der, &[], at).map(|_| ())
    }

    #[test]
    fn a_provider_shows_its_root_with_its_certificate() {
        let now = UnixTime::now().as_secs();
        let (me, other) = (Address::from([1; 20]).to_string(), Address::from([2; 20]).to_string());
        let root = provider_root(&me, 30).unwrap();
        let shown = |chain: &[Vec<u8>], at: u64| {
            let chain: Vec<_> = chain.iter().cloned().map(CertificateDer::from).collect();
            let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
            TenantVerifier::new(true).verify_client_cert(&chain[0], &chain[1..], at).map(|_| ())
        };
        let good = under_root(&root, &me, &[], 30).unwrap().chain;
        shown(&good, now).unwrap();
        assert!(shown(&good, now + 31 * 86_400).is_err());
        assert!(shown(&good, now - 3_600).is_err());
        let foreign = provider_root(&me, 30).unwrap().chain;
        assert!(shown(&[good[0].clone(), foreign[0].clone()], now).is_err());
        // A provider that signs for another's name.
        assert!(shown(&under_root(&root, &other, &[], 30).unwrap().chain, now).is_err());
        let longer = [good[0].clone(), good[1].clone(), good[1].clone()];
        assert!(shown(&longer, now).is_err());
        // A tenant's certificate is no root.
        let tenant = tenant(&me, 30).unwrap().chain;
        assert!(shown(&[good[0].clone(), tenant[0].clone()], now).is_err());
    }

    #[test]
    fn the_table_of_verdicts() {
        let now = UnixTime::now().as_secs();
        let address = Address::from([1; 20]).to_string();
        let good = tenant(&address, 30).unwrap();
        verdict(&good, now).unwrap();
        assert!(verdict(&good, now + 31 * 86_400).is_err());
        assert!(verdict(&good, now - 3_600).is_err());
        assert!(verdict(&tenant("nobody", 30).unwrap(), now).is_err());
        // Signed by another key than its own.
        let root = provider_root(&address, 30).unwrap();
        assert!(verdict(&leaf(&root, &address, &[], 30).unwrap(), now).is_err());
        // A CA is no tenant.
        assert!(verdict(&root, now).is_err());
        // An altered signature.
        let mut der = good.certificate().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        let altered = CertificateDer::from(der);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now));
        assert!(TenantVerifier::new(true).verify_client_cert(&altered, &[], at).is_err());
    }
}
