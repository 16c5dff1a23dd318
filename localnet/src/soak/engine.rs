//! An engine of the soak's own, which may be killed.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use bollard::{
    query_parameters::{
        ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    },
    Docker,
};
use tokio::process::Command;

const LEASE_LABEL: &str = "stoa.lease";
const SECONDS: u64 = 60;

/// Started, killed and started again by `scripts/engine.sh`.
#[derive(Clone, Debug)]
pub struct OwnEngine {
    /// The script.
    pub script: PathBuf,
    /// The engine's directory.
    pub dir: PathBuf,
}

/// An object that the engine has, and the lease that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) what: String,
    /// Empty where it carries none.
    pub(super) lease: String,
    /// A workload's container that runs.
    pub(super) serves: bool,
}

impl OwnEngine {
    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    pub(super) async fn kill(&self) -> Result<()> {
        self.run("kill").await
    }

    pub(super) async fn again(&self) -> Result<()> {
        self.run("again").await
    }

    async fn run(&self, verb: &str) -> Result<()> {
        let told = || format!("{} {verb}", self.script.display());
        let output = Command::new(&self.script).arg(verb).arg(&self.dir).output();
        let output = output.await.with_context(told)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", told());
        Ok(())
    }

    pub(super) async fn connect(&self) -> Result<Docker> {
        let path = self.socket();
        let path: &Path = &path;
        let path = path.to_str().context("the engine's socket")?;
        let docker = Docker::connect_with_unix(path, SECONDS, bollard::API_DEFAULT_VERSION)?;
        docker.negotiate_version().await.context("the soak's engine does not answer")
    }

    /// All containers, networks and volumes but the engine's own three networks.
    pub(super) async fn objects(&self) -> Result<Vec<Object>> {
        let docker = self.connect().await?;
        let lease = |labels: &std::collections::HashMap<String, String>| {
            labels.get(LEASE_LABEL).cloned().unwrap_or_default()
        };
        let mut all = Vec::new();
        let options = ListContainersOptionsBuilder::default().all(true).build();
        for one in docker.list_containers(Some(options)).await? {
            let labels = one.labels.unwrap_or_default();
            let running = one.state.is_some_and(|state| state.to_string() == "running");
            let workload = labels.get("stoa.role").is_some_and(|role| role == "workload");
            all.push(Object {
                what: format!("container {}", one.names.unwrap_or_default().concat()),
                lease: lease(&labels),
                serves: running && workload,
            });
        }
        let options = ListNetworksOptionsBuilder::default().build();
        for one in docker.list_networks(Some(options)).await? {
            let name = one.name.unwrap_or_default();
            if !["bridge", "host", "none"].contains(&name.as_str()) {
                let lease = lease(&one.labels.unwrap_or_default());
                all.push(Object { what: format!("network {name}"), lease, serves: false });
            }
        }
        let options = ListVolumesOptionsBuilder::default().build();
        for one in docker.list_volumes(Some(options)).await?.volumes.unwrap_or_default() {
            let lease = lease(&one.labels);
            all.push(Object { what: format!("volume {}", one.name), lease, serves: false });
        }
        Ok(all)
    }
}
