//! Sealed orders and second prices.

use super::*;

const SALT: [u8; 16] = [5; 16];

fn sealed(dseq: u64) -> deployment_pb::MsgCreateDeployment {
    deployment_pb::MsgCreateDeployment {
        auction: deployment_pb::Auction::SecondPrice.into(),
        ..deployment(dseq, vec![group("web")])
    }
}

fn commit(ctx: &mut Ctx<'_>, order: OrderId, number: u8, units: u128) -> Result<(), Failure> {
    let lease = order.lease(provider(number));
    let commitment = commitment(lease, Rate::from_raw(units * ONE), &SALT);
    let msg = pb::MsgCommitBid {
        provider: provider(number).to_string(),
        order: Some(order.into()),
        commitment: commitment.as_bytes().to_vec(),
        gpus: Vec::new(),
    };
    send::<CommitBid>(ctx, msg).map(|_| ())
}

fn reveal(ctx: &mut Ctx<'_>, order: OrderId, number: u8, units: u128) -> Result<(), Failure> {
    let msg = pb::MsgRevealBid {
        provider: provider(number).to_string(),
        order: Some(order.into()),
        rate: per_second(units),
        salt: SALT.to_vec(),
    };
    send::<RevealBid>(ctx, msg).map(|_| ())
}

#[test]
fn the_second_rate_is_paid_and_unrevealed_deposits_go_to_the_pool() {
    let mut ctx = market();
    let order = post_with(&mut ctx, sealed(1));
    for (number, units) in [(1, 300), (2, 100), (3, 50)] {
        commit(&mut ctx, order, number, units).unwrap();
    }
    let mut ctx = pass(ctx, 20);
    reveal(&mut ctx, order, 1, 300).unwrap();
    reveal(&mut ctx, order, 2, 100).unwrap();
    let ctx = pass(ctx, 15);
    let lease = lease_of(&ctx, order.lease(provider(2)));
    assert_eq!(lease.rate.raw(), 300 * ONE);
    assert_eq!(lease.cost_rate.raw(), 300 * ONE);
    assert_eq!(pool_of(&ctx), 600_000 * ONE);
    assert_eq!(balance(&ctx, &provider(1)), FUNDS);
    assert_eq!(balance(&ctx, &provider(3)), FUNDS - 600_000);
}

#[test]
fn a_bid_that_stands_alone_is_paid_the_orders_maximum() {
    let mut ctx = market();
    let order = post_with(&mut ctx, sealed(1));
    commit(&mut ctx, order, 2, 100).unwrap();
    let mut ctx = pass(ctx, 20);
    reveal(&mut ctx, order, 2, 100).unwrap();
    let ctx = pass(ctx, 15);
    assert_eq!(lease_of(&ctx, order.lease(provider(2))).rate.raw(), 1_000 * ONE);
}

#[test]
fn commitments_are_for_the_window_and_reveals_for_the_reveal_window() {
    let mut ctx = market();
    let order = post_with(&mut ctx, sealed(1));
    assert_eq!(code(place(&mut ctx, order, 1, 5)), ("market", 13));
    commit(&mut ctx, order, 1, 5).unwrap();
    assert_eq!(code(commit(&mut ctx, order, 1, 5)), ("market", 15));
    assert_eq!(code(reveal(&mut ctx, order, 1, 5)), ("market", 16));
    let mut ctx = pass(ctx, 20);
    assert_eq!(code(commit(&mut ctx, order, 2, 5)), ("market", 6));
    assert_eq!(code(reveal(&mut ctx, order, 2, 5)), ("market", 3));
    assert_eq!(code(reveal(&mut ctx, order, 1, 6)), ("market", 17));
    reveal(&mut ctx, order, 1, 5).unwrap();
    assert_eq!(code(reveal(&mut ctx, order, 1, 5)), ("market", 18));
    let mut ctx = later(ctx, 15);
    assert_eq!(code(reveal(&mut ctx, order, 1, 5)), ("market", 16));
}

#[test]
fn an_open_order_takes_no_commitments_and_a_full_sealed_book_no_more() {
    let mut genesis = genesis();
    genesis.market.params.max_bids_per_order = 1;
    let mut ctx = ctx_from(&genesis);
    let open = post(&mut ctx, 1);
    assert_eq!(code(commit(&mut ctx, open, 1, 5)), ("market", 14));
    let order = post_with(&mut ctx, sealed(2));
    commit(&mut ctx, order, 1, 5).unwrap();
    assert_eq!(code(commit(&mut ctx, order, 2, 4)), ("market", 12));
}

#[test]
fn a_commitment_is_the_digest_that_the_documents_give() {
    let lease = first_order(7).lease(provider(1));
    let mut text = b"stoa/bid/1".to_vec();
    for part in [lease.order.to_string(), lease.provider.to_string(), "25".to_owned()] {
        text.push(part.len() as u8);
        text.extend(part.as_bytes());
    }
    text.extend(SALT);
    let wanted: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        &text,
    ))
    .into();
    assert_eq!(commitment(lease, Rate::from_raw(25), &SALT).as_bytes(), &wanted);
}
