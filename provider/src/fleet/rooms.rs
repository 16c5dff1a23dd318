//! Which machine has room for what: best fit, so that large holes stay large.
//! Pure.

use serde::{Deserialize, Serialize};

use super::gpus::GpuStock;
use crate::bidding::Resources;
use crate::config::Config;
use crate::runtime::{GpuRequest, Machine, Placed};

/// A machine's room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub name: String,
    pub total: Resources,
    pub free: Resources,
    /// GPUs that are free, by model.
    pub gpus: GpuStock,
    /// All that are there.
    pub all_gpus: GpuStock,
}

/// What needs one machine: an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub size: Resources,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuRequest>,
}

impl Room {
    /// All of a machine that is for sale, free.
    pub fn new(config: &Config, machine: &Machine) -> Self {
        let total = sellable(config, machine);
        let gpus = GpuStock::of(&machine.inventory.gpus);
        Self { name: machine.name.clone(), total, free: total, all_gpus: gpus.clone(), gpus }
    }

    pub fn fits(&self, part: &Part) -> bool {
        part.size.fits_in(self.free) && self.gpus.has(part.gpu.as_ref())
    }

    /// Takes a part's room, or what there is of it.
    pub fn take(&mut self, part: &Part) {
        self.free = self.free.minus(part.size);
        self.gpus.take(part.gpu.as_ref());
    }
}

impl Part {
    /// Of something that has its place.
    pub fn of(placed: &Placed) -> Self {
        Self { size: taken(placed), gpu: placed.gpu.clone() }
    }
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
        gpu: placed.gpu.as_ref().map_or(0, |gpu| u64::from(gpu.units)),
        ..Resources::default()
    }
}

/// The room that is filled the most by it, of those where it fits; the first
/// of equals.
pub fn best_fit(rooms: &[Room], part: &Part) -> Option<usize> {
    let fitting = rooms.iter().enumerate().filter(|(_, room)| room.fits(part));
    fitting.min_by_key(|(index, room)| (left_over(room, part.size), *index)).map(|(index, _)| index)
}

/// The room with the most left, for what must go somewhere though it fits
/// nowhere: where its GPUs are free, else where there are such at all. None:
/// there are none.
pub fn widest(rooms: &[Room], gpu: Option<&GpuRequest>) -> Option<usize> {
    let widest_of = |has: &dyn Fn(&Room) -> bool| {
        let rooms = rooms.iter().enumerate().filter(|(_, room)| has(room));
        let left = |room: &Room| left_over(room, Resources::default());
        rooms.max_by_key(|(index, room)| (left(room), std::cmp::Reverse(*index)))
    };
    let found = widest_of(&|room| room.gpus.has(gpu)).or(widest_of(&|room| room.all_gpus.has(gpu)));
    found.map(|(index, _)| index)
}

/// Puts all parts somewhere, the largest first; false where one fits nowhere.
/// What fits nowhere still takes from the widest room.
pub fn pack(rooms: &mut [Room], parts: &[Part]) -> bool {
    let mut order: Vec<&Part> = parts.iter().collect();
    order.sort_by_key(|part| {
        // Few machines have GPUs: what needs none must not be in the way.
        std::cmp::Reverse((part.gpu.is_some(), part.size.memory, part.size.cpu, part.size.storage))
    });
    let mut all = true;
    for part in order {
        let place = best_fit(rooms, part);
        all &= place.is_some();
        let place = place.or_else(|| widest(rooms, part.gpu.as_ref()));
        if let Some(room) = place.and_then(|index| rooms.get_mut(index)) {
            room.take(part);
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
    use crate::runtime::{GpuDevice, GpuModel};

    fn of(cpu: u64, memory: u64) -> Part {
        Part { size: Resources { cpu, memory, storage: 1, ..Resources::default() }, gpu: None }
    }

    fn room(name: &str, cpu: u64, memory: u64) -> Room {
        let all = Resources { storage: 1000, ..of(cpu, memory).size };
        let gpus = GpuStock::default();
        Room { name: name.into(), total: all, free: all, all_gpus: gpus.clone(), gpus }
    }

    fn with_gpus(room: Room, models: &[&str]) -> Room {
        let device = |model: &&str| GpuDevice {
            id: String::new(),
            vendor: "nvidia".into(),
            model: GpuModel { model: (*model).into(), ..GpuModel::default() },
        };
        let gpus = GpuStock::of(&models.iter().map(device).collect::<Vec<_>>());
        let gpu = models.len() as u64;
        let total = Resources { gpu, ..room.total };
        Room { total, free: total, all_gpus: gpus.clone(), gpus, ..room }
    }

    fn gpus(part: Part, units: u32, model: &str) -> Part {
        let model = GpuModel { model: model.into(), ..GpuModel::default() };
        let request = GpuRequest { units, vendor: "nvidia".into(), models: vec![model] };
        let size = Resources { gpu: u64::from(units), ..part.size };
        Part { size, gpu: Some(request) }
    }

    #[test]
    fn what_fits_goes_where_least_is_left_over() {
        let rooms = [room("a", 8_000, 8_000), room("b", 2_000, 2_000), room("c", 2_000, 2_000)];
        assert_eq!(best_fit(&rooms, &of(1_500, 1_500)), Some(1), "the first of equals");
        assert_eq!(best_fit(&rooms, &of(3_000, 100)), Some(0));
        assert_eq!(best_fit(&rooms, &of(9_000, 1)), None);
        assert_eq!(widest(&rooms, None), Some(0));
        assert_eq!(widest(&[], None), None);
    }

    #[test]
    fn a_sum_that_suffices_is_not_room_on_one_machine() {
        let mut rooms = [room("a", 2_000, 2_000), room("b", 2_000, 2_000)];
        assert!(!pack(&mut rooms.clone(), &[of(3_000, 100)]));
        assert!(!pack(&mut rooms.clone(), &[of(1_500, 100), of(1_500, 100), of(1_500, 100)]));
        assert!(pack(&mut rooms, &[of(500, 500), of(1_500, 1_500), of(2_000, 1_000)]));
        assert_eq!((rooms[0].free.cpu, rooms[1].free.cpu), (0, 0), "the largest went first");
    }

    #[test]
    fn a_gpu_of_another_model_is_no_room() {
        let mut rooms = [
            with_gpus(room("a", 1_000, 1_000), &["t4", "t4"]),
            with_gpus(room("b", 8_000, 8_000), &["a100", "t4"]),
        ];
        let of_model = |units, model| gpus(of(500, 500), units, model);
        assert_eq!(best_fit(&rooms, &of_model(1, "t4")), Some(0));
        assert_eq!(best_fit(&rooms, &of_model(1, "a100")), Some(1), "though there are GPUs on a");
        assert_eq!(best_fit(&rooms, &of_model(2, "a100")), None);
        assert!(pack(&mut rooms, &[of_model(1, "a100")]));
        assert_eq!(best_fit(&rooms, &of_model(1, "a100")), None, "the other is a t4");
        assert_eq!(best_fit(&rooms, &of_model(1, "*")), Some(0));
        // What must go somewhere waits where such GPUs are.
        assert_eq!(widest(&rooms, of_model(1, "a100").gpu.as_ref()), Some(1));
        assert_eq!(widest(&rooms, of_model(2, "t4").gpu.as_ref()), Some(0));
        assert_eq!(widest(&rooms, of_model(1, "h100").gpu.as_ref()), None);
    }
}
