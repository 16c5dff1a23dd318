//! Starting the data plane, where none answers. It has a session of its own
//! and outlives who started it, so that a restart cuts no connection.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use stoa_tunnel::routes::RouteTable;
use stoa_tunnel::{ControlClient, ControlError};
use tokio::process::Command;

use crate::config::Config;

const PROGRAM: &str = "stoa-tunnel";
/// How long a new one may take to answer.
const START: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// The data plane's process.
#[derive(Debug, Clone)]
pub struct DataPlane {
    program: PathBuf,
    /// Besides socket and state.
    arguments: Vec<OsString>,
    state: PathBuf,
    log: PathBuf,
    client: ControlClient,
}

impl DataPlane {
    pub fn new(config: &Config) -> Self {
        Self {
            program: config.ingress.tunnel_binary.clone().unwrap_or_else(tunnel_program),
            arguments: vec!["--listen".into(), config.ingress.listen.to_string().into()],
            state: config.tunnel_state(),
            log: config.data_dir.join("tunnel.log"),
            client: ControlClient::new(config.tunnel_control()),
        }
    }

    /// That of a further machine: links alone, all of it in the directory
    /// `dir`, which is there.
    pub fn of_links(program: Option<&Path>, dir: &Path) -> Self {
        Self {
            program: program.map_or_else(tunnel_program, Path::to_path_buf),
            arguments: vec!["links".into()],
            state: dir.join("state"),
            log: dir.join("log"),
            client: ControlClient::new(dir.join("control.sock")),
        }
    }

    pub fn client(&self) -> &ControlClient {
        &self.client
    }

    /// Finds it running or starts it. Says whether it was started.
    pub async fn ensure(&self) -> anyhow::Result<bool> {
        if self.client.status().await.is_ok() {
            return Ok(false);
        }
        let mut child = self.start().map_err(|error| {
            anyhow::anyhow!(
                "the data plane {} does not start: {error}; tunnel_binary names it",
                self.program.display()
            )
        })?;
        let until = tokio::time::Instant::now() + START;
        loop {
            if self.client.status().await.is_ok() {
                tracing::info!(pid = child.id(), "data plane started");
                // Reaps it should it end while this daemon lives.
                tokio::spawn(async move { child.wait().await });
                return Ok(true);
            }
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("the data plane ended ({status}); see {}", self.log.display());
            }
            if tokio::time::Instant::now() > until {
                anyhow::bail!("the data plane does not answer; see {}", self.log.display());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Puts a table in the place of the one that it has, as the next
    /// generation.
    pub async fn push(&self, mut table: RouteTable) -> anyhow::Result<()> {
        table.generation = self.client.status().await?.generation + 1;
        match self.client.set_routes(&table).await {
            Err(ControlError::Stale { current }) => {
                table.generation = current + 1;
                Ok(self.client.set_routes(&table).await?)
            }
            other => Ok(other?),
        }
    }

    fn start(&self) -> io::Result<tokio::process::Child> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg("--control")
            .arg(self.client.socket())
            .arg("--state")
            .arg(&self.state)
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

/// Installed beside this program, else found by the search path.
pub fn tunnel_program() -> PathBuf {
    let own = std::env::current_exe().ok();
    let beside = own.as_ref().and_then(|own| own.parent()).map(|d| d.join(PROGRAM));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PROGRAM.into())
}
