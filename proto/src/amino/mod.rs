//! `SIGN_MODE_LEGACY_AMINO_JSON`: what a transaction means, as sorted JSON that
//! hardware wallets can show.
//!
//! Made from the messages' descriptors alone, so that every message serves it.
//! Source: x/tx/signing/aminojson of the Cosmos SDK.
//!
//! The state machine verifies signatures over it: pure, checked, no hash map's
//! order in it.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::arithmetic_side_effects
    )
)]

mod json;
mod message;
mod time;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::cosmos::base::v1beta1::Coin;
use crate::cosmos::tx::v1beta1::{Fee, TxBody};
use json::Json;

pub use message::name_of;

/// Why there is no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AminoError {
    /// It has no form there.
    Unsupported(String),
    /// It does not decode, or lacks something.
    Malformed(String),
}

impl fmt::Display for AminoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(text) | Self::Malformed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for AminoError {}

/// The text whose bytes are signed.
///
/// # Errors
/// A message that has no form in this JSON.
pub fn sign_doc(
    body: &TxBody,
    fee: &Fee,
    chain_id: &str,
    account_number: u64,
    sequence: u64,
) -> Result<String, AminoError> {
    let msgs = body.messages.iter().map(message::of_any).collect::<Result<_, _>>()?;
    let mut doc = vec![
        ("account_number", Json::Text(account_number.to_string())),
        ("chain_id", Json::Text(chain_id.to_owned())),
        ("fee", fee_json(fee)),
        ("memo", Json::Text(body.memo.clone())),
        ("msgs", Json::List(msgs)),
        ("sequence", Json::Text(sequence.to_string())),
    ];
    if body.timeout_height != 0 {
        doc.push(("timeout_height", Json::Text(body.timeout_height.to_string())));
    }
    Ok(Json::object(doc).to_string())
}

fn fee_json(fee: &Fee) -> Json {
    let coin = |coin: &Coin| {
        let (amount, denom) = (coin.amount.clone(), coin.denom.clone());
        Json::object([("amount", Json::Text(amount)), ("denom", Json::Text(denom))])
    };
    let mut fields = vec![
        ("amount", Json::List(fee.amount.iter().map(coin).collect())),
        ("gas", Json::Text(fee.gas_limit.to_string())),
    ];
    for (name, address) in [("granter", &fee.granter), ("payer", &fee.payer)] {
        if !address.is_empty() {
            fields.push((name, Json::Text(address.clone())));
        }
    }
    Json::object(fields)
}
