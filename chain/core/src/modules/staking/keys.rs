//! Keys of staking.

use crate::types::{Address, ConsAddress};

const PARAMS: u8 = 0x48;
const VALIDATOR: u8 = 0x49;
const DELEGATION: u8 = 0x4a;
const BONDED_TOKENS: u8 = 0x4b;
/// Derived: operator by consensus address.
const BY_CONSENSUS: u8 = 0xc0;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn validators() -> Vec<u8> {
    vec![VALIDATOR]
}

pub fn validator(operator: &Address) -> Vec<u8> {
    [&[VALIDATOR], operator.as_bytes().as_slice()].concat()
}

pub fn delegations() -> Vec<u8> {
    vec![DELEGATION]
}

pub fn delegations_of(delegator: &Address) -> Vec<u8> {
    [&[DELEGATION], delegator.as_bytes().as_slice()].concat()
}

pub fn delegation(delegator: &Address, validator: &Address) -> Vec<u8> {
    [&[DELEGATION], delegator.as_bytes().as_slice(), validator.as_bytes()].concat()
}

pub fn bonded_tokens() -> Vec<u8> {
    vec![BONDED_TOKENS]
}

pub fn by_consensus(consensus: &ConsAddress) -> Vec<u8> {
    [&[BY_CONSENSUS], consensus.as_bytes().as_slice()].concat()
}
