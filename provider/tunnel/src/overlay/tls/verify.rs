//! Who may be at the other end of a tunnel: whoever has a certificate that
//! one of exactly these roots signed, with exactly this tunnel's name, for
//! both roles, valid now.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::provider;
use crate::overlay::table::TunnelId;

/// Whom a tunnel lets in.
pub(in crate::overlay) struct Expected {
    name: String,
    server_name: ServerName<'static>,
    roots: Vec<Root>,
}

struct Root {
    /// Seconds since 1970.
    valid: (i64, i64),
    verifier: Arc<WebPkiServerVerifier>,
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Expected {
    /// Says which root cannot be read, and why.
    pub(in crate::overlay) fn of(tunnel: &TunnelId) -> Result<Self, String> {
        let name = tunnel.name();
        let server_name =
            ServerName::try_from(name.clone()).map_err(|error| format!("{name}: {error}"))?;
        let roots = tunnel.peer_roots.iter().map(|root| Root::read(&root.0));
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { name, server_name, roots })
    }

    pub(in crate::overlay) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::overlay) fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }

    /// Whether this is the peer's certificate at that time.
    pub(in crate::overlay) fn check(
        &self,
        leaf: &CertificateDer<'_>,
        at: UnixTime,
    ) -> Result<(), Error> {
        let facts = Facts::read(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        if now < facts.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > facts.not_after {
            return Err(CertificateError::Expired.into());
        }
        facts.check_name(&self.name).map_err(|_| CertificateError::NotValidForName)?;
        if !facts.both_roles {
            return Err(CertificateError::InvalidPurpose.into());
        }
        let mut last = CertificateError::UnknownIssuer.into();
        for root in &self.roots {
            if now < root.valid.0 || now > root.valid.1 {
                continue;
            }
            // No certificate between root and leaf: the root itself signs.
            match root.verifier.verify_server_cert(leaf, &[], &self.server_name, &[], at) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Root {
    fn read(der: &[u8]) -> Result<Self, String> {
        let der = CertificateDer::from(der.to_vec());
        let facts = Facts::read(&der).map_err(|error| format!("a peer's root: {error}"))?;
        let mut store = RootCertStore::empty();
        store.add(der).map_err(|error| format!("a peer's root: {error}"))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| format!("a peer's root: {error}"))?;
        Ok(Self { valid: (facts.not_before, facts.not_after), verifier })
    }
}

/// What is read of a certificate beside its chain.
pub(in crate::overlay) struct Facts {
    names: Vec<String>,
    /// Alternative names of other kinds.
    others: usize,
    both_roles: bool,
    pub(in crate::overlay) not_before: i64,
    pub(in crate::overlay) not_after: i64,
}

impl Facts {
    pub(in crate::overlay) fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes after the certificate".into());
        }
        let alternative = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        let all = alternative.map(|extension| extension.value.general_names.as_slice());
        let names = all.unwrap_or_default().iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let names: Vec<String> = names.collect();
        let others = all.unwrap_or_default().len() - names.len();
        let usage = parsed.extended_key_usage().map_err(|error| error.to_string())?;
        let both_roles = usage.is_some_and(|u| u.value.client_auth && u.value.server_auth);
        let validity = parsed.validity();
        let (not_before, not_after) =
            (validity.not_before.timestamp(), validity.not_after.timestamp());
        Ok(Self { names, others, both_roles, not_before, not_after })
    }

    /// Exactly one name, this one.
    pub(in crate::overlay) fn check_name(&self, name: &str) -> Result<(), String> {
        match self.names.as_slice() {
            [only] if only == name && self.others == 0 => Ok(()),
            names => Err(format!("its names are {names:?} and {} more, not {name}", self.others)),
        }
    }
}

/// Now, as verifiers count time.
pub(in crate::overlay) fn now() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixTime::since_unix_epoch(since.unwrap_or(Duration::ZERO))
}

/// The methods that the two verifier traits have word for word, and share no
/// trait for: the peer must hold its certificate's key.
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("tunnels are of TLS 1.3".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = provider().signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, &algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            provider().signature_verification_algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Expected {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(leaf, now).map(|()| ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ClientCertVerifier for Expected {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(leaf, now).map(|()| ClientCertVerified::assertion())
    }

    handshake_signatures!();
}
