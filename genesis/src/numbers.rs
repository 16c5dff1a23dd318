//! CometBFT writes 64-bit numbers as JSON strings.

use serde::{de::Error, Deserialize, Deserializer, Serializer};

/// `#[serde(with = "numbers")]` for a number that is a string in JSON.
pub fn serialize<S: Serializer, N: std::fmt::Display>(n: &N, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(n)
}

pub fn deserialize<'de, D, N>(input: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: std::str::FromStr,
{
    let text = String::deserialize(input)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number of this field")))
}
