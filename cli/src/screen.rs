//! `stoa provider screen`: what providers say of an order.

use std::time::Duration;

use clap::Args;
use futures::{stream, StreamExt};
use serde::Serialize;
use stoa_client::{
    gateway::{connect, error_of},
    ids::TextId,
    money::show_dec_coin,
    tls::Identity,
};
use stoa_proto::{
    gateway::v1::{ScreenRequest, ScreenResponse},
    provider::v1::Provider,
    types::v1::OrderId,
};

use crate::{context::Context, deploy::Tenant, exit::Failure, out};

/// Providers asked at a time.
const AT_ONCE: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `stoa provider screen`.
#[derive(Clone, Debug, Args)]
pub struct ScreenArgs {
    /// OWNER/DSEQ/GSEQ/OSEQ
    #[arg(value_name = "ORDER", value_parser = crate::tx::order)]
    pub order: OrderId,
    /// Only this one, by address or key name; default: all
    #[arg(long)]
    pub provider: Option<String>,
}

/// One provider's answer.
#[derive(Debug, Serialize)]
struct Row {
    provider: String,
    host_uri: String,
    /// None: it could not be asked.
    eligible: Option<bool>,
    has_bid: bool,
    /// Per second.
    price: Option<String>,
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Runs it.
pub async fn run(context: &Context, args: ScreenArgs) -> Result<(), Failure> {
    let tenant = Tenant::open(context).await?;
    let identity = tenant.identity().await?;
    let query = tenant.chain.query();
    let providers = match &args.provider {
        Some(name) => {
            let address = context.address_of(Some(name))?;
            query.provider(&address).await?.provider.into_iter().collect()
        }
        None => query.providers().await?,
    };
    let asked = providers.into_iter().map(|provider| ask(provider, &args.order, &identity));
    let mut rows: Vec<Row> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    rows.sort_by(|a, b| a.provider.cmp(&b.provider));
    if context.is_json() {
        return out::print_json(
            &serde_json::json!({ "order": args.order.text(), "providers": rows }),
        );
    }
    if rows.is_empty() {
        out::note("no provider is registered");
    }
    let mut table = out::table(&["PROVIDER", "BIDS", "PRICE A SECOND", "REASONS"]);
    for row in &rows {
        table.add_row([
            &row.provider,
            verdict(row),
            row.price.as_deref().unwrap_or("-"),
            &why(row),
        ]);
    }
    out::print_table(&table);
    Ok(())
}

fn verdict(row: &Row) -> &'static str {
    match (row.eligible, row.has_bid) {
        (None, _) => "?",
        (Some(true), true) => "has bid",
        (Some(true), false) => "yes",
        (Some(false), _) => "no",
    }
}

fn why(row: &Row) -> String {
    match &row.error {
        Some(error) => error.clone(),
        None => row.reasons.join("; "),
    }
}

async fn ask(provider: Provider, order: &OrderId, identity: &Identity) -> Row {
    let answer = tokio::time::timeout(PATIENCE, screen(&provider, order, identity)).await;
    let answer = match answer {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    row(provider, answer)
}

fn row(provider: Provider, answer: Result<ScreenResponse, String>) -> Row {
    let (provider, host_uri) = (provider.owner, provider.host_uri);
    match answer {
        Ok(answer) => Row {
            provider,
            host_uri,
            eligible: Some(answer.eligible),
            has_bid: answer.has_bid,
            price: answer.price.as_ref().map(show_dec_coin),
            reasons: answer.reasons,
            error: None,
        },
        Err(error) => Row {
            provider,
            host_uri,
            eligible: None,
            has_bid: false,
            price: None,
            reasons: vec![],
            error: Some(error),
        },
    }
}

async fn screen(
    provider: &Provider,
    order: &OrderId,
    identity: &Identity,
) -> Result<ScreenResponse, stoa_client::Error> {
    let mut client = connect(provider, Some(identity)).await?;
    let request = ScreenRequest { order: Some(order.clone()) };
    client.screen(request).await.map(tonic::Response::into_inner).map_err(|s| error_of(&s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_yes_no_or_that_nobody_answered() {
        let provider = || Provider { owner: "p".into(), ..Provider::default() };
        let no = ScreenResponse { reasons: vec!["a".into(), "b".into()], ..Default::default() };
        let no = row(provider(), Ok(no));
        assert_eq!((verdict(&no), why(&no).as_str()), ("no", "a; b"));
        let yes = ScreenResponse { eligible: true, ..ScreenResponse::default() };
        assert_eq!(verdict(&row(provider(), Ok(yes.clone()))), "yes");
        assert_eq!(
            verdict(&row(provider(), Ok(ScreenResponse { has_bid: true, ..yes }))),
            "has bid"
        );
        let lost = row(provider(), Err("cut".into()));
        assert_eq!((verdict(&lost), why(&lost).as_str()), ("?", "cut"));
    }
}
