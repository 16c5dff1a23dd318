//! Mint: new coins each block, more while less than the goal is bonded.
//!
//! Owns: inflation as it is. What is minted goes to the collected fees, which
//! distribution allocates just after.
//!
//! By seconds, where the Cosmos SDK counts blocks of an assumed length: so
//! much a year is minted however quick blocks come, and for a halt hardly
//! anything ([`MAX_SECONDS`]). A chain on which nobody is bonded mints nothing.

mod genesis;
mod keys;
mod minter;
mod msgs;
mod params;
mod query;
#[cfg(test)]
mod tests;

pub use genesis::{export, init, Genesis};
pub use minter::{Minter, MAX_SECONDS, YEAR};
pub use msgs::UpdateParams;
pub use params::{params, Params, BLOCKS_PER_YEAR};
pub use query::routes;

use crate::ctx::Ctx;
use crate::event::Event;
use crate::modules::{bank, staking};
use crate::types::{Coin, Dec, Denom};

/// Inflation as it is.
pub fn minter(ctx: &Ctx<'_>) -> Minter {
    ctx.get(&keys::minter()).unwrap_or_default()
}

/// Mints this block's coins into the collected fees.
pub fn begin_block(ctx: &mut Ctx<'_>) {
    let denom = Denom::stake();
    let (supply, bonded) = (bank::supply(ctx, &denom), staking::bonded_tokens(ctx));
    let Some(last) = crate::modules::last_block_time(ctx) else { return };
    let seconds = ctx.now().saturating_sub(last).min(MAX_SECONDS);
    if bonded.is_zero() || seconds == 0 {
        return;
    }
    let ratio = Dec::ratio(bonded.raw(), supply.raw());
    let mut minter = minter(ctx);
    minter.adjust(&params(ctx), ratio, seconds);
    let annual = minter.annual_provisions(supply);
    let due = minter.mint(supply, seconds);
    ctx.put(keys::minter(), &minter);
    let minted = bank::mint(ctx, &Coin::new(denom, due));
    bank::add_collected_fee(ctx, &minted);
    ctx.emit(
        Event::new("mint")
            .with("bonded_ratio", ratio)
            .with("inflation", minter.inflation)
            .with("annual_provisions", Dec::from_raw(annual.raw()))
            .with("amount", minted.amount),
    );
}
