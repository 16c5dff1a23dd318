//! "Each deployment has one account."

use stoa_chain::types::{Address, DeploymentId, LeaseId};
use stoa_proto::market::v1::CloseReason;

use super::share::{largest_remainder, mul_div};
use super::spec::{fine, max_rate};
use super::{AccountState, Deployment, Fine, GroupState, Lease, Outcome, Refusal, World, ONE};

/// What a paid lease has cost by `at` since it was settled; nothing past its
/// own end.
fn seconds(lease: &Lease, at: u64) -> u64 {
    at.min(lease.end()).saturating_sub(lease.paid_until)
}

impl Deployment {
    /// What its paid leases owe at `at`.
    pub fn debt(&self, at: u64) -> Fine {
        let paid = self.leases().filter(|(_, lease)| lease.is_paid());
        paid.map(|(_, lease)| lease.cost_rate * u128::from(seconds(lease, at))).sum()
    }

    /// "total rate (of its paid leases)".
    pub fn total_rate(&self) -> Fine {
        self.leases().filter(|(_, lease)| lease.is_paid()).map(|(_, lease)| lease.cost_rate).sum()
    }

    /// "An account with total rate over 0 whose debt at `now` reaches its
    /// balance": the first second at which it does, where that is by `now`.
    pub fn exhausted_at(&self, now: u64) -> Option<u64> {
        let exhausted = |at| self.debt(at) >= self.escrow.balance();
        if self.escrow.state != AccountState::Open || self.total_rate() == 0 || !exhausted(now) {
            return None;
        }
        let paid = self.leases().filter(|(_, lease)| lease.is_paid());
        let mut from = paid.map(|(_, lease)| lease.paid_until).min()?;
        let mut to = now.max(from);
        while from < to {
            let middle = from + (to - from) / 2;
            if exhausted(middle) {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        Some(to)
    }

    /// "the oldest entry is spent first".
    pub fn spend(&mut self, mut money: Fine) {
        for (_, left) in &mut self.escrow.depositors {
            let part = money.min(*left);
            *left -= part;
            money -= part;
        }
        assert_eq!(money, 0, "only what is there is spent");
        self.escrow.depositors.retain(|(_, left)| *left > 0);
    }

    /// What returns to the balance goes to the entry that is spent next, or
    /// to the owner's where all are spent.
    pub fn unspend(&mut self, owner: Address, money: Fine) {
        if money == 0 {
            return;
        }
        match self.escrow.depositors.first_mut() {
            Some((_, left)) => *left += money,
            None => self.escrow.depositors.push((owner, money)),
        }
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

    /// Pays each lease up to `at` by exact multiplication; where the balance
    /// does not go as far, all of it in proportion to the cost rates.
    pub fn settle(&mut self, id: DeploymentId, at: u64) {
        let Some(deployment) = self.deployments.get(&id) else { return };
        let (debt, balance) = (deployment.debt(at), deployment.escrow.balance());
        let leases: Vec<(LeaseId, Lease)> = deployment
            .leases()
            .filter(|(_, lease)| lease.is_paid())
            .map(|((gseq, oseq), lease)| {
                (id.group(gseq).order(oseq).lease(lease.provider), lease.clone())
            })
            .collect();
        let owed = |(_, lease): &(LeaseId, Lease)| {
            lease.cost_rate * u128::from(seconds(lease, at))
        };
        let owed: Vec<Fine> = leases.iter().map(owed).collect();
        let denom = deployment.denom.clone();
        let parts = if debt < balance {
            owed
        } else if debt == 0 {
            vec![0; leases.len()]
        } else {
            self.hit("what is left is shared in proportion");
            if debt > balance && leases.len() > 1 {
                self.hit("what is left does not suffice for several leases");
            }
            largest_remainder(balance, &owed)
        };
        for ((lease_id, lease), part) in leases.iter().zip(&parts) {
            // The take is rounded up, so the provider's part down.
            let (provider, _) = mul_div(*part, lease.provider_rate, lease.cost_rate);
            self.give_pool(&denom, part - provider);
            let lease = self.lease_mut(*lease_id).unwrap();
            lease.accrued += provider;
            lease.paid_until = lease.paid_until.max(at.min(lease.end()));
        }
        self.deployments.get_mut(&id).unwrap().spend(parts.iter().sum());
    }

    /// "What is left is shared among the paid leases [...]; they close; the
    /// groups pause; the account is OVERDRAWN."
    pub fn exhaust(&mut self, id: DeploymentId, at: u64) -> u64 {
        self.hit("funds exhausted");
        self.settle(id, at);
        let mut weight = 0;
        let deployment = self.deployments.get(&id).unwrap();
        let paid: Vec<LeaseId> = deployment
            .leases()
            .filter(|(_, lease)| lease.is_paid())
            .map(|((gseq, oseq), lease)| id.group(gseq).order(oseq).lease(lease.provider))
            .collect();
        let groups: Vec<u32> = deployment.groups.keys().copied().collect();
        for lease in paid {
            weight += 1;
            self.end_lease(lease, CloseReason::FundsExhausted, at);
        }
        for gseq in groups {
            if self.group(id.group(gseq)).unwrap().state == GroupState::Open {
                weight += self.pause(id.group(gseq), CloseReason::FundsExhausted, at);
            }
        }
        let until = self.now + self.params.escrow.overdrawn_keep;
        let escrow = &mut self.deployments.get_mut(&id).unwrap().escrow;
        escrow.state = AccountState::Overdrawn;
        escrow.overdrawn_until = until;
        weight
    }

    /// "`MsgDepositDeployment`, by anyone."
    pub fn deposit(&mut self, from: Address, id: DeploymentId, denom: &str, units: u128) -> Outcome {
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
        let escrow = &mut self.deployment_mut(id)?.escrow;
        match escrow.depositors.iter_mut().find(|(depositor, _)| *depositor == from) {
            Some((_, left)) => *left += units * ONE,
            None => escrow.depositors.push((from, units * ONE)),
        }
        // "A deposit counts before the settlement in its own transaction."
        self.settle(id, self.now);
        let deployment = self.deployment(id)?;
        let enough = deployment.escrow.balance() >= self.min_deposit_of(deployment) * ONE;
        if deployment.escrow.state == AccountState::Overdrawn {
            if enough {
                let escrow = &mut self.deployment_mut(id)?.escrow;
                escrow.state = AccountState::Open;
                escrow.overdrawn_until = 0;
                self.hit("a deposit reopens an overdrawn account");
            } else {
                self.hit("a deposit too small to reopen an overdrawn account");
            }
        }
        if from != id.owner {
            self.hit("deposit by another than the owner");
        }
        Ok(())
    }

    /// "the owner always fits among the 16; repeats add to one's entry".
    fn check_depositor(&self, from: Address, id: DeploymentId) -> Outcome {
        let entries = &self.deployment(id)?.escrow.depositors;
        if entries.iter().any(|(depositor, _)| *depositor == from) {
            return Ok(());
        }
        let kept_for_owner = !entries.iter().any(|(depositor, _)| *depositor == id.owner)
            && from != id.owner;
        let most = self.params.escrow.max_depositors as usize - usize::from(kept_for_owner);
        if entries.len() >= most {
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
        if depositors.len() > 1 {
            self.hit("several depositors get their rest back");
        }
        for (depositor, left) in depositors {
            self.give_units(depositor, &denom, left / ONE);
            self.give_pool(&denom, left % ONE);
        }
        Ok(())
    }
}
