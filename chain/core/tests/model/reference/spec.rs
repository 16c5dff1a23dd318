//! "Resources and requirements of a group": what a group may ask for.

use std::collections::BTreeSet;

use stoa_chain::types::Address;
use stoa_proto::types::v1 as tpb;

use super::{Fine, Outcome, Refusal, World, ONE};

/// A decimal integer of 10^-18 units.
pub fn fine(text: &str) -> Result<Fine, Refusal> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("malformed number");
    }
    text.parse().map_err(|_| "malformed number")
}

pub fn address(text: &str) -> Result<Address, Refusal> {
    text.parse().map_err(|_| "malformed address")
}

/// "The order's max rate is the sum of count × unit max rate."
pub fn max_rate(spec: &tpb::GroupSpec) -> Result<Fine, Refusal> {
    let mut sum = 0;
    for resource in &spec.resources {
        let rate = resource.max_rate.as_ref().ok_or("max rate missing")?;
        sum += fine(&rate.amount)? * u128::from(resource.count);
    }
    Ok(sum)
}

impl World {
    pub fn check_groups(&self, groups: &[tpb::GroupSpec], denom: &str) -> Outcome {
        let mut names = BTreeSet::new();
        for spec in groups {
            self.check_spec(spec, denom)?;
            if !names.insert(&spec.name) {
                return Err("group's name twice");
            }
        }
        Ok(())
    }

    fn check_spec(&self, spec: &tpb::GroupSpec, denom: &str) -> Outcome {
        let bounds = &self.params.deployment;
        if spec.name.is_empty() {
            return Err("group without a name");
        }
        if spec.resources.is_empty() || spec.resources.len() > bounds.max_units_per_group as usize {
            return Err("number of units");
        }
        let mut ids = BTreeSet::new();
        for resource in &spec.resources {
            self.check_resource(resource, denom)?;
            if !ids.insert(resource.unit.as_ref().map_or(0, |unit| unit.id)) {
                return Err("unit's id twice");
            }
        }
        let endpoints = spec.resources.iter().filter_map(|r| r.unit.as_ref());
        if endpoints.map(|unit| unit.endpoints.len()).sum::<usize>() > bounds.max_endpoints as usize
        {
            return Err("endpoints over the bound");
        }
        let market = &self.params.market;
        let window = market.min_reclamation..=market.max_reclamation;
        if spec.reclamation != 0 && !window.contains(&spec.reclamation) {
            return Err("reclamation window out of bounds");
        }
        self.check_requirements(spec.requirements.as_ref())
    }

    fn check_resource(&self, resource: &tpb::GroupResource, denom: &str) -> Outcome {
        let bounds = &self.params.deployment;
        let within = |value: u64, from: u64, to: u64| value >= from && value <= to;
        if !within(u64::from(resource.count), 1, u64::from(bounds.max_count)) {
            return Err("count out of bounds");
        }
        let rate = resource.max_rate.as_ref().ok_or("max rate missing")?;
        if rate.denom != denom {
            return Err("max rate in another denom");
        }
        if fine(&rate.amount)? == 0 {
            return Err("max rate of nothing");
        }
        if fine(&rate.amount)? > 1_000_000_000 * ONE {
            return Err("max rate over 10^9 units a second");
        }
        let unit = resource.unit.as_ref().ok_or("unit missing")?;
        let cpu = unit.cpu.as_ref().map_or(0, |cpu| cpu.millicores);
        if !within(cpu, bounds.min_cpu, bounds.max_cpu) {
            return Err("cpu out of bounds");
        }
        let memory = unit.memory.map_or(0, |memory| memory.bytes);
        if !within(memory, bounds.min_memory, bounds.max_memory) {
            return Err("memory out of bounds");
        }
        if unit.storage.len() > bounds.max_volumes as usize {
            return Err("too many volumes");
        }
        let classes = ["ephemeral", "ram", "default", "beta1", "beta2", "beta3"];
        for volume in &unit.storage {
            if !within(volume.bytes, bounds.min_storage, bounds.max_storage) {
                return Err("storage out of bounds");
            }
            if !classes.contains(&volume.class.as_str()) {
                return Err("unknown storage class");
            }
        }
        if let Some(gpu) = &unit.gpu {
            if gpu.units > bounds.max_gpu_units || gpu.models.len() > bounds.max_gpu_models as usize
            {
                return Err("gpus out of bounds");
            }
        }
        Ok(())
    }

    fn check_requirements(&self, requirements: Option<&tpb::Requirements>) -> Outcome {
        let Some(requirements) = requirements else { return Ok(()) };
        let bounds = &self.params.deployment;
        if requirements.attributes.len() > bounds.max_attributes as usize {
            return Err("too many attributes");
        }
        for attribute in &requirements.attributes {
            let longest = attribute.key.len().max(attribute.value.len());
            if attribute.key.is_empty() || longest > bounds.max_attribute_bytes as usize {
                return Err("attribute out of bounds");
            }
            // "`*` only as a required key's or value's last byte".
            for text in [&attribute.key, &attribute.value] {
                if text.find('*').is_some_and(|at| at + 1 != text.len()) {
                    return Err("star inside an attribute");
                }
            }
        }
        if requirements.min_reputation > 10_000 {
            return Err("reputation out of bounds");
        }
        Ok(())
    }
}
