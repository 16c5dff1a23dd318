//! The whole state as a document: where a chain begins, and what an export
//! gives.

use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;
use crate::modules::{
    audit, auth, authz, bank, cert, consensus, deployment, distribution, escrow, feegrant, gov,
    market, mint, provider, slashing, staking, upgrade,
};

/// Every module's part, named as the module is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Unix seconds of the block that an export was made after; none for a
    /// chain that begins.
    pub last_block_time: Option<u64>,
    /// Accounts and balances.
    pub auth: auth::Genesis,
    /// Supply.
    pub bank: bank::Genesis,
    /// Providers and their stake.
    pub provider: provider::Genesis,
    /// Auditors' records.
    pub audit: audit::Genesis,
    /// Tenants' certificates.
    pub cert: cert::Genesis,
    /// Deployments and groups.
    pub deployment: deployment::Genesis,
    /// Orders, bids, leases.
    pub market: market::Genesis,
    /// Escrow accounts and the community pool.
    pub escrow: escrow::Genesis,
    /// Validators and delegations.
    pub staking: staking::Genesis,
    /// Who missed which blocks.
    pub slashing: slashing::Genesis,
    /// Inflation.
    pub mint: mint::Genesis,
    /// Rewards.
    pub distribution: distribution::Genesis,
    /// Proposals, deposits, votes.
    pub gov: gov::Genesis,
    /// Grants.
    pub authz: authz::Genesis,
    /// Fee allowances.
    pub feegrant: feegrant::Genesis,
    /// Plans and what was upgraded.
    pub upgrade: upgrade::Genesis,
    /// What the engine enforces.
    pub consensus: consensus::Genesis,
}

/// Writes every module's part, then looks at the whole.
///
/// # Errors
/// The module and what is wrong, or the invariants that do not hold.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    let within = |module: &'static str| move |error: String| format!("{module}: {error}");
    if let Some(time) = genesis.last_block_time {
        crate::modules::set_last_block_time(ctx, time);
    }
    auth::init(ctx, &genesis.auth).map_err(within("auth"))?;
    bank::init(ctx, &genesis.bank).map_err(within("bank"))?;
    provider::init(ctx, &genesis.provider).map_err(within("provider"))?;
    audit::init(ctx, &genesis.audit).map_err(within("audit"))?;
    cert::init(ctx, &genesis.cert).map_err(within("cert"))?;
    deployment::init(ctx, &genesis.deployment).map_err(within("deployment"))?;
    market::init(ctx, &genesis.market).map_err(within("market"))?;
    escrow::init(ctx, &genesis.escrow).map_err(within("escrow"))?;
    staking::init(ctx, &genesis.staking).map_err(within("staking"))?;
    slashing::init(ctx, &genesis.slashing).map_err(within("slashing"))?;
    mint::init(ctx, &genesis.mint).map_err(within("mint"))?;
    distribution::init(ctx, &genesis.distribution).map_err(within("distribution"))?;
    gov::init(ctx, &genesis.gov).map_err(within("gov"))?;
    authz::init(ctx, &genesis.authz).map_err(within("authz"))?;
    feegrant::init(ctx, &genesis.feegrant).map_err(within("feegrant"))?;
    upgrade::init(ctx, &genesis.upgrade).map_err(within("upgrade"))?;
    consensus::init(ctx, &genesis.consensus).map_err(within("consensus"))?;
    let broken = crate::modules::check_invariants(ctx);
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("; "))
    }
}

/// Every module's part as it is.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis {
        last_block_time: crate::modules::last_block_time(ctx),
        auth: auth::export(ctx),
        bank: bank::export(ctx),
        provider: provider::export(ctx),
        audit: audit::export(ctx),
        cert: cert::export(ctx),
        deployment: deployment::export(ctx),
        market: market::export(ctx),
        escrow: escrow::export(ctx),
        staking: staking::export(ctx),
        slashing: slashing::export(ctx),
        mint: mint::export(ctx),
        distribution: distribution::export(ctx),
        gov: gov::export(ctx),
        authz: authz::export(ctx),
        feegrant: feegrant::export(ctx),
        upgrade: upgrade::export(ctx),
        consensus: consensus::export(ctx),
    }
}
