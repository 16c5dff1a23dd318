//! The root certificate that a provider's others chain to, and its rotation.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{params, provider, Error, Provider};
use crate::ctx::Ctx;
use crate::gas;
use crate::types::Address;
use crate::x509::{self, Certificate};

/// The root that was in force before the last rotation.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierRoot {
    /// X.509 in DER.
    #[serde(with = "hex::serde")]
    pub der: Vec<u8>,
    /// Unix second from which on it is no longer valid.
    pub until: u64,
}

impl EarlierRoot {
    /// Whether certificates may still chain to it.
    pub fn is_valid_at(&self, now: u64) -> bool {
        now < self.until
    }
}

/// The roots to which the provider's certificates may chain now, in DER: the
/// present one, then the earlier one while it lasts. None where `owner` is not
/// registered.
pub fn roots(ctx: &Ctx<'_>, owner: &Address) -> Option<Vec<Vec<u8>>> {
    let provider = provider(ctx, owner)?;
    let earlier = provider.earlier_root.filter(|earlier| earlier.is_valid_at(ctx.now()));
    let mut roots = vec![provider.root_certificate];
    roots.extend(earlier.map(|earlier| earlier.der));
    Some(roots)
}

/// Checks a root that is offered now.
pub(super) fn check(ctx: &Ctx<'_>, owner: &Address, der: &[u8]) -> Result<(), Error> {
    let max = usize::try_from(params(ctx).max_certificate_bytes).unwrap_or(usize::MAX);
    if der.len() > max {
        return Err(x509::Error::TooLarge { size: der.len(), max }.into());
    }
    ctx.charge(gas::VERIFY_CERTIFICATE);
    let certificate = Certificate::read(der, owner)?;
    certificate.check_time(ctx.now())?;
    certificate.check_authority()?;
    Ok(())
}

/// Puts `new` in place of the present root, which stays valid for the overlap
/// as the earlier one. A root from before that goes at once.
pub(super) fn rotate(ctx: &Ctx<'_>, provider: &mut Provider, new: Vec<u8>) -> Result<(), Error> {
    if new == provider.root_certificate {
        return Err(Error::RootUnchanged);
    }
    check(ctx, &provider.owner, &new)?;
    let until = ctx.now().saturating_add(params(ctx).root_overlap);
    let der = std::mem::replace(&mut provider.root_certificate, new);
    provider.earlier_root = Some(EarlierRoot { der, until });
    Ok(())
}
