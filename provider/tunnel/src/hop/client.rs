//! The front's side: a connection to an instance on another machine.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::client::TlsStream;
use tokio_rustls::TlsConnector;

use super::header::{self, Answer, Wanted};
use super::tls::{check_pin, client_config, Material};
use super::udp;

/// Where another machine's relay is, and who it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The machine's name, for people and logs.
    pub host: String,
    pub relay: SocketAddr,
    /// The name in its certificate.
    pub name: String,
    /// SHA-256 of that certificate, in hex.
    pub fingerprint: String,
    /// The front's own certificate and key, and the authority's certificate:
    /// files on this machine, PEM.
    pub identity: PathBuf,
    pub authority: PathBuf,
}

/// Dials relays. Configurations are kept, and with them TLS sessions that can
/// be taken up again.
#[derive(Clone, Default)]
pub struct HopDialer {
    configs: Arc<Mutex<HashMap<PathBuf, Loaded>>>,
}

struct Loaded {
    modified: Option<SystemTime>,
    config: Arc<ClientConfig>,
}

impl HopDialer {
    /// Connects to what is wanted at a hop; the stream is the instance's once
    /// this returns.
    pub async fn connect(
        &self,
        hop: &Hop,
        wanted: &Wanted,
        deadline: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let connecting = self.connect_now(hop, wanted);
        tokio::time::timeout(deadline, connecting).await.unwrap_or_else(|_| {
            let words = format!("the machine {} did not connect in time", hop.host);
            Err(io::Error::new(io::ErrorKind::TimedOut, words))
        })
    }

    /// A socket whose datagrams are those of an instance's UDP port.
    pub async fn udp(
        &self,
        hop: &Hop,
        instance: &str,
        port: u16,
        deadline: Duration,
    ) -> io::Result<UdpSocket> {
        let wanted = Wanted::Flow { instance: instance.into(), port };
        let stream = self.connect(hop, &wanted, deadline).await?;
        let (near, far) = udp::pair().await?;
        tokio::spawn(udp::carry(stream, far));
        Ok(near)
    }

    async fn connect_now(&self, hop: &Hop, wanted: &Wanted) -> io::Result<TlsStream<TcpStream>> {
        let config = self.config(hop)?;
        let name = ServerName::try_from(hop.name.clone()).map_err(io::Error::other)?;
        let socket = TcpStream::connect(hop.relay).await?;
        socket.set_nodelay(true)?;
        let mut stream = TlsConnector::from(config).connect(name, socket).await?;
        check_pin(stream.get_ref().1.peer_certificates(), &hop.fingerprint)
            .map_err(io::Error::other)?;
        header::write(&mut stream, wanted).await?;
        match header::read(&mut stream).await? {
            Answer::Connected => Ok(stream),
            Answer::Failed { timed_out, why } => {
                let kind = if timed_out { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
                Err(io::Error::new(kind, format!("at the machine {}: {why}", hop.host)))
            }
        }
    }

    /// Read anew when the identity's file is another.
    fn config(&self, hop: &Hop) -> io::Result<Arc<ClientConfig>> {
        let modified = std::fs::metadata(&hop.identity)?.modified().ok();
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = configs.get(&hop.identity).filter(|k| k.modified == modified) {
            return Ok(Arc::clone(&known.config));
        }
        let material = Material::load(&hop.identity, &hop.authority).map_err(io::Error::other)?;
        let config = client_config(&material, &[]).map_err(io::Error::other)?;
        let loaded = Loaded { modified, config: Arc::clone(&config) };
        configs.insert(hop.identity.clone(), loaded);
        Ok(config)
    }
}
