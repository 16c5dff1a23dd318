//! "Providers, tenants, auditors on chain", as far as the market rests on them.

use std::collections::BTreeMap;

use stoa_chain::types::Address;
use stoa_proto::audit::v1 as apb;
use stoa_proto::provider::v1 as ppb;
use stoa_proto::types::v1 as tpb;

use super::spec::{address, fine};
use super::{BidState, Outcome, Provider, World};

fn pairs(attributes: &[tpb::Attribute]) -> Vec<(String, String)> {
    attributes.iter().map(|a| (a.key.clone(), a.value.clone())).collect()
}

impl World {
    pub fn create_provider(&mut self, msg: &ppb::MsgCreateProvider) -> Outcome {
        let owner = address(&msg.owner)?;
        if self.providers.contains_key(&owner) {
            return Err("provider registered already");
        }
        let record = Provider { attributes: pairs(&msg.attributes), ..Provider::default() };
        self.providers.insert(owner, record);
        Ok(())
    }

    /// "While a bid is open its provider cannot [...] reduce the stake or
    /// attributes that the bid rests on".
    pub fn update_provider(&mut self, msg: &ppb::MsgUpdateProvider) -> Outcome {
        let owner = address(&msg.owner)?;
        let record = self.providers.get_mut(&owner).ok_or("provider not registered")?;
        record.attributes = pairs(&msg.attributes);
        self.check_open_bids_hold(owner)
    }

    /// Each open bid's requirements still hold of what its provider itself can
    /// change: attributes and stake.
    fn check_open_bids_hold(&self, provider: Address) -> Outcome {
        let record = &self.providers[&provider];
        for order in self.orders_bid_on(provider) {
            let Some(requirements) = &order.spec.requirements else { continue };
            let met = |required: &tpb::Attribute| {
                record.attributes.iter().any(|(key, value)| {
                    super::eligibility::matches(&required.key, key)
                        && super::eligibility::matches(&required.value, value)
                })
            };
            if !requirements.attributes.iter().all(met) {
                return Err("an open bid rests on the attributes");
            }
            if !requirements.min_stake.is_empty()
                && record.stake_units < fine(&requirements.min_stake)?
            {
                return Err("an open bid rests on the stake");
            }
        }
        Ok(())
    }

    fn orders_bid_on(&self, provider: Address) -> impl Iterator<Item = &super::Order> {
        let groups = self.deployments.values().flat_map(|d| d.groups.values());
        groups.flat_map(|group| group.orders.values()).filter(move |order| {
            order.bids.iter().any(|bid| bid.provider == provider && bid.state == BidState::Open)
        })
    }

    fn orders_leased_to(&self, provider: Address) -> impl Iterator<Item = &super::Order> {
        let groups = self.deployments.values().flat_map(|d| d.groups.values());
        groups.flat_map(|group| group.orders.values()).filter(move |order| {
            order.lease.as_ref().is_some_and(|l| l.provider == provider && l.is_live())
        })
    }

    pub fn open_bids(&self, provider: Address) -> u64 {
        self.orders_bid_on(provider).count() as u64
    }

    pub fn live_leases(&self, provider: Address) -> u64 {
        self.orders_leased_to(provider).count() as u64
    }

    /// "`MsgDeleteProvider` (no live lease, no open bid)"; what it has staked
    /// returns as if it were unstaked. Only governance frees a jailed one.
    pub fn delete_provider(&mut self, msg: &ppb::MsgDeleteProvider) -> Outcome {
        let owner = address(&msg.owner)?;
        let record = self.providers.get(&owner).ok_or("provider not registered")?;
        let staked = record.stake_units;
        if record.jailed {
            return Err("jailed provider deletes itself");
        }
        if self.open_bids(owner) > 0 {
            return Err("provider has an open bid");
        }
        if self.live_leases(owner) > 0 {
            return Err("provider has a live lease");
        }
        if staked > 0 {
            self.begin_unbonding(owner, staked)?;
        }
        self.providers.remove(&owner);
        Ok(())
    }

    /// Those that complete in one second are one.
    fn begin_unbonding(&mut self, owner: Address, units: u128) -> Outcome {
        let completes = self.now + self.params.unbonding;
        let under_way = self.unbondings.keys().filter(|(whose, _)| *whose == owner).count();
        if !self.unbondings.contains_key(&(owner, completes))
            && under_way >= self.params.max_unbondings as usize
        {
            return Err("too many unbondings");
        }
        *self.unbondings.entry((owner, completes)).or_default() += units;
        Ok(())
    }

    pub fn stake_provider(&mut self, msg: &ppb::MsgStakeProvider) -> Outcome {
        let owner = address(&msg.owner)?;
        let amount = msg.amount.as_ref().ok_or("amount missing")?;
        if !self.providers.contains_key(&owner) {
            return Err("provider not registered");
        }
        if amount.denom != self.staking_denom {
            return Err("stake in another denom");
        }
        let units = fine(&amount.amount)?;
        if units == 0 {
            return Err("stake of nothing");
        }
        self.take_units(owner, &amount.denom, units)?;
        self.providers.get_mut(&owner).unwrap().stake_units += units;
        Ok(())
    }

    /// "while a lease is live, not below its order's `min_stake`".
    pub fn unstake_provider(&mut self, msg: &ppb::MsgUnstakeProvider) -> Outcome {
        let owner = address(&msg.owner)?;
        let amount = msg.amount.as_ref().ok_or("amount missing")?;
        let record = self.providers.get_mut(&owner).ok_or("provider not registered")?;
        if amount.denom != self.staking_denom {
            return Err("stake in another denom");
        }
        let units = fine(&amount.amount)?;
        if units == 0 {
            return Err("stake of nothing");
        }
        record.stake_units = record.stake_units.checked_sub(units).ok_or("more than is staked")?;
        let left = record.stake_units;
        self.check_open_bids_hold(owner)?;
        for order in self.orders_leased_to(owner) {
            let requirements = order.spec.requirements.as_ref();
            let least = requirements.map_or("", |requirements| &requirements.min_stake);
            if !least.is_empty() && left < fine(least)? {
                return Err("a live lease rests on the stake");
            }
        }
        self.begin_unbonding(owner, units)
    }

    pub fn release_unbondings(&mut self) {
        let denom = self.staking_denom.clone();
        let now = self.now;
        let due = self.unbondings.iter().filter(|((_, completes), _)| *completes <= now);
        let due: Vec<_> = due.map(|((owner, _), units)| (*owner, *units)).collect();
        self.unbondings.retain(|(_, completes), _| *completes > now);
        for (owner, units) in due {
            self.hit("stake returned");
            self.give_units(owner, &denom, units);
        }
    }

    pub fn sign_attributes(&mut self, msg: &apb::MsgSignProviderAttributes) -> Outcome {
        let (auditor, provider) = (address(&msg.auditor)?, address(&msg.provider)?);
        if msg.attributes.is_empty() {
            return Err("nothing to sign");
        }
        if !self.providers.contains_key(&provider) {
            return Err("provider not registered");
        }
        let record = self.audits.entry((provider, auditor)).or_default();
        record.extend(pairs(&msg.attributes));
        Ok(())
    }

    pub fn delete_attributes(&mut self, msg: &apb::MsgDeleteProviderAttributes) -> Outcome {
        let (auditor, provider) = (address(&msg.auditor)?, address(&msg.provider)?);
        let record: &mut BTreeMap<_, _> =
            self.audits.get_mut(&(provider, auditor)).ok_or("no such record")?;
        if msg.keys.is_empty() {
            record.clear();
        }
        for key in &msg.keys {
            record.remove(key).ok_or("no such attribute")?;
        }
        if record.is_empty() {
            self.audits.remove(&(provider, auditor));
        }
        Ok(())
    }
}
