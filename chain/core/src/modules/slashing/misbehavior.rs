//! Who signed two blocks of one height.

use super::liveness::start_over;
use super::records::{put_info, signing_info};
use super::Params;
use crate::ctx::Ctx;
use crate::event::Event;
use crate::input::Misbehavior;
use crate::modules::staking::{self, Status};
use crate::types::{Coin, Denom};

/// End of a double signer's time in jail, in Unix seconds: never. The last
/// second of the year 9999, as in the Cosmos SDK.
pub const FOREVER: u64 = 253_402_300_799;

/// Slashes, jails for ever, tombstones: once. What is older than the unbonding
/// time is ignored, for the stake that did it is free.
pub(super) fn punish(ctx: &mut Ctx<'_>, params: &Params, shown: &Misbehavior) {
    let age = ctx.now().saturating_sub(shown.time);
    if age > staking::params(ctx).unbonding_time {
        return;
    }
    let validator = shown.validator;
    let found = staking::validator_by_consensus(ctx, &validator);
    if found.is_none_or(|found| found.status == Status::Unbonded) {
        return;
    }
    let mut info = signing_info(ctx, &validator).unwrap_or_default();
    if info.tombstoned {
        return;
    }
    // What the power of that height was made of stood at the end of the block
    // before.
    let height = shown.height.saturating_sub(1);
    let fraction = params.slash_fraction_double_sign;
    let burned = staking::slash(ctx, &validator, height, shown.power, fraction);
    staking::jail(ctx, &validator);
    info.jailed_until = FOREVER;
    info.tombstoned = true;
    start_over(ctx, &validator, &mut info);
    put_info(ctx, &validator, &info);
    let event = Event::new("slash")
        .with("address", validator)
        .with("power", shown.power)
        .with("reason", "double_sign")
        .with("jailed", validator)
        .with("burned_coins", Coin::new(Denom::stake(), burned));
    ctx.emit(event);
}
