//! Slashing at genesis and in an export.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::records::{missed_places, put_info, set_missed};
use super::{
    after_validator_bonded, keys, params, signing_info, signing_infos, Params, SigningInfo,
};
use crate::ctx::Ctx;
use crate::modules::staking;
use crate::types::ConsAddress;

/// Slashing's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Bounds and parts.
    pub params: Params,
    /// Sorted by consensus address. The votes of a bonded validator that is not
    /// listed are counted from now on.
    pub signing_infos: Vec<GenesisSigningInfo>,
}

/// A validator's record with what it missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSigningInfo {
    /// Whose.
    pub validator: ConsAddress,
    /// Height from which on its votes are counted.
    pub start_height: u64,
    /// Unix seconds; 0: it never was in jail.
    pub jailed_until: u64,
    /// It signed two blocks of one height.
    pub tombstoned: bool,
    /// The window by which `missed` was counted.
    pub window: u64,
    /// Places in the window of the blocks that it missed, in order.
    pub missed: Vec<u64>,
}

/// Writes parameters and records.
///
/// # Errors
/// A parameter out of bounds, a validator listed twice, a place outside its
/// window.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    let mut known = BTreeSet::new();
    for listed in &genesis.signing_infos {
        let GenesisSigningInfo { validator, window, missed, .. } = listed;
        if !known.insert(*validator) {
            return Err(format!("the record of {validator} is listed twice"));
        }
        let in_order = missed.is_sorted_by(|a, b| a < b);
        if !in_order || missed.last().is_some_and(|place| place >= window) {
            return Err(format!("missed blocks of {validator}: places below {window}, in order"));
        }
        missed.iter().for_each(|place| set_missed(ctx, validator, *place, true));
        let info = SigningInfo {
            start_height: listed.start_height,
            jailed_until: listed.jailed_until,
            tombstoned: listed.tombstoned,
            missed: u64::try_from(missed.len()).unwrap_or(u64::MAX),
            window: *window,
        };
        put_info(ctx, validator, &info);
    }
    begin_unlisted(ctx);
    Ok(())
}

/// A chain that begins lists its validators with staking alone.
fn begin_unlisted(ctx: &mut Ctx<'_>) {
    let bonded = staking::validators(ctx).filter(staking::Validator::is_bonded);
    let bonded: Vec<ConsAddress> = bonded.map(|validator| validator.consensus()).collect();
    for validator in bonded {
        if signing_info(ctx, &validator).is_none() {
            after_validator_bonded(ctx, &validator);
        }
    }
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let listed = signing_infos(ctx).map(|(validator, info)| GenesisSigningInfo {
        validator,
        start_height: info.start_height,
        jailed_until: info.jailed_until,
        tombstoned: info.tombstoned,
        window: info.window,
        missed: missed_places(ctx, &validator),
    });
    Genesis { params: params(ctx), signing_infos: listed.collect() }
}
