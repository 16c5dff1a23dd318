//! "Each deployment has one account."

use stoa_chain::types::{Address, DeploymentId, LeaseId};
use stoa_proto::market::v1::CloseReason;

use super::share::{largest_remainder, mul_div};
use super::spec::{fine, max_rate};
use super::{AccountState, Deployment, Fine, GroupState, Lease, Outcome, Refusal, World, ONE};

impl Deployment {
    /// "total rate (of its paid leases)": of those that are paid after `time`.
    pub fn total_rate(&self, time: u64) -> Fine {
        let paid = self.leases().filter(|(_, lease)| lease.is_paid() && lease.end() > time);
        paid.map(|(_, lease)| lease.cost_rate).sum()
    }

    /// How many seconds from `second` on, at most until `at`, the same leases
    /// are paid.
    fn seconds_alike(&self, second: u64, at: u64) -> u64 {
        let paid = self.leases().filter(|(_, lease)| lease.is_paid() && lease.end() > second);
        paid.map(|(_, lease)| lease.end()).fold(at, u64::min) - second
    }

    /// "An account with total rate over 0 whose debt at `now` reaches its
    /// balance": the second at which it does.
    pub fn exhausted_at(&self, now: u64) -> Option<u64> {
        if self.escrow.state != AccountState::Open {
            return None;
        }
        let (mut balance, mut second) = (self.escrow.balance(), self.escrow.settled_at);
        loop {
            let rate = self.total_rate(second);
            if rate > 0 && balance == 0 {
                return Some(second);
            }
            if second >= now || rate == 0 {
                return None;
            }
            let seconds = u128::from(self.seconds_alike(second, now)).min(balance.div_ceil(rate));
            balance = balance.saturating_sub(rate * seconds);
            second += seconds as u64;
        }
    }

    /// "the oldest entry is spent first".
    pub fn spend(&mut self, mut money: Fine) {
        for (_, left) in &mut self.escrow.depositors {
            let part = money.min(*left);
            *left -= part;
            money -= part;
        }
        assert_eq!(money, 0, "only what is there is spent");
    }

    /// What returns to the balance goes to the entry that is spent next, or
    /// to the newest where all are spent.
    pub fn unspend(&mut self, money: Fine) {
        let depositors = &mut self.escrow.depositors;
        let next = depositors.iter().position(|(_, left)| *left > 0);
        let entry = next.unwrap_or(depositors.len() - 1);
        depositors[entry].1 += money;
    }
}

impl World {
    /// Max rates × 3,600 s, or the parameter where that is more; in whole units.
    pub fn min_deposit(&self, denom: &str, rates: Fine) -> u128 {
        let denoms = &self.params.escrow.market_denoms;
        let denom = denoms.iter().find(|market| market.denom == denom);
        let least = denom.map_or(0, |market| fine(&market.min_deposit).unwrap());
        least.max((rates * 3_600).div_ceil(ONE))
    }

    /// The same for a deployment as it is: groups that are not closed.
    pub fn min_deposit_of(&self, deployment: &Deployment) -> u128 {
        let groups = deployment.groups.values();
        let live = groups.filter(|group| group.state != GroupState::Closed);
        let rates = live.map(|group| max_rate(&group.spec).unwrap()).sum();
        self.min_deposit(&deployment.denom, rates)
    }

    pub fn check_market_denom(&self, denom: &str) -> Outcome {
        let mut denoms = self.params.escrow.market_denoms.iter();
        denoms.any(|market| market.denom == denom).then_some(()).ok_or("denom not traded")
    }

    /// Pays the leases up to `at`, none past its end. Where what is left does
    /// not suffice, "it is shared among the paid leases in proportion to their
    /// cost rates". Answers whether the account is exhausted.
    pub fn settle(&mut self, id: DeploymentId, at: u64) -> bool {
        loop {
            let deployment = &self.deployments[&id];
            let (balance, second) = (deployment.escrow.balance(), deployment.escrow.settled_at);
            let rate = deployment.total_rate(second);
            if second >= at || rate == 0 {
                let escrow = &mut self.deployments.get_mut(&id).unwrap().escrow;
                escrow.settled_at = second.max(at);
                return rate > 0 && balance == 0;
            }
            let seconds = deployment.seconds_alike(second, at);
            let debt = rate * u128::from(seconds);
            self.pay_in_proportion(id, debt.min(balance), second);
            let escrow = &mut self.deployments.get_mut(&id).unwrap().escrow;
            if debt >= balance {
                escrow.settled_at = at;
                return true;
            }
            escrow.settled_at = second + seconds;
        }
    }

    /// Pays this much for the time from `second` on, to each lease in proportion
    /// to its cost rate: exactly seconds × rate where it suffices.
    fn pay_in_proportion(&mut self, id: DeploymentId, money: Fine, second: u64) {
        let deployment = &self.deployments[&id];
        let denom = deployment.denom.clone();
        let paid: Vec<(LeaseId, Lease)> = deployment
            .leases()
            .filter(|(_, lease)| lease.is_paid() && lease.end() > second)
            .map(|((gseq, oseq), lease)| {
                (id.group(gseq).order(oseq).lease(lease.provider), lease.clone())
            })
            .collect();
        let rates: Vec<Fine> = paid.iter().map(|(_, lease)| lease.cost_rate).collect();
        for ((lease_id, lease), part) in paid.iter().zip(largest_remainder(money, &rates)) {
            // The take is rounded up, so the provider's part down.
            let (to_provider, _) = mul_div(part, lease.provider_rate, lease.cost_rate);
            self.give_pool(&denom, part - to_provider);
            self.lease_mut(*lease_id).unwrap().accrued += to_provider;
        }
        self.deployments.get_mut(&id).unwrap().spend(money);
    }

    /// Settles; an account that is exhausted then becomes OVERDRAWN: its leases
    /// close, the groups pause. Answers how many leases closed and bids were
    /// released.
    pub fn touch(&mut self, id: DeploymentId, at: u64) -> u64 {
        if self.deployments[&id].escrow.state != AccountState::Open || !self.settle(id, at) {
            return 0;
        }
        self.hit("funds exhausted");
        let paid = self.deployments[&id].leases().filter(|(_, lease)| lease.is_paid()).count();
        if paid > 1 {
            self.hit("what is left is shared among several leases");
        }
        let until = self.now + self.params.escrow.overdrawn_keep;
        let deployment = self.deployments.get_mut(&id).unwrap();
        deployment.escrow.state = AccountState::Overdrawn;
        deployment.escrow.overdrawn_until = until;
        let groups: Vec<u32> = deployment.groups.keys().copied().collect();
        let mut weight = 0;
        for gseq in groups {
            if self.deployments[&id].groups[&gseq].state == GroupState::Open {
                weight += self.pause(id.group(gseq), CloseReason::FundsExhausted, at);
            }
        }
        weight
    }

    /// The world as if all accounts had been settled just now.
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        for id in self.deployments.keys() {
            if self.deployments[id].exhausted_at(self.now).is_none() {
                settled.settle(*id, self.now);
            }
        }
        settled
    }

    /// "`MsgDepositDeployment`, by anyone."
    pub fn deposit(
        &mut self,
        from: Address,
        id: DeploymentId,
        denom: &str,
        units: u128,
    ) -> Outcome {
        if units == 0 {
            return Err("deposit of nothing");
        }
        let deployment = self.deployment(id)?;
        if deployment.escrow.state == AccountState::Closed {
            return Err("escrow closed");
        }
        if deployment.denom != denom {
            return Err("deposit in another denom");
        }
        self.check_depositor(from, id)?;
        self.take_units(from, denom, units)?;
        let now = self.now;
        let escrow = &mut self.deployment_mut(id)?.escrow;
        match escrow.depositors.iter_mut().find(|(depositor, _)| *depositor == from) {
            Some((_, left)) => *left += units * ONE,
            None => escrow.depositors.push((from, units * ONE)),
        }
        // "A deposit counts before the settlement in its own transaction."
        let was_overdrawn = self.deployments[&id].escrow.state == AccountState::Overdrawn;
        if from != id.owner {
            self.hit("deposit by another than the owner");
        }
        self.touch(id, now);
        let deployment = self.deployment(id)?;
        let enough = deployment.escrow.balance() >= self.min_deposit_of(deployment) * ONE;
        if was_overdrawn {
            if enough {
                let escrow = &mut self.deployment_mut(id)?.escrow;
                escrow.state = AccountState::Open;
                escrow.overdrawn_until = 0;
                self.hit("a deposit reopens an overdrawn account");
            } else {
                self.hit("a deposit too small to reopen an overdrawn account");
            }
        }
        Ok(())
    }

    /// "the owner always fits among the 16; repeats add to one's entry": the
    /// owner's entry is the first, and stays.
    fn check_depositor(&self, from: Address, id: DeploymentId) -> Outcome {
        let entries = &self.deployment(id)?.escrow.depositors;
        let known = entries.iter().any(|(depositor, _)| *depositor == from);
        if !known && entries.len() >= self.params.escrow.max_depositors as usize {
            return Err("too many depositors");
        }
        Ok(())
    }

    /// "When the account closes, depositors get their whole units back, the
    /// pool the rest."
    pub fn close_escrow(&mut self, id: DeploymentId) -> Result<(), Refusal> {
        let deployment = self.deployment_mut(id)?;
        let denom = deployment.denom.clone();
        deployment.escrow.state = AccountState::Closed;
        deployment.escrow.overdrawn_until = 0;
        let depositors = std::mem::take(&mut deployment.escrow.depositors);
        if depositors.iter().filter(|(_, left)| *left > 0).count() > 1 {
            self.hit("several depositors get their rest back");
        }
        for (depositor, left) in depositors {
            self.give_units(depositor, &denom, left / ONE);
            self.give_pool(&denom, left % ONE);
        }
        Ok(())
    }
}
