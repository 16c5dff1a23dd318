//! Keys of auth.

use super::unordered::Used;
use crate::tx::Timeout;
use crate::types::Address;

const PARAMS: u8 = 0x01;
const NEXT_NUMBER: u8 = 0x02;
const ACCOUNT: u8 = 0x03;
const UNORDERED: u8 = 0x04;
const BY_NUMBER: u8 = 0xd8;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn next_number() -> Vec<u8> {
    vec![NEXT_NUMBER]
}

pub fn accounts() -> Vec<u8> {
    vec![ACCOUNT]
}

pub fn account(address: &Address) -> Vec<u8> {
    let mut key = vec![ACCOUNT];
    key.extend(address.as_bytes());
    key
}

pub fn account_address(key: &[u8]) -> Option<Address> {
    let (_, address) = key.split_first()?;
    Some(Address::new(address.try_into().ok()?))
}

pub fn by_numbers() -> Vec<u8> {
    vec![BY_NUMBER]
}

pub fn unordered_all() -> Vec<u8> {
    vec![UNORDERED]
}

/// First key of the times from this second on.
pub fn unordered_from(seconds: u64) -> Vec<u8> {
    [&[UNORDERED][..], &seconds.to_be_bytes()].concat()
}

/// A time of timeout that a signer has used. By time, so that what is over
/// stands first.
pub fn unordered(timeout: Timeout, signer: &Address) -> Vec<u8> {
    let mut key = unordered_from(timeout.seconds);
    key.extend(timeout.nanos.to_be_bytes());
    key.extend(signer.as_bytes());
    key
}

pub fn parse_unordered(key: &[u8]) -> Option<Used> {
    let (_, rest) = key.split_first()?;
    let (seconds, rest) = rest.split_first_chunk()?;
    let (nanos, signer) = rest.split_first_chunk()?;
    Some(Used {
        signer: Address::new(signer.try_into().ok()?),
        seconds: u64::from_be_bytes(*seconds),
        nanos: u32::from_be_bytes(*nanos),
    })
}

/// Index: the address of the account of this number.
pub fn by_number(number: u64) -> Vec<u8> {
    [&[BY_NUMBER][..], &number.to_be_bytes()].concat()
}

pub fn number(key: &[u8]) -> Option<u64> {
    let (_, number) = key.split_first()?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        assert_eq!(params(), [0x01]);
        assert_eq!(next_number(), [0x02]);
        let address = Address::new([0xab; 20]);
        assert_eq!(account(&address), [&[0x03][..], &[0xab; 20]].concat());
        assert_eq!(account_address(&account(&address)), Some(address));
        let timeout = Timeout { seconds: 258, nanos: 3 };
        let time = [0x04, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3];
        assert_eq!(unordered(timeout, &address), [&time[..], &[0xab; 20]].concat());
        let used = Used { signer: address, seconds: 258, nanos: 3 };
        assert_eq!(parse_unordered(&unordered(timeout, &address)), Some(used));
        assert_eq!(by_number(258), [0xd8, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(number(&by_number(258)), Some(258));
    }
}
