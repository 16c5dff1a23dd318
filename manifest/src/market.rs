//! `market` and `reclamation`: how the order is auctioned and how long it lasts.

use crate::diagnostics::Diags;
use crate::limits;
use crate::node::Field;
use crate::units::{seconds, show_seconds, shown};

/// How the deployment's orders are offered. Durations in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarketOptions {
    /// Time for bids; the chain's default (30 s) where unset.
    pub bid_window: Option<u64>,
    /// What the winner is paid.
    pub auction: Auction,
    /// Whether bids stay hidden until the window ends. Always so in a second-price auction.
    pub sealed: bool,
    /// Whether a lease that ends opens a new order.
    pub reopen: bool,
    /// Time after which leases expire; none where unset.
    pub duration: Option<u64>,
}

/// What the winner of an order is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auction {
    /// Its own rate.
    #[default]
    FirstPrice,
    /// The rate of the second; bids are sealed.
    SecondPrice,
}

pub(crate) fn read(field: &Field<'_>, diags: &mut Diags) -> MarketOptions {
    let mut market = MarketOptions::default();
    let keys = &["bid_window", "auction", "sealed", "reopen", "duration"];
    let Some(map) = field.map(keys, diags) else { return market };
    if let Some(field) = map.get("bid_window") {
        market.bid_window = duration(&field, diags);
        if let Some(window) = market.bid_window {
            limits::BID_WINDOW_SECONDS.warn("the bid window", window, show_seconds, &field, diags);
        }
    }
    market.duration = map.get("duration").and_then(|field| duration(&field, diags));
    market.auction = map.get("auction").map(|field| auction(&field, diags)).unwrap_or_default();
    market.reopen = map.get("reopen").and_then(|field| field.boolean(diags)).unwrap_or(false);
    let sealed = map.get("sealed").and_then(|field| Some((field.boolean(diags)?, field)));
    let second = market.auction == Auction::SecondPrice;
    if let Some((false, field)) = sealed.as_ref().filter(|_| second) {
        diags.push(
            field
                .error("a second-price auction is always sealed")
                .help("take `sealed` away, or write `auction: first_price`"),
        );
    }
    market.sealed = second || sealed.is_some_and(|(sealed, _)| sealed);
    market
}

fn auction(field: &Field<'_>, diags: &mut Diags) -> Auction {
    match field.text(diags) {
        Some("first_price") | None => Auction::FirstPrice,
        Some("second_price") => Auction::SecondPrice,
        Some(other) => {
            let message = format!("`{}` is not an auction", shown(other));
            diags.push(field.error(message).help("write first_price or second_price"));
            Auction::FirstPrice
        }
    }
}

/// `reclamation.min_window` in seconds.
pub(crate) fn reclamation(field: &Field<'_>, diags: &mut Diags) -> Option<u64> {
    let map = field.map(&["min_window"], diags)?;
    let field = map.required("min_window", "say how long: `min_window: 24h`", diags)?;
    let window = duration(&field, diags)?;
    let text = field.text(diags)?;
    if !is_simple(text) {
        diags.push(field.warning(format!(
            "`{}` is not of the form that the published SDL schema requires: one whole number \
             and s, m or h",
            shown(text)
        )));
    }
    limits::RECLAMATION_SECONDS.warn("the window", window, show_seconds, &field, diags);
    Some(window)
}

/// `^[1-9][0-9]*(s|m|h)$`
fn is_simple(text: &str) -> bool {
    let number = text.strip_suffix(['s', 'm', 'h']).unwrap_or_default();
    number.starts_with(|c: char| ('1'..='9').contains(&c))
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// A duration over 0, in seconds.
fn duration(field: &Field<'_>, diags: &mut Diags) -> Option<u64> {
    let help = "write a number and s, m or h: 30s, 10m, 24h";
    match seconds(field.text(diags)?) {
        Ok(0) => diags.push(field.error("the duration must be over 0").help(help)),
        Ok(seconds) => return Some(seconds),
        Err(error) => diags.push(field.error(error).help(help)),
    }
    None
}
