//! Escrow at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{accounts, keys, params, pool, Account, Params};
use crate::ctx::Ctx;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::types::{Denom, DeploymentId, Fine};

/// Escrow's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// What governance sets.
    pub params: Params,
    /// Accounts by deployment.
    pub accounts: Vec<GenesisAccount>,
    /// The community pool, in 10^-18 units.
    pub pool: Vec<PoolBalance>,
}

/// An account with its deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Whose.
    pub id: DeploymentId,
    /// The rest.
    pub account: Account,
}

/// What the pool has of a denom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolBalance {
    /// Which.
    pub denom: Denom,
    /// How much, in 10^-18 units.
    pub amount: Fine,
}

/// Writes accounts and pool, and enters the accounts' deadlines.
///
/// # Errors
/// Parameters that are wrong in themselves.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    for GenesisAccount { id, account } in &genesis.accounts {
        ctx.put(keys::account(*id), account);
        for deadline in deadlines_of(*id, account) {
            deadlines::schedule(ctx, deadline);
        }
    }
    for PoolBalance { denom, amount } in &genesis.pool {
        ctx.put(keys::pool(denom), amount);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis {
        params: params(ctx),
        accounts: accounts(ctx).map(|(id, account)| GenesisAccount { id, account }).collect(),
        pool: pool(ctx).map(|(denom, amount)| PoolBalance { denom, amount }).collect(),
    }
}

/// Where an account waits in the queue.
pub fn deadlines_of(id: DeploymentId, account: &Account) -> Vec<Deadline> {
    let at = |due: u64, kind| Deadline::new(due, kind, Subject::Deployment(id));
    let exhaustion = account.exhausts_at.map(|due| at(due, Kind::Exhaustion));
    let overdrawn = account.overdrawn_until.map(|due| at(due, Kind::Overdrawn));
    exhaustion.into_iter().chain(overdrawn).collect()
}
