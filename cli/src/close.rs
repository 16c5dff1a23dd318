//! `stoa close`: ends a deployment and shows where the money went.

use std::collections::BTreeMap;

use clap::Args;
use prost::Message;
use serde_json::json;
use stoa_client::{
    ids::TextId,
    money::{parse_coin, Dec},
    query::LeaseFilter,
    rpc::IncludedTx,
    tx::{any, TxOptions, TxResult},
    Chain,
};
use stoa_proto::{
    cosmos::{base::v1beta1::Coin, tx::v1beta1::Tx},
    deployment::v1::{DeploymentState, MsgCloseDeployment, MsgCreateDeployment},
    market::v1::Lease,
    types::v1::DeploymentId,
};

use crate::{
    context::Context,
    deploy::{state::Stage, Tenant},
    exit::Failure,
    out,
    query::tables,
    text,
};

const CREATE: &str = "/stoa.deployment.v1.MsgCreateDeployment";

/// Arguments of `stoa close`.
#[derive(Debug, Args)]
pub struct CloseArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
}

/// Where the money of a deployment went, to the last unit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    denom: String,
    deposited: u128,
    /// By provider.
    paid: BTreeMap<String, u128>,
    /// By depositor.
    refunded: BTreeMap<String, u128>,
}

impl Account {
    /// What neither a provider nor a depositor got: the chain's take, what was
    /// forfeited, and fractions of units. None where it does not add up.
    fn pool(&self) -> Option<u128> {
        let paid: u128 = self.paid.values().sum();
        let refunded: u128 = self.refunded.values().sum();
        self.deposited.checked_sub(paid)?.checked_sub(refunded)
    }
}

/// Runs it. Closing twice shows the account again.
pub async fn run(context: &Context, args: CloseArgs) -> Result<(), Failure> {
    let id = context.deployment_id(&args.id)?;
    let tenant = Tenant::open(context).await?;
    let chain = &tenant.chain;
    let view = chain.query().deployment(&id).await?;
    let closed = view.deployment.as_ref().is_some_and(|d| d.state() == DeploymentState::Closed);
    if closed {
        out::step(&format!("deployment {} is closed already", id.dseq));
    } else {
        let message = MsgCloseDeployment { owner: id.owner.clone(), dseq: id.dseq };
        let key = tenant.signer()?;
        let options = TxOptions::default();
        let result = chain.execute(&key, vec![any(&message)], &options, |_, _| Ok(())).await?;
        context.tell_tx(&format!("deployment {} closed", id.dseq), &result);
    }
    let store = tenant.store();
    if let Some(mut state) = store.read(&id)? {
        state.stage = Stage::Closed;
        store.write(&state)?;
    }
    let filter = LeaseFilter { owner: id.owner.clone(), dseq: id.dseq, ..LeaseFilter::default() };
    let leases = chain.query().leases(&filter).await?;
    let account = account(chain, &id, &leases).await?;
    print(context, &id, &account, &leases)
}

/// From the chain's events and leases.
async fn account(chain: &Chain, id: &DeploymentId, leases: &[Lease]) -> Result<Account, Failure> {
    let mut account = Account::default();
    for lease in leases {
        let provider = lease.id.as_ref().map(|id| id.provider.clone()).unwrap_or_default();
        if let Some(coin) = &lease.withdrawn {
            *account.paid.entry(provider).or_default() += units(coin);
            account.denom = coin.denom.clone();
        }
    }
    let text = id.text();
    let search = |event: &str| format!("stoa.{event}.deployment='{text}'");
    // Creation's deposit is in its message; it is no event of its own.
    for tx in search_events(chain, &search("deployment.v1.EventDeploymentCreated")).await? {
        if let Some(coin) = first_deposit(&tx.bytes, id).filter(|_| tx.result.code == 0) {
            account.deposited += units(&coin);
            account.denom = coin.denom;
        }
    }
    let results = |txs: Vec<IncludedTx>| txs.into_iter().map(|t| t.result).collect::<Vec<_>>();
    let deposits = results(chain.rpc().tx_search(&search("escrow.v1.EventDeposited")).await?);
    let refunds = results(search_events(chain, &search("escrow.v1.EventRefunded")).await?);
    collect(&mut account, &text, &deposits, &refunds);
    Ok(account)
}

/// The deposit that a transaction created the deployment with.
fn first_deposit(bytes: &[u8], id: &DeploymentId) -> Option<Coin> {
    let body = Tx::decode(bytes).ok()?.body?;
    let created = body.messages.iter().filter(|m| m.type_url == CREATE);
    let mut created = created.filter_map(|m| MsgCreateDeployment::decode(&*m.value).ok());
    created.find(|m| m.owner == id.owner && m.dseq == id.dseq)?.deposit
}

async fn search_events(chain: &Chain, query: &str) -> Result<Vec<IncludedTx>, Failure> {
    // The index follows the block by a moment.
    for wait in [0, 200, 400, 800] {
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        let found = chain.rpc().tx_search(query).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(vec![])
}

fn collect(account: &mut Account, id: &str, deposits: &[TxResult], refunds: &[TxResult]) {
    let of = |list: &[TxResult], name: &str, who: &str| -> Vec<(String, Coin)> {
        list.iter()
            .filter(|tx| tx.code == 0)
            .flat_map(|tx| tx.events_named(name))
            .filter(|e| e.get("deployment") == Some(id))
            .filter_map(|e| Some((e.get(who)?.to_owned(), parse_coin(e.get("amount")?).ok()?)))
            .collect()
    };
    for (_, coin) in of(deposits, "EventDeposited", "depositor") {
        account.deposited += units(&coin);
        account.denom = coin.denom;
    }
    for (depositor, coin) in of(refunds, "EventRefunded", "depositor") {
        *account.refunded.entry(depositor).or_default() += units(&coin);
        account.denom = coin.denom;
    }
}

fn units(coin: &Coin) -> u128 {
    coin.amount.parse().unwrap_or(0)
}

fn print(
    context: &Context,
    id: &DeploymentId,
    account: &Account,
    leases: &[Lease],
) -> Result<(), Failure> {
    let coin = |n: u128| Coin { denom: account.denom.clone(), amount: n.to_string() };
    if context.is_json() {
        return out::print_json(&json!({
            "deployment": id.text(),
            "denom": account.denom,
            "deposited": account.deposited.to_string(),
            "paid": strings(&account.paid),
            "refunded": strings(&account.refunded),
            "community_pool": account.pool().map(|n| n.to_string()),
            "leases": crate::json::list(leases)?,
        }));
    }
    let mut lines = out::table(&["", "WHO", "AMOUNT"]);
    lines.add_row(["deposited".to_owned(), String::new(), text::coin(&coin(account.deposited))]);
    for (provider, n) in &account.paid {
        lines.add_row(["paid".to_owned(), provider.clone(), text::coin(&coin(*n))]);
    }
    if let Some(n) = account.pool() {
        let pool = "community pool (take, fractions)".to_owned();
        lines.add_row(["paid".to_owned(), pool, text::coin(&coin(n))]);
    }
    for (depositor, n) in &account.refunded {
        lines.add_row(["returned".to_owned(), depositor.clone(), text::coin(&coin(*n))]);
    }
    out::print_table(&lines);
    for lease in leases {
        print_lease(lease);
    }
    Ok(())
}

fn strings(map: &BTreeMap<String, u128>) -> BTreeMap<String, String> {
    map.iter().map(|(k, v)| (k.clone(), v.to_string())).collect()
}

/// What one lease came to, by its own rate and time.
fn print_lease(lease: &Lease) {
    let Some(id) = &lease.id else { return };
    if lease.started_at == 0 {
        let why = tables::close_reason(lease);
        out::print_lines(&format!("group {} at {}: never started ({why})", id.gseq, id.provider));
        return;
    }
    let served = lease.closed_at.saturating_sub(lease.started_at);
    let cost = text::dec(lease.cost_rate.as_ref()).checked_mul(served).unwrap_or(Dec::ZERO);
    let denom = lease.rate.as_ref().map(|r| r.denom.as_str()).unwrap_or_default();
    let rate = text::dec(lease.cost_rate.as_ref());
    out::print_lines(&format!(
        "group {} at {}: {served} s at {rate} {denom}/s = {cost} {denom}",
        id.gseq, id.provider
    ));
}

#[cfg(test)]
mod tests {
    use stoa_client::tx::Event;

    use super::*;

    fn tx(code: u32, events: Vec<(&str, [(&str, &str); 3])>) -> TxResult {
        let event = |(name, pairs): (&str, [(&str, &str); 3])| Event {
            kind: format!("stoa.escrow.v1.{name}"),
            attributes: pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        };
        TxResult {
            hash: String::new(),
            height: 1,
            code,
            codespace: String::new(),
            log: String::new(),
            gas_wanted: 0,
            gas_used: 0,
            events: events.into_iter().map(event).collect(),
            responses: vec![],
        }
    }

    #[test]
    fn the_account_adds_up_to_the_last_unit() {
        let deposit =
            |id, n| ("EventDeposited", [("deployment", id), ("depositor", "t"), ("amount", n)]);
        let refund =
            |n| ("EventRefunded", [("deployment", "o/1"), ("depositor", "t"), ("amount", n)]);
        let deposits = [
            tx(0, vec![deposit("o/1", "1000ustoa"), deposit("o/2", "7ustoa")]),
            tx(5, vec![deposit("o/1", "9999ustoa")]),
            tx(0, vec![deposit("o/1", "500ustoa")]),
        ];
        let refunds = [tx(0, vec![refund("1200ustoa")])];
        let mut account = Account { paid: [("p".to_owned(), 294)].into(), ..Account::default() };
        collect(&mut account, "o/1", &deposits, &refunds);
        assert_eq!(account.deposited, 1_500);
        assert_eq!(account.refunded["t"], 1_200);
        assert_eq!(account.pool(), Some(6));
        account.refunded.insert("u".into(), 100);
        assert_eq!(account.pool(), None);
    }
}
