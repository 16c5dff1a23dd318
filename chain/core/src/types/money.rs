//! Money without floats: whole units, units of 10^-18, and rates a second.
//!
//! Supply is bounded by [`Amount::MAX_SUPPLY`], so that every sum of money of
//! one denom, even in 10^-18 units, fits in 128 bits; products are taken in
//! 256 bits.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use ethnum::U256;
use serde::{Deserialize, Serialize};

/// 10^-18 units in one unit.
pub const ONE: u128 = 1_000_000_000_000_000_000;

/// Basis points in the whole.
pub const BASIS_POINTS: u128 = 10_000;

macro_rules! money {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// The number as it is stored.
            pub const fn raw(self) -> u128 {
                self.0
            }

            /// From the number as it is stored.
            pub const fn from_raw(raw: u128) -> Self {
                Self(raw)
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
        }

        impl From<$name> for String {
            fn from(money: $name) -> Self {
                money.0.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                integer(&text).map(Self)
            }
        }
    };
}

money! {
    /// Whole units of a denom.
    Amount
}
money! {
    /// Money in 10^-18 units: balances of escrows, accrued pay, pools.
    Fine
}
money! {
    /// Money per second, in 10^-18 units.
    Rate
}

/// A decimal integer as protobuf strings carry it: digits alone.
pub(crate) fn integer(text: &str) -> Result<u128, String> {
    if text.is_empty() || text.len() > 39 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} is not an integer of at most 39 digits"));
    }
    text.parse().map_err(|_| format!("{text:?} does not fit in 128 bits"))
}

impl Amount {
    /// Most units of one denom that may exist: 10^20, so that 10^-18 units of
    /// all of them fit in 128 bits.
    pub const MAX_SUPPLY: Self = Self(100_000_000_000_000_000_000);

    /// The same money in 10^-18 units. Never saturates for amounts that exist.
    pub fn to_fine(self) -> Fine {
        Fine(self.0.saturating_mul(ONE))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Fine {
    /// Whole units in it.
    pub fn whole(self) -> Amount {
        Amount(self.0.checked_div(ONE).unwrap_or_default())
    }

    /// Whole units that hold it: rounded up.
    pub fn ceil(self) -> Amount {
        Amount(self.0.div_ceil(ONE))
    }

    /// What is left of it beside its whole units.
    pub fn fraction(self) -> Self {
        Self(self.0.checked_rem(ONE).unwrap_or_default())
    }
}

impl Rate {
    /// Most that one resource unit may cost: 10^9 units a second.
    pub const MAX_PER_UNIT: Self = Self(1_000_000_000_000_000_000_000_000_000);

    /// What accrues in `seconds`; saturates far above any balance that exists.
    pub fn over(self, seconds: u64) -> Fine {
        Fine(self.0.saturating_mul(u128::from(seconds)))
    }

    /// The rate of `count` such units.
    pub fn checked_times(self, count: u32) -> Option<Self> {
        self.0.checked_mul(u128::from(count)).map(Self)
    }
}

macro_rules! decimal_display {
    ($name:ident) => {
        /// Decimal, without trailing zeros: `12.5`.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let whole = self.0.checked_div(ONE).unwrap_or_default();
                let fraction = self.0.checked_rem(ONE).unwrap_or_default();
                if fraction == 0 {
                    return write!(f, "{whole}");
                }
                let digits = format!("{fraction:018}");
                write!(f, "{whole}.{}", digits.trim_end_matches('0'))
            }
        }
    };
}
decimal_display!(Fine);
decimal_display!(Rate);

/// ⌊a · b / c⌋ in 256 bits; none where c is 0 or the result does not fit.
pub fn mul_div_floor(a: u128, b: u128, c: u128) -> Option<u128> {
    mul_div_rem(a, b, c).map(|(quotient, _)| quotient)
}

/// ⌊a · b / c⌋ and the remainder, in 256 bits.
pub fn mul_div_rem(a: u128, b: u128, c: u128) -> Option<(u128, u128)> {
    let product = U256::from(a).checked_mul(U256::from(b))?;
    let divisor = U256::from(c);
    let quotient = product.checked_div(divisor)?;
    let remainder = product.checked_rem(divisor)?;
    Some((u128::try_from(quotient).ok()?, u128::try_from(remainder).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_product_divided_gives_back_its_factor(a: u128, b in 1..u128::MAX) {
            prop_assert_eq!(mul_div_rem(a, b, b), Some((a, 0)));
        }

        #[test]
        fn whole_and_fraction_make_the_money_again(raw: u128) {
            let money = Fine::from_raw(raw);
            prop_assert_eq!(money.whole().raw() * ONE + money.fraction().raw(), raw);
        }
    }

    #[test]
    fn decimals_are_written_without_trailing_zeros() {
        assert_eq!(Rate::from_raw(12 * ONE + ONE / 2).to_string(), "12.5");
        assert_eq!(Rate::from_raw(1).to_string(), "0.000000000000000001");
        assert_eq!(Fine::ZERO.to_string(), "0");
    }

    #[test]
    fn integers_are_digits_alone() {
        for text in ["", "+1", "-1", " 1", "1.0", "0x1", &"9".repeat(40)] {
            assert!(integer(text).is_err(), "{text:?}");
        }
        assert_eq!(integer("0"), Ok(0));
        assert_eq!(integer(&u128::MAX.to_string()), Ok(u128::MAX));
    }
}
