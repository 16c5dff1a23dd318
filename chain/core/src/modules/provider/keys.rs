//! Keys of provider.

use crate::types::Address;

const PARAMS: u8 = 0x10;
const PROVIDER: u8 = 0x11;
const UNBONDING: u8 = 0x12;
/// Derived from the unbondings.
const UNBONDING_OF: u8 = 0x90;
/// Derived: the sum of all stakes.
const TOTAL_STAKE: u8 = 0x91;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn providers() -> Vec<u8> {
    vec![PROVIDER]
}

pub fn provider(owner: &Address) -> Vec<u8> {
    [&[PROVIDER][..], owner.as_bytes()].concat()
}

pub fn total_stake() -> Vec<u8> {
    vec![TOTAL_STAKE]
}

pub fn unbondings() -> Vec<u8> {
    vec![UNBONDING]
}

/// First in the queue are those that complete first.
pub fn unbonding(completes_at: u64, provider: &Address) -> Vec<u8> {
    [&[UNBONDING][..], &completes_at.to_be_bytes(), provider.as_bytes()].concat()
}

/// After all unbondings that complete at `now` or before.
pub fn unbondings_after(now: u64) -> Vec<u8> {
    match now.checked_add(1) {
        Some(next) => [&[UNBONDING][..], &next.to_be_bytes()].concat(),
        None => crate::state::after_prefix(&unbondings()),
    }
}

pub fn unbonding_parts(key: &[u8]) -> Option<(u64, Address)> {
    let (_, rest) = key.split_first()?;
    let (completes_at, provider) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*completes_at), Address::new(provider.try_into().ok()?)))
}

/// All unbondings, by provider.
pub fn unbondings_by_provider() -> Vec<u8> {
    vec![UNBONDING_OF]
}

pub fn unbondings_of(provider: &Address) -> Vec<u8> {
    [&[UNBONDING_OF][..], provider.as_bytes()].concat()
}

pub fn unbonding_of(provider: &Address, completes_at: u64) -> Vec<u8> {
    [&unbondings_of(provider)[..], &completes_at.to_be_bytes()].concat()
}

pub fn unbonding_of_parts(key: &[u8]) -> Option<(Address, u64)> {
    let (_, rest) = key.split_first()?;
    let (provider, completes_at) = rest.split_first_chunk::<{ Address::LEN }>()?;
    Some((Address::new(*provider), u64::from_be_bytes(completes_at.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let owner = Address::new([0xab; 20]);
        assert_eq!(params(), [0x10]);
        assert_eq!(providers(), [0x11]);
        assert_eq!(provider(&owner), [&[0x11][..], &[0xab; 20]].concat());
        let time = [0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(unbondings(), [0x12]);
        assert_eq!(unbonding(258, &owner), [&[0x12][..], &time, &[0xab; 20]].concat());
        assert_eq!(unbonding_of(&owner, 258), [&[0x90][..], &[0xab; 20], &time].concat());
        assert_eq!(unbondings_by_provider(), [0x90]);
        assert_eq!(total_stake(), [0x91]);
    }

    #[test]
    fn keys_read_back() {
        let owner = Address::new([3; 20]);
        assert_eq!(unbonding_parts(&unbonding(258, &owner)), Some((258, owner)));
        assert_eq!(unbonding_of_parts(&unbonding_of(&owner, 258)), Some((owner, 258)));
    }

    #[test]
    fn what_is_due_sorts_before_what_is_not() {
        let last = Address::new([0xff; 20]);
        assert!(unbonding(258, &last) < unbondings_after(258));
        assert!(unbonding(259, &Address::new([0; 20])) >= unbondings_after(258));
        assert!(unbonding(u64::MAX, &last) < unbondings_after(u64::MAX));
    }
}
