//! Orders, bids, leases, counters.

use stoa_client::query::{BidsOf, LeaseFilter};
use stoa_proto::{
    market::v1::{BidState, LeaseState, OrderState},
    types::v1::{BidId, OrderId},
};

use super::{state, tables};
use crate::{context::Context, exit::Failure, json, out, text};

pub async fn order(context: &Context, id: &OrderId) -> Result<(), Failure> {
    let order = context.chain().await?.query().order(id).await?;
    if context.is_json() {
        return out::print_json(&json::of(&order)?);
    }
    out::print_table(&tables::orders(std::slice::from_ref(&order)));
    if !order.unmatched_reason.is_empty() {
        out::print_lines(&format!("unmatched: {}", order.unmatched_reason));
    }
    Ok(())
}

pub async fn orders(
    context: &Context,
    owner: Option<String>,
    dseq: Option<u64>,
    wanted: Option<String>,
) -> Result<(), Failure> {
    let owner = optional(context, owner)?;
    let wanted = state(wanted, "ORDER_STATE", OrderState::from_str_name, OrderState::Unspecified)?;
    let list = context.chain().await?.query().orders(&owner, dseq.unwrap_or(0), wanted).await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    out::print_table(&tables::orders(&list));
    Ok(())
}

pub async fn bid(context: &Context, id: &BidId) -> Result<(), Failure> {
    let bid = context.chain().await?.query().bid(id).await?;
    if context.is_json() {
        return out::print_json(&json::of(&bid)?);
    }
    out::print_table(&tables::bids(std::slice::from_ref(&bid)));
    Ok(())
}

pub async fn bids(
    context: &Context,
    order: Option<OrderId>,
    provider: Option<String>,
    wanted: Option<String>,
) -> Result<(), Failure> {
    let wanted = state(wanted, "BID_STATE", BidState::from_str_name, BidState::Unspecified)?;
    let of = match order {
        Some(order) => BidsOf::Order(order),
        None => BidsOf::Provider(context.address_of(provider.as_deref())?),
    };
    let list = context.chain().await?.query().bids(&of, wanted).await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    out::print_table(&tables::bids(&list));
    Ok(())
}

pub async fn lease(context: &Context, id: &BidId) -> Result<(), Failure> {
    let lease = context.chain().await?.query().lease(id).await?;
    if context.is_json() {
        return out::print_json(&json::of(&lease)?);
    }
    out::print_table(&tables::leases(std::slice::from_ref(&lease)));
    out::print_lines(&format!("accrued  {}", text::dec_coin(lease.accrued.as_ref(), 6)));
    Ok(())
}

/// What leases are asked for.
pub struct LeaseArgs {
    pub owner: Option<String>,
    pub dseq: Option<u64>,
    pub provider: Option<String>,
    pub state: Option<String>,
    pub live: bool,
}

pub async fn leases(context: &Context, args: LeaseArgs) -> Result<(), Failure> {
    let wanted =
        state(args.state, "LEASE_STATE", LeaseState::from_str_name, LeaseState::Unspecified)?;
    let filter = LeaseFilter {
        owner: optional(context, args.owner)?,
        dseq: args.dseq.unwrap_or(0),
        provider: optional(context, args.provider)?,
        state: Some(wanted),
        live: args.live,
    };
    let list = context.chain().await?.query().leases(&filter).await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    out::print_table(&tables::leases(&list));
    Ok(())
}

pub async fn counters(
    context: &Context,
    address: Option<String>,
    provider: bool,
) -> Result<(), Failure> {
    let address = context.address_of(address.as_deref())?;
    let c = context.chain().await?.query().counters(&address, provider).await?;
    if context.is_json() {
        return out::print_json(&json::of(&c)?);
    }
    out::print_lines(&format!(
        "address             {}\nleases won          {}\nleases started      {}\n\
         leases not started  {}\nclosed by tenant    {}\nclosed by provider  {}\n\
         closed otherwise    {}\ntime served         {}\namounts             {}",
        c.address,
        c.leases_won,
        c.leases_started,
        c.leases_not_started,
        c.closed_by_tenant,
        c.closed_by_provider,
        c.closed_otherwise,
        text::seconds(c.seconds_served),
        text::coins(&c.amounts)
    ));
    Ok(())
}

fn optional(context: &Context, name: Option<String>) -> Result<String, Failure> {
    let found = name.map(|n| context.address_of(Some(&n))).transpose()?;
    Ok(found.unwrap_or_default())
}
