//! Values on the command line.

use stoa_client::{
    ids::TextId,
    money::{parse_coin, parse_dec_coin},
    tx::Gas,
};
use stoa_proto::{
    cosmos::base::v1beta1::{Coin, DecCoin},
    types::v1::{Attribute, BidId, OrderId},
};

/// `auto` or a number.
pub fn parse_gas(text: &str) -> Result<Gas, String> {
    match text {
        "auto" => Ok(Gas::default()),
        number => number
            .parse()
            .map(Gas::Fixed)
            .map_err(|_| format!("`{number}` is neither `auto` nor a number")),
    }
}

/// `KEY=VALUE`.
pub fn attribute(text: &str) -> Result<Attribute, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Ok(Attribute { key: key.into(), value: value.into() })
        }
        _ => Err(format!("`{text}` is not KEY=VALUE, such as region=eu-west")),
    }
}

/// `100ustoa`.
pub fn coin(text: &str) -> Result<Coin, String> {
    parse_coin(text).map_err(|e| e.to_string())
}

/// `12.5ustoa`.
pub fn dec_coin(text: &str) -> Result<DecCoin, String> {
    parse_dec_coin(text).map_err(|e| e.to_string())
}

/// `owner/dseq/gseq/oseq`.
pub fn order(text: &str) -> Result<OrderId, String> {
    OrderId::parse(text).map_err(|e| e.to_string())
}

/// `owner/dseq/gseq/oseq/provider`.
pub fn bid(text: &str) -> Result<BidId, String> {
    BidId::parse(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_and_attributes() {
        assert_eq!(parse_gas("auto").unwrap(), Gas::Simulated { percent: 130 });
        assert_eq!(parse_gas("5").unwrap(), Gas::Fixed(5));
        assert!(parse_gas("much").is_err());
        assert_eq!(attribute("a=b=c").unwrap().value, "b=c");
        assert!(attribute("a").is_err());
        assert!(attribute("=b").is_err());
    }
}
