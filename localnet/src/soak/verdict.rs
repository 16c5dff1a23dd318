//! What must hold in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context, Result};
use serde_json::Value;
use stoa_client::{ids::TextId, query::LeaseFilter, Chain};
use stoa_proto::market::v1::{Lease, LeaseState};
use tokio::process::Command;

use super::{engine::OwnEngine, tally::Tally, tenants::Tenants, SoakOptions};
use crate::{
    demo::{show, Holdings, ATOMS},
    Localnet, Provider, State,
};

/// What was killed has so long to come back and to do what it missed.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(1);
const DENOM: &str = "ustoa";

/// Looks until nothing is wrong, and fails with what still is.
async fn until<F: Future<Output = Result<()>>>(mut look: impl FnMut() -> F) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Nodes, daemons, the engine.
pub(super) async fn everything_runs(network: &Localnet, engine: &OwnEngine) -> Result<()> {
    let state = network.state();
    for provider in &state.providers {
        // Starting one that runs would only take its word away that it is ready.
        if network.pid(&provider.name).is_none() {
            network.start_one(&provider.name, &[])?;
        }
        network.wait_for_provider(&provider.name).await?;
    }
    engine.connect().await.map(drop)
}

async fn leases(chain: &Chain, provider: &Provider, live: bool) -> Result<Vec<Lease>> {
    let filter = LeaseFilter { provider: provider.address.clone(), live, ..LeaseFilter::default() };
    Ok(chain.query().leases(&filter).await?)
}

async fn live_leases(chain: &Chain, state: &State) -> Result<Vec<Lease>> {
    let mut all = Vec::new();
    for provider in &state.providers {
        all.extend(leases(chain, provider, true).await?);
    }
    Ok(all)
}

/// The same once none is PENDING: a tenant sees its workload run some blocks before the chain
/// hears of its start. After a minute they are given as they are.
async fn started_leases(chain: &Chain, state: &State) -> Result<Vec<Lease>> {
    for _ in 0..60 {
        let all = live_leases(chain, state).await?;
        if all.iter().all(|lease| lease.state() != LeaseState::Pending) {
            return Ok(all);
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    live_leases(chain, state).await
}

fn name(lease: &Lease) -> String {
    lease.id.as_ref().map(TextId::text).unwrap_or_default()
}

/// Every lease that the chain calls active answers over HTTP; says how many do.
pub(super) async fn all_serve(
    network: &Localnet,
    chain: &Chain,
    tenants: &Tenants,
    tally: &Tally,
) -> Result<usize> {
    let sites: BTreeMap<String, _> = tenants.sites().collect();
    let mut serving = 0;
    for lease in started_leases(chain, &network.state()).await? {
        let id = lease.id.clone().unwrap_or_default();
        let site = sites.get(&format!("{}/{}", id.owner, id.dseq));
        let site = site.with_context(|| format!("the lease {} is nobody's", name(&lease)))?;
        ensure!(lease.state() == LeaseState::Active, "{} is not active", name(&lease));
        until(|| async { site.get_once("/").await.map(drop) })
            .await
            .with_context(|| format!("the lease {} does not serve", name(&lease)))?;
        serving += 1;
    }
    tally.tell("active leases, all serving", serving);
    Ok(serving)
}

/// Each object is of a live lease, and each active lease has one that serves.
pub(super) async fn nothing_else_runs(
    network: &Localnet,
    chain: &Chain,
    engine: &OwnEngine,
    tally: &Tally,
) -> Result<()> {
    let state = network.state();
    until(|| async {
        let live = live_leases(chain, &state).await?;
        let names: BTreeSet<String> = live.iter().map(name).collect();
        let objects = engine.objects().await?;
        let orphans: Vec<&str> = objects
            .iter()
            .filter(|object| !names.contains(&object.lease))
            .map(|object| object.what.as_str())
            .collect();
        ensure!(orphans.is_empty(), "{} orphans: {}", orphans.len(), orphans.join(", "));
        for lease in live.iter().filter(|lease| lease.state() == LeaseState::Active) {
            let count = objects.iter().filter(|o| o.serves && o.lease == name(lease)).count();
            ensure!(count == 1, "{count} containers serve {}", name(lease));
        }
        Ok(())
    })
    .await?;
    tally.tell("orphans", 0);
    Ok(())
}

pub(super) async fn nothing_is_live(chain: &Chain, state: &State) -> Result<()> {
    until(|| async {
        let live = live_leases(chain, state).await?.len();
        ensure!(live == 0, "{live} leases are live still");
        Ok(())
    })
    .await
}

/// Lease by lease, and as a sum: what the provider's account has more.
pub(super) async fn ledgers_equal_the_chain(
    options: &SoakOptions,
    network: &Localnet,
    chain: &Chain,
    before: &Holdings,
    accounts: &[String],
    tally: &Tally,
) -> Result<()> {
    let state = network.state();
    let mut sums = BTreeMap::new();
    for provider in &state.providers {
        let paid = paid_on_chain(chain, provider).await?;
        until(|| async {
            let booked = ledger(options, provider).await?;
            for (lease, amount) in &paid {
                let entry = booked.get(lease).copied().unwrap_or_default();
                ensure!(
                    entry == *amount,
                    "{}: the chain paid {amount} for {lease}, its ledger says {entry}",
                    provider.name
                );
            }
            let unknown =
                booked.iter().find(|(lease, sum)| **sum > 0 && !paid.contains_key(*lease));
            ensure!(unknown.is_none(), "{}: the chain knows no {unknown:?}", provider.name);
            Ok(())
        })
        .await?;
        let sum: u128 = paid.values().sum();
        tally.tell(&format!("{}: ledger = chain, {DENOM}", provider.name), sum);
        sums.insert(provider.address.clone(), sum);
    }
    balances_agree(chain, before, accounts, &state, &sums).await
}

/// What was paid out for each lease, closed ones too.
async fn paid_on_chain(chain: &Chain, provider: &Provider) -> Result<BTreeMap<String, u128>> {
    let all = leases(chain, provider, false).await?;
    ensure!(!all.is_empty(), "{} never had a lease", provider.name);
    let paid = all.iter().map(|lease| {
        let amount = lease.withdrawn.as_ref().map_or("", |coin| coin.amount.as_str());
        let amount = if amount.is_empty() { Ok(0) } else { amount.parse() };
        Ok((name(lease), amount.context("an amount of the chain's")?))
    });
    paid.collect()
}

/// By lease, what `stoa-provider earnings` says.
async fn ledger(options: &SoakOptions, provider: &Provider) -> Result<BTreeMap<String, u128>> {
    let output = Command::new(options.network.programs.path("stoa-provider"))
        .arg("--config")
        .arg(provider.home.join("provider.toml"))
        .args(["earnings", "-o", "json"])
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "stoa-provider earnings: {said}");
    let printed: Value = serde_json::from_slice(&output.stdout)?;
    let mut booked = BTreeMap::new();
    for line in printed["leases"].as_array().context("earnings names no leases")? {
        let lease = line["lease"].as_str().context("a line without a lease")?;
        let earned = match &line["earned"] {
            Value::String(text) => text.parse()?,
            Value::Number(number) => number.as_u64().context("an amount")?.into(),
            other => bail!("an amount that is {other}"),
        };
        booked.insert(lease.to_owned(), earned);
    }
    Ok(booked)
}

/// Where no lease ended unstarted, which costs deposits, a provider's account
/// has exactly what it was paid more, less its fees.
async fn balances_agree(
    chain: &Chain,
    before: &Holdings,
    accounts: &[String],
    state: &State,
    sums: &BTreeMap<String, u128>,
) -> Result<()> {
    let after = Holdings::now(chain, accounts).await?;
    let changes = before.changes_until(chain, &after).await?;
    for provider in &state.providers {
        let counters = chain.query().counters(&provider.address, true).await?;
        let unstarted = counters.leases_won != counters.leases_started;
        let moved = changes.moved.get(&provider.address).copied().unwrap_or_default();
        let sum = sums.get(&provider.address).copied().unwrap_or_default();
        let sum = i128::try_from(sum)? * ATOMS;
        ensure!(
            moved == sum || (unstarted && moved < sum),
            "{}: its account moved by {} besides fees, its leases paid {}",
            provider.name,
            show(moved),
            show(sum)
        );
    }
    Ok(())
}
