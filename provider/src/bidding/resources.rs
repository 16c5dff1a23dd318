//! Amounts of what is sold, with arithmetic that cannot wrap.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use stoa_client::proto::types::v1::{EndpointKind, GroupSpec, ResourceUnit};

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
    /// Ports of their own.
    #[serde(default)]
    pub ports: u64,
    /// Leased IPs.
    #[serde(default)]
    pub ips: u64,
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
        (sum.ports, sum.ips) = endpoints(spec);
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
            ..Self::default()
        })
    }

    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            cpu: self.cpu.checked_add(other.cpu)?,
            memory: self.memory.checked_add(other.memory)?,
            storage: self.storage.checked_add(other.storage)?,
            gpu: self.gpu.checked_add(other.gpu)?,
            ports: self.ports.checked_add(other.ports)?,
            ips: self.ips.checked_add(other.ips)?,
        })
    }

    pub fn times(self, n: u64) -> Option<Self> {
        Some(Self {
            cpu: self.cpu.checked_mul(n)?,
            memory: self.memory.checked_mul(n)?,
            storage: self.storage.checked_mul(n)?,
            gpu: self.gpu.checked_mul(n)?,
            ports: self.ports.checked_mul(n)?,
            ips: self.ips.checked_mul(n)?,
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
            ports: self.ports.saturating_sub(other.ports),
            ips: self.ips.saturating_sub(other.ips),
        }
    }

    /// The lesser of each.
    pub fn least(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            memory: self.memory.min(other.memory),
            storage: self.storage.min(other.storage),
            gpu: self.gpu.min(other.gpu),
            ports: self.ports.min(other.ports),
            ips: self.ips.min(other.ips),
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
        let counted = [(self.gpu, "GPUs"), (self.ports, "ports"), (self.ips, "leased IPs")];
        counted
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

/// Ports and addresses that a group takes: its instances share them, and
/// endpoints of one sequence number share an address.
fn endpoints(spec: &GroupSpec) -> (u64, u64) {
    let units = spec.resources.iter().filter_map(|resource| resource.unit.as_ref());
    let all: Vec<_> = units.flat_map(|unit| &unit.endpoints).collect();
    let ports = all.iter().filter(|one| one.kind() == EndpointKind::RandomPort).count();
    let ips: BTreeSet<u32> = all
        .iter()
        .filter(|one| one.kind() == EndpointKind::LeasedIp)
        .map(|one| one.sequence_number)
        .collect();
    (ports as u64, ips.len() as u64)
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::types::v1::Endpoint;

    use super::*;
    use crate::tests_support::order;

    #[test]
    fn instances_share_a_port_and_services_of_one_number_share_an_address() {
        let mut spec = order(1).spec.unwrap();
        let endpoint =
            |kind: EndpointKind, sequence_number| Endpoint { kind: kind.into(), sequence_number };
        spec.resources[0].unit.as_mut().unwrap().endpoints = vec![
            endpoint(EndpointKind::SharedHttp, 0),
            endpoint(EndpointKind::RandomPort, 0),
            endpoint(EndpointKind::RandomPort, 0),
            endpoint(EndpointKind::LeasedIp, 1),
            endpoint(EndpointKind::LeasedIp, 1),
            endpoint(EndpointKind::LeasedIp, 2),
        ];
        spec.resources[0].count = 5;
        let all = Resources::of_group(&spec).unwrap();
        assert_eq!((all.cpu, all.ports, all.ips), (5_000, 2, 2));
        assert!(all.to_string().ends_with("2 ports, 2 leased IPs"), "{all}");
        assert!(!all.fits_in(Resources { ports: 1, ..all }));
    }
}
