//! Keeps the relay's table of instances what the engine says, and says it on.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use stoa_tunnel::hop::{InstanceTable, RelayInstance, TABLE_FILE};
use tokio::sync::{watch, Notify};

use super::relay::STATE;
use super::settings::AgentDir;
use crate::runtime::{Backend, DockerBackend, Observation};
use crate::store;

/// The engine is looked at this often even if it says nothing.
const EVERY: Duration = Duration::from_secs(10);
const RECONNECT: Duration = Duration::from_secs(2);

/// Goes on for ever. What cannot be observed changes nothing.
pub(super) async fn keep_table(
    backend: Arc<DockerBackend>,
    dir: AgentDir,
    changed: Arc<Notify>,
    observed: watch::Sender<Option<Arc<Observation>>>,
) {
    let listener = tokio::spawn(listen(Arc::clone(&backend), Arc::clone(&changed)));
    let _abort = AbortOnDrop(listener);
    let path = dir.path(STATE).join(TABLE_FILE);
    let mut written = None;
    loop {
        match backend.observe().await {
            Ok(seen) => {
                let table = table(&seen);
                if written.as_ref() != Some(&table) {
                    match write(&path, &table) {
                        Ok(()) => written = Some(table),
                        Err(error) => tracing::error!("{}: {error}", path.display()),
                    }
                }
                observed.send_replace(Some(Arc::new(seen)));
            }
            Err(error) => tracing::warn!("the engine cannot be observed: {error}"),
        }
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Links that restart have new namespaces.
async fn listen(backend: Arc<DockerBackend>, changed: Arc<Notify>) {
    loop {
        let mut events = backend.events();
        while let Some(Ok(event)) = events.next().await {
            if !event.action.starts_with("exec_") {
                changed.notify_one();
            }
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

fn table(seen: &Observation) -> InstanceTable {
    let instances = seen.instances.iter().filter_map(|(key, instance)| {
        let (netns, address) = instance.way_to(0)?;
        Some(RelayInstance { instance: key.to_string(), netns, address: address.ip() })
    });
    InstanceTable { instances: instances.collect() }
}

fn write(path: &std::path::Path, table: &InstanceTable) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    store::write(path, &serde_json::to_vec(table)?)
}
