//! Authz at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::keys::Subject;
use super::{all, find, write, Grant};
use crate::ctx::Ctx;
use crate::types::Address;

/// Authz's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Sorted by granter, grantee and the authorization's type URL.
    pub grants: Vec<GenesisGrant>,
}

/// A grant with its parties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisGrant {
    /// In whose name.
    pub granter: Address,
    /// Who may.
    pub grantee: Address,
    /// What, until when.
    pub grant: Grant,
}

/// Writes the grants, which may have expired.
///
/// # Errors
/// One listed twice, or what is wrong with one.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    for GenesisGrant { granter, grantee, grant } in &genesis.grants {
        let url = grant.authorization.url();
        let wrong = |why: &str| format!("the grant of {url} by {granter} to {grantee}: {why}");
        grant.authorization.check().map_err(|why| wrong(&why.message))?;
        let subject = Subject { granter: *granter, grantee: *grantee, url: url.clone() };
        if find(ctx, &subject).is_some() {
            return Err(wrong("it is listed twice"));
        }
        write(ctx, &subject, grant);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let one = |(subject, grant): (Subject, Grant)| GenesisGrant {
        granter: subject.granter,
        grantee: subject.grantee,
        grant,
    };
    Genesis { grants: all(ctx).map(one).collect() }
}
