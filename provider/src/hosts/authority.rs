//! The provider's own authority for its machines. Each makes its key itself
//! and keeps it; what travels is a certificate to be signed, and the signed
//! one back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use stoa_client::tls::{
    certificate_pem, certificates_of_pem, countersign, leaf, provider_root, Identity,
};
use stoa_tunnel::hop::{fingerprint, FRONT};

use super::roster::is_host_name;
use crate::store;

/// The name in the control daemon's certificate.
pub const CONTROL: &str = "control.stoa.invalid";
/// What ends a machine's trust is its removal from the roster, where its very
/// certificate is recorded; so certificates themselves last.
const DAYS: u32 = 3650;
const AUTHORITY: &str = "authority.pem";
const CONTROL_FILE: &str = "control.pem";
const AUTHORITY_CERTIFICATE: &str = "authority.crt";

/// Signs for the provider's machines.
pub struct Authority {
    root: Identity,
    dir: PathBuf,
}

/// What a new machine hands to the control daemon's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub name: String,
    /// Self-signed, PEM: the machine's public key.
    pub certificate: String,
}

/// What it gets back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    pub name: String,
    /// The provider's address.
    pub provider: String,
    /// The machine's certificate, signed; PEM.
    pub certificate: String,
    /// That of who signed it; PEM.
    pub authority: String,
}

/// The name in a machine's certificate.
pub fn host_certificate_name(host: &str) -> String {
    format!("{host}.hosts.stoa.invalid")
}

impl Authority {
    /// Reads it, or makes it at the first time.
    pub fn open(dir: &Path, provider: &str) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join(AUTHORITY);
        let root = match path.exists() {
            true => Identity::load(&path)?,
            false => {
                let root = provider_root(&format!("machines of {provider}"), DAYS)?;
                root.save(&path)?;
                root
            }
        };
        let certificate = dir.join(AUTHORITY_CERTIFICATE);
        if fs::read_to_string(&certificate).ok() != Some(root.certificates_pem()) {
            store::write(&certificate, root.certificates_pem().as_bytes())?;
        }
        Ok(Self { root, dir: dir.into() })
    }

    /// The file with the authority's certificate.
    pub fn certificate_path(&self) -> PathBuf {
        self.dir.join(AUTHORITY_CERTIFICATE)
    }

    /// The control daemon's own certificate and key, made anew.
    pub fn issue_control(&self) -> anyhow::Result<PathBuf> {
        self.issue(CONTROL, CONTROL_FILE)
    }

    /// The files that a daemon has issued and that other commands speak to
    /// agents with: certificate and key, and the authority's certificate.
    pub fn files(dir: &Path) -> (PathBuf, PathBuf) {
        (dir.join(CONTROL_FILE), dir.join(AUTHORITY_CERTIFICATE))
    }

    /// The front data plane's.
    pub fn issue_front(&self) -> anyhow::Result<PathBuf> {
        self.issue(FRONT, "front.pem")
    }

    fn issue(&self, name: &str, file: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(file);
        let saved = leaf(&self.root, name, &[], DAYS)?.save(&path);
        match saved {
            Ok(()) => Ok(path),
            // On a full disk that of the last start does as well.
            Err(error) if Identity::load(&path).is_ok() => {
                tracing::warn!("{error}; the certificate of before is used");
                Ok(path)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Signs a machine's certificate. Returns what goes back to it, and the
    /// fingerprint by which it is known from now on.
    pub fn sign(&self, request: &Request, provider: &str) -> anyhow::Result<(Joined, String)> {
        let name = &request.name;
        anyhow::ensure!(is_host_name(name), "{}", super::roster::bad_name(name));
        let certificates = certificates_of_pem(&request.certificate)?;
        let asked = certificates.first().context("the request has no certificate")?;
        let signed = countersign(&self.root, asked, &host_certificate_name(name), DAYS)?;
        let joined = Joined {
            name: name.clone(),
            provider: provider.into(),
            certificate: certificate_pem(&signed),
            authority: self.root.certificates_pem(),
        };
        Ok((joined, fingerprint(&signed)))
    }
}
