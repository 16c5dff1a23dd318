//! What validators say of themselves and promise of their commission.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use crate::error::SdkError;
use crate::modules::staking::{Commission, Description, Error};
use crate::types::{bounded, Dec};

/// Stands in an edited description for what stays, as in the Cosmos SDK.
const DO_NOT_MODIFY: &str = "[do-not-modify]";

/// Bounds in bytes, as in the Cosmos SDK.
const MAX_MONIKER: usize = 70;
const MAX_IDENTITY: usize = 3_000;
const MAX_WEBSITE: usize = 140;
const MAX_SECURITY_CONTACT: usize = 140;
const MAX_DETAILS: usize = 280;

/// A description that says something.
///
/// # Errors
/// It is missing or empty.
pub(super) fn some(description: Option<pb::Description>) -> Result<Description, SdkError> {
    let pb::Description { moniker, identity, website, security_contact, details } =
        description.unwrap_or_default();
    let description = Description { moniker, identity, website, security_contact, details };
    if description == Description::default() {
        return Err(SdkError::InvalidRequest("the description is empty".to_owned()));
    }
    Ok(description)
}

/// The description with what `edit` changes of it.
pub(super) fn edited(old: Description, edit: Description) -> Description {
    let choose = |old: String, new: String| if new == DO_NOT_MODIFY { old } else { new };
    Description {
        moniker: choose(old.moniker, edit.moniker),
        identity: choose(old.identity, edit.identity),
        website: choose(old.website, edit.website),
        security_contact: choose(old.security_contact, edit.security_contact),
        details: choose(old.details, edit.details),
    }
}

/// A description within its bounds.
///
/// # Errors
/// The first text that is too long, or holds control characters.
pub(in crate::modules::staking) fn check_description(
    description: Description,
) -> Result<Description, SdkError> {
    let Description { moniker, identity, website, security_contact, details } = description;
    // Lines are broken in details alone.
    let lines = details.replace(['\n', '\r', '\t'], " ");
    bounded("the details", lines, MAX_DETAILS)?;
    Ok(Description {
        moniker: bounded("the moniker", moniker, MAX_MONIKER)?,
        identity: bounded("the identity", identity, MAX_IDENTITY)?,
        website: bounded("the website", website, MAX_WEBSITE)?,
        security_contact: bounded("the security contact", security_contact, MAX_SECURITY_CONTACT)?,
        details,
    })
}

impl Commission {
    /// Whether the rates go together.
    ///
    /// # Errors
    /// The maximum is over all, or another is over the maximum.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { rate, max_rate: max, max_change_rate: change, .. } = *self;
        if max > Dec::ONE {
            return Err(Error::CommissionHuge(max));
        }
        if rate > max {
            return Err(Error::CommissionOverMax { rate, max });
        }
        if change > max {
            return Err(Error::ChangeRateOverMax { change, max });
        }
        Ok(())
    }
}

/// Whether a rate is at least the chain's.
///
/// # Errors
/// It is less.
pub(super) fn check_least(rate: Dec, least: Dec) -> Result<(), Error> {
    if rate < least {
        return Err(Error::CommissionUnderMin { rate, least });
    }
    Ok(())
}
