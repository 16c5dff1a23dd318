//! Where instances are, once a provider has more than one machine. Plain
//! data: [`crate::fleet`] decides.

use serde::{Deserialize, Serialize};
use stoa_tunnel::hop::Hop;

use super::names::InstanceKey;
use super::spec::GpuRequest;
use super::Inventory;

/// On which machine an instance was found, and whether it was found now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Another machine's name; `None`: the daemon's own.
    pub host: Option<String>,
    /// The data plane's way there.
    pub hop: Option<Hop>,
    /// Its machine does not answer: what else is told was so when it did. To
    /// be neither changed nor believed gone.
    pub unknown: bool,
}

/// An instance that is to have a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub key: InstanceKey,
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    pub storage_bytes: u64,
    /// Of the models that were leased.
    pub gpu: Option<GpuRequest>,
    /// It has persistent volumes, which do not move.
    pub has_volumes: bool,
}

/// A machine, for working out what can be sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub name: String,
    pub inventory: Inventory,
    /// What the operator declares of it, in its place of the provider's
    /// `[capacity]`: thousandths of a core, bytes. `None`: that of the
    /// settings, which is for the daemon's own machine.
    pub declared: Option<[Option<u64>; 3]>,
    /// What has its place there.
    pub placed: Vec<Placed>,
    /// It answers and may get more.
    pub usable: bool,
}

/// An instance that has its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub lease: String,
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    pub storage_bytes: u64,
    pub gpu: Option<GpuRequest>,
}

impl Need {
    /// What it will take where it has its place.
    pub fn placed(&self) -> Placed {
        Placed {
            lease: self.key.lease.clone(),
            cpu_millis: self.cpu_millis,
            memory_bytes: self.memory_bytes,
            storage_bytes: self.storage_bytes,
            gpu: self.gpu.clone(),
        }
    }
}

impl Machine {
    /// The only one, of which no places are kept.
    pub fn alone(inventory: Inventory) -> Self {
        let name = crate::hosts::LOCAL.into();
        Self { name, inventory, declared: None, placed: vec![], usable: true }
    }
}
