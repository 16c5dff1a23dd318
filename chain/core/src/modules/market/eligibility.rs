//! Who may bid on an order, checked when a bid is placed and again at the
//! match.

use super::{reputation, GpuOffer, MarketError, Order};
use crate::ctx::Ctx;
use crate::modules::audit;
use crate::modules::deployment::spec::{GroupSpec, Requirements};
use crate::modules::provider::{self, Provider};
use crate::types::{Address, LeaseId};

/// Registered, not jailed, and all requirements hold.
///
/// # Errors
/// The first that does not hold.
pub fn check(
    ctx: &Ctx<'_>,
    id: LeaseId,
    order: &Order,
    spec: &GroupSpec,
    gpus: &[GpuOffer],
) -> Result<(), MarketError> {
    let address = id.provider;
    let provider = provider::provider(ctx, &address);
    let provider = provider.ok_or(MarketError::NotRegistered(address))?;
    if provider.jailed {
        return Err(MarketError::Jailed(address));
    }
    let requirements = &spec.requirements;
    check_listed(id, order, requirements)?;
    check_attributes(&provider, requirements)?;
    check_audits(ctx, &address, requirements)?;
    check_standing(ctx, &provider, requirements)?;
    check_gpus(spec, gpus)
}

fn check_listed(
    id: LeaseId,
    order: &Order,
    requirements: &Requirements,
) -> Result<(), MarketError> {
    let (order_id, provider) = (id.order, id.provider);
    if !requirements.allowed.is_empty() && !requirements.allowed.contains(&provider) {
        return Err(MarketError::NotAllowed { order: order_id, provider });
    }
    if requirements.excluded.contains(&provider) || order.excluded.contains(&provider) {
        return Err(MarketError::Excluded { order: order_id, provider });
    }
    Ok(())
}

fn check_attributes(provider: &Provider, requirements: &Requirements) -> Result<(), MarketError> {
    for required in &requirements.attributes {
        if !provider.attributes.iter().any(|fact| required.is_met_by(fact)) {
            return Err(MarketError::AttributeMissing { required: required.to_string() });
        }
    }
    Ok(())
}

/// Every `all_of` and one of `any_of` auditors has an unrevoked record that
/// covers every required attribute.
fn check_audits(
    ctx: &Ctx<'_>,
    provider: &Address,
    requirements: &Requirements,
) -> Result<(), MarketError> {
    let covers =
        |auditor: &Address| audit::covers(ctx, auditor, provider, &requirements.attributes);
    if let Some(missing) = requirements.all_of.iter().find(|auditor| !covers(auditor)) {
        return Err(MarketError::NotAudited { wanted: missing.to_string() });
    }
    let any_of = &requirements.any_of;
    if !any_of.is_empty() && !any_of.iter().any(covers) {
        let names: Vec<String> = any_of.iter().map(ToString::to_string).collect();
        return Err(MarketError::NotAudited { wanted: format!("any of {}", names.join(", ")) });
    }
    Ok(())
}

fn check_standing(
    ctx: &Ctx<'_>,
    provider: &Provider,
    requirements: &Requirements,
) -> Result<(), MarketError> {
    let (stake, least) = (provider.stake, requirements.min_stake);
    if stake < least {
        return Err(MarketError::StakeTooLow { stake, least });
    }
    let least = requirements.min_reputation;
    if least > 0 {
        let reputation = reputation(ctx, &provider.owner);
        if reputation < least {
            return Err(MarketError::ReputationTooLow { reputation, least });
        }
    }
    Ok(())
}

/// Each unit that asks for GPUs is offered one acceptable model; no other is.
fn check_gpus(spec: &GroupSpec, gpus: &[GpuOffer]) -> Result<(), MarketError> {
    let wrong = |unit: u32, what: String| Err(MarketError::GpuOffer { unit, what });
    for (index, offer) in gpus.iter().enumerate() {
        let unit = offer.unit;
        if gpus.iter().take(index).any(|other| other.unit == unit) {
            return wrong(unit, "two GPU models are offered; one is allowed".to_owned());
        }
        let asked = spec.resources.iter().find(|r| r.unit.id == unit && r.unit.gpu.units > 0);
        match asked {
            None => return wrong(unit, "a GPU is offered, but none is asked for".to_owned()),
            Some(asked) if !asked.unit.gpu.accepts(&offer.model) => {
                let wanted = &asked.unit.gpu.models;
                let wanted: Vec<&str> = wanted.iter().map(|model| model.model.as_str()).collect();
                let what = format!("{:?} is offered; one of {}", offer.model, wanted.join(", "));
                return wrong(unit, what);
            }
            Some(_) => {}
        }
    }
    for resource in spec.resources.iter().filter(|resource| resource.unit.gpu.units > 0) {
        let unit = resource.unit.id;
        if !gpus.iter().any(|offer| offer.unit == unit) {
            return wrong(unit, "it asks for GPUs; the bid names no model for it".to_owned());
        }
    }
    Ok(())
}
