//! Progress on stderr: redrawn where it is a terminal, lines where it is not.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use comfy_table::{presets, Table};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stoa_client::ids::TextId;
use stoa_proto::market::v1::{Order, OrderState};

use super::book::{rate_of, Look};
use crate::{out, text};

/// The book while bids come in.
pub struct BookView {
    live: Option<ProgressBar>,
    /// What was said last of each order.
    said: BTreeMap<String, String>,
}

impl Default for BookView {
    fn default() -> Self {
        Self::new()
    }
}

impl BookView {
    pub fn new() -> Self {
        let live = out::is_live().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(template("{msg}"));
            bar
        });
        Self { live, said: BTreeMap::new() }
    }

    /// Shows one look at the book.
    pub fn show(&mut self, look: &Look) {
        match &self.live {
            Some(bar) => bar.set_message(book_table(look)),
            None => self.say_changes(look),
        }
    }

    /// Leaves the last table standing.
    pub fn finish(&mut self) {
        if let Some(bar) = self.live.take() {
            bar.abandon();
        }
    }

    fn say_changes(&mut self, look: &Look) {
        for order in &look.orders {
            let Some(id) = &order.id else { continue };
            let line = book_line(look, order);
            let known = self.said.insert(id.text(), line.clone());
            if known.as_ref() != Some(&line) {
                let left = match order.state() {
                    OrderState::Open => format!(", {}", countdown(order)),
                    _ => String::new(),
                };
                out::doing(&format!("{line}{left}"));
            }
        }
    }
}

/// What changes about an order, without the time.
fn book_line(look: &Look, order: &Order) -> String {
    let name = order.spec.as_ref().map(|s| s.name.as_str()).unwrap_or_default();
    let state = crate::query::tables::order_state(order);
    if order.state() != OrderState::Open {
        return format!("order of group {name}: {state}");
    }
    let bids = order.id.as_ref().and_then(|id| look.bids.get(&id.text()));
    match bids.map(Vec::as_slice).unwrap_or_default() {
        [] => format!("order of group {name}: no bid yet"),
        [best, rest @ ..] => {
            let provider = best.id.as_ref().map(|id| text::short(&id.provider));
            let bids = match rest.len() {
                0 => "1 bid".to_owned(),
                more => format!("{} bids", more + 1),
            };
            format!(
                "order of group {name}: {bids}, best {} by {}",
                rate_of(best),
                provider.unwrap_or_default()
            )
        }
    }
}

fn countdown(order: &Order) -> String {
    let now = text::now();
    match (order.closes_at.saturating_sub(now), order.match_at.saturating_sub(now)) {
        (0, 0) => "matching".into(),
        (0, reveal) => format!("revealing for {}", text::seconds(reveal)),
        (left, _) => format!("closes in {}", text::seconds(left)),
    }
}

fn book_table(look: &Look) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["GROUP", "PROVIDER", "RATE", ""]);
    for order in &look.orders {
        let name = order.spec.as_ref().map(|s| s.name.clone()).unwrap_or_default();
        let state = match order.state() {
            OrderState::Open => countdown(order),
            _ => crate::query::tables::order_state(order),
        };
        let max = format!("at most {}", text::rate(order.max_rate.as_ref()));
        table.add_row([name, String::new(), max, state]);
        let bids = order.id.as_ref().and_then(|id| look.bids.get(&id.text()));
        for (place, bid) in bids.into_iter().flatten().take(8).enumerate() {
            let provider = bid.id.as_ref().map(|id| text::short(&id.provider));
            let mark = if place == 0 { "◀ best" } else { "" };
            table.add_row([
                String::new(),
                provider.unwrap_or_default(),
                rate_of(bid),
                mark.to_owned(),
            ]);
        }
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// What is going on at each provider.
pub struct Board {
    live: Option<MultiProgress>,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
    said: Mutex<BTreeMap<String, String>>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    pub fn new() -> Self {
        Self {
            live: out::is_live().then(MultiProgress::new),
            bars: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// One line about a group; said again only when it changes.
    pub fn say(&self, group: &str, text: &str) {
        if let Some(bar) = self.bar(group) {
            bar.set_style(template("{spinner} {prefix}: {msg}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(text.to_owned());
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(group.to_owned(), text.to_owned()).as_deref() != Some(text) {
            out::doing(&format!("{group}: {text}"));
        }
    }

    /// How far images are that peers bring, in quarters.
    pub fn fetched(&self, group: &str, have: u64, size: u64) {
        let (quarter, of) = (quarters(have, size), text::bytes(size));
        self.say(group, &format!("its peers bring its images: {quarter}% of {of}"));
    }

    /// How far an upload is; lines are said by quarters.
    pub fn upload(&self, group: &str, blob: &str, sent: u64, size: u64) {
        let blob = blob.get(..8).unwrap_or(blob);
        let Some(bar) = self.bar(group) else {
            let (quarter, of) = (quarters(sent, size), text::bytes(size));
            return self.say(group, &format!("uploading {blob}… {quarter}% of {of}"));
        };
        bar.set_style(template("  {prefix}: {msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}"));
        bar.set_length(size);
        bar.set_position(sent);
        bar.set_message(format!("uploading {blob}…"));
    }

    /// A group is done.
    pub fn done(&self, group: &str, text: &str) {
        if let Some(bar) = self.bar(group) {
            bar.set_style(template("✓ {prefix}: {msg}"));
            bar.finish_with_message(text.to_owned());
            return;
        }
        out::step(&format!("{group}: {text}"));
    }

    fn bar(&self, group: &str) -> Option<ProgressBar> {
        let live = self.live.as_ref()?;
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(group.to_owned()).or_insert_with(|| {
            let bar = live.add(ProgressBar::new_spinner());
            bar.set_prefix(group.to_owned());
            bar
        });
        Some(bar.clone())
    }
}

/// A part in percent, in steps of a quarter.
fn quarters(part: u64, of: u64) -> u64 {
    part.saturating_mul(4).checked_div(of).unwrap_or(4).min(4) * 25
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use stoa_proto::{
        cosmos::base::v1beta1::DecCoin,
        market::v1::Bid,
        types::v1::{BidId, GroupSpec, OrderId},
    };

    use super::*;

    #[test]
    fn the_book_in_words() {
        let id = OrderId { owner: "o".into(), dseq: 1, gseq: 1, oseq: 1 };
        let order = Order {
            id: Some(id.clone()),
            state: OrderState::Open.into(),
            spec: Some(GroupSpec { name: "athens".into(), ..GroupSpec::default() }),
            closes_at: text::now() + 10,
            ..Order::default()
        };
        let mut look = Look { orders: vec![order.clone()], ..Look::default() };
        assert_eq!(book_line(&look, &order), "order of group athens: no bid yet");
        let rate = DecCoin { denom: "ustoa".into(), amount: "2500000000000000000".into() };
        let provider = "stoa1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqwxyz".to_owned();
        let bid_id = BidId { owner: "o".into(), dseq: 1, gseq: 1, oseq: 1, provider };
        let bid = Bid { id: Some(bid_id), rate: Some(rate), ..Bid::default() };
        look.bids.insert(id.text(), vec![bid]);
        let line = book_line(&look, &order);
        assert!(
            line.contains("1 bid, best 2.5 ustoa/s (6.48 STOA/month) by stoa1qqqqq…wxyz"),
            "{line}"
        );
        let table = book_table(&look);
        assert!(table.contains("◀ best") && table.contains("closes in"), "{table}");
    }
}
