//! HTTPS at the ingress: the listener, the certificates, and where they come
//! from. Everything is on disk, so that a restart serves at once.

mod acme;
mod ca;
mod certificates;
mod files;
mod settings;

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::forward::listen;
use crate::ingress::{serve, Ingress};
use crate::live::Routes;

pub(crate) use acme::Challenges;
pub(crate) use certificates::Certificates;
pub use settings::{AcmeSettings, CertificateFile, TlsSettings};

/// How often the operator's files are looked at, and a port that could not
/// be had is tried again.
const LOOK: Duration = Duration::from_secs(2);
const DIRECTORY: &str = "tls";

/// HTTPS as the table in use wants it.
pub(crate) struct Https {
    directory: PathBuf,
    certificates: Arc<Certificates>,
    challenges: Arc<Challenges>,
    routes: Arc<Routes>,
    ending: watch::Receiver<bool>,
    state: Mutex<State>,
    /// The port that plain HTTP redirects to; 0 where it does not.
    redirect: AtomicU16,
}

#[derive(Default)]
struct State {
    settings: Option<TlsSettings>,
    listener: Option<Listener>,
    acme: Option<acme::Worker>,
    problem: Option<String>,
}

struct Listener {
    wanted: SocketAddr,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Connections have tasks of their own, and go on.
        self.task.abort();
    }
}

impl Https {
    pub(crate) fn open(
        state: PathBuf,
        routes: Arc<Routes>,
        challenges: Arc<Challenges>,
        ending: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let directory = state.join(DIRECTORY);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self {
            directory,
            certificates: Arc::new(Certificates::new(Arc::clone(&routes))),
            challenges,
            routes,
            ending,
            state: Mutex::default(),
            redirect: AtomicU16::new(0),
        })
    }

    /// Makes HTTPS what a table wants.
    pub(crate) fn apply(&self, settings: Option<&TlsSettings>, ingress: &Arc<Ingress>) {
        let mut state = self.state();
        if state.settings.as_ref() == settings {
            if let Some(worker) = &state.acme {
                worker.look();
            }
            return;
        }
        let before = state.settings.take();
        state.settings = settings.cloned();
        let redirect = settings.and_then(|settings| settings.redirect_to).unwrap_or(0);
        self.redirect.store(redirect, Ordering::Relaxed);
        state.problem = None;
        let Some(settings) = settings else {
            *state = State::default();
            self.certificates.set_ca(None);
            return;
        };
        if let Err(error) = self.open_ca(settings) {
            tracing::error!("the ingress's own CA: {error}");
            state.problem = Some(format!("the ingress's own CA: {error}"));
        }
        let files = &self.certificates.files;
        files.write().unwrap_or_else(PoisonError::into_inner).set(&settings.files);
        if before.and_then(|before| before.acme) != settings.acme || state.acme.is_none() {
            self.certificates.forget_acme();
            state.acme = settings.acme.as_ref().map(|acme| {
                let directory = self.directory.join("acme");
                let (certificates, challenges) =
                    (Arc::clone(&self.certificates), Arc::clone(&self.challenges));
                let routes = Arc::clone(&self.routes);
                acme::Worker::start(acme.clone(), directory, certificates, challenges, routes)
            });
        }
        self.listen(&mut state, ingress);
    }

    fn open_ca(&self, settings: &TlsSettings) -> io::Result<()> {
        if !self.certificates.has_ca() {
            let ca = ca::OwnCa::open(&self.directory, &settings.ca_name)?;
            tracing::info!(ca = %ca.public().display(), "users may trust the ingress's own CA");
            self.certificates.set_ca(Some(ca));
        }
        Ok(())
    }

    fn listen(&self, state: &mut State, ingress: &Arc<Ingress>) {
        let Some(wanted) = state.settings.as_ref().map(|settings| settings.listen) else { return };
        if state.listener.as_ref().is_some_and(|listener| listener.wanted == wanted) {
            return;
        }
        state.listener = None;
        match self.begin(wanted, ingress) {
            Ok(listener) => {
                tracing::info!(listen = %listener.address, "serving HTTPS");
                state.listener = Some(listener);
                state.problem = None;
            }
            Err(error) => state.problem = Some(format!("HTTPS on {wanted}: {error}")),
        }
    }

    fn begin(&self, wanted: SocketAddr, ingress: &Arc<Ingress>) -> io::Result<Listener> {
        let listener = listen::tcp(wanted, listen::Own::HasNot)?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(self.server_config()?));
        let serving = serve(listener, Arc::clone(ingress), self.ending.clone(), Some(acceptor));
        Ok(Listener { wanted, address, task: tokio::spawn(serving) })
    }

    fn server_config(&self) -> io::Result<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificates = Arc::clone(&self.certificates);
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(io::Error::other)?;
        Ok(config)
    }

    /// Looks after files and the port, for ever.
    pub(crate) async fn look_after(&self, ingress: &Arc<Ingress>) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.certificates.files.write().unwrap_or_else(PoisonError::into_inner).reload();
            let mut state = self.state();
            if state.listener.is_none() {
                self.listen(&mut state, ingress);
            }
        }
    }

    /// The port that plain HTTP redirects to, if it does.
    pub(crate) fn redirect_to(&self) -> Option<u16> {
        Some(self.redirect.load(Ordering::Relaxed)).filter(|port| *port > 0)
    }

    pub(crate) fn listening(&self) -> Option<SocketAddr> {
        self.state().listener.as_ref().map(|listener| listener.address)
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let state = self.state();
        let mut problems: Vec<String> = state.problem.iter().cloned().collect();
        let files = self.certificates.files.read().unwrap_or_else(PoisonError::into_inner);
        problems.extend(files.problems());
        problems.extend(state.acme.iter().flat_map(acme::Worker::problems));
        problems
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
