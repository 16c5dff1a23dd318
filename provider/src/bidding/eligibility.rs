//! Whether an order may be served here, by the rules that the chain applies
//! again at the match, and by the operator's own.

use stoa_client::proto::market::v1::Order;
use stoa_client::proto::types::v1::{
    Attribute, EndpointKind, GroupSpec, Requirements, ResourceUnit,
};

use super::capacity::Capacity;
use super::gpu::gpu_offers;
use super::resources::{EPHEMERAL, RAM};
use super::Reason;
use crate::chain::Standing;
use crate::config::Config;

/// What the operator's side brings to the question.
pub struct Offer<'a> {
    pub config: &'a Config,
    pub capacity: &'a Capacity,
    /// No new orders are taken.
    pub draining: bool,
}

/// Everything that speaks against serving an order; time, room, price and
/// limits apart.
pub fn objections(
    order: &Order,
    spec: &GroupSpec,
    standing: &Standing,
    offer: &Offer<'_>,
) -> Vec<Reason> {
    let config = offer.config;
    let mut found = vec![];
    if offer.draining {
        found.push(Reason::Draining);
    }
    if order.sealed && !config.bidding.sealed {
        found.push(Reason::Sealed);
    }
    check_tenant(order, config, &mut found);
    if standing.provider.jailed {
        found.push(Reason::Jailed);
    }
    let me = &standing.provider.owner;
    let requirements = spec.requirements.clone().unwrap_or_default();
    if order.excluded_providers.contains(me) || requirements.excluded_providers.contains(me) {
        found.push(Reason::Excluded);
    }
    check_requirements(&requirements, standing, &mut found);
    let units = spec.resources.iter().filter_map(|resource| resource.unit.as_ref());
    for unit in units {
        check_unit(unit, config, &offer.capacity.architecture, &mut found);
    }
    found.extend(gpu_offers(spec, &offer.capacity.gpus, &config.pricing).err());
    let mut once: Vec<Reason> = vec![];
    for reason in found {
        if !once.contains(&reason) {
            once.push(reason);
        }
    }
    once
}

/// The first objection, if there is one.
pub fn check_order(
    order: &Order,
    spec: &GroupSpec,
    standing: &Standing,
    offer: &Offer<'_>,
) -> Result<(), Reason> {
    match objections(order, spec, standing, offer).into_iter().next() {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

fn check_tenant(order: &Order, config: &Config, found: &mut Vec<Reason>) {
    let limits = &config.limits;
    let tenant = order.id.as_ref().map(|id| id.owner.clone()).unwrap_or_default();
    if limits.denied_tenants.contains(&tenant) {
        found.push(Reason::TenantDenied);
    }
    if !limits.allowed_tenants.is_empty() && !limits.allowed_tenants.contains(&tenant) {
        found.push(Reason::TenantNotAllowed);
    }
    let denom = order.max_rate.as_ref().map(|rate| rate.denom.as_str()).unwrap_or_default();
    if denom != config.pricing.denom {
        found.push(Reason::Denom(denom.into(), config.pricing.denom.clone()));
    }
}

fn check_requirements(wanted: &Requirements, standing: &Standing, found: &mut Vec<Reason>) {
    let me = &standing.provider.owner;
    if !wanted.allowed_providers.is_empty() && !wanted.allowed_providers.contains(me) {
        found.push(Reason::NotAllowed);
    }
    for attribute in &wanted.attributes {
        if !covers(&standing.provider.attributes, attribute) {
            found.push(Reason::Attribute(format!("{}={}", attribute.key, attribute.value)));
        }
    }
    found.extend(check_audits(wanted, standing).err());
    let number = |text: &str| text.parse::<u128>().unwrap_or(0);
    if number(&wanted.min_stake) > number(&standing.provider.stake) {
        let own = standing.provider.stake.clone();
        found.push(Reason::Stake(wanted.min_stake.clone(), own));
    }
    if wanted.min_reputation > standing.reputation {
        found.push(Reason::Reputation(wanted.min_reputation, standing.reputation));
    }
}

/// Every `all_of` and one of `any_of` has signed every required attribute.
fn check_audits(wanted: &Requirements, standing: &Standing) -> Result<(), Reason> {
    let signed_by = wanted.signed_by.clone().unwrap_or_default();
    let signed = |auditor: &String| {
        standing.audits.iter().any(|record| {
            record.auditor == *auditor
                && wanted.attributes.iter().all(|a| covers(&record.attributes, a))
        })
    };
    if let Some(missing) = signed_by.all_of.iter().find(|auditor| !signed(auditor)) {
        return Err(Reason::Audit(format!("its attributes, namely {missing}")));
    }
    if !signed_by.any_of.is_empty() && !signed_by.any_of.iter().any(signed) {
        return Err(Reason::Audit(format!(
            "its attributes, one of {}",
            signed_by.any_of.join(", ")
        )));
    }
    Ok(())
}

fn covers(offered: &[Attribute], wanted: &Attribute) -> bool {
    offered.iter().any(|own| matches(&wanted.key, &own.key) && matches(&wanted.value, &own.value))
}

/// `*` stands for any rest, as the last byte only.
fn matches(wanted: &str, own: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => own.starts_with(start),
        None => wanted == own,
    }
}

fn check_unit(unit: &ResourceUnit, config: &Config, architecture: &str, found: &mut Vec<Reason>) {
    let arch = unit.cpu.as_ref().map(|cpu| cpu.arch.as_str()).unwrap_or_default();
    if !arch.is_empty() && arch != architecture {
        found.push(Reason::Architecture(arch.into(), architecture.into()));
    }
    for volume in &unit.storage {
        let class = volume.class.as_str();
        let sold = class == RAM || config.pricing.storage.contains_key(class);
        let offered = class == EPHEMERAL
            || class == RAM
            || config.capacity.storage_classes.iter().any(|offered| offered == class);
        if !sold || !offered {
            found.push(Reason::StorageClass(class.into()));
        }
    }
    for endpoint in &unit.endpoints {
        match endpoint.kind() {
            EndpointKind::SharedHttp => {}
            EndpointKind::RandomPort if config.ports.count() > 0 => {}
            EndpointKind::RandomPort => found.push(Reason::Endpoint("port of its own")),
            EndpointKind::LeasedIp if !config.ips.pool.is_empty() => {}
            EndpointKind::LeasedIp => found.push(Reason::Endpoint("leased IP")),
        }
    }
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::audit::v1::SignedAttributes;
    use stoa_client::proto::types::v1::{Endpoint, Gpu, SignedBy, Volume};

    use super::*;
    use crate::tests_support::{config, machine, order, standing};

    fn verdict(change: impl FnOnce(&mut Order, &mut Standing, &mut Config)) -> Result<(), Reason> {
        let (mut order, mut standing, mut config) = (order(1), standing(), config());
        change(&mut order, &mut standing, &mut config);
        let spec = order.spec.clone().unwrap();
        let capacity = Capacity::new(&config, &machine());
        let offer = Offer { config: &config, capacity: &capacity, draining: false };
        check_order(&order, &spec, &standing, &offer)
    }

    fn require(order: &mut Order) -> &mut Requirements {
        order.spec.as_mut().unwrap().requirements.get_or_insert_default()
    }

    fn unit(order: &mut Order) -> &mut ResourceUnit {
        order.spec.as_mut().unwrap().resources[0].unit.as_mut().unwrap()
    }

    fn attribute(key: &str, value: &str) -> Attribute {
        Attribute { key: key.into(), value: value.into() }
    }

    #[test]
    fn the_plain_order_may_be_served() {
        assert_eq!(verdict(|_, _, _| {}), Ok(()));
    }

    #[test]
    fn each_requirement_is_checked() {
        type Change = fn(&mut Order, &mut Standing, &mut Config);
        let refused = |change: Change| verdict(change).unwrap_err().to_string();
        let cases: Vec<(Change, &str)> = vec![
            (
                |o, _, c| {
                    o.sealed = true;
                    c.bidding.sealed = false;
                },
                "sealed",
            ),
            (|o, _, _| o.max_rate.as_mut().unwrap().denom = "uatom".into(), "pays in uatom"),
            (|_, _, c| c.limits.allowed_tenants.push("x".into()), "allowed_tenants"),
            (|o, _, c| c.limits.denied_tenants.push(o.id.clone().unwrap().owner), "denied"),
            (|_, s, _| s.provider.jailed = true, "jailed"),
            (|o, s, _| o.excluded_providers.push(s.provider.owner.clone()), "excludes"),
            (|o, s, _| require(o).excluded_providers.push(s.provider.owner.clone()), "excludes"),
            (|o, _, _| require(o).allowed_providers.push("x".into()), "other providers only"),
            (|o, _, _| require(o).attributes.push(attribute("region", "mars")), "region=mars"),
            (|o, _, _| require(o).min_stake = "1001".into(), "stake of 1001"),
            (|o, _, _| require(o).min_reputation = 1, "reputation of 1"),
            (|o, _, _| unit(o).gpu = Some(Gpu { units: 1, ..Gpu::default() }), "GPUs"),
            (|o, _, _| unit(o).cpu.as_mut().unwrap().arch = "arm64".into(), "arm64"),
            (
                |o, _, _| {
                    let class = "beta3".into();
                    unit(o).storage.push(Volume { name: "v".into(), bytes: 1, class });
                },
                "class beta3",
            ),
            (
                |o, _, _| unit(o).endpoints.push(Endpoint { kind: 1, sequence_number: 0 }),
                "port of its own",
            ),
            (
                |o, _, _| unit(o).endpoints.push(Endpoint { kind: 2, sequence_number: 1 }),
                "leased IP",
            ),
        ];
        for (change, word) in cases {
            let reason = refused(change);
            assert!(reason.contains(word), "{reason:?} does not say {word:?}");
        }
    }

    #[test]
    fn ports_and_addresses_are_sold_where_there_are_some() {
        let both = verdict(|order, _, config| {
            config.ports.range = "30000-30001".into();
            config.ips.pool.push([192, 0, 2, 1].into());
            unit(order).endpoints.push(Endpoint { kind: 1, sequence_number: 0 });
            unit(order).endpoints.push(Endpoint { kind: 2, sequence_number: 1 });
        });
        assert_eq!(both, Ok(()));
    }

    #[test]
    fn all_objections_are_told_at_once_and_each_once() {
        let (mut order, standing, mut config) = (order(1), standing(), config());
        config.limits.denied_tenants.push(order.id.clone().unwrap().owner);
        require(&mut order).attributes.push(attribute("region", "mars"));
        let volume = |name: &str| Volume { name: name.into(), bytes: 1, class: "beta3".into() };
        unit(&mut order).storage.extend([volume("a"), volume("b")]);
        let capacity = Capacity::new(&config, &machine());
        let offer = Offer { config: &config, capacity: &capacity, draining: true };
        let spec = order.spec.clone().unwrap();
        let found = objections(&order, &spec, &standing, &offer);
        let expected = [
            Reason::Draining,
            Reason::TenantDenied,
            Reason::Attribute("region=mars".into()),
            Reason::StorageClass("beta3".into()),
        ];
        assert_eq!(found, expected);
        assert!(!found[1].public().contains("denied_tenants"), "the operator's list is private");
    }

    #[test]
    fn attributes_match_by_prefix_and_auditors_must_cover_them() {
        let signed = |by: SignedBy, record: Option<(&str, Attribute)>| {
            verdict(|order, standing, _| {
                let requirements = require(order);
                requirements.attributes.push(attribute("reg*", "ath*"));
                requirements.signed_by = Some(by);
                if let Some((auditor, attribute)) = record {
                    standing.audits.push(SignedAttributes {
                        auditor: auditor.into(),
                        provider: standing.provider.owner.clone(),
                        attributes: vec![attribute],
                    });
                }
            })
        };
        let all = || SignedBy { all_of: vec!["a".into()], any_of: vec![] };
        let any = || SignedBy { all_of: vec![], any_of: vec!["a".into(), "b".into()] };
        assert_eq!(signed(SignedBy::default(), None), Ok(()));
        assert!(signed(all(), None).is_err());
        assert!(signed(all(), Some(("a", attribute("tier", "1")))).is_err());
        assert!(signed(all(), Some(("b", attribute("region", "athens")))).is_err());
        assert_eq!(signed(all(), Some(("a", attribute("region", "athens")))), Ok(()));
        assert_eq!(signed(any(), Some(("b", attribute("region", "athens")))), Ok(()));
        assert!(signed(any(), Some(("c", attribute("region", "athens")))).is_err());
    }
}
