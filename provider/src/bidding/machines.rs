//! Room machine by machine: an order's instances must each fit on one, which
//! no sum can tell. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::intents::Intents;
use super::parts::{counted, each};
use super::resources::Resources;
use super::standing::{may_win, unknown};
use crate::chain::View;
use crate::config::Config;
use crate::fleet::{pack, taken, Part, Room};
use crate::runtime::Machine;

/// The machines as they were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineRooms {
    /// Those that may get something new, with what has its place there, by
    /// lease.
    usable: Vec<(Room, BTreeMap<String, Vec<Part>>)>,
    /// How many instances of each lease have a place anywhere.
    placed: BTreeMap<String, usize>,
    /// What has its place on the others, by lease.
    elsewhere: BTreeMap<String, Resources>,
}

impl MachineRooms {
    pub fn new(config: &Config, machines: &[Machine]) -> Self {
        let mut rooms = Self::default();
        for machine in machines {
            let mut by_lease: BTreeMap<String, Vec<Part>> = BTreeMap::new();
            for placed in &machine.placed {
                *rooms.placed.entry(placed.lease.clone()).or_default() += 1;
                if machine.usable {
                    by_lease.entry(placed.lease.clone()).or_default().push(Part::of(placed));
                } else {
                    let sum = rooms.elsewhere.entry(placed.lease.clone()).or_default();
                    *sum = add(*sum, taken(placed));
                }
            }
            if machine.usable {
                rooms.usable.push((Room::new(config, machine), by_lease));
            }
        }
        rooms
    }

    /// What is for sale in all. A machine that may get nothing new counts for
    /// what is sold of it already.
    pub fn total(&self) -> Resources {
        let totals = self.usable.iter().map(|(room, _)| room.total);
        totals.chain(self.elsewhere.values().copied()).fold(Resources::default(), add)
    }

    /// What still has its place of leases that are not live: they run on
    /// unpaid for a while, or cannot be removed.
    pub fn left_behind(&self, view: &View) -> Resources {
        let is_over = |lease: &String| !view.leases.contains_key(lease);
        let usable = self.usable.iter().flat_map(|(_, by_lease)| by_lease);
        let usable = usable.filter(|(lease, _)| is_over(lease));
        let usable = usable.flat_map(|(_, parts)| parts.iter().map(|part| part.size));
        let elsewhere = self.elsewhere.iter().filter(|(lease, _)| is_over(lease));
        usable.chain(elsewhere.map(|(_, size)| *size)).fold(Resources::default(), add)
    }

    /// What is left on each machine: less what has its place there, and less
    /// what is leased or bid for and has none yet, put where it would go.
    pub fn left(&self, view: &View, intents: &Intents) -> Vec<Room> {
        let mut homeless = vec![];
        let mut incomplete = BTreeSet::new();
        for lease in view.leases.values() {
            let parts = each(&counted(&lease.spec, &lease.lease.gpus));
            if self.placed.get(&lease.name).copied().unwrap_or(0) < parts.len().max(1) {
                homeless.extend(parts);
                incomplete.insert(&lease.name);
            }
        }
        let mut left = vec![];
        for (room, by_lease) in &self.usable {
            let mut room = room.clone();
            let complete = by_lease.iter().filter(|(lease, _)| !incomplete.contains(lease));
            complete.flat_map(|(_, parts)| parts).for_each(|part| room.take(part));
            left.push(room);
        }
        homeless.extend(bid_for(view, intents));
        // What fits nowhere still takes its room.
        pack(&mut left, &homeless);
        left
    }
}

/// What bids may still win.
fn bid_for(view: &View, intents: &Intents) -> Vec<Part> {
    let mut parts: Vec<Part> =
        may_win(view, intents).flat_map(|intent| intent.instances()).collect();
    for (order, bid) in unknown(view, intents) {
        parts.extend(order.spec.iter().flat_map(|spec| each(&counted(spec, &bid.gpus))));
    }
    parts
}

/// Whether instances fit, each on one machine.
pub fn fits(left: &[Room], parts: &[Part]) -> bool {
    pack(&mut left.to_vec(), parts)
}

/// What does not add up is left as it was.
fn add(sum: Resources, one: Resources) -> Resources {
    sum.plus(one).unwrap_or(sum)
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::types::v1::{Endpoint, EndpointKind, GroupSpec};

    use super::*;
    use crate::bidding::Capacity;
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
        let fits = |spec: &GroupSpec| fits(&left, &each(&counted(spec, &[])));
        assert!(fits(&spec), "a core fits on the first");
        let unit = spec.resources[0].unit.as_mut().unwrap();
        unit.endpoints
            .push(Endpoint { kind: EndpointKind::RandomPort.into(), ..Endpoint::default() });
        assert!(fits(&spec), "a port is no machine's");
        spec.resources[0].count = 2;
        assert!(!fits(&spec), "two cores only in the sum");
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
        machines[0].placed.push(placed(&lease.name));
        assert_eq!(free(&machines), [1_000, 1_500]);
        machines[0].usable = false;
        assert_eq!(free(&machines), [1_500]);
    }

    /// A core of a lease.
    fn placed(lease: &str) -> Placed {
        Placed {
            lease: lease.into(),
            cpu_millis: 1_000,
            memory_bytes: 1 << 30,
            storage_bytes: 1 << 30,
            gpu: None,
        }
    }

    #[test]
    fn what_a_lease_that_is_over_still_holds_is_not_sold_again() {
        let (_dir, intents) = intents();
        let mut view = view();
        let mut machines = two(2_000, 1_500);
        machines[0].placed.push(placed("unpaid"));
        machines[1].placed.push(placed("stuck"));
        let free = |machines: &[Machine], view: &View| {
            let capacity = Capacity::of_machines(&config(), machines).unwrap();
            let left = capacity.machines.left(view, &intents);
            let left: Vec<u64> = left.iter().map(|room| room.free.cpu).collect();
            (left, capacity.free(view, &intents).cpu)
        };
        assert_eq!(free(&machines, &view), (vec![1_000, 500], 1_500));
        // One of a machine that may get nothing new counts there.
        machines[1].usable = false;
        assert_eq!(free(&machines, &view), (vec![1_000], 1_000));
        machines[1].usable = true;
        // A live one counts once.
        let lease = lease_view(&order(1));
        machines[0].placed[0].lease = lease.name.clone();
        view.leases.insert(lease.name.clone(), lease);
        assert_eq!(free(&machines, &view), (vec![1_000, 500], 1_500));
        machines.iter_mut().for_each(|machine| machine.placed.clear());
        view.leases.clear();
        assert_eq!(free(&machines, &view), (vec![2_000, 1_500], 3_500), "removed: free at once");
    }
}
