//! What a group's instances need, each of one machine.

use stoa_client::proto::market::v1::GpuOffer;
use stoa_client::proto::types::v1::{Gpu, GroupResource, GroupSpec};

use super::gpu::wanted;
use super::resources::Resources;
use crate::fleet::Part;
use crate::runtime::{GpuModel, GpuRequest};

/// So many instances, and what each of them needs.
pub type Counted = (u32, Part);

/// A group's, with GPUs of the models that were offered for them.
pub fn counted(spec: &GroupSpec, offers: &[GpuOffer]) -> Vec<Counted> {
    spec.resources.iter().map(|resource| (resource.count, part_of(resource, offers))).collect()
}

/// One by one.
pub fn each(counted: &[Counted]) -> Vec<Part> {
    let parts = counted
        .iter()
        .flat_map(|(count, part)| std::iter::repeat_n(part, usize::try_from(*count).unwrap_or(0)));
    parts.cloned().collect()
}

/// What one instance needs.
pub(super) fn part_of(resource: &GroupResource, offers: &[GpuOffer]) -> Part {
    let one = GroupSpec {
        resources: vec![GroupResource { count: 1, ..resource.clone() }],
        ..GroupSpec::default()
    };
    let size = Resources::of_group(&one).unwrap_or_default();
    let gpu = resource.unit.as_ref().and_then(|unit| {
        let offer = offers.iter().find(|offer| offer.unit == unit.id);
        Some(request_of(wanted(unit)?, offer.map(|offer| offer.model.as_str()).unwrap_or_default()))
    });
    // Those are the provider's, whatever the machine.
    Part { size: Resources { ports: 0, ips: 0, ..size }, gpu }
}

/// GPUs of the model that was offered; of any that is asked for where none
/// was.
fn request_of(gpu: &Gpu, model: &str) -> GpuRequest {
    let mut models: Vec<GpuModel> = gpu
        .models
        .iter()
        .filter(|asked| model.is_empty() || asked.model == "*" || asked.model == model)
        .map(|asked| GpuModel {
            model: if model.is_empty() { asked.model.clone() } else { model.into() },
            memory: asked.memory.clone(),
            interface: asked.interface.clone(),
        })
        .collect();
    if models.is_empty() && !model.is_empty() {
        models.push(GpuModel { model: model.into(), ..GpuModel::default() });
    }
    GpuRequest { units: gpu.units, vendor: gpu.vendor.clone(), models }
}
