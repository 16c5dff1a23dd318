//! The relay's process. It has a session of its own and outlives the agent,
//! so that a restart cuts no connection.

use std::fs::OpenOptions;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::settings::{AgentDir, Settings};
use crate::ingress::tunnel_program;

/// The relay's directory in the agent's.
pub(super) const STATE: &str = "relay";
/// It is looked after this often.
const EVERY: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(2);

pub(super) struct RelayProcess {
    program: PathBuf,
    listen: SocketAddr,
    dir: AgentDir,
    child: Option<Child>,
}

impl RelayProcess {
    pub(super) fn new(dir: &AgentDir, settings: &Settings) -> Self {
        Self {
            program: settings.tunnel_binary.clone().unwrap_or_else(tunnel_program),
            listen: settings.relay,
            dir: dir.clone(),
            child: None,
        }
    }

    /// Starts it whenever nobody listens.
    pub(super) async fn keep(mut self) {
        loop {
            // Reaps the one before, should it have ended.
            let runs = match &mut self.child {
                Some(child) => matches!(child.try_wait(), Ok(None)),
                None => false,
            };
            if !runs && !self.listens().await {
                match self.start() {
                    Ok(child) => {
                        tracing::info!(listen = %self.listen, pid = child.id(), "relay started");
                        self.child = Some(child);
                    }
                    Err(error) => tracing::error!(
                        "the relay {} does not start: {error}",
                        self.program.display()
                    ),
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn listens(&self) -> bool {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(address));
        matches!(connecting.await, Ok(Ok(_)))
    }

    fn start(&self) -> io::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.dir.path("relay.log"))?;
        let mut command = Command::new(&self.program);
        command
            .arg("relay")
            .arg("--listen")
            .arg(self.listen.to_string())
            .arg("--identity")
            .arg(self.dir.identity())
            .arg("--authority")
            .arg(self.dir.authority())
            .arg("--state")
            .arg(self.dir.path(STATE))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(false);
        // SAFETY: setsid is async-signal-safe, and nothing else is done
        // between fork and exec.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(|| nix::unistd::setsid().map(|_| ()).map_err(io::Error::from));
        }
        command.spawn()
    }
}
