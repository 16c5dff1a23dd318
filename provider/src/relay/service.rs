//! The relay's side.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::io::{copy_bidirectional, split, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::ports::{listen, Ports};
use super::wire::{Token, Word};
use super::{ALPN, PING, SILENCE, SOON};
use crate::config::{ConfigError, Peering};
use crate::gateway::{Place, ProviderCaller, RawService};

/// Connections that wait to be told of.
const WAITING: usize = 16;

/// Listens for providers behind NATs.
pub struct RelayService {
    ports: Ports,
    allowed: Vec<String>,
    /// Connections at a time, of one provider.
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that wait to be fetched, and for whom.
    parked: HashMap<Token, (String, Parked)>,
    /// The registration of each provider; a new one ends the old.
    registered: HashMap<String, oneshot::Sender<()>>,
}

struct Parked {
    socket: TcpStream,
    permit: OwnedSemaphorePermit,
    since: Instant,
}

impl RelayService {
    /// None: this provider is no relay.
    pub fn open(peering: &Peering, data_dir: &Path) -> anyhow::Result<Option<Arc<Self>>> {
        let range = peering.ports().map_err(|e: ConfigError| anyhow::anyhow!(e))?;
        let Some(range) = range else { return Ok(None) };
        Ok(Some(Arc::new(Self {
            ports: Ports::open(range, data_dir)?,
            allowed: peering.relay_allowed.clone(),
            most: peering.relay_connections,
            state: Mutex::default(),
        })))
    }

    /// Serves one that wants to be listened for, until it goes.
    async fn register(&self, mut stream: TlsStream<TcpStream>, provider: &str, wanted: u16) {
        let (listener, port) = match self.listen_for(provider, wanted).await {
            Ok(found) => found,
            Err(why) => {
                tracing::info!(%provider, "not relayed: {why}");
                let _ = Word::Refused(why).write(&mut stream).await;
                let _ = stream.shutdown().await;
                return;
            }
        };
        if Word::Registered(port).write(&mut stream).await.is_err() {
            return;
        }
        tracing::info!(%provider, port, "relayed");
        let (end, ended) = oneshot::channel();
        self.state().registered.insert(provider.into(), end);
        let (tell, told) = mpsc::channel(WAITING);
        tokio::select! {
            () = self.let_in(&listener, provider, &tell) => {}
            () = self.sweep(provider) => {}
            () = converse(stream, told) => {}
            _ = ended => {}
        }
        self.state().parked.retain(|_, (of, _)| of != provider);
        tracing::info!(%provider, port, "no longer relayed");
    }

    async fn listen_for(&self, provider: &str, wanted: u16) -> Result<(TcpListener, u16), String> {
        if !self.allowed.is_empty() && !self.allowed.iter().any(|one| one == provider) {
            return Err("this relay is not for you (peering.relay_allowed)".into());
        }
        // A registration that is left over, as after a broken line.
        let before = self.state().registered.remove(provider);
        drop(before);
        let port = self.ports.give(provider, wanted)?;
        let bound = async {
            loop {
                match listen(port).await {
                    Ok(listener) => return listener,
                    Err(error) => tracing::debug!(port, "listening for {provider}: {error}"),
                }
                tokio::time::sleep(SOON / 20).await;
            }
        };
        match timeout(SOON, bound).await {
            Ok(listener) => Ok((listener, port)),
            Err(_) => Err(format!("port {port} of this relay is in use")),
        }
    }

    /// Parks what comes and tells of it; so many at a time.
    async fn let_in(&self, listener: &TcpListener, provider: &str, tell: &mpsc::Sender<Token>) {
        let places = Arc::new(Semaphore::new(self.most));
        loop {
            // Where all are in use, callers wait in the kernel's queue.
            let Ok(permit) = Arc::clone(&places).acquire_owned().await else { return };
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!("accepting for {provider}: {error}");
                    tokio::time::sleep(SOON / 100).await;
                    continue;
                }
            };
            let _ = socket.set_nodelay(true);
            let token: Token = rand::random();
            let parked = Parked { socket, permit, since: Instant::now() };
            self.state().parked.insert(token, (provider.into(), parked));
            if tell.send(token).await.is_err() {
                return;
            }
        }
    }

    /// Drops what is not fetched in time.
    async fn sweep(&self, provider: &str) {
        loop {
            tokio::time::sleep(SOON / 2).await;
            let kept = |of: &str, parked: &Parked| of != provider || parked.since.elapsed() < SOON;
            self.state().parked.retain(|_, (of, parked)| kept(of, parked));
        }
    }

    /// Gives a waiting connection to whom it is for.
    async fn splice(&self, mut stream: TlsStream<TcpStream>, provider: &str, token: Token) {
        let parked = {
            let mut state = self.state();
            match state.parked.get(&token) {
                Some((of, _)) if of == provider => state.parked.remove(&token),
                _ => None,
            }
        };
        let Some((_, Parked { mut socket, permit, .. })) = parked else { return };
        // Either end closes it; the gateway behind has its own patience.
        let _ = copy_bidirectional(&mut stream, &mut socket).await;
        drop(permit);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the provider behind of connections, and sees whether it is there.
async fn converse(stream: TlsStream<TcpStream>, mut told: mpsc::Receiver<Token>) {
    let (mut read, mut write) = split(stream);
    let hear = async {
        while let Ok(Ok(word)) = timeout(SILENCE, Word::read(&mut read)).await {
            if word != Word::Pong {
                return;
            }
        }
    };
    let say = async {
        loop {
            let word = match timeout(PING, told.recv()).await {
                Ok(Some(token)) => Word::Incoming(token),
                Ok(None) => return,
                Err(_) => Word::Ping,
            };
            if word.write(&mut write).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = hear => {}
        () = say => {}
    }
}

#[async_trait]
impl RawService for RelayService {
    fn alpn(&self) -> &'static [u8] {
        ALPN
    }

    async fn serve(
        &self,
        mut stream: TlsStream<TcpStream>,
        caller: ProviderCaller,
        _: SocketAddr,
        _place: Place,
    ) {
        let provider = caller.address;
        match timeout(SOON, Word::read(&mut stream)).await {
            Ok(Ok(Word::Register(port))) => self.register(stream, &provider, port).await,
            Ok(Ok(Word::Accept(token))) => self.splice(stream, &provider, token).await,
            _ => tracing::debug!(%provider, "said nothing that a relay knows"),
        }
    }
}
