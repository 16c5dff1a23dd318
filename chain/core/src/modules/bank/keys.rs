//! Keys of bank.

use crate::types::Denom;

const SUPPLY: u8 = 0x08;
const COLLECTED_FEES: u8 = 0x09;
const METADATA: u8 = 0x0a;
const PARAMS: u8 = 0x0b;

pub fn supplies() -> Vec<u8> {
    vec![SUPPLY]
}

pub fn supply(denom: &Denom) -> Vec<u8> {
    [&[SUPPLY], denom.as_str().as_bytes()].concat()
}

pub fn supply_denom(key: &[u8]) -> Option<Denom> {
    let (_, denom) = key.split_first()?;
    std::str::from_utf8(denom).ok()?.try_into().ok()
}

pub fn collected_fees() -> Vec<u8> {
    vec![COLLECTED_FEES]
}

pub fn all_metadata() -> Vec<u8> {
    vec![METADATA]
}

pub fn metadata(denom: &Denom) -> Vec<u8> {
    [&[METADATA], denom.as_str().as_bytes()].concat()
}

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let denom = Denom::try_from("ustoa").unwrap();
        assert_eq!(supply(&denom), b"\x08ustoa");
        assert_eq!(metadata(&denom), b"\x0austoa");
        assert_eq!(supply_denom(&supply(&denom)), Some(denom));
        assert_eq!(params(), [0x0b]);
        assert_eq!(collected_fees(), [0x09]);
    }
}
