//! What one share has earned so far, precise beyond any number of shares.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use ethnum::U256;
use serde::{Deserialize, Serialize};

use crate::types::{Dec, Denom, Fine};

/// Money in 10^-18 units for each 10^-18 of a share, in 2^-128 parts of it.
///
/// There are fewer than 2^128 such parts of a share, so that what is rounded
/// off one ratio is worth less than 10^-18 units to all shares together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ratio(U256);

impl Ratio {
    /// `money` for so many shares, rounded down; none where there are none.
    pub fn per_share(money: Fine, shares: Dec) -> Option<Self> {
        U256::from_words(money.raw(), 0).checked_div(U256::from(shares.raw())).map(Self)
    }

    /// What so many shares get, rounded down; at most the largest number.
    pub fn times(self, shares: Dec) -> Fine {
        let (whole, parts) = self.0.into_words();
        let of_whole = U256::from(whole).saturating_mul(U256::from(shares.raw()));
        let of_parts = U256::from(parts).saturating_mul(U256::from(shares.raw()));
        let (of_parts, _) = of_parts.into_words();
        let sum = of_whole.saturating_add(U256::from(of_parts));
        Fine::from_raw(u128::try_from(sum).unwrap_or(u128::MAX))
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl BorshSerialize for Ratio {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        writer.write_all(&self.0.to_be_bytes())
    }
}

impl BorshDeserialize for Ratio {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        <[u8; 32]>::deserialize_reader(reader).map(|bytes| Self(U256::from_be_bytes(bytes)))
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> Self {
        ratio.0.to_string()
    }
}

impl TryFrom<String> for Ratio {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no integer of 256 bits");
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        U256::from_str_radix(&text, 10).map(Self).map_err(|_| wrong())
    }
}

/// By denom, none of them zero.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ratios(BTreeMap<Denom, Ratio>);

impl Ratios {
    /// Of one denom.
    pub fn of(&self, denom: &Denom) -> Ratio {
        self.0.get(denom).copied().unwrap_or_default()
    }

    /// Adds `money` for so many shares. None, and nothing added, where there
    /// are no shares or the sum does not fit.
    pub fn add(&mut self, denom: &Denom, money: Fine, shares: Dec) -> Option<()> {
        let sum = self.of(denom).checked_add(Ratio::per_share(money, shares)?)?;
        self.0.insert(denom.clone(), sum);
        Some(())
    }

    /// What so many shares have earned since `start`.
    pub fn earned_since<'a>(
        &'a self,
        start: &'a Self,
        shares: Dec,
    ) -> impl Iterator<Item = (Denom, Fine)> + 'a {
        self.0.iter().map(move |(denom, ratio)| {
            (denom.clone(), ratio.saturating_sub(start.of(denom)).times(shares))
        })
    }

    /// Whether each is at least what `earlier` has.
    pub fn is_at_least(&self, earlier: &Self) -> bool {
        earlier.0.iter().all(|(denom, ratio)| self.of(denom) >= *ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ONE;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_shares_together_get_the_money_but_for_the_last_place(
            money in 0..100 * ONE * ONE, shares in 1..u128::MAX,
        ) {
            let (money, shares) = (Fine::from_raw(money), Dec::from_raw(shares));
            let paid = Ratio::per_share(money, shares).unwrap().times(shares);
            prop_assert!(paid <= money && money.raw() - paid.raw() <= 1, "{paid} of {money}");
        }

        #[test]
        fn parts_never_get_more_than_the_whole(
            money in 0..100 * ONE * ONE, shares in 2..u128::MAX, at in 1..u128::MAX,
        ) {
            let part = at % shares;
            let ratio = Ratio::per_share(Fine::from_raw(money), Dec::from_raw(shares)).unwrap();
            let paid = ratio.times(Dec::from_raw(part)).raw()
                + ratio.times(Dec::from_raw(shares - part)).raw();
            prop_assert!(paid <= money && money - paid <= 2);
        }
    }

    #[test]
    fn a_ratio_reads_back_as_it_was_written() {
        let ratio = Ratio(U256::from_words(7, u128::MAX));
        assert_eq!(Ratio::try_from(String::from(ratio)), Ok(ratio));
        assert_eq!(crate::state::decode::<Ratio>(&[], &crate::state::encode(&ratio)), ratio);
        for text in ["", "-1", "+1", "0x1", "1.0", &"9".repeat(90)] {
            assert!(Ratio::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn without_shares_nobody_earns() {
        let denom = Denom::stake();
        let mut ratios = Ratios::default();
        assert_eq!(ratios.add(&denom, Fine::from_raw(1), Dec::ZERO), None);
        assert_eq!(ratios, Ratios::default());
    }
}
