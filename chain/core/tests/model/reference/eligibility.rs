//! "An eligible provider": registered, not jailed, requirements hold.

use stoa_chain::types::{Address, OrderId};
use stoa_proto::types::v1 as tpb;

use super::spec::fine;
use super::{Outcome, World};

pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    }
}

fn met(required: &tpb::Attribute, mut facts: impl Iterator<Item = (String, String)>) -> bool {
    facts.any(|(key, value)| matches(&required.key, &key) && matches(&required.value, &value))
}

impl World {
    pub fn check_eligible(&self, provider: Address, order: OrderId) -> Outcome {
        let record = self.providers.get(&provider).ok_or("provider not registered")?;
        if record.jailed {
            return Err("provider jailed");
        }
        let order = self.order(order)?;
        if order.excluded.contains(&provider) {
            return Err("provider excluded");
        }
        let Some(requirements) = &order.spec.requirements else { return Ok(()) };
        let named = provider.to_string();
        if requirements.excluded_providers.contains(&named) {
            return Err("provider excluded");
        }
        let allowed = &requirements.allowed_providers;
        if !allowed.is_empty() && !allowed.contains(&named) {
            return Err("provider not allowed");
        }
        let facts = || record.attributes.iter().cloned();
        if !requirements.attributes.iter().all(|required| met(required, facts())) {
            return Err("attributes not met");
        }
        self.check_signed(provider, requirements)?;
        if !requirements.min_stake.is_empty() && record.stake_units < fine(&requirements.min_stake)?
        {
            return Err("stake too low");
        }
        if self.reputation(provider) < requirements.min_reputation {
            return Err("reputation too low");
        }
        Ok(())
    }

    /// "every `all_of` and one of `any_of` auditors has an unrevoked record
    /// that covers every required attribute".
    fn check_signed(&self, provider: Address, requirements: &tpb::Requirements) -> Outcome {
        let Some(signed_by) = &requirements.signed_by else { return Ok(()) };
        let vouches = |auditor: &String| {
            let auditor: Address = auditor.parse().unwrap();
            self.audits.get(&(provider, auditor)).is_some_and(|record| {
                let facts = || record.iter().map(|(key, value)| (key.clone(), value.clone()));
                requirements.attributes.iter().all(|required| met(required, facts()))
            })
        };
        if !signed_by.all_of.iter().all(vouches) {
            return Err("auditor's signature missing");
        }
        if !signed_by.any_of.is_empty() && !signed_by.any_of.iter().any(vouches) {
            return Err("auditor's signature missing");
        }
        Ok(())
    }

    /// ⌊8,000·g / (g + 5f + 10)⌋ + ⌊2,000·stake / (stake + `rep_half_stake`)⌋.
    pub fn reputation(&self, provider: Address) -> u32 {
        let standing = self.standings.get(&provider).cloned().unwrap_or_default();
        let min_fee = fine(&self.params.market.rep_min_fee).unwrap();
        let g = standing.paid.values().filter(|paid| **paid >= min_fee).count() as u128;
        let f = standing.failed.len() as u128;
        let stake = self.providers.get(&provider).map_or(0, |record| record.stake_units);
        let half = fine(&self.params.market.rep_half_stake).unwrap();
        let by_stake = if stake == 0 { 0 } else { 2_000 * stake / (stake + half) };
        (8_000 * g / (g + 5 * f + 10) + by_stake) as u32
    }
}
