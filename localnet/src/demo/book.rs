//! The order book as it fills: who bids what for which order.

use std::{collections::BTreeMap, time::Duration};

use stoa_client::{
    money::Dec,
    query::{BidsOf, QueryClient},
};
use stoa_proto::market::v1::{Bid, BidState, Order, OrderState};
use tokio::{sync::watch, task::JoinHandle};

/// How often the book is looked at.
const PERIOD: Duration = Duration::from_millis(400);

/// An order and its bids, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The order.
    pub order: Order,
    /// Its bids when they were last seen.
    pub bids: Vec<Bid>,
}

/// Orders by group and number.
pub type Book = BTreeMap<(u32, u32), Entry>;

/// Looks at a tenant's orders for as long as it lives. Bids leave the state with their order's
/// match, so that who wants to show them has to look before.
#[derive(Debug)]
pub struct Watcher {
    book: watch::Receiver<Book>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Begins to look.
    pub fn start(query: QueryClient, tenant: String) -> Self {
        let (sender, book) = watch::channel(Book::new());
        let task = tokio::spawn(async move {
            loop {
                let seen = look(&query, &tenant).await;
                sender.send_modify(|book| merge(book, seen));
                tokio::time::sleep(PERIOD).await;
            }
        });
        Self { book, task }
    }

    /// Ends it; the book as it was when each order was last open.
    pub fn finish(self) -> Book {
        self.task.abort();
        self.book.borrow().clone()
    }
}

/// The open orders of a tenant with their bids; what cannot be asked is left out.
async fn look(query: &QueryClient, tenant: &str) -> Vec<Entry> {
    let orders = query.orders(tenant, 0, OrderState::Open).await.unwrap_or_default();
    let mut seen = Vec::new();
    for order in orders {
        let Some(id) = order.id.clone() else { continue };
        let bids = query.bids(&BidsOf::Order(id), BidState::Open).await.unwrap_or_default();
        seen.push(Entry { order, bids });
    }
    seen
}

fn merge(book: &mut Book, seen: Vec<Entry>) {
    for entry in seen {
        let Some(id) = &entry.order.id else { continue };
        let known = book.entry((id.gseq, id.oseq)).or_insert_with(|| entry.clone());
        // At the match the bids are gone a moment before the order is seen closed.
        if entry.bids.len() >= known.bids.len() {
            *known = entry;
        }
    }
}

/// The book as a table; providers by the names that `name_of` gives them.
pub fn table(book: &Book, name_of: impl Fn(&str) -> String) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["ORDER", "PROVIDER", "USTOA A SECOND", ""]);
    for entry in book.values() {
        let name = entry.order.spec.as_ref().map(|spec| spec.name.clone()).unwrap_or_default();
        let most = rate(entry.order.max_rate.as_ref().map(|coin| coin.amount.as_str()));
        table.add_row([name, String::new(), most, "at most".to_owned()]);
        for (place, bid) in entry.bids.iter().enumerate() {
            let provider = bid.id.as_ref().map(|id| name_of(&id.provider)).unwrap_or_default();
            let rate = rate(bid.rate.as_ref().map(|coin| coin.amount.as_str()));
            let mark = if place == 0 { "wins" } else { "" };
            table.add_row([String::new(), provider, rate, mark.to_owned()]);
        }
    }
    let lines = table.to_string();
    lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn rate(amount: Option<&str>) -> String {
    let dec = amount.and_then(|amount| Dec::from_proto(amount).ok());
    dec.map_or_else(|| "?".to_owned(), |dec| dec.short(6))
}
