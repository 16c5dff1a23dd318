//! Amounts of what is sold, with arithmetic that cannot wrap.

use std::fmt;

use serde::{Deserialize, Serialize};
use stoa_client::proto::types::v1::{GroupSpec, ResourceUnit};

use super::Reason;

/// Volumes in memory are part of the unit's memory.
pub(super) const RAM: &str = "ram";
pub(super) const EPHEMERAL: &str = "ephemeral";

/// So much of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
    pub storage: u64,
    pub gpu: u64,
}

impl Resources {
    /// What a group asks for in all.
    pub fn of_group(spec: &GroupSpec) -> Result<Self, Reason> {
        let overflow = || Reason::Malformed("its resources overflow".into());
        let mut sum = Self::default();
        for resource in &spec.resources {
            let unit = resource.unit.as_ref();
            let unit = unit.ok_or_else(|| Reason::Malformed("a resource without unit".into()))?;
            let units = Self::of_unit(unit).and_then(|one| one.times(u64::from(resource.count)));
            sum = units.and_then(|units| sum.plus(units)).ok_or_else(overflow)?;
        }
        Ok(sum)
    }

    fn of_unit(unit: &ResourceUnit) -> Option<Self> {
        let on_disk = unit.storage.iter().filter(|volume| volume.class != RAM);
        let storage = on_disk.map(|v| v.bytes).try_fold(0_u64, u64::checked_add)?;
        Some(Self {
            cpu: unit.cpu.as_ref().map_or(0, |cpu| cpu.millicores),
            memory: unit.memory.as_ref().map_or(0, |memory| memory.bytes),
            storage,
            gpu: unit.gpu.as_ref().map_or(0, |gpu| u64::from(gpu.units)),
        })
    }

    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            cpu: self.cpu.checked_add(other.cpu)?,
            memory: self.memory.checked_add(other.memory)?,
            storage: self.storage.checked_add(other.storage)?,
            gpu: self.gpu.checked_add(other.gpu)?,
        })
    }

    pub fn times(self, n: u64) -> Option<Self> {
        Some(Self {
            cpu: self.cpu.checked_mul(n)?,
            memory: self.memory.checked_mul(n)?,
            storage: self.storage.checked_mul(n)?,
            gpu: self.gpu.checked_mul(n)?,
        })
    }

    /// What is left; 0 where more is taken than there is, as after an
    /// operator has lowered the capacity.
    pub fn minus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(other.cpu),
            memory: self.memory.saturating_sub(other.memory),
            storage: self.storage.saturating_sub(other.storage),
            gpu: self.gpu.saturating_sub(other.gpu),
        }
    }

    /// The lesser of each.
    pub fn least(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            memory: self.memory.min(other.memory),
            storage: self.storage.min(other.storage),
            gpu: self.gpu.min(other.gpu),
        }
    }

    pub fn fits_in(self, other: Self) -> bool {
        self.least(other) == self
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MEBIBYTE: u64 = 1 << 20;
        write!(
            f,
            "{}m cpu, {} MiB memory, {} MiB storage",
            self.cpu,
            self.memory / MEBIBYTE,
            self.storage / MEBIBYTE
        )?;
        match self.gpu {
            0 => Ok(()),
            gpus => write!(f, ", {gpus} GPUs"),
        }
    }
}
