//! What other modules do with escrow accounts.
//!
//! Whoever reads or changes money of an account calls [`touch`] first; the
//! other functions take the account as settled.

use super::account::{Account, AccountState, PaidLease};
use super::{add_to_pool, keys, params, EscrowError};
use crate::ctx::Ctx;
use crate::event;
use crate::modules::bank;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::modules::deployment;
use crate::types::{Address, Amount, Coin, DeploymentId, Fine, LeaseId, Rate};
use stoa_proto::escrow::v1 as pb;

/// The account of a deployment.
pub fn account(ctx: &Ctx<'_>, id: DeploymentId) -> Option<Account> {
    ctx.get(&keys::account(id))
}

/// All accounts, by deployment.
pub fn accounts<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (DeploymentId, Account)> + 'a {
    ctx.prefix(&keys::accounts()).filter_map(|(key, value)| {
        Some((keys::account_id(&key)?, crate::state::decode(&key, &value)))
    })
}

/// Writes the account, and moves its exhaustion in the queue of deadlines to
/// where it now is.
fn write(ctx: &mut Ctx<'_>, id: DeploymentId, mut account: Account) {
    let predicted = account.predict();
    if predicted != account.exhausts_at {
        let at = |due| Deadline::new(due, Kind::Exhaustion, Subject::Deployment(id));
        if let Some(due) = account.exhausts_at {
            deadlines::cancel(ctx, at(due));
        }
        if let Some(due) = predicted {
            deadlines::schedule(ctx, at(due));
        }
        account.exhausts_at = predicted;
    }
    ctx.put(keys::account(id), &account);
}

/// Opens a deployment's account with its owner's deposit.
///
/// # Errors
/// The owner has less.
pub fn open(
    ctx: &mut Ctx<'_>,
    id: DeploymentId,
    deposit: &Coin,
) -> Result<(), crate::error::SdkError> {
    bank::take(ctx, &id.owner, deposit)?;
    let money = deposit.amount.to_fine();
    let account = Account::new(deposit.denom.clone(), id.owner, money, ctx.now());
    write(ctx, id, account);
    Ok(())
}

/// Adds a deposit to the balance before anything is settled, then settles:
/// a deposit can save an account in the block in which it would be exhausted.
pub(super) fn add_deposit(ctx: &mut Ctx<'_>, id: DeploymentId, mut account: Account) {
    if account.state == AccountState::Overdrawn {
        let least = deployment::min_deposit(ctx, id, &account.denom);
        if account.balance() >= least.to_fine() {
            account.state = AccountState::Open;
            account.settled_at = ctx.now();
            cancel_overdrawn(ctx, id, &mut account);
        }
    }
    write(ctx, id, account);
    touch(ctx, id, ctx.now());
}

/// Brings the account up to date. An account that is found exhausted becomes
/// OVERDRAWN, and its deployment pauses. Answers the leases closed and bids
/// released by that.
pub fn touch(ctx: &mut Ctx<'_>, id: DeploymentId, time: u64) -> u64 {
    let Some(mut account) = account(ctx, id) else { return 0 };
    if account.state != AccountState::Open {
        return 0;
    }
    let settled = account.settle(time);
    add_to_pool(ctx, &account.denom, settled.to_pool);
    if !settled.exhausted {
        write(ctx, id, account);
        return 0;
    }
    account.state = AccountState::Overdrawn;
    let until = ctx.now().saturating_add(params(ctx).overdrawn_keep);
    account.overdrawn_until = Some(until);
    deadlines::schedule(ctx, overdrawn_deadline(id, until));
    write(ctx, id, account);
    ctx.emit(event!(pb::EventOverdrawn { deployment: id, owner: id.owner }));
    deployment::pause_exhausted(ctx, id, time)
}

/// The exhaustion that was predicted for `due`.
pub fn exhaust_at(ctx: &mut Ctx<'_>, id: DeploymentId, due: u64) -> u64 {
    touch(ctx, id, due)
}

/// Whether the account is OPEN and holds so much.
pub fn solvent(ctx: &Ctx<'_>, id: DeploymentId, needed: Fine) -> bool {
    account(ctx, id)
        .is_some_and(|account| account.state == AccountState::Open && account.balance() >= needed)
}

/// Starts paying a lease.
pub fn add_lease(
    ctx: &mut Ctx<'_>,
    lease: LeaseId,
    cost_rate: Rate,
    provider_rate: Rate,
    ends_at: Option<u64>,
) {
    let id = lease.deployment();
    let Some(mut account) = account(ctx, id) else { return };
    let paid = PaidLease { lease, cost_rate, provider_rate, accrued: Fine::ZERO, ends_at };
    account.leases.push(paid);
    account.leases.sort_by_key(|paid| paid.lease);
    write(ctx, id, account);
}

/// Says from which second on a lease is not paid.
pub fn end_lease_at(ctx: &mut Ctx<'_>, lease: LeaseId, ends_at: Option<u64>) {
    let id = lease.deployment();
    let Some(mut account) = account(ctx, id) else { return };
    if let Some(paid) = account.lease_mut(&lease) {
        paid.ends_at = ends_at;
        write(ctx, id, account);
    }
}

/// Pays what a lease has accrued, in whole units; the fraction stays. None
/// where the lease is not paid.
pub fn withdraw(ctx: &mut Ctx<'_>, lease: LeaseId) -> Option<Coin> {
    let id = lease.deployment();
    let mut account = account(ctx, id)?;
    let paid = account.lease_mut(&lease)?;
    let amount = paid.accrued.whole();
    paid.accrued = paid.accrued.fraction();
    let coin = Coin::new(account.denom.clone(), amount);
    write(ctx, id, account);
    bank::give(ctx, &lease.provider, &coin);
    Some(coin)
}

/// Stops paying a lease: its whole units are paid, its fraction returns to
/// the balance. Zero where it was not paid.
pub fn release(ctx: &mut Ctx<'_>, lease: LeaseId) -> Amount {
    let Some(coin) = withdraw(ctx, lease) else { return Amount::ZERO };
    let id = lease.deployment();
    let Some(mut account) = account(ctx, id) else { return coin.amount };
    let fraction = account.lease_mut(&lease).map(|paid| paid.accrued).unwrap_or_default();
    account.leases.retain(|paid| paid.lease != lease);
    account.put_back(fraction);
    write(ctx, id, account);
    coin.amount
}

/// Takes from the balance to the community pool, as far as it goes.
pub fn charge(ctx: &mut Ctx<'_>, id: DeploymentId, amount: Amount) {
    let Some(mut account) = account(ctx, id) else { return };
    let taken = account.spend(amount.to_fine());
    let denom = account.denom.clone();
    write(ctx, id, account);
    add_to_pool(ctx, &denom, taken);
}

/// Closes an account without paid leases: depositors get their whole units
/// back, the pool the rest. Answers what was returned.
pub fn close(ctx: &mut Ctx<'_>, id: DeploymentId) -> Option<Coin> {
    let mut account = account(ctx, id)?;
    cancel_overdrawn(ctx, id, &mut account);
    let mut returned = Amount::ZERO;
    for depositor in std::mem::take(&mut account.depositors) {
        let coin = Coin::new(account.denom.clone(), depositor.balance.whole());
        add_to_pool(ctx, &account.denom, depositor.balance.fraction());
        refund(ctx, id, &depositor.address, &coin);
        returned = returned.saturating_add(coin.amount);
    }
    account.state = AccountState::Closed;
    let coin = Coin::new(account.denom.clone(), returned);
    write(ctx, id, account);
    ctx.emit(event!(pb::EventAccountClosed { deployment: id, owner: id.owner }));
    Some(coin)
}

/// Forgets a CLOSED account.
pub fn prune(ctx: &mut Ctx<'_>, id: DeploymentId) {
    ctx.remove(keys::account(id));
}

/// Moves the closing of an OVERDRAWN deployment.
pub fn move_overdrawn(ctx: &mut Ctx<'_>, id: DeploymentId, until: u64) {
    let Some(mut account) = account(ctx, id) else { return };
    if account.overdrawn_until.is_some() {
        cancel_overdrawn(ctx, id, &mut account);
        account.overdrawn_until = Some(until);
        deadlines::schedule(ctx, overdrawn_deadline(id, until));
        write(ctx, id, account);
    }
}

/// Money in escrow accounts: balances and what has accrued.
pub fn held<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (crate::types::Denom, Fine)> + 'a {
    accounts(ctx).map(|(_, account)| {
        let money = account.balance().saturating_add(account.accrued());
        (account.denom, money)
    })
}

fn cancel_overdrawn(ctx: &mut Ctx<'_>, id: DeploymentId, account: &mut Account) {
    if let Some(until) = account.overdrawn_until.take() {
        deadlines::cancel(ctx, overdrawn_deadline(id, until));
    }
}

fn overdrawn_deadline(id: DeploymentId, until: u64) -> Deadline {
    Deadline::new(until, Kind::Overdrawn, Subject::Deployment(id))
}

fn refund(ctx: &mut Ctx<'_>, id: DeploymentId, to: &Address, coin: &Coin) {
    if coin.amount.is_zero() {
        return;
    }
    bank::give(ctx, to, coin);
    ctx.emit(event!(pb::EventRefunded { deployment: id, depositor: to, amount: coin }));
}

/// The account, where it takes a deposit.
///
/// # Errors
/// There is none, or it is CLOSED.
pub(super) fn depositable(ctx: &Ctx<'_>, id: DeploymentId) -> Result<Account, EscrowError> {
    let account = account(ctx, id).ok_or(EscrowError::NotFound(id))?;
    if account.state == AccountState::Closed {
        return Err(EscrowError::Closed(id));
    }
    Ok(account)
}
