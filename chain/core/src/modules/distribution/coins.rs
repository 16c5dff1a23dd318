//! Rewards of several denoms, in 10^-18 units.

use std::collections::BTreeMap;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::base::v1beta1::DecCoin;
use serde::{Deserialize, Serialize};

use crate::types::{Coin, Coins, Denom, Fine, ONE};

/// Money by denom, none of it zero. As many denoms as the chain has: they come
/// from genesis alone.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FineCoins(BTreeMap<Denom, Fine>);

impl FineCoins {
    /// Of one denom.
    pub fn of(&self, denom: &Denom) -> Fine {
        self.0.get(denom).copied().unwrap_or_default()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By denom.
    pub fn iter(&self) -> impl Iterator<Item = (&Denom, Fine)> {
        self.0.iter().map(|(denom, money)| (denom, *money))
    }

    /// Adds; what exists of a denom fits.
    pub fn add(&mut self, denom: &Denom, money: Fine) {
        let sum = self.of(denom).saturating_add(money);
        self.set(denom, sum);
    }

    /// Adds all of another's.
    pub fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(denom, money)| self.add(denom, money));
    }

    /// Takes away, at most what there is.
    pub fn take(&mut self, denom: &Denom, money: Fine) {
        let rest = self.of(denom).saturating_sub(money);
        self.set(denom, rest);
    }

    /// Takes away all of another's.
    pub fn take_all(&mut self, other: &Self) {
        other.iter().for_each(|(denom, money)| self.take(denom, money));
    }

    /// What `part` says of each; it may give nothing.
    pub fn map(&self, part: impl Fn(&Denom, Fine) -> Fine) -> Self {
        self.iter().map(|(denom, money)| (denom.clone(), part(denom, money))).collect()
    }

    /// Takes out the whole units.
    pub fn take_whole(&mut self) -> Coins {
        let whole: Coins =
            self.iter().map(|(denom, money)| Coin::new(denom.clone(), money.whole())).collect();
        *self = self.map(|_, money| money.fraction());
        whole
    }

    /// As protobuf has it.
    pub fn to_proto(&self) -> Vec<DecCoin> {
        self.iter().map(|(denom, money)| money.to_dec_coin(denom)).collect()
    }

    fn set(&mut self, denom: &Denom, money: Fine) {
        if money.is_zero() {
            self.0.remove(denom);
        } else {
            self.0.insert(denom.clone(), money);
        }
    }
}

impl FromIterator<(Denom, Fine)> for FineCoins {
    fn from_iter<I: IntoIterator<Item = (Denom, Fine)>>(all: I) -> Self {
        let mut coins = Self::default();
        all.into_iter().for_each(|(denom, money)| coins.add(&denom, money));
        coins
    }
}

impl From<&Coins> for FineCoins {
    fn from(coins: &Coins) -> Self {
        coins.iter().map(|coin| (coin.denom, coin.amount.to_fine())).collect()
    }
}

/// As the Cosmos SDK's events have it: `1.500000000000000000ustoa,…`.
impl fmt::Display for FineCoins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (denom, money)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let fraction = money.fraction().raw();
            debug_assert!(fraction < ONE);
            write!(f, "{comma}{}.{fraction:018}{denom}", money.whole())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coins(of: &[(&str, u128)]) -> FineCoins {
        let coin =
            |(denom, raw): &(&str, u128)| (Denom::try_from(*denom).unwrap(), Fine::from_raw(*raw));
        of.iter().map(coin).collect()
    }

    #[test]
    fn whole_units_are_taken_out_and_fractions_stay() {
        let mut all = coins(&[("aaa", ONE / 2), ("bbb", 3 * ONE), ("ccc", 2 * ONE + 1)]);
        assert_eq!(all.take_whole().to_string(), "3bbb,2ccc");
        assert_eq!(all, coins(&[("aaa", ONE / 2), ("ccc", 1)]));
    }

    #[test]
    fn they_are_written_as_the_cosmos_sdk_writes_them() {
        let all = coins(&[("aaa", ONE / 2), ("bbb", 3 * ONE)]);
        assert_eq!(all.to_string(), "0.500000000000000000aaa,3.000000000000000000bbb");
    }

    #[test]
    fn what_comes_to_nothing_is_not_listed() {
        let mut all = coins(&[("aaa", 1), ("bbb", 0)]);
        all.take_all(&coins(&[("aaa", 5)]));
        assert!(all.is_empty());
    }
}
