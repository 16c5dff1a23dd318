//! What a caller may choose about a transaction.

use std::str::FromStr;

use crate::{
    money::{parse_dec_coin, Dec},
    Error, Result,
};

/// What a unit of gas costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GasPrice {
    pub amount: Dec,
    pub denom: String,
}

impl FromStr for GasPrice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let coin = parse_dec_coin(text)
            .map_err(|e| Error::Invalid(format!("gas price: {e}; right is such as 0.0025ustoa")))?;
        let amount = Dec::from_proto(&coin.amount).map_err(|e| Error::Invalid(e.to_string()))?;
        Ok(Self { amount, denom: coin.denom })
    }
}

impl GasPrice {
    /// The fee for so much gas, in whole units, rounded up.
    pub fn fee(&self, gas: u64) -> Result<u128> {
        let fee = self.amount.checked_mul(gas);
        fee.map(Dec::ceil).ok_or_else(|| Error::Invalid("the fee overflows".into()))
    }
}

/// How much gas a transaction may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gas {
    /// What simulation used, times so many percent.
    Simulated { percent: u64 },
    /// Exactly so much, without simulation.
    Fixed(u64),
}

impl Default for Gas {
    fn default() -> Self {
        Self::Simulated { percent: 130 }
    }
}

impl Gas {
    /// The limit, where simulation used so much.
    pub fn limit(self, used: u64) -> u64 {
        match self {
            Self::Simulated { percent } => used.saturating_mul(percent).div_ceil(100),
            Self::Fixed(gas) => gas,
        }
    }
}

/// What a caller may choose about a transaction.
#[derive(Clone, Debug)]
pub struct TxOptions {
    pub memo: String,
    pub gas: Gas,
    /// None: the configured one.
    pub gas_price: Option<GasPrice>,
    /// Blocks from now after which it can no longer land; its fate is then
    /// decided.
    pub timeout_blocks: u64,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self { memo: String::new(), gas: Gas::default(), gas_price: None, timeout_blocks: 60 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fee_rounds_up() {
        let price: GasPrice = "0.0025ustoa".parse().unwrap();
        assert_eq!(price.fee(100_000).unwrap(), 250);
        assert_eq!(price.fee(100_001).unwrap(), 251);
        assert!("0.0025".parse::<GasPrice>().is_err());
    }
}
