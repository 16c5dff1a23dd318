//! How the machines are, for the operator.

use serde::{Deserialize, Serialize};

use super::{sellable, taken, Fleet};
use crate::bidding::Resources;
use crate::hosts::HostOrder;
use crate::runtime::Machine;
use crate::store;

use super::host::Host;

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    pub name: String,
    pub state: HostState,
    /// Why it is not `up`.
    pub why: String,
    /// Instances that have their place there.
    pub instances: usize,
    /// What of it is for sale, and what of that is taken. Zero where it was
    /// not reached yet.
    pub total: Resources,
    pub taken: Resources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    Up,
    /// It does not answer.
    Unknown,
    Draining,
    Dead,
}

impl HostState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unknown => "unknown",
            Self::Draining => "draining",
            Self::Dead => "dead",
        }
    }
}

impl Fleet {
    /// All machines, by name; the daemon's own among them.
    pub fn report(&self) -> Vec<HostReport> {
        self.hosts().iter().map(|host| self.report_host(host)).collect()
    }

    fn report_host(&self, host: &Host) -> HostReport {
        let silence = host.silence();
        let state = match (host.order(), &silence) {
            (HostOrder::Dead, _) => HostState::Dead,
            (_, Some(_)) => HostState::Unknown,
            (HostOrder::Draining, None) => HostState::Draining,
            (HostOrder::Active, None) => HostState::Up,
        };
        let placed = self.placements.taken_on(&host.name);
        let sum = placed
            .iter()
            .fold(Resources::default(), |sum, placed| sum.plus(taken(placed)).unwrap_or(sum));
        let total = host.known_inventory().map(|inventory| {
            let machine = Machine { declared: host.declared, ..Machine::alone(inventory) };
            sellable(&self.config, &machine)
        });
        HostReport {
            name: host.name.clone(),
            state,
            why: silence.map(|(why, _)| why).unwrap_or_default(),
            instances: placed.len(),
            total: total.unwrap_or_default(),
            taken: sum,
        }
    }

    /// For `stoa-provider hosts list`.
    pub(super) fn write_state(&self) {
        let report = self.report();
        let Ok(bytes) = serde_json::to_vec_pretty(&report) else { return };
        if std::fs::read(&self.state_file).ok().as_ref() == Some(&bytes) {
            return;
        }
        if let Err(error) = store::write(&self.state_file, &bytes) {
            tracing::warn!("{}: {error}", self.state_file.display());
        }
    }
}
