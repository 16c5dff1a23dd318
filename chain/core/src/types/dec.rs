//! Ratios and shares: decimals with 18 places, never negative.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::money::{mul_div_floor, ONE};
use super::{Amount, Fine};

/// A decimal of 18 places, stored as its 10^18-fold. Cosmos' `LegacyDec`, on
/// the wire an integer, in documents a decimal.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct Dec(u128);

impl Dec {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole.
    pub const ONE: Self = Self(ONE);

    /// The 10^18-fold.
    pub const fn raw(self) -> u128 {
        self.0
    }

    /// From its 10^18-fold.
    pub const fn from_raw(raw: u128) -> Self {
        Self(raw)
    }

    /// So many hundredths.
    pub const fn percent(hundredths: u128) -> Self {
        Self(hundredths.saturating_mul(10_000_000_000_000_000))
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Sum, or none where it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, or none where it would be under zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Sum, at most the largest number.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Difference, at least nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Product, rounded down; none where it does not fit.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        mul_div_floor(self.0, other.0, ONE).map(Self)
    }

    /// Quotient, rounded down; none where it does not fit or `other` is 0.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        mul_div_floor(self.0, ONE, other.0).map(Self)
    }

    /// This part of an amount, rounded down; at most the largest number.
    pub fn of(self, amount: Amount) -> Amount {
        Amount::from_raw(mul_div_floor(self.0, amount.raw(), ONE).unwrap_or(u128::MAX))
    }

    /// This part of money in 10^-18 units, rounded down; at most the largest number.
    pub fn of_fine(self, money: Fine) -> Fine {
        Fine::from_raw(mul_div_floor(self.0, money.raw(), ONE).unwrap_or(u128::MAX))
    }

    /// `part / whole`, rounded down; nothing where `whole` is 0.
    pub fn ratio(part: u128, whole: u128) -> Self {
        Self(mul_div_floor(part, ONE, whole).unwrap_or_default())
    }

    /// From protobuf, where it is the integer 10^18-fold.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_wire(text: &str) -> Result<Self, String> {
        super::money::integer(text).map(Self)
    }

    /// As protobuf carries it: the integer 10^18-fold.
    pub fn to_wire(self) -> String {
        self.0.to_string()
    }
}

/// With all 18 places, as Cosmos writes decimals: `0.100000000000000000`.
impl fmt::Display for Dec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(ONE).unwrap_or_default();
        let fraction = self.0.checked_rem(ONE).unwrap_or_default();
        write!(f, "{whole}.{fraction:018}")
    }
}

impl FromStr for Dec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no decimal of at most 18 places, such as 0.05");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 18 {
            return Err(wrong());
        }
        let fraction: u128 = format!("{fraction:0<18}").parse().map_err(|_| wrong())?;
        let whole: u128 = whole.parse().map_err(|_| wrong())?;
        let raw = whole.checked_mul(ONE).and_then(|raw| raw.checked_add(fraction));
        raw.map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Dec {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Dec> for String {
    fn from(dec: Dec) -> Self {
        dec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_decimal_reads_back_as_it_was_written(raw: u128) {
            let dec = Dec::from_raw(raw);
            prop_assert_eq!(dec.to_string().parse::<Dec>(), Ok(dec));
            prop_assert_eq!(Dec::from_wire(&dec.to_wire()), Ok(dec));
        }
    }

    #[test]
    fn decimals_are_digits_with_one_point_at_most() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000000000000000001", "1.2.3"] {
            assert!(text.parse::<Dec>().is_err(), "{text:?}");
        }
        assert_eq!("0.05".parse::<Dec>(), Ok(Dec::percent(5)));
        assert_eq!("2".parse::<Dec>(), Ok(Dec::percent(200)));
    }

    #[test]
    fn parts_are_rounded_down() {
        assert_eq!(Dec::percent(5).of(Amount::from_raw(119)), Amount::from_raw(5));
        assert_eq!(Dec::ratio(1, 3).to_string(), "0.333333333333333333");
        assert_eq!(Dec::ratio(1, 0), Dec::ZERO);
    }
}
