//! A manifest against the order on chain: equal ones pass, each difference is named.

#![allow(clippy::unwrap_used)]

mod common;

use common::full;
use stoa_manifest::{
    check_against_groups, check_group, Attribute, Endpoint, EndpointKind, GroupSpec, Manifest,
    Mismatch,
};

fn differences(change: impl FnOnce(&mut Manifest, &mut Vec<GroupSpec>)) -> Vec<String> {
    let parsed = full();
    let (mut manifest, mut groups) = (parsed.manifest, parsed.groups);
    change(&mut manifest, &mut groups);
    let found: Vec<Mismatch> = check_against_groups(&manifest, &groups).unwrap_err();
    found.iter().map(Mismatch::to_string).collect()
}

#[test]
fn what_one_file_gives_fits() {
    let parsed = full();
    assert_eq!(check_against_groups(&parsed.manifest, &parsed.groups), Ok(()));
    let near = parsed.manifest.group("near").unwrap();
    assert_eq!(check_group(near, &parsed.groups[1]), Ok(()));
}

#[test]
fn order_and_spelling_are_no_difference() {
    let parsed = full();
    let mut groups = parsed.groups;
    for unit in groups.iter_mut().flat_map(|group| &mut group.resources) {
        unit.resource.storage.reverse();
        for volume in &mut unit.resource.storage {
            // The chain says ephemeral for a volume that is not persistent and has no class.
            if volume.class() == "ephemeral" {
                volume.attributes = vec![Attribute::new("persistent", "false")];
            }
        }
        unit.resource.gpu.attributes.reverse();
        unit.resource.endpoints.reverse();
    }
    assert_eq!(check_against_groups(&parsed.manifest, &groups), Ok(()));
}

#[test]
fn each_difference_is_named() {
    let of_api = |field: &str| format!("group near, service api: {field}: manifest has ");
    let cases: Vec<(String, Vec<String>)> = vec![
        (of_api("cpu.units"), differences(|_, g| g[1].resources[0].resource.cpu.units = 1)),
        (
            of_api("cpu.attributes"),
            differences(|_, g| {
                let cpu = &mut g[1].resources[0].resource.cpu;
                cpu.attributes.push(Attribute::new("arch", "arm64"));
            }),
        ),
        (of_api("memory.size"), differences(|_, g| g[1].resources[0].resource.memory.size += 1)),
        (
            of_api("storage"),
            differences(|_, g| g[1].resources[0].resource.storage[0].name = "other".into()),
        ),
        (
            of_api("storage"),
            differences(|_, g| g[1].resources[0].resource.storage[2].attributes.clear()),
        ),
        (of_api("gpu.units"), differences(|_, g| g[1].resources[0].resource.gpu.units = 1)),
        (
            "group far, service worker: gpu.attributes: manifest has ".into(),
            differences(|_, g| g[0].resources[0].resource.gpu.attributes.clear()),
        ),
        (
            "group far, service worker: resource 1: count: manifest has 3, chain has 2".into(),
            differences(|_, g| g[0].resources[0].count = 2),
        ),
        (
            "group near, service web: resource 2: leased IP endpoints: manifest has 1, chain has 0"
                .into(),
            differences(|_, g| {
                let unit = &mut g[1].resources[1].resource;
                unit.endpoints.retain(|e| e.kind != EndpointKind::LeasedIp);
            }),
        ),
        (
            "group near, service api: resource 1: random port endpoints: manifest has 0, chain has 1"
                .into(),
            differences(|_, g| {
                let unit = &mut g[1].resources[0].resource;
                unit.endpoints
                    .push(Endpoint { kind: EndpointKind::RandomPort, sequence_number: 0 });
            }),
        ),
        (
            "group near, service web: resources.id: manifest has 7, chain has no unit of this id"
                .into(),
            differences(|m, _| m.groups[1].services[1].resources.id = 7),
        ),
        ("group far: group: manifest has it, chain has none".into(), differences(|_, g| {
            g.remove(0);
        })),
        ("group far: group: manifest has none of this name".into(), differences(|m, _| {
            m.groups.remove(0);
        })),
        (
            "group near: resource 2: count: manifest has 0, chain has 2".into(),
            differences(|m, _| {
                m.groups[1].services.remove(1);
            }),
        ),
    ];
    for (expected, found) in cases {
        assert!(found.iter().any(|line| line.starts_with(&expected)), "{expected}\n{found:#?}");
    }
}
