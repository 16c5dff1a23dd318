//! `resources.storage`: volumes, their classes, their order.

use std::cmp::Ordering;

use crate::compute::{read_size, warn_length};
use crate::diagnostics::Diags;
use crate::limits;
use crate::model::{Attribute, Storage};
use crate::names;
use crate::node::Field;
use crate::units::{show_bytes, shown};
use crate::validate::MAX_VOLUMES;

const DEFAULT_NAME: &str = "default";
const CLASSES: &[&str] = &["default", "beta1", "beta2", "beta3", "ram"];

pub(crate) fn read(field: &Field<'_>, diags: &mut Diags) -> Vec<Storage> {
    let mut volumes: Vec<Storage> = Vec::new();
    if field.is_list() {
        let items = field.list(diags).unwrap_or_default();
        if items.is_empty() || items.len() > MAX_VOLUMES {
            let message = format!("{} volumes are there", items.len());
            diags.push(field.error(message).help(format!("list 1 to {MAX_VOLUMES}")));
            return volumes;
        }
        for item in &items {
            let Some(volume) = volume(item, diags) else { continue };
            if volumes.iter().any(|known| known.name == volume.name) {
                let message = format!("another volume is named `{}`", shown(&volume.name));
                diags.push(item.error(message).help("give each a `name` of its own"));
            }
            volumes.push(volume);
        }
    } else if let Some(mut volume) = volume(field, diags) {
        if volume.name != DEFAULT_NAME {
            let message = format!("a single volume is named `{DEFAULT_NAME}`: `name` is ignored");
            diags.push(field.warning(message).help("write storage as a list to name volumes"));
            DEFAULT_NAME.clone_into(&mut volume.name);
        }
        volumes.push(volume);
    }
    warn_length(&limits::VOLUMES, "the number of volumes", volumes.len().max(1), field, diags);
    sort(&mut volumes);
    volumes
}

fn volume(field: &Field<'_>, diags: &mut Diags) -> Option<Storage> {
    let map = field.map(&["name", "size", "attributes"], diags)?;
    let mut name = DEFAULT_NAME.to_owned();
    if let Some(field) = map.get("name") {
        if let Some(text) = field.text(diags).filter(|text| !text.is_empty()) {
            if !names::is_volume(text) {
                let message = format!("`{}` is not a volume's name", shown(text));
                diags.push(field.error(message).help("use 1 to 64 printable characters"));
            }
            text.clone_into(&mut name);
        }
    }
    let attributes =
        map.get("attributes").map(|field| attributes(&field, diags)).unwrap_or_default();
    let size = map.required("size", "say how much: `size: 1Gi`", diags)?;
    let bytes = read_size("storage", &size, diags)?;
    limits::VOLUME_BYTES.warn("the volume", bytes, show_bytes, &size, diags);
    Some(Storage { name, size: bytes, attributes })
}

/// `persistent` (false where it is not there) and `class`, in the order of their names.
fn attributes(field: &Field<'_>, diags: &mut Diags) -> Vec<Attribute> {
    let Some(map) = field.map(&["persistent", "class"], diags) else { return Vec::new() };
    let persistent = map.get("persistent").is_some_and(|field| persistent(&field, diags));
    let class_field = map.get("class");
    let mut class = class_field.as_ref().and_then(|field| field.text(diags)).unwrap_or_default();
    if let Some(field) = class_field.as_ref().filter(|_| !class.is_empty()) {
        let complaint = match class {
            _ if !CLASSES.contains(&class) => {
                let help = format!("known: {}", CLASSES.join(", "));
                Some((format!("`{}` is not a storage class", shown(class)), help))
            }
            "ram" if persistent => Some((
                "storage of class ram cannot be persistent".to_owned(),
                "take `persistent: true` away, or name another class".to_owned(),
            )),
            "ram" => None,
            _ if !persistent => Some((
                format!("storage of class {class} must be persistent"),
                "add `persistent: true`, or take `class` away for ephemeral storage".to_owned(),
            )),
            _ => None,
        };
        if let Some((message, help)) = complaint {
            diags.push(field.error(message).help(help));
        }
    }
    if class.is_empty() && persistent {
        class = "default";
    }
    let mut attributes = Vec::new();
    if !class.is_empty() {
        attributes.push(Attribute::new("class", class));
    }
    attributes.push(Attribute::new("persistent", if persistent { "true" } else { "false" }));
    attributes
}

/// A truth value that published files write with or without quotes.
fn persistent(field: &Field<'_>, diags: &mut Diags) -> bool {
    match field.text(diags) {
        Some("true" | "on" | "yes") => true,
        Some("false" | "off" | "no") | None => false,
        Some(_) => field.boolean(diags).unwrap_or(false),
    }
}

/// By size. Among equals a persistent volume stands after an ephemeral one and persistent ones
/// stand by name; ephemeral ones come out in the reverse of the file's order, as the public
/// SDK's insertion sort leaves them, for the version depends on it.
fn sort(volumes: &mut [Storage]) {
    for next in 1..volumes.len() {
        let mut at = next;
        while at > 0 && stands_before(&volumes[at], &volumes[at - 1]) {
            volumes.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn stands_before(a: &Storage, b: &Storage) -> bool {
    match a.size.cmp(&b.size) {
        Ordering::Less => return true,
        Ordering::Greater => return false,
        Ordering::Equal => {}
    }
    match (a.attribute("persistent"), b.attribute("persistent")) {
        (None, Some(_)) => return true,
        (Some(_), None) => return false,
        (Some(a), Some(b)) if a < b => return true,
        _ => {}
    }
    match (a.is_persistent(), b.is_persistent()) {
        (false, _) => true,
        (true, false) => false,
        (true, true) => a.name < b.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, size: u64, persistent: Option<bool>) -> Storage {
        let attributes = persistent.map(|p| Attribute::new("persistent", p.to_string()));
        Storage { name: name.into(), size, attributes: attributes.into_iter().collect() }
    }

    fn sorted(mut volumes: Vec<Storage>) -> Vec<String> {
        sort(&mut volumes);
        volumes.into_iter().map(|v| v.name).collect()
    }

    #[test]
    fn by_size_first() {
        let volumes = vec![volume("c", 3, None), volume("a", 1, Some(true)), volume("b", 2, None)];
        assert_eq!(sorted(volumes), ["a", "b", "c"]);
    }

    #[test]
    fn equal_sizes() {
        let both = [Some(true), None, Some(false), Some(true)];
        let volumes = both.iter().zip(["b", "n", "f", "a"]).map(|(p, n)| volume(n, 1, *p));
        assert_eq!(sorted(volumes.collect()), ["n", "f", "a", "b"]);
        assert_eq!(sorted(vec![volume("x", 1, None), volume("y", 1, None)]), ["y", "x"]);
    }
}
