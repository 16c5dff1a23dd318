//! `pricing`: the most that a unit may cost, as money a second.

use std::collections::BTreeMap;

use crate::diagnostics::Diags;
use crate::groups::Price;
use crate::names;
use crate::node::Field;
use crate::options::Options;
use crate::units::{shown, Dec18};

/// A block of the chain that foreign denoms come from, whose prices are per block.
const FOREIGN_BLOCK_SECONDS: u64 = 6;
const HOUR_SECONDS: u64 = 3_600;
/// 30 days.
pub(crate) const MONTH_SECONDS: u64 = 2_592_000;
/// The chain's bound on the rate of a unit, in whole units a second.
const MAX_RATE: Dec18 = Dec18(1_000_000_000 * Dec18::ONE.0);
/// Denoms that need no warning where nothing is known of the chain.
const USUAL_DENOMS: &[&str] = &["uakt", "uact", "ustoa"];

pub(crate) fn read(
    field: &Field<'_>,
    options: &Options,
    diags: &mut Diags,
) -> BTreeMap<String, Price> {
    let mut prices = BTreeMap::new();
    let entries = field.names(diags).unwrap_or_default();
    if entries.is_empty() {
        diags.push(
            field
                .name_error("no compute profile is priced")
                .help("say what each may cost: `PROFILE: {denom: ustoa, amount: 10}`"),
        );
    }
    for (profile, field) in entries {
        prices.insert(profile.to_owned(), price(&field, options, diags).unwrap_or_default());
    }
    prices
}

fn price(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<Price> {
    let map = field.map(&["denom", "amount", "per"], diags)?;
    let denom_field = map.required("denom", "name the coin: `denom: ustoa`", diags);
    let amount_field = map.required("amount", "say how much at most: `amount: 10`", diags);
    let per = map.get("per").and_then(|field| per(&field, diags));
    let (denom_field, amount_field) = (denom_field?, amount_field?);
    let written = denom_field.text(diags)?;
    let amount = read_amount(&amount_field, diags)?;
    let mapping = options.denoms.get(written);
    let denom = mapping.map_or(written, |mapping| mapping.to.as_str());
    check_denom(denom, &denom_field, options, diags)?;
    let (factor, default_seconds) = match mapping {
        Some(mapping) => (mapping.price, FOREIGN_BLOCK_SECONDS),
        None => (Dec18::ONE, 1),
    };
    let rate = amount.scale(factor, per.unwrap_or(default_seconds));
    match rate {
        None => diags.push(amount_field.error("the price does not fit").help("ask for less")),
        Some(rate) if rate.is_zero() => diags.push(
            amount_field
                .error("the price is 0 a second once it is rounded down at 18 decimals")
                .help("ask for more, or for a shorter `per`"),
        ),
        Some(rate) if rate > MAX_RATE => diags.push(amount_field.warning(format!(
            "the price is {} {denom} a second; the chain takes at most {} for a unit",
            rate.short(),
            MAX_RATE.short()
        ))),
        Some(_) => {}
    }
    Some(Price { denom: denom.to_owned(), amount: rate? })
}

fn read_amount(field: &Field<'_>, diags: &mut Diags) -> Option<Dec18> {
    let help = "write a number over 0 with at most 18 decimals, such as 10 or 0.25";
    let text = field.text(diags)?;
    match Dec18::parse(text) {
        Ok(amount) if amount.is_zero() => diags.push(field.error("the amount is 0").help(help)),
        Ok(amount) => return Some(amount),
        Err(_) if text.starts_with('-') => {
            diags.push(field.error(format!("the amount `{}` is negative", shown(text))).help(help));
        }
        Err(error) => diags.push(field.error(format!("the amount {error}")).help(help)),
    }
    None
}

fn check_denom(denom: &str, field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<()> {
    if !names::is_denom(denom) {
        let message = format!("`{}` is not a denom", shown(denom));
        diags.push(field.error(message).help("write the coin's base unit, such as ustoa"));
        return None;
    }
    match &options.known_denoms {
        Some(known) if !known.contains(denom) => {
            let list = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let to = known.iter().next().map_or("ustoa", String::as_str);
            let message = format!("`{denom}` is not a denom that the chain takes ({list})");
            diags.push(field.error(message).help(format!(
                "map it with `--denom {denom}={to}@PRICE`, where PRICE is the number of {to} for \
                 1 {denom} (amounts are then per 6-second block unless `per` says otherwise), and \
                 its auditors with `--signer FROM=TO`"
            )));
            None
        }
        None if !USUAL_DENOMS.contains(&denom) => {
            diags.push(field.warning(format!(
                "`{denom}` is not among the denoms that the published SDL schema knows ({})",
                USUAL_DENOMS.join(", ")
            )));
            Some(())
        }
        _ => Some(()),
    }
}

/// Seconds that an amount is for.
fn per(field: &Field<'_>, diags: &mut Diags) -> Option<u64> {
    match field.text(diags)? {
        "second" => Some(1),
        "hour" => Some(HOUR_SECONDS),
        "month" => Some(MONTH_SECONDS),
        other => {
            let message = format!("`{}` is not a time that a price is for", shown(other));
            diags.push(field.error(message).help("write second, hour or month"));
            None
        }
    }
}
