//! `profiles.placement`: where a group may run, and what it may cost there.

use std::collections::{BTreeMap, BTreeSet};

use crate::compute::warn_length;
use crate::diagnostics::Diags;
use crate::groups::{Price, Requirements, SignedBy};
use crate::limits;
use crate::model::Attribute;
use crate::names;
use crate::node::{Field, Map};
use crate::options::Options;
use crate::pricing;
use crate::units::shown;

/// A placement as the file states it, prices and auditors already those of this chain.
#[derive(Default)]
pub(crate) struct Placement {
    pub requirements: Requirements,
    pub pricing: BTreeMap<String, Price>,
}

pub(crate) fn read(
    field: &Field<'_>,
    options: &Options,
    diags: &mut Diags,
) -> BTreeMap<String, Placement> {
    let mut placements = BTreeMap::new();
    for (name, field) in field.names(diags).unwrap_or_default() {
        if !names::is_group(name) {
            let message = format!("`{}` is not a placement's name", shown(name));
            diags.push(field.name_error(message).help("use 1 to 64 printable characters"));
        }
        placements.insert(name.to_owned(), placement(&field, options, diags).unwrap_or_default());
    }
    placements
}

fn placement(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<Placement> {
    let map = field.map(&["attributes", "signedBy", "pricing", "requirements"], diags)?;
    let help = "say what each compute profile may cost: `pricing: {PROFILE: {denom, amount}}`";
    let pricing = map
        .required("pricing", help, diags)
        .map(|field| pricing::read(&field, options, diags))
        .unwrap_or_default();
    let mut requirements =
        map.get("requirements").and_then(|field| ours(&field, options, diags)).unwrap_or_default();
    requirements.attributes =
        map.get("attributes").map(|field| attributes(&field, diags)).unwrap_or_default();
    requirements.signed_by =
        map.get("signedBy").and_then(|field| signed_by(&field, options, diags)).unwrap_or_default();
    Some(Placement { requirements, pricing })
}

fn attributes(field: &Field<'_>, diags: &mut Diags) -> Vec<Attribute> {
    let mut list = Vec::new();
    for (key, field) in field.names(diags).unwrap_or_default() {
        let Some(value) = field.text(diags) else { continue };
        if !names::is_attribute_key(key) {
            let message = format!("`{}` is not an attribute's key", shown(key));
            diags.push(
                field
                    .name_error(message)
                    .help("use 1 to 128 characters without spaces, and `*` only as the last"),
            );
        }
        if !names::is_attribute_value(value) {
            diags.push(
                field
                    .error("this is not an attribute's value")
                    .help("use at most 128 printable characters, and `*` only as the last"),
            );
        }
        list.push(Attribute::new(key, value));
    }
    warn_length(&limits::ATTRIBUTES, "the number of attributes", list.len(), field, diags);
    list.sort();
    list
}

fn signed_by(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<SignedBy> {
    let map = field.map(&["allOf", "anyOf"], diags)?;
    let signers = |key: &str, diags: &mut Diags| {
        let Some(field) = map.get(key) else { return Vec::new() };
        let list = addresses(&field, options, diags);
        warn_length(&limits::SIGNERS, "the number of auditors", list.len(), &field, diags);
        list
    };
    Some(SignedBy { all_of: signers("allOf", diags), any_of: signers("anyOf", diags) })
}

/// Addresses, those of `--signer` already replaced.
fn addresses(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Vec<String> {
    let mut list = Vec::new();
    for item in field.list(diags).unwrap_or_default() {
        let Some(written) = item.text(diags) else { continue };
        let address = options.signers.get(written).map_or(written, String::as_str);
        let ours = |prefix: &String| {
            let data = address.strip_prefix(prefix.as_str()).and_then(|a| a.strip_prefix('1'));
            data.is_some_and(|data| {
                data.len() >= 6
                    && data.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
            })
        };
        let foreign = options.address_prefix.as_ref().filter(|prefix| !ours(prefix));
        if let Some(prefix) = foreign {
            let shown = shown(address);
            let message = format!("`{shown}` is not an address of this chain ({prefix}1…)");
            diags.push(item.error(message).help(format!(
                "map it with `--signer {shown}={prefix}1…`, or write the chain's own address"
            )));
        } else if address.is_empty() {
            diags.push(item.error("an address is missing here"));
        }
        list.push(address.to_owned());
    }
    list
}

const MAX_REPUTATION: u64 = 10_000;

/// `requirements`: what only this chain can ask.
fn ours(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<Requirements> {
    let map = field.map(&["min_stake", "min_reputation", "exclude", "allow"], diags)?;
    let min_stake = map.get("min_stake").and_then(|f| f.integer(0, u64::MAX, diags));
    let min_reputation =
        map.get("min_reputation").and_then(|f| f.integer(0, MAX_REPUTATION, diags));
    let exclude = providers(&map, "exclude", options, diags);
    let allow = providers(&map, "allow", options, diags);
    let allowed: BTreeSet<&String> = allow.iter().collect();
    if let Some(both) = exclude.iter().find(|provider| allowed.contains(provider)) {
        let message = format!("`{}` is both excluded and allowed", shown(both));
        diags.push(field.error(message).help("keep it in one of the lists"));
    }
    Some(Requirements {
        min_stake,
        min_reputation: min_reputation.and_then(|n| u32::try_from(n).ok()),
        exclude,
        allow,
        ..Requirements::default()
    })
}

fn providers(map: &Map<'_>, key: &str, options: &Options, diags: &mut Diags) -> Vec<String> {
    let Some(field) = map.get(key) else { return Vec::new() };
    let list = addresses(&field, options, diags);
    warn_length(&limits::LISTED_PROVIDERS, "the number of providers", list.len(), &field, diags);
    list
}
