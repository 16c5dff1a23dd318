//! Proposals, upgrades, grants.

use serde_json::{json, Value};
use stoa_proto::{
    cosmos::gov::v1::{Proposal, TallyResult},
    Any, Timestamp,
};

use super::word;
use crate::{context::Context, exit::Failure, json, out, text};

pub async fn proposals(context: &Context) -> Result<(), Failure> {
    let list = context.chain().await?.query().proposals().await?;
    if context.is_json() {
        let all = list.iter().map(with_messages).collect::<Result<Vec<_>, _>>()?;
        return out::print_json(&all);
    }
    let mut table = out::table(&["ID", "TITLE", "STATE", "ENDS"]);
    for p in &list {
        let ends = p.voting_end_time.or(p.deposit_end_time);
        table.add_row([p.id.to_string(), p.title.clone(), state(p), moment(ends)]);
    }
    out::print_table(&table);
    Ok(())
}

pub async fn proposal(context: &Context, id: u64) -> Result<(), Failure> {
    let chain = context.chain().await?;
    let p = chain.query().proposal(id).await?;
    let tally = chain.query().tally(id).await?;
    if context.is_json() {
        return out::print_json(&json!({
            "proposal": with_messages(&p)?,
            "tally": json::of(&tally)?,
        }));
    }
    let deposit: Vec<_> = p.total_deposit.iter().map(text::coin).collect();
    out::print_lines(&format!(
        "proposal  {}  {}\nstate     {}\nproposer  {}\ndeposit   {}\nvoting    until {}\n\
         votes     {}\n\n{}",
        p.id,
        p.title,
        state(&p),
        p.proposer,
        deposit.join(" "),
        moment(p.voting_end_time),
        votes(&tally),
        p.summary,
    ));
    if !p.failed_reason.is_empty() {
        out::print_lines(&format!("failed    {}", p.failed_reason));
    }
    for message in &p.messages {
        out::print_lines(&format!("  {}", any(message)?));
    }
    Ok(())
}

fn votes(tally: &TallyResult) -> String {
    format!(
        "yes {}  no {}  abstain {}  no with veto {}",
        text::grouped(&tally.yes_count),
        text::grouped(&tally.no_count),
        text::grouped(&tally.abstain_count),
        text::grouped(&tally.no_with_veto_count)
    )
}

fn state(p: &Proposal) -> String {
    word(p.status().as_str_name(), "PROPOSAL_STATUS").replace('_', " ")
}

fn moment(time: Option<Timestamp>) -> String {
    let seconds = time.and_then(|t| u64::try_from(t.seconds).ok()).unwrap_or_default();
    text::when(seconds, text::now())
}

/// A message of any type that is built in, with its `@type`.
fn any(message: &Any) -> Result<Value, Failure> {
    let name = message.type_url.trim_start_matches('/');
    let mut value = json::by_name(name, &message.value)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("@type".into(), message.type_url.clone().into());
    }
    Ok(value)
}

fn with_messages(p: &Proposal) -> Result<Value, Failure> {
    let messages = p.messages.iter().map(any).collect::<Result<Vec<_>, _>>()?;
    let mut value = json::of(&Proposal { messages: vec![], ..p.clone() })?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("messages".into(), messages.into());
    }
    Ok(value)
}

pub async fn upgrade(context: &Context) -> Result<(), Failure> {
    let plan = context.chain().await?.query().upgrade_plan().await?;
    if context.is_json() {
        return out::print_json(&plan.map_or(Value::Null, |plan| {
            json!({ "name": plan.name, "height": plan.height.to_string(), "info": plan.info })
        }));
    }
    match plan {
        None => out::print_lines("no upgrade is planned"),
        Some(plan) => out::print_lines(&format!(
            "upgrade  {}\nheight   {}\ninfo     {}",
            plan.name, plan.height, plan.info
        )),
    }
    Ok(())
}

pub async fn grants(context: &Context, whose: Option<String>) -> Result<(), Failure> {
    let account = context.address_of(whose.as_deref())?;
    let chain = context.chain().await?;
    let query = chain.query();
    let mut grants = query.grants_of(&account).await?;
    grants.extend(query.grants_to(&account).await?);
    let mut fees = query.allowances_of(&account).await?;
    fees.extend(query.allowances_to(&account).await?);
    let mut rows = vec![];
    for g in &grants {
        let what = g.authorization.as_ref().map(any).transpose()?;
        let ends = moment(g.expiration);
        rows.push((g.granter.clone(), g.grantee.clone(), what.unwrap_or_default(), ends));
    }
    for g in &fees {
        let what = g.allowance.as_ref().map(any).transpose()?;
        rows.push((g.granter.clone(), g.grantee.clone(), what.unwrap_or_default(), "-".into()));
    }
    if context.is_json() {
        let all: Vec<Value> = rows
            .into_iter()
            .map(|(granter, grantee, what, _)| {
                json!({ "granter": granter, "grantee": grantee, "grant": what })
            })
            .collect();
        return out::print_json(&all);
    }
    let mut table = out::table(&["GRANTER", "GRANTEE", "WHAT", "ENDS"]);
    for (granter, grantee, what, ends) in rows {
        table.add_row([granter, grantee, what.to_string(), ends]);
    }
    out::print_table(&table);
    Ok(())
}
