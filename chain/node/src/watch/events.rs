//! A block's events as the stream has them.

use prost::Name;
use stoa_proto::market::v1::{
    market_event::Event, EventBidClosed, EventBidPlaced, EventLeaseClosed, EventLeaseCreated,
    EventLeasePaid, EventLeaseReclaiming, EventLeaseStarted, EventOrderClosed, EventOrderOpened,
    MarketEvent,
};

use crate::comet::{BlockResults, EmittedEvent};

/// The market's events of a block in the order in which they happened: those of its
/// transactions, then those of its end (the market does nothing at a block's beginning).
pub fn of_block(results: &BlockResults) -> Vec<MarketEvent> {
    let done = results.txs_results.iter().flatten().filter(|tx| tx.code == 0);
    let of_txs = done.flat_map(|tx| tx.events.iter().flatten());
    let of_block = results.finalize_block_events.iter().flatten();
    of_txs.chain(of_block).filter_map(read).collect()
}

/// The event; none where it is not the market's.
fn read(emitted: &EmittedEvent) -> Option<MarketEvent> {
    macro_rules! known {
        ($($message:ident => $variant:ident { $($field:ident)* })*) => {
            $(if emitted.kind == $message::full_name() {
                let message = $message { $($field: emitted.value(stringify!($field)).to_owned()),* };
                return Some(MarketEvent { event: Some(Event::$variant(message)) });
            })*
        };
    }
    known! {
        EventOrderOpened => OrderOpened { order owner closes_at max_rate }
        EventOrderClosed => OrderClosed { order owner state reason }
        EventBidPlaced => BidPlaced { order provider rate }
        EventBidClosed => BidClosed { order provider state }
        EventLeaseCreated => LeaseCreated { lease owner provider rate }
        EventLeaseStarted => LeaseStarted { lease owner provider }
        EventLeaseReclaiming => LeaseReclaiming { lease owner provider ends_at }
        EventLeaseClosed => LeaseClosed { lease owner provider reason }
        EventLeasePaid => LeasePaid { lease owner provider amount }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    fn emitted(kind: String) -> EmittedEvent {
        let json = format!(r#"{{"type":"{kind}","attributes":[{{"key":"order","value":"x"}}]}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn every_event_that_the_market_declares_is_told_and_no_other() {
        let pool = DescriptorPool::decode(stoa_proto::FILE_DESCRIPTOR_SET).unwrap();
        let package = "stoa.market.v1";
        let declared: Vec<_> = pool
            .all_messages()
            .filter(|message| message.package_name() == package)
            .filter(|message| message.name().starts_with("Event"))
            .map(|message| message.full_name().to_owned())
            .collect();
        assert!(declared.len() >= 9, "{declared:?}");
        for kind in declared {
            assert!(read(&emitted(kind.clone())).is_some(), "{kind}");
        }
        for kind in ["transfer", "stoa.deployment.v1.EventDeploymentCreated"] {
            assert!(read(&emitted(kind.to_owned())).is_none(), "{kind}");
        }
    }

    #[test]
    fn events_come_in_order_and_those_of_failed_transactions_do_not() {
        let event = |kind: &str, order: &str| {
            format!(
                r#"{{"type":"stoa.market.v1.{kind}","attributes":[{{"key":"order","value":"{order}"}},
                {{"key":"msg_index","value":"0"}}]}}"#
            )
        };
        let json = format!(
            r#"{{"height":"5","txs_results":[{{"code":0,"events":[{},{}]}},
            {{"code":7,"events":[{}]}},{{"code":0,"events":null}}],
            "finalize_block_events":[{}],"validator_updates":null}}"#,
            event("EventOrderOpened", "1"),
            event("EventBidPlaced", "2"),
            event("EventBidPlaced", "3"),
            event("EventOrderClosed", "4"),
        );
        let found = of_block(&serde_json::from_str(&json).unwrap());
        let orders: Vec<_> = found
            .into_iter()
            .map(|event| match event.event.unwrap() {
                Event::OrderOpened(event) => event.order,
                Event::BidPlaced(event) => event.order,
                Event::OrderClosed(event) => event.order,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(orders, ["1", "2", "4"]);
        let empty = r#"{"height":"5","txs_results":null,"finalize_block_events":null}"#;
        assert!(of_block(&serde_json::from_str(empty).unwrap()).is_empty());
    }
}
