//! Leases: start, withdrawal, ends.

use stoa_chain::types::{Address, GroupId, LeaseId};
use stoa_proto::market::v1::CloseReason;

use super::share::mul_div;
use super::{Fine, GroupState, LeaseState, Outcome, World, ONE};

const WEEK: u64 = 604_800;

impl World {
    pub fn start_lease(&mut self, signer: Address, id: LeaseId) -> Outcome {
        if id.provider != signer {
            return Err("not this provider's lease");
        }
        let now = self.now;
        if self.lease(id)?.state != LeaseState::Pending {
            return Err("lease not pending");
        }
        self.touch(id.deployment(), now);
        if self.lease(id)?.state != LeaseState::Pending {
            return Err("lease not pending");
        }
        let duration = self.order(id.order)?.spec.duration;
        let lease = self.lease_mut(id)?;
        lease.state = LeaseState::Active;
        lease.started_at = now;
        lease.expires_at = (duration > 0).then(|| now + duration);
        if now >= lease.start_deadline {
            self.hit("lease started in the deadline's block");
        }
        self.provider_counters.entry(id.provider).or_default().started += 1;
        self.tenant_counters.entry(id.owner()).or_default().started += 1;
        Ok(())
    }

    /// "`MsgWithdrawLease` pays the provider its whole units; the fraction stays."
    pub fn withdraw_lease(&mut self, signer: Address, id: LeaseId) -> Outcome {
        if id.provider != signer {
            return Err("not this provider's lease");
        }
        if self.lease(id)?.state == LeaseState::Pending {
            return Err("lease not started");
        }
        self.touch(id.deployment(), self.now);
        // A lease that has closed was paid then.
        if self.lease(id)?.is_paid() {
            self.pay(id);
        } else {
            self.hit("withdrawal from a closed lease");
        }
        Ok(())
    }

    /// Pays what has accrued in whole units.
    fn pay(&mut self, id: LeaseId) {
        let denom = self.deployments[&id.deployment()].denom.clone();
        let lease = self.lease_mut(id).unwrap();
        let units = lease.accrued / ONE;
        lease.accrued %= ONE;
        lease.withdrawn_units += units;
        self.give_units(id.provider, &denom, units);
        let counters = self.provider_counters.entry(id.provider).or_default();
        *counters.amounts.entry(denom.clone()).or_default() += units;
        let counters = self.tenant_counters.entry(id.owner()).or_default();
        *counters.amounts.entry(denom).or_default() += units;
        // Reputation counts what is paid in the staking denom.
        if units > 0 && self.deployments[&id.deployment()].denom == self.staking_denom {
            let week = self.now / WEEK;
            let standing = self.standings.entry(id.provider).or_default();
            *standing.paid.entry((id.owner(), week)).or_default() += units;
        }
    }

    /// The end of a live lease at `at`, up to which its account is settled;
    /// the group stays as it is.
    pub fn end_lease(&mut self, id: LeaseId, reason: CloseReason, at: u64) {
        self.hit(&format!("lease ends {}", reason.as_str_name()));
        let prune_at = self.now + self.params.market.keep_closed;
        let state = self.lease(id).unwrap().state;
        let seconds = match state {
            LeaseState::Pending => {
                self.hit("lease ends while pending");
                self.end_pending(id, reason, at);
                0
            }
            LeaseState::Active | LeaseState::Reclaiming => self.end_paid(id, at),
            LeaseState::Closed => panic!("a closed lease does not end"),
        };
        let lease = self.lease_mut(id).unwrap();
        lease.state = LeaseState::Closed;
        lease.closed_at = at;
        lease.prune_at = prune_at;
        lease.reason = reason;
        for provider in [true, false] {
            let counters = if provider {
                self.provider_counters.entry(id.provider).or_default()
            } else {
                self.tenant_counters.entry(id.owner()).or_default()
            };
            counters.seconds += seconds;
            match reason {
                CloseReason::NotStarted => counters.not_started += 1,
                CloseReason::ByTenant => counters.by_tenant += 1,
                CloseReason::ByProvider => counters.by_provider += 1,
                _ => counters.otherwise += 1,
            }
        }
    }

    /// "A lease that closes pays its whole units at once and its fraction
    /// returns to the balance"; its bid's deposit returns in full.
    fn end_paid(&mut self, id: LeaseId, at: u64) -> u64 {
        self.pay(id);
        let denom = self.deployments[&id.deployment()].denom.clone();
        let deposit = self.order(id.order).unwrap().deposit_units;
        let lease = self.lease_mut(id).unwrap();
        let fraction = std::mem::take(&mut lease.accrued);
        let seconds = at.saturating_sub(lease.started_at);
        self.deployments.get_mut(&id.deployment()).unwrap().unspend(fraction);
        self.give_units(id.provider, &denom, deposit);
        seconds
    }

    /// "A lease that ends PENDING, whoever ends it, costs bid deposit × elapsed
    /// / `lease_start_deadline`, at least a tenth, from the bid's deposit and
    /// as much from the escrow, as far as it goes, to the community pool".
    fn end_pending(&mut self, id: LeaseId, reason: CloseReason, at: u64) {
        let denom = self.deployments[&id.deployment()].denom.clone();
        let deposit = self.order(id.order).unwrap().deposit_units;
        let lease = self.lease(id).unwrap();
        let cost = self.pending_cost(deposit, at.saturating_sub(lease.matched_at));
        self.give_units(id.provider, &denom, deposit - cost);
        let deployment = self.deployments.get_mut(&id.deployment()).unwrap();
        let from_escrow: Fine = (cost * ONE).min(deployment.escrow.balance());
        deployment.spend(from_escrow);
        if from_escrow < cost * ONE {
            self.hit("the escrow does not go as far as a pending lease costs");
        }
        self.give_pool(&denom, cost * ONE + from_escrow);
        // "other than by the tenant": who pauses or closes the group, or lets
        // its funds run out, is the tenant too.
        let failed = matches!(
            reason,
            CloseReason::NotStarted | CloseReason::ByProvider | CloseReason::ProviderJailed
        );
        if failed {
            let week = self.now / WEEK;
            let standing = self.standings.entry(id.provider).or_default();
            standing.failed.insert((id.owner(), week));
        }
    }

    /// In whole units, as a deposit is: rounded up.
    fn pending_cost(&self, deposit: u128, elapsed: u64) -> u128 {
        let deadline = u128::from(self.params.market.lease_start_deadline);
        let elapsed = u128::from(elapsed).min(deadline);
        let (part, rest) = mul_div(deposit, elapsed, deadline);
        (part + u128::from(rest > 0)).max(deposit.div_ceil(10))
    }

    /// "`MsgCloseBid` (provider): at once where PENDING or without a
    /// reclamation window; else the ACTIVE lease is RECLAIMING, paid and
    /// served, until the window ends".
    pub fn close_bid(&mut self, signer: Address, id: LeaseId) -> Outcome {
        if id.provider != signer {
            return Err("not this provider's lease");
        }
        self.check_closable(id)?;
        if self.lease(id)?.state == LeaseState::Reclaiming {
            return Err("lease reclaiming already");
        }
        if self.begins_reclaiming(id) {
            self.reclaim(id, CloseReason::ByProvider, false, false);
        } else {
            self.end_lease(id, CloseReason::ByProvider, self.now);
            self.after_end(id, CloseReason::ByProvider, false, false);
        }
        Ok(())
    }

    /// It is live, and still so once its account is settled.
    fn check_closable(&mut self, id: LeaseId) -> Outcome {
        if self.lease(id)?.state == LeaseState::Closed {
            return Err("lease closed");
        }
        self.touch(id.deployment(), self.now);
        if self.lease(id)?.state == LeaseState::Closed {
            return Err("lease closed");
        }
        Ok(())
    }

    /// "the tenant may close it at once".
    pub fn close_lease(
        &mut self,
        signer: Address,
        id: LeaseId,
        reopen: bool,
        exclude: bool,
    ) -> Outcome {
        if id.owner() != signer {
            return Err("not this tenant's lease");
        }
        self.check_closable(id)?;
        if reopen && !self.may_reopen(id.order.group) {
            return Err("reopened too often today");
        }
        if self.begins_reclaiming(id) {
            self.reclaim(id, CloseReason::ByTenant, reopen, exclude);
        } else {
            if self.lease(id)?.state == LeaseState::Reclaiming {
                self.hit("tenant closes a reclaiming lease at once");
            }
            self.end_lease(id, CloseReason::ByTenant, self.now);
            self.after_end(id, CloseReason::ByTenant, reopen, exclude);
        }
        Ok(())
    }

    fn begins_reclaiming(&self, id: LeaseId) -> bool {
        let active = self.lease(id).unwrap().state == LeaseState::Active;
        active && self.order(id.order).unwrap().spec.reclamation > 0
    }

    fn reclaim(&mut self, id: LeaseId, reason: CloseReason, reopen: bool, exclude: bool) {
        self.hit("lease reclaiming");
        let ends = self.now + self.order(id.order).unwrap().spec.reclamation;
        let lease = self.lease_mut(id).unwrap();
        lease.state = LeaseState::Reclaiming;
        lease.reclaimed_at = Some(ends);
        lease.reclaim_reason = reason;
        lease.reclaim_reopen = reopen;
        lease.reclaim_exclude = exclude;
    }

    /// "Every end of a lease other than by pausing or closing leaves the group
    /// OPEN; with `reopen` a new order opens, closed to that provider, at most
    /// `max_reopens` a day." The tenant who closes a lease says so in that
    /// message; for all other ends the deployment does.
    pub fn after_end(&mut self, id: LeaseId, reason: CloseReason, reopen: bool, exclude: bool) {
        let group_id: GroupId = id.order.group;
        assert_eq!(self.group(group_id).unwrap().state, GroupState::Open);
        let by_tenant = reason == CloseReason::ByTenant;
        let reopens = if by_tenant { reopen } else { self.deployments[&id.deployment()].reopen };
        let may = self.may_reopen(group_id);
        if by_tenant && exclude || !by_tenant && reopens && may {
            self.keep_out(group_id, id.provider);
        }
        if !reopens {
            return;
        }
        if !may {
            self.hit("no more reopening today");
            return;
        }
        self.hit("group reopens after a lease's end");
        let now = self.now;
        self.group_mut(group_id).unwrap().reopened_at.push(now);
        self.open_order(group_id);
    }

    fn may_reopen(&self, id: GroupId) -> bool {
        let day = self.now / 86_400;
        let group = self.group(id).unwrap();
        let today = group.reopened_at.iter().filter(|at| **at / 86_400 == day).count();
        today < self.params.market.max_reopens as usize
    }

    fn keep_out(&mut self, id: GroupId, provider: Address) {
        self.hit("provider kept out of a group");
        let most = self.params.deployment.max_listed_providers as usize;
        let excluded = &mut self.group_mut(id).unwrap().excluded;
        if excluded.contains(&provider) {
            return;
        }
        if excluded.len() >= most {
            excluded.remove(0);
        }
        excluded.push(provider);
    }

    /// Governance's: "jailing queues each of its leases to close".
    pub fn set_jailed(&mut self, provider: Address, jailed: bool) {
        let now = self.now;
        let record = self.providers.get_mut(&provider).expect("registered");
        record.jailed = jailed;
        if !jailed {
            return;
        }
        self.hit("provider jailed");
        for deployment in self.deployments.values_mut() {
            for group in deployment.groups.values_mut() {
                for lease in group.orders.values_mut().filter_map(|order| order.lease.as_mut()) {
                    if lease.provider == provider && lease.is_live() && lease.jailed_at.is_none() {
                        lease.jailed_at = Some(now);
                    }
                }
            }
        }
    }
}
