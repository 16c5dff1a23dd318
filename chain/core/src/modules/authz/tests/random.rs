//! Whatever a delegated key sends, it does not get beyond its grant.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::deployments::{
    add, close, close_lease, deposit_to, id, lease, pass, pause, provider, reopen, start, tenancy,
    update, DEPOSIT, FUNDS,
};
use super::*;
use crate::modules::deployment as deployments;
use crate::modules::market;
use crate::testing::balance;
use crate::types::OrderId;

const NAMES: [&str; 4] = ["web", "db", "burst-1", "burst-2"];

/// What the key was given.
struct Given {
    spend: u128,
    max_rate: u128,
    replicas: u32,
    names: Vec<&'static str>,
}

fn given(rng: &mut ChaCha8Rng) -> Given {
    let lists: [&[&str]; 4] = [&[], &["web"], &["burst-*"], &["web", "burst-1"]];
    Given {
        spend: rng.gen_range(0..1_000),
        max_rate: rng.gen_range(5..40),
        replicas: rng.gen_range(1..5),
        names: lists[rng.gen_range(0..lists.len())].to_vec(),
    }
}

impl Given {
    fn allows(&self, name: &str) -> bool {
        self.names.is_empty()
            || self.names.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == *allowed,
            })
    }
}

fn random_group(rng: &mut ChaCha8Rng) -> types_pb::GroupSpec {
    let name = NAMES[rng.gen_range(0..NAMES.len())];
    let reclamation = if rng.gen_bool(0.3) { 3_600 } else { 0 };
    let spec = group(name, rng.gen_range(1..7), rng.gen_range(1..15));
    types_pb::GroupSpec { reclamation, ..spec }
}

fn random_message(rng: &mut ChaCha8Rng, ctx: &Ctx<'_>, version: u8) -> (&'static str, Any) {
    let gseq = rng.gen_range(1..=deployments::get(ctx, id()).unwrap().groups);
    let leases: Vec<_> = market::live_leases(ctx).map(|(id, _)| id).collect();
    match rng.gen_range(0..9) {
        0 | 1 => ("add", add(version, vec![random_group(rng)])),
        2 => ("pause", pause(gseq)),
        3 => ("start", start(gseq)),
        4 => ("close", close(gseq)),
        5 => {
            let units = rng.gen_bool(0.6).then(|| rng.gen_range(1..15));
            ("reopen", reopen(gseq, units))
        }
        6 => ("deposit", deposit_to(id(), rng.gen_range(1..400))),
        7 if !leases.is_empty() => {
            let lease = leases[rng.gen_range(0..leases.len())];
            ("close lease", close_lease(lease, rng.gen_bool(0.6)))
        }
        _ => ("update", update(version)),
    }
}

fn open_orders(ctx: &Ctx<'_>) -> BTreeSet<OrderId> {
    market::open_orders(ctx).filter(|order| order.group.deployment == id()).collect()
}

/// Everything that is open now and was not before is within the grant.
fn check_opened(ctx: &Ctx<'_>, before: &BTreeSet<OrderId>, given: &Given, what: &str) {
    for order in open_orders(ctx).difference(before) {
        let spec = deployments::group(ctx, order.group).unwrap().spec;
        assert!(given.allows(&spec.name), "{what}: {} was opened", spec.name);
        let rate = market::order(ctx, *order).unwrap().max_rate.raw();
        assert!(rate <= given.max_rate * ONE, "{what}: opened at {rate}");
        let count: u32 = spec.resources.iter().map(|resource| resource.count).sum();
        assert!(count <= given.replicas, "{what}: opened with {count}");
    }
}

/// Sometimes a provider bids on something and time passes.
fn go_on(rng: &mut ChaCha8Rng, ctx: Ctx<'static>, given: &Given) -> Ctx<'static> {
    let before = open_orders(&ctx);
    let offered = before.iter().next().copied();
    let bids = offered
        .filter(|order| rng.gen_bool(0.5) && market::bid(&ctx, order.lease(provider())).is_none());
    let ctx = match bids {
        Some(order) => lease(ctx, order.group.gseq, 1).0,
        None => pass(ctx, rng.gen_range(1..4_000)),
    };
    // What opens by itself was asked for by the key before.
    check_opened(&ctx, &before, given, "time");
    ctx
}

fn run(seed: u64, seen: &mut BTreeMap<(&'static str, bool), u32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let given = given(&mut rng);
    let limits = authorization(given.spend, given.max_rate, &given.names, given.replicas);
    let groups = vec![group("web", 6, 14), group("db", 1, 1)];
    let mut ctx = tenancy(groups, limits);
    let mut spent = 0;
    for step in 0..40u8 {
        if rng.gen_bool(0.3) {
            ctx = go_on(&mut rng, ctx, &given);
        }
        let Some(deployment) = deployments::get(&ctx, id()) else { break };
        if deployment.state == deployments::DeploymentState::Closed {
            break;
        }
        let before = (open_orders(&ctx), balance(&ctx, &granter()));
        let (what, msg) = random_message(&mut rng, &ctx, step + 20);
        let done = exec(&mut ctx, vec![msg]);
        *seen.entry((what, done.is_ok())).or_default() += 1;
        check_opened(&ctx, &before.0, &given, what);
        spent += before.1.saturating_sub(balance(&ctx, &granter()));
        assert!(spent <= given.spend, "{what}: {spent} of {} are spent", given.spend);
        assert!(balance(&ctx, &granter()) + given.spend >= FUNDS - DEPOSIT);
        let left = match granted(&ctx, &Limits::url()).unwrap().authorization {
            Authorization::Deployment(limits) => limits.spend_limit,
            other => panic!("{other:?}"),
        };
        assert_eq!(left.of(&crate::testing::ustoa()).raw() + spent, given.spend);
    }
    assert_eq!(crate::modules::check_invariants(&ctx), Vec::<String>::new());
}

#[test]
fn no_series_of_messages_spends_prices_or_scales_beyond_the_grant() {
    let mut seen = BTreeMap::new();
    for seed in 0..300 {
        run(seed, &mut seen);
    }
    // Each was done and refused at some time, or this shows nothing.
    for what in ["add", "pause", "start", "close", "reopen", "deposit", "close lease"] {
        for done in [true, false] {
            let times = seen.get(&(what, done)).copied().unwrap_or_default();
            assert!(times > 5, "{what}, done {done}: {times} times; {seen:?}");
        }
    }
}
