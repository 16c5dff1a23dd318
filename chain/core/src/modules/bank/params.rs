//! Which denoms accounts may send to one another.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::bank::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::{keys, BankError};
use crate::ctx::Ctx;
use crate::types::Denom;

/// Most denoms that are told apart from the default.
pub const MAX_SEND_ENABLED: usize = 64;

/// What governance sets for bank. It concerns sending alone: fees, deposits and
/// stake move whatever stands here.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Of denoms that are not listed.
    pub default_send_enabled: bool,
    /// Sorted by denom.
    pub send_enabled: Vec<SendEnabled>,
}

/// Whether one denom can be sent.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendEnabled {
    /// Which.
    pub denom: Denom,
    /// Whether.
    pub enabled: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { default_send_enabled: true, send_enabled: Vec::new() }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// Too many denoms, or one out of order.
    pub fn validate(&self) -> Result<(), String> {
        let list = &self.send_enabled;
        if list.len() > MAX_SEND_ENABLED {
            return Err(format!("{} denoms; at most {MAX_SEND_ENABLED} are listed", list.len()));
        }
        if !list.is_sorted_by(|one, next| one.denom < next.denom) {
            return Err("send_enabled is sorted by denom, and each is listed once".to_owned());
        }
        Ok(())
    }

    /// Whether `denom` can be sent.
    pub fn may_send(&self, denom: &Denom) -> bool {
        let listed = self.send_enabled.iter().find(|listed| listed.denom == *denom);
        listed.map_or(self.default_send_enabled, |listed| listed.enabled)
    }

    /// Lists `denom`, or, with none, leaves it to the default.
    pub fn set_send_enabled(&mut self, denom: Denom, enabled: Option<bool>) {
        self.send_enabled.retain(|listed| listed.denom != denom);
        if let Some(enabled) = enabled {
            self.send_enabled.push(SendEnabled { denom, enabled });
            self.send_enabled.sort_by(|one, next| one.denom.cmp(&next.denom));
        }
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

/// Writes others; see [`Params::validate`].
pub fn set_params(ctx: &mut Ctx<'_>, params: &Params) {
    ctx.put(keys::params(), params);
}

/// Refuses to send what governance has stopped.
///
/// # Errors
/// `denom` cannot be sent.
pub fn check_may_send(ctx: &Ctx<'_>, denom: &Denom) -> Result<(), BankError> {
    if params(ctx).may_send(denom) {
        return Ok(());
    }
    Err(BankError::SendDisabled(denom.clone()))
}

impl From<SendEnabled> for pb::SendEnabled {
    fn from(listed: SendEnabled) -> Self {
        Self { denom: listed.denom.into(), enabled: listed.enabled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ustoa;

    #[test]
    fn a_listed_denom_departs_from_the_default_until_it_is_left_to_it() {
        let mut params = Params::default();
        assert!(params.may_send(&ustoa()));
        params.set_send_enabled(ustoa(), Some(false));
        params.set_send_enabled(Denom::try_from("aaa").unwrap(), Some(true));
        assert_eq!(params.validate(), Ok(()));
        assert!(!params.may_send(&ustoa()));
        params.set_send_enabled(ustoa(), None);
        assert!(params.may_send(&ustoa()));
    }
}
