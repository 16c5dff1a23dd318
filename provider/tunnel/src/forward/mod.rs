//! Ports of this host that lead to workloads: TCP connections and UDP flows,
//! dialled from inside the workloads' link namespaces.
//!
//! Each port has a task of its own. A new table starts and ends only the
//! ports that it adds and drops; where it changes a port's instances, the
//! connections under way stay where they are.

mod address;
mod flow;
pub(crate) mod listen;
mod tcp;
mod udp;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{watch, Semaphore};
use tokio::task::JoinHandle;

use crate::control::{TargetFailure, Unbound};
use crate::counters::LiveCounters;
use crate::reach::Reach;
use crate::routes::{Forward, Target, Transport};
use crate::slots::{places, ClientCounts};
use crate::targets::TargetSet;

pub(crate) use address::Addresses;
use listen::Own;

/// A port that could not be had is tried again after this.
const REBIND: Duration = Duration::from_secs(2);

/// Bounds on what clients of forwarded ports may do.
#[derive(Debug, Clone, Copy)]
pub struct ForwardLimits {
    /// TCP connections open at a time, through all ports.
    pub connections: usize,
    /// Of these, through one port.
    pub connections_per_port: usize,
    /// Of these, from one address.
    pub connections_per_client: usize,
    /// A connection without a byte either way for so long ends.
    pub tcp_idle: Duration,
    /// UDP flows at a time, through all ports.
    pub flows: usize,
    pub flows_per_port: usize,
    pub flows_per_client: usize,
    /// A flow that the workload has never answered ends after so long.
    pub unanswered_idle: Duration,
    /// One that it has answered, after so long without a datagram.
    pub answered_idle: Duration,
    /// Connecting to a workload.
    pub dial_timeout: Duration,
    /// Connections under way get so long when the process is told to end.
    pub drain: Duration,
}

impl Default for ForwardLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            connections_per_port: 4_096,
            connections_per_client: 512,
            tcp_idle: Duration::from_secs(24 * 3600),
            flows: 16_384,
            flows_per_port: 4_096,
            flows_per_client: 512,
            // As conntrack has them.
            unanswered_idle: Duration::from_secs(30),
            answered_idle: Duration::from_secs(180),
            dial_timeout: Duration::from_secs(5),
            drain: Duration::from_secs(10),
        }
    }
}

/// What all ports share.
pub(crate) struct Shared {
    pub(crate) reach: Reach,
    pub(crate) counters: Arc<LiveCounters>,
    pub(crate) limits: ForwardLimits,
    connections: Arc<Semaphore>,
    flows: Arc<Semaphore>,
    ending: watch::Receiver<bool>,
}

/// One port as its task sees it.
struct Port {
    shared: Arc<Shared>,
    targets: watch::Receiver<Arc<TargetSet>>,
    clients: Arc<ClientCounts>,
}

/// All ports of the table in use.
pub(crate) struct Forwards {
    shared: Arc<Shared>,
    running: Mutex<HashMap<Key, Running>>,
}

type Key = (Transport, SocketAddr);

/// A port of the table.
struct Running {
    targets: watch::Sender<Arc<TargetSet>>,
    /// Its task, or why there is none.
    task: Result<JoinHandle<()>, String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The task has the port and everything that goes through it.
        if let Ok(task) = &self.task {
            task.abort();
        }
    }
}

impl Forwards {
    pub(crate) fn new(
        reach: Reach,
        counters: Arc<LiveCounters>,
        limits: ForwardLimits,
        ending: watch::Receiver<bool>,
    ) -> Self {
        let shared = Shared {
            reach,
            counters,
            limits,
            connections: places(limits.connections),
            flows: places(limits.flows),
            ending,
        };
        Self { shared: Arc::new(shared), running: Mutex::default() }
    }

    /// Makes the ports those of a table.
    pub(crate) fn apply(&self, forwards: &[Forward]) {
        let mut running = self.running();
        let wanted: HashMap<Key, &Vec<Target>> =
            forwards.iter().map(|f| ((f.transport, f.listen), &f.targets)).collect();
        running.retain(|key, _| wanted.contains_key(key));
        for (key, targets) in wanted {
            match running.get(&key) {
                Some(port) => port.set_targets(targets),
                None => {
                    let port = self.begin(key, TargetSet::new(targets.clone()), own(&running, key));
                    running.insert(key, port);
                }
            }
        }
    }

    fn begin(&self, key: Key, targets: TargetSet, own: Own) -> Running {
        let (targets, watched) = watch::channel(Arc::new(targets));
        let mut port = Running { targets, task: Err(String::new()) };
        port.task = self.listen(key, watched, own).map_err(|error| {
            tracing::warn!(transport = %key.0, listen = %key.1, %error, "a port cannot be had");
            error.to_string()
        });
        port
    }

    fn listen(
        &self,
        (transport, listen): Key,
        targets: watch::Receiver<Arc<TargetSet>>,
        own: Own,
    ) -> io::Result<JoinHandle<()>> {
        let port = Port { shared: Arc::clone(&self.shared), targets, clients: Arc::default() };
        Ok(match transport {
            Transport::Tcp => tokio::spawn(tcp::serve(listen::tcp(listen, own)?, port)),
            Transport::Udp => tokio::spawn(udp::serve(udp::Socket::open(listen, own)?, port)),
        })
    }

    /// Tries again, for ever, what could not be had.
    pub(crate) async fn keep_trying(&self) {
        loop {
            tokio::time::sleep(REBIND).await;
            let mut running = self.running();
            let failed = running.iter().filter(|(_, port)| port.task.is_err());
            let failed: Vec<(Key, Own)> =
                failed.map(|(key, _)| (*key, own(&running, *key))).collect();
            for (key, own) in failed {
                let Some(port) = running.get_mut(&key) else { continue };
                match self.listen(key, port.targets.subscribe(), own) {
                    Ok(task) => {
                        tracing::info!(transport = %key.0, listen = %key.1, "the port is had now");
                        port.task = Ok(task);
                    }
                    Err(error) => port.task = Err(error.to_string()),
                }
            }
        }
    }

    /// Waits until nothing goes through any more, or the drain's time is over.
    pub(crate) async fn drain(&self) {
        let limits = &self.shared.limits;
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(limits.drain, self.shared.connections.acquire_many(all)).await;
    }

    pub(crate) fn listening(&self) -> usize {
        self.running().values().filter(|port| port.task.is_ok()).count()
    }

    pub(crate) fn unbound(&self) -> Vec<Unbound> {
        let running = self.running();
        let failed =
            running.iter().filter_map(|(key, port)| Some((key, port.task.as_ref().err()?)));
        failed
            .map(|(key, error)| Unbound { transport: key.0, listen: key.1, error: error.clone() })
            .collect()
    }

    /// Targets whose last try failed.
    pub(crate) fn failures(&self, most: usize) -> Vec<TargetFailure> {
        let mut failures = Vec::new();
        for port in self.running().values() {
            let targets = port.targets.borrow();
            failures.extend(targets.failures().take(most.saturating_sub(failures.len())));
        }
        failures
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Key, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a running port is the same one of another address.
fn own(running: &HashMap<Key, Running>, key: Key) -> Own {
    let same = |other: &Key, port: &Running| {
        other.0 == key.0 && other.1 != key.1 && other.1.port() == key.1.port() && port.task.is_ok()
    };
    match running.iter().any(|(other, port)| same(other, port)) {
        true => Own::Has,
        false => Own::HasNot,
    }
}

impl Running {
    fn set_targets(&self, targets: &[Target]) {
        self.targets.send_if_modified(|current| {
            let changed = current.all() != targets;
            if changed {
                *current = Arc::new(TargetSet::new(targets.to_vec()));
            }
            changed
        });
    }
}

impl Port {
    fn targets(&self) -> Arc<TargetSet> {
        Arc::clone(&self.targets.borrow())
    }

    /// Returns when the process is told to end.
    async fn ended(&self) {
        let _ = self.shared.ending.clone().wait_for(|ending| *ending).await;
    }
}
