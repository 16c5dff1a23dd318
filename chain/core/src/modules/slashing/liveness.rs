//! Who missed too many blocks.
//!
//! A block's place in the window follows from its height, so that a block which
//! everybody signed changes nothing: only a miss is written, and the vote that
//! takes its place one window later.

use super::records::{clear_missed, is_missed, put_info, set_missed, signing_info, SigningInfo};
use super::Params;
use crate::ctx::Ctx;
use crate::event::Event;
use crate::input::Vote;
use crate::modules::staking;
use crate::types::{Coin, ConsAddress, Denom};

/// Counts a vote on the block before this one.
pub(super) fn count(ctx: &mut Ctx<'_>, params: &Params, vote: &Vote) {
    let validator = vote.validator;
    let Some(mut info) = signing_info(ctx, &validator) else { return };
    if vote.signed && info.missed == 0 {
        return;
    }
    // Who is in jail is on the way out, and need not vote.
    if staking::validator_by_consensus(ctx, &validator).is_none_or(|found| found.jailed) {
        return;
    }
    let before = info.clone();
    if info.window != params.signed_blocks_window {
        begin_window(ctx, &validator, &mut info, params);
    }
    note(ctx, &validator, &mut info, vote.signed);
    if !vote.signed {
        let event = Event::new("liveness").with("address", validator);
        ctx.emit(event.with("missed_blocks", info.missed).with("height", ctx.height()));
    }
    let full_at = info.start_height.saturating_add(info.window);
    if ctx.height() > full_at && info.missed > params.max_missed() {
        punish(ctx, params, vote, &mut info);
    }
    if info != before {
        put_info(ctx, &validator, &info);
    }
}

/// Counts by the window in force: anew, where something was counted by another.
fn begin_window(
    ctx: &mut Ctx<'_>,
    validator: &ConsAddress,
    info: &mut SigningInfo,
    params: &Params,
) {
    if info.missed > 0 {
        start_over(ctx, validator, info);
    }
    info.window = params.signed_blocks_window;
}

/// Forgets what was missed; a full window has to pass before it counts again.
pub(super) fn start_over(ctx: &mut Ctx<'_>, validator: &ConsAddress, info: &mut SigningInfo) {
    clear_missed(ctx, validator);
    info.missed = 0;
    info.start_height = ctx.height();
}

fn note(ctx: &mut Ctx<'_>, validator: &ConsAddress, info: &mut SigningInfo, signed: bool) {
    let place = ctx.height().checked_rem(info.window).unwrap_or_default();
    match (is_missed(ctx, validator, place), signed) {
        (false, false) => {
            set_missed(ctx, validator, place, true);
            info.missed = info.missed.saturating_add(1);
        }
        (true, true) => {
            set_missed(ctx, validator, place, false);
            info.missed = info.missed.saturating_sub(1);
        }
        (true, false) | (false, true) => {}
    }
}

fn punish(ctx: &mut Ctx<'_>, params: &Params, vote: &Vote, info: &mut SigningInfo) {
    // The stake that should have signed the block before this one had its say
    // from the end of the block before that.
    let height = ctx.height().saturating_sub(2);
    let (validator, power) = (vote.validator, vote.power);
    let fraction = params.slash_fraction_downtime;
    let burned = staking::slash(ctx, &validator, height, power, fraction);
    staking::jail(ctx, &validator);
    info.jailed_until = ctx.now().saturating_add(params.downtime_jail_duration);
    start_over(ctx, &validator, info);
    let event = Event::new("slash")
        .with("address", validator)
        .with("power", power)
        .with("reason", "missing_signature")
        .with("jailed", validator)
        .with("burned_coins", Coin::new(Denom::stake(), burned));
    ctx.emit(event);
}
