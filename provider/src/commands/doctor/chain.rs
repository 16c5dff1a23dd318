//! Nodes, clock, registration, balance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use stoa_client::proto::provider::v1::QueryProviderResponse;
use stoa_client::query::QueryClient;
use stoa_client::rpc::RpcClient;
use stoa_client::tls::Identity;
use stoa_client::{Chain, Error};

use super::super::features::{self, Features};
use super::Finding;
use crate::chain::{ChainReads, LiveChain};
use crate::config::Config;

/// A clock further from the chain's is wrong, in seconds.
const CLOCK_WRONG: u64 = 30;
/// A chain whose newest block is older stands still, in seconds.
const STANDS_STILL: u64 = 120;

pub(super) async fn look(
    config: &Config,
    provider: Option<&str>,
    features: Option<&Features>,
) -> Vec<Finding> {
    let mut findings = vec![];
    for address in &config.chain.rpc {
        findings.push(rpc(config, address).await);
    }
    for address in &config.chain.grpc {
        findings.push(grpc(address).await);
    }
    if config.chain.rpc.len() < 2 || config.chain.grpc.len() < 2 {
        findings.push(Finding::warning(
            "several nodes",
            "one node is believed alone",
            "name a second in chain.rpc and chain.grpc: what they say is compared",
        ));
    }
    let Ok(chain) = Chain::connect(&config.client()).await else { return findings };
    let Some(provider) = provider else { return findings };
    match LiveChain::new(&config.client(), &chain, provider, (&config.chain).into()) {
        Ok(reads) => {
            findings.push(agreement(config, &reads).await);
            findings.extend(registration(config, &reads, features).await);
            findings.push(balance(config, &reads).await);
        }
        Err(error) => findings.push(Finding::bad("nodes", error.to_string(), "see [chain]")),
    }
    findings
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

async fn rpc(config: &Config, address: &str) -> Finding {
    let name = format!("node {address}");
    let remedy = "start the node, or name another in chain.rpc";
    let status = match RpcClient::new(&[address.to_string()]) {
        Ok(client) => client.status().await,
        Err(error) => Err(error),
    };
    let status = match status {
        Ok(status) => status,
        Err(error) => return Finding::bad(&name, error.to_string(), remedy),
    };
    if status.chain_id != config.chain.id {
        let found = format!("it is of chain {}, not of {}", status.chain_id, config.chain.id);
        return Finding::bad(&name, found, "correct chain.id or chain.rpc");
    }
    if status.catching_up {
        let found = format!("it is catching up, at block {}", status.latest_height);
        return Finding::warning(&name, found, "wait, or name another first");
    }
    of_time(&name, status.latest_height, status.latest_time, now())
}

/// The newest block's time is the chain's clock.
fn of_time(name: &str, height: u64, block: u64, now: u64) -> Finding {
    let found = format!("block {height}");
    if block > now.saturating_add(CLOCK_WRONG) {
        let found = format!("{found}, {} s ahead of this machine's clock", block - now);
        return Finding::bad(name, found, "set this machine's clock (timedatectl set-ntp true)");
    }
    let age = now.saturating_sub(block);
    if age > STANDS_STILL {
        let found = format!("{found}, {age} s old by this machine's clock");
        let remedy = "the chain stands still, or this machine's clock is ahead \
                      (timedatectl set-ntp true)";
        return Finding::bad(name, found, remedy);
    }
    Finding::good(name, format!("{found}, {age} s old"))
}

async fn grpc(address: &str) -> Finding {
    let name = format!("queries at {address}");
    let answer = match QueryClient::new(&[address.to_string()]) {
        Ok(client) => client.market_params().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(_) => Finding::good(&name, "it answers"),
        Err(error) => {
            Finding::bad(&name, error.to_string(), "start the node, or name another in chain.grpc")
        }
    }
}

async fn agreement(config: &Config, reads: &LiveChain) -> Finding {
    let name = "nodes together";
    match reads.tip().await {
        Ok(tip) => Finding::good(name, format!("they agree at block {}", tip.height)),
        Err(error) => Finding::bad(
            name,
            error.to_string(),
            format!(
                "take out the node that lies or lags; chain.min_answers is {}",
                config.chain.min_answers
            ),
        ),
    }
}

async fn registration(
    config: &Config,
    reads: &LiveChain,
    features: Option<&Features>,
) -> Vec<Finding> {
    let name = "registration";
    match reads.provider().await {
        Ok(answer) => {
            let mut findings = vec![registered(config, &answer, features)];
            findings.extend(features.and_then(|features| claimed(&answer, features)));
            findings
        }
        Err(Error::NotFound(_)) => {
            vec![Finding::bad(name, "this provider is not on chain", "run `stoa-provider init`")]
        }
        Err(error) => vec![Finding::bad(name, error.to_string(), "see the nodes above")],
    }
}

/// Whether the record promises tenants what the engines do not do. Nothing
/// where it does not.
fn claimed(answer: &QueryProviderResponse, features: &Features) -> Option<Finding> {
    let record = answer.provider.as_ref()?;
    let told = record.attributes.iter().filter(|told| told.value == features::TRUE);
    let own = told.map(|told| told.key.as_str()).filter(|key| features::KEYS.contains(key));
    let lies: Vec<&str> = own.filter(|key| !features.hold(key)).collect();
    (!lies.is_empty()).then(|| {
        Finding::bad(
            "engine's attributes",
            format!("the chain says {}, and not all engines do it", lies.join(", ")),
            "set the engines up for it (storage-quota: overlay2 on xfs with pquota; \
             user-namespaces: userns-remap; gvisor: workloads.runtime), or take it out of \
             [attributes] and run `stoa-provider init`",
        )
    })
}

fn registered(
    config: &Config,
    answer: &QueryProviderResponse,
    features: Option<&Features>,
) -> Finding {
    let (name, init) = ("registration", "run `stoa-provider init` to bring the record up to date");
    let record = answer.provider.clone().unwrap_or_default();
    if record.jailed {
        return Finding::bad(name, "this provider is jailed", "governance frees providers");
    }
    let root = Identity::load(&config.root_path());
    let own = root.map(|root| root.certificate().to_vec()).unwrap_or_default();
    if record.root_certificate != own && record.earlier_root != own {
        return Finding::bad(name, "the chain has another root certificate", init);
    }
    if record.host_uri != config.gateway.host_uri {
        let found = format!("the chain says {}", record.host_uri);
        return Finding::warning(name, found, init);
    }
    let told = record.attributes.iter().map(|a| (a.key.clone(), a.value.clone()));
    let told: BTreeMap<String, String> = told.collect();
    let right = features::attributes(config, features, &record.attributes);
    if told != right {
        let keys = told.keys().chain(right.keys()).filter(|key| told.get(*key) != right.get(*key));
        let keys: BTreeSet<&str> = keys.map(String::as_str).collect();
        let keys: Vec<&str> = keys.into_iter().collect();
        let found = format!("the chain has other attributes: {}", keys.join(", "));
        return Finding::warning(name, found, init);
    }
    let words = format!("stake {}, reputation {}", record.stake, answer.reputation);
    Finding::good(name, words)
}

async fn balance(config: &Config, reads: &LiveChain) -> Finding {
    let (name, denom) = ("balance", &config.pricing.denom);
    let coins = match reads.balances().await {
        Ok(coins) => coins,
        Err(error) => return Finding::bad(name, error.to_string(), "see the nodes above"),
    };
    let coin = coins.iter().find(|coin| coin.denom == *denom);
    let has = coin.and_then(|coin| coin.amount.parse::<u128>().ok()).unwrap_or(0);
    let words = format!("{has}{denom}");
    let low = config.low_balance().unwrap_or(0);
    match has {
        0 => Finding::bad(name, words, "send it some: bids take deposits and fees"),
        has if has < low => {
            Finding::warning(name, words, format!("send it some; money.low_balance is {low}"))
        }
        _ => Finding::good(name, words),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::tests_support::config;

    #[test]
    fn a_clock_behind_or_ahead_of_the_chain_is_told() {
        let verdict = |block, now| of_time("n", 5, block, now).verdict;
        assert_eq!(verdict(1_000, 1_005), Verdict::Good);
        assert_eq!(verdict(1_000, 969), Verdict::Bad, "this clock is behind");
        assert_eq!(verdict(1_000, 1_121), Verdict::Bad, "the chain stands, or this clock is ahead");
    }

    /// Nothing compared them.
    #[test]
    fn attributes_that_the_engines_do_not_keep_or_that_are_not_told_are_named() {
        use crate::runtime::Inventory;
        use crate::tests_support::machine;
        use stoa_client::proto::provider::v1::Provider;
        use stoa_client::proto::types::v1::Attribute;
        let mut config = config();
        config.data_dir = "/nonexistent".into();
        let answer = |keys: &[&str]| {
            let told =
                keys.iter().map(|key| Attribute { key: (*key).into(), value: "true".into() });
            let host_uri = config.gateway.host_uri.clone();
            let record = Provider { host_uri, attributes: told.collect(), ..Provider::default() };
            QueryProviderResponse { provider: Some(record), ..Default::default() }
        };
        let plain = Features::of(&[machine()]);
        let able = Features::of(&[Inventory { storage_quota: true, ..machine() }]);
        let registered = |keys: &[&str], features: Option<&Features>| {
            registered(&config, &answer(keys), features)
        };
        assert_eq!(registered(&[], Some(&plain)).verdict, Verdict::Good);
        let untold = registered(&[], Some(&able));
        assert_eq!(untold.verdict, Verdict::Warning);
        assert!(untold.found.ends_with(": storage-quota"), "{untold:?}");
        assert!(untold.remedy.contains("init"), "{untold:?}");
        assert_eq!(registered(&["storage-quota"], Some(&able)).verdict, Verdict::Good);
        assert_eq!(registered(&["storage-quota"], None).verdict, Verdict::Good, "nobody knows");
        let lie = claimed(&answer(&["gvisor", "storage-quota"]), &able).unwrap();
        assert_eq!(lie.verdict, Verdict::Bad);
        assert!(lie.found.contains("gvisor") && !lie.found.contains("quota"), "{lie:?}");
        assert!(lie.remedy.contains("workloads.runtime"), "{lie:?}");
        assert_eq!(claimed(&answer(&["storage-quota"]), &able), None);
    }

    #[tokio::test]
    async fn nodes_that_do_not_answer_are_each_told() {
        let mut config = config();
        config.chain.rpc = vec!["http://127.0.0.1:1".into()];
        config.chain.grpc = vec!["http://127.0.0.1:1".into()];
        let findings = look(&config, None, None).await;
        let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad);
        assert_eq!(bad.count(), 2, "{findings:?}");
    }
}
