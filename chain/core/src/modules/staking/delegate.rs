//! Shares come and go: what all that delegates and undelegates goes through.

use super::book::{put_delegation, put_validator, remove_validator};
use super::{delegation, validator, Delegation, Error, Status, Validator};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::{bank, distribution, gov, slashing};
use crate::types::{Address, Amount, Coin, Dec, Denom};

/// Where delegated tokens come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The delegator's account.
    Account,
    /// Staking's own care: they were unbonded or redelegated.
    Staking,
}

/// The validator of `operator`.
///
/// # Errors
/// There is none.
pub(super) fn existing(ctx: &Ctx<'_>, operator: &Address) -> Result<Validator, Error> {
    validator(ctx, operator).ok_or(Error::UnknownValidator((*operator).into()))
}

/// Adds `amount` to what `delegator` has with `operator`'s validator, and
/// answers the shares that it got.
///
/// # Errors
/// There is no such validator or no proportion of its shares to its tokens, or
/// the account has less.
pub(super) fn delegate(
    ctx: &mut Ctx<'_>,
    delegator: &Address,
    operator: &Address,
    amount: Amount,
    source: Source,
) -> Result<Dec, Failure> {
    let mut validator = existing(ctx, operator)?;
    let shares = validator.shares_for(amount).ok_or(Error::ExchangeRate((*operator).into()))?;
    gov::before_stake_changes(ctx, delegator);
    distribution::before_delegation_changed(ctx, delegator, operator);
    if source == Source::Account {
        bank::delegate(ctx, delegator, &Coin::new(Denom::stake(), amount))?;
    }
    validator.tokens = validator.tokens.saturating_add(amount);
    validator.shares = validator.shares.saturating_add(shares);
    put_validator(ctx, &validator);
    let mut delegation = delegation(ctx, delegator, operator).unwrap_or(Delegation {
        delegator: *delegator,
        validator: *operator,
        shares: Dec::ZERO,
    });
    delegation.shares = delegation.shares.saturating_add(shares);
    put_delegation(ctx, &delegation);
    distribution::after_delegation_changed(ctx, delegator, operator);
    Ok(shares)
}

/// The shares to take from a delegation, so that so much leaves it.
///
/// # Errors
/// There is no such validator or delegation, or it is worth less.
pub(super) fn shares_worth(
    ctx: &Ctx<'_>,
    delegator: &Address,
    operator: &Address,
    amount: Amount,
) -> Result<Dec, Error> {
    let validator = existing(ctx, operator)?;
    let owned = delegation(ctx, delegator, operator)
        .ok_or(Error::NoDelegation(*delegator, (*operator).into()))?
        .shares;
    if validator.tokens.is_zero() {
        return Err(Error::WorthNothing((*operator).into()));
    }
    let worth = validator.worth(owned).whole();
    validator.shares_worth(amount, owned).ok_or(Error::TooMuch { asked: amount, worth })
}

/// The shares that leave with so much, as [`shares_worth`]. Where all of the
/// validator's tokens were slashed it is the whole delegation, whatever was
/// asked for: nothing returns, but the delegation is gone, and with the last one
/// the validator. (In the Cosmos SDK such a delegation stays for ever.)
///
/// # Errors
/// There is no such validator or delegation, or it is worth less.
pub(super) fn shares_leaving(
    ctx: &Ctx<'_>,
    delegator: &Address,
    operator: &Address,
    amount: Amount,
) -> Result<Dec, Error> {
    match (shares_worth(ctx, delegator, operator, amount), delegation(ctx, delegator, operator)) {
        (Err(Error::WorthNothing(_)), Some(owned)) => Ok(owned.shares),
        (shares, _) => shares,
    }
}

/// Takes shares from a delegation; the tokens that leave the validator are
/// then in the caller's care. At most the delegation's shares are taken.
///
/// Jails the validator whose operator keeps less than it has promised, and
/// removes one that is UNBONDED and has no shares left.
pub(super) fn unbond(
    ctx: &mut Ctx<'_>,
    delegator: &Address,
    operator: &Address,
    shares: Dec,
) -> Amount {
    let found = (validator(ctx, operator), delegation(ctx, delegator, operator));
    let (Some(mut validator), Some(mut delegation)) = found else { return Amount::ZERO };
    gov::before_stake_changes(ctx, delegator);
    distribution::before_delegation_changed(ctx, delegator, operator);
    let shares = shares.min(delegation.shares);
    delegation.shares = delegation.shares.saturating_sub(shares);
    let keeps = validator.worth(delegation.shares).whole();
    if delegator == operator && keeps < validator.min_self_delegation {
        validator.jailed = true;
    }
    // The last share takes what rounding has left.
    let amount = validator.worth(shares).whole();
    validator.tokens = validator.tokens.saturating_sub(amount);
    validator.shares = validator.shares.saturating_sub(shares);
    put_delegation(ctx, &delegation);
    put_validator(ctx, &validator);
    if !delegation.shares.is_zero() {
        distribution::after_delegation_changed(ctx, delegator, operator);
    }
    remove_if_over(ctx, &validator);
    amount
}

/// Removes a validator of which nothing is left.
pub(super) fn remove_if_over(ctx: &mut Ctx<'_>, validator: &Validator) {
    if validator.status != Status::Unbonded || !validator.shares.is_zero() {
        return;
    }
    remove_validator(ctx, validator);
    distribution::after_validator_removed(ctx, &validator.operator);
    slashing::after_validator_removed(ctx, &validator.consensus());
}
