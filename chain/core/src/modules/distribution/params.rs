//! What governance sets for distribution.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::distribution::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::Dec;

/// The community's part, and whether rewards may be sent elsewhere. Defaults
/// are the Cosmos SDK's.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Part of fees and new coins that goes to the community pool.
    pub community_tax: Dec,
    /// Whether delegators may have their rewards paid to another account.
    pub withdraw_addr_enabled: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { community_tax: Dec::percent(2), withdraw_addr_enabled: true }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// A tax over the whole.
    pub fn validate(&self) -> Result<(), String> {
        if self.community_tax > Dec::ONE {
            return Err(format!("community_tax {} is over 1", self.community_tax));
        }
        Ok(())
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

/// Proposers have no reward of their own: the two fields are kept for those who
/// read them, as in the Cosmos SDK since 0.47.
#[allow(deprecated, reason = "they are read")]
impl From<Params> for pb::Params {
    fn from(params: Params) -> Self {
        Self {
            community_tax: params.community_tax.to_wire(),
            base_proposer_reward: Dec::ZERO.to_wire(),
            bonus_proposer_reward: Dec::ZERO.to_wire(),
            withdraw_addr_enabled: params.withdraw_addr_enabled,
        }
    }
}

#[allow(deprecated, reason = "that they are 0 is checked")]
impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(proto: pb::Params) -> Result<Self, String> {
        let named = |name: &'static str| move |why: String| format!("{name}: {why}");
        for (name, text) in [
            ("base_proposer_reward", proto.base_proposer_reward),
            ("bonus_proposer_reward", proto.bonus_proposer_reward),
        ] {
            if !text.is_empty() && !Dec::from_wire(&text).map_err(named(name))?.is_zero() {
                return Err(format!("{name} must be 0; proposers have no reward of their own"));
            }
        }
        let params = Self {
            community_tax: Dec::from_wire(&proto.community_tax).map_err(named("community_tax"))?,
            withdraw_addr_enabled: proto.withdraw_addr_enabled,
        };
        params.validate()?;
        Ok(params)
    }
}
