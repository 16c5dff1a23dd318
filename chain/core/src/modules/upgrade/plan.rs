//! A plan: which upgrade, and at which height.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::Error;

/// Bytes of a plan's name, which is a folder's in cosmovisor.
pub const MAX_NAME_BYTES: usize = 64;
/// Bytes of a plan's info.
pub const MAX_INFO_BYTES: usize = 4_096;

/// What is to happen at a height.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// By which programs know it: letters, digits and `. _ -`.
    pub name: String,
    /// First height that the new program executes.
    pub height: u64,
    /// For operators: where to get it, as cosmovisor reads it.
    pub info: String,
}

impl Plan {
    /// What is wrong with it in itself.
    ///
    /// # Errors
    /// The field and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |text: String| Err(Error::InvalidPlan(text));
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let length = self.name.len();
        let starts = self.name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if length > MAX_NAME_BYTES || !starts || !self.name.bytes().all(letter) {
            return wrong(format!(
                "name is a letter or digit, then letters, digits and . _ -, at most \
                 {MAX_NAME_BYTES} in all"
            ));
        }
        if self.info.len() > MAX_INFO_BYTES {
            let bytes = self.info.len();
            return wrong(format!("info has {bytes} bytes; at most {MAX_INFO_BYTES} are allowed"));
        }
        if self.height == 0 || i64::try_from(self.height).is_err() {
            return wrong("height is over 0".to_owned());
        }
        Ok(())
    }
}

impl TryFrom<pb::Plan> for Plan {
    type Error = Error;

    #[allow(deprecated, reason = "what is set must be seen to be refused")]
    fn try_from(plan: pb::Plan) -> Result<Self, Error> {
        if plan.time.is_some() || plan.upgraded_client_state.is_some() {
            let text = "time and upgraded_client_state are left out; only the height counts";
            return Err(Error::InvalidPlan(text.to_owned()));
        }
        let height = u64::try_from(plan.height).unwrap_or_default();
        let plan = Self { name: plan.name, height, info: plan.info };
        plan.validate()?;
        Ok(plan)
    }
}

impl From<Plan> for pb::Plan {
    fn from(plan: Plan) -> Self {
        Self {
            name: plan.name,
            height: i64::try_from(plan.height).unwrap_or(i64::MAX),
            info: plan.info,
            ..Self::default()
        }
    }
}
