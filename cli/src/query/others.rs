//! Providers, parameters, pool, transactions, the node.

use serde_json::{json, Map, Value};
use stoa_proto::provider::v1::{Provider, QueryProviderResponse};

use crate::{context::Context, exit::Failure, json, out, text};

pub async fn provider(context: &Context, address: Option<String>) -> Result<(), Failure> {
    let address = context.address_of(address.as_deref())?;
    let answer = context.chain().await?.query().provider(&address).await?;
    if context.is_json() {
        return out::print_json(&json::of(&answer)?);
    }
    print_provider(&answer);
    Ok(())
}

/// A provider for people.
pub fn print_provider(answer: &QueryProviderResponse) {
    let p = answer.provider.clone().unwrap_or_default();
    let jailed = if p.jailed { "  JAILED" } else { "" };
    out::print_lines(&format!(
        "provider    {}{jailed}\ngateway     {}\nattributes  {}\nstake       {}\nreputation  {}\n\
         leases      {} live, {} open bids\nregistered  {}",
        p.owner,
        p.host_uri,
        attributes(&p),
        text::grouped(&p.stake),
        answer.reputation,
        p.live_leases,
        p.open_bids,
        text::when(p.created_at, text::now())
    ));
    for unbonding in &answer.unbondings {
        let at = text::when(unbonding.completes_at, text::now());
        out::print_lines(&format!("unbonding   {} {at}", text::grouped(&unbonding.amount)));
    }
}

fn attributes(p: &Provider) -> String {
    let all: Vec<String> = p.attributes.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
    if all.is_empty() {
        return "-".into();
    }
    all.join(" ")
}

pub async fn providers(context: &Context) -> Result<(), Failure> {
    let list = context.chain().await?.query().providers().await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    let mut table = out::table(&["PROVIDER", "GATEWAY", "STAKE", "LEASES", "ATTRIBUTES"]);
    for p in &list {
        table.add_row([
            p.owner.clone(),
            p.host_uri.clone(),
            text::grouped(&p.stake),
            p.live_leases.to_string(),
            attributes(p),
        ]);
    }
    out::print_table(&table);
    Ok(())
}

pub async fn audits(
    context: &Context,
    provider: &str,
    auditor: Option<String>,
) -> Result<(), Failure> {
    let provider = context.address_of(Some(provider))?;
    let auditor = auditor.map(|a| context.address_of(Some(&a))).transpose()?.unwrap_or_default();
    let list = context.chain().await?.query().audits(&provider, &auditor).await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    let mut table = out::table(&["AUDITOR", "ATTRIBUTES"]);
    for record in &list {
        let all: Vec<String> =
            record.attributes.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        table.add_row([record.auditor.clone(), all.join(" ")]);
    }
    out::print_table(&table);
    Ok(())
}

pub async fn params(context: &Context) -> Result<(), Failure> {
    let chain = context.chain().await?;
    let query = chain.query();
    let all = json!({
        "deployment": json::of(&query.deployment_params().await?)?,
        "market": json::of(&query.market_params().await?)?,
        "escrow": json::of(&query.escrow_params().await?)?,
        "provider": json::of(&query.provider_params().await?)?,
    });
    if context.is_json() {
        return out::print_json(&all);
    }
    for (module, values) in all.as_object().unwrap_or(&Map::new()) {
        let mut table = out::table(&[&module.to_uppercase(), ""]);
        for (name, value) in values.as_object().unwrap_or(&Map::new()) {
            let shown = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            table.add_row([name.clone(), shown]);
        }
        out::print_table(&table);
        out::print_lines("\n");
    }
    Ok(())
}

pub async fn pool(context: &Context) -> Result<(), Failure> {
    let pool = context.chain().await?.query().community_pool().await?;
    if context.is_json() {
        let list: Vec<Value> =
            pool.iter().map(|c| json!({ "denom": c.denom, "amount": c.amount })).collect();
        return out::print_json(&list);
    }
    for coin in &pool {
        out::print_lines(&text::dec_coin(Some(coin), 18));
    }
    Ok(())
}

pub async fn tx(context: &Context, hash: &str) -> Result<(), Failure> {
    let found = context.chain().await?.rpc().tx(hash).await?;
    let found = found.ok_or_else(|| {
        Failure::from(stoa_client::Error::NotFound(format!("transaction {hash} is in no block")))
    })?;
    crate::tx::print_result(context, &found.result)
}

pub async fn node(context: &Context) -> Result<(), Failure> {
    let status = context.chain().await?.rpc().status().await?;
    if context.is_json() {
        return out::print_json(&json!({
            "chain_id": status.chain_id,
            "moniker": status.moniker,
            "latest_height": status.latest_height.to_string(),
            "latest_time": status.latest_time.to_string(),
            "catching_up": status.catching_up,
        }));
    }
    out::print_lines(&format!(
        "chain   {}\nnode    {}\nheight  {} ({}){}",
        status.chain_id,
        status.moniker,
        status.latest_height,
        text::when(status.latest_time, text::now()),
        if status.catching_up { "\nstill catching up" } else { "" }
    ));
    Ok(())
}
