//! Keys of market: records, and from 0xb0 on derived indexes.

use crate::ctx::Place;
use crate::types::{Address, Amount, DeploymentId, LeaseId, OrderId, Rate};

use super::counters::Role;

const PARAMS: u8 = 0x30;
const ORDER: u8 = 0x31;
const BID: u8 = 0x32;
const LEASE: u8 = 0x33;
const COUNTERS: u8 = 0x34;
const WEEK: u8 = 0x35;

/// First byte of market's indexes; the one after the last is [`INDEX_END`].
pub const INDEX: u8 = 0xb0;
/// See [`INDEX`].
pub const INDEX_END: u8 = 0xb8;

const BOOK: u8 = 0xb1;
const BOOK_COUNT: u8 = 0xb2;
const OPEN_ORDER: u8 = 0xb3;
const OPEN_BID: u8 = 0xb4;
const LIVE_LEASE: u8 = 0xb5;
const PROVIDER_LEASE: u8 = 0xb6;
const STAKE_NEEDED: u8 = 0xb7;

fn with(prefix: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len().saturating_add(1));
    key.push(prefix);
    key.extend(rest);
    key
}

fn rest(key: &[u8]) -> Option<&[u8]> {
    Some(key.split_first()?.1)
}

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn orders() -> Vec<u8> {
    vec![ORDER]
}

pub fn orders_of(owner: &Address) -> Vec<u8> {
    with(ORDER, owner.as_bytes())
}

pub fn orders_in(deployment: DeploymentId) -> Vec<u8> {
    with(ORDER, &deployment.to_key())
}

pub fn order(id: OrderId) -> Vec<u8> {
    with(ORDER, &id.to_key())
}

pub fn order_id(key: &[u8]) -> Option<OrderId> {
    OrderId::from_key(rest(key)?)
}

pub fn bids() -> Vec<u8> {
    vec![BID]
}

pub fn bids_on(order: OrderId) -> Vec<u8> {
    with(BID, &order.to_key())
}

pub fn bid(id: LeaseId) -> Vec<u8> {
    with(BID, &id.to_key())
}

pub fn bid_id(key: &[u8]) -> Option<LeaseId> {
    LeaseId::from_key(rest(key)?)
}

pub fn leases() -> Vec<u8> {
    vec![LEASE]
}

pub fn leases_of(owner: &Address) -> Vec<u8> {
    with(LEASE, owner.as_bytes())
}

pub fn leases_in(deployment: DeploymentId) -> Vec<u8> {
    with(LEASE, &deployment.to_key())
}

pub fn lease(id: LeaseId) -> Vec<u8> {
    with(LEASE, &id.to_key())
}

pub fn lease_id(key: &[u8]) -> Option<LeaseId> {
    LeaseId::from_key(rest(key)?)
}

pub fn all_counters() -> Vec<u8> {
    vec![COUNTERS]
}

pub fn counters(role: Role, address: &Address) -> Vec<u8> {
    with(COUNTERS, &[&[role.number()][..], address.as_bytes()].concat())
}

pub fn counters_of(key: &[u8]) -> Option<(Role, Address)> {
    let (role, address) = rest(key)?.split_first()?;
    Some((Role::from_number(*role)?, Address::new(address.try_into().ok()?)))
}

pub fn weeks() -> Vec<u8> {
    vec![WEEK]
}

/// What a tenant's leases at a provider came to in a week.
pub fn week(provider: &Address, tenant: &Address) -> Vec<u8> {
    with(WEEK, &[&provider.as_bytes()[..], tenant.as_bytes()].concat())
}

pub fn week_parties(key: &[u8]) -> Option<(Address, Address)> {
    let (provider, tenant) = rest(key)?.split_first_chunk::<{ Address::LEN }>()?;
    Some((Address::new(*provider), Address::new(tenant.try_into().ok()?)))
}

/// Bids of an order that name a rate, best first.
pub fn book(order: OrderId) -> Vec<u8> {
    with(BOOK, &order.to_key())
}

pub fn book_entry(id: LeaseId, rate: Rate, place: Place) -> Vec<u8> {
    let mut key = book(id.order);
    key.extend(rate.raw().to_be_bytes());
    key.extend(place.height.to_be_bytes());
    key.extend(place.tx.to_be_bytes());
    key.extend(place.msg.to_be_bytes());
    key.extend(id.provider.as_bytes());
    key
}

/// Rate and provider of an entry of the book.
pub fn book_bid(key: &[u8]) -> Option<(Rate, Address)> {
    let (_, entry) = rest(key)?.split_at_checked(OrderId::LEN)?;
    let (rate, entry) = entry.split_first_chunk::<16>()?;
    let provider = entry.get(16..)?.try_into().ok()?;
    Some((Rate::from_raw(u128::from_be_bytes(*rate)), Address::new(provider)))
}

/// How many open bids an order has.
pub fn book_count(order: OrderId) -> Vec<u8> {
    with(BOOK_COUNT, &order.to_key())
}

/// Open orders by closing time.
pub fn open_orders() -> Vec<u8> {
    vec![OPEN_ORDER]
}

pub fn open_order(closes_at: u64, id: OrderId) -> Vec<u8> {
    with(OPEN_ORDER, &[&closes_at.to_be_bytes()[..], &id.to_key()].concat())
}

pub fn open_order_id(key: &[u8]) -> Option<OrderId> {
    OrderId::from_key(rest(key)?.get(8..)?)
}

pub fn open_bids_of(provider: &Address) -> Vec<u8> {
    with(OPEN_BID, provider.as_bytes())
}

pub fn open_bid(id: LeaseId) -> Vec<u8> {
    with(OPEN_BID, &[&id.provider.as_bytes()[..], &id.order.to_key()].concat())
}

pub fn open_bid_order(key: &[u8]) -> Option<OrderId> {
    OrderId::from_key(rest(key)?.get(Address::LEN..)?)
}

pub fn live_leases_of(provider: &Address) -> Vec<u8> {
    with(LIVE_LEASE, provider.as_bytes())
}

pub fn live_lease(id: LeaseId) -> Vec<u8> {
    with(LIVE_LEASE, &[&id.provider.as_bytes()[..], &id.order.to_key()].concat())
}

pub fn provider_leases_of(provider: &Address) -> Vec<u8> {
    with(PROVIDER_LEASE, provider.as_bytes())
}

pub fn provider_lease(id: LeaseId) -> Vec<u8> {
    with(PROVIDER_LEASE, &[&id.provider.as_bytes()[..], &id.order.to_key()].concat())
}

/// Lease of an entry of [`live_lease`] or [`provider_lease`].
pub fn lease_by_provider(key: &[u8]) -> Option<LeaseId> {
    let (provider, order) = rest(key)?.split_first_chunk::<{ Address::LEN }>()?;
    Some(OrderId::from_key(order)?.lease(Address::new(*provider)))
}

pub fn stakes_needed_by(provider: &Address) -> Vec<u8> {
    with(STAKE_NEEDED, provider.as_bytes())
}

/// Highest stake first: its complement is in the key.
pub fn stake_needed(id: LeaseId, stake: Amount) -> Vec<u8> {
    let mut key = stakes_needed_by(&id.provider);
    key.extend((!stake.raw()).to_be_bytes());
    key.extend(id.order.to_key());
    key
}

pub fn stake_needed_amount(key: &[u8]) -> Option<Amount> {
    let (stake, _) = rest(key)?.get(Address::LEN..)?.split_first_chunk::<16>()?;
    Some(Amount::from_raw(!u128::from_be_bytes(*stake)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bid_of(byte: u8) -> LeaseId {
        let deployment = DeploymentId { owner: Address::new([1; 20]), dseq: 2 };
        deployment.group(3).order(4).lease(Address::new([byte; 20]))
    }

    fn place(height: u64, tx: u32, msg: u32) -> Place {
        Place { height, tx, msg }
    }

    #[test]
    fn keys_are_what_they_were() {
        let id = bid_of(9);
        let order_bytes =
            [&[1; 20][..], &[0, 0, 0, 0, 0, 0, 0, 2], &[0, 0, 0, 3], &[0, 0, 0, 4]].concat();
        assert_eq!(order(id.order), [&[0x31][..], &order_bytes].concat());
        assert_eq!(bid(id), [&[0x32][..], &order_bytes, &[9; 20]].concat());
        assert_eq!(lease(id), [&[0x33][..], &order_bytes, &[9; 20]].concat());
        assert_eq!(open_bid(id), [&[0xb4][..], &[9; 20], &order_bytes].concat());
        assert_eq!(lease_by_provider(&live_lease(id)), Some(id));
        assert_eq!(open_order_id(&open_order(7, id.order)), Some(id.order));
        let week = week(&id.provider, &id.owner());
        assert_eq!(week_parties(&week), Some((id.provider, id.owner())));
    }

    #[test]
    fn the_book_sorts_by_rate_then_height_transaction_and_message() {
        let keys = [
            book_entry(bid_of(9), Rate::from_raw(5), place(300, 0, 0)),
            book_entry(bid_of(8), Rate::from_raw(6), place(1, 2, 0)),
            book_entry(bid_of(7), Rate::from_raw(6), place(1, 2, 1)),
            book_entry(bid_of(6), Rate::from_raw(6), place(1, 3, 0)),
            book_entry(bid_of(5), Rate::from_raw(256), place(0, 0, 0)),
        ];
        assert!(keys.is_sorted());
        assert_eq!(book_bid(&keys[4]), Some((Rate::from_raw(256), Address::new([5; 20]))));
    }

    #[test]
    fn the_highest_stake_that_is_needed_comes_first() {
        let low = stake_needed(bid_of(9), Amount::from_raw(5));
        let high = stake_needed(bid_of(9), Amount::from_raw(500));
        assert!(high < low);
        assert_eq!(stake_needed_amount(&high), Some(Amount::from_raw(500)));
    }
}
