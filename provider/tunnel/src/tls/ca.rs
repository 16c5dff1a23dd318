//! The ingress's own CA: for names that have no better certificate. Users
//! who want to trust it import `ca.crt`.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::state;

/// Key and certificate, for this process alone.
const SECRET: &str = "ca.pem";
/// The certificate, for everybody.
const PUBLIC: &str = "ca.crt";
const END: &str = "-----END CERTIFICATE-----";
const CA_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Clocks differ a little; certificates begin this much earlier.
const BACKDATE: Duration = Duration::from_secs(3600);

/// The CA with its key.
pub(crate) struct OwnCa {
    issuer: Issuer<'static, KeyPair>,
    public: PathBuf,
}

/// A certificate for one host, and until when it is handed out.
pub(crate) struct Issued {
    pub(crate) key: CertifiedKey,
    pub(crate) renew_at: SystemTime,
}

impl OwnCa {
    /// Reads the CA, or makes it where there is none.
    pub(crate) fn open(directory: &Path, name: &str) -> io::Result<Self> {
        let secret = directory.join(SECRET);
        match fs::read(&secret) {
            Ok(text) => Self::read(&text, directory)
                .map_err(|e| io::Error::other(format!("{}: {e}", secret.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::make(directory, name).map_err(io::Error::other)
            }
            Err(error) => Err(error),
        }
    }

    /// Where the certificate lies that users may import.
    pub(crate) fn public(&self) -> &Path {
        &self.public
    }

    fn read(
        text: &[u8],
        directory: &Path,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let certificate = CertificateDer::from_pem_slice(text)?;
        let key = KeyPair::try_from(PrivatePkcs8KeyDer::from_pem_slice(text)?.secret_pkcs8_der())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)?;
        let name = parsed.subject().iter_common_name().next();
        let name = name.ok_or("no common name")?.as_str()?.to_owned();
        let (public, _) = std::str::from_utf8(text)?.split_once(END).ok_or("no certificate")?;
        write_public(directory, &format!("{public}{END}\n"))?;
        Ok(Self { issuer: Issuer::new(params(&name), key), public: directory.join(PUBLIC) })
    }

    fn make(
        directory: &Path,
        name: &str,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let params = params(&format!("Ingress of {name}"));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        let text = format!("{}{}", certificate.pem(), key.serialize_pem());
        state::write(&directory.join(SECRET), text.as_bytes())?;
        write_public(directory, &certificate.pem())?;
        tracing::info!(ca = %directory.join(PUBLIC).display(), "the ingress's own CA is made");
        Ok(Self { issuer: Issuer::new(params, key), public: directory.join(PUBLIC) })
    }

    /// A fresh key and a certificate for one host.
    pub(crate) fn issue(
        &self,
        host: &str,
    ) -> Result<Issued, Box<dyn std::error::Error + Send + Sync>> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let now = SystemTime::now();
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + LEAF_LIFE).into();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.der().clone()];
        let key = CertifiedKey::from_der(chain, private, &default_provider())?;
        Ok(Issued { key, renew_at: now + LEAF_LIFE / 3 * 2 })
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = SystemTime::now();
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + CA_LIFE).into();
    params
}

fn write_public(directory: &Path, text: &str) -> io::Result<()> {
    let path = directory.join(PUBLIC);
    if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(&path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_is_made_once_and_its_key_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let first = OwnCa::open(dir.path(), "stoa1xyz").unwrap();
        let public = fs::read(first.public()).unwrap();
        let again = OwnCa::open(dir.path(), "another").unwrap();
        assert_eq!(fs::read(again.public()).unwrap(), public);
        let mode =
            |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(SECRET), mode(PUBLIC)), (0o600, 0o644));
        assert!(!String::from_utf8(public).unwrap().contains("PRIVATE"));
        // Both sign for the one certificate that users have.
        let leaf = again.issue("web.example").unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf.key.cert[0]).unwrap();
        assert_eq!(parsed.issuer().to_string(), "CN=Ingress of stoa1xyz");
        fs::write(dir.path().join(SECRET), b"nonsense").unwrap();
        assert!(OwnCa::open(dir.path(), "x").is_err(), "damage is told, not papered over");
    }
}
