//! What open bids and live leases forbid.

use stoa_proto::cosmos::base::v1beta1::DecCoin;
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::market::v1 as mpb;
use stoa_proto::provider::v1 as pb;
use stoa_proto::types::v1 as tpb;

use super::{attributes, delete_msg, owner, stake_msg, unstake_msg, update_msg};
use crate::ctx::Ctx;
use crate::modules::provider::{set_jailed, Create, Delete, Stake, Unstake, Update};
use crate::modules::{deployment, market};
use crate::testing::{address, coin, ctx_with, end_block, later, refusal, send};
use crate::types::{Amount, DeploymentId, OrderId, ONE};

const WINDOW: u64 = 30;

/// The tenant's one order.
fn order() -> OrderId {
    DeploymentId { owner: address(9), dseq: 1 }.group(1).order(1)
}

fn rate(units: u128) -> Option<DecCoin> {
    Some(DecCoin { denom: "ustoa".to_owned(), amount: (units * ONE).to_string() })
}

/// One small service of a provider in Europe with a stake of 100.
fn deployment() -> dpb::MsgCreateDeployment {
    let unit = tpb::ResourceUnit {
        id: 1,
        cpu: Some(tpb::Cpu { millicores: 100, arch: String::new() }),
        memory: Some(tpb::Memory { bytes: 64 << 20 }),
        storage: vec![tpb::Volume {
            name: "data".to_owned(),
            bytes: 64 << 20,
            class: "ephemeral".to_owned(),
        }],
        ..Default::default()
    };
    let group = tpb::GroupSpec {
        name: "web".to_owned(),
        requirements: Some(tpb::Requirements {
            attributes: attributes(&[("region", "eu*")]),
            min_stake: "100".to_owned(),
            ..Default::default()
        }),
        resources: vec![tpb::GroupResource { unit: Some(unit), count: 1, max_rate: rate(10) }],
        ..Default::default()
    };
    dpb::MsgCreateDeployment {
        owner: order().group.deployment.owner.to_string(),
        dseq: 1,
        groups: vec![group],
        version: vec![1; 32],
        manifest_root: vec![2; 32],
        deposit: Some(coin(10_000_000).into()),
        bid_window: WINDOW,
        ..Default::default()
    }
}

/// A provider with a stake of 150 and a bid on the tenant's order.
fn bidding() -> Ctx<'static> {
    let mut ctx = ctx_with(&[(owner(), 1_000_000), (address(9), 20_000_000)]);
    send::<Create>(&mut ctx, super::create_msg()).unwrap();
    send::<Stake>(&mut ctx, stake_msg(coin(150))).unwrap();
    send::<deployment::CreateDeployment>(&mut ctx, deployment()).unwrap();
    let bid = mpb::MsgCreateBid {
        provider: owner().to_string(),
        order: Some(order().into()),
        rate: rate(5),
        gpus: Vec::new(),
    };
    send::<market::CreateBid>(&mut ctx, bid).unwrap();
    ctx
}

fn update_to(pairs: &[(&str, &str)]) -> pb::MsgUpdateProvider {
    pb::MsgUpdateProvider { attributes: attributes(pairs), ..update_msg() }
}

#[test]
fn an_open_bid_holds_its_provider_to_what_it_rests_on() {
    let mut ctx = bidding();
    assert_eq!(refusal::<Delete>(&mut ctx, delete_msg(), "provider"), 7);
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(51)), "provider"), 8);
    send::<Unstake>(&mut ctx, unstake_msg(coin(50))).unwrap();
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(1)), "provider"), 8);
    assert_eq!(refusal::<Update>(&mut ctx, update_to(&[("arch", "amd64")]), "provider"), 9);
    assert_eq!(refusal::<Update>(&mut ctx, update_to(&[("region", "us")]), "provider"), 9);
    send::<Update>(&mut ctx, update_to(&[("region", "eu-west")])).unwrap();
    later(ctx, 1);
}

#[test]
fn a_withdrawn_bid_frees_its_provider() {
    let mut ctx = bidding();
    let msg = mpb::MsgWithdrawBid { provider: owner().to_string(), order: Some(order().into()) };
    send::<market::WithdrawBid>(&mut ctx, msg).unwrap();
    send::<Update>(&mut ctx, update_to(&[])).unwrap();
    send::<Unstake>(&mut ctx, unstake_msg(coin(149))).unwrap();
    send::<Delete>(&mut ctx, delete_msg()).unwrap();
    later(ctx, 1);
}

#[test]
fn an_open_bid_holds_its_provider_to_the_reputation_that_it_rests_on() {
    let mut ctx = ctx_with(&[(owner(), 1_000_000), (address(9), 20_000_000)]);
    send::<Create>(&mut ctx, super::create_msg()).unwrap();
    send::<Stake>(&mut ctx, stake_msg(coin(150))).unwrap();
    let rep_half_stake = Amount::from_raw(100);
    let params = market::Params { rep_half_stake, ..market::Params::default() };
    let msg = mpb::MsgUpdateParams {
        authority: crate::modules::gov::authority().to_string(),
        params: Some(params.into()),
    };
    send::<market::UpdateParams>(&mut ctx, msg).unwrap();
    let mut wanted = deployment();
    wanted.groups[0].requirements.as_mut().unwrap().min_reputation = 1_100;
    send::<deployment::CreateDeployment>(&mut ctx, wanted).unwrap();
    let bid = mpb::MsgCreateBid {
        provider: owner().to_string(),
        order: Some(order().into()),
        rate: rate(5),
        gpus: Vec::new(),
    };
    send::<market::CreateBid>(&mut ctx, bid).unwrap();
    // 2,000 · 120 / 220 are 1,090; with 130 there are 1,130.
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(30)), "provider"), 15);
    send::<Unstake>(&mut ctx, unstake_msg(coin(20))).unwrap();
    let mut ctx = later(ctx, WINDOW);
    end_block(&mut ctx);
    assert!(market::has_live_lease(&ctx, &owner()));
    // A live lease asks for its order's stake alone.
    send::<Unstake>(&mut ctx, unstake_msg(coin(30))).unwrap();
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(1)), "provider"), 8);
}

/// The bid has won: its lease waits to be started.
fn leased() -> Ctx<'static> {
    let mut ctx = later(bidding(), WINDOW);
    end_block(&mut ctx);
    assert!(market::has_live_lease(&ctx, &owner()));
    assert!(!market::has_open_bid(&ctx, &owner()));
    ctx
}

#[test]
fn a_live_lease_holds_its_provider_to_its_stake() {
    let mut ctx = leased();
    assert_eq!(refusal::<Delete>(&mut ctx, delete_msg(), "provider"), 6);
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(51)), "provider"), 8);
    send::<Unstake>(&mut ctx, unstake_msg(coin(50))).unwrap();
    send::<Update>(&mut ctx, update_to(&[])).unwrap();
    later(ctx, 1);
}

#[test]
fn jailing_closes_the_providers_leases() {
    let mut ctx = leased();
    set_jailed(&mut ctx, &owner(), true).unwrap();
    let mut ctx = later(ctx, 1);
    end_block(&mut ctx);
    assert!(!market::has_live_lease(&ctx, &owner()));
    set_jailed(&mut ctx, &owner(), false).unwrap();
    send::<Delete>(&mut ctx, delete_msg()).unwrap();
}
