//! What a delegated key can and cannot do with its granter's deployments.

use stoa_proto::deployment::v1::{
    DeploymentAuthorization, MsgAddGroups, MsgCloseDeployment, MsgCloseGroup, MsgCreateDeployment,
    MsgPauseGroup, MsgReopenGroup, MsgStartGroup, MsgUpdateDeployment,
};
use stoa_proto::escrow::v1::MsgDepositDeployment;
use stoa_proto::market::v1::{MsgCloseLease, MsgCreateBid, MsgStartLease};

use super::*;
use crate::modules::deployment::{
    self as deployments, CloseGroup, CreateDeployment, Current, PauseGroup,
};
use crate::modules::market::{self, CreateBid, StartLease};
use crate::modules::provider::Provider;
use crate::testing::{balance, begin_block, ctx_from, end_block, genesis_with, later, NOW};
use crate::types::{Amount, DeploymentId, LeaseId};

/// What each account holds at the beginning.
pub const FUNDS: u128 = 1_000_000_000_000;
/// What the tenant has deposited.
pub const DEPOSIT: u128 = 10_000_000_000;

pub fn id() -> DeploymentId {
    DeploymentId { owner: granter(), dseq: 1 }
}

pub fn provider() -> Address {
    address(101)
}

/// The tenant's deployment of these groups, and what its key may do with it.
pub fn tenancy(groups: Vec<types_pb::GroupSpec>, limits: DeploymentAuthorization) -> Ctx<'static> {
    let accounts = [(granter(), FUNDS), (grantee(), 0), (address(3), FUNDS), (provider(), FUNDS)];
    let mut genesis = genesis_with(&accounts);
    genesis.provider.providers = vec![Provider {
        owner: provider(),
        host_uri: "https://provider.example:8443".to_owned(),
        attributes: Vec::new(),
        email: String::new(),
        website: String::new(),
        root_certificate: crate::x509::forge::root(&provider()),
        earlier_root: None,
        jailed: false,
        created_at: NOW,
        stake: Amount::ZERO,
    }];
    let mut ctx = ctx_from(&genesis);
    send::<CreateDeployment>(&mut ctx, create(granter(), groups.clone())).unwrap();
    send::<CreateDeployment>(&mut ctx, create(address(3), groups)).unwrap();
    grant(&mut ctx, any(&limits));
    ctx
}

fn create(owner: Address, groups: Vec<types_pb::GroupSpec>) -> MsgCreateDeployment {
    MsgCreateDeployment {
        owner: owner.to_string(),
        dseq: 1,
        groups,
        version: vec![7; 32],
        manifest_root: vec![8; 32],
        deposit: Some(coin(DEPOSIT).into()),
        bid_window: 20,
        ..Default::default()
    }
}

pub fn add(version: u8, groups: Vec<types_pb::GroupSpec>) -> Any {
    any(&MsgAddGroups {
        owner: granter().to_string(),
        dseq: 1,
        groups,
        version: vec![version; 32],
        manifest_root: vec![version; 32],
    })
}

pub fn update(version: u8) -> Any {
    any(&MsgUpdateDeployment {
        owner: granter().to_string(),
        dseq: 1,
        version: vec![version; 32],
        manifest_root: vec![version; 32],
    })
}

pub fn pause(gseq: u32) -> Any {
    any(&MsgPauseGroup { owner: granter().to_string(), dseq: 1, gseq })
}

pub fn start(gseq: u32) -> Any {
    any(&MsgStartGroup { owner: granter().to_string(), dseq: 1, gseq })
}

pub fn close(gseq: u32) -> Any {
    any(&MsgCloseGroup { owner: granter().to_string(), dseq: 1, gseq })
}

pub fn reopen(gseq: u32, units: Option<u128>) -> Any {
    let max_rates = units.map(rate).into_iter().collect();
    any(&MsgReopenGroup { owner: granter().to_string(), dseq: 1, gseq, max_rates })
}

pub fn close_lease(lease: LeaseId, reopen: bool) -> Any {
    let owner = lease.owner().to_string();
    any(&MsgCloseLease { owner, lease: Some(lease.into()), reopen, exclude: false })
}

pub fn deposit_to(id: DeploymentId, amount: u128) -> Any {
    any(&MsgDepositDeployment {
        depositor: granter().to_string(),
        id: Some(id.into()),
        amount: Some(coin(amount).into()),
    })
}

/// Bids on the group's open order, and lets it be matched.
pub fn lease(mut ctx: Ctx<'static>, gseq: u32, units: u128) -> (Ctx<'static>, LeaseId) {
    let group = deployments::group(&ctx, id().group(gseq)).unwrap();
    let Current::Order(oseq) = group.current else { panic!("{:?}", group.current) };
    let order = id().group(gseq).order(oseq);
    let bid = MsgCreateBid {
        provider: provider().to_string(),
        order: Some(order.into()),
        rate: Some(rate(units)),
        gpus: Vec::new(),
    };
    send::<CreateBid>(&mut ctx, bid).unwrap();
    (pass(ctx, 20), order.lease(provider()))
}

pub fn pass(ctx: Ctx<'static>, seconds: u64) -> Ctx<'static> {
    let mut ctx = later(ctx, seconds);
    begin_block(&mut ctx);
    end_block(&mut ctx);
    ctx
}

fn limits(ctx: &Ctx<'_>) -> Limits {
    match granted(ctx, &Limits::url()).unwrap().authorization {
        Authorization::Deployment(limits) => limits,
        other => panic!("{other:?}"),
    }
}

fn orders(ctx: &Ctx<'_>, gseq: u32) -> u32 {
    deployments::group(ctx, id().group(gseq)).unwrap().orders
}

#[test]
fn a_key_scales_updates_and_funds_its_granters_deployment() {
    let mut ctx = tenancy(vec![group("web", 1, 10)], authorization(500, 30, &[], 3));
    exec(&mut ctx, vec![add(9, vec![group("burst", 3, 10)]), update(10)]).unwrap();
    assert_eq!(orders(&ctx, 2), 1);
    exec(&mut ctx, vec![pause(2), start(2), close(2), deposit_to(id(), 400)]).unwrap();
    assert_eq!(balance(&ctx, &granter()), FUNDS - DEPOSIT - 400);
    assert_eq!(limits(&ctx).spend_limit.of(&crate::testing::ustoa()).raw(), 100);
}

#[test]
fn a_key_cannot_spend_beyond_its_grant() {
    let mut ctx = tenancy(vec![group("web", 1, 10)], authorization(500, 30, &[], 3));
    assert_eq!(code(exec(&mut ctx, vec![deposit_to(id(), 501)])), Some(("authz", 100)));
    let both = vec![deposit_to(id(), 300), deposit_to(id(), 201)];
    assert_eq!(code(exec(&mut ctx, both)), Some(("authz", 100)));
    exec(&mut ctx, vec![deposit_to(id(), 300), deposit_to(id(), 200)]).unwrap();
    assert_eq!(code(exec(&mut ctx, vec![deposit_to(id(), 1)])), Some(("authz", 100)));
    assert_eq!(balance(&ctx, &granter()), FUNDS - DEPOSIT - 500);
    // With nothing to spend it still manages.
    exec(&mut ctx, vec![pause(1), start(1)]).unwrap();
}

#[test]
fn a_key_without_a_spend_limit_spends_nothing() {
    let mut ctx = tenancy(vec![group("web", 1, 10)], authorization(0, 30, &[], 3));
    assert_eq!(code(exec(&mut ctx, vec![deposit_to(id(), 1)])), Some(("authz", 100)));
    assert_eq!(balance(&ctx, &granter()), FUNDS - DEPOSIT);
}

#[test]
fn a_key_pays_for_its_granters_deployments_alone() {
    let mut ctx = tenancy(vec![group("web", 1, 10)], authorization(500, 30, &[], 3));
    let anothers = DeploymentId { owner: address(3), dseq: 1 };
    assert_eq!(code(exec(&mut ctx, vec![deposit_to(anothers, 1)])), Some(("authz", 104)));
    let pause = MsgPauseGroup { owner: address(3).to_string(), dseq: 1, gseq: 1 };
    assert_eq!(code(exec(&mut ctx, vec![any(&pause)])), Some(("authz", 2)));
}

#[test]
fn a_key_cannot_price_beyond_its_grant() {
    let mut ctx = tenancy(vec![group("web", 2, 10)], authorization(0, 20, &[], 9));
    let refused = Some(("authz", 101));
    assert_eq!(code(exec(&mut ctx, vec![add(9, vec![group("burst", 3, 7)])])), refused);
    exec(&mut ctx, vec![add(9, vec![group("burst", 2, 10)])]).unwrap();
    // Without bids both orders end; a new one may ask for no more.
    let mut ctx = pass(ctx, 20);
    assert_eq!(code(exec(&mut ctx, vec![reopen(1, Some(11))])), refused);
    exec(&mut ctx, vec![reopen(1, Some(9))]).unwrap();
    assert_eq!((orders(&ctx, 1), orders(&ctx, 2)), (2, 1));
}

#[test]
fn a_key_cannot_open_a_group_that_its_granter_priced_beyond_the_grant() {
    let expensive = vec![group("web", 1, 50)];
    let mut ctx = tenancy(expensive, authorization(0, 20, &[], 9));
    exec(&mut ctx, vec![pause(1)]).unwrap();
    assert_eq!(code(exec(&mut ctx, vec![start(1)])), Some(("authz", 101)));
    let mut ctx = tenancy(vec![group("web", 1, 50)], authorization(0, 20, &[], 9));
    ctx = pass(ctx, 20);
    assert_eq!(code(exec(&mut ctx, vec![reopen(1, None)])), Some(("authz", 101)));
    exec(&mut ctx, vec![reopen(1, Some(20))]).unwrap();
}

#[test]
fn a_key_cannot_have_a_lease_end_in_an_order_beyond_its_grant_at_once_or_later() {
    let reclaimed = types_pb::GroupSpec { reclamation: 3_600, ..group("slow", 1, 50) };
    let groups = vec![group("web", 1, 50), reclaimed];
    let ctx = tenancy(groups, authorization(0, 20, &[], 9));
    let (ctx, at_once) = {
        let (mut ctx, slow) = lease(ctx, 2, 30);
        let msg = MsgStartLease { provider: provider().to_string(), lease: Some(slow.into()) };
        send::<StartLease>(&mut ctx, msg).unwrap();
        assert_eq!(code(exec(&mut ctx, vec![close_lease(slow, true)])), Some(("authz", 101)));
        exec(&mut ctx, vec![close_lease(slow, false)]).unwrap();
        assert!(market::lease(&ctx, slow).unwrap().is_live());
        exec(&mut ctx, vec![update(11)]).unwrap();
        // The first group's order ended without bids; the granter opens it again.
        let msg = MsgReopenGroup {
            owner: granter().to_string(),
            dseq: 1,
            gseq: 1,
            max_rates: Vec::new(),
        };
        send::<deployments::ReopenGroup>(&mut ctx, msg).unwrap();
        lease(ctx, 1, 30)
    };
    let mut ctx = ctx;
    assert_eq!(code(exec(&mut ctx, vec![close_lease(at_once, true)])), Some(("authz", 101)));
    exec(&mut ctx, vec![close_lease(at_once, false)]).unwrap();
    assert!(!market::lease(&ctx, at_once).unwrap().is_live());
}

#[test]
fn a_key_cannot_scale_beyond_its_grant() {
    let mut ctx = tenancy(vec![group("web", 4, 1)], authorization(0, 1_000, &[], 3));
    let refused = Some(("authz", 102));
    assert_eq!(code(exec(&mut ctx, vec![add(9, vec![group("burst", 4, 1)])])), refused);
    // Instances of all of a group's units count together.
    let mut both = group("burst", 2, 1);
    let mut second = both.resources[0].clone();
    second.unit.as_mut().unwrap().id = 2;
    both.resources.push(second);
    assert_eq!(code(exec(&mut ctx, vec![add(9, vec![both])])), refused);
    // One of several is enough to refuse them all.
    let groups = vec![group("small", 1, 1), group("large", 4, 1)];
    assert_eq!(code(exec(&mut ctx, vec![add(9, groups)])), refused);
    exec(&mut ctx, vec![pause(1)]).unwrap();
    assert_eq!(code(exec(&mut ctx, vec![start(1)])), refused);
    exec(&mut ctx, vec![add(9, vec![group("burst", 3, 1)])]).unwrap();
}

#[test]
fn a_key_touches_the_groups_that_it_was_given_alone() {
    let groups = vec![group("web", 1, 1), group("db", 1, 1)];
    let mut ctx = tenancy(groups, authorization(5, 10, &["web", "burst-*"], 3));
    let refused = Some(("authz", 103));
    for msg in [pause(2), close(2), add(9, vec![group("burst", 1, 1)])] {
        assert_eq!(code(exec(&mut ctx, vec![msg])), refused);
    }
    exec(&mut ctx, vec![pause(1), start(1), add(9, vec![group("burst-1", 1, 1)])]).unwrap();
    let (mut ctx, db) = lease(ctx, 2, 1);
    assert_eq!(code(exec(&mut ctx, vec![close_lease(db, false)])), refused);
    assert_eq!(code(exec(&mut ctx, vec![reopen(1, None), reopen(2, None)])), refused);
    exec(&mut ctx, vec![reopen(1, None)]).unwrap();
    send::<PauseGroup>(&mut ctx, MsgPauseGroup { owner: granter().to_string(), dseq: 1, gseq: 2 })
        .unwrap();
    assert_eq!(code(exec(&mut ctx, vec![start(2)])), refused);
}

#[test]
fn a_key_neither_makes_nor_closes_a_deployment_nor_sends_coins() {
    let mut ctx = tenancy(vec![group("web", 1, 1)], authorization(1 << 40, 1_000, &[], 50));
    let another = MsgCreateDeployment { dseq: 2, ..create(granter(), vec![group("web", 1, 1)]) };
    let end = MsgCloseDeployment { owner: granter().to_string(), dseq: 1 };
    for msg in [any(&another), any(&end), send_msg(granter(), grantee(), 1)] {
        assert_eq!(code(exec(&mut ctx, vec![msg])), Some(("authz", 2)));
    }
}

#[test]
fn a_key_without_a_rate_opens_nothing_and_a_rate_of_another_denom_neither() {
    for max_rate in [None, Some(DecCoin { denom: "uother".to_owned(), ..rate(1_000) })] {
        let limits = DeploymentAuthorization { max_rate, ..authorization(5, 0, &[], 50) };
        let mut ctx = tenancy(vec![group("web", 1, 1)], limits);
        exec(&mut ctx, vec![pause(1), deposit_to(id(), 5)]).unwrap();
        assert_eq!(code(exec(&mut ctx, vec![start(1)])), Some(("authz", 101)));
    }
}

#[test]
fn a_key_ends_when_its_authorization_does() {
    let limits =
        DeploymentAuthorization { expiration: at(NOW + 20), ..authorization(5, 9, &[], 9) };
    let mut ctx = later(tenancy(vec![group("web", 1, 1)], limits), 19);
    exec(&mut ctx, vec![pause(1)]).unwrap();
    let mut ctx = later(ctx, 1);
    assert_eq!(code(exec(&mut ctx, vec![start(1)])), Some(("authz", 6)));
    begin_block(&mut ctx);
    assert_eq!(granted(&ctx, &Limits::url()), None);
}

#[test]
fn a_grant_for_one_message_stands_beside_the_limits_for_deployments() {
    let mut ctx = tenancy(vec![group("web", 1, 50)], authorization(0, 20, &[], 9));
    exec(&mut ctx, vec![pause(1)]).unwrap();
    grant(&mut ctx, generic("/stoa.deployment.v1.MsgStartGroup"));
    exec(&mut ctx, vec![start(1)]).unwrap();
}

#[test]
fn closing_the_last_group_gives_back_and_spends_nothing() {
    let mut ctx = tenancy(vec![group("web", 1, 1)], authorization(5, 9, &[], 9));
    exec(&mut ctx, vec![close(1)]).unwrap();
    assert_eq!(balance(&ctx, &granter()), FUNDS);
    assert_eq!(limits(&ctx).spend_limit.of(&crate::testing::ustoa()).raw(), 5);
    let again = MsgCloseGroup { owner: granter().to_string(), dseq: 1, gseq: 1 };
    assert!(send::<CloseGroup>(&mut ctx, again).is_err());
}
