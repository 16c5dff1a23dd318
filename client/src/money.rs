//! Amounts and rates, exactly. Nothing here uses floats.

use std::{fmt, str::FromStr};

use stoa_proto::cosmos::base::v1beta1::{Coin, DecCoin};

/// Decimals of a rate: protobuf carries the integer × 10^-18.
pub const DECIMALS: u32 = 18;
const ONE: u128 = 1_000_000_000_000_000_000;

/// A non-negative decimal with 18 places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dec(u128);

/// Why a text is no amount.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no amount: {1}")]
pub struct MoneyError(String, &'static str);

fn bad(text: &str, why: &'static str) -> MoneyError {
    MoneyError(text.chars().take(80).collect(), why)
}

impl Dec {
    pub const ZERO: Self = Self(0);

    /// From whole units.
    pub fn whole(units: u64) -> Self {
        Self(u128::from(units) * ONE)
    }

    /// From the integer × 10^-18.
    pub fn from_atoms(atoms: u128) -> Self {
        Self(atoms)
    }

    /// The integer × 10^-18.
    pub fn atoms(self) -> u128 {
        self.0
    }

    /// From protobuf's form: the integer × 10^-18 as text.
    pub fn from_proto(text: &str) -> Result<Self, MoneyError> {
        text.parse().map(Self).map_err(|_| bad(text, "it is not the integer of a decimal"))
    }

    /// Protobuf's form.
    pub fn to_proto(self) -> String {
        self.0.to_string()
    }

    /// Whole units, rounded down.
    pub fn floor(self) -> u128 {
        self.0 / ONE
    }

    /// Whole units, rounded up.
    pub fn ceil(self) -> u128 {
        self.0.div_ceil(ONE)
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    pub fn checked_mul(self, times: u64) -> Option<Self> {
        self.0.checked_mul(u128::from(times)).map(Self)
    }

    /// How often `other` goes into this, rounded down; none where it is 0.
    pub fn times(self, other: Self) -> Option<u128> {
        self.0.checked_div(other.0)
    }

    /// The shortest text with at most `places` decimals, rounded down.
    pub fn short(self, places: u32) -> String {
        let cut = 10_u128.pow(DECIMALS.saturating_sub(places));
        Self(self.0 / cut * cut).to_string()
    }
}

impl fmt::Display for Dec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / ONE, self.0 % ONE);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:018}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Dec {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            return Err(bad(text, "right is such as 12 or 12.5"));
        }
        if fraction.len() > DECIMALS as usize {
            return Err(bad(text, "it has more than 18 decimals"));
        }
        let too_large = |_| bad(text, "it is too large");
        let whole: u128 = whole.parse().map_err(too_large)?;
        let fraction: u128 = format!("{fraction:0<18}").parse().map_err(too_large)?;
        whole
            .checked_mul(ONE)
            .and_then(|atoms| atoms.checked_add(fraction))
            .map(Self)
            .ok_or_else(|| bad(text, "it is too large"))
    }
}

/// Splits `12.5ustoa` into `12.5` and `ustoa`.
fn split(text: &str) -> Result<(&str, &str), MoneyError> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (amount, denom) = text.split_at(at);
    let shape = denom.len() >= 3
        && denom.len() <= 128
        && denom.starts_with(|c: char| c.is_ascii_alphabetic())
        && denom.chars().all(|c| c.is_ascii_alphanumeric() || "/:._-".contains(c));
    if !shape {
        return Err(bad(text, "its denom is missing or malformed; right is such as 100ustoa"));
    }
    Ok((amount, denom))
}

/// `100ustoa`: whole units.
pub fn parse_coin(text: &str) -> Result<Coin, MoneyError> {
    let (amount, denom) = split(text)?;
    if amount.contains('.') {
        return Err(bad(text, "it must be whole units"));
    }
    let amount: u128 = amount.parse().map_err(|_| bad(text, "right is such as 100ustoa"))?;
    Ok(Coin { denom: denom.into(), amount: amount.to_string() })
}

/// `100ustoa,5uatom`: several, sorted by denom as the chain wants them.
pub fn parse_coins(text: &str) -> Result<Vec<Coin>, MoneyError> {
    let mut coins = text.split(',').map(|t| parse_coin(t.trim())).collect::<Result<Vec<_>, _>>()?;
    coins.sort_by(|a, b| a.denom.cmp(&b.denom));
    if coins.windows(2).any(|w| w[0].denom == w[1].denom) {
        return Err(bad(text, "a denom stands there twice"));
    }
    Ok(coins)
}

/// `12.5ustoa`: up to 18 decimals.
pub fn parse_dec_coin(text: &str) -> Result<DecCoin, MoneyError> {
    let (amount, denom) = split(text)?;
    let amount: Dec = amount.parse()?;
    Ok(DecCoin { denom: denom.into(), amount: amount.to_proto() })
}

/// A coin as people write it.
pub fn show_coin(coin: &Coin) -> String {
    format!("{}{}", coin.amount, coin.denom)
}

/// A decimal coin as people write it; what does not parse is shown raw.
pub fn show_dec_coin(coin: &DecCoin) -> String {
    match Dec::from_proto(&coin.amount) {
        Ok(amount) => format!("{amount}{}", coin.denom),
        Err(_) => format!("{}e-18{}", coin.amount, coin.denom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for (text, atoms) in
            [("0", 0), ("12.5", 12_500_000_000_000_000_000), ("0.000000000000000001", 1)]
        {
            let dec: Dec = text.parse().unwrap();
            assert_eq!(dec.atoms(), atoms);
            assert_eq!(dec.to_string(), text);
            assert_eq!(Dec::from_proto(&dec.to_proto()).unwrap(), dec);
        }
        assert_eq!(show_dec_coin(&parse_dec_coin("1.50ustoa").unwrap()), "1.5ustoa");
        assert_eq!("1.23456".parse::<Dec>().unwrap().short(2), "1.23");
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", ".5", "5.", "-1", "1e5", "1.2.3", "0.0000000000000000001"] {
            assert!(text.parse::<Dec>().is_err(), "{text}");
        }
        assert!("999999999999999999999999999999".parse::<Dec>().is_err());
        for text in ["ustoa", "5", "1.5ustoa", "5 ustoa", "5u"] {
            assert!(parse_coin(text).is_err(), "{text}");
        }
        assert!(parse_coins("1ustoa,2ustoa").is_err());
    }
}
