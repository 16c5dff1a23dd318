//! The linear price: so much for each core, GiB, GPU, way in and address.

use std::collections::{BTreeMap, BTreeSet};

use stoa_client::money::{Dec, MoneyError};
use stoa_client::proto::market::v1::GpuOffer;
use stoa_client::proto::types::v1::{EndpointKind, GroupSpec, ResourceUnit};

use super::gpu::wanted;
use super::resources::RAM;
use super::Reason;
use crate::config::Pricing;

const MILLICORES: u64 = 1000;
/// Sizes are priced by the MiB begun, which keeps products small.
const MEBIBYTE: u64 = 1 << 20;
const MEBIBYTES_PER_GIBIBYTE: u64 = 1024;

/// A price list, each amount for the whole period.
#[derive(Debug, Clone)]
pub struct LinearPrice {
    denom: String,
    /// Seconds that the amounts are for.
    period: u64,
    core: Dec,
    memory: Dec,
    storage: BTreeMap<String, Dec>,
    /// By model; `*` is any other.
    gpu: BTreeMap<String, Dec>,
    endpoint: Dec,
    leased_ip: Dec,
    minimum: Dec,
}

impl LinearPrice {
    pub fn new(pricing: &Pricing) -> Result<Self, MoneyError> {
        let list = |prices: &BTreeMap<String, String>| {
            let parsed = prices.iter().map(|(name, price)| Ok((name.clone(), price.parse()?)));
            parsed.collect::<Result<_, MoneyError>>()
        };
        Ok(Self {
            denom: pricing.denom.clone(),
            period: pricing.per.seconds(),
            core: pricing.cpu.parse()?,
            memory: pricing.memory.parse()?,
            storage: list(&pricing.storage)?,
            gpu: list(&pricing.gpu)?,
            leased_ip: pricing.leased_ip.parse()?,
            endpoint: pricing.endpoint.parse()?,
            minimum: pricing.minimum.parse()?,
        })
    }

    pub fn denom(&self) -> &str {
        &self.denom
    }

    /// What a group costs a second, rounded up: never below cost, never 0.
    pub fn rate(&self, spec: &GroupSpec, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let total = self.period_price(spec, gpus)?.max(self.minimum);
        Ok(a_second(total, self.period))
    }

    fn period_price(&self, spec: &GroupSpec, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let overflow = || Reason::Malformed("its price overflows".into());
        let addresses = self.leased_ip.checked_mul(leased_ips(spec));
        let mut sum = addresses.ok_or_else(overflow)?;
        for resource in &spec.resources {
            let unit = resource.unit.as_ref();
            let unit = unit.ok_or_else(|| Reason::Malformed("a resource without unit".into()))?;
            let price = self.unit_price(unit, gpus)?.checked_mul(u64::from(resource.count));
            sum = price.and_then(|price| sum.checked_add(price)).ok_or_else(overflow)?;
        }
        Ok(sum)
    }

    fn unit_price(&self, unit: &ResourceUnit, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let millicores = unit.cpu.as_ref().map_or(0, |cpu| cpu.millicores);
        let memory = unit.memory.as_ref().map_or(0, |memory| memory.bytes);
        let endpoints = unit.endpoints.iter().filter(|e| e.kind() != EndpointKind::LeasedIp);
        let endpoints = endpoints.count() as u64;
        let mut parts = vec![
            portion(self.core, millicores, MILLICORES),
            size(self.memory, memory),
            self.endpoint.checked_mul(endpoints),
        ];
        for volume in unit.storage.iter().filter(|volume| volume.class != RAM) {
            let price = self.storage.get(&volume.class);
            let price = price.ok_or_else(|| Reason::StorageClass(volume.class.clone()))?;
            parts.push(size(*price, volume.bytes));
        }
        if let Some(gpu) = wanted(unit) {
            let offer = gpus.iter().find(|offer| offer.unit == unit.id).ok_or(Reason::Gpu)?;
            let price = self.gpu.get(&offer.model).or_else(|| self.gpu.get("*"));
            let price = price.ok_or_else(|| Reason::GpuModel(offer.model.clone()))?;
            parts.push(price.checked_mul(u64::from(gpu.units)));
        }
        let sum = parts.into_iter().try_fold(Dec::ZERO, |sum, part| sum.checked_add(part?));
        sum.ok_or_else(|| Reason::Malformed("its price overflows".into()))
    }
}

/// A period's price as a rate, rounded up: never below cost, never 0.
pub(super) fn a_second(total: Dec, period: u64) -> Dec {
    let rate = total.atoms().div_ceil(u128::from(period.max(1)));
    Dec::from_atoms(rate.max(1))
}

/// Addresses of their own that a group asks for: those with one number are
/// one address.
pub(super) fn leased_ips(spec: &GroupSpec) -> u64 {
    let units = spec.resources.iter().filter_map(|resource| resource.unit.as_ref());
    let endpoints = units.flat_map(|unit| &unit.endpoints);
    let leased = endpoints.filter(|endpoint| endpoint.kind() == EndpointKind::LeasedIp);
    leased.map(|endpoint| endpoint.sequence_number).collect::<BTreeSet<_>>().len() as u64
}

/// `price × amount / whole`, rounded up.
fn portion(price: Dec, amount: u64, whole: u64) -> Option<Dec> {
    let product = price.checked_mul(amount)?;
    Some(Dec::from_atoms(product.atoms().div_ceil(u128::from(whole))))
}

fn size(per_gibibyte: Dec, bytes: u64) -> Option<Dec> {
    portion(per_gibibyte, bytes.div_ceil(MEBIBYTE), MEBIBYTES_PER_GIBIBYTE)
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::types::v1::{Endpoint, Gpu, Volume};

    use super::*;
    use crate::config::Per;
    use crate::tests_support::{config, order};

    fn pricing() -> Pricing {
        let storage = [("ephemeral", "512"), ("default", "2048")];
        Pricing {
            denom: "ustoa".into(),
            per: Per::Hour,
            cpu: "3600".into(),
            memory: "7200".into(),
            storage: storage.map(|(class, price)| (class.into(), price.into())).into(),
            gpu: [("t4".to_string(), "3600".to_string())].into(),
            endpoint: "36".into(),
            leased_ip: "360".into(),
            minimum: "0".into(),
        }
    }

    fn rate(pricing: &Pricing, change: impl FnOnce(&mut GroupSpec)) -> Result<String, Reason> {
        let mut spec = order(1).spec.unwrap();
        let unit = spec.resources[0].unit.as_mut().unwrap();
        unit.cpu.as_mut().unwrap().millicores = 500;
        unit.memory.as_mut().unwrap().bytes = 512 << 20;
        unit.storage = vec![];
        unit.endpoints = vec![];
        spec.resources[0].count = 1;
        change(&mut spec);
        let gpus = [GpuOffer { unit: 1, model: "t4".into() }];
        Ok(LinearPrice::new(pricing).unwrap().rate(&spec, &gpus)?.to_string())
    }

    #[test]
    fn a_sum_of_products() {
        // Half a core and half a GiB: (1800 + 3600) / 3600 a second.
        assert_eq!(rate(&pricing(), |_| {}).unwrap(), "1.5");
        let twice = rate(&pricing(), |spec| spec.resources[0].count = 2).unwrap();
        assert_eq!(twice, "3");
        let more = rate(&pricing(), |spec| {
            let unit = spec.resources[0].unit.as_mut().unwrap();
            unit.endpoints = vec![Endpoint::default(); 100];
            unit.storage = vec![
                Volume { name: "r".into(), bytes: 9 << 30, class: "ram".into() },
                Volume { name: "d".into(), bytes: (1 << 30) + 1, class: "default".into() },
            ];
        });
        // 1.5 + 1 for endpoints + (2048 × 1025 / 1024) / 3600.
        assert_eq!(more.unwrap(), "3.069444444444444445");
    }

    #[test]
    fn gpus_cost_by_model_and_addresses_by_number() {
        let price = rate(&pricing(), |spec| {
            spec.resources[0].count = 2;
            let unit = spec.resources[0].unit.as_mut().unwrap();
            unit.gpu = Some(Gpu { units: 3, vendor: "nvidia".into(), models: vec![] });
            let ip =
                |sequence_number| Endpoint { kind: EndpointKind::LeasedIp.into(), sequence_number };
            unit.endpoints = vec![ip(1), ip(1), ip(2)];
        });
        // Twice (1.5 + 3 GPUs at 1 a second), and two addresses at 0.1.
        assert_eq!(price.unwrap(), "9.2");
        let mut none = pricing();
        none.gpu.clear();
        let price = rate(&none, |spec| {
            let unit = spec.resources[0].unit.as_mut().unwrap();
            unit.gpu = Some(Gpu { units: 1, vendor: "nvidia".into(), models: vec![] });
        });
        assert_eq!(price, Err(Reason::GpuModel("t4".into())));
    }

    #[test]
    fn the_minimum_and_the_smallest_unit() {
        let mut list = pricing();
        list.minimum = "36000".into();
        assert_eq!(rate(&list, |_| {}).unwrap(), "10");
        let mut free = pricing();
        (free.cpu, free.memory) = ("0".into(), "0".into());
        assert_eq!(rate(&free, |_| {}).unwrap(), "0.000000000000000001");
    }

    #[test]
    fn what_overflows_or_has_no_price_is_no_bid() {
        let class = rate(&pricing(), |spec| {
            let unit = spec.resources[0].unit.as_mut().unwrap();
            unit.storage = vec![Volume { name: "x".into(), bytes: 1, class: "beta1".into() }];
        });
        assert_eq!(class, Err(Reason::StorageClass("beta1".into())));
        let mut dear = pricing();
        dear.cpu = "300000000000000000000".into();
        assert!(matches!(rate(&dear, |_| {}), Err(Reason::Malformed(_))));
        assert!(LinearPrice::new(&config().pricing).is_ok());
    }
}
