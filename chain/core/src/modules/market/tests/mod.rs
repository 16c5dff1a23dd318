//! The rules of the market, one by one, as market.md states them.

mod bids;
mod bounds;
mod deadlines;
mod funds;
mod groups;
mod leases;
mod matching;
mod params;
mod sealed;

use cosmos_sdk_proto::cosmos::base::v1beta1::DecCoin;
use stoa_proto::deployment::v1 as deployment_pb;
use stoa_proto::market::v1 as pb;
use stoa_proto::types::v1 as types_pb;

use super::*;
use crate::error::Failure;
use crate::genesis::Genesis;
use crate::modules::deployment::{CreateDeployment, DeploymentState};
use crate::modules::escrow::{self, Account};
use crate::modules::provider::Provider;
use crate::testing::{end_block, *};
use crate::types::{DeploymentId, Fine, Rate, ONE};

/// What every account holds at the beginning.
const FUNDS: u128 = 1_000_000_000_000;
/// A deposit that lasts for all tests but those of exhaustion.
const DEPOSIT: u128 = 10_000_000_000;

/// Tenant of all tests.
fn tenant() -> Address {
    address(1)
}

/// Provider `number`, 1 to 5.
fn provider(number: u8) -> Address {
    address(100 + number)
}

fn genesis() -> Genesis {
    let mut accounts = vec![(tenant(), FUNDS)];
    accounts.extend((1..=5).map(|number| (provider(number), FUNDS)));
    let mut genesis = genesis_with(&accounts);
    genesis.provider.providers = (1..=5).map(record).collect();
    genesis
}

fn record(number: u8) -> Provider {
    let attribute = |key: &str, value: &str| Attribute { key: key.into(), value: value.into() };
    Provider {
        owner: provider(number),
        host_uri: "https://provider.example:8443".to_owned(),
        attributes: vec![attribute("region", "attica")],
        email: String::new(),
        website: String::new(),
        root_certificate: crate::x509::forge::root(&provider(number)),
        earlier_root: None,
        jailed: false,
        created_at: NOW,
        stake: Amount::ZERO,
    }
}

fn market() -> Ctx<'static> {
    ctx_from(&genesis())
}

/// So many whole units a second.
fn per_second(units: u128) -> Option<DecCoin> {
    Some(raw_rate(units * ONE))
}

fn raw_rate(raw: u128) -> DecCoin {
    DecCoin { denom: "ustoa".to_owned(), amount: raw.to_string() }
}

/// A group of one small unit at 1,000 units a second at most.
fn group(name: &str) -> types_pb::GroupSpec {
    let volume =
        types_pb::Volume { name: "default".into(), bytes: 1 << 30, class: "ephemeral".into() };
    let unit = types_pb::ResourceUnit {
        id: 1,
        cpu: Some(types_pb::Cpu { millicores: 100, arch: String::new() }),
        memory: Some(types_pb::Memory { bytes: 1 << 28 }),
        storage: vec![volume],
        ..Default::default()
    };
    let resource =
        types_pb::GroupResource { unit: Some(unit), count: 1, max_rate: per_second(1_000) };
    types_pb::GroupSpec { name: name.into(), resources: vec![resource], ..Default::default() }
}

/// A deployment of these groups with a window of 20 s.
fn deployment(dseq: u64, groups: Vec<types_pb::GroupSpec>) -> deployment_pb::MsgCreateDeployment {
    deployment_pb::MsgCreateDeployment {
        owner: tenant().to_string(),
        dseq,
        groups,
        version: vec![7; 32],
        manifest_root: vec![8; 32],
        deposit: Some(coin(DEPOSIT).into()),
        bid_window: 20,
        ..Default::default()
    }
}

fn id(dseq: u64) -> DeploymentId {
    DeploymentId { owner: tenant(), dseq }
}

/// The first order of a deployment's first group.
fn first_order(dseq: u64) -> OrderId {
    id(dseq).group(1).order(1)
}

/// Posts a deployment of one group; its order's id.
fn post(ctx: &mut Ctx<'_>, dseq: u64) -> OrderId {
    post_with(ctx, deployment(dseq, vec![group("web")]))
}

fn post_with(ctx: &mut Ctx<'_>, msg: deployment_pb::MsgCreateDeployment) -> OrderId {
    let dseq = msg.dseq;
    send::<CreateDeployment>(ctx, msg).unwrap();
    first_order(dseq)
}

fn bid_msg(order: OrderId, number: u8, units: u128) -> pb::MsgCreateBid {
    pb::MsgCreateBid {
        provider: provider(number).to_string(),
        order: Some(order.into()),
        rate: per_second(units),
        gpus: Vec::new(),
    }
}

/// A bid by a provider at so many units a second, in its own place in time.
fn place(ctx: &mut Ctx<'_>, order: OrderId, number: u8, units: u128) -> Result<(), Failure> {
    let next = ctx.place().tx + 1;
    ctx.set_place(next, 0);
    send::<CreateBid>(ctx, bid_msg(order, number, units)).map(|_| ())
}

/// Posts an order, has provider 1 bid 100 a second, and matches it.
fn leased(dseq: u64) -> (Ctx<'static>, LeaseId) {
    leased_with(deployment(dseq, vec![group("web")]))
}

fn leased_with(msg: deployment_pb::MsgCreateDeployment) -> (Ctx<'static>, LeaseId) {
    let mut ctx = market();
    let order = post_with(&mut ctx, msg);
    place(&mut ctx, order, 1, 100).unwrap();
    let mut ctx = later(ctx, 20);
    end_block(&mut ctx);
    (ctx, order.lease(provider(1)))
}

/// The same, started.
fn active(dseq: u64) -> (Ctx<'static>, LeaseId) {
    active_with(deployment(dseq, vec![group("web")]))
}

fn active_with(msg: deployment_pb::MsgCreateDeployment) -> (Ctx<'static>, LeaseId) {
    let (mut ctx, id) = leased_with(msg);
    start(&mut ctx, id).unwrap();
    (ctx, id)
}

fn start(ctx: &mut Ctx<'_>, id: LeaseId) -> Result<(), Failure> {
    let provider = id.provider.to_string();
    send::<StartLease>(ctx, pb::MsgStartLease { provider, lease: Some(id.into()) }).map(|_| ())
}

fn withdraw(ctx: &mut Ctx<'_>, id: LeaseId) -> Result<(), Failure> {
    let msg = pb::MsgWithdrawLease { provider: id.provider.to_string(), leases: vec![id.into()] };
    send::<WithdrawLease>(ctx, msg).map(|_| ())
}

fn close_by_tenant(
    ctx: &mut Ctx<'_>,
    id: LeaseId,
    reopen: bool,
    exclude: bool,
) -> Result<u64, Failure> {
    let msg = pb::MsgCloseLease {
        owner: id.owner().to_string(),
        lease: Some(id.into()),
        reopen,
        exclude,
    };
    send::<CloseLease>(ctx, msg).map(|response| response.ends_at)
}

fn close_by_provider(ctx: &mut Ctx<'_>, id: LeaseId) -> Result<u64, Failure> {
    let msg = pb::MsgCloseBid { provider: id.provider.to_string(), lease: Some(id.into()) };
    send::<CloseBid>(ctx, msg).map(|response| response.ends_at)
}

/// A later block, at whose end what is due is worked.
fn pass(ctx: Ctx<'static>, seconds: u64) -> Ctx<'static> {
    let mut ctx = later(ctx, seconds);
    crate::testing::begin_block(&mut ctx);
    end_block(&mut ctx);
    ctx
}

/// Time that passes in blocks of at most 60 s, so that there is no gap.
fn pass_in_blocks(mut ctx: Ctx<'static>, seconds: u64) -> Ctx<'static> {
    let mut left = seconds;
    while left > 0 {
        let step = left.min(GAP);
        ctx = pass(ctx, step);
        left -= step;
    }
    ctx
}

fn order_of(ctx: &Ctx<'_>, id: OrderId) -> Order {
    order(ctx, id).unwrap()
}

fn lease_of(ctx: &Ctx<'_>, id: LeaseId) -> Lease {
    lease(ctx, id).unwrap()
}

fn escrow_of(ctx: &Ctx<'_>, dseq: u64) -> Account {
    escrow::get(ctx, id(dseq)).unwrap()
}

fn pool_of(ctx: &Ctx<'_>) -> u128 {
    escrow::pool(ctx).map(|(_, money)| money.raw()).sum()
}

fn code(result: Result<impl Sized, Failure>) -> (&'static str, u32) {
    match result {
        Ok(_) => ("", 0),
        Err(failure) => (failure.codespace, failure.code),
    }
}

/// The order of a group that is open now.
fn reopened_order(ctx: &Ctx<'_>, dseq: u64, gseq: u32) -> Option<OrderId> {
    let group_id = id(dseq).group(gseq);
    match crate::modules::deployment::group(ctx, group_id)?.current {
        crate::modules::deployment::Current::Order(oseq) => Some(group_id.order(oseq)),
        _ => None,
    }
}
