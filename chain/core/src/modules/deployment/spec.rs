//! What a group asks for, and its form in protobuf.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::types::v1 as pb;

use crate::error::SdkError;
use crate::types::{bounded, Address, Amount, Attribute, Denom, Rate};

/// Most bytes of a group's, a volume's or a model's name.
pub const MAX_NAME_BYTES: usize = 64;
/// Most that any list of a message may hold, whatever the parameters say.
const MAX_LIST: usize = 1_024;
/// Seconds of a hundred years: no duration is longer.
const MAX_SECONDS: u64 = 3_155_760_000;

macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, Default, PartialEq, Eq,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

record! {
    /// Services placed together at one provider.
    GroupSpec {
        /// Unique within the deployment.
        name: String,
        /// Who may bid.
        requirements: Requirements,
        /// What it asks for.
        resources: Vec<GroupResource>,
        /// Seconds after which the lease expires; 0: never.
        duration: u64,
        /// Seconds of notice before a lease ends by close; 0: none.
        reclamation: u64,
    }
}

record! {
    /// Who may bid.
    Requirements {
        /// All must be met by the provider's.
        attributes: Vec<Attribute>,
        /// Each of these auditors must vouch for every required attribute.
        all_of: Vec<Address>,
        /// And one of these, where any is named.
        any_of: Vec<Address>,
        /// Least stake.
        min_stake: Amount,
        /// Least reputation, 0..10,000.
        min_reputation: u32,
        /// These may not bid.
        excluded: Vec<Address>,
        /// Where any is named, only these may.
        allowed: Vec<Address>,
    }
}

record! {
    /// A resource unit, how many of it, and what one may cost.
    GroupResource {
        /// What one instance gets.
        unit: ResourceUnit,
        /// Instances.
        count: u32,
        /// Most that one instance may cost a second.
        max_rate: Rate,
    }
}

record! {
    /// What one service instance gets.
    ResourceUnit {
        /// Counts from 1 within the group.
        id: u32,
        /// Thousandths of a core.
        cpu: u64,
        /// Architecture; empty: any.
        arch: String,
        /// Bytes.
        memory: u64,
        /// Named volumes.
        storage: Vec<Volume>,
        /// GPUs of one vendor.
        gpu: Gpu,
        /// Ways in.
        endpoints: Vec<Endpoint>,
        /// Bits a second; 0: not asked for.
        bandwidth: u64,
    }
}

record! {
    /// A named volume.
    Volume {
        /// Unique within the unit.
        name: String,
        /// Size.
        bytes: u64,
        /// One of [`CLASSES`].
        class: String,
    }
}

record! {
    /// GPUs.
    Gpu {
        /// How many.
        units: u32,
        /// Such as `nvidia`.
        vendor: String,
        /// Acceptable models; empty: any of the vendor.
        models: Vec<GpuModel>,
    }
}

record! {
    /// An acceptable model.
    GpuModel {
        /// `*`: any.
        model: String,
        /// Empty: any.
        memory: String,
        /// Empty: any.
        interface: String,
    }
}

record! {
    /// A way in.
    Endpoint {
        /// 0 shared HTTP, 1 random port, 2 leased IP.
        kind: u8,
        /// Of a leased IP.
        sequence_number: u32,
    }
}

/// Classes of storage; the first two do not outlive their instance.
pub const CLASSES: [&str; 6] = ["ephemeral", "ram", "default", "beta1", "beta2", "beta3"];

fn invalid(text: impl Into<String>) -> SdkError {
    SdkError::InvalidRequest(text.into())
}

fn listed<T>(name: &str, list: &[T]) -> Result<(), SdkError> {
    if list.len() > MAX_LIST {
        return Err(invalid(format!("{name}: {} entries; at most {MAX_LIST}", list.len())));
    }
    Ok(())
}

impl GroupSpec {
    /// From a message, with the denom of its rates.
    ///
    /// # Errors
    /// What is wrong in it, whatever the parameters are.
    pub fn from_proto(spec: pb::GroupSpec) -> Result<(Self, Denom), SdkError> {
        let name = bounded("a group's name", spec.name, MAX_NAME_BYTES)?;
        if name.is_empty() {
            return Err(invalid("a group's name is empty"));
        }
        let within = |error: SdkError| invalid(format!("group {name:?}: {error}"));
        listed("resources", &spec.resources).map_err(within)?;
        let mut denom: Option<Denom> = None;
        let mut resources: Vec<GroupResource> = Vec::new();
        for resource in spec.resources {
            let (resource, its) = GroupResource::from_proto(resource).map_err(within)?;
            if denom.as_ref().is_some_and(|denom| *denom != its) {
                return Err(within(invalid("its rates are in several denoms; one is allowed")));
            }
            if resources.iter().any(|other| other.unit.id == resource.unit.id) {
                return Err(within(invalid(format!("unit {} is listed twice", resource.unit.id))));
            }
            denom = Some(its);
            resources.push(resource);
        }
        let denom = denom.ok_or_else(|| within(invalid("it asks for no resources")))?;
        if spec.duration > MAX_SECONDS || spec.reclamation > MAX_SECONDS {
            return Err(within(invalid("a duration is over a hundred years")));
        }
        let requirements = Requirements::from_proto(spec.requirements.unwrap_or_default());
        let requirements = requirements.map_err(within)?;
        let (duration, reclamation) = (spec.duration, spec.reclamation);
        Ok((Self { name, requirements, resources, duration, reclamation }, denom))
    }

    /// As protobuf has it.
    pub fn to_proto(&self, denom: &Denom) -> pb::GroupSpec {
        pb::GroupSpec {
            name: self.name.clone(),
            requirements: Some(self.requirements.to_proto()),
            resources: self.resources.iter().map(|resource| resource.to_proto(denom)).collect(),
            duration: self.duration,
            reclamation: self.reclamation,
        }
    }

    /// The most that the group may cost a second: sum of count × unit max
    /// rate. Fits: see the bounds on each.
    pub fn max_rate(&self) -> Rate {
        self.resources.iter().fold(Rate::ZERO, |sum, resource| {
            let all = resource.max_rate.checked_times(resource.count).unwrap_or_default();
            sum.saturating_add(all)
        })
    }
}

impl Requirements {
    fn from_proto(requirements: pb::Requirements) -> Result<Self, SdkError> {
        let signed_by = requirements.signed_by.unwrap_or_default();
        let min_stake = match requirements.min_stake.as_str() {
            "" => Amount::ZERO,
            text => text
                .to_owned()
                .try_into()
                .map_err(|error| invalid(format!("min_stake: {error}")))?,
        };
        if requirements.min_reputation > 10_000 {
            return Err(invalid("min_reputation is over 10000"));
        }
        Ok(Self {
            attributes: Attribute::list_from_proto(requirements.attributes, MAX_LIST, true)?,
            all_of: addresses("all_of", &signed_by.all_of)?,
            any_of: addresses("any_of", &signed_by.any_of)?,
            min_stake,
            min_reputation: requirements.min_reputation,
            excluded: addresses("excluded_providers", &requirements.excluded_providers)?,
            allowed: addresses("allowed_providers", &requirements.allowed_providers)?,
        })
    }

    fn to_proto(&self) -> pb::Requirements {
        let texts = |list: &[Address]| list.iter().map(ToString::to_string).collect();
        pb::Requirements {
            attributes: self.attributes.iter().cloned().map(Into::into).collect(),
            signed_by: Some(pb::SignedBy {
                all_of: texts(&self.all_of),
                any_of: texts(&self.any_of),
            }),
            min_stake: if self.min_stake.is_zero() {
                String::new()
            } else {
                self.min_stake.to_string()
            },
            min_reputation: self.min_reputation,
            excluded_providers: texts(&self.excluded),
            allowed_providers: texts(&self.allowed),
        }
    }
}

/// Addresses, sorted and each once.
fn addresses(name: &str, texts: &[String]) -> Result<Vec<Address>, SdkError> {
    listed(name, texts)?;
    let parsed: Result<Vec<Address>, _> = texts.iter().map(|text| text.parse()).collect();
    let mut parsed = parsed?;
    parsed.sort();
    parsed.dedup();
    Ok(parsed)
}

impl GroupResource {
    fn from_proto(resource: pb::GroupResource) -> Result<(Self, Denom), SdkError> {
        let missing = |what: &str| invalid(format!("a resource has no {what}"));
        let max_rate = resource.max_rate.ok_or_else(|| missing("max_rate"))?;
        let (denom, max_rate) = Rate::from_dec_coin(max_rate)?;
        let unit = ResourceUnit::from_proto(resource.unit.ok_or_else(|| missing("unit"))?)?;
        if max_rate.is_zero() || max_rate > Rate::MAX_PER_UNIT {
            let (id, most) = (unit.id, Rate::MAX_PER_UNIT);
            return Err(invalid(format!(
                "the max rate of unit {id} is {max_rate}{denom}/s; over 0 and at most {most} is \
                 allowed"
            )));
        }
        Ok((Self { unit, count: resource.count, max_rate }, denom))
    }

    fn to_proto(&self, denom: &Denom) -> pb::GroupResource {
        pb::GroupResource {
            unit: Some(self.unit.to_proto()),
            count: self.count,
            max_rate: Some(self.max_rate.to_dec_coin(denom)),
        }
    }
}

impl ResourceUnit {
    fn from_proto(unit: pb::ResourceUnit) -> Result<Self, SdkError> {
        if unit.id == 0 {
            return Err(invalid("a unit's id is 0; it counts from 1"));
        }
        listed("storage", &unit.storage)?;
        listed("endpoints", &unit.endpoints)?;
        let cpu = unit.cpu.unwrap_or_default();
        let mut storage: Vec<Volume> = Vec::new();
        for volume in unit.storage {
            let volume = Volume::from_proto(volume)?;
            if storage.iter().any(|other| other.name == volume.name) {
                let text = format!("unit {}: volume {:?} is listed twice", unit.id, volume.name);
                return Err(invalid(text));
            }
            storage.push(volume);
        }
        Ok(Self {
            id: unit.id,
            cpu: cpu.millicores,
            arch: bounded("an architecture", cpu.arch, MAX_NAME_BYTES)?,
            memory: unit.memory.unwrap_or_default().bytes,
            storage,
            gpu: Gpu::from_proto(unit.gpu.unwrap_or_default())?,
            endpoints: unit.endpoints.iter().map(Endpoint::from_proto).collect::<Result<_, _>>()?,
            bandwidth: unit.bandwidth,
        })
    }

    fn to_proto(&self) -> pb::ResourceUnit {
        let volume = |volume: &Volume| pb::Volume {
            name: volume.name.clone(),
            bytes: volume.bytes,
            class: volume.class.clone(),
        };
        let endpoint = |endpoint: &Endpoint| pb::Endpoint {
            kind: i32::from(endpoint.kind),
            sequence_number: endpoint.sequence_number,
        };
        pb::ResourceUnit {
            id: self.id,
            cpu: Some(pb::Cpu { millicores: self.cpu, arch: self.arch.clone() }),
            memory: Some(pb::Memory { bytes: self.memory }),
            storage: self.storage.iter().map(volume).collect(),
            gpu: Some(self.gpu.to_proto()),
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            bandwidth: self.bandwidth,
        }
    }
}

impl Volume {
    fn from_proto(volume: pb::Volume) -> Result<Self, SdkError> {
        let name = bounded("a volume's name", volume.name, MAX_NAME_BYTES)?;
        if name.is_empty() {
            return Err(invalid("a volume's name is empty"));
        }
        if !CLASSES.contains(&volume.class.as_str()) {
            let classes = CLASSES.join(", ");
            let class: String = volume.class.chars().take(MAX_NAME_BYTES).collect();
            return Err(invalid(format!("volume {name:?} has class {class:?}; one of {classes}")));
        }
        Ok(Self { name, bytes: volume.bytes, class: volume.class })
    }
}

impl Gpu {
    fn from_proto(gpu: pb::Gpu) -> Result<Self, SdkError> {
        listed("gpu models", &gpu.models)?;
        let vendor = bounded("a GPU's vendor", gpu.vendor, MAX_NAME_BYTES)?;
        if (gpu.units > 0) == vendor.is_empty() {
            return Err(invalid("GPUs have a vendor, and a vendor has GPUs: give both or none"));
        }
        let model = |model: pb::GpuModel| {
            Ok::<_, SdkError>(GpuModel {
                model: bounded("a GPU's model", model.model, MAX_NAME_BYTES)?,
                memory: bounded("a GPU's memory", model.memory, MAX_NAME_BYTES)?,
                interface: bounded("a GPU's interface", model.interface, MAX_NAME_BYTES)?,
            })
        };
        let models = gpu.models.into_iter().map(model).collect::<Result<_, _>>()?;
        Ok(Self { units: gpu.units, vendor, models })
    }

    fn to_proto(&self) -> pb::Gpu {
        let model = |model: &GpuModel| pb::GpuModel {
            model: model.model.clone(),
            memory: model.memory.clone(),
            interface: model.interface.clone(),
        };
        pb::Gpu {
            units: self.units,
            vendor: self.vendor.clone(),
            models: self.models.iter().map(model).collect(),
        }
    }

    /// Whether the model is one of those that are acceptable.
    pub fn accepts(&self, model: &str) -> bool {
        self.models.is_empty()
            || self.models.iter().any(|wanted| wanted.model == "*" || wanted.model == model)
    }
}

impl Endpoint {
    fn from_proto(endpoint: &pb::Endpoint) -> Result<Self, SdkError> {
        let kind = u8::try_from(endpoint.kind).ok().filter(|kind| *kind <= 2);
        let kind = kind.ok_or_else(|| {
            invalid(format!("endpoint kind {}; 0, 1 or 2 is allowed", endpoint.kind))
        })?;
        Ok(Self { kind, sequence_number: endpoint.sequence_number })
    }
}
