//! What the operator wants of HTTPS; part of the table, so that it changes
//! without a restart.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

const MAX_FILES: usize = 256;
const MAX_TEXT: usize = 1024;

/// HTTPS at the ingress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSettings {
    pub listen: SocketAddr,
    /// Plain HTTP then answers with a redirect to this port.
    #[serde(default)]
    pub redirect_to: Option<u16>,
    /// Whose the own CA is: part of its name.
    pub ca_name: String,
    /// The operator's own certificates.
    #[serde(default)]
    pub files: Vec<CertificateFile>,
    #[serde(default)]
    pub acme: Option<AcmeSettings>,
}

/// A certificate (with those that lead to its root) and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFile {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Certificates from a CA that speaks ACME (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeSettings {
    /// The CA's directory, an https URL.
    pub directory: String,
    /// Such as `mailto:operator@example.com`.
    #[serde(default)]
    pub contact: Vec<String>,
    /// PEM of the roots that the CA's own server is checked against; the
    /// system's where there is none.
    #[serde(default)]
    pub roots: Option<PathBuf>,
    /// No certificate is asked for names under this domain.
    #[serde(default)]
    pub except_domain: Option<String>,
}

impl TlsSettings {
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.files.len() > MAX_FILES {
            return Err(format!("{} certificate files; at most {MAX_FILES}", self.files.len()));
        }
        let is_name = |c: char| c.is_ascii_graphic();
        if self.ca_name.len() > MAX_TEXT || !self.ca_name.chars().all(is_name) {
            return Err("the name of the CA is not a word".into());
        }
        let Some(acme) = &self.acme else { return Ok(()) };
        if acme.directory.len() > MAX_TEXT || !acme.directory.starts_with("https://") {
            return Err(format!("the ACME directory {:?} is no https URL", acme.directory));
        }
        Ok(())
    }
}
