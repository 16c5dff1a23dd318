//! What the reader of an SDL file must be told besides the file.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::image::Blob;
use crate::names;
use crate::units::Dec18;

/// How to read an SDL file. The default knows no chain: every denom and signer passes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Foreign denoms, by their name in the file (`--denom`).
    pub denoms: BTreeMap<String, DenomMapping>,
    /// Auditors' addresses on this chain, by their name in the file (`--signer`).
    pub signers: BTreeMap<String, String>,
    /// The denoms that the chain takes for deployments (its parameter `market_denoms`). Where
    /// given, any other is an error.
    pub known_denoms: Option<BTreeSet<String>>,
    /// The bech32 prefix of the chain's addresses. Where given, an auditor's or a provider's
    /// address with another is an error.
    pub address_prefix: Option<String>,
    /// The files that `image: ./x` names, by the path as written: see
    /// [`image_paths`](crate::image_paths).
    pub blobs: BTreeMap<String, Blob>,
    /// The archives that `data: ./x` names, by the path as written: see
    /// [`data_paths`](crate::data_paths).
    pub bundles: BTreeMap<String, Blob>,
}

impl Options {
    /// Takes amounts in `mapping.from` as amounts in `mapping.to`.
    pub fn with_denom(mut self, mapping: DenomMapping) -> Self {
        self.denoms.insert(mapping.from.clone(), mapping);
        self
    }

    /// Takes the auditor `mapping.from` as `mapping.to`.
    pub fn with_signer(mut self, mapping: SignerMapping) -> Self {
        self.signers.insert(mapping.from, mapping.to);
        self
    }
}

/// `--denom FROM=TO@PRICE`: amounts in FROM are per 6-second block unless `per` says otherwise,
/// and one FROM unit is PRICE units of TO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenomMapping {
    /// The denom in the file.
    pub from: String,
    /// The denom of this chain.
    pub to: String,
    /// Units of `to` for one unit of `from`, over 0.
    pub price: Dec18,
}

impl FromStr for DenomMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not FROM=TO@PRICE, such as uakt=ustoa@0.5");
        let (from, rest) = text.split_once('=').ok_or_else(form)?;
        let (to, price) = rest.rsplit_once('@').ok_or_else(form)?;
        for denom in [from, to] {
            if !names::is_denom(denom) {
                return Err(format!("`{denom}` in `{text}` is not a denom, such as ustoa"));
            }
        }
        let price =
            Dec18::parse(price).map_err(|error| format!("the price in `{text}`: {error}"))?;
        if price.is_zero() {
            return Err(format!("the price in `{text}` is 0; it must be over 0"));
        }
        Ok(Self { from: from.to_owned(), to: to.to_owned(), price })
    }
}

/// `--signer FROM=TO`: the auditor that the file calls FROM has the address TO on this chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerMapping {
    /// The auditor in the file.
    pub from: String,
    /// The auditor's address on this chain.
    pub to: String,
}

impl FromStr for SignerMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                Ok(Self { from: from.to_owned(), to: to.to_owned() })
            }
            _ => Err(format!("`{text}` is not FROM=TO, such as akash1abc=stoa1xyz")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_flags() {
        let mapping: DenomMapping = "uakt=ustoa@0.5".parse().unwrap();
        assert_eq!((mapping.from.as_str(), mapping.to.as_str()), ("uakt", "ustoa"));
        assert_eq!(mapping.price, Dec18(Dec18::ONE.0 / 2));
        for wrong in ["uakt", "uakt=ustoa", "uakt=ustoa@0", "uakt=ustoa@x", "=ustoa@1", "uakt=@1"] {
            assert!(wrong.parse::<DenomMapping>().is_err(), "{wrong}");
        }
        assert!("a=b".parse::<SignerMapping>().is_ok());
        assert!("a=".parse::<SignerMapping>().is_err());
    }
}
