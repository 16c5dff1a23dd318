//! Manifest types to protobuf and back.
//!
//! The chain's types are tighter than SDL's attribute lists: two spellings of
//! the same volume become one. [`check_group`] therefore compares in the
//! chain's spelling.

use stoa_manifest as sdl;
use stoa_proto::{cosmos::base::v1beta1::DecCoin, types::v1 as proto};

use crate::{money::Dec, Error, Result};

/// The class of a volume that has none.
const EPHEMERAL: &str = "ephemeral";

/// A group as the chain takes it.
///
/// # Errors
/// What the chain has no words for, such as GPUs of two vendors in one unit.
pub fn group_to_proto(group: &sdl::GroupSpec) -> Result<proto::GroupSpec> {
    let resources = group.resources.iter().map(resource_to_proto).collect::<Result<_>>()?;
    Ok(proto::GroupSpec {
        name: group.name.clone(),
        requirements: Some(requirements_to_proto(&group.requirements)),
        resources,
        duration: group.duration.unwrap_or(0),
        reclamation: group.reclamation_window.unwrap_or(0),
    })
}

/// A group as the manifest crate takes it.
///
/// # Errors
/// A field that is missing or out of range.
pub fn group_from_proto(group: &proto::GroupSpec) -> Result<sdl::GroupSpec> {
    let some = |seconds: u64| (seconds > 0).then_some(seconds);
    Ok(sdl::GroupSpec {
        name: group.name.clone(),
        requirements: requirements_from_proto(group.requirements.as_ref())?,
        resources: group.resources.iter().map(resource_from_proto).collect::<Result<_>>()?,
        reclamation_window: some(group.reclamation),
        duration: some(group.duration),
    })
}

/// Whether a manifest's group is what the chain's order says: what a provider
/// asks before it runs anything.
///
/// # Errors
/// Each service and field that differs, as text.
pub fn check_group(group: &sdl::Group, chain: &proto::GroupSpec) -> Result<(), Vec<String>> {
    let spec = group_from_proto(chain).map_err(|e| vec![e.to_string()])?;
    let mut ours = group.clone();
    for service in &mut ours.services {
        service.resources =
            in_chain_spelling(&service.resources).map_err(|e| vec![e.to_string()])?;
    }
    let text = |found: Vec<sdl::Mismatch>| found.iter().map(ToString::to_string).collect();
    sdl::check_group(&ours, &spec).map_err(text)
}

fn in_chain_spelling(unit: &sdl::ResourceUnit) -> Result<sdl::ResourceUnit> {
    unit_from_proto(&unit_to_proto(unit)?)
}

fn requirements_to_proto(r: &sdl::Requirements) -> proto::Requirements {
    proto::Requirements {
        attributes: r.attributes.iter().map(attribute_to_proto).collect(),
        signed_by: Some(proto::SignedBy {
            all_of: r.signed_by.all_of.clone(),
            any_of: r.signed_by.any_of.clone(),
        }),
        min_stake: r.min_stake.map(|s| s.to_string()).unwrap_or_default(),
        min_reputation: r.min_reputation.unwrap_or(0),
        excluded_providers: r.exclude.clone(),
        allowed_providers: r.allow.clone(),
    }
}

fn requirements_from_proto(r: Option<&proto::Requirements>) -> Result<sdl::Requirements> {
    let Some(r) = r else { return Ok(sdl::Requirements::default()) };
    let signed_by = r.signed_by.clone().unwrap_or_default();
    let min_stake = match r.min_stake.as_str() {
        "" | "0" => None,
        text => Some(text.parse().map_err(|_| bad(format!("min_stake `{text}`")))?),
    };
    Ok(sdl::Requirements {
        signed_by: sdl::SignedBy { all_of: signed_by.all_of, any_of: signed_by.any_of },
        attributes: r.attributes.iter().map(attribute_from_proto).collect(),
        min_stake,
        min_reputation: (r.min_reputation > 0).then_some(r.min_reputation),
        exclude: r.excluded_providers.clone(),
        allow: r.allowed_providers.clone(),
    })
}

fn attribute_to_proto(a: &sdl::Attribute) -> proto::Attribute {
    proto::Attribute { key: a.key.clone(), value: a.value.clone() }
}

fn attribute_from_proto(a: &proto::Attribute) -> sdl::Attribute {
    sdl::Attribute::new(a.key.clone(), a.value.clone())
}

fn resource_to_proto(spec: &sdl::ResourceSpec) -> Result<proto::GroupResource> {
    Ok(proto::GroupResource {
        unit: Some(unit_to_proto(&spec.resource)?),
        count: spec.count,
        max_rate: Some(DecCoin {
            denom: spec.price.denom.clone(),
            amount: Dec::from_atoms(spec.price.amount.0).to_proto(),
        }),
    })
}

fn resource_from_proto(resource: &proto::GroupResource) -> Result<sdl::ResourceSpec> {
    let unit = resource.unit.as_ref().ok_or_else(|| bad("a resource without unit"))?;
    let rate = resource.max_rate.as_ref().ok_or_else(|| bad("a resource without max rate"))?;
    let amount = Dec::from_proto(&rate.amount).map_err(|e| bad(e.to_string()))?;
    Ok(sdl::ResourceSpec {
        resource: unit_from_proto(unit)?,
        count: resource.count,
        price: sdl::Price { denom: rate.denom.clone(), amount: sdl::Dec18(amount.atoms()) },
    })
}

fn unit_to_proto(unit: &sdl::ResourceUnit) -> Result<proto::ResourceUnit> {
    let arch = unit.cpu.attributes.iter().find(|a| a.key == "arch");
    Ok(proto::ResourceUnit {
        id: unit.id,
        cpu: Some(proto::Cpu {
            millicores: unit.cpu.units,
            arch: arch.map(|a| a.value.clone()).unwrap_or_default(),
        }),
        memory: Some(proto::Memory { bytes: unit.memory.size }),
        storage: unit.storage.iter().map(volume_to_proto).collect(),
        gpu: Some(gpu_to_proto(&unit.gpu)?),
        endpoints: unit.endpoints.iter().map(endpoint_to_proto).collect(),
        bandwidth: 0,
    })
}

fn unit_from_proto(unit: &proto::ResourceUnit) -> Result<sdl::ResourceUnit> {
    let cpu = unit.cpu.clone().ok_or_else(|| bad("a unit without cpu"))?;
    let memory = unit.memory.ok_or_else(|| bad("a unit without memory"))?;
    let arch = (!cpu.arch.is_empty()).then(|| sdl::Attribute::new("arch", cpu.arch));
    Ok(sdl::ResourceUnit {
        id: unit.id,
        cpu: sdl::Cpu { units: cpu.millicores, attributes: arch.into_iter().collect() },
        memory: sdl::Memory { size: memory.bytes, attributes: vec![] },
        storage: unit.storage.iter().map(volume_from_proto).collect(),
        gpu: gpu_from_proto(unit.gpu.as_ref()),
        endpoints: unit.endpoints.iter().map(endpoint_from_proto).collect::<Result<_>>()?,
    })
}

fn volume_to_proto(volume: &sdl::Storage) -> proto::Volume {
    let class = match (volume.attribute("class"), volume.is_persistent()) {
        (Some(class), _) => class,
        (None, true) => "default",
        (None, false) => EPHEMERAL,
    };
    proto::Volume { name: volume.name.clone(), bytes: volume.size, class: class.to_owned() }
}

fn volume_from_proto(volume: &proto::Volume) -> sdl::Storage {
    let attributes = match volume.class.as_str() {
        EPHEMERAL | "" => vec![],
        class => {
            let persistent = if class == "ram" { "false" } else { "true" };
            vec![sdl::Attribute::new("class", class), sdl::Attribute::new("persistent", persistent)]
        }
    };
    sdl::Storage { name: volume.name.clone(), size: volume.bytes, attributes }
}

/// `vendor/VENDOR/model/MODEL[/ram/NGi][/interface/pcie|sxm]` into its parts.
fn gpu_to_proto(gpu: &sdl::Gpu) -> Result<proto::Gpu> {
    let units = u32::try_from(gpu.units).map_err(|_| bad(format!("{} GPUs", gpu.units)))?;
    if units == 0 {
        return Ok(proto::Gpu::default());
    }
    let mut out = proto::Gpu { units, ..proto::Gpu::default() };
    for attribute in &gpu.attributes {
        let parts: Vec<&str> = attribute.key.split('/').collect();
        let ["vendor", vendor, "model", model, rest @ ..] = parts.as_slice() else {
            return Err(bad(format!("GPU attribute `{}`", attribute.key)));
        };
        if !out.vendor.is_empty() && out.vendor != *vendor {
            return Err(bad(format!(
                "GPUs of {} and {vendor} in one unit; the chain takes one vendor a unit, so \
                 write a service for each",
                out.vendor
            )));
        }
        out.vendor = (*vendor).to_owned();
        let mut entry = proto::GpuModel { model: (*model).to_owned(), ..Default::default() };
        for pair in rest.chunks(2) {
            match pair {
                ["ram", memory] => entry.memory = (*memory).to_owned(),
                ["interface", interface] => entry.interface = (*interface).to_owned(),
                _ => return Err(bad(format!("GPU attribute `{}`", attribute.key))),
            }
        }
        out.models.push(entry);
    }
    Ok(out)
}

fn gpu_from_proto(gpu: Option<&proto::Gpu>) -> sdl::Gpu {
    let Some(gpu) = gpu.filter(|g| g.units > 0) else { return sdl::Gpu::default() };
    let key = |m: &proto::GpuModel| {
        let mut key = format!("vendor/{}/model/{}", gpu.vendor, m.model);
        if !m.memory.is_empty() {
            key.push_str(&format!("/ram/{}", m.memory));
        }
        if !m.interface.is_empty() {
            key.push_str(&format!("/interface/{}", m.interface));
        }
        sdl::Attribute::new(key, "true")
    };
    let attributes = if gpu.models.is_empty() {
        vec![sdl::Attribute::new(format!("vendor/{}/model/*", gpu.vendor), "true")]
    } else {
        gpu.models.iter().map(key).collect()
    };
    sdl::Gpu { units: u64::from(gpu.units), attributes }
}

fn endpoint_to_proto(endpoint: &sdl::Endpoint) -> proto::Endpoint {
    let kind = match endpoint.kind {
        sdl::EndpointKind::SharedHttp => proto::EndpointKind::SharedHttp,
        sdl::EndpointKind::RandomPort => proto::EndpointKind::RandomPort,
        sdl::EndpointKind::LeasedIp => proto::EndpointKind::LeasedIp,
    };
    proto::Endpoint { kind: kind.into(), sequence_number: endpoint.sequence_number }
}

fn endpoint_from_proto(endpoint: &proto::Endpoint) -> Result<sdl::Endpoint> {
    let kind = match proto::EndpointKind::try_from(endpoint.kind) {
        Ok(proto::EndpointKind::SharedHttp) => sdl::EndpointKind::SharedHttp,
        Ok(proto::EndpointKind::RandomPort) => sdl::EndpointKind::RandomPort,
        Ok(proto::EndpointKind::LeasedIp) => sdl::EndpointKind::LeasedIp,
        Err(_) => return Err(bad(format!("endpoint kind {}", endpoint.kind))),
    };
    Ok(sdl::Endpoint { kind, sequence_number: endpoint.sequence_number })
}

fn bad(what: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("group spec: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
version: "2.1"
services:
  web:
    image: nginx
    expose: [{port: 80, to: [{global: true}]}]
    params: {storage: {data: {mount: /data}}}
  job:
    image: busybox
    expose: [{port: 7000, to: [{service: web}]}]
profiles:
  compute:
    web:
      resources:
        cpu: {units: 0.5, attributes: {arch: amd64}}
        memory: {size: 64Mi}
        storage:
          - {size: 128Mi}
          - {name: data, size: 1Gi, attributes: {persistent: true, class: beta2}}
          - {name: shm, size: 16Mi, attributes: {class: ram}}
    job:
      resources:
        cpu: {units: 1}
        memory: {size: 64Mi}
        gpu: {units: 1, attributes: {vendor: {nvidia: [{model: a100, ram: 80Gi, interface: sxm}, {model: t4}]}}}
        storage: {size: 128Mi, attributes: {persistent: false}}
  placement:
    here:
      attributes: {region: eu-west}
      signedBy: {anyOf: [stoa1auditor]}
      requirements: {min_stake: 1000, min_reputation: 5}
      pricing:
        web: {denom: ustoa, amount: 1.5}
        job: {denom: ustoa, amount: 2}
deployment:
  web: {here: {profile: web, count: 2}}
  job: {here: {profile: job, count: 1}}
"#;

    #[test]
    fn groups_survive_the_way_to_the_chain_and_back() {
        let parsed = sdl::parse(FILE, &sdl::Options::default()).expect("the file is right");
        let chain = group_to_proto(&parsed.groups[0]).unwrap();
        assert_eq!(group_to_proto(&group_from_proto(&chain).unwrap()).unwrap(), chain);
        let unit = |id| chain.resources.iter().filter_map(|r| r.unit.as_ref()).find(|u| u.id == id);
        let (job, web) = (unit(1).unwrap(), unit(2).unwrap());
        let gpu = job.gpu.as_ref().unwrap();
        assert_eq!((gpu.units, gpu.vendor.as_str(), gpu.models.len()), (1, "nvidia", 2));
        assert_eq!(gpu.models[0].memory, "80Gi");
        let mut classes: Vec<&str> = web.storage.iter().map(|v| v.class.as_str()).collect();
        classes.sort_unstable();
        assert_eq!(classes, ["beta2", "ephemeral", "ram"]);
        let rates: Vec<_> =
            chain.resources.iter().filter_map(|r| r.max_rate.clone()).map(|r| r.amount).collect();
        assert!(rates.contains(&"1500000000000000000".to_owned()), "{rates:?}");
    }

    #[test]
    fn a_provider_accepts_its_group_and_no_other() {
        let parsed = sdl::parse(FILE, &sdl::Options::default()).expect("the file is right");
        let group = parsed.manifest.group("here").unwrap();
        let mut chain = group_to_proto(&parsed.groups[0]).unwrap();
        check_group(group, &chain).unwrap();
        chain.resources[0].count += 1;
        chain.resources[1].unit.as_mut().unwrap().memory = Some(proto::Memory { bytes: 1 });
        let found = check_group(group, &chain).unwrap_err();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|f| f.contains("memory.size")), "{found:?}");
    }
}
