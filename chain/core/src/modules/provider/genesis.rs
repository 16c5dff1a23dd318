//! Providers at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{
    is_registered, is_sorted, params, profile, providers, put, unbonding, unbondings, Params,
    Provider, Unbonding,
};
use crate::ctx::Ctx;
use crate::x509::Certificate;

/// Provider's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Bounds and times.
    pub params: Params,
    /// Sorted by owner.
    pub providers: Vec<Provider>,
    /// Sorted by time of completion, then provider.
    pub unbondings: Vec<Unbonding>,
}

/// Writes parameters, providers and unbondings.
///
/// # Errors
/// A parameter out of bounds, a provider or an unbonding listed twice, or what
/// is wrong with one. Roots may have expired since they were taken.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(super::keys::params(), &genesis.params);
    for provider in &genesis.providers {
        let owner = provider.owner;
        if is_registered(ctx, &owner) {
            return Err(format!("provider {owner} is listed twice"));
        }
        check_provider(provider).map_err(|error| format!("provider {owner}: {error}"))?;
        put(ctx, provider);
    }
    for unbonding in &genesis.unbondings {
        let Unbonding { provider, completes_at, .. } = *unbonding;
        if ctx.has(&super::keys::unbonding(completes_at, &provider)) {
            return Err(format!("unbonding of {provider} at {completes_at} is listed twice"));
        }
        unbonding::put(ctx, unbonding);
    }
    Ok(())
}

fn check_provider(provider: &Provider) -> Result<(), String> {
    let certificate = Certificate::read(&provider.root_certificate, &provider.owner);
    certificate
        .and_then(|certificate| certificate.check_authority())
        .map_err(|error| error.to_string())?;
    profile::host_uri(provider.host_uri.clone()).map_err(|failure| failure.message)?;
    if !is_sorted(&provider.attributes) {
        return Err("attributes are not sorted by key, or one is listed twice".to_owned());
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis {
        params: params(ctx),
        providers: providers(ctx).collect(),
        unbondings: unbondings(ctx).collect(),
    }
}
