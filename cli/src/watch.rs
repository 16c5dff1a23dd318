//! `stoa market watch`: the market as it happens.

use clap::Subcommand;
use serde_json::json;
use stoa_client::{
    rpc::{BlockItem, Blocks, BlocksOptions},
    tx::Event,
};
use stoa_proto::market::v1::OrderState;

use crate::{context::Context, events, exit::Failure, out, query::tables};

/// The market.
#[derive(Debug, Subcommand)]
pub enum MarketCommand {
    /// Follow orders, bids, matches and leases
    Watch {
        /// Begin at this height [default: now]
        #[arg(long, value_name = "HEIGHT")]
        from_height: Option<u64>,
        /// Only what names this address or id
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// End at this height
        #[arg(long, value_name = "HEIGHT")]
        until: Option<u64>,
    },
}

/// Runs it.
pub async fn run(context: &Context, command: MarketCommand) -> Result<(), Failure> {
    let MarketCommand::Watch { from_height, only, until } = command;
    let chain = context.chain().await?;
    if from_height.is_none() && !context.is_json() {
        let open = chain.query().orders("", 0, OrderState::Open).await?;
        out::print_table(&tables::orders(&open));
    }
    let options = BlocksOptions { from: from_height, ..BlocksOptions::default() };
    let mut blocks = Blocks::follow(chain.rpc(), options);
    while let Some(item) = blocks.next().await {
        let block = match item {
            BlockItem::Block(block) => block,
            BlockItem::Gap { from, to } => {
                out::note(&format!("the node has pruned blocks {from} to {to}"));
                continue;
            }
        };
        for event in block.events.iter().filter(|e| is_wanted(e, only.as_deref())) {
            if context.is_json() {
                let attributes: serde_json::Map<_, _> =
                    event.attributes.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
                out::print_json_line(&json!({
                    "height": block.height.to_string(),
                    "time": block.time.to_string(),
                    "type": event.kind,
                    "attributes": attributes,
                }))?;
            } else {
                out::print_lines(&format!("{:>8}  {}", block.height, events::line(event)));
            }
        }
        if until.is_some_and(|until| block.height >= until) {
            return Ok(());
        }
    }
    Err(Failure::new("following ended"))
}

fn is_wanted(event: &Event, only: Option<&str>) -> bool {
    event.kind.starts_with("stoa.")
        && only.is_none_or(|text| event.attributes.iter().any(|(_, v)| v.contains(text)))
}
