//! Counters of providers and tenants, which stay when records are pruned, and
//! the reputation computed from them.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::records::{CloseReason, Lease, LeaseState};
use super::{keys, params};
use crate::ctx::Ctx;
use crate::modules::provider;
use crate::types::{mul_div_floor, Address, Amount, Coin, Coins, LeaseId};

/// Seconds of a week, counted from 1970.
const WEEK: u64 = 604_800;

/// Whose counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who serves.
    Provider,
    /// Who pays.
    Tenant,
}

impl Role {
    /// In keys.
    pub fn number(self) -> u8 {
        match self {
            Self::Provider => 1,
            Self::Tenant => 2,
        }
    }

    /// From keys.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Provider, Self::Tenant].into_iter().find(|role| role.number() == number)
    }
}

/// What one address has come to in one role.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields, default)]
pub struct Counters {
    /// Matches.
    pub won: u64,
    /// Leases that became ACTIVE.
    pub started: u64,
    /// Ended NOT_STARTED.
    pub not_started: u64,
    /// Ended by the tenant's close of the lease.
    pub closed_by_tenant: u64,
    /// Ended by the provider.
    pub closed_by_provider: u64,
    /// Ended in any other way.
    pub closed_otherwise: u64,
    /// Of leases that were ACTIVE.
    pub seconds_served: u64,
    /// Paid to providers, in whole units.
    pub amounts: Coins,
    /// Providers: (tenant, week) pairs whose leases paid `rep_min_fee`.
    pub good_weeks: u64,
    /// Providers: (tenant, week) pairs with a lease that ended PENDING other
    /// than by the tenant.
    pub failed_weeks: u64,
}

/// What a tenant's leases at a provider have come to in their latest week.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Week {
    /// Since 1970.
    pub week: u64,
    /// Paid in the staking denom.
    pub paid: Amount,
    /// Whether a lease failed.
    pub failed: bool,
}

/// The counters of an address.
pub fn get(ctx: &Ctx<'_>, role: Role, address: &Address) -> Counters {
    ctx.get(&keys::counters(role, address)).unwrap_or_default()
}

fn change(ctx: &mut Ctx<'_>, role: Role, address: &Address, change: impl Fn(&mut Counters)) {
    let mut counters = get(ctx, role, address);
    change(&mut counters);
    ctx.put(keys::counters(role, address), &counters);
}

fn change_both(ctx: &mut Ctx<'_>, id: LeaseId, what: impl Fn(&mut Counters)) {
    change(ctx, Role::Provider, &id.provider, &what);
    change(ctx, Role::Tenant, &id.owner(), &what);
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// A match.
pub fn lease_won(ctx: &mut Ctx<'_>, id: LeaseId) {
    change_both(ctx, id, |counters| count(&mut counters.won));
}

/// PENDING → ACTIVE.
pub fn lease_started(ctx: &mut Ctx<'_>, id: LeaseId) {
    change_both(ctx, id, |counters| count(&mut counters.started));
}

/// A provider was paid.
pub fn lease_paid(ctx: &mut Ctx<'_>, id: LeaseId, coin: &Coin) {
    change_both(ctx, id, |counters| {
        let sum = counters.amounts.of(&coin.denom).saturating_add(coin.amount);
        counters.amounts.set(coin.denom.clone(), sum);
    });
    if coin.denom.as_str() != provider::STAKE_DENOM {
        return;
    }
    let least = params(ctx).rep_min_fee;
    let mut week = this_week(ctx, id);
    let before = week.paid;
    week.paid = before.saturating_add(coin.amount);
    if before < least && week.paid >= least {
        change(ctx, Role::Provider, &id.provider, |counters| count(&mut counters.good_weeks));
    }
    ctx.put(keys::week(&id.provider, &id.owner()), &week);
}

/// A lease ended.
pub fn lease_closed(ctx: &mut Ctx<'_>, id: LeaseId, lease: &Lease, reason: CloseReason, time: u64) {
    let served = match lease.state {
        LeaseState::Pending | LeaseState::Closed => 0,
        LeaseState::Active | LeaseState::Reclaiming => time.saturating_sub(lease.started_at),
    };
    change_both(ctx, id, |counters| {
        counters.seconds_served = counters.seconds_served.saturating_add(served);
        count(match reason {
            CloseReason::NotStarted => &mut counters.not_started,
            CloseReason::ByTenant => &mut counters.closed_by_tenant,
            CloseReason::ByProvider => &mut counters.closed_by_provider,
            _ => &mut counters.closed_otherwise,
        });
    });
    let provider_failed = matches!(
        reason,
        CloseReason::NotStarted | CloseReason::ByProvider | CloseReason::ProviderJailed
    );
    if lease.state == LeaseState::Pending && provider_failed {
        lease_failed(ctx, id);
    }
}

fn lease_failed(ctx: &mut Ctx<'_>, id: LeaseId) {
    let mut week = this_week(ctx, id);
    if !week.failed {
        week.failed = true;
        change(ctx, Role::Provider, &id.provider, |counters| count(&mut counters.failed_weeks));
        ctx.put(keys::week(&id.provider, &id.owner()), &week);
    }
}

fn this_week(ctx: &Ctx<'_>, id: LeaseId) -> Week {
    let now = ctx.now().checked_div(WEEK).unwrap_or_default();
    let known: Option<Week> = ctx.get(&keys::week(&id.provider, &id.owner()));
    known.filter(|week| week.week == now).unwrap_or(Week {
        week: now,
        paid: Amount::ZERO,
        failed: false,
    })
}

/// A provider's reputation, 0..10,000:
/// ⌊8,000·g / (g + 5f + 10)⌋ + ⌊2,000·stake / (stake + `rep_half_stake`)⌋.
pub fn reputation(ctx: &Ctx<'_>, address: &Address) -> u32 {
    let stake = provider::provider(ctx, address).map(|provider| provider.stake);
    reputation_with(ctx, address, stake.unwrap_or_default())
}

/// The same, were its stake this much.
pub fn reputation_with(ctx: &Ctx<'_>, address: &Address, stake: Amount) -> u32 {
    let counters = get(ctx, Role::Provider, address);
    let half = params(ctx).rep_half_stake;
    of(counters.good_weeks, counters.failed_weeks, stake, half)
}

fn of(good: u64, failed: u64, stake: Amount, half_stake: Amount) -> u32 {
    let (good, failed) = (u128::from(good), u128::from(failed));
    let weeks = good.saturating_add(failed.saturating_mul(5)).saturating_add(10);
    let by_weeks = mul_div_floor(8_000, good, weeks).unwrap_or_default();
    let both = stake.saturating_add(half_stake);
    let by_stake = mul_div_floor(2_000, stake.raw(), both.raw()).unwrap_or_default();
    u32::try_from(by_weeks.saturating_add(by_stake)).unwrap_or(10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reputation_grows_with_paid_weeks_and_stake_and_falls_with_failures() {
        let amount = Amount::from_raw;
        assert_eq!(of(0, 0, amount(0), amount(100)), 0);
        assert_eq!(of(10, 0, amount(0), amount(100)), 4_000);
        assert_eq!(of(10, 2, amount(0), amount(100)), 2_666);
        assert_eq!(of(0, 0, amount(100), amount(100)), 1_000);
        assert_eq!(of(u64::MAX, 0, amount(u128::MAX), amount(0)), 7_999 + 2_000);
        assert_eq!(of(0, 0, amount(0), amount(0)), 0);
    }
}
