//! Keys of staking.

use crate::types::{Address, ConsAddress};

const PARAMS: u8 = 0x48;
const VALIDATOR: u8 = 0x49;
const DELEGATION: u8 = 0x4a;
const BONDED_TOKENS: u8 = 0x4b;
const NOT_BONDED_TOKENS: u8 = 0x4c;
const UNBONDING: u8 = 0x4d;
const REDELEGATION: u8 = 0x4e;
const LAST_POWER: u8 = 0x4f;
/// Derived: operator by consensus address.
const BY_CONSENSUS: u8 = 0xc0;
/// Derived: those that may vote, the strongest first.
const BY_POWER: u8 = 0xc1;
/// Derived: delegators by validator.
const DELEGATOR_OF: u8 = 0xc2;
/// Derived: unbonding delegators by validator.
const UNBONDING_FROM: u8 = 0xc3;
/// Derived: redelegations by the validator that they leave.
const REDELEGATION_FROM: u8 = 0xc4;
/// Derived: redelegations by the validator to which they go.
const REDELEGATION_TO: u8 = 0xc5;
/// Derived: what completes, by time.
const QUEUE: u8 = 0xc6;
/// In a block's course alone: the order by power has changed.
const REORDERED: u8 = 0xc7;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn validators() -> Vec<u8> {
    vec![VALIDATOR]
}

pub fn validator(operator: &Address) -> Vec<u8> {
    with(VALIDATOR, &[operator])
}

pub fn delegations() -> Vec<u8> {
    vec![DELEGATION]
}

pub fn delegations_of(delegator: &Address) -> Vec<u8> {
    with(DELEGATION, &[delegator])
}

pub fn delegation(delegator: &Address, validator: &Address) -> Vec<u8> {
    with(DELEGATION, &[delegator, validator])
}

pub fn bonded_tokens() -> Vec<u8> {
    vec![BONDED_TOKENS]
}

pub fn not_bonded_tokens() -> Vec<u8> {
    vec![NOT_BONDED_TOKENS]
}

pub fn unbondings() -> Vec<u8> {
    vec![UNBONDING]
}

pub fn unbondings_of(delegator: &Address) -> Vec<u8> {
    with(UNBONDING, &[delegator])
}

pub fn unbonding(delegator: &Address, validator: &Address) -> Vec<u8> {
    with(UNBONDING, &[delegator, validator])
}

pub fn redelegations() -> Vec<u8> {
    vec![REDELEGATION]
}

pub fn redelegations_of(delegator: &Address) -> Vec<u8> {
    with(REDELEGATION, &[delegator])
}

pub fn redelegation(delegator: &Address, from: &Address, to: &Address) -> Vec<u8> {
    with(REDELEGATION, &[delegator, from, to])
}

pub fn last_powers() -> Vec<u8> {
    vec![LAST_POWER]
}

pub fn last_power(operator: &Address) -> Vec<u8> {
    with(LAST_POWER, &[operator])
}

pub fn last_power_operator(key: &[u8]) -> Option<Address> {
    let [operator] = addresses(key.get(1..)?)?;
    Some(operator)
}

pub fn consensus_addresses() -> Vec<u8> {
    vec![BY_CONSENSUS]
}

pub fn by_consensus(consensus: &ConsAddress) -> Vec<u8> {
    [&[BY_CONSENSUS], consensus.as_bytes().as_slice()].concat()
}

pub fn ranks() -> Vec<u8> {
    vec![BY_POWER]
}

/// The strongest first; equals by operator.
pub fn rank(power: u64, operator: &Address) -> Vec<u8> {
    [&[BY_POWER], (!power).to_be_bytes().as_slice(), operator.as_bytes()].concat()
}

pub fn rank_parts(key: &[u8]) -> Option<(u64, Address)> {
    let (power, operator) = key.get(1..)?.split_first_chunk::<8>()?;
    let [operator] = addresses(operator)?;
    Some((!u64::from_be_bytes(*power), operator))
}

pub fn delegators() -> Vec<u8> {
    vec![DELEGATOR_OF]
}

pub fn delegators_of(validator: &Address) -> Vec<u8> {
    with(DELEGATOR_OF, &[validator])
}

pub fn delegator_of(validator: &Address, delegator: &Address) -> Vec<u8> {
    with(DELEGATOR_OF, &[validator, delegator])
}

pub fn unbondings_by_validator() -> Vec<u8> {
    vec![UNBONDING_FROM]
}

pub fn unbondings_from(validator: &Address) -> Vec<u8> {
    with(UNBONDING_FROM, &[validator])
}

pub fn unbonding_from(validator: &Address, delegator: &Address) -> Vec<u8> {
    with(UNBONDING_FROM, &[validator, delegator])
}

/// Validator and delegator of an index entry.
pub fn validator_and_delegator(key: &[u8]) -> Option<[Address; 2]> {
    addresses(key.get(1..)?)
}

pub fn redelegations_by_source() -> Vec<u8> {
    vec![REDELEGATION_FROM]
}

pub fn redelegations_from(from: &Address) -> Vec<u8> {
    with(REDELEGATION_FROM, &[from])
}

pub fn redelegation_from(from: &Address, delegator: &Address, to: &Address) -> Vec<u8> {
    with(REDELEGATION_FROM, &[from, delegator, to])
}

/// Source, delegator and destination of an entry of the index by source.
pub fn redelegation_from_parts(key: &[u8]) -> Option<[Address; 3]> {
    addresses(key.get(1..)?)
}

pub fn redelegations_by_destination() -> Vec<u8> {
    vec![REDELEGATION_TO]
}

pub fn redelegations_to(to: &Address, delegator: &Address) -> Vec<u8> {
    with(REDELEGATION_TO, &[to, delegator])
}

pub fn redelegation_to(to: &Address, delegator: &Address, from: &Address) -> Vec<u8> {
    with(REDELEGATION_TO, &[to, delegator, from])
}

/// What stands in the queue of completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A validator's stake is free.
    Validator(Address),
    /// A delegator's coins return from a validator.
    Unbonding(Address, Address),
    /// A delegator's redelegation from one validator to another answers no
    /// more for the first.
    Redelegation(Address, Address, Address),
}

pub fn queue() -> Vec<u8> {
    vec![QUEUE]
}

/// After all that completes at `now` or before.
pub fn queue_after(now: u64) -> Vec<u8> {
    match now.checked_add(1) {
        Some(next) => [&[QUEUE], next.to_be_bytes().as_slice()].concat(),
        None => crate::state::after_prefix(&queue()),
    }
}

/// First stands what completes first.
pub fn queued(completes_at: u64, due: &Due) -> Vec<u8> {
    let (kind, parts) = match due {
        Due::Validator(operator) => (1, vec![operator]),
        Due::Unbonding(delegator, validator) => (2, vec![delegator, validator]),
        Due::Redelegation(delegator, from, to) => (3, vec![delegator, from, to]),
    };
    let head = [&[QUEUE], completes_at.to_be_bytes().as_slice(), &[kind]].concat();
    parts.into_iter().fold(head, |key, part| [&key[..], part.as_bytes()].concat())
}

pub fn queued_parts(key: &[u8]) -> Option<(u64, Due)> {
    let (time, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let due = match kind {
        1 => addresses(rest).map(|[operator]| Due::Validator(operator))?,
        2 => addresses(rest).map(|[delegator, from]| Due::Unbonding(delegator, from))?,
        3 => addresses(rest).map(|[who, from, to]| Due::Redelegation(who, from, to))?,
        _ => return None,
    };
    Some((u64::from_be_bytes(*time), due))
}

pub fn reordered() -> Vec<u8> {
    vec![REORDERED]
}

fn with(kind: u8, parts: &[&Address]) -> Vec<u8> {
    let mut key = vec![kind];
    parts.iter().for_each(|part| key.extend(part.as_bytes()));
    key
}

/// Exactly `N` addresses, one after the other.
fn addresses<const N: usize>(bytes: &[u8]) -> Option<[Address; N]> {
    let chunks = bytes.chunks(Address::LEN).map(|chunk| chunk.try_into().ok().map(Address::new));
    chunks.collect::<Option<Vec<_>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address::new([0xaa; 20]);
    const B: Address = Address::new([0xbb; 20]);
    const C: Address = Address::new([0xcc; 20]);

    fn bytes(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn keys_are_what_they_were() {
        let (a, b, c) = (&[0xaa; 20][..], &[0xbb; 20][..], &[0xcc; 20][..]);
        let time = &[0, 0, 0, 0, 0, 0, 1, 2][..];
        assert_eq!(params(), [0x48]);
        assert_eq!(validator(&A), bytes(&[&[0x49], a]));
        assert_eq!(delegation(&A, &B), bytes(&[&[0x4a], a, b]));
        assert_eq!(bonded_tokens(), [0x4b]);
        assert_eq!(not_bonded_tokens(), [0x4c]);
        assert_eq!(unbonding(&A, &B), bytes(&[&[0x4d], a, b]));
        assert_eq!(redelegation(&A, &B, &C), bytes(&[&[0x4e], a, b, c]));
        assert_eq!(last_power(&A), bytes(&[&[0x4f], a]));
        assert_eq!(by_consensus(&ConsAddress::new([0xaa; 20])), bytes(&[&[0xc0], a]));
        let inverted = &[255, 255, 255, 255, 255, 255, 254, 253][..];
        assert_eq!(rank(258, &A), bytes(&[&[0xc1], inverted, a]));
        assert_eq!(delegator_of(&A, &B), bytes(&[&[0xc2], a, b]));
        assert_eq!(unbonding_from(&A, &B), bytes(&[&[0xc3], a, b]));
        assert_eq!(redelegation_from(&A, &B, &C), bytes(&[&[0xc4], a, b, c]));
        assert_eq!(redelegation_to(&A, &B, &C), bytes(&[&[0xc5], a, b, c]));
        assert_eq!(queued(258, &Due::Validator(A)), bytes(&[&[0xc6], time, &[1], a]));
        assert_eq!(queued(258, &Due::Unbonding(A, B)), bytes(&[&[0xc6], time, &[2], a, b]));
        let redelegation = Due::Redelegation(A, B, C);
        assert_eq!(queued(258, &redelegation), bytes(&[&[0xc6], time, &[3], a, b, c]));
        assert_eq!(reordered(), [0xc7]);
    }

    #[test]
    fn keys_read_back() {
        assert_eq!(rank_parts(&rank(7, &A)), Some((7, A)));
        assert_eq!(last_power_operator(&last_power(&A)), Some(A));
        assert_eq!(validator_and_delegator(&delegator_of(&A, &B)), Some([A, B]));
        assert_eq!(redelegation_from_parts(&redelegation_from(&A, &B, &C)), Some([A, B, C]));
        for due in [Due::Validator(A), Due::Unbonding(A, B), Due::Redelegation(A, B, C)] {
            assert_eq!(queued_parts(&queued(258, &due)), Some((258, due)));
            assert!(queued(258, &due) < queue_after(258));
            assert!(queued(259, &due) > queue_after(258));
            assert!(queued(u64::MAX, &due) < queue_after(u64::MAX));
        }
    }

    #[test]
    fn the_strongest_stand_first_and_equals_by_operator() {
        assert!(rank(8, &B) < rank(7, &A));
        assert!(rank(7, &A) < rank(7, &B));
    }
}
