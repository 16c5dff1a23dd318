//! Accounts.

use serde_json::json;

use crate::{context::Context, exit::Failure, json, out, text};

pub async fn account(context: &Context, address: Option<String>) -> Result<(), Failure> {
    let address = context.address_of(address.as_deref())?;
    let state = context.chain().await?.query().account(&address).await?;
    if context.is_json() {
        return out::print_json(&json!({
            "address": address,
            "account_number": state.number.to_string(),
            "sequence": state.sequence.to_string(),
        }));
    }
    out::print_lines(&format!(
        "address   {address}\nnumber    {}\nsequence  {}",
        state.number, state.sequence
    ));
    Ok(())
}

pub async fn balances(context: &Context, address: Option<String>) -> Result<(), Failure> {
    let address = context.address_of(address.as_deref())?;
    let coins = context.chain().await?.query().balances(&address).await?;
    if context.is_json() {
        return out::print_json(&json::coins(&coins));
    }
    if coins.is_empty() {
        out::note("nothing");
    }
    for coin in &coins {
        out::print_lines(&text::coin(coin));
    }
    Ok(())
}
