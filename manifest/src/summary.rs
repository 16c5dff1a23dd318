//! A parsed file in a few lines for people.

use std::fmt::Write;

use crate::groups::GroupSpec;
use crate::image::ImageRef;
use crate::market::Auction;
use crate::model::{Egress, Gpu, Group, Service, Storage};
use crate::pricing::MONTH_SECONDS;
use crate::units::{show_bytes, show_seconds, Dec18};
use crate::Parsed;

/// What the deployment runs, where, and what it may cost at most, a second and a month of
/// 2,592,000 s. Holds no secret.
pub fn summary(parsed: &Parsed) -> String {
    let mut out = String::new();
    for (group, spec) in parsed.manifest.groups.iter().zip(&parsed.groups) {
        let _ = writeln!(out, "{}", placement(group, spec));
        for service in &group.services {
            let _ = writeln!(out, "  {}", service_line(service));
        }
    }
    let _ = writeln!(out, "{}", terms(parsed));
    let total =
        parsed.groups.iter().try_fold(Dec18::default(), |sum, group| sum.plus(group.max_rate()?));
    let _ = write!(out, "in all {}", price(total, denom(&parsed.groups)));
    out
}

fn placement(group: &Group, spec: &GroupSpec) -> String {
    let denom = denom(std::slice::from_ref(spec));
    let wishes: Vec<String> =
        spec.requirements.attributes.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
    let wishes = if wishes.is_empty() { String::new() } else { format!(" ({})", wishes.join(" ")) };
    format!("{}{wishes}: {}", group.name, price(spec.max_rate(), denom))
}

fn denom(groups: &[GroupSpec]) -> &str {
    groups
        .iter()
        .flat_map(|group| &group.resources)
        .map(|r| r.price.denom.as_str())
        .next()
        .unwrap_or("")
}

fn price(rate: Option<Dec18>, denom: &str) -> String {
    let month = rate.and_then(|rate| rate.times(MONTH_SECONDS));
    match (rate, month) {
        (Some(rate), Some(month)) => {
            format!("at most {} {denom} a second, {} {denom} a month", rate.short(), month.short())
        }
        _ => "at most more than can be counted".to_owned(),
    }
}

fn service_line(service: &Service) -> String {
    let image = match service.image_ref() {
        Some(ImageRef::Blob(blob)) => {
            format!("shipped image {}… ({})", &blob.root.to_hex()[..12], show_bytes(blob.bytes))
        }
        _ => service.image.clone(),
    };
    let unit = &service.resources;
    let storage: Vec<String> = unit.storage.iter().map(volume).collect();
    let mut line = format!(
        "{} × {}: {image}, CPU {}m, memory {}, storage {}",
        service.count,
        service.name,
        unit.cpu.units,
        show_bytes(unit.memory.size),
        storage.join(" + "),
    );
    line.push_str(&gpu(&unit.gpu));
    for (mount, blob) in service.bundles() {
        let (root, bytes) = (blob.root.to_hex(), show_bytes(blob.bytes));
        let _ = write!(line, ", data {}… ({bytes}) in {}", &root[..12], mount.name);
    }
    for expose in &service.expose {
        let whom = match (expose.global, expose.service.as_str()) {
            (true, _) if expose.is_ingress() => "the world over HTTP".to_owned(),
            (true, _) => "the world".to_owned(),
            (false, "") => "nobody".to_owned(),
            (false, name) => name.to_owned(),
        };
        let _ = write!(line, ", {} {} to {whom}", expose.proto, expose.port);
    }
    if service.egress == Egress::None {
        line.push_str(", no way out");
    }
    line
}

fn volume(volume: &Storage) -> String {
    let kind = match volume.class() {
        "ephemeral" => String::new(),
        class if volume.is_persistent() => format!(" persistent {class}"),
        class => format!(" {class}"),
    };
    format!("{}{kind}", show_bytes(volume.size))
}

fn gpu(gpu: &Gpu) -> String {
    if gpu.units == 0 {
        return String::new();
    }
    let models: Vec<&str> = gpu
        .attributes
        .iter()
        .map(|attribute| attribute.key.strip_prefix("vendor/").unwrap_or(&attribute.key))
        .collect();
    format!(", GPU {} × {}", gpu.units, models.join(" or "))
}

fn terms(parsed: &Parsed) -> String {
    let market = &parsed.market;
    let mut words = vec![match market.auction {
        Auction::FirstPrice if market.sealed => "first-price auction with sealed bids".to_owned(),
        Auction::FirstPrice => "first-price auction".to_owned(),
        Auction::SecondPrice => "second-price auction with sealed bids".to_owned(),
    }];
    words.extend(market.bid_window.map(|s| format!("bids for {}", show_seconds(s))));
    words.extend(market.duration.map(|s| format!("leases for {}", show_seconds(s))));
    words.extend(parsed.reclamation.map(|s| format!("at least {} of notice", show_seconds(s))));
    words.extend(market.reopen.then(|| "reopens".to_owned()));
    words.join(", ")
}
