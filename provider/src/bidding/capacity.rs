//! What can be sold: the lesser of what the operator declares and what the
//! machine has times the over-commit, less what is sold or bid for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{watch, Notify};

use super::gpu::GpuKind;
use super::intents::Intents;
use super::machines::MachineRooms;
use super::resources::Resources;
use super::standing::{may_win, unknown};
use crate::chain::View;
use crate::config::Config;
use crate::runtime::{Backend, Inventory, Machine};

/// How often the machine is measured.
const EVERY: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(5);

/// What can be sold in all, and on which processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    pub total: Resources,
    /// In Go's words: `amd64`, `arm64`.
    pub architecture: String,
    /// The same machine by machine.
    pub machines: MachineRooms,
    /// One of each kind that the engine reports.
    pub gpus: Vec<GpuKind>,
}

impl Capacity {
    pub fn new(config: &Config, machine: &Inventory) -> Self {
        let over = &config.overcommit;
        let observed = Resources {
            cpu: scale(machine.cpu_millis, over.cpu),
            memory: scale(machine.memory_bytes, over.memory),
            // 0: the engine's directory is not on this machine.
            storage: match machine.disk_bytes {
                0 => u64::MAX,
                bytes => scale(bytes, over.storage),
            },
            gpu: machine.gpus.len() as u64,
            // How many there are follows from the settings alone.
            ports: u64::MAX,
            ips: u64::MAX,
        };
        let declared = Resources {
            cpu: config.capacity.cpu.0,
            memory: config.capacity.memory.0,
            storage: config.capacity.storage.0,
            gpu: config.capacity.gpu,
            ports: config.ports.count(),
            ips: config.ips.pool.len() as u64,
        };
        Self {
            total: declared.least(observed),
            architecture: machine.architecture.clone(),
            gpus: kinds(machine),
            machines: MachineRooms::new(config, &[Machine::alone(machine.clone())]),
        }
    }

    /// Of several machines, the sum.
    pub fn of_machines(config: &Config, machines: &[Machine]) -> Option<Self> {
        let one = machines.iter().find(|machine| machine.usable).or(machines.first())?;
        let mut all = Self::new(config, &one.inventory);
        all.machines = MachineRooms::new(config, machines);
        let Resources { ports, ips, .. } = all.total;
        let sum = all.machines.total();
        let gpu = sum.gpu.min(config.capacity.gpu);
        all.total = Resources { gpu, ports, ips, ..sum };
        let usable = machines.iter().filter(|machine| machine.usable);
        all.gpus = usable.flat_map(|machine| kinds(&machine.inventory)).collect();
        Some(all)
    }

    /// What is neither leased nor bid for. Reservations have an owner (the
    /// order) and an end, and follow from the chain and the journal of
    /// intents, so none can leak.
    pub fn free(&self, view: &View, intents: &Intents) -> Resources {
        self.total.minus(self.used(view, intents))
    }

    /// What is leased or bid for, and what still has its place of leases that
    /// are over.
    pub fn used(&self, view: &View, intents: &Intents) -> Resources {
        let mut used = self.machines.left_behind(view);
        let mut take = |resources: Resources| used = used.plus(resources).unwrap_or(self.total);
        for lease in view.leases.values() {
            take(Resources::of_group(&lease.spec).unwrap_or_default());
        }
        may_win(view, intents).for_each(|intent| take(intent.resources));
        for spec in unknown(view, intents).filter_map(|(order, _)| order.spec.as_ref()) {
            take(Resources::of_group(spec).unwrap_or_default());
        }
        used
    }
}

/// What the engine's GPUs are called in the market.
fn kinds(machine: &Inventory) -> Vec<GpuKind> {
    let mut kinds: Vec<GpuKind> = vec![];
    for device in &machine.gpus {
        let kind = GpuKind {
            vendor: device.vendor.clone(),
            model: device.model.model.clone(),
            memory: device.model.memory.clone(),
            interface: device.model.interface.clone(),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn scale(amount: u64, factor: f64) -> u64 {
    // A float's conversion saturates; more than a machine has is no danger.
    (amount as f64 * factor) as u64
}

/// Measures the machine from time to time. An engine that does not answer
/// leaves the last capacity in place.
pub struct CapacityWatch {
    config: Arc<Config>,
    backend: Arc<dyn Backend>,
    /// Tells that something has given its place up.
    freed: Arc<Notify>,
    out: watch::Sender<Option<Capacity>>,
}

impl CapacityWatch {
    pub fn new(
        config: Arc<Config>,
        backend: Arc<dyn Backend>,
        freed: Arc<Notify>,
    ) -> (Self, watch::Receiver<Option<Capacity>>) {
        let (out, capacity) = watch::channel(None);
        (Self { config, backend, freed, out }, capacity)
    }

    pub async fn run(self) {
        while !self.out.is_closed() {
            let pause = match self.backend.machines().await {
                Ok(machines) => {
                    if let Some(capacity) = Capacity::of_machines(&self.config, &machines) {
                        self.out.send_replace(Some(capacity));
                    }
                    EVERY
                }
                Err(error) => {
                    tracing::warn!("measuring the machine: {error}");
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.freed.notified() => {}
            }
        }
    }
}
