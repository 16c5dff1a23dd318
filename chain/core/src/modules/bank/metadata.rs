//! What a denom is called, and by which powers of ten it is counted.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::bank::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::Denom;

/// Bytes of each text.
const MAX_TEXT: usize = 256;
/// Units of one denom.
const MAX_UNITS: usize = 8;

/// Of one denom, for people and wallets; the chain itself never looks at it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// What the chain counts in.
    pub base: Denom,
    /// The unit that people count in.
    pub display: String,
    /// Such as `Stoa`.
    pub name: String,
    /// Such as `STOA`.
    pub symbol: String,
    /// A sentence.
    #[serde(default)]
    pub description: String,
    /// From the base up.
    pub units: Vec<Unit>,
}

/// A unit: 10^exponent of the base.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Its name.
    pub denom: String,
    /// 0: the base itself.
    pub exponent: u8,
    /// Other names.
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl Metadata {
    /// STOA, of 10^6 ustoa.
    pub fn stoa() -> Self {
        let unit = |denom: &str, exponent: u8, aliases: &[&str]| Unit {
            denom: denom.to_owned(),
            exponent,
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        };
        Self {
            base: Denom::stake(),
            display: "stoa".to_owned(),
            name: "Stoa".to_owned(),
            symbol: "STOA".to_owned(),
            description: "What stake, fees and leases of the Stoa network are paid in.".to_owned(),
            units: vec![unit("ustoa", 0, &["microstoa"]), unit("stoa", 6, &[])],
        }
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// Units that do not begin with the base or do not rise, a display unit
    /// that is none of them, or a text that is too long.
    pub fn validate(&self) -> Result<(), String> {
        let wrong = |text: &str| Err(format!("metadata of {}: {text}", self.base));
        let first = self.units.first().map(|unit| (unit.denom.as_str(), unit.exponent));
        if first != Some((self.base.as_str(), 0)) || self.units.len() > MAX_UNITS {
            return wrong("the first of at most 8 units is the base, with exponent 0");
        }
        if !self.units.is_sorted_by(|low, high| low.exponent < high.exponent) {
            return wrong("exponents of units rise");
        }
        if !self.units.iter().any(|unit| unit.denom == self.display) {
            return wrong("`display` is one of the units");
        }
        let texts = [&self.display, &self.name, &self.symbol, &self.description].into_iter();
        let units =
            self.units.iter().flat_map(|unit| [&unit.denom].into_iter().chain(&unit.aliases));
        if texts.chain(units).any(|text| text.len() > MAX_TEXT) {
            return wrong("a text has at most 256 bytes");
        }
        if self.units.iter().any(|unit| unit.aliases.len() > MAX_UNITS) {
            return wrong("a unit has at most 8 aliases");
        }
        Ok(())
    }
}

/// That of one denom.
pub fn metadata(ctx: &Ctx<'_>, denom: &Denom) -> Option<Metadata> {
    ctx.get(&keys::metadata(denom))
}

/// All of them, by denom.
pub fn all_metadata<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Metadata> + 'a {
    ctx.prefix(&keys::all_metadata()).map(|(key, value)| crate::state::decode(&key, &value))
}

impl From<Metadata> for pb::Metadata {
    fn from(metadata: Metadata) -> Self {
        let unit = |unit: Unit| pb::DenomUnit {
            denom: unit.denom,
            exponent: unit.exponent.into(),
            aliases: unit.aliases,
        };
        Self {
            description: metadata.description,
            denom_units: metadata.units.into_iter().map(unit).collect(),
            base: metadata.base.into(),
            display: metadata.display,
            name: metadata.name,
            symbol: metadata.symbol,
            uri: String::new(),
            uri_hash: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_rise_from_the_base_and_include_the_display() {
        assert_eq!(Metadata::stoa().validate(), Ok(()));
        let changed = |change: fn(&mut Metadata)| {
            let mut metadata = Metadata::stoa();
            change(&mut metadata);
            metadata.validate()
        };
        assert!(changed(|m| m.units.reverse()).is_err());
        assert!(changed(|m| m.units.clear()).is_err());
        assert!(changed(|m| m.display = "other".to_owned()).is_err());
        assert!(changed(|m| m.name = "x".repeat(MAX_TEXT + 1)).is_err());
    }
}
