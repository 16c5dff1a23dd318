//! Distribution at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{all_remainders, all_rewards, all_slashes, all_starts, withdraw_addresses};
use super::{
    keys, params, put_rewards, rewards, FineCoins, Params, Slash, Start, ValidatorRewards,
};
use crate::ctx::Ctx;
use crate::modules::staking;
use crate::types::{Address, Dec};

/// Distribution's part of the genesis document. The community pool is
/// escrow's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// What governance sets.
    pub params: Params,
    /// By operator. One that is not listed begins without rewards.
    pub validators: Vec<GenesisRewards>,
    /// By delegator, then validator. One that is not listed begins now.
    pub starts: Vec<GenesisStart>,
    /// By validator, height and period.
    pub slashes: Vec<GenesisSlash>,
    /// Fractions of units not paid yet, by delegator.
    pub remainders: Vec<GenesisRemainder>,
    /// By delegator; of those who have set one.
    pub withdraw_addresses: Vec<GenesisWithdrawAddress>,
}

/// A validator's rewards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisRewards {
    /// Whose.
    pub validator: Address,
    /// The rest.
    pub rewards: ValidatorRewards,
}

/// Where a delegation's rewards begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisStart {
    /// Whose.
    pub delegator: Address,
    /// With whom.
    pub validator: Address,
    /// The rest.
    pub start: Start,
}

/// A slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSlash {
    /// Whose.
    pub validator: Address,
    /// When.
    pub height: u64,
    /// The period that began with it.
    pub period: u64,
    /// What was taken of its tokens.
    pub fraction: Dec,
}

/// Fractions of units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisRemainder {
    /// Whose.
    pub delegator: Address,
    /// How much.
    pub remainder: FineCoins,
}

/// Where rewards are paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisWithdrawAddress {
    /// Whose.
    pub delegator: Address,
    /// Where to.
    pub address: Address,
}

/// Writes it, after staking, whose validators and delegations earn.
///
/// # Errors
/// Parameters that are wrong in themselves.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    for listed in &genesis.validators {
        put_rewards(ctx, &listed.validator, &listed.rewards);
    }
    for listed in &genesis.starts {
        ctx.put(keys::start(&listed.delegator, &listed.validator), &listed.start);
    }
    for listed in &genesis.slashes {
        let key = keys::slash(&listed.validator, listed.height, listed.period);
        ctx.put(key, &Slash { fraction: listed.fraction });
    }
    for listed in &genesis.remainders {
        ctx.put(keys::remainder(&listed.delegator), &listed.remainder);
    }
    for listed in &genesis.withdraw_addresses {
        ctx.put(keys::withdraw_address(&listed.delegator), &listed.address);
    }
    begin_unlisted(ctx);
    Ok(())
}

/// A chain that begins lists validators and delegations with staking alone.
fn begin_unlisted(ctx: &mut Ctx<'_>) {
    let validators: Vec<_> = staking::validators(ctx).map(|v| v.operator).collect();
    for validator in validators {
        if !ctx.has(&keys::validator(&validator)) {
            put_rewards(ctx, &validator, &ValidatorRewards::default());
        }
    }
    let delegations: Vec<_> = staking::delegations(ctx).collect();
    for delegation in delegations {
        let key = keys::start(&delegation.delegator, &delegation.validator);
        if !ctx.has(&key) {
            let earned = rewards(ctx, &delegation.validator).earned;
            ctx.put(key, &Start { earned, height: ctx.height() });
        }
    }
}

/// As it is.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let slash = |(validator, height, period, slash): (_, _, _, Slash)| GenesisSlash {
        validator,
        height,
        period,
        fraction: slash.fraction,
    };
    Genesis {
        params: params(ctx),
        validators: all_rewards(ctx)
            .map(|(validator, rewards)| GenesisRewards { validator, rewards })
            .collect(),
        starts: all_starts(ctx)
            .map(|(delegator, validator, start)| GenesisStart { delegator, validator, start })
            .collect(),
        slashes: all_slashes(ctx).map(slash).collect(),
        remainders: all_remainders(ctx)
            .map(|(delegator, remainder)| GenesisRemainder { delegator, remainder })
            .collect(),
        withdraw_addresses: withdraw_addresses(ctx)
            .map(|(delegator, address)| GenesisWithdrawAddress { delegator, address })
            .collect(),
    }
}
