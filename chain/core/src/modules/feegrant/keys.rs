//! Keys of feegrant.

use crate::types::Address;

const ALLOWANCE: u8 = 0x6c;
/// Derived: by who pays.
const BY_GRANTER: u8 = 0xd4;
/// Derived: by when it expires.
const EXPIRING: u8 = 0xd5;

pub fn allowances() -> Vec<u8> {
    vec![ALLOWANCE]
}

pub fn allowances_of(grantee: &Address) -> Vec<u8> {
    [&[ALLOWANCE], grantee.as_bytes().as_slice()].concat()
}

pub fn allowance(granter: &Address, grantee: &Address) -> Vec<u8> {
    [&[ALLOWANCE], grantee.as_bytes().as_slice(), granter.as_bytes()].concat()
}

/// Granter and grantee of an allowance's key.
pub fn allowance_parties(key: &[u8]) -> Option<(Address, Address)> {
    let (grantee, granter) = pair(key.get(1..)?)?;
    Some((granter, grantee))
}

pub fn by_granters() -> Vec<u8> {
    vec![BY_GRANTER]
}

pub fn by_granter_of(granter: &Address) -> Vec<u8> {
    [&[BY_GRANTER], granter.as_bytes().as_slice()].concat()
}

pub fn by_granter(granter: &Address, grantee: &Address) -> Vec<u8> {
    [&[BY_GRANTER], granter.as_bytes().as_slice(), grantee.as_bytes()].concat()
}

/// Granter and grantee of an entry of [`by_granter`].
pub fn by_granter_parties(key: &[u8]) -> Option<(Address, Address)> {
    pair(key.get(1..)?)
}

pub fn expirations() -> Vec<u8> {
    vec![EXPIRING]
}

/// The first entry of an allowance that expires at `time` or later.
pub fn expiring_from(time: u64) -> Vec<u8> {
    [&[EXPIRING], time.to_be_bytes().as_slice()].concat()
}

pub fn expiring(time: u64, granter: &Address, grantee: &Address) -> Vec<u8> {
    [&expiring_from(time), granter.as_bytes().as_slice(), grantee.as_bytes()].concat()
}

/// Granter and grantee of an entry of [`expiring`].
pub fn expiring_parties(key: &[u8]) -> Option<(Address, Address)> {
    pair(key.get(9..)?)
}

fn pair(bytes: &[u8]) -> Option<(Address, Address)> {
    let (first, second) = bytes.split_first_chunk::<{ Address::LEN }>()?;
    Some((Address::new(*first), Address::new(second.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let (granter, grantee) = (Address::new([1; 20]), Address::new([2; 20]));
        let pair = Some((granter, grantee));
        let key = allowance(&granter, &grantee);
        assert_eq!(key, [&[0x6c][..], &[2; 20], &[1; 20]].concat());
        assert_eq!(allowance_parties(&key), pair);
        let key = by_granter(&granter, &grantee);
        assert_eq!(key, [&[0xd4][..], &[1; 20], &[2; 20]].concat());
        assert_eq!(by_granter_parties(&key), pair);
        let key = expiring(258, &granter, &grantee);
        assert_eq!(key, [&[0xd5, 0, 0, 0, 0, 0, 0, 1, 2][..], &[1; 20], &[2; 20]].concat());
        assert_eq!(expiring_parties(&key), pair);
    }
}
