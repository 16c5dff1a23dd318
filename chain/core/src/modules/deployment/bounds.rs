//! Bounds on what a deployment may ask for. All inclusive.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::deployment::v1 as pb;

use super::spec::{GroupResource, GroupSpec, ResourceUnit};
use super::{keys, DeploymentError};
use crate::modules::update_params::update_params;
use crate::types::Attribute;

/// Most entries of any list, which is as many as are read from a message.
const MAX_LIST: u32 = 1_024;
/// Most groups of a deployment, and units of a group: closing it touches all.
const MAX_GROUPS: u32 = 256;
/// Most of anything that is counted.
const MAX_COUNT: u64 = 1 << 60;

/// See market.md, "Resources and requirements of a group".
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Groups of a deployment.
    pub max_groups: u32,
    /// Units of a group.
    pub max_units_per_group: u32,
    /// Instances of a unit.
    pub max_count: u32,
    /// Millicores of a unit.
    pub min_cpu: u64,
    /// Millicores of a unit.
    pub max_cpu: u64,
    /// Bytes of a unit.
    pub min_memory: u64,
    /// Bytes of a unit.
    pub max_memory: u64,
    /// Bytes of a volume.
    pub min_storage: u64,
    /// Bytes of a unit's volumes together.
    pub max_storage: u64,
    /// Volumes of a unit.
    pub max_volumes: u32,
    /// Endpoints of a unit.
    pub max_endpoints: u32,
    /// GPUs of a unit.
    pub max_gpu_units: u32,
    /// Acceptable models of a unit.
    pub max_gpu_models: u32,
    /// Required attributes.
    pub max_attributes: u32,
    /// Bytes of an attribute's key or value.
    pub max_attribute_bytes: u32,
    /// Auditors in each list.
    pub max_auditors: u32,
    /// Excluded or allowed providers, each.
    pub max_listed_providers: u32,
}

impl Default for Params {
    fn default() -> Self {
        const MI: u64 = 1 << 20;
        const TI: u64 = 1 << 40;
        Self {
            max_groups: 20,
            max_units_per_group: 20,
            max_count: 50,
            min_cpu: 10,
            max_cpu: 512_000,
            min_memory: MI,
            max_memory: TI,
            min_storage: MI.saturating_mul(5),
            max_storage: TI.saturating_mul(32),
            max_volumes: 8,
            max_endpoints: 64,
            max_gpu_units: 100,
            max_gpu_models: 16,
            max_attributes: 64,
            max_attribute_bytes: 128,
            max_auditors: 16,
            max_listed_providers: 64,
        }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// A bound that lets nothing through, or more than is ever read.
    pub fn validate(&self) -> Result<(), String> {
        let (list, bytes) = (u64::from(MAX_LIST), u64::try_from(Attribute::MAX_BYTES));
        let bounds = [
            ("max_groups", self.max_groups.into(), 1, MAX_GROUPS.into()),
            ("max_units_per_group", self.max_units_per_group.into(), 1, MAX_GROUPS.into()),
            ("max_count", self.max_count.into(), 1, 10_000),
            ("min_cpu", self.min_cpu, 1, self.max_cpu),
            ("max_cpu", self.max_cpu, 1, MAX_COUNT),
            ("min_memory", self.min_memory, 1, self.max_memory),
            ("max_memory", self.max_memory, 1, MAX_COUNT),
            ("min_storage", self.min_storage, 1, self.max_storage),
            ("max_storage", self.max_storage, 1, MAX_COUNT),
            ("max_volumes", self.max_volumes.into(), 1, list),
            ("max_endpoints", self.max_endpoints.into(), 0, list),
            ("max_gpu_units", self.max_gpu_units.into(), 0, 10_000),
            ("max_gpu_models", self.max_gpu_models.into(), 0, list),
            ("max_attributes", self.max_attributes.into(), 0, list),
            ("max_attribute_bytes", self.max_attribute_bytes.into(), 1, bytes.unwrap_or_default()),
            ("max_auditors", self.max_auditors.into(), 0, list),
            ("max_listed_providers", self.max_listed_providers.into(), 1, list),
        ];
        for (name, number, min, max) in bounds {
            if !(min..=max).contains(&number) {
                return Err(format!("{name} is {number}; {min} to {max} are allowed"));
            }
        }
        Ok(())
    }

    /// Checks a group against the bounds.
    ///
    /// # Errors
    /// The first bound that is passed, named.
    pub fn check(&self, group: &GroupSpec) -> Result<(), DeploymentError> {
        let at = |what: &str| format!("group {:?}: {what}", group.name);
        let units = self.max_units_per_group.into();
        within(|| at("resource units"), length(&group.resources), 1, units)?;
        let requirements = &group.requirements;
        let lists = [
            ("required attributes", length(&requirements.attributes), self.max_attributes),
            ("auditors of all_of", length(&requirements.all_of), self.max_auditors),
            ("auditors of any_of", length(&requirements.any_of), self.max_auditors),
            ("excluded providers", length(&requirements.excluded), self.max_listed_providers),
            ("allowed providers", length(&requirements.allowed), self.max_listed_providers),
        ];
        for (name, number, max) in lists {
            within(|| at(name), number, 0, max.into())?;
        }
        for attribute in &requirements.attributes {
            let bytes = attribute.key.len().max(attribute.value.len());
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            within(|| at("bytes of an attribute"), bytes, 0, self.max_attribute_bytes.into())?;
        }
        group.resources.iter().try_for_each(|resource| self.check_resource(group, resource))
    }

    fn check_resource(
        &self,
        group: &GroupSpec,
        resource: &GroupResource,
    ) -> Result<(), DeploymentError> {
        let unit = &resource.unit;
        let at = |what: &str| format!("group {:?}, unit {}: {what}", group.name, unit.id);
        within(|| at("count"), resource.count.into(), 1, self.max_count.into())?;
        within(|| at("millicores of cpu"), unit.cpu, self.min_cpu, self.max_cpu)?;
        within(|| at("bytes of memory"), unit.memory, self.min_memory, self.max_memory)?;
        within(|| at("endpoints"), length(&unit.endpoints), 0, self.max_endpoints.into())?;
        within(|| at("gpu units"), unit.gpu.units.into(), 0, self.max_gpu_units.into())?;
        within(|| at("gpu models"), length(&unit.gpu.models), 0, self.max_gpu_models.into())?;
        self.check_storage(unit, at)
    }

    fn check_storage(
        &self,
        unit: &ResourceUnit,
        at: impl Fn(&str) -> String,
    ) -> Result<(), DeploymentError> {
        within(|| at("volumes"), length(&unit.storage), 1, self.max_volumes.into())?;
        let mut sum = 0u64;
        for volume in &unit.storage {
            let name = || at(&format!("bytes of volume {:?}", volume.name));
            within(name, volume.bytes, self.min_storage, self.max_storage)?;
            sum = sum.saturating_add(volume.bytes);
        }
        within(|| at("bytes of storage"), sum, self.min_storage, self.max_storage)
    }
}

fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn within(
    what: impl Fn() -> String,
    number: u64,
    min: u64,
    max: u64,
) -> Result<(), DeploymentError> {
    if (min..=max).contains(&number) {
        return Ok(());
    }
    Err(DeploymentError::OutOfBounds { what: what(), number, min, max })
}

impl From<Params> for pb::Params {
    fn from(params: Params) -> Self {
        let Params {
            max_groups,
            max_units_per_group,
            max_count,
            min_cpu,
            max_cpu,
            min_memory,
            max_memory,
            min_storage,
            max_storage,
            max_volumes,
            max_endpoints,
            max_gpu_units,
            max_gpu_models,
            max_attributes,
            max_attribute_bytes,
            max_auditors,
            max_listed_providers,
        } = params;
        Self {
            max_groups,
            max_units_per_group,
            max_count,
            min_cpu,
            max_cpu,
            min_memory,
            max_memory,
            min_storage,
            max_storage,
            max_volumes,
            max_endpoints,
            max_gpu_units,
            max_gpu_models,
            max_attributes,
            max_attribute_bytes,
            max_auditors,
            max_listed_providers,
        }
    }
}

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(params: pb::Params) -> Result<Self, String> {
        let pb::Params {
            max_groups,
            max_units_per_group,
            max_count,
            min_cpu,
            max_cpu,
            min_memory,
            max_memory,
            min_storage,
            max_storage,
            max_volumes,
            max_endpoints,
            max_gpu_units,
            max_gpu_models,
            max_attributes,
            max_attribute_bytes,
            max_auditors,
            max_listed_providers,
        } = params;
        let params = Self {
            max_groups,
            max_units_per_group,
            max_count,
            min_cpu,
            max_cpu,
            min_memory,
            max_memory,
            min_storage,
            max_storage,
            max_volumes,
            max_endpoints,
            max_gpu_units,
            max_gpu_models,
            max_attributes,
            max_attribute_bytes,
            max_auditors,
            max_listed_providers,
        };
        params.validate()?;
        Ok(params)
    }
}

update_params! {
    /// Replaces the bounds. What stands is not looked at again.
    pb, Params, keys::params
}
