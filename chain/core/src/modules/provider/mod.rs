//! Providers: who may bid, where each is reached, what it offers, which root
//! its certificates chain to, and its stake.
//!
//! Owns: a record for each provider, its stake in it, and unbondings, first
//! to complete first. Invariants: a provider's root is its own, self-signed;
//! attributes are sorted, their keys distinct; an unbonding is never of
//! nothing; the index of unbondings by provider and the sum of stakes are derived. Stake
//! and unbondings are in [`STAKE_DENOM`] and part of its supply.

mod error;
mod genesis;
mod keys;
mod msgs;
mod params;
mod profile;
mod query;
mod rests;
mod root;
#[cfg(test)]
pub(crate) mod tests;
mod unbonding;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::provider::v1 as pb;

pub use error::Error;
pub use genesis::{export, init, Genesis};
pub use msgs::{Create, Delete, SetJailed, Stake, Unstake, Update};
pub use params::{params, Params, UpdateParams};
pub use query::routes;
pub use root::{roots, EarlierRoot};
pub use unbonding::{end_block, unbondings, unbondings_of, Unbonding};

pub use crate::types::STAKE_DENOM;

use crate::ctx::Ctx;
use crate::event;
use crate::modules::{gov, market, Holdings};
use crate::types::{Address, Amount, Attribute, Denom};

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Account that bids and is paid.
    pub owner: Address,
    /// Where its gateway listens: https, host and port.
    pub host_uri: String,
    /// Sorted, keys distinct.
    pub attributes: Vec<Attribute>,
    /// Where to write to; may be empty.
    pub email: String,
    /// Where to read more; may be empty.
    pub website: String,
    /// X.509 in DER.
    #[serde(with = "hex::serde")]
    pub root_certificate: Vec<u8>,
    /// The root before, for a while; see [`roots`].
    pub earlier_root: Option<EarlierRoot>,
    /// Whether governance keeps it from bidding.
    pub jailed: bool,
    /// Unix seconds.
    pub created_at: u64,
    /// Bonded, in [`STAKE_DENOM`].
    pub stake: Amount,
}

/// The provider that `owner` is.
pub fn provider(ctx: &Ctx<'_>, owner: &Address) -> Option<Provider> {
    ctx.get(&keys::provider(owner))
}

/// Whether `owner` is registered.
pub fn is_registered(ctx: &Ctx<'_>, owner: &Address) -> bool {
    ctx.has(&keys::provider(owner))
}

/// All providers, by address.
pub fn providers<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Provider> + 'a {
    ctx.prefix(&keys::providers()).map(|(key, value)| crate::state::decode(&key, &value))
}

/// The sum of all providers' stake, without what unbonds.
pub fn total_stake(ctx: &Ctx<'_>) -> Amount {
    ctx.get(&keys::total_stake()).unwrap_or_default()
}

/// Jails the provider, which queues its leases to close, or frees it:
/// governance's decision.
///
/// # Errors
/// It is not registered.
pub fn set_jailed(ctx: &mut Ctx<'_>, owner: &Address, jailed: bool) -> Result<(), Error> {
    let mut provider = existing(ctx, owner)?;
    provider.jailed = jailed;
    put(ctx, &provider);
    if jailed {
        market::provider_jailed(ctx, owner);
    }
    ctx.emit(event!(pb::EventProviderJailed { provider: owner, jailed: jailed }));
    Ok(())
}

/// Adds stake and unbondings to what is held.
pub fn add_holdings(ctx: &Ctx<'_>, held: &mut Holdings) {
    let denom = Denom::stake();
    providers(ctx).for_each(|provider| held.add(&denom, provider.stake.to_fine()));
    unbondings(ctx).for_each(|unbonding| held.add(&denom, unbonding.amount.to_fine()));
}

/// What is wrong with provider's records.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    for provider in providers(ctx) {
        if !is_sorted(&provider.attributes) {
            broken.push(format!("attributes of provider {} are not sorted", provider.owner));
        }
    }
    for unbonding in unbondings(ctx).filter(|unbonding| unbonding.amount.is_zero()) {
        let Unbonding { provider, completes_at, .. } = unbonding;
        broken.push(format!("the unbonding of {provider} at {completes_at} is of nothing"));
    }
    let sum = providers(ctx).fold(Amount::ZERO, |sum, p| sum.saturating_add(p.stake));
    if sum != total_stake(ctx) {
        broken.push(format!("providers stake {sum} together, not {}", total_stake(ctx)));
    }
    unbonding::check_index(ctx, broken);
}

fn is_sorted(attributes: &[Attribute]) -> bool {
    attributes.is_sorted_by(|a, b| a.key < b.key)
}

fn existing(ctx: &Ctx<'_>, owner: &Address) -> Result<Provider, Error> {
    provider(ctx, owner).ok_or(Error::UnknownProvider(*owner))
}

/// Writes the provider; what its stake was before leaves the total.
fn put(ctx: &mut Ctx<'_>, provider: &Provider) {
    add_to_total(ctx, &provider.owner, provider.stake);
    ctx.put(keys::provider(&provider.owner), provider);
}

/// Forgets the provider.
fn remove(ctx: &mut Ctx<'_>, owner: &Address) {
    add_to_total(ctx, owner, Amount::ZERO);
    ctx.remove(keys::provider(owner));
}

fn add_to_total(ctx: &mut Ctx<'_>, owner: &Address, stake: Amount) {
    let before = provider(ctx, owner).map_or(Amount::ZERO, |provider| provider.stake);
    if before == stake {
        return;
    }
    gov::before_stake_changes(ctx, owner);
    let total = total_stake(ctx).saturating_sub(before).saturating_add(stake);
    if total.is_zero() {
        ctx.remove(keys::total_stake());
    } else {
        ctx.put(keys::total_stake(), &total);
    }
}
