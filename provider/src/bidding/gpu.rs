//! GPUs: what is here, and which model is offered for what is asked. They are
//! counted by model and machine: no other model serves in one's place.

use stoa_client::money::Dec;
use stoa_client::proto::market::v1::GpuOffer;
use stoa_client::proto::types::v1::{Gpu, GpuModel, GroupSpec, ResourceUnit};

use super::parts::{each, part_of};
use super::resources::Resources;
use super::Reason;
use crate::config::Pricing;
use crate::fleet::{pack, Part, Room};

/// GPUs of one kind that the engine reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuKind {
    /// Such as `nvidia`.
    pub vendor: String,
    /// Such as `a100`.
    pub model: String,
    /// Such as `80Gi`; empty: not known.
    pub memory: String,
    /// Such as `pcie`; empty: not known.
    pub interface: String,
}

/// The model offered for each unit of a group that asks for GPUs, the
/// cheapest that it accepts.
pub fn gpu_offers(
    spec: &GroupSpec,
    here: &[GpuKind],
    pricing: &Pricing,
) -> Result<Vec<GpuOffer>, Reason> {
    let units = spec.resources.iter().filter_map(|resource| resource.unit.as_ref());
    let offers = units.filter_map(|unit| Some((unit, wanted(unit)?)));
    offers.map(|(unit, gpu)| offer(unit.id, gpu, here, pricing)).collect()
}

/// The same, of models of which enough are left: the cheapest with which the
/// unit's instances fit on the machines, each on one.
pub fn gpu_offers_left(
    spec: &GroupSpec,
    here: &[GpuKind],
    pricing: &Pricing,
    rooms: &[Room],
) -> Result<Vec<GpuOffer>, Reason> {
    let mut left = rooms.to_vec();
    let mut offers = vec![];
    for resource in &spec.resources {
        let Some((unit, gpu)) = resource.unit.as_ref().and_then(|unit| Some((unit, wanted(unit)?)))
        else {
            continue;
        };
        let models = priced(gpu, here, pricing)?.into_iter().map(|kind| &kind.model);
        let ways: Vec<(GpuOffer, Vec<Part>)> = models
            .map(|model| {
                let offer = GpuOffer { unit: unit.id, model: model.clone() };
                let part = part_of(resource, std::slice::from_ref(&offer));
                (offer, each(&[(resource.count, part)]))
            })
            .collect();
        let fits = |parts: &[Part]| pack(&mut left.clone(), parts);
        let all = ways.iter().find(|(_, parts)| fits(parts));
        // Where it is other room that lacks, that is what is to be told.
        let found = all.or_else(|| ways.iter().find(|(_, parts)| fits(&only_gpus(parts))));
        let Some((offer, parts)) = found else { return Err(Reason::GpuRoom(words(gpu))) };
        pack(&mut left, parts);
        offers.push(offer.clone());
    }
    Ok(offers)
}

fn only_gpus(parts: &[Part]) -> Vec<Part> {
    let only = |part: &Part| Part {
        size: Resources { gpu: part.size.gpu, ..Resources::default() },
        gpu: part.gpu.clone(),
    };
    parts.iter().map(only).collect()
}

/// What a unit asks for, where it asks for any.
pub(super) fn wanted(unit: &ResourceUnit) -> Option<&Gpu> {
    unit.gpu.as_ref().filter(|gpu| gpu.units > 0)
}

/// The price of a model: its own, or that of any other.
pub(super) fn price_of<'a>(pricing: &'a Pricing, model: &str) -> Option<&'a String> {
    pricing.gpu.get(model).or_else(|| pricing.gpu.get("*"))
}

fn offer(unit: u32, gpu: &Gpu, here: &[GpuKind], pricing: &Pricing) -> Result<GpuOffer, Reason> {
    let cheapest = priced(gpu, here, pricing)?.into_iter().next();
    let model = cheapest.map(|kind| kind.model.clone()).unwrap_or_default();
    Ok(GpuOffer { unit, model })
}

/// Those that are asked for and have a price, the cheapest first; at least
/// one.
fn priced<'a>(
    gpu: &Gpu,
    here: &'a [GpuKind],
    pricing: &Pricing,
) -> Result<Vec<&'a GpuKind>, Reason> {
    if here.is_empty() {
        return Err(Reason::Gpu);
    }
    let fitting = here.iter().filter(|kind| accepts(gpu, kind));
    let mut priced: Vec<(Dec, &GpuKind)> = fitting
        .filter_map(|kind| Some((price_of(pricing, &kind.model)?.parse().ok()?, kind)))
        .collect();
    priced.sort_by_key(|(price, _)| *price);
    match priced.is_empty() {
        true => Err(Reason::GpuModel(words(gpu))),
        false => Ok(priced.into_iter().map(|(_, kind)| kind).collect()),
    }
}

/// What is asked for, for people.
fn words(gpu: &Gpu) -> String {
    let models: Vec<&str> = gpu.models.iter().map(|model| model.model.as_str()).collect();
    let models = if models.is_empty() { "*".into() } else { models.join(", ") };
    format!("{} {models}", gpu.vendor)
}

/// As the chain sees it: no list is any model of the vendor.
fn accepts(gpu: &Gpu, kind: &GpuKind) -> bool {
    let same = |asked: &str, own: &str| asked.is_empty() || asked == own;
    let fits = |asked: &GpuModel| {
        (asked.model == "*" || asked.model == kind.model)
            && same(&asked.memory, &kind.memory)
            && same(&asked.interface, &kind.interface)
    };
    gpu.vendor == kind.vendor && (gpu.models.is_empty() || gpu.models.iter().any(fits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{config, order};

    fn kind(model: &str, memory: &str) -> GpuKind {
        GpuKind {
            vendor: "nvidia".into(),
            model: model.into(),
            memory: memory.into(),
            interface: String::new(),
        }
    }

    fn asking(models: &[(&str, &str)]) -> GroupSpec {
        let model = |(model, memory): &(&str, &str)| GpuModel {
            model: (*model).into(),
            memory: (*memory).into(),
            interface: String::new(),
        };
        let models = models.iter().map(model).collect();
        let mut spec = order(1).spec.unwrap();
        let unit = spec.resources[0].unit.as_mut().unwrap();
        unit.gpu = Some(Gpu { units: 1, vendor: "nvidia".into(), models });
        spec
    }

    #[test]
    fn the_cheapest_model_that_an_order_accepts_is_offered_and_priced_ones_only() {
        let mut pricing = config().pricing;
        pricing.gpu = [("a100", "300"), ("t4", "50")].map(|(m, p)| (m.into(), p.into())).into();
        let here = [kind("a100", "80Gi"), kind("t4", "16Gi"), kind("h100", "80Gi")];
        let offered = |models: &[(&str, &str)], pricing: &Pricing| {
            gpu_offers(&asking(models), &here, pricing).map(|offers| offers[0].model.clone())
        };
        assert_eq!(offered(&[], &pricing).unwrap(), "t4");
        assert_eq!(offered(&[("*", "80Gi")], &pricing).unwrap(), "a100");
        assert!(matches!(offered(&[("h100", "")], &pricing), Err(Reason::GpuModel(_))));
        pricing.gpu.insert("*".into(), "1000".into());
        assert_eq!(offered(&[("h100", "")], &pricing).unwrap(), "h100");
        assert_eq!(gpu_offers(&asking(&[]), &[], &pricing), Err(Reason::Gpu));
        assert_eq!(gpu_offers(&order(1).spec.unwrap(), &here, &pricing), Ok(vec![]));
    }
}
