//! The operator's own certificates, read again when their files change.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::settings::CertificateFile;

/// All of them.
#[derive(Default)]
pub(crate) struct Files {
    entries: Vec<Entry>,
}

struct Entry {
    files: CertificateFile,
    stamp: Option<Stamp>,
    loaded: Option<Loaded>,
    problem: Option<String>,
}

struct Loaded {
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

/// What tells that a file is another one.
type Stamp = [(SystemTime, u64); 2];

impl Files {
    /// Takes other settings; what is the same stays loaded.
    pub(crate) fn set(&mut self, files: &[CertificateFile]) {
        let mut before = std::mem::take(&mut self.entries);
        for files in files {
            let known = before.iter().position(|entry| entry.files == *files);
            self.entries.push(match known {
                Some(place) => before.swap_remove(place),
                None => Entry { files: files.clone(), stamp: None, loaded: None, problem: None },
            });
        }
        self.reload();
    }

    /// Reads what has changed. A file that cannot be used leaves the one
    /// before in use.
    pub(crate) fn reload(&mut self) {
        for entry in &mut self.entries {
            entry.reload();
        }
    }

    /// The certificate for a host: its own name's before a wildcard's.
    pub(crate) fn find(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let loaded = || self.entries.iter().filter_map(|entry| entry.loaded.as_ref());
        let exact = loaded().find(|loaded| loaded.names.iter().any(|name| name == host));
        let (_, parent) = host.split_once('.')?;
        let covers = |name: &String| name.strip_prefix("*.") == Some(parent);
        let found = exact.or_else(|| loaded().find(|loaded| loaded.names.iter().any(covers)));
        found.map(|loaded| Arc::clone(&loaded.key))
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.entries.iter().filter_map(|entry| entry.problem.clone()).collect()
    }
}

impl Entry {
    fn reload(&mut self) {
        let stamp = stamp(&self.files);
        if stamp.is_some() && stamp == self.stamp {
            return;
        }
        let name = self.files.certificate.display().to_string();
        match load(&self.files) {
            Ok(loaded) => {
                tracing::info!(file = %name, names = ?loaded.names, "a certificate is loaded");
                self.loaded = Some(loaded);
                self.problem = None;
                self.stamp = stamp;
            }
            Err(error) => {
                let problem = format!("the certificate {name}: {error}");
                if self.problem.as_ref() != Some(&problem) {
                    tracing::error!("{problem}");
                }
                // Tried again: the other file of the pair may be on its way.
                self.problem = Some(problem);
            }
        }
    }
}

fn stamp(files: &CertificateFile) -> Option<Stamp> {
    let of = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    Some([of(&files.certificate)?, of(&files.key)?])
}

fn load(files: &CertificateFile) -> Result<Loaded, String> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let (names, key) = parse(&read(&files.certificate)?, &read(&files.key)?)?;
    Ok(Loaded { names, key: Arc::new(key) })
}

/// Names and key of a chain and a key in PEM; refuses a key that is another
/// certificate's.
pub(crate) fn parse(certificate: &[u8], key: &[u8]) -> Result<(Vec<String>, CertifiedKey), String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("not PEM: {error}"))?;
    let first = chain.first().ok_or("holds no certificate")?;
    let names = names(first)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key: {error}"))?;
    let key = CertifiedKey::from_der(chain, key, &default_provider())
        .map_err(|error| format!("the key does not suit: {error}"))?;
    Ok((names, key))
}

/// The DNS names that a certificate is for, in lower case.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    use x509_parser::extensions::GeneralName;
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| format!("not a certificate: {error}"))?;
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|names| &names.value.general_names);
    let names: Vec<String> = names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    match names.is_empty() {
        true => Err("it names no host".into()),
        false => Ok(names),
    }
}

/// When a chain's own certificate begins and ends, in Unix seconds.
pub(crate) fn validity(key: &CertifiedKey) -> Option<(i64, i64)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(key.cert.first()?).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, hosts: &[&str]) -> CertificateFile {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(hosts).unwrap();
        let files = CertificateFile {
            certificate: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_names_own_certificate_goes_before_a_wildcard() {
        let dir = tempfile::tempdir().unwrap();
        let wild = write(dir.path(), "wild", &["*.p.example"]);
        let exact = write(dir.path(), "exact", &["web.p.example"]);
        let mut files = Files::default();
        files.set(&[wild, exact]);
        assert!(files.problems().is_empty(), "{:?}", files.problems());
        let web = files.find("web.p.example").unwrap();
        let other = files.find("other.p.example").unwrap();
        assert_ne!(web.cert, other.cert);
        for none in ["p.example", "a.b.p.example", "web.q.example"] {
            assert!(files.find(none).is_none(), "{none}");
        }
    }

    #[test]
    fn a_new_file_is_taken_and_a_broken_one_leaves_the_old_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let pair = write(dir.path(), "a", &["a.example"]);
        let mut files = Files::default();
        files.set(std::slice::from_ref(&pair));
        let first = files.find("a.example").unwrap();
        // A key of another certificate, as in the middle of a change.
        let foreign = write(dir.path(), "b", &["a.example", "b.example"]);
        std::fs::copy(&foreign.key, &pair.key).unwrap();
        std::fs::OpenOptions::new().append(true).open(&pair.key).unwrap().set_len(1_000).unwrap();
        files.reload();
        assert_eq!(files.find("a.example").unwrap().cert, first.cert);
        assert_eq!(files.problems().len(), 1, "{:?}", files.problems());
        std::fs::copy(&foreign.key, &pair.key).unwrap();
        std::fs::copy(&foreign.certificate, &pair.certificate).unwrap();
        files.reload();
        assert!(files.problems().is_empty(), "{:?}", files.problems());
        assert_ne!(files.find("a.example").unwrap().cert, first.cert);
        assert!(files.find("b.example").is_some());
    }
}
