//! Validators, delegations, rewards.

use serde_json::json;
use stoa_client::money::Dec;
use stoa_proto::cosmos::staking::v1beta1::{BondStatus, Validator};

use crate::{context::Context, exit::Failure, json, out, text, tx::validator_of};

pub async fn validators(context: &Context) -> Result<(), Failure> {
    let mut list = context.chain().await?.query().validators().await?;
    list.sort_by_key(|v| std::cmp::Reverse(v.tokens.parse::<u128>().unwrap_or_default()));
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    let mut table = out::table(&["MONIKER", "OPERATOR", "STATE", "TOKENS", "COMMISSION"]);
    for v in &list {
        table.add_row([
            moniker(v),
            v.operator_address.clone(),
            state(v),
            text::grouped(&v.tokens),
            commission(v),
        ]);
    }
    out::print_table(&table);
    Ok(())
}

pub async fn validator(context: &Context, which: Option<String>) -> Result<(), Failure> {
    let operator = match which {
        Some(text) => validator_of(context, &text)?,
        None => validator_of(context, &context.address()?)?,
    };
    let chain = context.chain().await?;
    let v = chain.query().validator(&operator).await?;
    let earned = chain.query().commission(&operator).await?;
    if context.is_json() {
        return out::print_json(&json::of(&v)?);
    }
    let description = v.description.clone().unwrap_or_default();
    out::print_lines(&format!(
        "validator   {}\noperator    {}\nstate       {}\ntokens      {}\ncommission  {}\n\
         website     {}\ndetails     {}",
        moniker(&v),
        v.operator_address,
        state(&v),
        text::grouped(&v.tokens),
        commission(&v),
        description.website,
        description.details,
    ));
    for coin in &earned {
        out::print_lines(&format!("commission to withdraw  {}", text::dec_coin(Some(coin), 6)));
    }
    Ok(())
}

fn moniker(v: &Validator) -> String {
    v.description.clone().unwrap_or_default().moniker
}

fn state(v: &Validator) -> String {
    let jailed = if v.jailed { " JAILED" } else { "" };
    let status = match v.status() {
        BondStatus::Bonded => "bonded",
        BondStatus::Unbonding => "unbonding",
        BondStatus::Unbonded => "unbonded",
        BondStatus::Unspecified => "-",
    };
    format!("{status}{jailed}")
}

fn commission(v: &Validator) -> String {
    let rates = v.commission.clone().unwrap_or_default().commission_rates.unwrap_or_default();
    Dec::from_proto(&rates.rate).map_or("-".into(), percent)
}

/// `12.5%`.
fn percent(part: Dec) -> String {
    format!("{}%", Dec::from_atoms(part.atoms().saturating_mul(100)))
}

pub async fn delegations(context: &Context, whose: Option<String>) -> Result<(), Failure> {
    let delegator = context.address_of(whose.as_deref())?;
    let chain = context.chain().await?;
    let query = chain.query();
    let (held, leaving) =
        (query.delegations(&delegator).await?, query.unbondings(&delegator).await?);
    let moved = query.redelegations(&delegator).await?;
    if context.is_json() {
        return out::print_json(&json!({
            "delegations": json::list(&held)?,
            "unbondings": json::list(&leaving)?,
            "redelegations": json::list(&moved)?,
        }));
    }
    let mut table = out::table(&["VALIDATOR", "AMOUNT", "STATE"]);
    for one in &held {
        let of = one.delegation.clone().unwrap_or_default();
        let amount = one.balance.as_ref().map(text::coin).unwrap_or_default();
        table.add_row([of.validator_address, amount, "delegated".into()]);
    }
    for one in &leaving {
        for entry in &one.entries {
            let done = entry.completion_time.map_or(0, |t| u64::try_from(t.seconds).unwrap_or(0));
            table.add_row([
                one.validator_address.clone(),
                text::grouped(&entry.balance),
                format!(
                    "unbonding since block {}, back {}",
                    entry.creation_height,
                    text::when(done, text::now())
                ),
            ]);
        }
    }
    out::print_table(&table);
    Ok(())
}

pub async fn rewards(context: &Context, whose: Option<String>) -> Result<(), Failure> {
    let delegator = context.address_of(whose.as_deref())?;
    let answer = context.chain().await?.query().rewards(&delegator).await?;
    if context.is_json() {
        return out::print_json(&json::of(&answer)?);
    }
    let mut table = out::table(&["VALIDATOR", "EARNED"]);
    for one in &answer.rewards {
        let coins: Vec<_> = one.reward.iter().map(|c| text::dec_coin(Some(c), 6)).collect();
        table.add_row([one.validator_address.clone(), coins.join(" ")]);
    }
    out::print_table(&table);
    Ok(())
}

pub async fn staking(context: &Context) -> Result<(), Failure> {
    let chain = context.chain().await?;
    let query = chain.query();
    let (pool, inflation) = (query.staking_pool().await?, query.inflation().await?);
    if context.is_json() {
        return out::print_json(&json!({
            "pool": json::of(&pool)?,
            "inflation": Dec::from_proto(&inflation).map(|d| d.to_string()).unwrap_or_default(),
        }));
    }
    out::print_lines(&format!(
        "bonded      {}\nnot bonded  {}\ninflation   {} a year",
        text::grouped(&pool.bonded_tokens),
        text::grouped(&pool.not_bonded_tokens),
        Dec::from_proto(&inflation).map_or("-".into(), percent),
    ));
    Ok(())
}

pub async fn signing(context: &Context) -> Result<(), Failure> {
    let list = context.chain().await?.query().signing_infos().await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    let mut table = out::table(&["CONSENSUS ADDRESS", "MISSED", "JAILED UNTIL"]);
    for info in &list {
        let until = info.jailed_until.map_or(0, |t| u64::try_from(t.seconds).unwrap_or(0));
        let jailed = match info.tombstoned {
            true => "for ever: it signed two blocks of one height".into(),
            false => text::when(until, text::now()),
        };
        table.add_row([info.address.clone(), info.missed_blocks_counter.to_string(), jailed]);
    }
    out::print_table(&table);
    Ok(())
}
