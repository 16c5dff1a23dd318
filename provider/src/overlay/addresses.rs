//! Which of a subnet's free addresses stands for which name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stoa_tunnel::routes::Transport;

/// What is listened on under a name.
pub(super) type Ports = BTreeSet<(Transport, u16)>;

/// Indexes into the subnet's free addresses, by name. A name keeps its own as
/// long as it is wanted: connections to an address end when it goes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Slots(BTreeMap<String, usize>);

impl Slots {
    /// Gives each name a slot. Names share one where no other is free and
    /// their ports differ. Those that got none are answered.
    pub(super) fn assign(
        &mut self,
        wanted: &BTreeMap<String, Ports>,
        available: usize,
    ) -> Vec<String> {
        let mut used: Vec<Ports> = vec![Ports::new(); available];
        let mut kept = BTreeMap::new();
        for (name, slot) in &self.0 {
            let Some((ports, place)) = wanted.get(name).zip(used.get_mut(*slot)) else { continue };
            if place.is_disjoint(ports) {
                place.extend(ports);
                kept.insert(name.clone(), *slot);
            }
        }
        self.0 = kept;
        let mut without = vec![];
        for (name, ports) in wanted {
            if self.0.contains_key(name) {
                continue;
            }
            let free = used.iter().position(BTreeSet::is_empty);
            let shared = || used.iter().position(|place| place.is_disjoint(ports));
            match free.or_else(shared) {
                Some(slot) => {
                    used[slot].extend(ports);
                    self.0.insert(name.clone(), slot);
                }
                None => without.push(name.clone()),
            }
        }
        without
    }

    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[(&str, u16)]) -> BTreeMap<String, Ports> {
        let one =
            |(name, port): &(&str, u16)| (name.to_string(), Ports::from([(Transport::Tcp, *port)]));
        names.iter().map(one).collect()
    }

    #[test]
    fn a_name_keeps_its_address_while_others_come_and_go() {
        let mut slots = Slots::default();
        assert!(slots.assign(&wanted(&[("m", 1), ("z", 1)]), 3).is_empty());
        let (m, z) = (slots.get("m"), slots.get("z"));
        assert!(m.is_some() && z.is_some() && m != z);
        assert!(slots.assign(&wanted(&[("a", 1), ("m", 1), ("z", 1)]), 3).is_empty());
        assert_eq!((slots.get("m"), slots.get("z")), (m, z));
        assert!(slots.assign(&wanted(&[("a", 1), ("z", 1)]), 3).is_empty());
        assert_eq!((slots.get("m"), slots.get("z")), (None, z));
    }

    #[test]
    fn names_share_an_address_where_none_is_free_and_their_ports_differ() {
        let mut slots = Slots::default();
        let without = slots.assign(&wanted(&[("a", 80), ("b", 80), ("c", 81), ("d", 80)]), 2);
        assert_eq!(without, ["d"]);
        assert_ne!(slots.get("a"), slots.get("b"));
        assert!(slots.get("c").is_some());
        // A smaller subnet than before.
        assert_eq!(slots.assign(&wanted(&[("a", 80), ("b", 80)]), 1), ["b"]);
        assert_eq!(slots.assign(&wanted(&[("a", 80)]), 0), ["a"]);
    }
}
