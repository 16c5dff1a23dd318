//! What governance sets for providers. Times in seconds.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::provider::v1 as pb;

use super::{keys, profile};
use crate::ctx::Ctx;
use crate::modules::update_params::update_params;
use crate::x509::MAX_BYTES;

/// Most seconds of any time: ten years.
const MAX_SECONDS: u64 = 315_360_000;
/// Most that [`Params::max_unbondings`] may be.
const MAX_UNBONDINGS: u32 = 1_000;

/// Bounds and times.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Seconds that an earlier root certificate stays valid.
    pub root_overlap: u64,
    /// Seconds until unstaked coins return.
    pub unbonding: u64,
    /// Bytes of a certificate's DER, tenants' included; at most
    /// [`crate::x509::MAX_BYTES`].
    pub max_certificate_bytes: u32,
    /// Attributes of a provider, and of an auditor's record about one.
    pub max_attributes: u32,
    /// Unbondings under way of one provider.
    pub max_unbondings: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            root_overlap: 604_800,
            unbonding: 604_800,
            max_certificate_bytes: 4_096,
            max_attributes: 64,
            max_unbondings: 7,
        }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// The first that is out of its bounds, and what they are.
    pub fn validate(&self) -> Result<(), String> {
        let bytes = usize::try_from(self.max_certificate_bytes).unwrap_or(usize::MAX);
        if bytes == 0 || bytes > MAX_BYTES {
            return Err(format!("max_certificate_bytes is {bytes}; 1 to {MAX_BYTES} are allowed"));
        }
        let attributes = usize::try_from(self.max_attributes).unwrap_or(usize::MAX);
        if attributes > profile::MAX_ATTRIBUTES {
            let most = profile::MAX_ATTRIBUTES;
            return Err(format!("max_attributes is {attributes}; at most {most} are allowed"));
        }
        let unbondings = self.max_unbondings;
        if unbondings == 0 || unbondings > MAX_UNBONDINGS {
            return Err(format!(
                "max_unbondings is {unbondings}; 1 to {MAX_UNBONDINGS} are allowed"
            ));
        }
        for (name, time) in [("root_overlap", self.root_overlap), ("unbonding", self.unbonding)] {
            if time > MAX_SECONDS {
                return Err(format!("{name} is {time} s; at most {MAX_SECONDS} s are allowed"));
            }
        }
        Ok(())
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(params: pb::Params) -> Result<Self, String> {
        let params = Self {
            root_overlap: params.root_overlap,
            unbonding: params.unbonding,
            max_certificate_bytes: params.max_certificate_bytes,
            max_attributes: params.max_attributes,
            max_unbondings: params.max_unbondings,
        };
        params.validate()?;
        Ok(params)
    }
}

impl From<Params> for pb::Params {
    fn from(params: Params) -> Self {
        Self {
            root_overlap: params.root_overlap,
            unbonding: params.unbonding,
            max_certificate_bytes: params.max_certificate_bytes,
            max_attributes: params.max_attributes,
            max_unbondings: params.max_unbondings,
        }
    }
}

update_params! {
    /// Replaces provider's parameters. Times that have been given stay.
    pb, Params, keys::params
}
