//! Room machine by machine: an order's instances must each fit on one, which
//! no sum can tell. Pure.

use std::collections::BTreeMap;

use stoa_client::ids::{order_of, TextId};
use stoa_client::proto::types::v1::GroupSpec;

use super::intents::Intents;
use super::resources::Resources;
use super::round::Round;
use super::Reason;
use crate::chain::View;
use crate::config::Config;
use crate::fleet::{pack, sellable, taken, Room};
use crate::runtime::Machine;

/// A bid's room is kept so many seconds past its order's closing, for the
/// lease to be seen.
const RESERVED_AFTER_CLOSING: u64 = 15;

/// The machines as they were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineRooms {
    /// Those that may get something new, with what has its place there, by
    /// lease.
    usable: Vec<(Room, BTreeMap<String, Resources>)>,
    /// How many instances of each lease have a place anywhere.
    placed: BTreeMap<String, usize>,
    /// What has its place on the others.
    elsewhere: Resources,
}

impl MachineRooms {
    pub fn new(config: &Config, machines: &[Machine]) -> Self {
        let mut rooms = Self::default();
        for machine in machines {
            let mut by_lease: BTreeMap<String, Resources> = BTreeMap::new();
            for placed in &machine.placed {
                let sum = by_lease.entry(placed.lease.clone()).or_default();
                *sum = sum.plus(taken(placed)).unwrap_or(*sum);
                *rooms.placed.entry(placed.lease.clone()).or_default() += 1;
            }
            if !machine.usable {
                let all = by_lease.values();
                rooms.elsewhere =
                    all.fold(rooms.elsewhere, |sum, one| sum.plus(*one).unwrap_or(sum));
            } else {
                let total = sellable(config, machine);
                let room = Room { name: machine.name.clone(), total, free: total };
                rooms.usable.push((room, by_lease));
            }
        }
        rooms
    }

    /// What is for sale in all. A machine that may get nothing new counts for
    /// what is sold of it already.
    pub fn total(&self) -> Resources {
        let totals = self.usable.iter().map(|(room, _)| room.total);
        totals.fold(self.elsewhere, |sum, one| sum.plus(one).unwrap_or(sum))
    }

    /// Lets those of a round's bids pass whose instances do not fit, each on
    /// one machine.
    pub fn keep_what_fits(&self, view: &View, intents: &Intents, round: &mut Round) {
        let mut left = self.left(view, intents);
        round.bids.retain(|bid| {
            let mut orders = view.orders.iter();
            let order = orders.find(|order| order.id.as_ref() == Some(&bid.order));
            let spec = order.and_then(|order| order.spec.as_ref());
            let fits = spec.is_some_and(|spec| fits(&mut left, spec));
            if !fits {
                round.passed.push((bid.order.text(), Reason::Machine));
            }
            fits
        });
    }

    /// What is left on each machine: less what has its place there, and less
    /// what is leased or bid for and has none yet, put where it would go.
    pub fn left(&self, view: &View, intents: &Intents) -> Vec<Room> {
        let mut left: Vec<Room> = self.usable.iter().map(|(room, _)| room.clone()).collect();
        let mut homeless = vec![];
        for lease in view.leases.values() {
            let parts = parts_of(&lease.spec);
            if self.placed.get(&lease.name).copied().unwrap_or(0) < parts.len().max(1) {
                homeless.extend(parts);
                continue;
            }
            for (room, (_, by_lease)) in left.iter_mut().zip(&self.usable) {
                let here = by_lease.get(&lease.name).copied().unwrap_or_default();
                room.free = room.free.minus(here);
            }
        }
        homeless.extend(self.bid_for(view, intents));
        // What fits nowhere still takes its room.
        pack(&mut left, &homeless);
        left
    }

    /// What bids may still win.
    fn bid_for(&self, view: &View, intents: &Intents) -> Vec<Resources> {
        let leased: Vec<String> =
            view.leases.values().map(|lease| order_of(&lease.id).text()).collect();
        let spec_of = |name: &str| {
            let mut orders = view.orders.iter();
            let order = orders.find(|order| order.id.as_ref().is_some_and(|id| id.text() == name));
            order.and_then(|order| order.spec.as_ref())
        };
        let mut parts = vec![];
        for (order, intent) in intents.iter() {
            let waits = intent.holds_room()
                && view.time < intent.closes_at.saturating_add(RESERVED_AFTER_CLOSING);
            let lost = view.time >= intent.closes_at && !view.bids.contains_key(order);
            if waits && !lost && !leased.contains(order) {
                match spec_of(order) {
                    Some(spec) => parts.extend(parts_of(spec)),
                    None => parts.push(Resources { ports: 0, ips: 0, ..intent.resources }),
                }
            }
        }
        // Bids of which the journal knows nothing: it was lost.
        let unknown = view.bids.keys().filter(|order| intents.get(order).is_none());
        parts.extend(unknown.filter_map(|order| spec_of(order)).flat_map(parts_of));
        parts
    }
}

/// Whether an order's instances fit, each on one machine; takes their room.
pub fn fits(left: &mut [Room], spec: &GroupSpec) -> bool {
    let mut tried = left.to_vec();
    let all = pack(&mut tried, &parts_of(spec));
    if all {
        left.clone_from_slice(&tried);
    }
    all
}

/// Each instance's size.
fn parts_of(spec: &GroupSpec) -> Vec<Resources> {
    let parts = spec.resources.iter().flat_map(|resource| {
        let one = GroupSpec {
            resources: vec![stoa_client::proto::types::v1::GroupResource {
                count: 1,
                ..resource.clone()
            }],
            ..GroupSpec::default()
        };
        let size = Resources::of_group(&one).unwrap_or_default();
        // Those are the provider's, whatever the machine.
        let size = Resources { ports: 0, ips: 0, ..size };
        std::iter::repeat_n(size, usize::try_from(resource.count).unwrap_or(0))
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::types::v1::{Endpoint, EndpointKind};

    use super::*;
    use crate::runtime::Placed;
    use crate::tests_support::{config, lease_view, machine, order, view};

    /// Two machines with so many thousandths of a core for sale.
    fn two(first: u64, second: u64) -> Vec<Machine> {
        let of = |name: &str, cpu| Machine {
            name: name.into(),
            declared: Some([Some(cpu), None, None]),
            ..Machine::alone(machine())
        };
        vec![of("a", first), of("b", second)]
    }

    fn intents() -> (tempfile::TempDir, Intents) {
        let dir = tempfile::tempdir().unwrap();
        let intents = Intents::open(&dir.path().join("bids.json")).unwrap();
        (dir, intents)
    }

    #[test]
    fn an_instance_needs_one_machine_with_room_for_all_of_it() {
        let (_dir, intents) = intents();
        let rooms = MachineRooms::new(&config(), &two(1_500, 900));
        assert_eq!(rooms.total().cpu, 2_400);
        let mut spec = order(1).spec.unwrap();
        let left = rooms.left(&view(), &intents);
        assert!(fits(&mut left.clone(), &spec), "a core fits on the first");
        let unit = spec.resources[0].unit.as_mut().unwrap();
        unit.endpoints
            .push(Endpoint { kind: EndpointKind::RandomPort.into(), ..Endpoint::default() });
        assert!(fits(&mut left.clone(), &spec), "a port is no machine's");
        spec.resources[0].count = 2;
        assert!(!fits(&mut left.clone(), &spec), "two cores only in the sum");
    }

    #[test]
    fn what_has_its_place_counts_there_and_on_a_silent_machine_nowhere_else() {
        let (_dir, intents) = intents();
        let mut view = view();
        let lease = lease_view(&order(1));
        view.leases.insert(lease.name.clone(), lease.clone());
        let free = |machines: &[Machine]| -> Vec<u64> {
            let rooms = MachineRooms::new(&config(), machines);
            rooms.left(&view, &intents).iter().map(|room| room.free.cpu).collect()
        };
        let mut machines = two(2_000, 1_500);
        assert_eq!(free(&machines), [2_000, 500], "it has no place yet: by best fit");
        machines[0].placed.push(Placed {
            lease: lease.name.clone(),
            cpu_millis: 1_000,
            memory_bytes: 1 << 30,
            storage_bytes: 1 << 30,
            gpus: 0,
        });
        assert_eq!(free(&machines), [1_000, 1_500]);
        machines[0].usable = false;
        assert_eq!(free(&machines), [1_500]);
    }
}
