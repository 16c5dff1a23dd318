//! Keys of governance: records, and from 0xc8 on derived indexes.

use crate::types::Address;

const PARAMS: u8 = 0x60;
const NEXT_ID: u8 = 0x61;
const PROPOSAL: u8 = 0x62;
const DEPOSIT: u8 = 0x63;
const VOTE: u8 = 0x64;
const COUNT: u8 = 0x65;
const COUNTED: u8 = 0x66;
const LEAVING: u8 = 0x67;
/// After [`PARAMS`], of which there is one.
const CONSTITUTION: u8 = 0x01;

/// Derived: proposals by the end of their deposit period.
const DEPOSIT_END: u8 = 0xc8;
/// Derived: proposals by the end of their voting period.
const VOTING_END: u8 = 0xc9;

fn with_id(prefix: u8, id: u64) -> Vec<u8> {
    [&[prefix][..], &id.to_be_bytes()].concat()
}

fn of_somebody(prefix: u8, id: u64, address: &Address) -> Vec<u8> {
    [&with_id(prefix, id)[..], address.as_bytes()].concat()
}

fn id_of(key: &[u8]) -> Option<u64> {
    let (_, id) = key.split_first()?;
    Some(u64::from_be_bytes(id.try_into().ok()?))
}

/// Proposal and address of a deposit or a vote.
pub fn parts(key: &[u8]) -> Option<(u64, Address)> {
    let (_, rest) = key.split_first()?;
    let (id, address) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), Address::new(address.try_into().ok()?)))
}

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn constitution() -> Vec<u8> {
    vec![PARAMS, CONSTITUTION]
}

pub fn next_id() -> Vec<u8> {
    vec![NEXT_ID]
}

pub fn proposals() -> Vec<u8> {
    vec![PROPOSAL]
}

pub fn proposal(id: u64) -> Vec<u8> {
    with_id(PROPOSAL, id)
}

pub fn deposits() -> Vec<u8> {
    vec![DEPOSIT]
}

pub fn deposits_on(id: u64) -> Vec<u8> {
    with_id(DEPOSIT, id)
}

pub fn deposit(id: u64, depositor: &Address) -> Vec<u8> {
    of_somebody(DEPOSIT, id, depositor)
}

pub fn votes() -> Vec<u8> {
    vec![VOTE]
}

pub fn votes_on(id: u64) -> Vec<u8> {
    with_id(VOTE, id)
}

pub fn vote(id: u64, voter: &Address) -> Vec<u8> {
    of_somebody(VOTE, id, voter)
}

/// The one count that is under way.
pub fn count() -> Vec<u8> {
    vec![COUNT]
}

/// Its validators.
pub fn all_counted() -> Vec<u8> {
    vec![COUNTED]
}

pub fn counted(operator: &Address) -> Vec<u8> {
    [&[COUNTED][..], operator.as_bytes()].concat()
}

pub fn counted_operator(key: &[u8]) -> Option<Address> {
    let (_, operator) = key.split_first()?;
    Some(Address::new(operator.try_into().ok()?))
}

pub fn all_leaving() -> Vec<u8> {
    vec![LEAVING]
}

pub fn leaving(id: u64) -> Vec<u8> {
    with_id(LEAVING, id)
}

pub fn leaving_id(key: &[u8]) -> Option<u64> {
    id_of(key)
}

/// First and last byte of governance's indexes.
pub fn indexes() -> [u8; 2] {
    [DEPOSIT_END, VOTING_END]
}

fn ending(prefix: u8, at: u64, id: u64) -> Vec<u8> {
    [&[prefix][..], &at.to_be_bytes(), &id.to_be_bytes()].concat()
}

pub fn deposit_end(at: u64, id: u64) -> Vec<u8> {
    ending(DEPOSIT_END, at, id)
}

pub fn voting_end(at: u64, id: u64) -> Vec<u8> {
    ending(VOTING_END, at, id)
}

/// All entries of an index up to `now`, which is included.
fn ended(prefix: u8, now: u64) -> [Vec<u8>; 2] {
    let to = now.checked_add(1).map(|next| [&[prefix][..], &next.to_be_bytes()].concat());
    [vec![prefix], to.unwrap_or_else(|| crate::state::after_prefix(&[prefix]))]
}

pub fn deposits_ended(now: u64) -> [Vec<u8>; 2] {
    ended(DEPOSIT_END, now)
}

pub fn votings_ended(now: u64) -> [Vec<u8>; 2] {
    ended(VOTING_END, now)
}

/// The proposal of an entry of either index.
pub fn ending_id(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(9..)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let somebody = Address::new([0xab; 20]);
        let seven = [0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(params(), [0x60]);
        assert_eq!(constitution(), [0x60, 0x01]);
        assert_eq!(next_id(), [0x61]);
        assert_eq!(proposal(7), [&[0x62][..], &seven].concat());
        assert_eq!(deposit(7, &somebody), [&[0x63][..], &seven, &[0xab; 20]].concat());
        assert_eq!(vote(7, &somebody), [&[0x64][..], &seven, &[0xab; 20]].concat());
        assert_eq!(count(), [0x65]);
        assert_eq!(counted(&somebody), [&[0x66][..], &[0xab; 20]].concat());
        assert_eq!(leaving(7), [&[0x67][..], &seven].concat());
        assert_eq!(deposit_end(7, 7), [&[0xc8][..], &seven, &seven].concat());
        assert_eq!(voting_end(7, 7), [&[0xc9][..], &seven, &seven].concat());
    }

    #[test]
    fn keys_read_back() {
        let somebody = Address::new([3; 20]);
        assert_eq!(parts(&vote(258, &somebody)), Some((258, somebody)));
        assert_eq!(counted_operator(&counted(&somebody)), Some(somebody));
        assert_eq!(leaving_id(&leaving(258)), Some(258));
        assert_eq!(ending_id(&voting_end(9, 258)), Some(258));
    }

    #[test]
    fn what_has_ended_sorts_before_what_has_not() {
        let [from, to] = votings_ended(258);
        assert!(from <= voting_end(0, 0) && voting_end(258, u64::MAX) < to);
        assert!(voting_end(259, 0) >= to);
        assert!(voting_end(u64::MAX, u64::MAX) < votings_ended(u64::MAX)[1]);
    }
}
