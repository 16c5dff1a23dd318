//! Which machine has room for what: best fit, so that large holes stay large.
//! Pure.

use crate::bidding::Resources;
use crate::config::Config;
use crate::runtime::{Machine, Placed};

/// A machine's room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub name: String,
    pub total: Resources,
    pub free: Resources,
}

/// What of a machine is for sale: the lesser of what is declared and what it
/// has times the over-commit. Ports and addresses are not a machine's: all
/// come in at the front.
pub fn sellable(config: &Config, machine: &Machine) -> Resources {
    let over = &config.overcommit;
    let has = &machine.inventory;
    let observed = Resources {
        cpu: scale(has.cpu_millis, over.cpu),
        memory: scale(has.memory_bytes, over.memory),
        // 0: the engine's directory is not on this machine.
        storage: match has.disk_bytes {
            0 => u64::MAX,
            bytes => scale(bytes, over.storage),
        },
        gpu: u64::try_from(has.gpus.len()).unwrap_or(u64::MAX),
        ..Resources::default()
    };
    let declared = match machine.declared {
        None => Resources {
            cpu: config.capacity.cpu.0,
            memory: config.capacity.memory.0,
            storage: config.capacity.storage.0,
            gpu: u64::MAX,
            ..Resources::default()
        },
        Some([cpu, memory, storage]) => Resources {
            cpu: cpu.unwrap_or(u64::MAX),
            memory: memory.unwrap_or(u64::MAX),
            storage: storage.unwrap_or(u64::MAX),
            gpu: u64::MAX,
            ..Resources::default()
        },
    };
    declared.least(observed)
}

fn scale(amount: u64, factor: f64) -> u64 {
    // A float's conversion saturates; more than a machine has is no danger.
    (amount as f64 * factor) as u64
}

/// What something that has its place takes.
pub fn taken(placed: &Placed) -> Resources {
    Resources {
        cpu: placed.cpu_millis,
        memory: placed.memory_bytes,
        storage: placed.storage_bytes,
        gpu: placed.gpus,
        ..Resources::default()
    }
}

/// The room that is filled the most by it, of those where it fits; the first
/// of equals.
pub fn best_fit(rooms: &[Room], need: Resources) -> Option<usize> {
    let fitting = rooms.iter().enumerate().filter(|(_, room)| need.fits_in(room.free));
    fitting.min_by_key(|(index, room)| (left_over(room, need), *index)).map(|(index, _)| index)
}

/// The room with the most left, for what must go somewhere though it fits
/// nowhere.
pub fn widest(rooms: &[Room]) -> Option<usize> {
    let rooms = rooms.iter().enumerate();
    rooms
        .max_by_key(|(index, room)| {
            (left_over(room, Resources::default()), std::cmp::Reverse(*index))
        })
        .map(|(index, _)| index)
}

/// Puts all parts somewhere, the largest first; false where one fits nowhere.
/// What fits nowhere still takes from the widest room.
pub fn pack(rooms: &mut [Room], parts: &[Resources]) -> bool {
    let mut order: Vec<Resources> = parts.to_vec();
    order.sort_by_key(|part| std::cmp::Reverse((part.memory, part.cpu, part.storage)));
    let mut all = true;
    for part in order {
        let place = best_fit(rooms, part);
        all &= place.is_some();
        if let Some(room) = place.or_else(|| widest(rooms)).and_then(|index| rooms.get_mut(index)) {
            room.free = room.free.minus(part);
        }
    }
    all
}

/// What would be left, summed over the kinds in millionths of the machine.
fn left_over(room: &Room, need: Resources) -> u64 {
    const WHOLE: u128 = 1_000_000;
    let left = room.free.minus(need);
    let kinds = [
        (left.cpu, room.total.cpu),
        (left.memory, room.total.memory),
        (left.storage, room.total.storage),
    ];
    kinds.iter().fold(0, |sum: u64, (left, total)| {
        let share = u128::from(*left) * WHOLE / u128::from(*total).max(1);
        sum.saturating_add(u64::try_from(share).unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cpu: u64, memory: u64) -> Resources {
        Resources { cpu, memory, storage: 1, ..Resources::default() }
    }

    fn room(name: &str, cpu: u64, memory: u64) -> Room {
        let all = Resources { storage: 1000, ..of(cpu, memory) };
        Room { name: name.into(), total: all, free: all }
    }

    #[test]
    fn what_fits_goes_where_least_is_left_over() {
        let rooms = [room("a", 8_000, 8_000), room("b", 2_000, 2_000), room("c", 2_000, 2_000)];
        assert_eq!(best_fit(&rooms, of(1_500, 1_500)), Some(1), "the first of equals");
        assert_eq!(best_fit(&rooms, of(3_000, 100)), Some(0));
        assert_eq!(best_fit(&rooms, of(9_000, 1)), None);
        assert_eq!(widest(&rooms), Some(0));
        assert_eq!(widest(&[]), None);
    }

    #[test]
    fn a_sum_that_suffices_is_not_room_on_one_machine() {
        let mut rooms = [room("a", 2_000, 2_000), room("b", 2_000, 2_000)];
        assert!(!pack(&mut rooms.clone(), &[of(3_000, 100)]));
        assert!(!pack(&mut rooms.clone(), &[of(1_500, 100); 3]));
        assert!(pack(&mut rooms, &[of(500, 500), of(1_500, 1_500), of(2_000, 1_000)]));
        assert_eq!((rooms[0].free.cpu, rooms[1].free.cpu), (0, 0), "the largest went first");
    }
}
