//! What is Stoa's own: it works, and leaves the version of files that do not use it alone.

#![allow(clippy::unwrap_used)]

mod common;

use common::{accepted, edited, file, full, options};
use stoa_manifest::{
    image_paths, parse, Auction, Dec18, Egress, ImageRef, Options, Parsed, ResourceSpec,
};

fn unit<'a>(parsed: &'a Parsed, group: &str, index: usize) -> &'a ResourceSpec {
    let group = parsed.groups.iter().find(|found| found.name == group).unwrap();
    &group.resources[index]
}

#[test]
fn the_full_file_is_accepted_without_a_warning() {
    let parsed = full();
    assert_eq!(parsed.warnings, []);
    let names: Vec<_> = parsed.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["far", "near"]);
    let near: Vec<_> =
        parsed.manifest.group("near").unwrap().services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(near, ["api", "web"]);
}

#[test]
fn market_options_and_windows_are_read() {
    let parsed = full();
    assert_eq!(parsed.market.bid_window, Some(45));
    assert_eq!(parsed.market.auction, Auction::SecondPrice);
    assert!(parsed.market.sealed && parsed.market.reopen);
    assert_eq!(parsed.market.duration, Some(2_592_000));
    assert_eq!(parsed.reclamation, Some(86_400));
    assert!(parsed.groups.iter().all(|group| group.reclamation_window == Some(86_400)));
    assert!(parsed.groups.iter().all(|group| group.duration == Some(2_592_000)));
}

#[test]
fn a_second_price_auction_is_sealed_without_being_told() {
    assert!(accepted(&edited("  sealed: true\n", "")).market.sealed);
    let open = edited("  sealed: true\n", "").replace("second_price", "first_price");
    assert!(!accepted(&open).market.sealed);
}

#[test]
fn prices_become_rates_a_second() {
    let parsed = full();
    assert_eq!(unit(&parsed, "near", 0).price.amount.to_string(), "0.250000000000000000");
    assert_eq!(unit(&parsed, "near", 1).price.amount.to_string(), "0.010000000000000000");
    assert_eq!(unit(&parsed, "far", 0).price.amount, Dec18::ONE);
    let third = accepted(&edited("amount: 36", "amount: 1"));
    let rate = unit(&third, "near", 1).price.amount;
    assert_eq!(rate.to_string(), "0.000277777777777777", "rounded down at 18 decimals");
}

#[test]
fn requirements_are_read() {
    let parsed = full();
    let far = &parsed.groups[0].requirements;
    assert_eq!((far.min_stake, far.min_reputation), (Some(1_000_000), Some(2_500)));
    assert_eq!(far.exclude, ["provider-9"]);
    assert_eq!(far.allow, ["provider-1", "provider-2"]);
    let json = stoa_manifest::group_specs_json(&parsed.groups);
    assert_eq!(json[0]["requirements"]["min_stake"], 1_000_000);
    assert_eq!(json[1]["requirements"].get("min_stake"), None, "left out where unset");
}

#[test]
fn a_shipped_image_becomes_a_blob() {
    let text = file("full.yaml");
    assert_eq!(image_paths(&text), [("./images/web.tar".to_owned(), 5, 12)]);
    let parsed = full();
    let web = &parsed.manifest.group("near").unwrap().services[1];
    let root = blake3::hash(b"web");
    assert_eq!(web.image, format!("blob:{}:10240", root.to_hex()));
    assert!(matches!(web.image_ref(), Some(ImageRef::Blob(blob)) if blob.root == root));
    assert_eq!(parsed.manifest.blobs().len(), 1);
    assert_eq!(image_paths("services: ["), []);
    assert_eq!(image_paths("services: {a: {image: nginx}, b: {}, c: 1}"), []);
    let errors = parse(&text, &Options::default()).unwrap_err();
    assert!(errors[0].message.contains("was not read"), "{}", errors[0]);
}

#[test]
fn only_egress_none_shows_in_the_canonical_form() {
    let parsed = full();
    let api = &parsed.manifest.group("near").unwrap().services[0];
    assert_eq!(api.egress, Egress::None);
    let canonical = String::from_utf8(parsed.manifest.canonical_json()).unwrap();
    assert_eq!(canonical.matches("\"egress\":\"none\"").count(), 1);
    let absent = accepted(&edited("    egress: none\n", ""));
    let public = accepted(&edited("egress: none", "egress: public"));
    assert_eq!(absent.manifest.version(), public.manifest.version());
    assert_ne!(absent.manifest.version(), parsed.manifest.version());
}

#[test]
fn market_terms_leave_the_version_alone() {
    let text = file("full.yaml");
    let (start, _) = text.split_once("reclamation:").unwrap();
    let plain = start
        .replace(", per: hour", "")
        .replace(", per: month", "")
        .replace("amount: 2592000", "amount: 1");
    let (before, requirements) = plain.split_once("      requirements:").unwrap();
    let (_, after) = requirements.split_once("deployment:").unwrap();
    let plain = format!("{before}deployment:{after}");
    assert_ne!(plain, text);
    assert_eq!(accepted(&plain).manifest, full().manifest);
}

#[test]
fn services_reach_across_placements() {
    let parsed = full();
    let api = &parsed.manifest.group("near").unwrap().services[0];
    let reached_by: Vec<_> = api.expose.iter().map(|expose| expose.service.as_str()).collect();
    assert_eq!(reached_by, ["web", "worker"], "worker runs at the other placement");
    assert!(parsed.manifest.group("far").unwrap().services.iter().any(|s| s.name == "worker"));
}

fn on_this_chain() -> Options {
    Options {
        known_denoms: Some(["ustoa".to_owned()].into()),
        address_prefix: Some("stoa".to_owned()),
        ..Options::default()
    }
}

#[test]
fn a_foreign_file_names_the_flags_that_it_needs() {
    let errors = parse(&file("foreign.yaml"), &on_this_chain()).unwrap_err();
    let [signer, denom] = errors.as_slice() else { panic!("{}", common::shown(&errors)) };
    assert!(signer.to_string().starts_with("24:13: error: "), "{signer}");
    assert!(signer.help.as_deref().unwrap().contains("--signer akash1365"), "{signer}");
    assert!(denom.to_string().starts_with("27:18: error: "), "{denom}");
    let help = denom.help.as_deref().unwrap();
    assert!(help.contains("--denom uakt=ustoa@PRICE") && help.contains("--signer"), "{help}");
}

#[test]
fn foreign_prices_are_per_block_of_six_seconds() {
    let options = on_this_chain().with_denom("uakt=ustoa@0.5".parse().unwrap()).with_signer(
        "akash1365yvmc4s7awdyj3n2sav7xfx76adc6dnmlx63=stoa1qqqsyqcyq5rqwzqf".parse().unwrap(),
    );
    let text = file("foreign.yaml");
    let parsed = parse(&text, &options).unwrap();
    let price = &unit(&parsed, "anywhere", 0).price;
    assert_eq!(price.denom, "ustoa");
    assert_eq!(price.amount.to_string(), "83.333333333333333333", "1000 × 0.5 / 6");
    let signed = &parsed.groups[0].requirements.signed_by;
    assert_eq!(signed.any_of, ["stoa1qqqsyqcyq5rqwzqf"]);
    let hourly = text.replace("amount: 1000", "amount: 1000\n          per: hour");
    let price = unit(&parse(&hourly, &options).unwrap(), "anywhere", 0).price.clone();
    assert_eq!(price.amount.to_string(), "0.138888888888888888", "1000 × 0.5 / 3600");
    let plain = parse(&text, &Options::default()).unwrap();
    assert_eq!(plain.manifest, parsed.manifest, "prices and auditors are not in the manifest");
}

#[test]
fn the_summary_tells_what_runs_and_what_it_costs() {
    let summary = stoa_manifest::summary(&full());
    for line in [
        "far (tee/type=cpu-gpu): at most 3 ustoa a second, 7776000 ustoa a month",
        "  3 × worker: ghcr.io/example/worker:3, CPU 4000m, memory 16Gi, storage 50Gi, GPU 1 × \
         nvidia/model/a100/ram/80Gi/interface/sxm or nvidia/model/h100",
        "near (region=eu-* tier=gold): at most 0.27 ustoa a second, 699840 ustoa a month",
        "TCP 8080 to the world over HTTP, UDP 9000 to the world",
        "TCP 3000 to web, TCP 3000 to worker, no way out",
        "second-price auction with sealed bids, bids for 45s, leases for 720h, at least 24h of \
         notice, reopens",
        "in all at most 3.27 ustoa a second, 8475840 ustoa a month",
    ] {
        assert!(summary.contains(line), "{line}\n---\n{summary}");
    }
}

#[test]
fn units_are_shared_by_profile_from_2_1_on() {
    let second = "  worker:\n    far: {profile: gpu, count: 3}";
    let both = "  worker:\n    far: {profile: gpu, count: 3}\n    near: {profile: small, count: 5}";
    // A trusted environment with GPUs cannot run on the small profile.
    let shared = edited(second, both).replace("tee: cpu-gpu", "permissions: {}");
    let parsed = accepted(&shared);
    let small = unit(&parsed, "near", 1);
    assert_eq!((small.resource.id, small.count), (2, 7), "web and worker");
    let old = shared.replace("version: \"2.1\"", "version: 2.0");
    let parsed = accepted(&old);
    let ids: Vec<_> = parsed.groups[1].resources.iter().map(|r| (r.resource.id, r.count)).collect();
    assert_eq!(ids, [(1, 1), (2, 2), (3, 5)]);
    let api = &parsed.manifest.group("near").unwrap().services[0];
    let credentials = api.credentials.as_ref().unwrap();
    assert_eq!((credentials.email.as_str(), credentials.username.as_str()), ("", " robot "));
}

#[test]
fn options_reach_nothing_else() {
    assert_eq!(full().manifest.root(), blake3::hash(&full().manifest.canonical_json()));
    assert_eq!(parse(&file("full.yaml"), &options()).unwrap(), full());
}
