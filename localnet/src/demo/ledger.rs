//! Who paid what to whom, to the last unit: from the chain's balances and fees alone.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use serde_json::{json, Value};
use stoa_client::{
    money::{parse_coins, Dec},
    Chain,
};

/// 10^-18 units in a unit.
pub const ATOMS: i128 = 1_000_000_000_000_000_000;

/// The denom that is looked at.
const DENOM: &str = "ustoa";

/// What accounts and the community pool held at a height, in 10^-18 units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    height: u64,
    accounts: BTreeMap<String, i128>,
    pool: i128,
}

/// What changed between two heights, in 10^-18 units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By account: what came (or went, if negative) besides fees.
    pub moved: BTreeMap<String, i128>,
    /// By account: fees paid.
    pub fees: BTreeMap<String, i128>,
    /// What the community pool got.
    pub pool: i128,
}

impl Holdings {
    /// What these accounts hold, all as of one height.
    ///
    /// # Errors
    /// If the chain does not answer.
    pub async fn now(chain: &Chain, accounts: &[String]) -> Result<Self> {
        // Queries answer as of the last commit: read again where a block came between.
        loop {
            let height = last_commit(chain).await?;
            let holdings = Self::read(chain, accounts, height).await?;
            if last_commit(chain).await? == height {
                return Ok(holdings);
            }
        }
    }

    async fn read(chain: &Chain, accounts: &[String], height: u64) -> Result<Self> {
        let query = chain.query();
        let mut held = BTreeMap::new();
        for account in accounts {
            let coins = query.balances(account).await?;
            let units = coins.iter().find(|coin| coin.denom == DENOM);
            let units: i128 = units.map_or(Ok(0), |coin| coin.amount.parse())?;
            held.insert(account.clone(), units * ATOMS);
        }
        let pool = query.community_pool().await?;
        let pool = pool.iter().find(|coin| coin.denom == DENOM);
        let pool = pool.map_or(Ok(0), |coin| atoms(&coin.amount))?;
        Ok(Self { height, accounts: held, pool })
    }

    /// What happened since.
    ///
    /// # Errors
    /// If the chain does not answer.
    pub async fn changes_until(&self, chain: &Chain, later: &Self) -> Result<Changes> {
        let mut changes = Changes { pool: later.pool - self.pool, ..Changes::default() };
        for height in self.height + 1..=later.height {
            for (payer, fee) in fees_of(chain, height).await? {
                *changes.fees.entry(payer).or_default() += fee;
            }
        }
        for (account, after) in &later.accounts {
            let before = self.accounts.get(account).copied().unwrap_or_default();
            let fee = changes.fees.get(account).copied().unwrap_or_default();
            changes.moved.insert(account.clone(), after - before + fee);
        }
        Ok(changes)
    }
}

/// The height that the node's state machine has committed.
async fn last_commit(chain: &Chain) -> Result<u64> {
    let info: Value = chain.rpc().call("abci_info", json!({})).await?;
    let height = info["response"]["last_block_height"].as_str();
    height.context("abci_info names no height")?.parse().context("abci_info's height")
}

impl Changes {
    /// Whether nothing came from nowhere and nothing went nowhere: what moved between the
    /// accounts and the pool sums to nothing, and nobody else paid a fee.
    ///
    /// # Errors
    /// What is missing or too much.
    pub fn check(&self) -> Result<()> {
        let sum = self.moved.values().sum::<i128>() + self.pool;
        ensure!(sum == 0, "the payments do not sum to zero: {} {DENOM} are left", show(sum));
        let strangers = self.fees.keys().filter(|payer| !self.moved.contains_key(*payer));
        let strangers: Vec<_> = strangers.cloned().collect();
        ensure!(strangers.is_empty(), "fees of others: {}", strangers.join(", "));
        Ok(())
    }

    /// All fees.
    pub fn all_fees(&self) -> i128 {
        self.fees.values().sum()
    }
}

/// Units with their fraction, as short as it is exact.
pub fn show(atoms: i128) -> String {
    let (whole, fraction) =
        (atoms.unsigned_abs() / ATOMS as u128, atoms.unsigned_abs() % ATOMS as u128);
    let sign = if atoms < 0 { "-" } else { "" };
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let fraction = format!("{fraction:018}");
    format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

fn atoms(text: &str) -> Result<i128> {
    let atoms = Dec::from_proto(text).with_context(|| format!("amount {text:?}"))?.atoms();
    i128::try_from(atoms).context("an amount over what may exist")
}

/// The fees that a block's transactions paid, those of failed ones as well.
async fn fees_of(chain: &Chain, height: u64) -> Result<Vec<(String, i128)>> {
    let params = json!({ "height": height.to_string() });
    let results: Value = chain.rpc().call("block_results", params).await?;
    fees_in(&results)
}

fn fees_in(results: &Value) -> Result<Vec<(String, i128)>> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut fees = Vec::new();
    for result in list(results.get("txs_results")) {
        for event in list(result.get("events")) {
            if event.get("type").and_then(Value::as_str) != Some("tx") {
                continue;
            }
            let attributes = list(event.get("attributes"));
            let get = |key: &str| {
                let found = attributes.iter().find(|a| a.get("key").is_some_and(|k| k == key))?;
                found.get("value")?.as_str().map(str::to_owned)
            };
            let (Some(fee), Some(payer)) = (get("fee"), get("fee_payer")) else { continue };
            for coin in parse_coins(&fee)?.into_iter().filter(|coin| coin.denom == DENOM) {
                fees.push((payer.clone(), coin.amount.parse::<i128>()? * ATOMS));
            }
        }
    }
    Ok(fees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_exactly() {
        assert_eq!(show(0), "0");
        assert_eq!(show(-5 * ATOMS), "-5");
        assert_eq!(show(ATOMS / 2), "0.5");
        assert_eq!(show(-1), "-0.000000000000000001");
    }

    #[test]
    fn a_block_tells_who_paid_which_fee() {
        let event = |fee: &str| {
            json!({ "type": "tx", "attributes": [
                { "key": "fee", "value": fee }, { "key": "fee_payer", "value": "a" } ] })
        };
        let other = json!({ "type": "coin_spent", "attributes": [] });
        let results = json!({ "txs_results": [
            { "code": 0, "events": [other, event("5ustoa")] },
            { "code": 5, "events": [event("7ustoa,9uusd")] },
            { "code": 0 },
        ] });
        let fees = fees_in(&results).unwrap();
        assert_eq!(fees, [("a".to_owned(), 5 * ATOMS), ("a".to_owned(), 7 * ATOMS)]);
        assert!(fees_in(&json!({ "txs_results": null })).unwrap().is_empty());
    }

    #[test]
    fn what_does_not_sum_up_is_noticed() {
        let moved = |tenant: i128, provider: i128| {
            [("t".to_owned(), tenant), ("p".to_owned(), provider)].into_iter().collect()
        };
        let mut changes = Changes { moved: moved(-10, 7), pool: 3, ..Changes::default() };
        changes.check().unwrap();
        changes.fees.insert("stranger".to_owned(), 1);
        assert!(changes.check().unwrap_err().to_string().contains("stranger"));
        let wrong = Changes { moved: moved(-10, 8), pool: 3, ..Changes::default() };
        assert!(wrong.check().unwrap_err().to_string().contains("0.000000000000000001"));
    }
}
