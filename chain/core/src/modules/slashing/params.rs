//! What governance sets for slashing.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::slashing::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::{duration, Amount, Dec};

/// Longest window in blocks.
pub const MAX_WINDOW: u64 = 100_000;
/// Longest time in jail for downtime, in seconds: a year.
pub const MAX_JAIL_DURATION: u64 = 31_536_000;

/// What is downtime, and what it and double signing cost. The Cosmos SDK's
/// defaults.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// The last blocks of which votes are counted.
    pub signed_blocks_window: u64,
    /// The part of them that a validator has to have signed.
    pub min_signed_per_window: Dec,
    /// Seconds in jail for less.
    pub downtime_jail_duration: u64,
    /// The part of its stake that a double signer loses.
    pub slash_fraction_double_sign: Dec,
    /// The part of its stake that a validator loses for downtime.
    pub slash_fraction_downtime: Dec,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            signed_blocks_window: 100,
            min_signed_per_window: Dec::percent(50),
            downtime_jail_duration: 600,
            slash_fraction_double_sign: Dec::percent(5),
            slash_fraction_downtime: Dec::percent(1),
        }
    }
}

impl Params {
    /// Whether they can be in force.
    ///
    /// # Errors
    /// The first that is out of bounds, with them.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=MAX_WINDOW).contains(&self.signed_blocks_window) {
            let window = self.signed_blocks_window;
            return Err(format!("signed_blocks_window is {window}; it is 1 to {MAX_WINDOW}"));
        }
        if !(1..=MAX_JAIL_DURATION).contains(&self.downtime_jail_duration) {
            let time = self.downtime_jail_duration;
            return Err(format!(
                "downtime_jail_duration is {time} s; it is 1 to {MAX_JAIL_DURATION} s"
            ));
        }
        let parts = [
            ("min_signed_per_window", self.min_signed_per_window),
            ("slash_fraction_double_sign", self.slash_fraction_double_sign),
            ("slash_fraction_downtime", self.slash_fraction_downtime),
        ];
        match parts.into_iter().find(|(_, part)| *part > Dec::ONE) {
            Some((name, part)) => Err(format!("{name} is {part}; it is a part, at most 1")),
            None => Ok(()),
        }
    }

    /// Blocks of a window that a validator may miss: with one more it is down.
    pub fn max_missed(&self) -> u64 {
        let may_miss = Dec::ONE.saturating_sub(self.min_signed_per_window);
        let most = may_miss.of(Amount::from_raw(self.signed_blocks_window.into()));
        u64::try_from(most.raw()).unwrap_or(u64::MAX)
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

/// Decimals are bytes here: the text of the 10^18-fold.
impl From<Params> for pb::Params {
    fn from(params: Params) -> Self {
        let signed = crate::modules::staking::signed;
        Self {
            signed_blocks_window: signed(params.signed_blocks_window),
            min_signed_per_window: params.min_signed_per_window.to_wire().into_bytes(),
            downtime_jail_duration: Some(duration(params.downtime_jail_duration)),
            slash_fraction_double_sign: params.slash_fraction_double_sign.to_wire().into_bytes(),
            slash_fraction_downtime: params.slash_fraction_downtime.to_wire().into_bytes(),
        }
    }
}

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(params: pb::Params) -> Result<Self, String> {
        let dec = |name: &str, bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).map_err(|error| format!("{name}: {error}"))?;
            Dec::from_wire(text).map_err(|error| format!("{name}: {error}"))
        };
        let time = params.downtime_jail_duration.unwrap_or_default();
        let downtime_jail_duration =
            u64::try_from(time.seconds)
                .ok()
                .filter(|_| time.nanos == 0)
                .ok_or("downtime_jail_duration is in whole seconds and not negative")?;
        let signed_blocks_window = u64::try_from(params.signed_blocks_window)
            .map_err(|_| "signed_blocks_window is negative".to_owned())?;
        let params = Self {
            signed_blocks_window,
            min_signed_per_window: dec("min_signed_per_window", &params.min_signed_per_window)?,
            downtime_jail_duration,
            slash_fraction_double_sign: dec(
                "slash_fraction_double_sign",
                &params.slash_fraction_double_sign,
            )?,
            slash_fraction_downtime: dec(
                "slash_fraction_downtime",
                &params.slash_fraction_downtime,
            )?,
        };
        params.validate()?;
        Ok(params)
    }
}
