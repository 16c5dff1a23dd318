//! Which certificate a client gets, by the name that it asks for: the
//! operator's own, else one from an ACME CA, else one of the own CA. Names
//! that no route has get none.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::ca::OwnCa;
use super::files::Files;
use crate::live::Routes;

/// Certificates of the own CA that are remembered beyond those of the names
/// in the table.
const SPARE: usize = 64;

/// All certificates.
pub(crate) struct Certificates {
    routes: Arc<Routes>,
    ca: RwLock<Option<OwnCa>>,
    own: Mutex<HashMap<String, Own>>,
    pub(super) files: RwLock<Files>,
    acme: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

struct Own {
    key: Arc<CertifiedKey>,
    renew_at: SystemTime,
}

impl Certificates {
    pub(super) fn new(routes: Arc<Routes>) -> Self {
        Self {
            routes,
            ca: RwLock::default(),
            own: Mutex::default(),
            files: RwLock::default(),
            acme: RwLock::default(),
        }
    }

    pub(super) fn set_ca(&self, ca: Option<OwnCa>) {
        *self.ca.write().unwrap_or_else(PoisonError::into_inner) = ca;
        self.own().clear();
    }

    pub(super) fn has_ca(&self) -> bool {
        self.ca.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Hands out a certificate that a CA has given.
    pub(super) fn put_acme(&self, host: &str, key: CertifiedKey) {
        let mut acme = self.acme.write().unwrap_or_else(PoisonError::into_inner);
        acme.insert(host.into(), Arc::new(key));
    }

    pub(super) fn acme(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        self.acme.read().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    pub(super) fn forget_acme(&self) {
        self.acme.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The certificate for a name in lower case.
    pub(crate) fn find(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        self.routes.current().find(host)?;
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner).find(host);
        files.or_else(|| self.acme(host)).or_else(|| self.own_certificate(host))
    }

    fn own_certificate(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let now = SystemTime::now();
        if let Some(own) = self.own().get(host).filter(|own| own.renew_at > now) {
            return Some(Arc::clone(&own.key));
        }
        let issued = self.ca.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.issue(host);
        let issued =
            issued.map_err(|error| tracing::error!(%host, %error, "no certificate")).ok()?;
        let key = Arc::new(issued.key);
        let mut own = self.own();
        let table = self.routes.current();
        if own.len() > table.hosts().saturating_add(SPARE) {
            own.retain(|host, _| table.find(host).is_some());
        }
        own.insert(host.into(), Own { key: Arc::clone(&key), renew_at: issued.renew_at });
        Some(key)
    }

    fn own(&self) -> MutexGuard<'_, HashMap<String, Own>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?;
        self.find(&host.to_ascii_lowercase())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}
