//! Making certificates, all ECDSA P-256.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Clocks differ a little; certificates begin this much earlier.
const BACKDATE: Duration = Duration::minutes(5);
/// Of no consequence: an issuer's parameters must have some validity.
const ISSUER_DAYS: u32 = 1;

/// A certificate (with those that lead to its root, its own first) and its
/// private key.
#[derive(Clone)]
pub struct Identity {
    /// DER; the first is its own.
    pub chain: Vec<Vec<u8>>,
    /// PKCS #8 in DER.
    key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl Identity {
    /// Its own certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        self.chain.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// The certificates for rustls.
    pub fn rustls_chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.iter().cloned().map(CertificateDer::from).collect()
    }

    /// The key for rustls.
    pub fn rustls_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.to_vec()))
    }

    /// The same key with another certificate, such as [`countersign`] made.
    pub fn with_certificate(&self, certificate: Vec<u8>) -> Self {
        Self { chain: vec![certificate], key: self.key.clone() }
    }

    /// The key as PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem("PRIVATE KEY", &self.key))
    }

    /// Its certificates as PEM, without the key.
    pub fn certificates_pem(&self) -> String {
        self.chain.iter().map(|der| certificate_pem(der)).collect()
    }

    pub(super) fn key_pair(&self) -> Result<KeyPair> {
        KeyPair::try_from(self.key.as_slice()).map_err(tls)
    }

    /// Writes certificates and key as PEM, 0600, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = Zeroizing::new(String::new());
        for der in &self.chain {
            text.push_str(&pem("CERTIFICATE", der));
        }
        text.push_str(&self.key_pem());
        let temporary = path.with_extension(format!("new-{:08x}", rand::random::<u32>()));
        let write = || -> std::io::Result<()> {
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write()
            .inspect_err(|_| {
                // Half a file takes room, of which there may be none.
                let _ = fs::remove_file(&temporary);
            })
            .map_err(Error::io(path))
    }

    /// Reads what [`Self::save`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let mode = fs::metadata(path).map_err(Error::io(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Tls(format!(
                "{}: others may read the key in it; `chmod 600` it",
                path.display()
            )));
        }
        let text = Zeroizing::new(fs::read(path).map_err(Error::io(path))?);
        let bad = |what: &str| Error::Tls(format!("{}: {what}", path.display()));
        let chain: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&text)
            .map(|c| c.map(|c| c.as_ref().to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|e| bad(&e.to_string()))?;
        if chain.is_empty() {
            return Err(bad("holds no certificate"));
        }
        let key = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|e| bad(&e.to_string()))?;
        Ok(Self { chain, key: Zeroizing::new(key.secret_pkcs8_der().to_vec()) })
    }
}

/// A tenant's certificate: self-signed, common name the address, for both
/// ends of connections. Its serial is [`super::serial_hex`].
pub fn tenant(address: &str, days: u32) -> Result<Identity> {
    let mut params = params(address, days)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = new_key()?;
    let certificate = params.self_signed(&key).map_err(tls)?;
    Ok(identity(vec![certificate.der().to_vec()], &key))
}

/// A provider's root: a self-signed CA, common name the address.
pub fn provider_root(address: &str, days: u32) -> Result<Identity> {
    let params = root_params(address, days)?;
    let key = new_key()?;
    let certificate = params.self_signed(&key).map_err(tls)?;
    Ok(identity(vec![certificate.der().to_vec()], &key))
}

/// A certificate for a provider's gateway or tunnel under its root: names are
/// the address and the hosts given (DNS names or IP addresses).
pub fn leaf(root: &Identity, address: &str, hosts: &[String], days: u32) -> Result<Identity> {
    let mut params = params(address, days)?;
    params.subject_alt_names = vec![dns(address)?];
    for host in hosts {
        params.subject_alt_names.push(match host.parse() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => dns(host)?,
        });
    }
    sign_for_both_ends(params, root, &new_key()?)
}

/// One side's certificate of a tunnel: the tunnel's name, alone, for both ends
/// of connections. It is good for nothing else, for it bears no address.
pub fn tunnel_leaf(root: &Identity, name: &str, seconds: u64) -> Result<Identity> {
    let mut params = params(name, 0)?;
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    params.not_after = OffsetDateTime::now_utc().saturating_add(Duration::seconds(seconds));
    params.subject_alt_names = vec![dns(name)?];
    sign_for_both_ends(params, root, &new_key()?)
}

fn sign_for_both_ends(
    mut params: CertificateParams,
    root: &Identity,
    key: &KeyPair,
) -> Result<Identity> {
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    // All that issuing takes of the root is its name, its key and what the key
    // may be used for.
    let issuer_name = super::common_name(root.certificate())?;
    let issuer = Issuer::new(root_params(&issuer_name, ISSUER_DAYS)?, root.key_pair()?);
    let certificate = params.signed_by(key, &issuer).map_err(tls)?;
    Ok(identity(vec![certificate.der().to_vec()], key))
}

/// The same with the root beside it, as a provider shows it to another one.
pub fn under_root(root: &Identity, address: &str, hosts: &[String], days: u32) -> Result<Identity> {
    let mut shown = leaf(root, address, hosts, days)?;
    shown.chain.push(root.certificate().to_vec());
    Ok(shown)
}

/// A certificate under a root for a key that somebody else holds: the one in
/// a (self-signed) certificate that they made. Nothing else of that one counts.
pub fn countersign(root: &Identity, certificate: &[u8], name: &str, days: u32) -> Result<Vec<u8>> {
    let mut params = params(name, days)?;
    params.subject_alt_names = vec![dns(name)?];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let issuer_name = super::common_name(root.certificate())?;
    let issuer = Issuer::new(root_params(&issuer_name, days)?, root.key_pair()?);
    let key = P256PublicKey(super::x509::p256_key(certificate)?);
    Ok(params.signed_by(&key, &issuer).map_err(tls)?.der().to_vec())
}

/// An uncompressed point.
struct P256PublicKey(Vec<u8>);

impl rcgen::PublicKeyData for P256PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// Certificates of a PEM text, in DER.
pub fn certificates_of_pem(text: &str) -> Result<Vec<Vec<u8>>> {
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes());
    certificates
        .map(|one| one.map(|der| der.as_ref().to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|e| Error::Tls(format!("not certificates in PEM: {e}")))
}

/// A certificate in PEM.
pub fn certificate_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}

fn root_params(address: &str, days: u32) -> Result<CertificateParams> {
    let mut params = params(address, days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(address: &str, days: u32) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![]).map_err(tls)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, address);
    params.distinguished_name = name;
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATE;
    params.not_after = now + Duration::days(i64::from(days));
    params.serial_number = Some(SerialNumber::from_slice(&serial()));
    Ok(params)
}

/// 16 random bytes, positive, and with no leading zero byte that encoders
/// would treat differently.
fn serial() -> [u8; 16] {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    bytes
}

fn dns(name: &str) -> Result<SanType> {
    let name = name.try_into().map_err(|_| Error::Tls(format!("`{name}` is no host name")))?;
    Ok(SanType::DnsName(name))
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(tls)
}

fn identity(chain: Vec<Vec<u8>>, key: &KeyPair) -> Identity {
    Identity { chain, key: Zeroizing::new(key.serialize_der()) }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

fn tls(cause: rcgen::Error) -> Error {
    Error::Tls(format!("making a certificate: {cause}"))
}
