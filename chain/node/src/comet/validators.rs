//! A page of validators as CometBFT's RPC writes it: tendermint-rpc's own type leaves their
//! priorities out.

use base64::{engine::general_purpose::STANDARD, Engine as _};
use serde::{de::Error, Deserialize, Deserializer};

/// One page.
#[derive(Debug, Deserialize)]
pub struct ValidatorPage {
    /// The block whose set it is.
    #[serde(deserialize_with = "number")]
    pub block_height: i64,
    /// By voting power.
    pub validators: Vec<ValidatorEntry>,
    /// Validators on all pages.
    #[serde(deserialize_with = "number")]
    pub total: u64,
}

/// One validator.
#[derive(Debug, Deserialize)]
pub struct ValidatorEntry {
    /// 20 bytes.
    #[serde(deserialize_with = "hex::serde::deserialize")]
    pub address: Vec<u8>,
    /// Ed25519, 32 bytes.
    #[serde(rename = "pub_key", deserialize_with = "key")]
    pub public_key: Vec<u8>,
    /// As it counts in votes.
    #[serde(deserialize_with = "number")]
    pub voting_power: i64,
    /// The highest proposes next.
    #[serde(deserialize_with = "number")]
    pub proposer_priority: i64,
}

fn number<'de, D: Deserializer<'de>, T: std::str::FromStr>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| Error::custom(format!("{text:?} is no number")))
}

fn key<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    #[derive(Deserialize)]
    struct Key {
        value: String,
    }
    STANDARD.decode(Key::deserialize(from)?.value).map_err(Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_priorities_under_zero() {
        let page: ValidatorPage = serde_json::from_str(
            r#"{"block_height":"12","validators":[{"address":"0101010101010101010101010101010101010101",
            "pub_key":{"type":"tendermint/PubKeyEd25519","value":"AgI="},
            "voting_power":"10","proposer_priority":"-5"}],"count":"1","total":"4"}"#,
        )
        .unwrap();
        let [validator] = page.validators.as_slice() else { panic!("one validator") };
        assert_eq!((page.block_height, page.total), (12, 4));
        assert_eq!((validator.voting_power, validator.proposer_priority), (10, -5));
        assert_eq!((validator.address.len(), validator.public_key.as_slice()), (20, &[2, 2][..]));
    }
}
