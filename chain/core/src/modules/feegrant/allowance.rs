//! What an allowance lets its grantee spend. Rules of the Cosmos SDK's
//! `x/feegrant` (`basic_fee.go`, `periodic_fee.go`, `filtered_fee.go`).

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::FeegrantError;
use crate::error::{Failure, SdkError};
use crate::types::Coins;

/// Most types of message that an allowance lists.
pub const MAX_ALLOWED_MESSAGES: usize = 64;
/// Most bytes of a message's type URL.
pub const MAX_TYPE_URL_BYTES: usize = 128;

/// What one account pays of another's fees.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// How much, until when.
    pub basic: Basic,
    /// And how much of it in a time.
    pub periodic: Option<Periodic>,
    /// Type URLs of the messages for whose transactions; none: all.
    pub allowed_messages: Option<Vec<String>>,
}

/// How much, until when.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// What is left; empty: no bound.
    pub spend_limit: Coins,
    /// Last Unix second of it; none: no end.
    pub expiration: Option<u64>,
}

/// How much in a time.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Periodic {
    /// Seconds, over 0.
    pub period: u64,
    /// In each.
    pub spend_limit: Coins,
    /// What is left in this one.
    pub can_spend: Coins,
    /// Unix seconds at which the next begins.
    pub reset_at: u64,
}

impl Allowance {
    /// What must hold of any allowance.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), Failure> {
        if let Some(periodic) = &self.periodic {
            periodic.check(&self.basic)?;
        }
        let Some(messages) = &self.allowed_messages else { return Ok(()) };
        if messages.is_empty() {
            return Err(FeegrantError::NoMessages.into());
        }
        let long = messages.iter().any(|url| url.len() > MAX_TYPE_URL_BYTES);
        if messages.len() > MAX_ALLOWED_MESSAGES || long {
            return Err(SdkError::InvalidRequest(format!(
                "an allowance lists at most {MAX_ALLOWED_MESSAGES} types of message, each of at \
                 most {MAX_TYPE_URL_BYTES} bytes"
            ))
            .into());
        }
        Ok(())
    }

    /// Pays a fee for a transaction of these messages. Answers whether nothing
    /// is left for a further one.
    ///
    /// # Errors
    /// The limit that it is over.
    pub fn spend(
        &mut self,
        now: u64,
        fee: &Coins,
        messages: &[String],
    ) -> Result<bool, FeegrantError> {
        if let Some(allowed) = &self.allowed_messages {
            if let Some(other) = messages.iter().find(|url| !allowed.contains(url)) {
                return Err(FeegrantError::MessageNotAllowed(other.clone()));
            }
        }
        if let Some(expired_at) = self.basic.expiration.filter(|last| *last < now) {
            return Err(FeegrantError::Expired { expired_at, now });
        }
        if let Some(periodic) = &mut self.periodic {
            periodic.reset(now, &self.basic.spend_limit);
            take(&mut periodic.can_spend, fee, "its period")?;
        }
        let limit = &mut self.basic.spend_limit;
        if limit.is_empty() {
            return Ok(false);
        }
        take(limit, fee, "the allowance")?;
        Ok(limit.is_empty())
    }
}

impl Periodic {
    fn check(&self, basic: &Basic) -> Result<(), Failure> {
        if self.period == 0 {
            let text = "a period is at least a second".to_owned();
            return Err(FeegrantError::InvalidDuration(text).into());
        }
        if self.spend_limit.is_empty() {
            let text = "a period's spend limit is empty; name at least one coin".to_owned();
            return Err(SdkError::InvalidCoins(text).into());
        }
        let whole = &basic.spend_limit;
        let other = self.spend_limit.iter().find(|coin| whole.of(&coin.denom).is_zero());
        if let Some(other) = other.filter(|_| !whole.is_empty()) {
            return Err(SdkError::InvalidCoins(format!(
                "the period's limit names {}, the whole limit {whole} does not",
                other.denom
            ))
            .into());
        }
        Ok(())
    }

    /// Begins a new period where it is time: one after the last, or at `now`
    /// where more than one has gone by.
    fn reset(&mut self, now: u64, whole: &Coins) {
        if now < self.reset_at {
            return;
        }
        let covers = whole.is_empty() || whole.clone().checked_sub_all(&self.spend_limit).is_some();
        self.can_spend = if covers { self.spend_limit.clone() } else { whole.clone() };
        self.reset_at = self.reset_at.saturating_add(self.period);
        if now > self.reset_at {
            self.reset_at = now.saturating_add(self.period);
        }
    }
}

fn take(left: &mut Coins, fee: &Coins, what: &'static str) -> Result<(), FeegrantError> {
    left.checked_sub_all(fee).ok_or_else(|| FeegrantError::LimitExceeded {
        what,
        left: left.clone(),
        fee: fee.clone(),
    })
}
