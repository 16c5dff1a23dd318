//! Amounts with their denom.

use std::collections::BTreeMap;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::base::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::money::{integer, Amount, Fine, Rate};
use crate::error::SdkError;

/// Most coins that one message or account may list.
pub const MAX_COINS: usize = 16;

/// The denom that stake is in.
pub const STAKE_DENOM: &str = "ustoa";

/// A denom: `[a-zA-Z][a-zA-Z0-9/:._-]{2,63}`.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Denom(String);

impl Denom {
    /// The denom that stake is in.
    pub fn stake() -> Self {
        Self(STAKE_DENOM.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Denom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Denom {
    type Error = SdkError;

    fn try_from(text: String) -> Result<Self, SdkError> {
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"/:._-".contains(&byte);
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !(3..=64).contains(&text.len()) || !starts || !text.bytes().all(rest) {
            return Err(SdkError::InvalidCoins(format!(
                "{:?} is no denom: a letter, then 2 to 63 letters, digits or any of / : . _ -",
                text.chars().take(80).collect::<String>()
            )));
        }
        Ok(Self(text))
    }
}

impl TryFrom<&str> for Denom {
    type Error = SdkError;

    fn try_from(text: &str) -> Result<Self, SdkError> {
        text.to_owned().try_into()
    }
}

impl From<Denom> for String {
    fn from(denom: Denom) -> Self {
        denom.0
    }
}

/// An amount of one denom.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Coin {
    /// What it is an amount of.
    pub denom: Denom,
    /// Whole units.
    pub amount: Amount,
}

impl Coin {
    /// So much of that.
    pub fn new(denom: Denom, amount: Amount) -> Self {
        Self { denom, amount }
    }
}

impl fmt::Display for Coin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.amount, self.denom)
    }
}

impl TryFrom<pb::Coin> for Coin {
    type Error = SdkError;

    fn try_from(coin: pb::Coin) -> Result<Self, SdkError> {
        let amount = integer(&coin.amount).map_err(SdkError::InvalidCoins)?;
        Ok(Self { denom: coin.denom.try_into()?, amount: Amount::from_raw(amount) })
    }
}

impl From<Coin> for pb::Coin {
    fn from(coin: Coin) -> Self {
        Self { denom: coin.denom.into(), amount: coin.amount.to_string() }
    }
}

impl Rate {
    /// A rate and its denom from protobuf, whose amount is an integer of
    /// 10^-18 units.
    pub fn from_dec_coin(coin: pb::DecCoin) -> Result<(Denom, Self), SdkError> {
        let raw = integer(&coin.amount).map_err(SdkError::InvalidCoins)?;
        Ok((coin.denom.try_into()?, Self::from_raw(raw)))
    }

    /// As protobuf has it.
    pub fn to_dec_coin(self, denom: &Denom) -> pb::DecCoin {
        pb::DecCoin { denom: denom.to_string(), amount: self.raw().to_string() }
    }
}

impl Fine {
    /// As protobuf has it: an integer of 10^-18 units.
    pub fn to_dec_coin(self, denom: &Denom) -> pb::DecCoin {
        pb::DecCoin { denom: denom.to_string(), amount: self.raw().to_string() }
    }
}

/// Amounts of several denoms: sorted, distinct, none zero.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Coins(BTreeMap<Denom, Amount>);

impl Coins {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The amount of `denom`, zero where there is none.
    pub fn of(&self, denom: &Denom) -> Amount {
        self.0.get(denom).copied().unwrap_or_default()
    }

    /// Sets the amount of `denom`.
    pub fn set(&mut self, denom: Denom, amount: Amount) {
        if amount.is_zero() {
            self.0.remove(&denom);
        } else {
            self.0.insert(denom, amount);
        }
    }

    /// Adds a coin. None where the sum does not fit.
    pub fn checked_add(&mut self, coin: &Coin) -> Option<()> {
        let sum = self.of(&coin.denom).checked_add(coin.amount)?;
        self.set(coin.denom.clone(), sum);
        Some(())
    }

    /// Takes a coin away. None, and nothing changed, where there is less.
    pub fn checked_sub(&mut self, coin: &Coin) -> Option<()> {
        let rest = self.of(&coin.denom).checked_sub(coin.amount)?;
        self.set(coin.denom.clone(), rest);
        Some(())
    }

    /// Takes coins away. None, and nothing changed, where there is less of one.
    pub fn checked_sub_all(&mut self, coins: &Self) -> Option<()> {
        let mut rest = self.clone();
        for coin in coins.iter() {
            rest.checked_sub(&coin)?;
        }
        *self = rest;
        Some(())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many denoms.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The coins by denom.
    pub fn iter(&self) -> impl Iterator<Item = Coin> + '_ {
        self.0.iter().map(|(denom, amount)| Coin::new(denom.clone(), *amount))
    }

    /// From a message: at most [`MAX_COINS`], sorted by denom, none zero.
    pub fn from_proto(coins: Vec<pb::Coin>) -> Result<Self, SdkError> {
        if coins.len() > MAX_COINS {
            return Err(SdkError::InvalidCoins(format!(
                "{} coins are listed; at most {MAX_COINS} are allowed",
                coins.len()
            )));
        }
        let mut all = BTreeMap::new();
        for coin in coins {
            let coin = Coin::try_from(coin)?;
            if coin.amount.is_zero() {
                return Err(SdkError::InvalidCoins(format!("{} is zero", coin.denom)));
            }
            if all.last_key_value().is_some_and(|(last, _)| *last >= coin.denom) {
                return Err(SdkError::InvalidCoins(format!(
                    "{} is listed twice or out of order; sort coins by denom",
                    coin.denom
                )));
            }
            all.insert(coin.denom, coin.amount);
        }
        Ok(Self(all))
    }

    /// As protobuf has them.
    pub fn to_proto(&self) -> Vec<pb::Coin> {
        self.iter().map(Into::into).collect()
    }
}

impl fmt::Display for Coins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, coin) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            coin.fmt(f)?;
        }
        Ok(())
    }
}

impl FromIterator<Coin> for Coins {
    fn from_iter<I: IntoIterator<Item = Coin>>(coins: I) -> Self {
        let mut all = Self::new();
        for coin in coins {
            let sum = all.of(&coin.denom).saturating_add(coin.amount);
            all.set(coin.denom, sum);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stake_denom_is_a_denom() {
        assert_eq!(Denom::try_from(STAKE_DENOM), Ok(Denom::stake()));
    }
}
