//! What open bids and live leases forbid a provider to change.

use super::Error;
use crate::ctx::Ctx;
use crate::modules::market;
use crate::types::{Address, Amount, Attribute};

/// Whether nothing would be left without its provider.
pub fn check_delete(ctx: &Ctx<'_>, owner: &Address) -> Result<(), Error> {
    if market::has_live_lease(ctx, owner) {
        return Err(Error::LiveLease(*owner));
    }
    if market::has_open_bid(ctx, owner) {
        return Err(Error::OpenBid(*owner));
    }
    Ok(())
}

/// Whether orders that the provider bids on or serves allow it so little
/// stake, and those that it bids on the reputation that it has with it.
pub fn check_stake(ctx: &Ctx<'_>, owner: &Address, left: Amount) -> Result<(), Error> {
    let needed = market::least_stake_needed(ctx, owner);
    if left < needed {
        return Err(Error::StakeNeeded { left, needed });
    }
    if let Some((order, needed)) = market::reputation_lost(ctx, owner, left) {
        let left = market::reputation_with(ctx, owner, left);
        return Err(Error::ReputationNeeded { order, left, needed });
    }
    Ok(())
}

/// Whether the requirements of orders that the provider bids on would still be
/// met.
pub fn check_attributes(
    ctx: &Ctx<'_>,
    owner: &Address,
    attributes: &[Attribute],
) -> Result<(), Error> {
    match market::requirement_lost(ctx, owner, attributes) {
        Some(order) => Err(Error::RequirementLost(order)),
        None => Ok(()),
    }
}
