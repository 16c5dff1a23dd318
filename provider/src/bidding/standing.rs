//! Bids that may still become leases. They follow from the chain and the
//! journal of intents, and each has an end, so that none leaks.

use std::collections::BTreeSet;

use stoa_client::ids::{order_of, TextId};
use stoa_client::proto::market::v1::{Bid, Order};

use super::intents::{Intent, Intents};
use crate::chain::View;

/// A bid's room is kept so many seconds past its order's closing, for the
/// lease to be seen.
const RESERVED_AFTER_CLOSING: u64 = 15;

/// Those of the journal's that are no lease yet, and may be one.
pub(super) fn may_win<'a>(
    view: &'a View,
    intents: &'a Intents,
) -> impl Iterator<Item = &'a Intent> + 'a {
    let leased: BTreeSet<String> =
        view.leases.values().map(|lease| order_of(&lease.id).text()).collect();
    let may_win = move |(order, intent): &(&String, &Intent)| {
        let waits = intent.holds_room()
            && view.time < intent.closes_at.saturating_add(RESERVED_AFTER_CLOSING);
        let lost = view.time >= intent.closes_at && !view.bids.contains_key(*order);
        waits && !lost && !leased.contains(*order)
    };
    intents.iter().filter(may_win).map(|(_, intent)| intent)
}

/// Bids on open orders of which the journal knows nothing: it was lost.
pub(super) fn unknown<'a>(
    view: &'a View,
    intents: &'a Intents,
) -> impl Iterator<Item = (&'a Order, &'a Bid)> + 'a {
    view.orders.iter().filter_map(|order| {
        let name = order.id.as_ref()?.text();
        let bid = view.bids.get(&name).filter(|_| intents.get(&name).is_none())?;
        Some((order, bid))
    })
}
