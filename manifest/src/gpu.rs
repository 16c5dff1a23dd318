//! `resources.gpu`: how many, and which are acceptable.

use std::collections::BTreeSet;

use crate::compute::warn_length;
use crate::diagnostics::Diags;
use crate::limits::{self, plain};
use crate::model::{Attribute, Gpu};
use crate::names;
use crate::node::Field;
use crate::units::{bytes, shown};

/// The vendor that the published schema knows.
const KNOWN_VENDOR: &str = "nvidia";
const GI: u64 = 1 << 30;

pub(crate) fn read(field: &Field<'_>, diags: &mut Diags) -> Gpu {
    let Some(map) = field.map(&["units", "attributes"], diags) else { return Gpu::default() };
    let units = map.get("units").and_then(|field| units(&field, diags)).unwrap_or(0);
    let attributes =
        map.get("attributes").map(|field| attributes(&field, diags)).unwrap_or_default();
    if units > 0 && attributes.is_empty() {
        diags.push(field.name_error("GPU units without `attributes`").help(
            "say which are acceptable: `attributes: {vendor: {nvidia: [{model: a100}]}}`, \
             or `nvidia:` alone for any",
        ));
    }
    if units == 0 && !attributes.is_empty() {
        diags.push(field.warning(
            "GPU attributes without units: no GPU is asked for, though the \
             published SDL schema requires `units` over 0 here",
        ));
    }
    Gpu { units, attributes }
}

/// A whole number, in quotes or without.
fn units(field: &Field<'_>, diags: &mut Diags) -> Option<u64> {
    let text = field.text(diags)?;
    let Some(units) = crate::units::whole(text) else {
        let message = format!("`{}` is not a whole number of GPUs", shown(text));
        diags.push(field.error(message).help("write `units: 1`"));
        return None;
    };
    limits::GPU_UNITS.warn("the number of GPUs", units, plain, field, diags);
    Some(units)
}

fn attributes(field: &Field<'_>, diags: &mut Diags) -> Vec<Attribute> {
    let help = "name one: `vendor: {nvidia: }`";
    let Some(map) = field.map(&["vendor"], diags) else { return Vec::new() };
    let Some(vendor) = map.required("vendor", help, diags) else { return Vec::new() };
    let mut found = BTreeSet::new();
    let vendors = vendor.names(diags).unwrap_or_default();
    if vendors.is_empty() {
        diags.push(vendor.name_error("no GPU vendor is named").help(help));
    }
    if vendors.len() > 1 {
        diags.push(vendor.name_warning(
            "several GPU vendors: the chain takes one for a unit, so this file cannot be deployed \
             as it is; write a service for each",
        ));
    }
    for (name, field) in vendors {
        if name != KNOWN_VENDOR {
            let message = format!(
                "the published SDL schema knows the GPU vendor {KNOWN_VENDOR} only, not `{}`; \
                 few providers may match",
                shown(name)
            );
            diags.push(field.name_warning(message));
        }
        models(name, &field, &mut found, diags);
    }
    let list: Vec<Attribute> = found.into_iter().collect();
    warn_length(&limits::GPU_MODELS, "the number of GPU models", list.len(), field, diags);
    list
}

/// A key for each acceptable model; `*` where none is named.
fn models(vendor: &str, field: &Field<'_>, list: &mut BTreeSet<Attribute>, diags: &mut Diags) {
    let items = field.list(diags).unwrap_or_default();
    if items.is_empty() {
        list.insert(Attribute::new(format!("vendor/{vendor}/model/*"), "true"));
    }
    for item in items {
        let Some(model) = model(&item, diags) else { continue };
        let key = format!("vendor/{vendor}/model/{model}");
        if !names::is_attribute_key(&key) {
            let message = format!("`{}` is not an attribute's key", shown(&key));
            diags.push(item.error(message).help("use letters, digits, `-`, `.`, 128 in all"));
        }
        if !list.insert(Attribute::new(key, "true")) {
            diags.push(item.error("this model is there twice").help("keep one of them"));
        }
    }
}

/// `MODEL[/ram/NGi][/interface/pcie|sxm]`.
fn model(field: &Field<'_>, diags: &mut Diags) -> Option<String> {
    let map = field.map(&["model", "ram", "interface"], diags)?;
    let help = "name it, such as `model: a100`; leave the list empty for any";
    let named = map.required("model", help, diags)?;
    let mut key = named.text(diags)?.to_owned();
    if key.is_empty() || key.contains('/') {
        let message = format!("`{}` is not a GPU model", shown(&key));
        diags.push(named.error(message).help(help));
    }
    if let Some(field) = map.get("ram") {
        match bytes(field.text(diags)?) {
            Ok(bytes) if bytes >= GI => key.push_str(&format!("/ram/{}Gi", bytes / GI)),
            Ok(_) => diags.push(field.error("GPU ram is under 1Gi").help("write `ram: 80Gi`")),
            Err(error) => diags.push(field.error(error).help("write `ram: 80Gi`")),
        }
    }
    if let Some(field) = map.get("interface") {
        match field.text(diags)? {
            known @ ("pcie" | "sxm") => key.push_str(&format!("/interface/{known}")),
            other => {
                let message = format!("`{}` is not a GPU interface", shown(other));
                diags.push(field.error(message).help("write pcie or sxm"));
            }
        }
    }
    Some(key)
}
