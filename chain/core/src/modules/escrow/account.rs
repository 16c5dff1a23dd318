//! An escrow account and its arithmetic. Pure: no state, no clock.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::share::share;
use crate::types::{mul_div_floor, Address, Denom, Fine, LeaseId, Rate};

/// OPEN ⇄ OVERDRAWN; → CLOSED with the deployment.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Pays its leases.
    Open,
    /// Had nothing left to pay with; its groups are paused.
    Overdrawn,
    /// Takes nothing, holds nothing.
    Closed,
}

/// What one depositor still has in it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Depositor {
    /// Who gets it back.
    pub address: Address,
    /// What is left.
    pub balance: Fine,
}

/// A lease that is paid: ACTIVE or RECLAIMING.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PaidLease {
    /// Which.
    pub lease: LeaseId,
    /// What the escrow pays a second.
    pub cost_rate: Rate,
    /// What of it the provider gets; the rest goes to the community pool.
    pub provider_rate: Rate,
    /// What the provider has earned and not been paid.
    pub accrued: Fine,
    /// From this second on it is not paid, whenever its end is worked.
    pub ends_at: Option<u64>,
}

/// The account of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Account {
    /// See [`AccountState`].
    pub state: AccountState,
    /// The one denom of all that is in it.
    pub denom: Denom,
    /// Oldest first; the oldest is spent first.
    pub depositors: Vec<Depositor>,
    /// Sorted by lease.
    pub leases: Vec<PaidLease>,
    /// Unix seconds up to which the leases are paid.
    pub settled_at: u64,
    /// When the balance is used up at the present rate.
    pub exhausts_at: Option<u64>,
    /// While OVERDRAWN: when the deployment closes.
    pub overdrawn_until: Option<u64>,
}

/// What a settlement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What goes to the community pool.
    pub to_pool: Fine,
    /// Whether the debt reached the balance.
    pub exhausted: bool,
}

impl Account {
    /// An account with its owner's first deposit.
    pub fn new(denom: Denom, owner: Address, deposit: Fine, now: u64) -> Self {
        Self {
            state: AccountState::Open,
            denom,
            depositors: vec![Depositor { address: owner, balance: deposit }],
            leases: Vec::new(),
            settled_at: now,
            exhausts_at: None,
            overdrawn_until: None,
        }
    }

    /// What is left to pay with. The sum fits, for supply is bounded.
    pub fn balance(&self) -> Fine {
        self.depositors
            .iter()
            .fold(Fine::ZERO, |sum, depositor| sum.saturating_add(depositor.balance))
    }

    /// What has accrued to its leases' providers.
    pub fn accrued(&self) -> Fine {
        self.leases.iter().fold(Fine::ZERO, |sum, lease| sum.saturating_add(lease.accrued))
    }

    /// Sum of the cost rates of the leases that are paid after `time`.
    pub fn total_rate(&self, time: u64) -> Rate {
        self.leases
            .iter()
            .filter(|lease| lease.is_paid_after(time))
            .fold(Rate::ZERO, |sum, lease| sum.saturating_add(lease.cost_rate))
    }

    /// The paid lease with this id.
    pub fn lease_mut(&mut self, id: &LeaseId) -> Option<&mut PaidLease> {
        self.leases.iter_mut().find(|lease| lease.lease == *id)
    }

    /// Takes from the balance, oldest depositor first; as far as it goes.
    /// Answers what was taken.
    pub fn spend(&mut self, amount: Fine) -> Fine {
        let mut left = amount;
        for depositor in &mut self.depositors {
            let taken = left.min(depositor.balance);
            depositor.balance = depositor.balance.saturating_sub(taken);
            left = left.saturating_sub(taken);
        }
        amount.saturating_sub(left)
    }

    /// Puts a closed lease's fraction back: to the oldest depositor that has
    /// something left, else to the newest.
    pub fn put_back(&mut self, fraction: Fine) {
        let found = self.depositors.iter().position(|depositor| !depositor.balance.is_zero());
        let index = found.unwrap_or(self.depositors.len().saturating_sub(1));
        if let Some(depositor) = self.depositors.get_mut(index) {
            depositor.balance = depositor.balance.saturating_add(fraction);
        }
    }

    /// Pays the leases up to `time`: elapsed × rate, exactly.
    ///
    /// Goes from one lease's end to the next, so that nothing is paid past an
    /// end. Where the debt reaches the balance, what is left is shared in
    /// proportion to the cost rates, and all leases end then and there.
    pub fn settle(&mut self, time: u64) -> Settled {
        let mut to_pool = Fine::ZERO;
        while self.settled_at < time {
            let until = self.next_end(time);
            let rate = self.total_rate(self.settled_at);
            let elapsed = until.saturating_sub(self.settled_at);
            let debt = rate.over(elapsed);
            let exhausted = !rate.is_zero() && debt >= self.balance();
            let paid = if exhausted { self.pay_what_is_left() } else { self.pay(elapsed) };
            to_pool = to_pool.saturating_add(paid);
            self.settled_at = until;
            if exhausted {
                self.settled_at = time;
                return Settled { to_pool, exhausted };
            }
        }
        // A balance that was spent otherwise can be used up with no time gone.
        let exhausted = !self.total_rate(self.settled_at).is_zero() && self.balance().is_zero();
        Settled { to_pool, exhausted }
    }

    /// When the balance is used up at the present rate:
    /// last settlement + ⌈balance / total rate⌉.
    pub fn predict(&self) -> Option<u64> {
        if self.state != AccountState::Open {
            return None;
        }
        let rate = self.total_rate(self.settled_at);
        if rate.is_zero() {
            return None;
        }
        let seconds = u64::try_from(self.balance().raw().div_ceil(rate.raw())).ok()?;
        self.settled_at.checked_add(seconds)
    }

    /// The first end of a lease after the last settlement, at most `time`.
    fn next_end(&self, time: u64) -> u64 {
        let ends = self.leases.iter().filter_map(|lease| lease.ends_at);
        ends.filter(|end| *end > self.settled_at).fold(time, u64::min)
    }

    fn pay(&mut self, elapsed: u64) -> Fine {
        let (mut cost, mut earned) = (Fine::ZERO, Fine::ZERO);
        let settled_at = self.settled_at;
        for lease in self.leases.iter_mut().filter(|lease| lease.is_paid_after(settled_at)) {
            let to_provider = lease.provider_rate.over(elapsed);
            lease.accrued = lease.accrued.saturating_add(to_provider);
            earned = earned.saturating_add(to_provider);
            cost = cost.saturating_add(lease.cost_rate.over(elapsed));
        }
        self.spend(cost);
        cost.saturating_sub(earned)
    }

    fn pay_what_is_left(&mut self) -> Fine {
        let left = self.balance();
        self.spend(left);
        let settled_at = self.settled_at;
        let mut paid: Vec<&mut PaidLease> =
            self.leases.iter_mut().filter(|lease| lease.is_paid_after(settled_at)).collect();
        let rates: Vec<Rate> = paid.iter().map(|lease| lease.cost_rate).collect();
        let mut to_pool = Fine::ZERO;
        for (lease, share) in paid.iter_mut().zip(share(left, &rates)) {
            let (rate, of) = (lease.provider_rate.raw(), lease.cost_rate.raw());
            let to_provider = mul_div_floor(share.raw(), rate, of).unwrap_or_default();
            let to_provider = Fine::from_raw(to_provider);
            lease.accrued = lease.accrued.saturating_add(to_provider);
            to_pool = to_pool.saturating_add(share.saturating_sub(to_provider));
        }
        to_pool
    }
}

impl PaidLease {
    /// Whether time after `time` is paid.
    fn is_paid_after(&self, time: u64) -> bool {
        self.ends_at.is_none_or(|end| end > time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DeploymentId, ONE};
    use proptest::prelude::*;

    fn address(byte: u8) -> Address {
        Address::new([byte; 20])
    }

    fn lease(byte: u8, cost: u128, provider: u128) -> PaidLease {
        let deployment = DeploymentId { owner: address(1), dseq: 1 };
        PaidLease {
            lease: deployment.group(u32::from(byte)).order(1).lease(address(byte)),
            cost_rate: Rate::from_raw(cost),
            provider_rate: Rate::from_raw(provider),
            accrued: Fine::ZERO,
            ends_at: None,
        }
    }

    fn account(balance: u128, leases: Vec<PaidLease>) -> Account {
        let denom = Denom::try_from("ustoa").unwrap();
        let mut account = Account::new(denom, address(1), Fine::from_raw(balance), 100);
        account.leases = leases;
        account
    }

    #[test]
    fn a_lease_is_paid_by_the_second_and_the_pool_takes_its_part() {
        let mut account = account(1_000 * ONE, vec![lease(1, 10 * ONE, 9 * ONE)]);
        let settled = account.settle(107);
        assert_eq!(settled, Settled { to_pool: Fine::from_raw(7 * ONE), exhausted: false });
        assert_eq!(account.leases[0].accrued.raw(), 63 * ONE);
        assert_eq!(account.balance().raw(), 930 * ONE);
        assert_eq!(account.predict(), Some(107 + 93));
    }

    #[test]
    fn nothing_is_paid_past_a_leases_end() {
        let mut account = account(1_000, vec![lease(1, 10, 10), lease(2, 5, 5)]);
        account.leases[0].ends_at = Some(103);
        account.settle(110);
        assert_eq!(account.leases[0].accrued.raw(), 30);
        assert_eq!(account.leases[1].accrued.raw(), 50);
        assert_eq!(account.balance().raw(), 1_000 - 80);
    }

    #[test]
    fn what_is_left_is_shared_in_proportion_when_the_debt_reaches_the_balance() {
        let mut account = account(100, vec![lease(1, 2, 2), lease(2, 1, 1)]);
        assert_eq!(account.predict(), Some(134));
        assert!(!account.clone().settle(133).exhausted);
        let settled = account.settle(134);
        assert!(settled.exhausted);
        assert_eq!(account.balance(), Fine::ZERO);
        assert_eq!(account.leases[0].accrued.raw(), 67);
        assert_eq!(account.leases[1].accrued.raw(), 33);
    }

    #[test]
    fn a_debt_that_equals_the_balance_exhausts_it() {
        let mut account = account(30, vec![lease(1, 3, 3)]);
        assert_eq!(account.predict(), Some(110));
        assert!(account.settle(110).exhausted);
    }

    #[test]
    fn the_oldest_deposit_is_spent_first() {
        let mut account = account(10, Vec::new());
        account.depositors.push(Depositor { address: address(2), balance: Fine::from_raw(10) });
        assert_eq!(account.spend(Fine::from_raw(14)).raw(), 14);
        let left: Vec<_> = account.depositors.iter().map(|d| d.balance.raw()).collect();
        assert_eq!(left, [0, 6]);
        assert_eq!(account.spend(Fine::from_raw(9)).raw(), 6);
    }

    proptest! {
        #[test]
        fn settling_keeps_every_unit_and_steps_do_not_matter(
            balance in 0..10_000u128,
            rates in prop::collection::vec((1..50u128, 0..200u64), 1..5),
            cut in 0..150u64,
        ) {
            let leases = (1u8..).zip(&rates).map(|(byte, (rate, end))| {
                let mut lease = lease(byte, *rate, rate - rate / 10);
                lease.ends_at = (*end > 100).then_some(*end);
                lease
            });
            let mut whole = account(balance, leases.collect());
            let mut stepped = whole.clone();
            let once = whole.settle(250);
            let first = stepped.settle(100 + cut);
            let mut to_pool = first.to_pool;
            if !first.exhausted {
                to_pool = to_pool.saturating_add(stepped.settle(250).to_pool);
            }
            let sum = |a: &Account, pool: Fine| a.balance().raw() + a.accrued().raw() + pool.raw();
            prop_assert_eq!(sum(&whole, once.to_pool), balance);
            prop_assert_eq!(sum(&stepped, to_pool), balance);
            if !once.exhausted {
                prop_assert_eq!(whole, stepped);
            }
        }
    }
}
